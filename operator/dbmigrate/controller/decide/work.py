"""Chooses the next piece of work: which Job should exist now, or why none.

At most one Job of a resource is not over at any time. A running file is never interrupted: a Job
that is no longer wanted is asked to stop between two files. Only a Job whose container has not
started is deleted, and only after it was asked to stop, so that one that starts in between stops
by itself; or one that got no pod for a while, which nobody can ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto

from dbmigrate.api.databasemigration import DatabaseMigrationSpec, DatabaseMigrationStatus
from dbmigrate.api.names import Action
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.status.run import RunStatus
from dbmigrate.controller.decide.booking import GRACE
from dbmigrate.controller.decide.facts import checks_hash
from dbmigrate.controller.decide.jobs import is_current, next_plan, plan_of, recorded_run
from dbmigrate.controller.decide.retry import LOST, Retry, is_exhausted, pause, retry_of
from dbmigrate.controller.decide.source import SourceView
from dbmigrate.controller.decision import JobPlan, StopPod
from dbmigrate.controller.observation import JobView, Observation
from dbmigrate.controller.timestamps import parse_duration, parse_time

NEVER = "never"

POD_PATIENCE = timedelta(seconds=10)
"""How long a pod may be on its way. A Job that has none by then is refused its pod (a quota, an
admission policy): the status says what it waits for, and if unwanted it is deleted."""


class Kind(StrEnum):
    """What the resource is at."""

    SUSPENDED = auto()
    SOURCE = auto()
    """The source cannot be run; see `SourceView.problem`."""
    REFUSED = auto()
    """The API server would not take the Job."""
    ABSENT = auto()
    """The Job that the status names is not there: on its way by another's hand, or gone."""
    RUN = auto()
    WATCH = auto()
    STOP = auto()
    LATER = auto()
    """Tried again at `Work.again_at`."""
    SETTLED = auto()


@dataclass(frozen=True, slots=True)
class Work:
    """The choice."""

    kind: Kind
    plan: JobPlan | None = None
    """The Job to create."""
    job: JobView | None = None
    """The Job that is not over."""
    booked: bool = False
    """That Job's result is known and booked; its container is about to end."""
    stop: tuple[StopPod, ...] = ()
    delete_jobs: tuple[str, ...] = ()
    again_at: datetime | None = None


def choose(
    observation: Observation,
    spec: DatabaseMigrationSpec,
    status: DatabaseMigrationStatus,
    source: SourceView,
) -> Work:
    """The next piece of work, after everything that is known has been booked."""
    unfinished = [job for job in observation.jobs if not job.over]
    if not unfinished:
        return _next(observation, spec, status, source)
    booked = recorded_run(status)
    unwanted = [
        job
        for job in unfinished
        if job.run > booked
        and (spec.suspend or job.deleting or not is_current(job, observation, source.digest))
    ]
    job = unfinished[-1]
    if unwanted:
        return _stop(observation, spec, unwanted)
    if job.run > booked:
        return Work(Kind.WATCH, job=job)
    # Its container is about to end: nothing new starts beside it.
    after = _next(observation, spec, status, source)
    if after.plan is not None:
        return Work(Kind.WATCH, job=job, booked=True)
    return after


def _stop(observation: Observation, spec: DatabaseMigrationSpec, unwanted: list[JobView]) -> Work:
    reason = "suspended" if spec.suspend else "the spec or the source has changed"
    stop = tuple(
        StopPod(pod.name, reason)
        for job in unwanted
        for pod in job.pods
        if not (pod.stop_reason or pod.ended or pod.deleting)
    )
    delete = tuple(
        job.name
        for job in unwanted
        if not job.deleting
        and (
            all(pod.stop_reason and not pod.started for pod in job.pods)
            if job.pods
            else observation.now - job.created_at >= POD_PATIENCE
        )
    )
    again = observation.now + GRACE
    return Work(Kind.STOP, job=unwanted[-1], stop=stop, delete_jobs=delete, again_at=again)


def _next(  # noqa: PLR0911 -- the first that applies, in this order
    observation: Observation,
    spec: DatabaseMigrationSpec,
    status: DatabaseMigrationStatus,
    source: SourceView,
) -> Work:
    if spec.suspend:
        return Work(Kind.SUSPENDED)
    if source.problem is not None or source.digest is None:
        return Work(Kind.SOURCE)
    if observation.job_refused:
        return Work(Kind.REFUSED, again_at=observation.now + GRACE)
    active = status.active_run
    if active is not None and is_current(active, observation, source.digest):
        if active.job == observation.uncreated:
            return Work(Kind.RUN, plan=plan_of(active))
        # Another may be creating it this moment, or it has run and is gone: never run it twice.
        started = parse_time(active.started_at) or observation.now
        return Work(Kind.ABSENT, again_at=started + GRACE)
    last = status.last_run
    if last is None or not is_current(last, observation, source.digest):
        plan = _migration(observation, status, source.digest, attempt=1, retries_used=0)
        return Work(Kind.RUN, plan=plan)
    if last.outcome == LOST:
        return _ask(observation, status, source.digest, Action.STATUS, requested=observation.retry)
    return _after(observation, spec, status, source.digest, last)


def _migration(
    observation: Observation,
    status: DatabaseMigrationStatus,
    digest: str,
    *,
    attempt: int,
    retries_used: int,
) -> JobPlan:
    return next_plan(
        observation,
        status,
        action=Action.MIGRATE,
        source_digest=digest,
        requested=observation.retry,
        attempt=attempt,
        retries_used=retries_used,
    )


def _after(
    observation: Observation,
    spec: DatabaseMigrationSpec,
    status: DatabaseMigrationStatus,
    digest: str,
    last: RunStatus,
) -> Work:
    """What follows a run for the present state that has ended."""
    retry = retry_of(last.outcome, status.failure)
    if retry is Retry.NEVER or is_exhausted(last, status.failure, spec.execution.retry_limit):
        return _settled(observation, spec, status, digest, last)
    finished = parse_time(last.finished_at) or observation.now
    at_once = retry is Retry.AT_ONCE and last.attempt == 1
    due = finished if at_once else finished + pause(observation.uid, last)
    if due > observation.now:
        return Work(Kind.LATER, again_at=due)
    plan = _migration(
        observation,
        status,
        digest,
        attempt=last.attempt + 1,
        retries_used=last.retries_used,
    )
    return Work(Kind.RUN, plan=plan)


def _settled(
    observation: Observation,
    spec: DatabaseMigrationSpec,
    status: DatabaseMigrationStatus,
    digest: str,
    last: RunStatus,
) -> Work:
    """Nothing is to be migrated; the database may still be asked something."""
    if spec.integrity_checks and status.verified_at:
        known = status.integrity
        wanted = bool(observation.check) and (known is None or known.requested != observation.check)
        stale = last.outcome == Outcome.SUCCEEDED and (
            known is None or known.spec_hash != checks_hash(spec)
        )
        if wanted or stale:
            return _ask(observation, status, digest, Action.CHECK, requested=observation.check)
    due = _verification_due(spec, status)
    if due is None:
        return Work(Kind.SETTLED)
    if due > observation.now:
        return Work(Kind.SETTLED, again_at=due)
    return _ask(observation, status, digest, Action.STATUS, requested=observation.retry)


def _verification_due(
    spec: DatabaseMigrationSpec, status: DatabaseMigrationStatus
) -> datetime | None:
    verified = parse_time(status.verified_at)
    if spec.verify_interval == NEVER or verified is None:
        return None
    # A pod every few seconds is nobody's wish.
    return verified + max(parse_duration(spec.verify_interval), timedelta(seconds=10))


def _ask(
    observation: Observation,
    status: DatabaseMigrationStatus,
    digest: str,
    action: Action,
    *,
    requested: str | None,
) -> Work:
    """A status or check Job; after one that got no answer, the next waits longer."""
    before = status.last_verification
    attempt = 1
    if (
        before is not None
        and before.outcome != Outcome.SUCCEEDED
        and (before.action, before.requested) == (action.value, requested)
        and is_current(before, observation, digest)
    ):
        attempt = before.attempt + 1
        due = (parse_time(before.finished_at) or observation.now) + pause(observation.uid, before)
        if due > observation.now:
            kind = Kind.LATER if _is_lost(status) else Kind.SETTLED
            return Work(kind, again_at=due)
    plan = next_plan(
        observation,
        status,
        action=action,
        source_digest=digest,
        requested=requested,
        attempt=attempt,
    )
    return Work(Kind.RUN, plan=plan)


def _is_lost(status: DatabaseMigrationStatus) -> bool:
    return status.last_run is not None and status.last_run.outcome == LOST
