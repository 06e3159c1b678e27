"""From an integrity check to the queries that find the offending rows, one function a kind.

Building a query may need a look into the catalogue (is the table there, which is its primary key).
Executes no check.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbmigrate.postgres.integrity.foreign_keys import foreign_keys
from dbmigrate.postgres.integrity.probe import (
    CheckError,
    Probe,
    columns_of,
    execute,
    offenders,
    raw,
    resolve,
    table_name,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from dbmigrate.api.check_kinds import (
        AcceptedValues,
        Pattern,
        Query,
        Range,
        Relationship,
        StoredCount,
        Unique,
    )
    from dbmigrate.api.checks import IntegrityCheck

QUERY_COLUMNS = 4
"""Columns of a user's query that are shown."""


def probes(connection: psycopg.Connection[Any], check: IntegrityCheck) -> Iterator[Probe]:
    """The queries of a check, one by one.

    Raises:
        CheckError: a table does not exist, or there is nothing to verify.
        psycopg.Error: the catalogue could not be read, or a user's query is not one SELECT.
    """
    if check.relationship is not None:
        yield _relationship(connection, check.relationship)
    elif check.foreign_keys is not None:
        yield from foreign_keys(connection, check.foreign_keys)
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


def _relationship(connection: psycopg.Connection[Any], body: Relationship) -> Probe:
    columns = columns_of("t", body.columns)
    pairs = zip(columns, columns_of("r", body.references.columns), strict=True)
    condition = sql.SQL("{} AND NOT EXISTS (SELECT FROM {} AS r WHERE {})").format(
        sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(column) for column in columns),
        table_name(body.references.table),
        sql.SQL(" AND ").join(sql.SQL("{1} = {0}").format(*pair) for pair in pairs),
    )
    return offenders(
        connection,
        body.table,
        condition,
        show=list(zip(body.columns, columns, strict=True)),
        finding=f"of {body.table} without their row in {body.references.table}",
    )


def _stored_count(connection: psycopg.Connection[Any], body: StoredCount) -> Probe:
    resolve(connection, body.counts.table)
    stored = sql.Identifier("t", body.column)
    aliases = [f"k{n}" for n in range(len(body.key))]
    pairs = zip(columns_of("t", body.key), columns_of("c", aliases), strict=True)
    counted = sql.SQL(", ").join(map(sql.Identifier, body.counts.columns))
    joined = sql.SQL(
        " LEFT JOIN (SELECT {0}, count(*) FROM {1} GROUP BY {0}) AS c ({2}, n) ON {3}"
    ).format(
        counted,
        table_name(body.counts.table),
        sql.SQL(", ").join(map(sql.Identifier, aliases)),
        sql.SQL(" AND ").join(sql.SQL("{} = {}").format(*pair) for pair in pairs),
    )
    actual = sql.SQL("coalesce(c.n, 0)")
    return offenders(
        connection,
        body.table,
        sql.SQL("{} IS DISTINCT FROM {}").format(stored, actual),
        joined=joined,
        show=[(body.column, stored), ("counted", actual)],
        finding=f"of {body.table} whose {body.column} is not what {body.counts.table} holds",
    )


def _unique(connection: psycopg.Connection[Any], body: Unique) -> Probe:
    resolve(connection, body.table)
    columns = columns_of("t", body.columns)
    aliases = [f"k{n}" for n in range(len(columns))]
    query = sql.SQL(
        "SELECT {shown}, n::pg_catalog.text, (sum(n) OVER ())::pg_catalog.text"
        " FROM (SELECT {columns}, count(*) FROM {table} AS t WHERE {given}"
        " GROUP BY {columns} HAVING count(*) > 1) AS g ({aliases}, n) ORDER BY {order}"
    ).format(
        shown=sql.SQL(", ").join(text_of(sql.Identifier("g", alias)) for alias in aliases),
        columns=sql.SQL(", ").join(columns),
        table=table_name(body.table),
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
    return offenders(
        connection,
        body.table,
        sql.SQL("{}::pg_catalog.text NOT IN ({})").format(column, accepted),
        show=[(body.column, column)],
        finding=f"of {body.table} whose {body.column} is none of the accepted values",
    )


def _pattern(connection: psycopg.Connection[Any], body: Pattern) -> Probe:
    column = sql.Identifier("t", body.column)
    # What does not match is often personal (an address, a number): the key names it well enough.
    return offenders(
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
    return offenders(
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
    alone = raw(body.sql)
    execute(connection, sql.SQL("DECLARE dbmigrate_query NO SCROLL CURSOR FOR {}").format(alone))
    described = execute(connection, sql.SQL("FETCH 0 FROM dbmigrate_query").format())
    names = [column.name for column in described.description or ()]
    execute(connection, sql.SQL("CLOSE dbmigrate_query").format())
    shown = list(itertools.islice(names, QUERY_COLUMNS))
    aliases = [f"c{n}" for n in range(len(shown))]
    texts = [text_of(sql.Identifier("q", alias)) for alias in aliases]
    query = sql.SQL("SELECT {} FROM (\n{}\n) AS q").format(
        sql.SQL(", ").join(texts or [sql.SQL("NULL::pg_catalog.text").format()]),
        raw(body.sql.rstrip().rstrip(";")),
    )
    if aliases:
        query += sql.SQL(" ({})").format(sql.SQL(", ").join(map(sql.Identifier, aliases)))
    return Probe(query, keys=tuple(shown), finding="returned by the query")
