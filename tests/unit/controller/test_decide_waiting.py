from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.controller.situations import apply, later, observed, pod, standing

from dbmigrate.api.report import Direction
from dbmigrate.api.status import ProgressStatus
from dbmigrate.controller.decide import decide
from dbmigrate.controller.observation import LiveProgress


def running(**changes):
    """The first Job, with a pod like this."""
    first = observed()
    seen = apply(first, decide(first))
    (job,) = seen.jobs
    return replace(seen, jobs=(replace(job, **changes),))


@pytest.mark.parametrize(
    ("waiting", "seconds", "reason", "words"),
    [
        ("ErrImagePull", 1, "WaitingForPod", "ErrImagePull: no such image"),
        ("CreateContainerConfigError", 1, "WaitingForPod", "CreateContainerConfigError"),
        ("Unschedulable", 1, "WaitingForPod", "Unschedulable"),
        ("ContainerCreating", 2, "Running", "migrating"),
        ("ContainerCreating", 20, "WaitingForPod", "Secret exams-db"),
    ],
)
def test_pod_that_cannot_start_is_explained(waiting, seconds, reason, words):
    """What keeps the pod from starting is said at once; what is usual, only when it lasts."""
    message = "no such image" if waiting == "ErrImagePull" else ""
    stuck = pod(started=False, waiting_reason=waiting, waiting_message=message)
    status = decide(later(running(pods=(stuck,)), seconds=seconds)).status
    assert standing(status)[1:] == ("InProgress", reason)
    assert words in (status.message or "")


def test_waiting_pod_is_not_replaced():
    """Kubelet tries again by itself: there is no new attempt for a missing Secret."""
    stuck = pod(started=False, waiting_reason="ContainerCreating")
    decision = decide(later(running(pods=(stuck,)), hours=5))
    assert (decision.create, decision.stop, decision.delete_jobs) == (None, (), ())


def test_waiting_for_another_runner_is_said():
    """Two resources at one database: the second says whom it waits for."""
    progress = LiveProgress(
        ProgressStatus(message="held by shop/other"), waiting="held by shop/other"
    )
    status = decide(running(progress=progress)).status
    assert standing(status) == ("Migrating", "InProgress", "WaitingForLock")
    assert status.message == "held by shop/other"


def test_progress_is_told():
    """Which file, and the how manieth of how many."""
    told = ProgressStatus(version="1.1.0", file="v1.1.0_users.sql", number=2, of=7)
    status = decide(running(progress=LiveProgress(told))).status
    assert status.progress == told
    assert status.message == "migrating: v1.1.0_users.sql (2 of 7)"


def test_rollback_is_called_so():
    """The runner's plan says which way it goes."""
    progress = LiveProgress(ProgressStatus(), direction=Direction.ROLLBACK)
    assert decide(running(progress=progress)).status.phase == "RollingBack"


def test_job_without_a_pod_is_waited_for():
    """The Job controller makes the pod in its own time."""
    decision = decide(running(pods=()))
    assert decision.create is None
    assert standing(decision.status) == ("Migrating", "InProgress", "Running")
    assert decision.again_at is not None
