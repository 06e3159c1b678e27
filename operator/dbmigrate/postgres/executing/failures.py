"""From what the server says to our errors, and to the history's ``error`` column."""

from __future__ import annotations

import json
from typing import Final

from dbmigrate.api.failure import failure_of
from dbmigrate.errors import DbmigrateError, Location, MigrationFailedError, RefusedError
from dbmigrate.migrations.files import SourceFile, VerifyFile
from dbmigrate.migrations.statements import Statement
from dbmigrate.postgres.executing.advice import advice_for
from dbmigrate.postgres.server.session import ServerError

LOCK_STATES: Final = frozenset({"55P03", "40P01"})
"""lock_not_available, deadlock_detected: the whole transaction may be tried again at once."""
TRANSIENT_STATES: Final = LOCK_STATES | {"40001", "57P01", "57P02", "57P03", "53300"}
CONNECTION_LOST: Final = "ConnectionLost"
_CONNECTION_CLASS: Final = "08"
DIVISION_BY_ZERO: Final = "22012"
"""What statements of our own fail with whose condition does not hold."""
UNVERIFIED: Final = (
    "the migration has not done what it should, and is not applied: correct it, or its verification"
)
UNDONE: Final = "correct the file; it was undone and left nothing behind"
KEEPS: Final = (
    "the statements before it are done and stay: correct this one and run again, which goes on here"
)
"""The file runs by statement."""
BLOCK_UNDONE: Final = (
    "the file's own transaction was undone, and those before it are done and stay: correct this "
    "one and run again, which goes on at its BEGIN"
)
ROW_MISSING: Final = (
    "all statements of the file are done and stay, and only its history row is missing: run again"
)
UNVERIFIED_KEEPS: Final = (
    "the migration runs by statement: its statements are done and stay, and it is not applied "
    "before its verifications hold; correct the verification, or put what is missing behind the "
    "file's last statement, and run again"
)


class NothingRanError(RefusedError):
    """A file was refused before a statement of it ran in this try: no attempt that failed."""


def is_transient(sqlstate: str) -> bool:
    """Whether the same statement may well succeed later."""
    return sqlstate in TRANSIENT_STATES or sqlstate.startswith(_CONNECTION_CLASS)


def place(file: SourceFile, statement: Statement | None, character: int = 0) -> Location:
    """Where a statement stands, or a character of it (from 1; 0 for its beginning)."""
    if statement is None:
        return Location(file.shown)
    line, column = statement.locate(max(character, 1))
    return Location(file.shown, line, column, file.excerpt(line, column))


def statement_failed(
    file: SourceFile, statement: Statement | None, error: ServerError, *, advice: str = UNDONE
) -> MigrationFailedError:
    """A statement of a file failed, or (None) the end of its transaction.

    Args:
        file: it.
        statement: which one.
        error: what the server says.
        advice: what became of the rest of the file, and what to do.
    """
    which = f"statement {statement.number}" if statement else "the end of its transaction"
    code = "MigrationFailed"
    if isinstance(file, VerifyFile):
        code, advice = "VerifyFailed", UNVERIFIED
    return MigrationFailedError(
        f"{file.file}: {which} failed: {error.message}",
        code=code,
        hint=advice_for(error) or advice,
        location=place(file, statement, error.position),
        version=file.version_text,
        statement=statement.number if statement else 0,
        sqlstate=error.sqlstate,
        server_message=error.message,
        # The line within COPY's data, or within a function: nothing else tells it.
        detail=error.detail or error.context,
        server_hint=error.hint,
        transient=is_transient(error.sqlstate),
    )


def connection_lost(
    file: SourceFile, statement: Statement | None, reason: str
) -> MigrationFailedError:
    """The connection broke before COMMIT was sent: the server undoes the file."""
    return MigrationFailedError(
        f"{file.file}: the connection was lost, and the file is undone: {reason}",
        code=CONNECTION_LOST,
        hint="run again when the server is back",
        location=place(file, statement),
        version=file.version_text,
        statement=statement.number if statement else 0,
        transient=True,
    )


def cut_off(file: SourceFile, statement: Statement | None, reason: str) -> MigrationFailedError:
    """The connection broke in a file that runs by statement."""
    return MigrationFailedError(
        f"{file.file}: the connection was lost, and the file is not finished: {reason}",
        code=CONNECTION_LOST,
        hint="run again when the server is back: it goes on with the right statement",
        location=place(file, statement),
        version=file.version_text,
        statement=statement.number if statement else 0,
        transient=True,
    )


def partly_committed(
    file: SourceFile, statement: Statement, error: MigrationFailedError
) -> MigrationFailedError:
    """A procedure that commits by itself has failed: what it committed before stays."""
    return MigrationFailedError(
        error.message,
        code=error.error_code,
        hint="what it committed before stays, and nothing tells how far it came: look for "
        "yourself, then say `dbmigrate resolve done`, or `dbmigrate resolve again` to run it "
        "once more from its beginning",
        location=error.location or place(file, statement),
        version=file.version_text,
        statement=statement.number,
        sqlstate=error.sqlstate,
        server_message=error.server_message,
        detail=error.detail,
        server_hint=error.server_hint,
    )


def ledger_differs(file: SourceFile, number: int, statement: Statement | None) -> NothingRanError:
    """A file that is not finished was changed where it has been run already."""
    where = place(file, statement)
    what = "is another one now" if statement else "is not in the file any more"
    return NothingRanError(
        f"{where}: statement {number}, which was run before the file could be finished, {what}",
        code="LedgerDiffers",
        hint="put it back as it was; what follows the last statement that ran may be changed",
        location=where,
    )


def not_prepared_again(
    file: SourceFile, statement: Statement, name: str, error: MigrationFailedError
) -> MigrationFailedError:
    """EXECUTE of what an earlier run had prepared, and this one could not prepare again."""
    return MigrationFailedError(
        f"{file.file}: statement {statement.number} executes {name}, which was prepared by the run "
        f"that was cut off, and cannot be prepared again: {error.server_message}",
        hint="a statement between the two has changed what it names: write the statement itself in "
        "place of its EXECUTE, and run again, which goes on here",
        location=place(file, statement),
        version=file.version_text,
        statement=statement.number,
        sqlstate=error.sqlstate,
        server_message=error.server_message,
    )


def unfinished_alone(file: SourceFile) -> NothingRanError:
    """A file that was begun by statement cannot be finished as part of one transaction."""
    return NothingRanError(
        f"{file.file}: it was begun by statement, and is finished so; not within one transaction",
        code="UnfinishedMigration",
        hint="run without --transaction all",
    )


def ledger_taken(file: SourceFile) -> RefusedError:
    """Another run has executed a statement that this run was about to execute."""
    return RefusedError(
        f"{file.file}: another run works on this file",
        code="LockLost",
        hint="the advisory lock was lost meanwhile; run again when the other run has ended",
    )


def transaction_left_open(file: SourceFile) -> RefusedError:
    """The file's own last BEGIN has no COMMIT."""
    return RefusedError(
        f"{file.file}: the file ends within a transaction of its own, which is undone",
        code="TransactionLeftOpen",
        hint="end it by COMMIT; what was committed before it stays",
        location=place(file, None),
    )


def statement_in_doubt(file: SourceFile, statement: Statement, why: str) -> NothingRanError:
    """Nothing in the database tells whether a statement has taken effect.

    Args:
        file: it.
        statement: which one.
        why: what stands against telling; may be empty.
    """
    where = place(file, statement)
    return NothingRanError(
        f"{where}: a run was cut off in statement {statement.number}, and nothing in the "
        f"database tells whether it has taken effect{f'; {why}' if why else ''}",
        code="StatementInDoubt",
        hint="look for yourself, then say `dbmigrate resolve done`, or `dbmigrate resolve again` "
        "to run it once more",
        location=where,
    )


def lock_lost(file: SourceFile) -> RefusedError:
    """Somebody else has the advisory lock that the run had obtained."""
    return RefusedError(
        f"{file.file}: another run has taken the advisory lock from this one",
        code="LockLost",
        hint="a migration dropped the session's locks, or the session was replaced "
        "by a connection pooler; run again, directly at the server",
    )


def overtaken(file: SourceFile) -> MigrationFailedError:
    """Somebody else has run something since the file was committed and the answer was lost."""
    return MigrationFailedError(
        f"{file.file} is committed, and another run went on before this one had the lock again",
        code="Overtaken",
        hint="run again: what is left is planned anew",
        version=file.version_text,
        transient=True,
    )


def done_by_another(file: SourceFile, reason: str) -> MigrationFailedError:
    """A file that this run lost is in the history, by another run's transaction."""
    return MigrationFailedError(
        f"{file.file}: the connection broke before it was committed ({reason}), and another run "
        "has applied it since",
        code="Overtaken",
        hint="run again: what is left is planned anew",
        version=file.version_text,
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
