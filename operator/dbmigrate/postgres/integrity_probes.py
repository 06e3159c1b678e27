"""From an integrity check to the queries that find the offending rows. Executes no check itself.

Building a query may need a look into the catalogue (a primary key to name rows by, the foreign
keys that are declared). Identifiers are quoted by psycopg.sql; values are literals, since DECLARE
CURSOR takes no parameters. All columns of a probe are text, cut to `SHOWN + 1` characters by the
server, so that a row of any size costs us little.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import tuple_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    from dbmigrate.api.checks import (
        AcceptedValues,
        ForeignKeys,
        IntegrityCheck,
        Pattern,
        Query,
        Range,
        Relationship,
        StoredCount,
        Unique,
    )

SHOWN = 60
"""Characters of a value that are shown in a result's details."""

QUERY_COLUMNS = 4
"""Columns of a user's query that are shown."""


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


def probes(connection: psycopg.Connection[Any], check: IntegrityCheck) -> Iterator[Probe]:
    """The queries of a check, one by one.

    Raises:
        CheckError: a table does not exist, or there is nothing to verify.
        psycopg.Error: the catalogue could not be read, or a user's query is not one SELECT.
    """
    if check.relationship is not None:
        yield _relationship(connection, check.relationship)
    elif check.foreign_keys is not None:
        yield from _foreign_keys(connection, check.foreign_keys)
    elif check.stored_count is not None:
        yield _stored_count(connection, check.stored_count)
    elif check.unique is not None:
        yield _unique(connection, check.unique)
    elif check.accepted_values is not None:
        yield _accepted_values(connection, check.accepted_values)
    elif check.pattern is not None:
        yield _pattern(connection, check.pattern)
    elif check.range is not None:
        yield _range(connection, check.range)
    elif check.query is not None:
        yield _query(connection, check.query)
    else:
        raise CheckError("the check has no body")


def execute(connection: psycopg.Connection[Any], query: sql.Composed) -> psycopg.Cursor[Any]:
    """Send exactly one statement.

    A request for binary results makes psycopg use the extended protocol, where the server itself
    refuses a text with more than one statement (PostgreSQL manual, 55.2.3).
    """
    return connection.cursor(row_factory=tuple_row).execute(query, binary=True)


def _raw(text: str) -> sql.SQL:
    """SQL from the user or the catalogue, not from this program's source."""
    return sql.SQL(text)


def _table(name: str) -> sql.Identifier:
    return sql.Identifier(*name.split(".", 1))


def _resolve(connection: psycopg.Connection[Any], name: str) -> int:
    """The table's oid, looked up as a query would."""
    (oid,) = connection.cursor(row_factory=tuple_row).execute(
        "SELECT pg_catalog.to_regclass(%s)::pg_catalog.oid", [_table(name).as_string(connection)]
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


def _columns(alias: str, names: Sequence[str]) -> list[sql.Composable]:
    return [sql.Identifier(alias, name) for name in names]


def _text(expression: sql.Composable) -> sql.Composed:
    return sql.SQL("pg_catalog.left({}::pg_catalog.text, {})").format(expression, SHOWN + 1)


def _offenders(  # noqa: PLR0913 -- a SELECT has this many parts
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
    relation, oid = source or (_table(table), _resolve(connection, table))
    keys = _primary_key(connection, oid)
    order = _columns("t", keys)
    selected = [*map(_text, order), *(_text(expression) for _, expression in show)]
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


def _relationship(connection: psycopg.Connection[Any], body: Relationship) -> Probe:
    columns = _columns("t", body.columns)
    pairs = zip(columns, _columns("r", body.references.columns), strict=True)
    condition = sql.SQL("{} AND NOT EXISTS (SELECT FROM {} AS r WHERE {})").format(
        sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(column) for column in columns),
        _table(body.references.table),
        sql.SQL(" AND ").join(sql.SQL("{1} = {0}").format(*pair) for pair in pairs),
    )
    return _offenders(
        connection,
        body.table,
        condition,
        show=list(zip(body.columns, columns, strict=True)),
        finding=f"of {body.table} without their row in {body.references.table}",
    )


_FOREIGN_KEYS = """
    SELECT
        c.conname::text,
        c.conrelid,
        child_schema.nspname::text, child.relname::text, child.relkind = 'p',
        parent_schema.nspname::text, parent.relname::text, parent.relkind = 'p',
        c.confmatchtype = 'f',
        coalesce((to_jsonb(c) ->> 'conperiod')::boolean, false),
        ARRAY(
            SELECT a.attname::text
            FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, n)
            INNER JOIN pg_catalog.pg_attribute AS a
                ON a.attrelid = c.conrelid AND a.attnum = k.attnum
            ORDER BY k.n
        ),
        ARRAY(
            SELECT a.attname::text
            FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, n)
            INNER JOIN pg_catalog.pg_attribute AS a
                ON a.attrelid = c.confrelid AND a.attnum = k.attnum
            ORDER BY k.n
        ),
        ARRAY(
            SELECT format('OPERATOR(%%I.%%s)', s.nspname, o.oprname)
            FROM unnest(c.conpfeqop) WITH ORDINALITY AS k (oid, n)
            INNER JOIN pg_catalog.pg_operator AS o ON o.oid = k.oid
            INNER JOIN pg_catalog.pg_namespace AS s ON s.oid = o.oprnamespace
            ORDER BY k.n
        )
    FROM pg_catalog.pg_constraint AS c
    INNER JOIN pg_catalog.pg_class AS child ON child.oid = c.conrelid
    INNER JOIN pg_catalog.pg_namespace AS child_schema ON child_schema.oid = child.relnamespace
    INNER JOIN pg_catalog.pg_class AS parent ON parent.oid = c.confrelid
    INNER JOIN pg_catalog.pg_namespace AS parent_schema ON parent_schema.oid = parent.relnamespace
    WHERE
        c.contype = 'f'
        AND c.conparentid = 0  -- a partition's copy: its parent's constraint covers it
        AND (
            child.oid = ANY (%(tables)s::oid[])
            OR child_schema.nspname = ANY (%(schemas)s::text[])
            OR %(everywhere)s
            AND child_schema.nspname !~ '^(pg_|information_schema$)'
        )
    ORDER BY child_schema.nspname, child.relname, c.conname
"""


def _foreign_keys(connection: psycopg.Connection[Any], body: ForeignKeys) -> Iterator[Probe]:
    cursor = connection.cursor(row_factory=tuple_row)
    for schema in body.schemas:
        if not cursor.execute("SELECT FROM pg_namespace WHERE nspname = %s", [schema]).rowcount:
            raise CheckError(f"schema {schema} does not exist")
    found = cursor.execute(
        _FOREIGN_KEYS,
        {
            "tables": [_resolve(connection, table) for table in body.tables],
            "schemas": list(body.schemas),
            "everywhere": not body.tables and not body.schemas,
        },
    ).fetchall()
    if not found:
        raise CheckError("no foreign key is declared there: nothing was verified")
    for row in found:
        yield _foreign_key(connection, _ForeignKey(*row))


@dataclass(frozen=True, slots=True)
class _ForeignKey:
    """A row of `_FOREIGN_KEYS`, in its order."""

    name: str
    child_oid: int
    child_schema: str
    child: str
    child_is_partitioned: bool
    parent_schema: str
    parent: str
    parent_is_partitioned: bool
    is_match_full: bool
    is_temporal: bool
    child_columns: Sequence[str]
    parent_columns: Sequence[str]
    operators: Sequence[str]


def _foreign_key(connection: psycopg.Connection[Any], key: _ForeignKey) -> Probe:
    if key.is_temporal:
        raise CheckError(f"foreign key {key.name} has a PERIOD, which this check cannot verify")
    # A foreign key binds the table itself, not the tables that inherit from it.
    only = sql.SQL("ONLY {}")
    child: sql.Composable = sql.Identifier(key.child_schema, key.child)
    parent: sql.Composable = sql.Identifier(key.parent_schema, key.parent)
    columns = _columns("t", key.child_columns)
    matches = zip(_columns("r", key.parent_columns), map(_raw, key.operators), columns, strict=True)
    missing = sql.SQL("NOT EXISTS (SELECT FROM {} AS r WHERE {})").format(
        parent if key.parent_is_partitioned else only.format(parent),
        sql.SQL(" AND ").join(sql.SQL("{} {} {}").format(*match) for match in matches),
    )
    present = [sql.SQL("{} IS NOT NULL").format(column) for column in columns]
    if key.is_match_full:  # all NULL refers to nothing; some NULL is a violation by itself
        some = sql.SQL(" OR ").join(present)
        every = sql.SQL(" AND ").join(present)
        condition = sql.SQL("({}) AND (NOT ({}) OR {})").format(some, every, missing)
    else:
        condition = sql.SQL("{} AND {}").format(sql.SQL(" AND ").join(present), missing)
    return _offenders(
        connection,
        key.child,
        condition,
        show=list(zip(key.child_columns, columns, strict=True)),
        finding=(
            f"of {key.child_schema}.{key.child} without their row in "
            f"{key.parent_schema}.{key.parent}"
        ),
        label=key.name,
        source=(child if key.child_is_partitioned else only.format(child), key.child_oid),
    )


def _stored_count(connection: psycopg.Connection[Any], body: StoredCount) -> Probe:
    _resolve(connection, body.counts.table)
    stored = sql.Identifier("t", body.column)
    aliases = [f"k{n}" for n in range(len(body.key))]
    pairs = zip(_columns("t", body.key), _columns("c", aliases), strict=True)
    counted = sql.SQL(", ").join(map(sql.Identifier, body.counts.columns))
    joined = sql.SQL(
        " LEFT JOIN (SELECT {0}, count(*) FROM {1} GROUP BY {0}) AS c ({2}, n) ON {3}"
    ).format(
        counted,
        _table(body.counts.table),
        sql.SQL(", ").join(map(sql.Identifier, aliases)),
        sql.SQL(" AND ").join(sql.SQL("{} = {}").format(*pair) for pair in pairs),
    )
    actual = sql.SQL("coalesce(c.n, 0)")
    return _offenders(
        connection,
        body.table,
        sql.SQL("{} IS DISTINCT FROM {}").format(stored, actual),
        joined=joined,
        show=[(body.column, stored), ("counted", actual)],
        finding=f"of {body.table} whose {body.column} is not what {body.counts.table} holds",
    )


def _unique(connection: psycopg.Connection[Any], body: Unique) -> Probe:
    _resolve(connection, body.table)
    columns = _columns("t", body.columns)
    aliases = [f"k{n}" for n in range(len(columns))]
    query = sql.SQL(
        "SELECT {shown}, n::pg_catalog.text, (sum(n) OVER ())::pg_catalog.text"
        " FROM (SELECT {columns}, count(*) FROM {table} AS t WHERE {given}"
        " GROUP BY {columns} HAVING count(*) > 1) AS g ({aliases}, n) ORDER BY {order}"
    ).format(
        shown=sql.SQL(", ").join(_text(sql.Identifier("g", alias)) for alias in aliases),
        columns=sql.SQL(", ").join(columns),
        table=_table(body.table),
        given=sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(c) for c in columns),
        aliases=sql.SQL(", ").join(map(sql.Identifier, aliases)),
        order=sql.SQL(", ").join(sql.SQL(str(n + 1)) for n in range(len(aliases))),
    )
    return Probe(
        query,
        keys=body.columns,
        shown=("rows",),
        finding=f"of {body.table} that share {', '.join(body.columns)} with another",
        weighted=True,
    )


def _accepted_values(connection: psycopg.Connection[Any], body: AcceptedValues) -> Probe:
    column = sql.Identifier("t", body.column)
    accepted = sql.SQL(", ").join(sql.Literal(str(value)) for value in body.values)
    return _offenders(
        connection,
        body.table,
        sql.SQL("{}::pg_catalog.text NOT IN ({})").format(column, accepted),
        show=[(body.column, column)],
        finding=f"of {body.table} whose {body.column} is none of the accepted values",
    )


def _pattern(connection: psycopg.Connection[Any], body: Pattern) -> Probe:
    column = sql.Identifier("t", body.column)
    # What does not match is often personal (an address, a number): the key names it well enough.
    return _offenders(
        connection,
        body.table,
        sql.SQL("{}::pg_catalog.text !~ {}").format(column, sql.Literal(body.regex)),
        finding=f"of {body.table} whose {body.column} does not match the pattern",
    )


def _range(connection: psycopg.Connection[Any], body: Range) -> Probe:
    column = sql.Identifier("t", body.column)
    bounds = [
        sql.SQL("{} " + operator + " {}").format(column, sql.Literal(bound))
        for operator, bound in (("<", body.min), (">", body.max))
        if bound is not None
    ]
    return _offenders(
        connection,
        body.table,
        sql.SQL(" OR ").join(bounds),
        show=[(body.column, column)],
        finding=f"of {body.table} whose {body.column} is out of range",
    )


def _query(connection: psycopg.Connection[Any], body: Query) -> Probe:
    """A user's query, wrapped so that what it returns is cut by the server.

    First it stands alone behind DECLARE: so the server judges that it is one SELECT, before our
    parentheses are around it, and tells the names of its columns.
    """
    alone = _raw(body.sql)
    execute(connection, sql.SQL("DECLARE dbmigrate_query NO SCROLL CURSOR FOR {}").format(alone))
    described = execute(connection, sql.SQL("FETCH 0 FROM dbmigrate_query").format())
    names = [column.name for column in described.description or ()]
    execute(connection, sql.SQL("CLOSE dbmigrate_query").format())
    shown = list(itertools.islice(names, QUERY_COLUMNS))
    aliases = [f"c{n}" for n in range(len(shown))]
    texts = [_text(sql.Identifier("q", alias)) for alias in aliases]
    query = sql.SQL("SELECT {} FROM (\n{}\n) AS q").format(
        sql.SQL(", ").join(texts or [sql.SQL("NULL::pg_catalog.text").format()]),
        _raw(body.sql.rstrip().rstrip(";")),
    )
    if aliases:
        query += sql.SQL(" ({})").format(sql.SQL(", ").join(map(sql.Identifier, aliases)))
    return Probe(query, keys=tuple(shown), finding="returned by the query")
