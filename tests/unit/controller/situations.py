"""Situations of one resource, in few words: what the tests of the decision start from.

Everything is for the same resource `exams` at noon, with one ConfigMap of two migrations, unless
a test says otherwise. `settle` plays the world's part: it applies a decision as the API server
and the Job controller would.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dbmigrate.api.databasemigration import (
    DatabaseMigrationSpec,
    DatabaseMigrationStatus,
    parse_spec,
)
from dbmigrate.api.names import Action
from dbmigrate.api.report.history import MigrationRecord
from dbmigrate.api.report.integrity import IntegrityReport, IntegrityResult
from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.api.report.plan import Direction
from dbmigrate.api.report.result import RunResult
from dbmigrate.controller.decide import decide
from dbmigrate.controller.decide.source import inspect
from dbmigrate.controller.decision import Decision
from dbmigrate.controller.observation import ConfigMapView, JobView, Observation, PodView
from dbmigrate.controller.timestamps import format_precise

NOON = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
UID = "8f7c1c9e-0000-4000-8000-000000000001"
SUM_1, SUM_2, SUM_3 = "1" * 64, "2" * 64, "3" * 64
FILES = (("v1.0.0_initial.sql", SUM_1), ("v1.1.0_users.sql", SUM_2))
CHECK = {"name": "users", "unique": {"table": "users", "columns": ["name"]}}

EXIT_CODES = {
    Outcome.SUCCEEDED: 0,
    Outcome.FAILED: 1,
    Outcome.BLOCKED: 3,
    Outcome.STOPPED: 6,
    Outcome.INTERRUPTED: 143,
}


def spec(**changes: Any) -> DatabaseMigrationSpec:
    """A small spec; keyword arguments are fields as a manifest writes them."""
    data: dict[str, Any] = {
        "environment": "production",
        "database": {"secretRef": {"name": "exams-db"}},
        "source": {"configMaps": [{"name": "exams-sql"}]},
    }
    return parse_spec({**data, **changes})


def config_map(*files: tuple[str, str], name: str = "exams-sql") -> ConfigMapView:
    """A ConfigMap with these files."""
    return ConfigMapView(name, found=True, files=tuple(sorted(files or FILES)))


def observed(**changes: Any) -> Observation:
    """The resource as it was just created, with changes."""
    first = Observation(
        now=NOON,
        namespace="shop",
        name="exams",
        uid=UID,
        generation=1,
        spec=spec(),
        config_maps=(config_map(),),
    )
    return replace(first, **changes)


def record(version: str, checksum: str, **changes: Any) -> MigrationRecord:
    """A row of the history."""
    names = dict(zip(("1.0.0", "1.1.0", "1.2.0"), ("initial", "users", "more"), strict=True))
    row = MigrationRecord(
        version=version,
        file=f"v{version}_{names[version]}.sql",
        checksum=checksum,
        type=Direction.FORWARD,
        status="completed",
        applied_at="2026-06-01T12:00:00Z",
    )
    return replace(row, **changes)


BOTH = (record("1.0.0", SUM_1), record("1.1.0", SUM_2))


def succeeded(**changes: Any) -> RunResult:
    """A run that applied both migrations."""
    result = RunResult(
        command="up",
        outcome=Outcome.SUCCEEDED,
        exit_code=0,
        finished_at=format_precise(NOON),
        current_version="1.1.0",
        database_known=True,
        applied=BOTH,
        history=BOTH,
        history_total=2,
    )
    return replace(result, **changes)


def ended(outcome: Outcome, code: str = "", **changes: Any) -> RunResult:
    """A run that ended otherwise; further arguments are fields of its failure."""
    failure = Failure(code=code, message=f"it is {code}", **changes) if code else None
    return RunResult(
        command="up",
        outcome=outcome,
        exit_code=EXIT_CODES[outcome],
        finished_at=format_precise(NOON),
        failure=failure,
    )


def integrity(*failed: str) -> IntegrityReport:
    """A report in which these checks failed, and the check `users` passed if none did."""
    results = tuple(IntegrityResult(name, "FAIL", "critical", "3 rows", 3) for name in failed)
    return IntegrityReport(
        checked_at=format_precise(NOON),
        healthy=not failed,
        summary=f"{len(failed)} critical" if failed else "Healthy",
        critical_failures=len(failed),
        results=results or (IntegrityResult("users", "PASS", "critical"),),
    )


def pod(**changes: Any) -> PodView:
    """A pod whose runner runs."""
    return replace(PodView(name="exams-pod", created_at=NOON, started=True), **changes)


def ended_pod(exit_code: int = 0, **changes: Any) -> PodView:
    """A pod whose runner has terminated."""
    return pod(ended=True, exit_code=exit_code, **changes)


def job_of(decision: Decision, *, at: datetime = NOON, **changes: Any) -> JobView:
    """The Job that was created by a decision, running."""
    plan = decision.create
    assert plan is not None, "the decision creates no Job"
    job = JobView(
        name=plan.name,
        action=plan.action,
        run=plan.run,
        attempt=plan.attempt,
        retries_used=plan.retries_used,
        generation=plan.generation,
        source_digest=plan.source_digest,
        requested=plan.requested,
        created_at=at,
        pods=(pod(),),
    )
    return replace(job, **changes)


def finish(job: JobView, result: RunResult | None, exit_code: int | None = None) -> JobView:
    """The Job after its runner ended, with its pod still there."""
    code = exit_code if exit_code is not None else result.exit_code if result else 0
    return replace(job, result=result, finished=True, pods=(ended_pod(code),))


def apply(observation: Observation, decision: Decision, **changes: Any) -> Observation:
    """What is seen after a decision was carried out: its status is written, its Job is there."""
    gone = set(decision.delete_jobs)
    jobs = tuple(job for job in observation.jobs if job.name not in gone)
    known = {job.name for job in jobs}
    if decision.create is not None and decision.create.name not in known:
        jobs = (*jobs, job_of(decision, at=observation.now))
    stopped = {stop.pod: stop.reason for stop in decision.stop}
    jobs = tuple(
        replace(
            job,
            pods=tuple(
                replace(each, stop_reason=stopped.get(each.name, each.stop_reason))
                for each in job.pods
            ),
        )
        for job in jobs
    )
    return replace(observation, status=decision.status, jobs=jobs, **changes)


def after_run(
    result: RunResult | None, *, exit_code: int | None = None, **changes: Any
) -> Observation:
    """A resource whose first Job has run and ended so, its result not yet booked."""
    first = observed(**changes)
    running = apply(first, decide(first))
    (job,) = running.jobs
    return replace(running, jobs=(finish(job, result, exit_code),))


def settled(result: RunResult | None = None, **changes: Any) -> Observation:
    """A resource whose first Job has ended so (well, if not said), with its result booked."""
    seen = after_run(result or succeeded(), **changes)
    return replace(seen, status=decide(seen).status)


def later(observation: Observation, **delta: float) -> Observation:
    """The same some time after, with everything else unchanged."""
    return replace(observation, now=observation.now + timedelta(**delta))


def condition(status: DatabaseMigrationStatus, kind: str) -> tuple[str, str]:
    """A condition's status and reason; empty texts when it is absent."""
    for each in status.conditions:
        if each.type == kind:
            return each.status, each.reason
    return "", ""


def standing(status: DatabaseMigrationStatus) -> tuple[str, str, str]:
    """Phase, kstatus's view of it, and the reason."""
    ready = condition(status, "Ready")
    truth = (ready[0], condition(status, "Reconciling")[0], condition(status, "Stalled")[0])
    views = {
        ("True", "False", "False"): "Current",
        ("False", "True", "False"): "InProgress",
        ("False", "False", "True"): "Failed",
        ("False", "False", "False"): "Waiting",
    }
    return status.phase or "", views[truth], ready[1]


def digest(observation: Observation) -> str:
    """The digest of the source as the operator sees it."""
    found = inspect(observation).digest
    assert found is not None
    return found


MIGRATE, STATUS, VERIFY = Action.MIGRATE, Action.STATUS, Action.CHECK
