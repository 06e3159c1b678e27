"""From an error to what a result says of it. Loads nothing but the errors and the report."""

from __future__ import annotations

from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.errors import (
    DbmigrateError,
    InterruptedRunError,
    Location,
    LockNotObtainedError,
    MigrationFailedError,
    RefusedError,
    SourceError,
    StoppedError,
    UnreachableError,
    UsageError,
)

TRANSIENT_CODES = frozenset({"IndexBeingBuilt", "LockLost"})
"""Refusals because of what another session does, which ends by itself."""


def failure_of(error: DbmigrateError, *, touched: bool) -> Failure:
    """What a result says of an error."""
    where = error.location or Location("")
    common = Failure(
        code=error.error_code,
        message=error.message,
        hint=error.hint,
        file=where.file,
        line=where.line,
        column=where.column,
        excerpt=where.excerpt,
        transient=isinstance(error, UnreachableError | LockNotObtainedError)
        or error.error_code in TRANSIENT_CODES,
        touched=touched,
    )
    if not isinstance(error, MigrationFailedError):
        return common
    return Failure(
        code=common.code,
        message=common.message,
        hint=common.hint,
        version=error.version,
        file=common.file,
        line=common.line,
        column=common.column,
        excerpt=common.excerpt,
        statement=error.statement,
        sqlstate=error.sqlstate,
        detail=error.detail,
        server_message=error.server_message,
        server_hint=error.server_hint,
        transient=error.transient,
        touched=touched,
    )


def outcome_of(error: DbmigrateError) -> Outcome:
    """How a run ends that ends with this error."""
    match error:
        case StoppedError():
            return Outcome.STOPPED
        case InterruptedRunError():
            return Outcome.INTERRUPTED
        case UsageError() | SourceError() | RefusedError():
            return Outcome.BLOCKED
        case _:
            return Outcome.FAILED
