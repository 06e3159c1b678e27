"""The commands about rollbacks: what they keep, and whether they lead back.

What they do is the engine's matter.
"""
# ruff: noqa: D301 -- a raw docstring would show click's mark instead of being it

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from dbmigrate.cli.invocation import Request, execute
from dbmigrate.cli.options.common import common_options
from dbmigrate.cli.options.parameters import Age, VersionType, one_of
from dbmigrate.cli.options.sections import CHANGE, LOOK, SectionedCommand, SectionedGroup, option
from dbmigrate.cli.options.target import stop_after
from dbmigrate.postgres.rollback.options import KeptRequest, OnConflict

if TYPE_CHECKING:
    from dbmigrate.migrations.version import Version

_set = option(
    "--number",
    "set_id",
    type=click.IntRange(min=1),
    metavar="N",
    help="This set alone, by its number in the list.",
)


class _KeptGroup(SectionedGroup):
    """A group that is a command too."""

    section = CHANGE


@click.group(cls=_KeptGroup, invoke_without_command=True)
@common_options
@click.pass_context
def kept(ctx: click.Context, /, **_common: Any) -> int | None:
    """List what rollbacks have kept of the data that they removed.

    A set is what one rollback kept of one table. Changes nothing.

    \b
    Examples:
      dbmigrate kept
      dbmigrate kept restore 1.6.0
      dbmigrate kept purge --older-than 90d
    """
    if ctx.invoked_subcommand is not None:
        return None
    return execute(ctx, Request("kept", needs_source=False))


@kept.command(cls=SectionedCommand, section=CHANGE)
@click.argument("version", type=VersionType(), required=False)
@_set
@option(
    "--table",
    metavar="NAME",
    help="What was kept of this table alone, with or without its schema.",
)
@option(
    "--into",
    metavar="SCHEMA.NAME",
    help="Restore one set into this table; it is made unless it is there.",
)
@option(
    "--on-conflict",
    type=one_of(*OnConflict),
    default=OnConflict.REFUSE.value,
    show_default=True,
    help="Where another row or value is: restore nothing, leave it, or overwrite it.",
)
@common_options
@click.pass_context
def restore(  # noqa: PLR0913 -- one for each option
    ctx: click.Context,
    /,
    version: Version | None,
    *,
    set_id: int | None,
    table: str | None,
    into: str | None,
    on_conflict: str,
    **_common: Any,
) -> int:
    """Put back what the last rollback of VERSION has kept.

    First apply the migration again (`dbmigrate up`), so that its tables and columns are
    there. Rows go into their table, values of dropped columns to the rows with the same
    key. All of it is restored, or nothing.

    \b
    Examples:
      dbmigrate kept restore 1.6.0
      dbmigrate kept restore 1.6.0 --table users --on-conflict skip
      dbmigrate kept restore --number 12 --into public.users_before
    """
    if version is None and set_id is None:
        raise click.UsageError("Give a VERSION or --number N.", ctx)
    request = KeptRequest(
        version=None if version is None else str(version),
        table=table,
        set_id=set_id,
        into=into,
        on_conflict=OnConflict(on_conflict),
    )
    return execute(ctx, Request("kept restore", needs_source=False, kept=request))


@kept.command(cls=SectionedCommand, section=CHANGE)
@option(
    "--older-than",
    type=Age(),
    metavar="AGE",
    help="All that was kept longer ago: 90d, 12w, 24h.",
)
@_set
@common_options
@click.pass_context
def purge(
    ctx: click.Context,
    /,
    older_than: timedelta | None,
    set_id: int | None,
    **_common: Any,
) -> int:
    """Delete kept data. It cannot be restored afterwards.

    \b
    Examples:
      dbmigrate kept purge --older-than 90d
      dbmigrate kept purge --number 12
    """
    if older_than is None and set_id is None:
        raise click.UsageError("Give --older-than AGE or --number N.", ctx)
    request = KeptRequest(set_id=set_id, older_than=older_than)
    return execute(ctx, Request("kept purge", needs_source=False, kept=request))


@click.command(cls=SectionedCommand, section=LOOK)
@stop_after
@option(
    "--pending",
    is_flag=True,
    help="Prove only what the target database does not have yet.",
)
@option(
    "--scratch",
    metavar="URI",
    help="A database without tables to use.  [default: one is made beside the target, and removed]",
)
@common_options
@click.pass_context
def prove(
    ctx: click.Context,
    /,
    target: Version | None,
    *,
    pending: bool,
    scratch: str | None,
    **_common: Any,
) -> int:
    """Prove rollbacks: each migration up, down and up on a scratch database.

    After each step the catalog is compared; each object that did not come back, or came
    back different, is named. The target database is not touched: a scratch database is
    made on its server (the role needs CREATEDB) and removed again. Verifications are asked
    as in any run; repeatable files are left out. Exits with 1 when a rollback does not
    lead back.

    \b
    Examples:
      dbmigrate prove
      dbmigrate prove --pending --output json
      dbmigrate prove --scratch postgresql://ci@localhost/empty
    """
    from dbmigrate.cli.proving import prove_rollbacks  # noqa: PLC0415 -- loads psycopg

    return prove_rollbacks(ctx, target, pending=pending, scratch=scratch)


ROLLBACK_COMMANDS: Final = (kept, prove)
