"""Books what Jobs told: each result once, in the order of the Jobs.

A result always updates the facts about the database. Whether it settles what is wanted is judged
later, by comparing what its Job was made for with what is wanted now (`jobs.is_current`).
"""

from __future__ import annotations

from datetime import timedelta

from dbmigrate.api.databasemigration import DatabaseMigrationStatus, FailureStatus, RunStatus
from dbmigrate.api.names import Action, Reason
from dbmigrate.api.report import Direction, Outcome, RunResult
from dbmigrate.controller.decide import facts, recovery
from dbmigrate.controller.decide.jobs import is_current, recorded_run, run_of
from dbmigrate.controller.decide.retry import LOST, OUTDATED, Retry, retry_of
from dbmigrate.controller.decide.source import SourceView
from dbmigrate.controller.decision import EventNote, EventType
from dbmigrate.controller.observation import JobView, Observation
from dbmigrate.controller.timestamps import format_precise, parse_time

GRACE = timedelta(seconds=30)
"""How long a Job that the status names may still be on its way to being created."""

_KILLED = (137, 143)
"""128 + SIGKILL, 128 + SIGTERM."""
_SHOWN_VERSIONS = 10


def book(
    observation: Observation, source: SourceView
) -> tuple[DatabaseMigrationStatus, list[EventNote]]:
    """The status with every result that is there and not booked yet, and the news in it."""
    status = observation.status
    events: list[EventNote] = []
    for job in observation.jobs:
        if job.run <= recorded_run(status) or not (job.result or job.over):
            continue
        if job.action is Action.MIGRATE:
            status = _migrate(status, observation, job, events)
        else:
            status = _verification(status, observation, source, job, events)
    status = _vanished(status, observation)
    return _contradicted(status, observation), events


def _ended(job: JobView, observation: Observation) -> tuple[RunStatus, RunResult | None]:
    run = run_of(job, format_precise(job.created_at))
    result = job.result
    if result is None:
        outcome, finished = _without_result(job), format_precise(observation.now)
        return run.model_copy(
            update={"outcome": outcome, "finished_at": finished, "exit_code": job.exit_code}
        ), None
    update = {
        "outcome": result.outcome.value,
        "finished_at": result.finished_at,
        "exit_code": result.exit_code,
        "duration_ms": result.duration_ms,
    }
    if result.outcome is Outcome.INTERRUPTED and job.deadline_exceeded:
        update["outcome"] = Outcome.FAILED.value
    return run.model_copy(update=update), result


def _without_result(job: JobView) -> str:
    if job.deadline_exceeded:
        return Outcome.FAILED.value
    if not job.pods:
        return LOST
    disrupted = any(pod.disrupted or pod.exit_code is None for pod in job.pods)
    if disrupted or job.exit_code in _KILLED:
        return Outcome.INTERRUPTED.value
    return Outcome.FAILED.value


def _failure(job: JobView, run: RunStatus, result: RunResult | None) -> FailureStatus | None:
    if job.deadline_exceeded and run.outcome == Outcome.FAILED:
        return FailureStatus(
            code=Reason.DEADLINE_EXCEEDED,
            message="the run took longer than execution.activeDeadlineSeconds and was ended; its "
            "open transaction was undone",
            touched=True,
        )
    if result is not None:
        return facts.failure_status(result.failure) if result.failure else None
    if run.outcome == LOST:
        return FailureStatus(
            code=Reason.RESULT_LOST,
            message="the Job ended and its result could not be read; the database is asked",
            touched=True,
        )
    if run.outcome == Outcome.INTERRUPTED:
        why = "evicted or preempted" if any(pod.disrupted for pod in job.pods) else "killed"
        return FailureStatus(
            code=Reason.INTERRUPTED,
            message=f"the runner's pod was {why}; its open transaction was undone",
            transient=True,
            touched=True,
        )
    return FailureStatus(
        code="RunnerFailed",
        message=f"the runner ended with exit code {job.exit_code} and told no result",
        hint=f"kubectl logs job/{job.name}",
        touched=True,
    )


def _migrate(
    status: DatabaseMigrationStatus,
    observation: Observation,
    job: JobView,
    events: list[EventNote],
) -> DatabaseMigrationStatus:
    run, result = _ended(job, observation)
    failure = None
    if run.outcome not in (Outcome.SUCCEEDED, Outcome.STOPPED):
        failure = _failure(job, run, result)
    if retry_of(run.outcome, failure) is Retry.LIMITED:
        run = run.model_copy(update={"retries_used": run.retries_used + 1})
    events.extend(_migrate_events(status, job, run, result, failure))
    status = status.model_copy(
        update={"last_run": run, "failure": failure, "active_run": _other(status, job.name)}
    )
    if result is None:
        return status
    status = facts.known_facts(status, result)
    return _integrity(status, observation, job, result, events)


def _other(status: DatabaseMigrationStatus, job: str) -> RunStatus | None:
    active = status.active_run
    return None if active is None or active.job == job else active


def _migrate_events(
    status: DatabaseMigrationStatus,
    job: JobView,
    run: RunStatus,
    result: RunResult | None,
    failure: FailureStatus | None,
) -> list[EventNote]:
    notes = []
    if result is not None and result.applied:
        back = result.applied[0].type is Direction.ROLLBACK
        versions = [record.version for record in result.applied]
        shown = ", ".join(versions[:_SHOWN_VERSIONS])
        if len(versions) > _SHOWN_VERSIONS:
            shown += f" and {len(versions) - _SHOWN_VERSIONS} more"
        current = result.current_version or facts.EMPTY_DATABASE
        what = "rolled back" if back else "applied"
        notes.append(
            EventNote(
                EventType.NORMAL,
                "RolledBack" if back else "Migrated",
                f"{what} {shown}; the database is at {current}",
                job.name,
            )
        )
    if failure is not None:
        before = status.failure.code if status.failure else None
        # The same fault again, attempt after attempt, is no news.
        if run.attempt == 1 or before != failure.code:
            place = f"{failure.file}:{failure.line}: " if failure.file and failure.line else ""
            notes.append(
                EventNote(
                    EventType.WARNING,
                    failure.code,
                    facts.cut(place + failure.message),
                    job.name,
                )
            )
    return notes


def _integrity(
    status: DatabaseMigrationStatus,
    observation: Observation,
    job: JobView,
    result: RunResult,
    events: list[EventNote],
) -> DatabaseMigrationStatus:
    if result.integrity is None:
        return status
    before = status.integrity
    same_spec = observation.spec is not None and job.generation == observation.generation
    requested = job.requested if job.action is Action.CHECK else before and before.requested
    integrity = facts.integrity_status(
        result.integrity,
        requested=requested or None,
        spec_hash=facts.checks_hash(observation.spec) if same_spec and observation.spec else "",
    )
    if not integrity.healthy and (before is None or before.summary != integrity.summary):
        failed = ", ".join(each.check for each in integrity.results if each.status != "PASS")
        message = facts.cut(f"{integrity.summary}: {failed}")
        events.append(EventNote(EventType.WARNING, "IntegrityUnhealthy", message, job.name))
    elif integrity.healthy and before is not None and not before.healthy:
        events.append(EventNote(EventType.NORMAL, "IntegrityHealthy", integrity.summary, job.name))
    return status.model_copy(update={"integrity": integrity})


def _verification(
    status: DatabaseMigrationStatus,
    observation: Observation,
    source: SourceView,
    job: JobView,
    events: list[EventNote],
) -> DatabaseMigrationStatus:
    run, result = _ended(job, observation)
    answered = result is not None and (
        result.integrity is not None if job.action is Action.CHECK else result.database_known
    )
    run = run.model_copy(
        update={"outcome": Outcome.SUCCEEDED.value if answered else Outcome.FAILED.value}
    )
    if not answered and run.attempt == 1:
        why = result.failure.message if result and result.failure else "its result was lost"
        message = facts.cut(f"the database could not be asked: {why}")
        events.append(EventNote(EventType.WARNING, "NotVerified", message, job.name))
    status = status.model_copy(
        update={"last_verification": run, "active_run": _other(status, job.name)}
    )
    if result is None:
        return status
    status = facts.known_facts(status, result)
    status = _integrity(status, observation, job, result, events)
    last = status.last_run
    if job.action is not Action.STATUS or not answered or last is None:
        return status
    return _compare(status, last, observation, source, result, job, events)


def _compare(  # noqa: PLR0913 -- everything that the verdict rests on
    status: DatabaseMigrationStatus,
    last: RunStatus,
    observation: Observation,
    source: SourceView,
    result: RunResult,
    job: JobView,
    events: list[EventNote],
) -> DatabaseMigrationStatus:
    """Hold what the database said against what the last run left there."""
    if observation.spec is None or not is_current(last, observation, source.digest):
        return status
    target = observation.spec.target_version
    if last.outcome == LOST:
        if recovery.is_proved(target, source, result):
            run = last.model_copy(update={"outcome": Outcome.SUCCEEDED.value})
            return status.model_copy(update={"last_run": run, "failure": None})
        run = last.model_copy(update={"outcome": Outcome.INTERRUPTED.value})
        return status.model_copy(update={"last_run": run})
    if last.outcome == Outcome.SUCCEEDED and recovery.has_lost(target, result):
        current = result.current_version or facts.EMPTY_DATABASE
        message = (
            f"the database is at {current} with {result.pending} pending, and no longer where the "
            "last run left it (restored?); it is migrated again"
        )
        events.append(EventNote(EventType.WARNING, Reason.DATABASE_CHANGED, message, job.name))
        run = last.model_copy(update={"outcome": OUTDATED})
        return status.model_copy(update={"last_run": run})
    return status


def _vanished(status: DatabaseMigrationStatus, observation: Observation) -> DatabaseMigrationStatus:
    """The active run's Job is not there: not made yet, or gone with its result."""
    active = status.active_run
    if active is None or any(job.name == active.job for job in observation.jobs):
        return status
    if active.run <= recorded_run(status) or observation.job_refused:
        return status.model_copy(update={"active_run": None})
    started = parse_time(active.started_at)
    if started is not None and observation.now - started < GRACE:
        return status
    gone = active.model_copy(
        update={"outcome": LOST, "finished_at": format_precise(observation.now)}
    )
    if active.action != Action.MIGRATE:
        return status.model_copy(update={"active_run": None, "last_verification": gone})
    failure = FailureStatus(
        code=Reason.RESULT_LOST,
        message="the Job is gone, and its result with it; the database is asked",
        touched=True,
    )
    return status.model_copy(
        update={
            "active_run": None,
            "last_run": gone.model_copy(update={"retries_used": gone.retries_used + 1}),
            "failure": failure,
        }
    )


def _contradicted(
    status: DatabaseMigrationStatus, observation: Observation
) -> DatabaseMigrationStatus:
    """A success told by the log that the container's end denies is no success: ask the database."""
    last = status.last_run
    if last is None or last.outcome != Outcome.SUCCEEDED or last.exit_code is None:
        return status
    for job in observation.jobs:
        if job.name == last.job and job.over and job.exit_code not in (None, last.exit_code):
            run = last.model_copy(update={"outcome": LOST, "exit_code": job.exit_code})
            return status.model_copy(update={"last_run": run})
    return status
