"""Names and identity of Jobs: which Job stands for which piece of work."""

from __future__ import annotations

import hashlib

from dbmigrate.api.databasemigration import DatabaseMigrationStatus
from dbmigrate.api.names import Action
from dbmigrate.api.status.run import RunStatus
from dbmigrate.controller.decision import JobPlan
from dbmigrate.controller.observation import JobPurpose, Observation

_NAME_LENGTH = 40
_HASH_LENGTH = 10


def job_name(  # noqa: PLR0913 -- all of these are what makes a Job another one
    name: str,
    uid: str,
    *,
    generation: int,
    source_digest: str,
    action: Action,
    requested: str | None,
    attempt: int,
    run: int,
) -> str:
    """The Job's name: the same work has the same name, so that it is created once."""
    parts = (uid, generation, source_digest, action.value, requested or "", attempt, run)
    digest = hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()
    return f"{name[:_NAME_LENGTH].rstrip('-.')}-{digest[:_HASH_LENGTH]}".replace(".", "-")


def recorded_run(status: DatabaseMigrationStatus) -> int:
    """The number of the newest Job whose result is booked."""
    return max((run.run for run in (status.last_run, status.last_verification) if run), default=0)


def next_plan(  # noqa: PLR0913 -- what tells one piece of work from another
    observation: Observation,
    status: DatabaseMigrationStatus,
    *,
    action: Action,
    source_digest: str,
    requested: str | None,
    attempt: int,
    retries_used: int = 0,
) -> JobPlan:
    """The next Job of the resource."""
    seen = max((job.run for job in observation.jobs), default=0)
    written = status.active_run.run if status.active_run else 0
    run = max(seen, written, recorded_run(status)) + 1
    return JobPlan(
        name=job_name(
            observation.name,
            observation.uid,
            generation=observation.generation,
            source_digest=source_digest,
            action=action,
            requested=requested,
            attempt=attempt,
            run=run,
        ),
        action=action,
        run=run,
        attempt=attempt,
        retries_used=retries_used,
        generation=observation.generation,
        source_digest=source_digest,
        requested=requested,
    )


def plan_of(run: RunStatus) -> JobPlan:
    """The plan that a recorded active run was made from."""
    return JobPlan(
        name=run.job,
        action=Action(run.action),
        run=run.run,
        attempt=run.attempt,
        retries_used=run.retries_used,
        generation=run.generation,
        source_digest=run.source_digest,
        requested=run.requested,
    )


def run_of(plan: JobPurpose, started_at: str) -> RunStatus:
    """A plan or a Job as the status tells it."""
    return RunStatus(
        job=plan.name,
        action=plan.action.value,
        run=plan.run,
        attempt=plan.attempt,
        retries_used=plan.retries_used,
        generation=plan.generation,
        source_digest=plan.source_digest,
        started_at=started_at,
        requested=plan.requested,
    )


def is_current(run: RunStatus | JobPurpose, observation: Observation, digest: str | None) -> bool:
    """Whether it was made for what is wanted now.

    With an unknown source (a ConfigMap is away for a moment) the source is not held against it.
    """
    if run.generation != observation.generation:
        return False
    if digest is not None and run.source_digest != digest:
        return False
    # A check's annotation is a wish of its own; it does not make the present state another one.
    # No annotation is no wish: one that is taken away again starts nothing.
    wish = observation.retry or run.requested or None
    return run.action == Action.CHECK or (run.requested or None) == wish
