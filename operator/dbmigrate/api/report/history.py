"""What the database says has happened: applied, newer than the source, failed, unfinished."""

from __future__ import annotations

from dataclasses import dataclass

from dbmigrate.api.report.plan import Direction


@dataclass(frozen=True, slots=True)
class MigrationRecord:
    """One row of the history in the database."""

    version: str
    file: str
    checksum: str
    type: Direction
    status: str
    """``completed``, ``rolled_back`` or ``failed``."""
    applied_at: str
    applied_by: str = ""
    execution_time_ms: int | None = None
    git_commit_hash: str | None = None
    plan_hash: str | None = None
    origin: str = ""
    """``baseline``, or ``adopted:`` and a tool's name; empty when dbmigrate has run it."""
    applied_checksum: str = ""
    """Of the file that ran, when a repair has agreed to another `checksum` since."""


@dataclass(frozen=True, slots=True)
class AheadMigration:
    """An applied migration that is newer than all of the source."""

    version: str
    file: str
    rollback_kept: bool = False
    """The database keeps its rollback, so that this source could undo it."""
    origin: str = ""
    """As in `MigrationRecord`."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A file that failed, as the history tells it; by now it may have been mended."""

    version: str
    file: str
    type: Direction
    failed_at: str
    applied_by: str = ""
    code: str = ""
    message: str = ""
    line: int = 0
    sqlstate: str = ""


@dataclass(frozen=True, slots=True)
class UnfinishedFile:
    """A file that runs by statement, was begun, and is not finished."""

    version: str
    """Empty for a repeatable file."""
    file: str
    direction: Direction
    statements_done: int
    statement_in_doubt: int = 0
    """Number of the statement of which nobody knows yet whether it has run; 0 for none."""
    statement: str = ""
    """The beginning of that statement."""
    applied_by: str = ""
    next_statement: int = 0
    """Number of the statement at which the next run goes on; 0 when that was not asked for, or when
    all of them are done and the history's row alone is missing."""
    next_line: int = 0
    """Its line."""
