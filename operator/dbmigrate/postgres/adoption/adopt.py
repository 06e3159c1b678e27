"""``adopt``: another tool's migrations are recorded as ours, once they match the files.

Nothing is executed. While the rows are written, the other tool's table is locked against
writers and read once more: a run of that tool beside ours cannot be half adopted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dbmigrate.api.rules import OutOfOrder
from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.migrations.adoption import (
    Accept,
    Adoption,
    plan_adoption,
    refuse,
    remaining,
    report_of,
)
from dbmigrate.migrations.adoption_map import read_map, write_map
from dbmigrate.migrations.applied import AppliedMigration
from dbmigrate.migrations.foreign import ForeignHistory
from dbmigrate.migrations.matching import Adopted, Evidence
from dbmigrate.migrations.originals import read_originals
from dbmigrate.postgres.adoption.detect import detect
from dbmigrate.postgres.adoption.tool import Table, Tool
from dbmigrate.postgres.amending.frame import Amending, Row, amending, insert_rows
from dbmigrate.postgres.server.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbmigrate.migrations.source import Source
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.context import Context


def adopt(context: Context) -> None:
    """Record what another tool has applied.

    Raises:
        DbmigrateError: no such history, one that is not whole, or one that does not match.
    """
    source = context.require_source()
    work = amending(context)
    if work.amend.accept_edited and not (work.amend.reason.strip() or work.amend.dry_run):
        raise UsageError(
            "files that differ from what was run are adopted with a reason alone",
            code="NoReason",
            hint="say why, and who agreed, by --reason TEXT",
        )
    work.require_finished()
    tool, table = detect(work.session, work.amend.tool, work.amend.table)
    history = _read(work.session, tool, table)
    adoption = _plan(work, source, tool, history)
    context.amendments = report_of(adoption.rows)
    for note in history.notes:
        context.progress.warning(note)
    if work.amend.write_map is not None:
        write_map(work.amend.write_map, adoption.proposal)
    refuse(adoption, history)
    rest = remaining(adoption, work.applied)
    context.amendments = report_of(rest)
    if not rest:
        what = "is adopted already" if adoption.rows else "has nothing that is applied"
        context.message = f"nothing to do: the history of {tool.name} in {table} {what}"
        return
    count = f"{len(rest)} migrations" if len(rest) > 1 else "1 migration"
    if work.amend.dry_run:
        context.message = f"{count} of {tool.name} would be adopted"
        return
    work.record(lambda cursor, found: _write(work, cursor, found, rest, (tool, table, history)))
    work.prove(lambda applied: _missing(applied, rest))
    context.message = f"{count} of {tool.name} adopted from {table}; none was run"


def _plan(work: Amending, source: Source, tool: Tool, history: ForeignHistory) -> Adoption:
    amend = work.amend
    originals = None
    if amend.originals is not None:
        originals = read_originals(amend.originals, tool.original)
    return plan_adoption(
        source,
        history,
        read_map(amend.map_file) if amend.map_file is not None else {},
        Evidence(tool.digests, originals),
        Accept(
            edited=amend.accept_edited,
            holes=work.context.options.rules.out_of_order is not OutOfOrder.REFUSE,
        ),
    )


def _read(session: Session, tool: Tool, table: Table) -> ForeignHistory:
    try:
        return tool.read(session, table)
    except psycopg.errors.InsufficientPrivilege as error:
        raise _denied(table, error) from None


def _denied(table: Table, error: psycopg.Error) -> RefusedError:
    return RefusedError(
        f"no right to {table}: {str(error).splitlines()[0]}",
        code="ForeignHistoryDenied",
        hint=f"grant select, update on {table} to the role that migrates, or adopt as its owner: "
        "the table is locked while its rows are taken over, and not written to",
    )


def _write(
    work: Amending,
    cursor: psycopg.Cursor[Any],
    found: Bookkeeping,
    rest: Sequence[Adopted],
    expected: tuple[Tool, Table, ForeignHistory],
) -> None:
    tool, table, history = expected
    try:
        cursor.execute(sql.SQL("lock table {} in share mode").format(table.identifier))
    except psycopg.errors.InsufficientPrivilege as error:
        raise _denied(table, error) from None
    if _read(work.session, tool, table) != history:
        raise RefusedError(
            f"the history of {tool.name} in {table} has changed meanwhile",
            code="ForeignHistoryChanged",
            hint=f"let no {tool.name} run beside; then adopt again",
        )
    insert_rows(work, cursor, found, [_row(each) for each in rest])


def _row(each: Adopted) -> Row:
    last = each.last
    return Row(
        each.record,
        each.origin,
        applied_at=last.applied_at if last else None,
        applied_by=last.applied_by if last else None,
        milliseconds=last.milliseconds if last else None,
        foreign_id=each.foreign_id or None,
        proof=each.proof,
    )


def _missing(applied: dict[str, AppliedMigration], rest: Sequence[Adopted]) -> list[str]:
    return [
        str(each.record.file.version)
        for each in rest
        if (found := applied.get(str(each.record.file.version))) is None
        or (found.checksum, found.origin) != (each.record.file.checksum, each.origin)
    ]
