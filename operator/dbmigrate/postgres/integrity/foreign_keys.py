"""The probes of a foreignKeys check: one for each foreign key that is declared.

The catalogue tells which they are, and with which operator each compares. Executes no check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import tuple_row

from dbmigrate.postgres.integrity.probe import (
    CheckError,
    Probe,
    columns_of,
    offenders,
    raw,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    from dbmigrate.api.check_kinds import ForeignKeys

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


def foreign_keys(connection: psycopg.Connection[Any], body: ForeignKeys) -> Iterator[Probe]:
    """The probes, in the order of schema, table and constraint.

    Raises:
        CheckError: a schema or table is missing, no foreign key is declared there, or one cannot
            be verified.
    """
    cursor = connection.cursor(row_factory=tuple_row)
    for schema in body.schemas:
        if not cursor.execute("SELECT FROM pg_namespace WHERE nspname = %s", [schema]).rowcount:
            raise CheckError(f"schema {schema} does not exist")
    found = cursor.execute(
        _FOREIGN_KEYS,
        {
            "tables": [resolve(connection, table) for table in body.tables],
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
    columns = columns_of("t", key.child_columns)
    matches = zip(
        columns_of("r", key.parent_columns), map(raw, key.operators), columns, strict=True
    )
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
    return offenders(
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
