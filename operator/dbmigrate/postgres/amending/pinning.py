"""``pin``: people say that a copied or moved database is another environment from now on.

By itself no run changes what the database remembers to be: a copy of production on a
laptop would be taken for the real one, or the real one for a copy. It is said once,
under the advisory lock, and written down with who said it and what was remembered before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql
from psycopg.types.json import Jsonb

from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.postgres import bookkeeping, lock

if TYPE_CHECKING:
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.context import Context


def pin(context: Context) -> None:
    """Make the database remember the environment that the run claims, on this server.

    Raises:
        UsageError: the run claims none (NoEnvironment).
        RefusedError: there is no history yet (NoHistory).
        DbmigrateError: as connecting, the lock and looking say.
    """
    options = context.options
    claimed = options.environment
    if claimed is None:
        raise UsageError(
            "pin it to which environment?", code="NoEnvironment", hint="give --environment NAME"
        )
    session = context.connect()
    schema = options.history_schema
    context.take_lock(session)
    found = context.found = bookkeeping.look(session, schema)
    if not found.exists:
        raise RefusedError(
            f"there is no history in the schema {schema}, so nothing is remembered yet",
            code="NoHistory",
            hint="`dbmigrate up --environment NAME` pins a new database by itself",
        )
    if claimed == found.environment and found.system == found.remembered_system:
        context.message = f"it is pinned to {claimed} already"
        return
    connection = session.connection
    with session.guarding(), connection.transaction():
        session.query(lock.TRY_IN_TRANSACTION)
        bookkeeping.remember_environment(session, found, claimed)
        _write_down(context, found, claimed)
    context.message = f"pinned to {claimed}; it was {_before(found)}"


def _before(found: Bookkeeping) -> str:
    if found.environment is None:
        return "pinned to none"
    is_moved = found.system != found.remembered_system
    return found.environment + (" on another server" if is_moved else "")


def _write_down(context: Context, found: Bookkeeping, claimed: str) -> None:
    if context.session is None:
        return
    statement = sql.SQL("""
        insert into {} (event_type, event_category, severity_level, message, event_data)
        values ('environment_pinned', 'database_maintenance', 'warning', %s, %s)
    """).format(found.table("system_events"))
    data = {
        "from": {"name": found.environment, "systemIdentifier": found.remembered_system},
        "to": {"name": claimed, "systemIdentifier": found.system},
        "pinned_by": context.options.applied_by or found.session_user,
    }
    message = f"the database was pinned to {claimed}; it was {_before(found)}"
    context.session.compose(statement, [message, Jsonb(data)])
