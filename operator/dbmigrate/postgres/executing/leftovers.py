"""What REINDEX CONCURRENTLY leaves when it is cut off: INVALID copies of indexes.

It builds a copy called ``NAME_ccnew`` and, when the two have changed places, drops the old one,
by then called ``NAME_ccold`` (PostgreSQL manual, REINDEX). Ours is only what was not there
before, belongs to a table that our statement reindexes, and is in all but its name like the
index whose name it bears. Others' are left alone: somebody may want to know of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from dbmigrate.postgres.executing.targets import Target
from dbmigrate.postgres.server.session import Session

_SUFFIX: Final = re.compile(r"(?P<stem>.*)_cc(?:new|old)[0-9]*\Z", re.DOTALL)
_LONGEST: Final = 63
"""Bytes of a name (NAMEDATALEN less one)."""
_WIDEST_CHARACTER: Final = 4
"""Bytes: a name is not cut within a character."""

_REINDEXED: Final = """
    with named as (
        select pg_catalog.to_regclass(%(relation)s) as id,
            pg_catalog.to_regnamespace(%(schema)s) as schema
    ), member as (
        select id from named
        union select t.relid from named, pg_catalog.pg_partition_tree(named.id) as t
    ), index as (
        select i.indrelid, c.relname
        from pg_catalog.pg_index as i
        join pg_catalog.pg_class as c on c.oid operator(pg_catalog.=) i.indexrelid
        join member as m on m.id operator(pg_catalog.=) i.indexrelid
    ), relation as (
        select c.oid, c.reltoastrelid
        from pg_catalog.pg_class as c
        where c.relkind operator(pg_catalog.=) any (array['r', 'm']::pg_catalog."char"[])
            and (%(all)s
                or c.relnamespace operator(pg_catalog.=) (select n.schema from named as n)
                or exists (select from member as m where m.id operator(pg_catalog.=) c.oid)
                or exists (select from index as i where i.indrelid operator(pg_catalog.=) c.oid))
    )
    select array(
        select r.oid::pg_catalog.int8 from relation as r
        union select r.reltoastrelid::pg_catalog.int8 from relation as r
        where r.reltoastrelid operator(pg_catalog.<>) 0
    ), array(select i.relname::pg_catalog.text from index as i)
"""
_RELATIONS: Final = frozenset({"index", "table"})
_EVERYTHING: Final = frozenset({"database", "system"})
_INVALID: Final = """
    select i.indexrelid::pg_catalog.int8 from pg_catalog.pg_index as i
    where not i.indisvalid
        and i.indrelid operator(pg_catalog.=) any (%s::pg_catalog.oid[])
"""
_COPIES: Final = r"""
    select i.indexrelid::int8, n.nspname, c.relname::text, array(
        select twin.relname::text from pg_index as o
        join pg_class as twin on twin.oid = o.indexrelid
        where o.indrelid = i.indrelid and o.indexrelid <> i.indexrelid
            and (twin.relam, o.indisunique, o.indnkeyatts, o.indkey::text, o.indclass::text,
                o.indcollation::text, o.indoption::text, pg_get_expr(o.indexprs, o.indrelid),
                pg_get_expr(o.indpred, o.indrelid))
            is not distinct from (c.relam, i.indisunique, i.indnkeyatts, i.indkey::text,
                i.indclass::text, i.indcollation::text, i.indoption::text,
                pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid))
    )
    from pg_index as i
    join pg_class as c on c.oid = i.indexrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where not i.indisvalid
        and i.indrelid = any (%s::oid[])
        and not i.indexrelid = any (%s::oid[])
        and c.relname ~ '_cc(new|old)[0-9]*$'
    order by i.indexrelid
"""


def reindexed(session: Session, target: Target) -> dict[str, Any]:
    """What a REINDEX is about to work on; asked in the search_path of the statement itself."""
    asked = {
        "relation": target.name if target.kind in _RELATIONS else None,
        "schema": target.name if target.kind == "schema" else None,
        "all": target.kind in _EVERYTHING,
    }
    tables, names = session.query(_REINDEXED, asked)[0]
    invalid = [index for (index,) in session.query(_INVALID, [tables])]
    return {
        "tables": tables,
        "names": names if target.kind == "index" else None,
        "invalid": invalid,
    }


def copies(session: Session, facts: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    """OID, schema and name of the INVALID copies that our statement has left.

    Args:
        session: its search_path is pg_catalog.
        facts: `reindexed`, from before the statement.
    """
    ours = facts.get("names")
    rows = session.query(_COPIES, [facts.get("tables", []), facts.get("invalid", [])])
    return [
        (index, schema, name)
        for index, schema, name, twins in rows
        if any(is_copy(name, twin) for twin in twins if ours is None or twin in ours)
    ]


def is_copy(name: str, original: str) -> bool:
    """Whether the server may have made the name of a copy from that of the original.

    It shortens the original's where both together are too long (``makeObjectName`` in
    PostgreSQL's ``indexcmds.c``).
    """
    match = _SUFFIX.match(name)
    if match is None:
        return False
    if match["stem"] == original:
        return True
    is_cut = len(name.encode()) > _LONGEST - _WIDEST_CHARACTER
    return is_cut and original.startswith(match["stem"])
