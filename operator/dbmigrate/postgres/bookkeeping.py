"""The tables in which the database remembers its migrations: there, missing, or not ours.

Looking creates nothing. Commands that write create the tables under the advisory lock,
in one transaction. Tables of another tool, or of a newer release of this one, are refused.
What the tables say is read and written by `dbmigrate.postgres.history`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from dbmigrate import __version__
from dbmigrate.errors import RefusedError
from dbmigrate.postgres.session import Session

VERSION: Final = 1
"""Of the tables in ``bookkeeping.sql``."""

HISTORY: Final = "schema_migrations"
TABLES: Final = (
    HISTORY,
    "migration_locks",
    "rollback_data_log",
    "system_events",
    "migration_settings",
)
_OTHER_TOOLS: Final = {
    frozenset({"version"}): "Rails, dbmate or golang-migrate",
    frozenset({"version", "dirty"}): "golang-migrate",
    frozenset({"version", "inserted_at"}): "Ecto",
    frozenset({"version", "checksum", "applied_at"}): "another tool",
}
_SCRIPT: Final = Path(__file__).with_name("bookkeeping.sql")


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """What is known of the database before its history is read."""

    schema: str
    exists: bool
    """The tables are there, and ours."""
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
    _require_ours(schema, tables, settings)
    remembered = settings.get("environment") or {}
    return Bookkeeping(
        schema,
        exists=True,
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
        raise _denied(found.schema, str(error)) from None


def _require_ours(schema: str, tables: dict[str, list[str]], settings: dict[str, Any]) -> None:
    marker = settings.get("bookkeeping")
    if not isinstance(marker, dict) or HISTORY not in tables:
        name = HISTORY if HISTORY in tables else min(tables)
        tool = _OTHER_TOOLS.get(frozenset(tables[name]), "something else")
        columns = ", ".join(tables[name])
        raise RefusedError(
            f"the table {schema}.{name} is not ours: it belongs to {tool} (columns {columns})",
            code="ForeignHistory",
            hint="keep our history apart: give a schema of its own by --history-schema",
        )
    if int(marker.get("version", 0)) > VERSION:
        raise RefusedError(
            f"the tables in {schema} were made by dbmigrate {marker.get('by')}, "
            f"which is newer than this one ({__version__})",
            code="NewerBookkeeping",
            hint="use that release or a later one",
        )


def create(session: Session, found: Bookkeeping) -> Bookkeeping:
    """Create the tables, in one transaction; the caller holds the advisory lock.

    Raises:
        RefusedError: the role may not (BookkeepingDenied), or something of such a name
            is in the way (ForeignHistory).
    """
    connection = session.connection
    marker = json.dumps({"version": VERSION, "by": __version__})
    try:
        with session.guarding(), connection.transaction():
            schema = sql.Identifier(found.schema)
            connection.execute(sql.SQL("set local search_path = {}").format(schema))
            connection.execute(_SCRIPT.read_bytes())
            connection.execute(
                "insert into migration_settings (key, value) values ('bookkeeping', %s)", [marker]
            )
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName) as error:
        # A schema that the role may not use is, for search_path, not there.
        raise _denied(found.schema, str(error)) from None
    except (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateFunction) as error:
        raise RefusedError(
            f"in the schema {found.schema} something has the name of ours: {_first_line(error)}",
            code="ForeignHistory",
            hint="keep our history apart: give a schema of its own by --history-schema",
        ) from None
    return Bookkeeping(
        found.schema, exists=True, system=found.system, session_user=found.session_user
    )


def _denied(schema: str, reason: str) -> RefusedError:
    return RefusedError(
        f"no right to the history in the schema {schema}: {reason.splitlines()[0]}",
        code="BookkeepingDenied",
        hint=f"grant usage, create on schema {schema} to the role that migrates, "
        "or give another schema by --history-schema",
    )


def _first_line(error: psycopg.Error) -> str:
    return str(error).splitlines()[0]


def check_environment(found: Bookkeeping, claimed: str | None) -> str | None:
    """Compare what the run claims with what the database remembers.

    Returns:
        A warning to show, when the database is a copy under its original's name.

    Raises:
        RefusedError: code EnvironmentMismatch.
    """
    if claimed is None or found.environment is None:
        return None
    is_copy = (
        found.system is not None
        and found.remembered_system is not None
        and found.system != found.remembered_system
    )
    if claimed != found.environment:
        copy = " (and is a copy of that one, on another server)" if is_copy else ""
        raise RefusedError(
            f"this database belongs to the environment {found.environment}{copy}, "
            f"and the run claims {claimed}",
            code="EnvironmentMismatch",
            hint="connect to the right database; if it was copied or moved on purpose: "  # noqa: S608 -- text for people
            f"delete from {found.schema}.migration_settings where key = 'environment'",
        )
    if is_copy:
        return (
            f"this database was copied from another server of the environment {found.environment}"
        )
    return None


def remember_environment(session: Session, found: Bookkeeping, claimed: str | None) -> None:
    """Write down which environment this database is, and on which server."""
    if claimed is None or (
        claimed == found.environment and found.system == found.remembered_system
    ):
        return
    value = json.dumps({"name": claimed, "systemIdentifier": found.system})
    statement = sql.SQL("""
        insert into {} (key, value) values ('environment', %s)
        on conflict (key) do update set value = excluded.value, updated_at = pg_catalog.now()
    """).format(found.table("migration_settings"))
    session.compose(statement, [value])
