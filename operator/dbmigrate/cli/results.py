"""Errors of the command line itself, in the shape of a run's result.

A supervisor reads one shape, whether a statement failed or an option was misspelt.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from dbmigrate.api.failure import failure_of, outcome_of
from dbmigrate.api.report.result import RunResult
from dbmigrate.errors import DbmigrateError
from dbmigrate.redaction import by_position

SOURCE_CHANGED = "SourceChanged"
"""The files are being replaced right now: the same run may well succeed a moment later."""


def result_of(
    error: DbmigrateError,
    *,
    command: str,
    environment: str | None = None,
    source_digest: str = "",
) -> RunResult:
    """A result for what ended before the database was touched."""
    failure = failure_of(error, touched=False)
    failure = dataclasses.replace(
        failure,
        # What was typed in a wrong place may be a URI with its password.
        message=by_position(failure.message),
        file=by_position(failure.file),
        transient=failure.transient or failure.code == SOURCE_CHANGED,
    )
    return RunResult(
        command=command,
        outcome=outcome_of(error),
        exit_code=error.exit_code,
        finished_at=now(),
        message=failure.message.partition("\n")[0],
        environment=None if environment is None else by_position(environment),
        source_digest=source_digest,
        failure=failure,
    )


def now() -> str:
    """The time, RFC 3339 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
