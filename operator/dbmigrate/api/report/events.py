"""What is told while a run works: the name and the keys of each line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventName(StrEnum):
    """The value of ``event`` in each line."""

    STARTED = "started"
    """The run begins: ``{"command", "runner"}``."""
    WAITING = "waiting"
    """``{"reason", "message", "holders": [...]}``: each holder a `LockHolder`.

    Reasons: AdvisoryLock (another runner), TableLock (who uses what a statement needs),
    Transaction (one that must end first), Version. Told when the holders change, and now and
    then while they stay the same.
    """
    PLAN = "plan"
    """What will run: the `PlanReport`, under ``plan``."""
    MIGRATION_STARTED = "migrationStarted"
    """``{"version", "file", "direction", "number", "of"}``: number counts from 1 in this run."""
    STATEMENT = "statement"
    """Progress within a file: ``{"version", "file", "statement", "line", "number", "of",
    "seconds"}``, and for a statement that the server tells of, ``phase`` and, where it counts,
    ``percent`` (of that phase). ``seconds`` is for how long the statement has been running."""
    MIGRATION_COMPLETED = "migrationCompleted"
    """Committed: a `MigrationRecord` under ``migration``, with ``number`` and ``of``."""
    KEPT = "dataKept"
    """A rollback was committed that loses this: a `KeptData` under ``kept``."""
    PROVED = "rollbackProved"
    """One migration went up, down and up: a `ProvedMigration` under ``migration``."""
    NOTICE = "notice"
    """The server's own word: ``{"severity", "message", "version"}``."""
    WARNING = "warning"
    """Ours: ``{"message"}``."""
    LINT = "lint"
    """What the linter found: the `LintReport`, under ``report``."""
    CHECK = "check"
    """One integrity check's `IntegrityResult`, under ``check``."""
    RESULT = "result"
    """The last line: the `RunResult`'s own fields beside ``event``."""


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Another session, or a prepared transaction, that a run waits for."""

    pid: int
    """Its server process; 0 for a prepared transaction, which has none."""
    user: str = ""
    application: str = ""
    client: str = ""
    """Its address; empty for a socket."""
    kind: str = ""
    """The server's name for a process that is nobody's session, such as ``autovacuum worker``."""
    state: str = ""
    """``active``, ``idle in transaction``, ``prepared transaction`` …; empty when hidden."""
    seconds: int | None = None
    """How old its transaction is; without one, its session."""
    query: str = ""
    """What it executes, or did last: the beginning, in one line."""
    is_hidden: bool = False
    """The role that migrates may not see what it does: it lacks pg_read_all_stats."""
    waits_for: tuple[int, ...] = ()
    """Processes that it waits for itself."""
    prepared: str = ""
    """A prepared transaction's identifier."""
    locked_by: str = ""
    """Another runner's own word: who, from where, with which command, since when."""
    host: str = ""
    command: str = ""
    locked_at: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the server said beside its answers (RAISE NOTICE, a warning)."""

    severity: str
    """``NOTICE``, ``WARNING``, ``INFO`` or ``LOG``."""
    message: str
