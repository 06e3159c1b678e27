from __future__ import annotations

import copy

import pytest
from tests.unit.controller.situations import NOON, UID, spec, succeeded

from dbmigrate.api.names import Action
from dbmigrate.api.report.lines import result_line
from dbmigrate.controller import views
from dbmigrate.controller.decision import JobPlan
from dbmigrate.controller.manifests.job import job_manifest
from dbmigrate.controller.manifests.owner import Owner
from dbmigrate.controller.settings import Settings

PLAN = JobPlan("exams-1", Action.CHECK, 4, 2, 1, 7, "d" * 64, "now")


@pytest.fixture
def job():
    """A Job as the API server gives it back."""
    owner = Owner("shop", "exams", UID)
    made = job_manifest(owner, spec(), PLAN, Settings(runner_image="x"))
    made["metadata"]["creationTimestamp"] = "2026-06-01T12:00:00Z"
    return made


def container(**state):
    """A pod with the runner's container in this state, and a sidecar that runs."""
    return {
        "metadata": {
            "name": "exams-1-abcde",
            "labels": {"batch.kubernetes.io/job-name": "exams-1"},
            "creationTimestamp": "2026-06-01T12:00:00Z",
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {"name": "istio-proxy", "state": {"running": {}}},
                {"name": "runner", "state": state},
            ],
        },
    }


def test_job_is_read_back_as_it_was_planned(job):
    """All that a decision needs of a Job stands in the Job."""
    view = views.job_of(job, [], now=NOON)
    assert view is not None
    fields = {name: getattr(view, name) for name in JobPlan.__dataclass_fields__}
    assert JobPlan(**fields) == PLAN
    assert not view.over


def test_foreign_labels_make_no_job(job):
    """A Job that lacks our labels is nobody's, and no exception."""
    for label in ("run", "attempt", "action", "generation"):
        broken = copy.deepcopy(job)
        broken["metadata"]["labels"][f"dbmigrate.dev/{label}"] = "?"
        assert views.job_of(broken, [], now=NOON) is None


def test_ownership_is_by_uid(job):
    """A resource that was deleted and made anew does not own the old one's Jobs."""
    assert views.is_ours(job, UID)
    assert not views.is_ours(job, "another")


def test_sidecar_does_not_keep_a_run_going(job):
    """The runner's container decides, whatever else the pod runs."""
    ended = container(terminated={"exitCode": 1, "reason": "Error"})
    view = views.job_of(job, [ended], now=NOON)
    assert view is not None
    assert view.over
    assert view.exit_code == 1
    view = views.job_of(job, [container(running={})], now=NOON)
    assert view is not None
    assert not view.over


def test_result_is_read_from_the_termination_message(job):
    """When nobody followed the log, the message has the result."""
    message = result_line(succeeded())
    ended = container(terminated={"exitCode": 0, "message": message})
    view = views.job_of(job, [ended], now=NOON)
    assert view is not None
    assert view.result == succeeded()


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"waiting": {"reason": "ErrImagePull", "message": "no"}}, "ErrImagePull"),
        ({}, "Unschedulable"),
    ],
)
def test_reason_of_waiting(state, reason):
    """The container's own word, or else the scheduler's."""
    pod = container(**state)
    pod["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}
    ]
    view = views.pod_of(pod, now=NOON)
    assert view.waiting_reason == reason
    assert not view.started


def test_evicted_pod_has_ended_without_an_exit_code():
    """A pod that failed before its container started is over, and disrupted."""
    pod = container()
    pod["status"] = {
        "phase": "Failed",
        "reason": "Evicted",
        "conditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    view = views.pod_of(pod, now=NOON)
    assert (view.ended, view.exit_code, view.disrupted) == (True, None, True)
    assert view.ended_reason == "Evicted"


def test_invalid_spec_is_told_and_not_raised():
    """Each wrong field with its place; no value is repeated."""
    found, problem = views.spec_of({"spec": {"environment": "HUNTER2", "database": {}}})
    assert found is None
    assert "spec.database.secretRef" in problem
    assert "HUNTER2" not in problem


def test_status_of_another_form_is_empty():
    """What cannot be read can be rebuilt."""
    assert views.status_of({"status": {"phase": {"x": 1}}}).phase is None
