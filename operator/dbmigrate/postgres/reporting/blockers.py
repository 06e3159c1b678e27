"""Who holds what a session waits for, asked from another session, and said in words.

Nothing is done about them: to end somebody's session is a person's decision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from dbmigrate.api.report.events import LockHolder
from dbmigrate.durations import format_duration
from dbmigrate.errors import MigrationFailedError
from dbmigrate.postgres.server.session import Session
from dbmigrate.redaction import MASK, by_position
from dbmigrate.texts import cut

_QUERY: Final = 200
"""Characters of a query that are told."""
_SHOWN: Final = 5
"""Holders that are named in a sentence."""
_HIDDEN: Final = "<insufficient privilege>"
"""What the server shows in place of a query (pg_stat_activity) to who may not see it."""
_SECRET: Final = re.compile(r"(\bpassword\s+)'(?:[^']|'')*'?", re.IGNORECASE)
"""As in CREATE ROLE … PASSWORD '…'; the text may be cut within it."""

_SESSIONS: Final[LiteralString] = """
    select a.pid,
        coalesce(a.usename::text, ''),
        coalesce(a.application_name, ''),
        coalesce(pg_catalog.host(a.client_addr), ''),
        case when a.backend_type <> 'client backend' then a.backend_type else '' end,
        coalesce(a.state, ''),
        extract(epoch from
            pg_catalog.clock_timestamp() - coalesce(a.xact_start, a.backend_start))::int,
        coalesce(a.query, ''),
        case when a.wait_event_type = 'Lock' then pg_catalog.pg_blocking_pids(a.pid) else '{}' end
    from pg_catalog.pg_stat_activity as a
    where a.pid = any(%s)
    order by coalesce(a.xact_start, a.backend_start), a.pid
"""

_WAIT: Final[LiteralString] = """
    select l.locktype, l.mode, l.relation::pg_catalog.regclass::text,
        pg_catalog.pg_blocking_pids(l.pid)
    from pg_catalog.pg_locks as l
    where l.pid = %s and not l.granted
"""
"""A process waits for one lock at a time. A relation's name is qualified by search_path."""

_PREPARED: Final[LiteralString] = """
    select distinct x.gid, x.owner::text,
        extract(epoch from pg_catalog.clock_timestamp() - x.prepared)::int, x.prepared
    from pg_catalog.pg_prepared_xacts as x
    join pg_catalog.pg_locks as own on own.transactionid = x.transaction
        and own.locktype = 'transactionid' and own.granted and own.pid is null
    join pg_catalog.pg_locks as held on held.virtualtransaction = own.virtualtransaction
        and held.granted and held.pid is null
    join pg_catalog.pg_locks as wanted on not wanted.granted and wanted.pid = %s
    where (held.locktype, held.database, held.relation, held.page, held.tuple, held.virtualxid,
            held.transactionid, held.classid, held.objid, held.objsubid)
        is not distinct from (wanted.locktype, wanted.database, wanted.relation, wanted.page,
            wanted.tuple, wanted.virtualxid, wanted.transactionid, wanted.classid, wanted.objid,
            wanted.objsubid)
    order by x.prepared, x.gid
"""
"""A prepared transaction has no process: it is found by what it holds. Each holds the lock of its
own transaction id. (``virtualtransaction`` is not always ``-1/xid``, as the manual has it: until
a restart it is that of the session which prepared it.)"""

_ON_TABLES: Final[LiteralString] = """
    select distinct l.pid, (
            select own.transactionid::text from pg_catalog.pg_locks as own
            where l.pid is null and own.pid is null and own.locktype = 'transactionid'
                and own.granted and own.virtualtransaction = l.virtualtransaction
        )
    from pg_catalog.pg_locks as l
    join pg_catalog.pg_class as c on c.oid = l.relation
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where l.locktype = 'relation' and l.granted
        and l.database = (
            select d.oid from pg_catalog.pg_database as d
            where d.datname = pg_catalog.current_database()
        )
        and n.nspname = %s and c.relname = any(%s::name[])
        and l.mode = any(array['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
            'AccessExclusiveLock'])
        and l.pid is distinct from pg_catalog.pg_backend_pid()
"""
"""Who holds a lock in the way of INSERT and UPDATE (manual, section 13.3)."""

_PREPARED_AS: Final[LiteralString] = """
    select x.gid, x.owner::text,
        extract(epoch from pg_catalog.clock_timestamp() - x.prepared)::int
    from pg_catalog.pg_prepared_xacts as x
    where x.transaction::text = any(%s)
    order by x.prepared, x.gid
"""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a session waits for, and who holds it."""

    what: str
    """In words: ``the ACCESS EXCLUSIVE lock on public.exams``, ``a transaction to end`` …"""
    is_transaction: bool
    """It waits until transactions end, not for a lock of its own."""
    holders: tuple[LockHolder, ...]


def look(session: Session, pid: int) -> Wait | None:
    """What another session waits for (``pg_blocking_pids``); None when for nothing."""
    rows = session.query(_WAIT, [pid])
    if not rows or not rows[0][3]:
        return None
    locktype, mode, relation, pids = rows[0]
    found = sessions(session, pids)
    if 0 in pids:
        found += tuple(_prepared(row) for row in session.query(_PREPARED, [pid]))
    is_transaction = locktype in {"virtualxid", "transactionid"}
    return Wait(_what(locktype, mode, relation), is_transaction, found)


def on_tables(session: Session, schema: str, tables: Iterable[str]) -> tuple[LockHolder, ...]:
    """Who holds a lock on one of these tables that no row can be written beside."""
    rows = session.query(_ON_TABLES, [schema, list(tables)])
    found = sessions(session, [pid for pid, _ in rows])
    prepared = [transaction for pid, transaction in rows if not pid]
    if prepared:
        found += tuple(_prepared(row) for row in session.query(_PREPARED_AS, [prepared]))
    return found


def sessions(session: Session, pids: Iterable[int | None]) -> tuple[LockHolder, ...]:
    """What these processes do, the oldest transactions first; those that have ended are left out.

    A process that is none (0, as a prepared transaction's) is left out too.
    """
    wanted = [pid for pid in pids if pid]
    return tuple(map(_session, session.query(_SESSIONS, [wanted]))) if wanted else ()


def _session(row: Sequence[Any]) -> LockHolder:
    pid, user, application, client, kind, state, seconds, query, waits_for = row
    is_hidden = query == _HIDDEN
    return LockHolder(
        pid=pid,
        user=user,
        application=application,
        client=client,
        kind=kind,
        state=state,
        seconds=None if is_hidden else seconds,
        query="" if is_hidden else brief(query),
        is_hidden=is_hidden,
        waits_for=tuple(sorted(set(waits_for) - {0})),
    )


def _prepared(row: Sequence[Any]) -> LockHolder:
    gid, owner, seconds = row[:3]
    state = "prepared transaction"
    return LockHolder(pid=0, user=owner, state=state, seconds=seconds, prepared=gid)


def brief(query: str) -> str:
    """The beginning of somebody's query in one line, without what stands at a password's place."""
    text = " ".join(query[: 4 * _QUERY].split())
    text = _SECRET.sub(rf"\g<1>{MASK}", by_position(text))
    return cut(text, _QUERY)


def _what(locktype: str, mode: str, relation: str | None) -> str:
    if relation is not None:
        # AccessExclusiveLock is ACCESS EXCLUSIVE everywhere else (manual, section 13.3).
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", mode.removesuffix("Lock")).upper()
        if locktype == "relation":
            return f"the {name} lock on {relation}"
        return f"a lock on a row of {relation}" if locktype == "tuple" else f"space in {relation}"
    if locktype in {"virtualxid", "transactionid"}:
        return "a transaction to end"
    return "an advisory lock" if locktype == "advisory" else f"a lock of the type {locktype}"


def describe(each: LockHolder) -> str:
    """One holder in a few words: who, from where, what it does, for how long."""
    who = f"prepared transaction {each.prepared!r}" if not each.pid else f"process {each.pid}"
    known = [
        each.kind,
        f"user {each.user}" if each.user else "",
        f"application {each.application}" if each.application else "",
        f"locked by {each.locked_by}" if each.locked_by else "",
        f"host {each.host}" if each.host else "",
        f"from {each.client}" if each.client else "",
    ]
    text = ", ".join(filter(None, known))
    text = f"{who} ({text})" if text else who
    if each.is_hidden:
        return f"{text}, whose state is hidden from this role"
    state = each.state if each.pid else "prepared"
    if state or each.seconds is not None:
        since = "" if each.seconds is None else f"for {age(each.seconds)}"
        text += f", {state} {since}".rstrip() if state else f", {since}"
    if each.waits_for:
        text += f", itself waiting for {', '.join(map(str, each.waits_for))}"
    return text


def age(seconds: int) -> str:
    """How old a transaction is: whole seconds are enough."""
    return f"{seconds} s" if seconds < 60 else format_duration(seconds)  # noqa: PLR2004 -- a minute


def describe_all(holders: Sequence[LockHolder]) -> str:
    """All of them, the oldest transactions first; many are counted."""
    text = "; ".join(map(describe, holders[:_SHOWN]))
    more = len(holders) - _SHOWN
    return f"{text}; and {more} more" if more > 0 else text


def advice(holders: Sequence[LockHolder]) -> str:
    """What to do about them; empty when nothing is known."""
    parts = []
    pids = [each.pid for each in holders if each.pid and not each.kind]
    if pids:
        parts.append(f"end it by select pg_terminate_backend({pids[0]}) if it may be ended")
    prepared = [each.prepared for each in holders if each.prepared]
    if prepared:
        name = prepared[0].replace("'", "''")
        parts.append(
            f"a prepared transaction ends by commit prepared or rollback prepared '{name}'"
        )
    if any(each.is_hidden for each in holders):
        parts.append("grant pg_read_all_stats to the role that migrates, to see what others do")
    return "; ".join(parts)


def explain(error: MigrationFailedError, holders: Sequence[LockHolder]) -> None:
    """Add to a failed lock request who was seen to hold the lock."""
    if holders:
        error.message += f"; last seen in the way: {describe_all(holders)}"
        error.args = (error.message,)
        error.hint = "; ".join(filter(None, [error.hint, advice(holders)]))
