"""One table as it is now: its columns, its key, its size; and its values as text.

A value's text is what its type's output function writes, under settings that every
session understands again: `canonical` sets them, for the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql
from psycopg.sql import SQL, Composable, Composed, Identifier

if TYPE_CHECKING:
    from dbmigrate.postgres.server.session import Session

CANONICAL: Final = {
    "search_path": "pg_catalog",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "xmlbinary": "base64",
    "row_security": "off",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
}
"""What the text of a value depends on (PostgreSQL manual, chapter 20). With row_security off
the server refuses to read a table whose policies would hide rows from us."""

_TABLE: Final = """
    select n.nspname, c.relname, pg_catalog.pg_has_role(c.relowner, 'usage') and not exists (
        select from pg_catalog.pg_inherits as i where c.oid in (i.inhrelid, i.inhparent)
    )
    from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.oid = %s
"""

_COLUMNS: Final = """
    select a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
        a.attgenerated <> '', a.attnotnull
    from pg_catalog.pg_attribute as a
    where a.attrelid = %s and a.attnum > 0 and not a.attisdropped
    order by a.attnum
"""

# The primary key, else the narrowest unique index that covers every row.
_KEY: Final = """
    select array(
        select a.attname::text
        from pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (number, place)
        join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.number
        where k.place <= i.indnkeyatts
        order by k.place
    )
    from pg_catalog.pg_index as i
    where i.indrelid = %s and i.indisunique and i.indisvalid and i.indimmediate
        and i.indpred is null and i.indexprs is null
        and not exists (
            select from pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (number, place)
            join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.number
            where k.place <= i.indnkeyatts and not a.attnotnull
        )
    order by i.indisprimary desc, i.indnkeyatts, i.indexrelid
    limit 1
"""

# The planner's way: the density when last counted, times the pages that there are now.
_SIZE: Final = """
    select pg_catalog.pg_relation_size(c.oid)
            + coalesce(pg_catalog.pg_table_size(nullif(c.reltoastrelid, 0)), 0),
        case when c.reltuples > 0 and c.relpages > 0 then
            (c.reltuples / c.relpages * pg_catalog.pg_relation_size(c.oid)
                / pg_catalog.current_setting('block_size')::int8)::int8
        end
    from pg_catalog.pg_class as c where c.oid = %s
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    number: int
    name: str
    type: str
    """As in ``create table``, with its schema unless it is the server's."""
    is_generated: bool
    not_null: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its present name."""

    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] | None
    """Columns whose values find a row; None when there are none such."""
    may_have_trigger: bool = True
    """Our role owns it, and statements for another table do not change its rows."""

    @property
    def identifier(self) -> Identifier:
        """Quoted, with its schema."""
        return Identifier(self.schema, self.name)

    def stored(self) -> tuple[Column, ...]:
        """The columns that hold something of their own."""
        return tuple(each for each in self.columns if not each.is_generated)


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is of something."""

    rows: int
    is_estimate: bool
    size: int
    """Bytes as stored."""


def execute(session: Session, statement: Composable) -> list[tuple[Any, ...]]:
    """A statement whose values are all in its text; a name in it may hold a per cent sign.

    Raises:
        ConnectionLostError: the connection broke.
        psycopg.Error: the server refused it.
    """
    with session.guarding():
        cursor = session.connection.execute(statement.as_bytes(session.connection))
        return cursor.fetchall() if cursor.description else []


def verbatim(text: str) -> Composable:
    """What the server itself has written (a type, an expression), to be read by it again."""
    return SQL(text.replace("{", "{{").replace("}", "}}")).format()


def canonical(session: Session) -> None:
    """Set what the text of values depends on, until the transaction or savepoint ends."""
    calls = SQL(", ").join(
        SQL("pg_catalog.set_config({}, {}, true)").format(name, value)
        for name, value in CANONICAL.items()
    )
    execute(session, SQL("select {}").format(calls))


def describe(session: Session, oid: int) -> Table | None:
    """The table as it is now; None when there is none of that id."""
    names = session.query(_TABLE, [oid])
    if not names:
        return None
    ((schema, name, may_have_trigger),) = names
    columns = tuple(Column(*row) for row in session.query(_COLUMNS, [oid]))
    keys = session.query(_KEY, [oid])
    return Table(oid, schema, name, columns, tuple(keys[0][0]) if keys else None, may_have_trigger)


def as_text(column: str, of: str | None = None) -> Composed:
    """An expression: the value as its type writes it, null for null.

    A cast to text may be another function, and cuts the blanks of char(n); ``is null`` is
    true for a composite value of nulls.

    Args:
        column: its name.
        of: the name that the table has in the statement, where it needs one.
    """
    name = Identifier(column) if of is None else Identifier(of, column)
    return SQL("case when {0} is distinct from null then pg_catalog.concat({0}) end").format(name)


def as_object(columns: tuple[Column, ...]) -> Composable:
    """An expression: a row as a jsonb object of texts."""
    names = sql.Literal([each.name for each in columns])
    if not columns:
        return SQL("'{}'::pg_catalog.jsonb")
    values = SQL(", ").join(as_text(each.name) for each in columns)
    return SQL("pg_catalog.jsonb_object({}::pg_catalog.text[], array[{}])").format(names, values)


def size_of(session: Session, table: Table) -> Size:
    """All of a table; its rows are counted only where the server has no estimate."""
    ((size, rows),) = session.query(_SIZE, [table.oid])
    if rows is not None:
        return Size(rows, is_estimate=True, size=size)
    counted = execute(session, SQL("select count(*) from only {}").format(table.identifier))
    return Size(counted[0][0], is_estimate=False, size=size)


def size_of_columns(session: Session, table: Table, columns: tuple[Column, ...]) -> Size:
    """What these columns hold: the rows in which one of them is not null, and their bytes."""
    sizes = SQL(" + ").join(
        SQL("coalesce(pg_catalog.pg_column_size({}), 0)").format(Identifier(each.name))
        for each in columns
    )
    some = SQL(" or ").join(
        SQL("{} is distinct from null").format(Identifier(each.name)) for each in columns
    )
    query = SQL("select count(*) filter (where {}), coalesce(sum({}), 0)::int8 from only {}")
    ((rows, size),) = execute(session, query.format(some, sizes, table.identifier))
    return Size(rows, is_estimate=False, size=size)
