"""The commands that change the history and nothing else."""
# ruff: noqa: D301 -- a raw docstring would show click's mark instead of being it

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import click

from dbmigrate.cli.invocation import Request, execute
from dbmigrate.cli.options.common import common_options
from dbmigrate.cli.options.parameters import FILE, VersionType, one_of
from dbmigrate.cli.options.sections import HISTORY, SectionedCommand, option
from dbmigrate.migrations.amend import Amend

if TYPE_CHECKING:
    from dbmigrate.migrations.version import Version

_reason = option(
    "--reason",
    metavar="TEXT",
    default="",
    show_default=False,
    help="Why; recorded in the history.",
)
_dry_run = option(
    "--dry-run",
    is_flag=True,
    help="Show what would be recorded, and record nothing.",
)


@click.command(cls=SectionedCommand, section=HISTORY)
@click.argument("version", type=VersionType())
@option(
    "--correct",
    is_flag=True,
    help="Replace a baseline that was wrong, as long as nothing has run since.",
)
@_reason
@_dry_run
@common_options
@click.pass_context
def baseline(
    ctx: click.Context,
    /,
    version: Version,
    reason: str,
    *,
    correct: bool,
    dry_run: bool,
    **_common: Any,
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
    amend = Amend(reason=reason, dry_run=dry_run, correct=correct)
    return execute(ctx, Request("baseline", target=version, amend=amend))


@click.command(cls=SectionedCommand, section=HISTORY)
@click.argument("versions", nargs=-1, type=VersionType())
@option(
    "--all",
    "everything",
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


@click.command(cls=SectionedCommand, section=HISTORY)
@click.argument("tool", required=False, default="")
@option(
    "--from",
    "table",
    metavar="TABLE",
    default="",
    show_default=False,
    envvar="DBMIGRATE_FROM",
    help="The other tool's table, as TABLE or SCHEMA.TABLE.  [default: found by its usual name]",
)
@option(
    "--map",
    "map_file",
    type=FILE,
    metavar="FILE",
    envvar="DBMIGRATE_MAP",
    help="Which version stands for which of the tool's migrations (YAML, JSON or CSV).",
)
@option(
    "--write-map",
    type=FILE,
    metavar="FILE",
    help="Write a proposal of such a map there.",
)
@option(
    "--originals",
    type=FILE,
    metavar="DIR",
    help="The tool's own files: ours must have the same statements.",
)
@option(
    "--accept-edited",
    is_flag=True,
    help="Take files that differ from what the tool ran; needs a reason.",
)
@_reason
@_dry_run
@common_options
@click.pass_context
def adopt(ctx: click.Context, /, **options: Any) -> int:
    """Take over the history of another tool, after comparing it with the files.

    TOOL is flyway, liquibase, golang-migrate, dbmate, goose, alembic or sqitch; without it,
    the tool is found by its table. Each of its migrations must have a file here, by number
    (V1_2 is 1.2.0, 20240131094500 is 20240131.94500.0), by name, by checksum or by a map;
    where the tool keeps checksums, they are compared. Anything left over is refused by name.
    Nothing is run, and the tool's own tables stay as they are.

    \b
    Examples:
      dbmigrate adopt --dry-run
      dbmigrate adopt goose --originals db/migrations
      dbmigrate adopt alembic --write-map map.yaml --dry-run
      dbmigrate adopt alembic --map map.yaml
    """
    names = {each.name for each in dataclasses.fields(Amend)} & options.keys()
    amend = Amend(**{name: options[name] for name in names})
    return execute(ctx, Request("adopt", amend=amend))


@click.command(cls=SectionedCommand, section=HISTORY)
@click.argument("decision", type=one_of("done", "again", "abandon"))
@_reason
@_dry_run
@common_options
@click.pass_context
def resolve(
    ctx: click.Context, /, decision: str, reason: str, *, dry_run: bool, **_common: Any
) -> int:
    """Decide about a file that runs by statement and was cut off.

    For what nothing in the database can tell: a procedure that commits by itself, cut off
    in the middle. Look first, then say `done` (it has taken effect: `up` goes on behind
    it) or `again` (it has not: `up` runs it once more). `abandon` forgets how far the file
    was, after you have put the database in order by hand: `up` begins it anew. Who decided
    is recorded.

    \b
    Examples:
      dbmigrate resolve done --dry-run
      dbmigrate resolve again --reason "the log table has no row of it"
    """
    amend = Amend(decision=decision, reason=reason, dry_run=dry_run)
    return execute(ctx, Request("resolve", amend=amend, needs_source=False))


@click.command(cls=SectionedCommand, section=HISTORY)
@common_options
@click.pass_context
def pin(ctx: click.Context, /, **_common: Any) -> int:
    """Pin a copied or moved database to the environment that --environment names.

    A database remembers its environment and its server, and refuses a run that claims
    another. After a copy was made on purpose (production restored for staging), this says
    so, once; it is written to system_events. Nothing else changes.

    \b
    Example:
      dbmigrate pin --environment staging
    """
    return execute(ctx, Request("pin", needs_source=False))


HISTORY_COMMANDS: Final = (baseline, repair, adopt, resolve, pin)
