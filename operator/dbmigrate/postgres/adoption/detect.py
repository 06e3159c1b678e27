"""Finds the tables of other tools in a database, by their names and columns."""

from __future__ import annotations

from typing import Final

from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.postgres.adoption.alembic import ALEMBIC
from dbmigrate.postgres.adoption.dbmate import DBMATE
from dbmigrate.postgres.adoption.flyway import FLYWAY
from dbmigrate.postgres.adoption.golang_migrate import GOLANG_MIGRATE
from dbmigrate.postgres.adoption.goose import GOOSE
from dbmigrate.postgres.adoption.liquibase import LIQUIBASE
from dbmigrate.postgres.adoption.sqitch import SQITCH
from dbmigrate.postgres.adoption.tool import Table, Tool
from dbmigrate.postgres.server.session import Session

TOOLS: Final = (FLYWAY, LIQUIBASE, GOLANG_MIGRATE, DBMATE, GOOSE, ALEMBIC, SQITCH)

_QUERY = """
    select n.nspname::text, c.relname::text, (
        select pg_catalog.array_agg(a.attname::text)
        from pg_catalog.pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    )
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and c.relname = any(%(names)s::name[])
    order by 1, 2
"""


def histories(session: Session) -> list[tuple[Tool, Table]]:
    """Every table of another tool's under its usual name."""
    names = sorted({usual for each in TOOLS for usual in each.tables})
    return [
        (each, Table(in_schema, in_table))
        for in_schema, in_table, columns in session.query(_QUERY, {"names": names})
        for each in TOOLS
        if each.recognises(frozenset(columns)) and in_table in each.tables
    ]


def detect(session: Session, tool: str, table: str) -> tuple[Tool, Table]:
    """The one history of another tool that is meant.

    Args:
        session: any.
        tool: its name, or empty to find it out.
        table: ``table`` or ``schema.table``, or empty for the usual one.

    Raises:
        UsageError: there is no such tool (UnknownTool).
        RefusedError: none was found (NoForeignHistory), or several (SeveralForeignHistories).
    """
    tools = [each for each in TOOLS if tool in ("", each.name)]
    if not tools:
        raise UsageError(
            f"{tool} is no tool whose history can be adopted",
            code="UnknownTool",
            hint=f"known are {', '.join(each.name for each in TOOLS)}",
        )
    schema, _, name = table.rpartition(".")
    names = [name] if name else sorted({usual for each in tools for usual in each.tables})
    found = [
        (each, Table(in_schema, in_table))
        for in_schema, in_table, columns in session.query(_QUERY, {"names": names})
        if schema in ("", in_schema)
        for each in tools
        if each.recognises(frozenset(columns)) and (name or in_table in each.tables)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        what = f"no table {table}" if table else f"no table of {tool or 'another tool'}"
        raise RefusedError(
            f"{what} is in this database",
            code="NoForeignHistory",
            hint="look whether it is the right database; --from SCHEMA.TABLE names a table; "
            f"known are {', '.join(each.name for each in TOOLS)}",
        )
    listed = ", ".join(f"{each.name} in {place}" for each, place in found)
    raise RefusedError(
        f"there are several histories of other tools: {listed}",
        code="SeveralForeignHistories",
        hint="name the tool, or its table by --from SCHEMA.TABLE",
    )
