"""``resolve``: what a person decides about a file that runs by statement and was cut off.

Only where nothing in the database can tell. What is decided, by whom and why, is written down
in the same transaction, under the advisory lock.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, LiteralString

from psycopg import sql
from psycopg.types.json import Jsonb

from dbmigrate.errors import RefusedError
from dbmigrate.postgres.amending.frame import amending
from dbmigrate.postgres.executing.ledger import AGAIN, TABLE, read_unfinished

if TYPE_CHECKING:
    import psycopg

    from dbmigrate.api.report.history import UnfinishedFile
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.context import Context


class Decision(enum.StrEnum):
    """What is decided."""

    DONE = "done"
    """The statement in doubt has taken effect."""
    AGAIN = "again"
    """It has not: it is run once more."""
    ABANDON = "abandon"
    """The database was put in order by hand; the file counts as not begun."""


# What is known from before the statement stays: by it the next run knows its leftovers.
_CHANGES: Final[Mapping[Decision, LiteralString]] = {
    Decision.DONE: """
        update {} set state = 'done', done_at = pg_catalog.clock_timestamp()
        where closed_at is null and migration_type = %(kind)s
            and coalesce(version, filename) = %(key)s
            and number = %(number)s
    """,
    Decision.AGAIN: """
        update {} set facts =
            coalesce(facts, '{{}}') || pg_catalog.jsonb_build_object(%(again)s::text, true)
        where closed_at is null and migration_type = %(kind)s
            and coalesce(version, filename) = %(key)s
            and number = %(number)s
    """,
    Decision.ABANDON: """
        update {} set closed_at = pg_catalog.clock_timestamp(), closed_as = 'abandoned',
            closed_by = %(by)s
        where closed_at is null and migration_type = %(kind)s
            and coalesce(version, filename) = %(key)s
    """,
}


def resolve(context: Context) -> None:
    """Write down what was decided about the file that is applied in part.

    Raises:
        RefusedError: there is no such file, or none of its statements is in doubt
            (NothingToResolve).
        DbmigrateError: as connecting, the lock and looking say.
    """
    work = amending(context)
    decision = Decision(work.amend.decision)
    file = read_unfinished(work.session, work.found)
    if file is None:
        raise RefusedError(
            "no file is applied in part",
            code="NothingToResolve",
            hint="`dbmigrate status` shows what is applied",
        )
    if decision is not Decision.ABANDON and not file.statement_in_doubt:
        raise RefusedError(
            f"{file.file}: none of its statements is in doubt",
            code="NothingToResolve",
            hint="`dbmigrate up` goes on with it; `dbmigrate resolve abandon` forgets it",
        )
    told = _sentence(decision, file)
    if work.amend.dry_run:
        context.message = f"would be recorded: {told}"
        return

    def write(cursor: psycopg.Cursor[Any], found: Bookkeeping) -> None:
        values = {
            "kind": file.direction.value,
            "file": file.file,
            "key": file.version or file.file,
            "number": file.statement_in_doubt,
            "by": work.applied_by,
        }
        change = sql.SQL(_CHANGES[decision]).format(found.table(TABLE))
        cursor.execute(change, {**values, "again": AGAIN})
        event = sql.SQL("""
            insert into {} (event_type, event_category, severity_level, message, event_data)
            values ('statement_resolved', 'migration', 'warning', %s, %s)
        """).format(found.table("system_events"))
        data = {**values, "decision": decision.value, "reason": work.amend.reason}
        cursor.execute(event, [told, Jsonb(data)])

    work.record(write)
    context.message = f"recorded: {told}"


def _sentence(decision: Decision, file: UnfinishedFile) -> str:
    if decision is Decision.ABANDON:
        done = file.statements_done
        return (
            f"{file.file} is not begun any more, though {done} of its statements "
            f"{'was' if done == 1 else 'were'} run"
        )
    what = f"{file.file}: statement {file.statement_in_doubt} ({file.statement})"
    if decision is Decision.DONE:
        return f"{what} has taken effect"
    return f"{what} has not taken effect, and will be run again"
