"""How far a command goes."""

from __future__ import annotations

from dbmigrate.cli.options.parameters import VersionType
from dbmigrate.cli.options.sections import option

stop_after = option(
    "--target",
    type=VersionType(),
    metavar="VERSION",
    help="Stop after this version.  [default: the newest]",
)
"""Gives a command that goes forward its target."""
