"""From what ended a run outside of any file to our errors; what ends a file is `failures`'s."""

from __future__ import annotations

import contextlib

import psycopg

from dbmigrate.api.report.events import LockHolder
from dbmigrate.errors import (
    DbmigrateError,
    InterruptedRunError,
    MigrationFailedError,
    UnreachableError,
)
from dbmigrate.postgres import bookkeeping
from dbmigrate.postgres.executing.advice import advice_for
from dbmigrate.postgres.executing.failures import is_transient
from dbmigrate.postgres.reporting import blockers
from dbmigrate.postgres.server.interruption import Interrupted, Interruption
from dbmigrate.postgres.server.session import ConnectionLostError, ServerError, Session
from dbmigrate.postgres.server.settings import ConnectionSettings


def interrupted(interruption: Interruption) -> InterruptedRunError:
    """A signal came while nothing was in doubt."""
    number = interruption.signal_number or 15
    return InterruptedRunError(
        f"interrupted by signal {number}; the open transaction is undone",
        signal_number=number,
        hint="run again to go on",
    )


def lost(settings: ConnectionSettings, reason: str) -> UnreachableError:
    """The connection broke outside of any file."""
    return UnreachableError(
        f"the connection to {settings.place} was lost: {reason}",
        code="ConnectionLost",
        hint="run again when the server is back",
    )


def refused(
    session: Session | None, schema: str, error: psycopg.Error, *, touched: bool
) -> DbmigrateError:
    """What the server refused us outside of any file: a right, a timeout, a damaged table.

    Args:
        session: the run's, if there is one: it is asked who holds the history's tables.
        schema: the history's.
        error: what the server said.
        touched: a statement of a migration was sent before.
    """
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return _history_locked(session, schema, text)
    if isinstance(error, psycopg.errors.InsufficientPrivilege) and any(
        name in text
        for name in bookkeeping.TABLES  # in every language of the server's
    ):
        denied = bookkeeping.denied_tables(schema, text)
        if not touched:
            return denied
        return MigrationFailedError(
            denied.message, code=denied.error_code, hint=denied.hint, sqlstate=error.sqlstate or ""
        )
    said = ServerError(error.sqlstate or "", error.diag.message_primary or text)
    return MigrationFailedError(
        f"the server refused a statement of dbmigrate's own: {text}",
        code="BookkeepingFailed",
        hint=advice_for(said) or "look at the rights and locks on the history's tables",
        sqlstate=error.sqlstate or "",
        server_message=text,
        transient=is_transient(error.sqlstate or ""),
    )


def _history_locked(session: Session | None, schema: str, text: str) -> DbmigrateError:
    """Somebody holds one of the history's tables for longer than we wait."""
    holders: tuple[LockHolder, ...] = ()
    if session is not None and session.is_alive:
        with contextlib.suppress(ConnectionLostError, psycopg.Error, Interrupted):
            holders = blockers.on_tables(session, schema, bookkeeping.TABLES)
    failure = MigrationFailedError(
        f"somebody holds a lock on the history's tables in the schema {schema}: {text}",
        code="HistoryLocked",
        hint="run again when it is free, or raise --lock-timeout",
        sqlstate="55P03",
        server_message=text,
        transient=True,
    )
    blockers.explain(failure, holders)
    return failure
