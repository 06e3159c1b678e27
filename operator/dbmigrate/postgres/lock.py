"""The advisory lock: one runner for each database, whatever its history's schema.

It is taken by the session that executes, and polled: waiting within the server would hold
a snapshot and deadlock with CREATE INDEX CONCURRENTLY elsewhere. It ends with its server
process, so a killed runner whose statement still works keeps it. The row in
``migration_locks`` only tells people who holds it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import sql

from dbmigrate.errors import LockNotObtainedError
from dbmigrate.postgres.bookkeeping import Bookkeeping
from dbmigrate.postgres.session import Session

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

Holder = dict[str, Any]
"""One who holds or blocks a lock: pid, user, application, client, state, seconds, query."""

_HOLDERS = """
    select a.pid, a.usename::text, a.application_name, a.client_addr::text, a.state,
        extract(epoch from
            pg_catalog.clock_timestamp() - coalesce(a.xact_start, a.backend_start))::int,
        pg_catalog.left(a.query, 200)
    from pg_catalog.pg_stat_activity as a
    where a.pid = any(
"""
_OF_LOCK = """
        select l.pid from pg_catalog.pg_locks as l
        where l.locktype = 'advisory' and l.granted and l.objsubid = 1
            and l.database = (
                select d.oid from pg_catalog.pg_database as d
                where d.datname = pg_catalog.current_database()
            )
            and l.classid = %s and l.objid = %s
    ) and a.pid <> pg_catalog.pg_backend_pid()
"""
_OF_TABLE = "pg_catalog.pg_blocking_pids(%s))"
_NAMES = ("pid", "user", "application", "client", "state", "seconds", "query")


def acquire(
    session: Session, schema: str, wait: float, tell: Callable[[list[Holder]], None]
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


def _not_obtained(found: list[Holder], wait: float) -> LockNotObtainedError:
    who = "; ".join(describe(each) for each in found) or "it has ended just now"
    return LockNotObtainedError(
        f"another run holds this database's advisory lock, after waiting {wait:g} s: {who}",
        hint="wait for it, or raise --wait-lock; a lost session ends by pg_terminate_backend(PID)",
    )


def describe(holder: Holder) -> str:
    """One holder in a few words."""
    parts = [f"process {holder['pid']}"]
    known = ("user", "application", "lockedBy", "host", "client")
    parts += [f"{key} {holder[key]}" for key in known if holder.get(key)]
    if holder.get("state"):
        parts.append(f"{holder['state']} for {holder.get('seconds')} s")
    return ", ".join(parts)


def holders(session: Session, schema: str) -> list[Holder]:
    """Who holds the advisory lock, and what the table says about them."""
    high, low = KEY >> 32, KEY & 0xFFFFFFFF
    rows = session.query(_HOLDERS + _OF_LOCK, [high, low])
    found = [dict(zip(_NAMES, row, strict=True)) for row in rows]
    for each in found:
        each.pop("query")  # a migration's, which is no news to those who wait for it
    if found:
        _add_rows(session, schema, found)
    return found


def _add_rows(session: Session, schema: str, found: list[Holder]) -> None:
    table = sql.Identifier(schema, "migration_locks")
    query = sql.SQL("select process_id, locked_by, host, command, locked_at::text from {}").format(
        table
    )
    try:
        rows = session.compose(query)
    except psycopg.Error:
        return  # no such table yet, or no right to it: the server's own word must do
    for pid, locked_by, host, command, locked_at in rows:
        for each in found:
            if each["pid"] == pid:
                each.update(lockedBy=locked_by, host=host, command=command, lockedAt=locked_at)


def blockers(session: Session, pid: int) -> list[Holder]:
    """Whom another session waits for (``pg_blocking_pids``); empty when for nobody."""
    rows = session.query(_HOLDERS + _OF_TABLE, [pid])
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]


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
