from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from tests.unit.controller.situations import (
    MIGRATE,
    NOON,
    STATUS,
    after_run,
    apply,
    digest,
    ended,
    ended_pod,
    finish,
    later,
    observed,
    record,
    spec,
    standing,
    succeeded,
)

from dbmigrate.api.report.outcome import Outcome
from dbmigrate.controller.decide import decide
from dbmigrate.controller.timestamps import format_precise

FAILED, BLOCKED = Outcome.FAILED, Outcome.BLOCKED


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (ended(FAILED, "MigrationFailed", touched=True), ("Failed", "Failed", "MigrationFailed")),
        (ended(BLOCKED, "ChecksumMismatch"), ("Blocked", "Failed", "ChecksumMismatch")),
        (ended(BLOCKED, "DatabaseAhead"), ("Blocked", "Failed", "DatabaseAhead")),
        (ended(BLOCKED, "DuplicateVersion"), ("Blocked", "Failed", "DuplicateVersion")),
        (
            ended(FAILED, "Unreachable", transient=True),
            ("Pending", "InProgress", "Unreachable"),
        ),
        (
            ended(FAILED, "LockNotObtained", transient=True),
            ("Pending", "InProgress", "LockNotObtained"),
        ),
        (
            ended(FAILED, "MigrationFailed", transient=True, touched=True),
            ("Pending", "InProgress", "MigrationFailed"),
        ),
        (ended(BLOCKED, "SecretIncomplete"), ("Pending", "InProgress", "SecretIncomplete")),
        (
            ended(BLOCKED, "SourceChanged", transient=True),
            ("Pending", "InProgress", "SourceChanged"),
        ),
        (
            ended(Outcome.INTERRUPTED, "Interrupted", transient=True),
            ("Pending", "InProgress", "Interrupted"),
        ),
    ],
)
def test_end_of_a_run_is_told(result, expected):
    """What a person must mend is Failed to kstatus; what mends itself is in progress."""
    decision = decide(after_run(result))
    assert standing(decision.status) == expected
    assert decision.create is None
    assert decision.status.failure is not None
    assert [note.reason for note in decision.events] == [expected[2]]


def test_failure_is_told_with_its_place():
    """Version, file, line, SQLSTATE and the server's words reach the status."""
    result = ended(
        FAILED,
        "MigrationFailed",
        version="1.1.0",
        file="v1.1.0_users.sql",
        line=3,
        column=8,
        statement=3,
        sqlstate="42P01",
        detail="d",
        excerpt="x",
        touched=True,
    )
    failure = decide(after_run(result)).status.failure
    assert failure is not None
    told = failure.model_dump(exclude_none=True)
    expected = {
        "version": "1.1.0",
        "file": "v1.1.0_users.sql",
        "line": 3,
        "column": 8,
        "statement": 3,
        "sqlstate": "42P01",
    }
    assert expected.items() <= told.items()


def failing(observation, result, times):
    """The observation after so many attempts that ended so, each made as soon as it was due."""
    seen = observation
    for _ in range(times):
        decision = decide(seen)
        if decision.create is None:
            assert decision.again_at is not None
            seen = replace(seen, status=decision.status, now=decision.again_at)
            decision = decide(seen)
        seen = apply(seen, decision)
        *before, job = seen.jobs
        told = replace(result, finished_at=format_precise(seen.now))
        seen = replace(seen, jobs=(*before, finish(job, told)))
        seen = replace(seen, status=decide(seen).status)
    return seen


def test_pauses_grow_and_have_an_end():
    """2 s, 4 s, 8 s … and never more than five minutes."""
    seen = observed()
    pauses = []
    for _ in range(12):
        seen = failing(seen, ended(FAILED, "Unreachable", transient=True), 1)
        again = decide(seen).again_at
        assert again is not None
        pauses.append((again - seen.now).total_seconds())
    assert 1.5 < pauses[0] < 2.5
    assert all(one < other * 3 for one, other in pairwise(pauses))
    assert 200 < pauses[-1] <= 300


def test_unreachable_database_is_tried_for_ever():
    """The operator cannot see a Secret or a server being mended."""
    seen = failing(observed(), ended(FAILED, "Unreachable", transient=True), 25)
    decision = decide(seen)
    assert standing(decision.status)[1] == "InProgress"
    assert decision.again_at is not None


def test_same_fault_again_is_no_news():
    """One Event for a database that is away, not one for each attempt."""
    result = ended(FAILED, "Unreachable", transient=True)
    seen = failing(observed(), result, 1)
    due = decide(seen).again_at
    seen = replace(seen, now=due)
    seen = apply(seen, decide(seen))
    *before, job = seen.jobs
    told = decide(replace(seen, jobs=(*before, finish(job, result))))
    assert told.events == ()


def test_transient_fault_has_a_limit():
    """After execution.retryLimit retries of what had touched the database, a person decides."""
    result = ended(FAILED, "MigrationFailed", transient=True, touched=True)
    wanted = spec(execution={"retryLimit": 2})
    seen = failing(observed(spec=wanted), result, 2)
    assert standing(decide(seen).status)[1] == "InProgress"
    seen = failing(seen, result, 1)
    decision = decide(seen)
    assert standing(decision.status) == ("Failed", "Failed", "RetriesExhausted")
    assert decision.create is None


def test_waiting_for_a_database_spends_no_retries():
    """Twenty attempts at a database that is away leave all retries for what comes after."""
    wanted = spec(execution={"retryLimit": 1})
    seen = failing(observed(spec=wanted), ended(FAILED, "Unreachable", transient=True), 20)
    seen = failing(seen, ended(FAILED, "MigrationFailed", transient=True, touched=True), 1)
    assert standing(decide(seen).status)[1] == "InProgress"


def test_retry_waits_until_it_is_due():
    """No Job is made before the pause is over, then exactly the next attempt."""
    seen = after_run(ended(FAILED, "Unreachable", transient=True))
    decision = decide(seen)
    assert decision.status.next_attempt_at is not None
    seen = replace(seen, status=decision.status)
    assert decide(later(seen, seconds=1)).create is None
    due = decide(later(seen, seconds=3)).create
    assert due is not None
    assert (due.action, due.attempt, due.run) == (MIGRATE, 2, 2)


@pytest.mark.parametrize(
    ("pod", "code"),
    [
        (ended_pod(137), "Interrupted"),
        (ended_pod(137, ended_reason="OOMKilled"), "Interrupted"),
        (ended_pod(143, disrupted=True), "Interrupted"),
        (replace(ended_pod(), exit_code=None), "Interrupted"),
        (ended_pod(128, ended_reason="StartError"), "RunnerFailed"),
        (ended_pod(0), "RunnerFailed"),
    ],
)
def test_end_without_a_result_is_never_a_success(pod, code):
    """A killed runner is tried again; one that told nothing at all is a failure, even with 0."""
    seen = after_run(None)
    (job,) = seen.jobs
    status = decide(replace(seen, jobs=(replace(job, pods=(pod,)),))).status
    assert status.failure is not None
    assert status.failure.code == code
    assert standing(status)[1] == ("InProgress" if code == "Interrupted" else "Failed")
    assert pod.ended_reason in status.failure.message or code == "RunnerFailed"


def test_deadline_is_a_failure_and_not_an_interruption():
    """A run that took longer than it may is not tried again by itself."""
    seen = after_run(ended(Outcome.INTERRUPTED, "Interrupted", transient=True))
    (job,) = seen.jobs
    decision = decide(replace(seen, jobs=(replace(job, deadline_exceeded=True),)))
    assert standing(decision.status) == ("Failed", "Failed", "DeadlineExceeded")


class TestLostResult:
    """A Job that ended while nobody looked, with its pod gone."""

    def lost(self, **changes):
        """Its Job is finished and has no pod any more."""
        seen = after_run(None, **changes)
        return replace(seen, jobs=tuple(replace(job, pods=()) for job in seen.jobs))

    def vanished(self):
        """Its Job itself is gone: TTL has removed it."""
        first = observed()
        return later(observed(status=decide(first).status), hours=2)

    def asked(self, seen, result):
        """The same after a status Job has answered so."""
        seen = apply(seen, decide(seen))
        *before, job = seen.jobs
        assert job.action is STATUS
        told = replace(result, finished_at=format_precise(seen.now))
        return replace(seen, jobs=(*before, finish(job, told)))

    @pytest.mark.parametrize("how", ["lost", "vanished"])
    def test_database_is_asked_and_nothing_is_run(self, how):
        """Its result is not guessed, and the migration is not run a second time."""
        decision = decide(getattr(self, how)())
        assert decision.create is not None
        assert decision.create.action is STATUS
        assert standing(decision.status) == ("Verifying", "InProgress", "ResultLost")

    @pytest.mark.parametrize("how", ["lost", "vanished"])
    def test_database_that_has_everything_settles_it(self, how):
        """Every file applied with its checksum: the lost run had succeeded."""
        seen = self.asked(getattr(self, how)(), succeeded(command="status", applied=()))
        decision = decide(seen)
        assert decision.create is None
        assert standing(decision.status) == ("Succeeded", "Current", "UpToDate")
        assert decision.status.failure is None

    @pytest.mark.parametrize(
        "answer",
        [
            succeeded(pending=1, current_version="1.0.0"),
            succeeded(history=(record("1.0.0", "f" * 64), record("1.1.0", "2" * 64))),
            succeeded(truncated=True),
            succeeded(outcome=BLOCKED, exit_code=3),
        ],
        ids=["pending", "edited", "cut", "blocked"],
    )
    def test_without_a_proof_it_is_tried_again(self, answer):
        """What is pending, edited or not told in full leads to another attempt."""
        seen = self.asked(self.lost(), answer)
        decision = decide(seen)
        assert standing(decision.status)[1] == "InProgress"
        plan = decide(later(replace(seen, status=decision.status), minutes=1)).create
        assert plan is not None
        assert (plan.action, plan.attempt, plan.source_digest) == (MIGRATE, 2, digest(seen))

    def test_silent_database_is_asked_again_later(self):
        """A status Job that got no answer is repeated with a growing pause."""
        seen = self.asked(self.lost(), ended(FAILED, "Unreachable", transient=True))
        decision = decide(seen)
        assert decision.create is None
        assert standing(decision.status)[1] == "InProgress"
        plan = decide(later(replace(seen, status=decision.status), minutes=1)).create
        assert plan is not None
        assert (plan.action, plan.attempt) == (STATUS, 2)


def test_failure_of_the_first_attempt_is_booked_at_its_own_time():
    """Deciding late does not move the moments that are told."""
    seen = later(after_run(ended(FAILED, "Unreachable", transient=True)), minutes=30)
    status = decide(seen).status
    assert status.last_run is not None
    assert status.last_run.finished_at == format_precise(NOON)
