"""The whole result of a run, which is the last line of its log."""

from __future__ import annotations

from dataclasses import dataclass

from dbmigrate.api.lint import LintReport
from dbmigrate.api.report.amendment import Amendment
from dbmigrate.api.report.history import (
    AheadMigration,
    FailedAttempt,
    MigrationRecord,
    UnfinishedFile,
)
from dbmigrate.api.report.integrity import IntegrityReport
from dbmigrate.api.report.kept import KeptData, RestoredData
from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.api.report.plan import PlanReport
from dbmigrate.api.report.proof import ProofReport

HISTORY_LIMIT = 50
"""How many of the newest migrations a result carries; the database has them all."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """The whole result of a run: the last line of its log."""

    command: str
    """``up``, ``down``, ``to``, ``status``, ``plan``, ``baseline`` …"""
    outcome: Outcome
    exit_code: int
    finished_at: str
    message: str = ""
    """One sentence for people."""
    environment: str | None = None
    current_version: str | None = None
    """Newest version that is applied now; None when none is, or when it is not known."""
    database_known: bool = False
    """The database was asked: `current_version`, `pending` and `history` are from there."""
    target_version: str | None = None
    pending: int = 0
    """Migrations of the source that are not applied (up to the target)."""
    pending_versions: tuple[str, ...] = ()
    repeatables_due: tuple[str, ...] = ()
    """Repeatable files that the next `up` runs, in their order."""
    source_digest: str = ""
    """Digest of the source that this run read: what its result may be booked to."""
    plan: PlanReport | None = None
    applied: tuple[MigrationRecord, ...] = ()
    """What this run committed, in order, rollbacks included."""
    kept: tuple[KeptData, ...] = ()
    """What its rollbacks lose, or what was asked for of what earlier ones kept."""
    history: tuple[MigrationRecord, ...] = ()
    """The newest rows of the history that are live (`HISTORY_LIMIT` at most), oldest first."""
    history_total: int = 0
    last_failure: FailedAttempt | None = None
    """The newest row of the history, when it is a failure: nothing has succeeded since."""
    unfinished: UnfinishedFile | None = None
    """A file that is applied in part: the next run goes on with it."""
    failure: Failure | None = None
    restored: tuple[RestoredData, ...] = ()
    proof: ProofReport | None = None
    integrity: IntegrityReport | None = None
    ahead: tuple[AheadMigration, ...] = ()
    """What the database has that is newer than the source, oldest first."""
    amendments: tuple[Amendment, ...] = ()
    """What `baseline`, `repair` or `adopt` recorded."""
    dry_run: bool = False
    """The amendments were not recorded: the run only tells what they would be."""
    lint: LintReport | None = None
    """What the linter found in the files that this run was to apply."""
    duration_ms: int = 0
    truncated: bool = False
    """Parts were left out to fit the termination message; the log's last line has them."""
