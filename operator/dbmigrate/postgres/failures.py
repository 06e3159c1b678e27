"""From what the server says to our errors, and to the history's ``error`` column."""

from __future__ import annotations

import json
from typing import Final

from dbmigrate.api.failure import failure_of
from dbmigrate.errors import DbmigrateError, Location, MigrationFailedError
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.migrations.statements import Statement, excerpt
from dbmigrate.postgres.session import ServerError

LOCK_STATES: Final = frozenset({"55P03", "40P01"})
"""lock_not_available, deadlock_detected: the whole transaction may be tried again at once."""
TRANSIENT_STATES: Final = LOCK_STATES | {"40001", "57P01", "57P02", "57P03", "53300"}
_CONNECTION_CLASS: Final = "08"

_HINTS: Final = {
    "55P03": "somebody uses the table: run again at a quieter time, or raise --lock-timeout",
    "40P01": "two sessions waited for each other: run again",
    "42501": "grant the right to the role that migrates",
    "57014": "it was cancelled, or --statement-timeout was over",
    "57P01": "the server is shutting down, or the session was ended on purpose: run again",
}


def is_transient(sqlstate: str) -> bool:
    """Whether the same statement may well succeed later."""
    return sqlstate in TRANSIENT_STATES or sqlstate.startswith(_CONNECTION_CLASS)


def place(file: MigrationFile, statement: Statement | None, character: int = 0) -> Location:
    """Where a statement stands, or a character of it (from 1; 0 for its beginning)."""
    shown = file.path or file.file
    if statement is None:
        return Location(shown)
    line, column = statement.locate(max(character, 1))
    return Location(shown, line, column, excerpt(file.sql, line, column))


def statement_failed(
    file: MigrationFile, statement: Statement | None, error: ServerError
) -> MigrationFailedError:
    """A statement of a file failed, or (None) the end of its transaction."""
    which = f"statement {statement.number}" if statement else "the end of its transaction"
    return MigrationFailedError(
        f"{file.file}: {which} failed: {error.message}",
        hint=_HINTS.get(error.sqlstate, "correct the file; it was undone and left nothing behind"),
        location=place(file, statement, error.position),
        version=str(file.version),
        statement=statement.number if statement else 0,
        sqlstate=error.sqlstate,
        server_message=error.message,
        detail=error.detail,
        server_hint=error.hint,
        transient=is_transient(error.sqlstate),
    )


def connection_lost(
    file: MigrationFile, statement: Statement | None, reason: str
) -> MigrationFailedError:
    """The connection broke before COMMIT was sent: the server undoes the file."""
    return MigrationFailedError(
        f"{file.file}: the connection was lost, and the file is undone: {reason}",
        code="ConnectionLost",
        hint="run again when the server is back",
        location=place(file, statement),
        version=str(file.version),
        statement=statement.number if statement else 0,
        transient=True,
    )


def as_json(error: DbmigrateError) -> str:
    """For the history's ``error`` column."""
    failure = failure_of(error, touched=True)
    return json.dumps(
        {
            "code": failure.code,
            "message": failure.message,
            "file": failure.file,
            "line": failure.line,
            "column": failure.column,
            "statement": failure.statement,
            "sqlstate": failure.sqlstate,
            "detail": failure.detail,
            "serverMessage": failure.server_message,
            "serverHint": failure.server_hint,
        }
    )
