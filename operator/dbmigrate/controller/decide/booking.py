"""Books what Jobs told: each result once, in the order of the Jobs.

A result always updates the facts about the database. Whether it settles what is wanted is judged
later, by comparing what its Job was made for with what is wanted now (`jobs.is_current`).
"""

from __future__ import annotations

from datetime import timedelta

from dbmigrate.api.databasemigration import DatabaseMigrationStatus
from dbmigrate.api.names import Action, Reason
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.report.result import RunResult
from dbmigrate.api.status.run import FailureStatus, RunStatus
from dbmigrate.controller.decide import facts, news, recovery
from dbmigrate.controller.decide.endings import ended, failure_of
from dbmigrate.controller.decide.jobs import is_current, recorded_run
from dbmigrate.controller.decide.retry import LOST, OUTDATED, Retry, retry_of
from dbmigrate.controller.decide.source import SourceView
from dbmigrate.controller.decision import EventNote
from dbmigrate.controller.observation import JobView, Observation
from dbmigrate.controller.timestamps import format_precise, parse_time

GRACE = timedelta(seconds=30)
"""How long a Job that the status names may still be on its way to being created."""


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


def _migrate(
    status: DatabaseMigrationStatus,
    observation: Observation,
    job: JobView,
    events: list[EventNote],
) -> DatabaseMigrationStatus:
    run, result = ended(job, observation)
    if result is not None and result.outcome is Outcome.SUCCEEDED and not _proves(result, job):
        # It may well be so, but the status would show what was known before: ask the database.
        run = run.model_copy(update={"outcome": LOST})
    failure = None
    if run.outcome not in (Outcome.SUCCEEDED, Outcome.STOPPED):
        failure = failure_of(job, run, result)
    if retry_of(run.outcome, failure) is Retry.LIMITED:
        run = run.model_copy(update={"retries_used": run.retries_used + 1})
    events.extend(news.of_migration(status.failure, run, result, failure))
    status = status.model_copy(
        update={"last_run": run, "failure": failure, "active_run": _other(status, job.name)}
    )
    if result is None:
        return status
    status = _lint(facts.known_facts(status, result), result, job, events)
    return _integrity(status, observation, job, result, events)


def _lint(
    status: DatabaseMigrationStatus, result: RunResult, job: JobView, events: list[EventNote]
) -> DatabaseMigrationStatus:
    if result.lint is None:
        return status
    lint = facts.lint_status(result.lint, checked_at=result.finished_at)
    events.extend(news.of_lint(status.lint, lint, job.name))
    return status.model_copy(update={"lint": lint})


def _proves(result: RunResult, job: JobView) -> bool:
    """The runner asked the database after its work, and worked on the source of its Job."""
    other = result.source_digest and not result.truncated
    return result.database_known and not (other and result.source_digest != job.source_digest)


def _other(status: DatabaseMigrationStatus, job: str) -> RunStatus | None:
    active = status.active_run
    return None if active is None or active.job == job else active


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
    spec = observation.spec if job.generation == observation.generation else None
    requested = job.requested if job.action is Action.CHECK else before and before.requested
    integrity = facts.integrity_status(
        result.integrity,
        requested=requested or None,
        spec_hash=facts.checks_hash(spec) if spec else "",
    )
    events.extend(news.of_integrity(before, integrity, job.name))
    return status.model_copy(update={"integrity": integrity})


def _verification(
    status: DatabaseMigrationStatus,
    observation: Observation,
    source: SourceView,
    job: JobView,
    events: list[EventNote],
) -> DatabaseMigrationStatus:
    run, result = ended(job, observation)
    answered = result is not None and (
        result.integrity is not None if job.action is Action.CHECK else result.database_known
    )
    outcome = Outcome.SUCCEEDED if answered else Outcome.FAILED
    run = run.model_copy(update={"outcome": outcome.value})
    if not answered:
        events.extend(news.of_silence(run, result))
    status = status.model_copy(
        update={"last_verification": run, "active_run": _other(status, job.name)}
    )
    if result is None:
        return status
    status = facts.known_facts(status, result)
    status = _integrity(status, observation, job, result, events)
    if job.action is not Action.STATUS or not answered or observation.spec is None:
        return status
    last = status.last_run
    if last is None or not is_current(last, observation, source.digest):
        return status
    verdict = recovery.verdict(last, observation.spec.target_version, source, result)
    if verdict == OUTDATED:
        events.append(news.of_loss(status, job.name))
    update: dict[str, object] = {"last_run": last.model_copy(update={"outcome": verdict})}
    if verdict == Outcome.SUCCEEDED:
        update["failure"] = None
    return status.model_copy(update=update)


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
