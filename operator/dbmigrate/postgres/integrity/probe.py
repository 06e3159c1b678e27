"""What a query for offending rows is, and the pieces that such queries are made of.

Identifiers are quoted by psycopg.sql; values are literals, since DECLARE CURSOR takes no
parameters. All columns of a probe are text, cut to `SHOWN + 1` characters by the server, so that a
row of any size costs us little. Executes no check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import tuple_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

SHOWN = 60
"""Characters of a value that are shown in a result's details."""


class CheckError(Exception):
    """A check cannot run, for a reason that is not the server's."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A query whose rows are offenders."""

    query: sql.Composed
    """Its first columns are `keys`, the next `shown`; with `weighted` one more follows: how many
    rows of the table all groups together stand for."""
    keys: tuple[str, ...]
    """Names of the columns by which a person finds the row again."""
    shown: tuple[str, ...] = ()
    """Names of further columns: what is wrong with the row."""
    finding: str = ""
    """What is wrong with these rows, to be read after a number and the word rows."""
    label: str = ""
    """What it is about, where a check has several probes: a constraint's name."""
    weighted: bool = False
    """A row stands for a group of rows; the last column is their number in all groups."""


def execute(connection: psycopg.Connection[Any], query: sql.Composed) -> psycopg.Cursor[Any]:
    """Send exactly one statement.

    A request for binary results makes psycopg use the extended protocol, where the server itself
    refuses a text with more than one statement (PostgreSQL manual, 55.2.3).
    """
    return connection.cursor(row_factory=tuple_row).execute(query, binary=True)


def raw(text: str) -> sql.SQL:
    """SQL from the user or the catalogue, not from this program's source."""
    return sql.SQL(text)


def table_name(name: str) -> sql.Identifier:
    """A check's ``table`` or ``schema.table``, quoted."""
    return sql.Identifier(*name.split(".", 1))


def resolve(connection: psycopg.Connection[Any], name: str) -> int:
    """The table's oid, looked up as a query would.

    Raises:
        CheckError: there is no such table.
    """
    (oid,) = connection.cursor(row_factory=tuple_row).execute(
        "SELECT pg_catalog.to_regclass(%s)::pg_catalog.oid",
        [table_name(name).as_string(connection)],
    ).fetchone() or (None,)
    if oid is None:
        raise CheckError(f"table {name} does not exist")
    return int(oid)


_PRIMARY_KEY = """
    SELECT attribute.attname::pg_catalog.text
    FROM pg_catalog.pg_index AS index
    CROSS JOIN LATERAL pg_catalog.unnest(index.indkey::pg_catalog.int2[])
        WITH ORDINALITY AS key (attnum, position)
    INNER JOIN pg_catalog.pg_attribute AS attribute
        ON attribute.attrelid = index.indrelid AND attribute.attnum = key.attnum
    WHERE index.indrelid = %s AND index.indisprimary AND key.position <= index.indnkeyatts
    ORDER BY key.position
"""


def _primary_key(connection: psycopg.Connection[Any], table: int) -> tuple[str, ...]:
    rows = connection.cursor(row_factory=tuple_row).execute(_PRIMARY_KEY, [table])
    return tuple(name for (name,) in rows)


def columns_of(alias: str, names: Sequence[str]) -> list[sql.Composable]:
    """The columns of the table with that alias."""
    return [sql.Identifier(alias, name) for name in names]


def text_of(expression: sql.Composable) -> sql.Composed:
    """The value as text, cut; one character more than is shown tells that it was longer."""
    return sql.SQL("pg_catalog.left({}::pg_catalog.text, {})").format(expression, SHOWN + 1)


def offenders(  # noqa: PLR0913 -- a SELECT has this many parts
    connection: psycopg.Connection[Any],
    table: str,
    condition: sql.Composable,
    *,
    show: Sequence[tuple[str, sql.Composable]] = (),
    joined: sql.Composable | None = None,
    finding: str,
    label: str = "",
    source: tuple[sql.Composable, int] | None = None,
) -> Probe:
    """The rows of a table (alias t) for which a condition holds, named by their primary key.

    In the order of the key: the same data give the same text, and a status that says the same is
    not written again.
    """
    relation, oid = source or (table_name(table), resolve(connection, table))
    keys = _primary_key(connection, oid)
    order = columns_of("t", keys)
    selected = [*map(text_of, order), *(text_of(expression) for _, expression in show)]
    if not selected:
        selected = [sql.SQL("NULL::pg_catalog.text").format()]
    query = sql.SQL("SELECT {} FROM {} AS t{} WHERE {} ORDER BY {}").format(
        sql.SQL(", ").join(selected),
        relation,
        joined or sql.SQL(""),
        condition,
        # Without a primary key by what is shown: text, so that it can be sorted.
        sql.SQL(", ").join(order or [sql.SQL(str(n + 1)) for n in range(len(selected))]),
    )
    shown = tuple(name for name, _ in show)
    return Probe(query, keys=keys, shown=shown, finding=finding, label=label)
