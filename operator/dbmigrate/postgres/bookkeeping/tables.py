"""Whether the tables are there, are ours, and which version of them. Looking creates nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from dbmigrate import __version__
from dbmigrate.errors import RefusedError
from dbmigrate.postgres.bookkeeping.steps import VERSION
from dbmigrate.postgres.server.session import Session

HISTORY: Final = "schema_migrations"
REPAIRS: Final = "migration_repairs"
TABLES: Final = (
    HISTORY,
    "migration_locks",
    "rollback_data_log",
    "system_events",
    "migration_settings",
    "migration_statements",
    REPAIRS,
)
"""All that the steps make."""
_OTHER_TOOLS: Final = {
    frozenset({"version"}): "Rails, dbmate or golang-migrate",
    frozenset({"version", "dirty"}): "golang-migrate",
    frozenset({"version", "inserted_at"}): "Ecto",
    frozenset({"version", "checksum", "applied_at"}): "another tool",
}


DENIED: Final = "BookkeepingDenied"
"""The code of every error about a right that is missing on the tables or their schema."""


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """What is known of the database before its history is read."""

    schema: str
    exists: bool
    """The tables are there, and ours."""
    version: int = 0
    """Of the tables: the number of the last step that made them; 0 when there are none."""
    environment: str | None = None
    """What the database remembers to be; None when nobody has said it yet."""
    remembered_system: str | None = None
    """The server's system identifier when that was said."""
    system: str | None = None
    """The server's system identifier now; None when the role may not read it."""
    is_recovering: bool = False
    session_user: str = ""

    def table(self, name: str) -> sql.Identifier:
        """A table's name with its schema, quoted."""
        return sql.Identifier(self.schema, name)


_LOOK = """
    select
        pg_catalog.pg_is_in_recovery(),
        pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s)) is not null,
        (
            select coalesce(pg_catalog.jsonb_object_agg(c.relname, (
                select pg_catalog.jsonb_agg(a.attname)
                from pg_catalog.pg_attribute as a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            )), '{}')
            from pg_catalog.pg_class as c
            join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            where n.nspname = %(schema)s and c.relname = any(%(tables)s::name[])
        ),
        pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute'),
        session_user::text
"""


def look(session: Session, schema: str) -> Bookkeeping:
    """What there is of the tables; nothing is created.

    Raises:
        RefusedError: the schema is missing (HistorySchemaMissing), a table of such a name
            belongs to someone else (ForeignHistory), or a newer release made them
            (NewerBookkeeping).
    """
    (row,) = session.query(_LOOK, {"schema": schema, "tables": list(TABLES)})
    is_recovering, has_schema, tables, may_read_system, user = row
    if not has_schema:
        raise RefusedError(
            f"the schema {schema} for the history does not exist",
            code="HistorySchemaMissing",
            hint=f"create schema {schema}, or give another by --history-schema",
        )
    system = None
    if may_read_system:
        query = "select system_identifier::text from pg_catalog.pg_control_system()"
        system = session.query(query)[0][0]
    found = Bookkeeping(
        schema, exists=False, system=system, is_recovering=is_recovering, session_user=user
    )
    if not tables:
        return found
    settings = _settings(session, found, tables)
    version = _require_ours(schema, tables, settings)
    remembered = settings.get("environment") or {}
    return Bookkeeping(
        schema,
        exists=True,
        version=version,
        environment=remembered.get("name"),
        remembered_system=remembered.get("systemIdentifier"),
        system=system,
        is_recovering=is_recovering,
        session_user=user,
    )


def _settings(session: Session, found: Bookkeeping, tables: dict[str, list[str]]) -> dict[str, Any]:
    if not {"key", "value", "updated_at"} <= set(tables.get("migration_settings", [])):
        return {}
    query = sql.SQL("select key::text, value from {}").format(found.table("migration_settings"))
    try:
        return dict(session.compose(query))
    except psycopg.errors.InsufficientPrivilege as error:
        raise denied_tables(found.schema, str(error)) from None


def _require_ours(schema: str, tables: dict[str, list[str]], settings: dict[str, Any]) -> int:
    """The version of the tables, which are ours."""
    marker = settings.get("bookkeeping")
    if not isinstance(marker, dict) or HISTORY not in tables:
        name = HISTORY if HISTORY in tables else min(tables)
        tool = _OTHER_TOOLS.get(frozenset(tables[name]), "something else")
        columns = ", ".join(tables[name])
        raise RefusedError(
            f"the table {schema}.{name} is not ours: it belongs to {tool} (columns {columns})",
            code="ForeignHistory",
            hint="keep our history apart: create schema dbmigrate, and give every command "
            "--history-schema dbmigrate; `dbmigrate adopt` takes over another tool's history",
        )
    version = int(marker.get("version", 0))
    if version > VERSION:
        raise RefusedError(
            f"the tables in {schema} were made by dbmigrate {marker.get('by')}, "
            f"which is newer than this one ({__version__})",
            code="NewerBookkeeping",
            hint="use that release or a later one",
        )
    return version


def denied(schema: str, reason: str) -> RefusedError:
    """The role that migrates lacks a right in the history's schema; the reason is the server's."""
    return RefusedError(
        f"no right to the history in the schema {schema}: {reason.splitlines()[0]}",
        code=DENIED,
        hint=f"grant usage, create on schema {schema} to the role that migrates, "
        "or give another schema by --history-schema",
    )


def denied_tables(schema: str, reason: str) -> RefusedError:
    """The role lacks a right on one of the tables; the reason is the server's."""
    return RefusedError(
        f"no right to the history in the schema {schema}: {reason.splitlines()[0]}",
        code=DENIED,
        hint="connect as the role that migrates, which needs select, insert, update and delete on "
        "the bookkeeping tables; a role that only looks needs usage of the schema, and select on "
        "them",
    )
