"""The commands that change the history and nothing else, and the texts that explain them.

As in `dbmigrate.cli.commands`, ``\\b`` on a line of its own keeps a paragraph's lines.
"""
# ruff: noqa: D301 -- a raw docstring would show click's mark instead of being it

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from dbmigrate.cli.invocation import Request, execute
from dbmigrate.cli.options import Option, SectionedCommand, common_options
from dbmigrate.cli.parameters import VersionType
from dbmigrate.migrations.amend import Amend

if TYPE_CHECKING:
    from dbmigrate.migrations.version import Version

HISTORY = "Commands that change the history alone"

_reason = click.option(
    "--reason",
    cls=Option,
    metavar="TEXT",
    default="",
    show_default=False,
    help="Why; recorded in the history.",
)
_dry_run = click.option(
    "--dry-run",
    cls=Option,
    is_flag=True,
    help="Show what would be recorded, and record nothing.",
)


@click.command(cls=SectionedCommand, section=HISTORY)
@click.argument("version", type=VersionType())
@_reason
@_dry_run
@common_options
@click.pass_context
def baseline(
    ctx: click.Context, /, version: Version, reason: str, *, dry_run: bool, **_common: Any
) -> int:
    """Record everything up to VERSION as applied, without running it.

    For a database that has its schema already: afterwards `up` applies what is newer, and
    `down` does not go below VERSION. That the schema is what the files make is your word;
    nothing is compared. A history with applied migrations is refused, and so is an empty
    database. The same baseline once more does nothing.

    \b
    Examples:
      dbmigrate baseline 1.4.0 --dry-run
      dbmigrate baseline 1.4.0 --reason "schema made by hand until 2025"
    """
    return execute(
        ctx, Request("baseline", target=version, amend=Amend(reason=reason, dry_run=dry_run))
    )


@click.command(cls=SectionedCommand, section=HISTORY)
@click.argument("versions", nargs=-1, type=VersionType())
@click.option(
    "--all",
    "everything",
    cls=Option,
    is_flag=True,
    envvar="DBMIGRATE_REPAIR_ALL",
    help="Every file that was edited.",
)
@_reason
@_dry_run
@common_options
@click.pass_context
def repair(
    ctx: click.Context,
    /,
    versions: tuple[Version, ...],
    reason: str,
    *,
    everything: bool,
    dry_run: bool,
    **_common: Any,
) -> int:
    """Record that applied files were edited, and that this was agreed on.

    The history keeps the old checksum and the new one, who recorded it, when and why; from
    then on the file counts as the one that was applied. Its rollback is kept anew, too.
    Nothing is run: the database keeps what the old text made. Without VERSIONS, what was
    edited is shown, and --all is needed to record it.

    \b
    Examples:
      dbmigrate repair --dry-run
      dbmigrate repair 1.2.0 --reason "typing error in a comment"
    """
    amend = Amend(reason=reason, dry_run=dry_run, versions=versions, everything=everything)
    return execute(ctx, Request("repair", amend=amend))


HISTORY_COMMANDS: Final = (baseline, repair)
