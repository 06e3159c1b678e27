"""How the resource stands, told from the work that was chosen and from what is booked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dbmigrate.api.databasemigration import DatabaseMigrationSpec, DatabaseMigrationStatus
from dbmigrate.api.names import Action, Phase, Reason
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.report.plan import Direction
from dbmigrate.api.status.progress import ProgressStatus
from dbmigrate.api.status.run import RunStatus
from dbmigrate.controller.decide.conditions import (
    Standing,
    conditions_of,
    in_progress,
    stalled,
    with_next_step,
)
from dbmigrate.controller.decide.facts import EMPTY_DATABASE, MESSAGE_LIMIT, placed
from dbmigrate.controller.decide.jobs import is_current, run_of
from dbmigrate.controller.decide.recovery import LATEST
from dbmigrate.controller.decide.retry import LOST, is_exhausted
from dbmigrate.controller.decide.source import SourceView
from dbmigrate.controller.decide.work import POD_PATIENCE, Kind, Work
from dbmigrate.controller.observation import JobView, Observation
from dbmigrate.controller.timestamps import format_precise, format_time
from dbmigrate.migrations.version import Version
from dbmigrate.texts import cut

_TRANSIENT_WAITS = frozenset({"", "ContainerCreating", "PodInitializing"})


def assemble(
    observation: Observation,
    spec: DatabaseMigrationSpec,
    status: DatabaseMigrationStatus,
    source: SourceView,
    work: Work,
) -> DatabaseMigrationStatus:
    """The whole status to be written, from the booked one."""
    standing = _standing(observation, spec, status, source, work)
    if not standing.ready:
        standing = replace(standing, message=_with_unfinished(standing.message, status))
    later = format_time(work.again_at) if work.kind is Kind.LATER and work.again_at else None
    status = status.model_copy(
        update={
            "observed_generation": observation.generation,
            "phase": standing.phase.value,
            "message": cut(standing.message, MESSAGE_LIMIT),
            "target_version": _target(spec, source),
            "source_digest": source.digest or status.source_digest,
            "progress": _progress(work),
            "active_run": _active(observation, status, work),
            "next_attempt_at": later,
        }
    )
    conditions = conditions_of(
        standing,
        status,
        generation=observation.generation,
        now=observation.now,
        has_checks=bool(spec.integrity_checks),
    )
    return status.model_copy(update={"conditions": conditions})


def _with_unfinished(message: str, status: DatabaseMigrationStatus) -> str:
    """The message, and that a file is applied in part: whoever reads on must know it."""
    part = status.unfinished
    if part is None:
        return message
    told = f"{part.file} is applied in part, {part.statements_done} of its statements"
    if part.statement_in_doubt:
        told += f", and statement {part.statement_in_doubt} is in doubt"
    return f"{cut(message, MESSAGE_LIMIT - len(told) - 3)} ({told})"


def _target(spec: DatabaseMigrationSpec, source: SourceView) -> str:
    if spec.target_version != LATEST:
        return spec.target_version.removeprefix("v")
    return str(source.latest) if source.latest else LATEST


def _progress(work: Work) -> ProgressStatus | None:
    if work.kind not in (Kind.WATCH, Kind.STOP) or work.job is None:
        return None
    if work.job.action is not Action.MIGRATE or work.booked:
        return None
    return work.job.progress.status if work.job.progress else None


def _active(
    observation: Observation, status: DatabaseMigrationStatus, work: Work
) -> RunStatus | None:
    if work.kind is Kind.ABSENT:
        return status.active_run
    if work.plan is not None:
        if status.active_run is not None and status.active_run.job == work.plan.name:
            return status.active_run
        return run_of(work.plan, format_precise(observation.now))
    if work.kind in (Kind.WATCH, Kind.STOP) and work.job is not None and not work.booked:
        if status.active_run is not None and status.active_run.job == work.job.name:
            return status.active_run
        return run_of(work.job, format_precise(work.job.created_at))
    return None


def _standing(  # noqa: PLR0911 -- one for each kind of work
    observation: Observation,
    spec: DatabaseMigrationSpec,
    status: DatabaseMigrationStatus,
    source: SourceView,
    work: Work,
) -> Standing:
    if work.kind is Kind.SUSPENDED:
        text = with_next_step(Reason.SUSPENDED, "nothing is started while it is suspended")
        return Standing(Phase.SUSPENDED, Reason.SUSPENDED, text)
    if work.kind is Kind.SOURCE:
        return _source_standing(source)
    if work.kind is Kind.REFUSED:
        text = with_next_step(
            Reason.JOB_REFUSED, f"the API server refuses the Job: {observation.job_refused}"
        )
        return in_progress(Phase.PENDING, Reason.JOB_REFUSED, text)
    if work.kind is Kind.STOP:
        what = "it is suspended" if spec.suspend else "the spec or the source has changed"
        text = f"{what}: the run stops after the file that it is at"
        return in_progress(Phase.MIGRATING, Reason.STOPPING, text)
    action = _action(status, work)
    lost = status.last_run is not None and status.last_run.outcome == LOST
    if action is Action.MIGRATE:
        return _migrating(observation, spec, status, source, work)
    if action is not None and lost:
        text = "the result of the last run was lost; the database is asked where it stands"
        return in_progress(Phase.VERIFYING, Reason.RESULT_LOST, text)
    if source.digest is None:
        # A verification runs on: it asks the database, not the source.
        return _source_standing(source)
    if work.kind is Kind.LATER:
        return _later(status, work)
    return _settled(observation, spec, status, source)


def _action(status: DatabaseMigrationStatus, work: Work) -> Action | None:
    """What the Job is for that runs, or is about to."""
    if work.plan is not None:
        return work.plan.action
    if work.kind is Kind.ABSENT and status.active_run is not None:
        return Action(status.active_run.action)
    return work.job.action if work.job else None


def _source_standing(source: SourceView) -> Standing:
    reason = source.problem or Reason.INVALID_SOURCE
    text = with_next_step(reason, source.message)
    if reason is Reason.WAITING_FOR_SOURCE:
        return in_progress(Phase.PENDING, reason, text)
    return stalled(Phase.BLOCKED, reason, text)


def _migrating(
    observation: Observation,
    spec: DatabaseMigrationSpec,
    status: DatabaseMigrationStatus,
    source: SourceView,
    work: Work,
) -> Standing:
    target = _target(spec, source)
    phase = _direction(spec, status, work)
    verb = "rolling back" if phase is Phase.ROLLING_BACK else "migrating"
    begin = f"{verb} to {target}"
    attempt = work.plan.attempt if work.plan else work.job.attempt if work.job else 1
    if attempt > 1:
        begin += f", attempt {attempt}"
    job = work.job
    if job is None or work.booked:
        return in_progress(phase, Reason.RUNNING, begin)
    waiting = _pod_waits(job, spec, observation.now)
    if waiting:
        text = with_next_step(Reason.WAITING_FOR_POD, waiting)
        return in_progress(Phase.PENDING, Reason.WAITING_FOR_POD, text)
    progress = job.progress
    if progress is None:
        return in_progress(phase, Reason.RUNNING, begin)
    if progress.waiting:
        return in_progress(phase, Reason.WAITING_FOR_LOCK, progress.waiting)
    told = progress.status
    if told.file and told.number and told.of:
        begin = f"{verb}: {told.file} ({told.number} of {told.of}){_how_far(told)}"
    return in_progress(phase, Reason.RUNNING, begin)


def _how_far(told: ProgressStatus) -> str:
    if told.phase is None:
        return ""
    return f", {told.phase}" if told.percent is None else f", {told.phase}, {told.percent} %"


def _direction(spec: DatabaseMigrationSpec, status: DatabaseMigrationStatus, work: Work) -> Phase:
    if work.job is not None and work.job.progress is not None:
        back = work.job.progress.direction is Direction.ROLLBACK
        return Phase.ROLLING_BACK if back else Phase.MIGRATING
    if spec.target_version == LATEST or status.current_version is None:
        return Phase.MIGRATING
    back = _number(spec.target_version) < _number(status.current_version)
    return Phase.ROLLING_BACK if back else Phase.MIGRATING


def _number(version: str) -> Version:
    if version == EMPTY_DATABASE:
        return Version(0, 0, 0)
    try:
        return Version.parse(version)
    except ValueError:
        return Version(0, 0, 0)


def _pod_waits(job: JobView, spec: DatabaseMigrationSpec, now: datetime) -> str:
    """What keeps the runner's container from starting; empty when it is on its way."""
    if any(pod.started for pod in job.pods):
        return ""
    if not job.pods and now - job.created_at >= POD_PATIENCE:
        return (
            f"the Job {job.name} has got no pod; a quota or an admission policy may refuse it: "
            f"kubectl describe job {job.name}"
        )
    for pod in job.pods:
        if pod.waiting_reason in _TRANSIENT_WAITS and now - pod.created_at < POD_PATIENCE:
            continue
        secret = spec.database.secret_ref.name
        told = f": {pod.waiting_message or f'it mounts the Secret {secret}, which must exist'}"
        return cut(f"the pod {pod.name} waits, {pod.waiting_reason or 'Pending'}{told}", 700)
    return ""


def _later(status: DatabaseMigrationStatus, work: Work) -> Standing:
    failure = status.failure
    reason = failure.code if failure else Reason.RETRYING
    text = placed(failure) if failure else "the last attempt did not finish"
    at = f"; tried again at {format_time(work.again_at)}" if work.again_at else ""
    return in_progress(Phase.PENDING, reason, with_next_step(reason, cut(text, 600) + at))


def _settled(
    observation: Observation,
    spec: DatabaseMigrationSpec,
    status: DatabaseMigrationStatus,
    source: SourceView,
) -> Standing:
    last, failure = status.last_run, status.failure
    if last is None or not is_current(last, observation, source.digest):
        # Only a Job that was made by hand of ours for another state leads here.
        return in_progress(Phase.PENDING, Reason.PENDING, "waiting for the running Job to end")
    if last.outcome == Outcome.SUCCEEDED:
        current = status.current_version or EMPTY_DATABASE
        where = "has no migration applied" if current == EMPTY_DATABASE else f"is at {current}"
        return Standing(Phase.SUCCEEDED, Reason.UP_TO_DATE, f"the database {where}", ready=True)
    code = failure.code if failure else str(last.outcome)
    text = placed(failure) if failure else f"the last run ended as {last.outcome}"
    if is_exhausted(last, failure, spec.execution.retry_limit):
        text = f"{cut(text, 600)}; tried {last.attempt} times"
        message = with_next_step(Reason.RETRIES_EXHAUSTED, text)
        return stalled(Phase.FAILED, Reason.RETRIES_EXHAUSTED, message)
    message = with_next_step(code, text, failure.hint if failure else None)
    phase = Phase.BLOCKED if last.outcome == Outcome.BLOCKED else Phase.FAILED
    return stalled(phase, code, message)
