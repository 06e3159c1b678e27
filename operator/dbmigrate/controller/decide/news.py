"""News for people: which Events a booked result is worth. Told on change, never again and again."""

from __future__ import annotations

from collections.abc import Iterable

from dbmigrate.api.databasemigration import DatabaseMigrationStatus
from dbmigrate.api.names import Reason
from dbmigrate.api.report.kept import KeptData
from dbmigrate.api.report.plan import Direction
from dbmigrate.api.report.result import RunResult
from dbmigrate.api.status.integrity import IntegrityStatus
from dbmigrate.api.status.lint import LintStatus
from dbmigrate.api.status.progress import ProgressStatus
from dbmigrate.api.status.run import FailureStatus, RunStatus
from dbmigrate.controller.decide.facts import EMPTY_DATABASE, MESSAGE_LIMIT, placed
from dbmigrate.controller.decision import EventNote, EventType
from dbmigrate.texts import cut

_SHOWN = 10


def of_migration(
    before: FailureStatus | None,
    run: RunStatus,
    result: RunResult | None,
    failure: FailureStatus | None,
) -> list[EventNote]:
    """What a migrating run did, and why it failed if it did.

    Args:
        before: the failure of the run before it.
        run: the run that has ended.
        result: the runner's word, if there is one.
        failure: why it failed.
    """
    notes = []
    if result is not None and result.applied:
        notes.append(_applied(run, result))
    if result is not None and result.kept:
        notes += _kept(run, result)
    # The same fault again, attempt after attempt, is no news.
    repeated = run.attempt > 1 and before is not None and failure and before.code == failure.code
    if failure is not None and not repeated:
        message = cut(placed(failure), MESSAGE_LIMIT)
        notes.append(EventNote(EventType.WARNING, failure.code, message, run.job))
    return notes


def _applied(run: RunStatus, result: RunResult) -> EventNote:
    back = result.applied[0].type is Direction.ROLLBACK
    shown = _some([record.version or record.file for record in result.applied])
    reason, what = ("RolledBack", "rolled back") if back else ("Migrated", "applied")
    current = result.current_version or EMPTY_DATABASE
    message = f"{what} {shown}; the database is at {current}"
    return EventNote(EventType.NORMAL, reason, message, run.job)


def _kept(run: RunStatus, result: RunResult) -> list[EventNote]:
    """What rollbacks lose: kept in the database, or lost because a backup is said to have it."""
    notes = []
    if kept := [each for each in result.kept if not each.covered_by]:
        versions = ", ".join(dict.fromkeys(each.version for each in kept))
        message = (
            f"the database keeps what the rollback removed: {_some(map(_what, kept))}; "
            f"`dbmigrate kept restore` puts it back ({versions})"
        )
        notes.append(EventNote(EventType.NORMAL, "DataKept", cut(message, MESSAGE_LIMIT), run.job))
    if lost := [each for each in result.kept if each.covered_by]:
        backups = ", ".join(dict.fromkeys(each.covered_by for each in lost))
        message = (
            f"the rollback removed, without keeping it: {_some(map(_what, lost))}; the backup "
            f"{backups} is said to have it"
        )
        notes.append(
            EventNote(EventType.WARNING, "DataNotKept", cut(message, MESSAGE_LIMIT), run.job)
        )
    return notes


def _what(kept: KeptData) -> str:
    if kept.kind == "largeObjects":
        return "large objects"
    columns = f" ({', '.join(kept.columns)})" if kept.columns else ""
    rows = "1 row" if kept.rows == 1 else f"{kept.rows} rows"
    return f"{kept.kind} of {kept.schema}.{kept.table}{columns}, {rows}"


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = len(every) - _SHOWN
    return ", ".join(every[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def of_integrity(before: IntegrityStatus | None, now: IntegrityStatus, job: str) -> list[EventNote]:
    """That the data became unhealthy, otherwise unhealthy, or healthy again."""
    if not now.healthy and (before is None or before.summary != now.summary):
        failed = ", ".join(each.check for each in now.results if each.status != "PASS")
        message = cut(f"{now.summary}: {failed}", MESSAGE_LIMIT)
        return [EventNote(EventType.WARNING, "IntegrityUnhealthy", message, job)]
    if now.healthy and before is not None and not before.healthy:
        return [EventNote(EventType.NORMAL, "IntegrityHealthy", now.summary, job)]
    return []


def of_lint(before: LintStatus | None, now: LintStatus, job: str) -> list[EventNote]:
    """What the linter found, or that it did not work; a refusal is told as the run's failure."""
    same = before is not None and before.findings == now.findings and before.error == now.error
    if same or now.refusing:
        return []
    if now.error:
        message = cut(f"nothing was linted: {now.error}", MESSAGE_LIMIT)
        return [EventNote(EventType.WARNING, "NotLinted", message, job)]
    if not now.findings:
        return []
    places = ", ".join(f"{each.file}:{each.line} {each.rule}" for each in now.findings)
    message = cut(f"{now.summary}: {places}", MESSAGE_LIMIT)
    return [EventNote(EventType.WARNING, "LintFindings", message, job)]


def of_silence(run: RunStatus, result: RunResult | None) -> list[EventNote]:
    """That the database could not be asked; only for the first attempt."""
    if run.attempt > 1:
        return []
    why = result.failure.message if result and result.failure else "its result was lost"
    message = cut(f"the database could not be asked: {why}", MESSAGE_LIMIT)
    return [EventNote(EventType.WARNING, "NotVerified", message, run.job)]


def of_waiting(
    before: ProgressStatus | None, now: ProgressStatus | None, job: str
) -> list[EventNote]:
    """Whom a run waits for: told once for the same ones, however long and often it waits."""
    if now is None or not now.blockers or now.message is None:
        return []
    who = _who(now)
    if before is not None and _who(before) == who:
        return []
    queries = [
        f"process {each.pid}: {each.query}" for each in now.blockers if each.pid and each.query
    ]
    message = "; ".join([now.message, *queries])
    key = f"{job}/{'/'.join(who)}"
    return [EventNote(EventType.WARNING, Reason.WAITING_FOR_LOCK, cut(message, MESSAGE_LIMIT), key)]


def _who(progress: ProgressStatus) -> list[str]:
    return sorted(str(each.pid or each.prepared) for each in progress.blockers or ())


def of_loss(status: DatabaseMigrationStatus, job: str) -> EventNote:
    """That the database is no longer where the last run left it."""
    message = (
        f"the database is at {status.current_version} with {status.pending} pending, and no longer "
        "where the last run left it (restored?); it is migrated again"
    )
    return EventNote(EventType.WARNING, Reason.DATABASE_CHANGED, message, job)
