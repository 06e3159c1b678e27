"""The options of commands that may roll back: what becomes of the data that are lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from dbmigrate.cli.options import Option
from dbmigrate.cli.parameters import Size
from dbmigrate.errors import UsageError
from dbmigrate.postgres.rollback.options import KEEP_LIMIT, KeepOptions

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--keep-data",
        cls=Option,
        type=click.Choice(["on", "off"]),
        default="on",
        show_default=True,
        help="Try each rollback first, and keep in the database what it loses.",
    ),
    click.option(
        "--keep-limit",
        cls=Option,
        type=Size(),
        default=KEEP_LIMIT,
        metavar="SIZE",
        help="Refuse a rollback that loses more than this.  [default: 256MB]",
    ),
    click.option(
        "--backup-covers",
        cls=Option,
        metavar="NAME",
        help="This backup has what is lost: above the limit, lose it without keeping it.",
    ),
)


def keep_options(function: F) -> F:
    """Give a command these options."""
    for each in reversed(_OPTIONS):
        function = each(function)
    return function


def keep_of(ctx: click.Context) -> KeepOptions:
    """Their values for the command.

    Raises:
        UsageError: the backup has no name.
    """
    backup = ctx.params["backup_covers"]
    if backup is not None and not backup.strip():
        raise UsageError("--backup-covers needs the name of a backup: it is written down")
    return KeepOptions(ctx.params["keep_data"] == "on", ctx.params["keep_limit"], backup)
