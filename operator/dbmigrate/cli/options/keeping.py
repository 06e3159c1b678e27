"""The options of commands that may roll back: what becomes of the data that are lost."""

from __future__ import annotations

import click

from dbmigrate.cli.options.parameters import Size, one_of
from dbmigrate.cli.options.sections import option, together
from dbmigrate.errors import UsageError
from dbmigrate.postgres.rollback.options import KEEP_LIMIT, KeepOptions

keep_options = together(
    option(
        "--keep-data",
        type=one_of("on", "off"),
        default="on",
        show_default=True,
        help="Try each rollback first, and keep in the database what it loses.",
    ),
    option(
        "--keep-limit",
        type=Size(),
        default=KEEP_LIMIT,
        metavar="SIZE",
        help="Refuse a rollback that loses more than this.  [default: 256MB]",
    ),
    option(
        "--backup-covers",
        metavar="NAME",
        help="This backup has what is lost: above the limit, lose it without keeping it.",
    ),
)
"""Gives a command these options."""


def keep_of(ctx: click.Context) -> KeepOptions:
    """Their values for the command.

    Raises:
        UsageError: the backup has no name.
    """
    backup = ctx.params["backup_covers"]
    if backup is not None and not backup.strip():
        raise UsageError("--backup-covers needs the name of a backup: it is written down")
    return KeepOptions(ctx.params["keep_data"] == "on", ctx.params["keep_limit"], backup)
