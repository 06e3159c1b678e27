"""How a Job ended: by its runner's own word, or by what Kubernetes says of its pod."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from dbmigrate.api.names import Reason
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.report.result import RunResult
from dbmigrate.api.status.run import FailureStatus, RunStatus
from dbmigrate.controller.decide import facts
from dbmigrate.controller.decide.jobs import run_of
from dbmigrate.controller.decide.retry import LOST
from dbmigrate.controller.observation import JobView, Observation
from dbmigrate.controller.timestamps import format_precise, parse_time

_SKEW = timedelta(seconds=2)
"""How far the clocks of two machines may differ without being held against them."""
_KILLED = (137, 143)
"""128 + SIGKILL, 128 + SIGTERM."""


def ended(job: JobView, observation: Observation) -> tuple[RunStatus, RunResult | None]:
    """The run with its outcome, and the runner's result if there is one."""
    active = observation.status.active_run
    known = active is not None and active.job == job.name
    started = active.started_at if active and known else format_precise(job.created_at)
    run = run_of(job, started)
    result = job.result
    if result is None:
        outcome, finished = _without_result(job), format_precise(observation.now)
        return run.model_copy(
            update={"outcome": outcome, "finished_at": finished, "exit_code": job.exit_code}
        ), None
    result = _by_our_clock(result, started, observation.now)
    update = {
        "outcome": result.outcome.value,
        "finished_at": result.finished_at,
        "exit_code": result.exit_code,
        "duration_ms": result.duration_ms,
    }
    if result.outcome is Outcome.INTERRUPTED and job.deadline_exceeded:
        update["outcome"] = Outcome.FAILED.value
    return run.model_copy(update=update), result


def _by_our_clock(result: RunResult, started: str, now: datetime) -> RunResult:
    """The result, whose end is now when the runner's clock says what cannot be.

    Pauses and intervals are counted from it by our clock, so its node's must not stretch them.
    """
    finished, begun = parse_time(result.finished_at), parse_time(started)
    is_credible = finished is not None and finished <= now + _SKEW
    if is_credible and (begun is None or finished is None or begun - _SKEW <= finished):
        return result
    return replace(result, finished_at=format_precise(now))


def _without_result(job: JobView) -> str:
    if job.deadline_exceeded:
        return Outcome.FAILED.value
    if not job.pods:
        return LOST
    disrupted = any(pod.disrupted or pod.exit_code is None for pod in job.pods)
    if disrupted or job.exit_code in _KILLED:
        return Outcome.INTERRUPTED.value
    return Outcome.FAILED.value


def failure_of(job: JobView, run: RunStatus, result: RunResult | None) -> FailureStatus | None:
    """Why a run did not succeed, in words for people."""
    if job.deadline_exceeded and run.outcome == Outcome.FAILED:
        return FailureStatus(
            code=Reason.DEADLINE_EXCEEDED,
            message="the run took longer than execution.activeDeadlineSeconds and was ended; its "
            "open transaction was undone",
            touched=True,
        )
    if result is not None and run.outcome != LOST:
        return facts.failure_status(result.failure) if result.failure else None
    if run.outcome == LOST:
        return FailureStatus(
            code=Reason.RESULT_LOST,
            message="the Job ended and its result could not be read; the database is asked",
            touched=True,
        )
    if run.outcome == Outcome.INTERRUPTED:
        why = "evicted or preempted" if any(pod.disrupted for pod in job.pods) else "killed"
        words = ", ".join(sorted({pod.ended_reason for pod in job.pods if pod.ended_reason}))
        why += f" ({words})" if words else ""
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
