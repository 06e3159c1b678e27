"""The advisory lock: one runner for each database, whatever its history's schema.

It is taken by the session that executes, and polled: waiting within the server would hold
a snapshot and deadlock with CREATE INDEX CONCURRENTLY elsewhere. It ends with its server
process, so a killed runner whose statement still works keeps it. The row in
``migration_locks`` only tells people who holds it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import psycopg
from psycopg import sql

from dbmigrate.api.report.events import LockHolder
from dbmigrate.errors import LockNotObtainedError
from dbmigrate.postgres.bookkeeping import Bookkeeping
from dbmigrate.postgres.reporting import blockers
from dbmigrate.postgres.server.session import Session

KEY: Final = int.from_bytes(b"dbmigrat")
"""Of the lock; PostgreSQL keeps advisory locks apart by database."""
TRY_IN_TRANSACTION: Final = (
    f"select 1 operator(pg_catalog./) pg_catalog.int4(pg_catalog.pg_try_advisory_xact_lock({KEY}))"
)
"""Divides by zero unless this session has the lock. A script can drop a session's locks
(pg_advisory_unlock_all); this one nothing drops before the transaction ends."""
TAKE_AGAIN: Final = f"select pg_catalog.pg_try_advisory_lock({KEY})"
"""Within that transaction: it has the session's lock again, whatever the script dropped."""

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
_TELL_EVERY = 5.0

_HOLDERS: Final = """
    select l.pid from pg_catalog.pg_locks as l
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and l.database = (
            select d.oid from pg_catalog.pg_database as d
            where d.datname = pg_catalog.current_database()
        )
        and l.classid = %s and l.objid = %s
        and l.pid <> pg_catalog.pg_backend_pid()
"""


def acquire(
    session: Session, schema: str, wait: float, tell: Callable[[Sequence[LockHolder]], None]
) -> None:
    """Take the lock, waiting for another runner to end.

    Args:
        session: the session that will execute the migrations.
        schema: where ``migration_locks`` may be, which says more about the holder.
        wait: seconds.
        tell: told who holds it, at once and then every few seconds.

    Raises:
        LockNotObtainedError: it is still held after that time.
        Interrupted: a signal came while waiting.
    """
    begin = time.monotonic()
    told = float("-inf")
    pause = _FIRST_PAUSE
    while not session.query("select pg_catalog.pg_try_advisory_lock(%s)", [KEY])[0][0]:
        now = time.monotonic()
        if now - told >= _TELL_EVERY:
            told = now
            tell(holders(session, schema))
        left = wait - (now - begin)
        if left <= 0:
            raise _not_obtained(holders(session, schema), wait)
        session.interruption.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _not_obtained(found: Sequence[LockHolder], wait: float) -> LockNotObtainedError:
    who = blockers.describe_all(found) or "it has ended just now"
    return LockNotObtainedError(
        f"another run holds this database's advisory lock, after waiting {wait:g} s: {who}",
        hint="wait for it, or raise --wait-lock; a lost session ends by pg_terminate_backend(PID)",
    )


def holders(session: Session, schema: str) -> tuple[LockHolder, ...]:
    """Who holds the advisory lock, and what the table says about them."""
    high, low = KEY >> 32, KEY & 0xFFFFFFFF
    pids = [pid for (pid,) in session.query(_HOLDERS, [high, low])]
    # The query is a migration's, which is no news to those who wait for it.
    found = [replace(each, query="") for each in blockers.sessions(session, pids)]
    return _with_rows(session, schema, found) if found else ()


def _with_rows(
    session: Session, schema: str, found: Sequence[LockHolder]
) -> tuple[LockHolder, ...]:
    query = sql.SQL("""
        select process_id, locked_by, coalesce(host, ''), coalesce(command, ''), locked_at::text
        from {}
    """).format(sql.Identifier(schema, "migration_locks"))
    try:
        rows = {pid: rest for pid, *rest in session.compose(query)}
    except psycopg.Error:
        return tuple(found)  # no such table yet, or no right to it: the server's word must do
    return tuple(_with_row(each, *rows.get(each.pid, ())) for each in found)


def _with_row(
    holder: LockHolder, by: str = "", host: str = "", command: str = "", at: str = ""
) -> LockHolder:
    return replace(holder, locked_by=by, host=host, command=command, locked_at=at)


def write_row(session: Session, found: Bookkeeping, applied_by: str, command: str) -> None:
    """Say who holds the lock."""
    statement = sql.SQL("""
        insert into {} (id, locked_by, process_id, host, application, command)
        values (1, %s, pg_catalog.pg_backend_pid(), %s,
            pg_catalog.current_setting('application_name'), %s)
        on conflict (id) do update set locked_at = pg_catalog.clock_timestamp(),
            locked_by = excluded.locked_by, process_id = excluded.process_id,
            host = excluded.host, application = excluded.application, command = excluded.command
    """).format(found.table("migration_locks"))
    session.compose(statement, [applied_by, socket.gethostname(), command])


def remove_row(session: Session, found: Bookkeeping) -> None:
    """The run is over; the lock itself ends with the session."""
    statement = sql.SQL("delete from {} where process_id = pg_catalog.pg_backend_pid()")
    session.compose(statement.format(found.table("migration_locks")))
