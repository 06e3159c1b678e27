from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.controller.situations import apply, later, observed, pod, standing

from dbmigrate.api.report.plan import Direction
from dbmigrate.api.status.progress import BlockerStatus, ProgressStatus
from dbmigrate.controller.decide import decide
from dbmigrate.controller.decision import EventType
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


def blocked(*pids, message="waits for the lock on users: process 41"):
    """A running Job's progress while these processes are in its way."""
    blockers = tuple(BlockerStatus(pid=pid, query=f"select {pid}") for pid in pids)
    return LiveProgress(ProgressStatus(message=message, blockers=blockers), waiting=message)


def with_progress(observation, progress):
    """The same, with its Job having told this."""
    (job,) = observation.jobs
    return replace(observation, jobs=(replace(job, progress=progress),))


def test_whom_a_run_waits_for_is_told_in_one_event():
    """With what they do; the status has the sentence and the list."""
    seen = running(progress=blocked(41, 42))
    decision = decide(seen)
    (event,) = decision.events
    assert (event.type, event.reason) == (EventType.WARNING, "WaitingForLock")
    assert event.message == (
        "waits for the lock on users: process 41; process 41: select 41; process 42: select 42"
    )
    assert decision.status.message == "waits for the lock on users: process 41"
    assert decision.status.progress is not None
    assert [each.pid for each in decision.status.progress.blockers or ()] == [41, 42]


def test_the_same_ones_are_told_once_however_long_they_stay():
    """Their age changes the message, not the news; nor does another order."""
    seen = running(progress=blocked(41, 42))
    again = apply(seen, decide(seen))
    longer = with_progress(again, blocked(42, 41, message="waits: 41, for 5 min"))
    decision = decide(longer)
    assert decision.events == ()
    assert decision.status.message == "waits: 41, for 5 min"


def test_the_same_ones_after_a_try_in_between_make_the_same_event():
    """The API server refuses it by its name: two operators, or two tries, tell it once."""
    seen = running(progress=blocked(41))
    (first,) = decide(seen).events
    free = apply(seen, decide(seen))
    free = with_progress(free, LiveProgress(ProgressStatus()))
    blocked_again = with_progress(apply(free, decide(free)), blocked(41))
    (second,) = decide(blocked_again).events
    assert first.key == second.key


def test_another_one_in_the_way_is_another_event():
    """A new name is news."""
    seen = running(progress=blocked(41))
    (first,) = decide(seen).events
    other = with_progress(apply(seen, decide(seen)), blocked(43))
    (second,) = decide(other).events
    assert first.key != second.key


def test_how_far_a_long_statement_is_is_said():
    """Phase and per cent stand behind the file."""
    told = ProgressStatus(
        file="v1.1.0_users.sql", number=2, of=7, phase="scanning heap", percent=43
    )
    status = decide(running(progress=LiveProgress(told))).status
    assert status.message == "migrating: v1.1.0_users.sql (2 of 7), scanning heap, 43 %"
    told = told.model_copy(update={"percent": None})
    status = decide(running(progress=LiveProgress(told))).status
    assert status.message == "migrating: v1.1.0_users.sql (2 of 7), scanning heap"
