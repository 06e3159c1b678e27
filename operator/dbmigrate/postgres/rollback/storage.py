"""What holds data in the database now: tables, their columns and files, sequences, and counts.

By object id, so that a table that was renamed is the same table, and one that was dropped
and made again under its name is another. A snapshot is a few bytes for each column; it is
compared by `losses`. Nothing is changed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.server.session import Session

# Generated columns hold nothing of their own. Indexes, views and foreign tables hold nothing here.
_RELATIONS: Final = """
    select c.oid, n.nspname, c.relname, c.relkind::text,
        coalesce(pg_catalog.pg_relation_filenode(c.oid), 0),
        coalesce((
            select pg_catalog.string_agg(
                pg_catalog.concat(a.attnum, ':', a.atttypid, ':', a.atttypmod), ','
                order by a.attnum
            )
            from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                and a.attgenerated = ''
        ), '')
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'S') and c.relpersistence <> 't'
        and n.nspname not in ('pg_catalog', 'information_schema')
        and not (n.nspname = %(schema)s and c.relname = any(%(ours)s::name[]))
"""

# The statistics of this transaction and those before it that were not yet reported: only a
# difference tells. They count what subtransactions did, also those that were undone.
_COUNTS: Final = """
    select relid, n_tup_upd, n_tup_del from pg_catalog.pg_stat_xact_user_tables
    where n_tup_upd + n_tup_del > 0
    union all
    select relid, n_tup_upd, n_tup_del from pg_catalog.pg_stat_xact_sys_tables
    where relid = %(large_objects)s
"""
_COUNTING: Final = "select pg_catalog.current_setting('track_counts') = 'on'"


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or a sequence that holds data."""

    oid: int
    schema: str
    name: str
    is_sequence: bool
    file: int
    """The number of its file: another one after TRUNCATE, or when its rows were rewritten."""
    columns: dict[int, str]
    """By the column's number: its type, as ``oid:modifier``."""

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Storage:
    """A snapshot."""

    relations: dict[int, Relation]
    counts: dict[int, tuple[int, int]]
    """Rows updated and deleted, by table."""
    is_counting: bool
    """The server counts rows; else what is updated or deleted cannot be seen."""


LARGE_OBJECTS: Final = 2995
"""The object id of pg_largeobject_metadata, in every release (src/include/catalog)."""


def look(session: Session, found: Bookkeeping) -> Storage:
    """Take a snapshot; the bookkeeping's own tables are left out."""
    from dbmigrate.postgres.bookkeeping import TABLES  # noqa: PLC0415 -- one cycle less

    ours = {"schema": found.schema, "ours": list(TABLES)}
    relations = {
        oid: Relation(oid, schema, name, kind == "S", file, _columns(columns))
        for oid, schema, name, kind, file, columns in session.query(_RELATIONS, ours)
    }
    large = {"large_objects": LARGE_OBJECTS}
    counts = {oid: (updated, deleted) for oid, updated, deleted in session.query(_COUNTS, large)}
    return Storage(relations, counts, session.query(_COUNTING)[0][0])


def _columns(text: str) -> dict[int, str]:
    pairs = (each.partition(":") for each in text.split(",") if each)
    return {int(number): kind for number, _, kind in pairs}
