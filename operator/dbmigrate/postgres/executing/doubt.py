"""Looks at a statement of which nobody knows whether it has run, instead of guessing.

Before such a statement runs, the facts are written down that will tell its leftovers from
what others made: the indexes that the table has, the object's identity. Afterwards the
catalog is compared with them. An INVALID index is dropped only if it was not there
before and nobody is building it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, LiteralString

from psycopg import sql

from dbmigrate.errors import RefusedError
from dbmigrate.postgres.executing.failures import NothingRanError
from dbmigrate.postgres.executing.leftovers import copies, reindexed
from dbmigrate.postgres.executing.shapes import Shapes
from dbmigrate.postgres.executing.targets import Action, Target
from dbmigrate.postgres.server.session import Session

Facts = Mapping[str, Any]
Execute = Callable[[sql.Composed], object]
"""Runs one statement of ours outside of a transaction."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at the database has shown of a statement that was begun."""

    has_run: bool | None
    """None when nothing in the database can tell."""
    why: str = ""
    """What stands against telling, if something does."""


_DATABASE: Final = """
    select exists (
        select from pg_catalog.pg_database where datname operator(pg_catalog.=) %s
    )
"""
_TABLESPACE: Final = """
    select exists (
        select from pg_catalog.pg_tablespace where spcname operator(pg_catalog.=) %s
    )
"""
_SUBSCRIPTION: Final = """
    select exists (
        select from pg_catalog.pg_subscription as s
        join pg_catalog.pg_database as d on d.oid operator(pg_catalog.=) s.subdbid
        where s.subname operator(pg_catalog.=) %s
            and d.datname operator(pg_catalog.=) pg_catalog.current_database()
    )
"""
_EXISTS: Final[Mapping[Action, LiteralString]] = {
    Action.CREATE_DATABASE: _DATABASE,
    Action.DROP_DATABASE: _DATABASE,
    Action.CREATE_TABLESPACE: _TABLESPACE,
    Action.DROP_TABLESPACE: _TABLESPACE,
    Action.CREATE_SUBSCRIPTION: _SUBSCRIPTION,
    Action.DROP_SUBSCRIPTION: _SUBSCRIPTION,
}
_CREATES: Final = frozenset(
    {Action.CREATE_DATABASE, Action.CREATE_TABLESPACE, Action.CREATE_SUBSCRIPTION}
)


def facts_before(session: Session, target: Target) -> Facts:
    """What is there before the statement; asked in the search_path of the statement itself."""
    return {**_facts_before(session, target), "target": asdict(target)}


def target_in(facts: Facts) -> Target | None:
    """What the statement worked on when it was begun; None when that was not written down."""
    if not (written := facts.get("target")):
        return None
    return Target(**{**written, "action": Action(written["action"])})


def _facts_before(session: Session, target: Target) -> Facts:
    if target.action is Action.CREATE_INDEX:
        query = """
            select t.id, pg_catalog.to_json(array(
                select i.indexrelid::pg_catalog.int8 from pg_catalog.pg_index as i
                where i.indrelid operator(pg_catalog.=) t.id
            )), current_user::pg_catalog.text, pg_catalog.current_setting('search_path')
            from (select pg_catalog.to_regclass(%s)::pg_catalog.oid as id) as t
        """
        table, indexes, role, path = session.query(query, [target.table])[0]
        return {"table": table, "indexes": indexes, "role": role, "path": path}
    if target.action is Action.DROP_INDEX:
        query = """
            select c.oid, n.nspname, c.relname from pg_catalog.pg_class as c
            join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
            where c.oid operator(pg_catalog.=) pg_catalog.to_regclass(%s)
        """
        rows = session.query(query, [target.name])
        return {"index": rows[0][0], "name": rows[0][1:]} if rows else {"index": None}
    if target.action is Action.REINDEX:
        return reindexed(session, target)
    if target.action is Action.DETACH:
        query = """
            select pg_catalog.to_regclass(%s)::pg_catalog.oid,
                pg_catalog.to_regclass(%s)::pg_catalog.oid
        """
        parent, partition = session.query(query, [target.table, target.name])[0]
        return {"parent": parent, "partition": partition}
    if target.action in _EXISTS:
        return {"exists": _exists(session, target)}
    return {}


def look(session: Session, target: Target, facts: Facts, execute: Execute) -> Finding:
    """Whether a statement that was begun has run; what it left half-done is put away.

    Args:
        session: its search_path is pg_catalog.
        target: what the statement works on.
        facts: from before the statement.
        execute: for putting away, which takes transactions of its own.

    Raises:
        NothingRanError: somebody is still building the index (IndexBeingBuilt).
    """
    if target.action is Action.CREATE_INDEX:
        return _index_was_created(session, target, facts, execute)
    if target.action is Action.DROP_INDEX:
        return Finding(_index_is_gone(session, facts))
    if target.action is Action.REINDEX:
        for index, *name in copies(session, facts):
            _drop_index(session, index, name, execute)
        return Finding(has_run=False)
    if target.action is Action.DETACH:
        return Finding(_was_detached(session, facts, execute))
    if target.action in _EXISTS:
        is_wanted = target.action in _CREATES
        is_new = facts.get("exists") is not is_wanted
        return Finding(_exists(session, target) is is_wanted and is_new)
    return Finding(has_run=False if target.action is Action.REPEATABLE else None)


def _is_there(session: Session, oid: int) -> bool:
    query = "select exists (select from pg_catalog.pg_class where oid = %s)"
    return bool(session.query(query, [oid])[0][0])


def _index_is_gone(session: Session, facts: Facts) -> bool | None:
    if facts.get("index") is None or _is_there(session, facts["index"]):
        return False
    # A dump that was restored has the index under another OID: then nothing was dropped.
    query = """
        select exists (
            select from pg_catalog.pg_class as c
            join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            where array[n.nspname, c.relname]::text[] = %s::text[]
        )
    """
    return None if session.query(query, [facts.get("name")])[0][0] else True


def _index_was_created(session: Session, target: Target, facts: Facts, execute: Execute) -> Finding:
    query = """
        select i.indexrelid, n.nspname, c.relname, i.indisvalid,
            pg_catalog.pg_get_indexdef(i.indexrelid), pg_catalog.pg_get_userbyid(c.relowner),
            pg_catalog.pg_has_role(c.relowner, 'usage')
        from pg_catalog.pg_index as i
        join pg_catalog.pg_class as c on c.oid = i.indexrelid
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where i.indrelid = %s and not i.indexrelid = any(%s::oid[])
            and (%s = '' or c.relname = %s)
    """
    table = facts.get("table")
    if table is not None and not _is_there(session, table):
        return Finding(None, "its table is not the one that it was: dropped, or a restored dump")
    name = target.bare_name
    rows = session.query(query, [table, facts.get("indexes", []), name, name])
    shapes = Shapes(session, target, table or 0, facts.get("role", ""), facts.get("path", ""))
    was_built = was_dropped = False
    others: list[str] = []
    for index, schema, found, is_valid, definition, owner, is_ours in rows:
        # A name is enough to know a leftover by; where the server chose it, others may have
        # made indexes there since.
        is_leftover = not is_valid and bool(name)
        if not is_leftover and not shapes.is_described(definition):
            others.append(definition)
        elif is_valid:
            was_built = True
        else:
            role = "" if is_ours else owner  # the file's SET ROLE is not said again yet
            _drop_index(session, index, (schema, found), execute, role)
            was_dropped = True
    if was_built or was_dropped or not others:
        return Finding(was_built)
    return Finding(None, f"what stands there is not surely what it builds: {others[0]}")


def _drop_index(
    session: Session, index: int, name: Sequence[str], execute: Execute, role: str = ""
) -> None:
    _require_idle(session, index, name[-1])
    if role:
        execute(sql.SQL("set role {}").format(sql.Identifier(role)))
    execute(sql.SQL("drop index concurrently {}").format(sql.Identifier(*name)))
    if role:
        execute(sql.SQL("reset role").format())


def _require_idle(session: Session, index: int, name: str) -> None:
    query = """
        select pid from pg_catalog.pg_stat_progress_create_index where index_relid = %s
        union
        select pid from pg_catalog.pg_locks
        where locktype = 'relation' and relation = %s and granted
            and database = (
                select oid from pg_catalog.pg_database where datname = current_database()
            )
            and mode in ('ShareUpdateExclusiveLock', 'AccessExclusiveLock', 'ShareLock')
    """
    pids = [row[0] for row in session.query(query, [index, index]) if row[0] != session.pid]
    if pids:
        who = ", ".join(str(pid) for pid in pids)
        raise NothingRanError(
            f"the INVALID index {name} is being worked on by another session (process {who})",
            code="IndexBeingBuilt",
            hint="run again when that session has ended",
        )


def _was_detached(session: Session, facts: Facts, execute: Execute) -> bool | None:
    query = """
        select i.inhdetachpending, pn.nspname, p.relname, cn.nspname, c.relname
        from pg_catalog.pg_inherits as i
        join pg_catalog.pg_class as p on p.oid = i.inhparent
        join pg_catalog.pg_namespace as pn on pn.oid = p.relnamespace
        join pg_catalog.pg_class as c on c.oid = i.inhrelid
        join pg_catalog.pg_namespace as cn on cn.oid = c.relnamespace
        where i.inhparent = %s and i.inhrelid = %s
    """
    if facts.get("parent") is None or facts.get("partition") is None:
        return False
    rows = session.query(query, [facts["parent"], facts["partition"]])
    if not rows:
        # In a dump that was restored they have other OIDs, and are what they were.
        is_known = _is_there(session, facts["parent"]) and _is_there(session, facts["partition"])
        return True if is_known else None
    is_pending, *names = rows[0]
    if not is_pending:
        return False
    execute(
        sql.SQL("alter table {} detach partition {} finalize").format(
            sql.Identifier(*names[:2]), sql.Identifier(*names[2:])
        )
    )
    return True


def _exists(session: Session, target: Target) -> bool:
    return bool(session.query(_EXISTS[target.action], [target.bare_name])[0][0])


def require_valid(session: Session, target: Target, place: str) -> None:
    """After CREATE INDEX CONCURRENTLY IF NOT EXISTS: what is there must be of use.

    Raises:
        RefusedError: the index of that name is INVALID (InvalidIndex).
    """
    if target.action is not Action.CREATE_INDEX or not target.is_conditional or not target.name:
        return
    query = """
        select i.indisvalid from pg_catalog.pg_index as i
        join pg_catalog.pg_class as c on c.oid operator(pg_catalog.=) i.indexrelid
        where i.indrelid operator(pg_catalog.=) pg_catalog.to_regclass(%s)
            and c.relname operator(pg_catalog.=) %s
    """
    rows = session.query(query, [target.table, target.bare_name])
    if rows and not rows[0][0]:
        raise RefusedError(
            f"{place}: the index {target.name} was there already, and is INVALID: "
            "the server keeps it up to date and does not use it",
            code="InvalidIndex",
            hint=f"it is not this migration's: look who left it, then "
            f"`drop index concurrently {target.name}`, and run again",
        )
