"""How far a command goes."""

from __future__ import annotations

from dbmigrate.cli.options.parameters import VersionType, or_latest
from dbmigrate.cli.options.sections import option

stop_after = option(
    "--target",
    type=VersionType(latest=True),
    callback=or_latest,
    metavar="VERSION|latest",
    help="Stop after this version.  [default: the newest]",
)
"""Gives a command that goes forward its target."""
