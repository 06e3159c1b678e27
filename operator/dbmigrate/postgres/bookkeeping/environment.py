"""Which environment a database remembers to be, and whether a run may claim another."""

from __future__ import annotations

import json

from psycopg import sql

from dbmigrate.errors import RefusedError
from dbmigrate.postgres.bookkeeping.tables import Bookkeeping
from dbmigrate.postgres.server.session import Session


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
            hint="connect to the right database; if it was copied or moved on purpose, say so: "
            f"`dbmigrate pin --environment {claimed}`",
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
