"""Ends and waits that are easily taken for something better than they are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.controller.situations import (
    CHECK,
    NOON,
    STATUS,
    after_run,
    apply,
    ended,
    finish,
    integrity,
    later,
    observed,
    settled,
    spec,
    standing,
    succeeded,
)

from dbmigrate.api.report.outcome import Outcome
from dbmigrate.controller.decide import decide
from dbmigrate.controller.timestamps import format_precise


@pytest.mark.parametrize("unproved", [{"database_known": False}, {"source_digest": "f" * 64}])
def test_success_that_proves_nothing_is_asked_after(unproved):
    """Without an answer of the database, or for another source, nobody says Ready."""
    decision = decide(after_run(succeeded(**unproved)))
    assert decision.create is not None
    assert decision.create.action is STATUS
    assert standing(decision.status) == ("Verifying", "InProgress", "ResultLost")


def test_empty_check_annotation_is_no_wish():
    """Else the checks would run again and again."""
    seen = after_run(succeeded(integrity=integrity()), spec=spec(integrityChecks=[CHECK]), check="")
    assert decide(seen).create is None


def without_a_pod(**changes):
    """The first Job is there, and its namespace takes no pod."""
    running = apply(observed(), decide(observed()))
    (job,) = running.jobs
    return replace(later(running, seconds=11), jobs=(replace(job, pods=()),), **changes)


def test_job_that_gets_no_pod_is_explained():
    """It does not run, and the status must not say so."""
    status = decide(without_a_pod()).status
    assert standing(status) == ("Pending", "InProgress", "WaitingForPod")
    assert "kubectl describe job" in status.message


def test_unwanted_job_that_gets_no_pod_is_deleted():
    """The corrected spec would wait for it until its deadline."""
    seen = without_a_pod(generation=2)
    assert decide(seen).delete_jobs == (seen.jobs[0].name,)
    fresh = replace(seen, now=seen.jobs[0].created_at)
    assert decide(fresh).delete_jobs == ()


def test_short_form_of_a_result_still_proves():
    """Its digest may have been cut."""
    running = apply(observed(), decide(observed()))
    result = succeeded(truncated=True, source_digest="ff…", history=())
    seen = replace(running, jobs=(finish(running.jobs[0], result),))
    assert standing(decide(seen).status)[0] == "Succeeded"


@pytest.mark.parametrize("skew", [-7200, 7200])
def test_runner_with_a_wrong_clock_does_not_stretch_what_is_counted_from_its_end(skew):
    """The end of a run is when it was seen, if the runner's word for it cannot be true."""
    told = format_precise(NOON + timedelta(seconds=skew))
    status = decide(after_run(succeeded(finished_at=told))).status
    assert (status.verified_at, status.last_run.finished_at) == (format_precise(NOON),) * 2


def test_retry_annotation_that_is_taken_away_starts_nothing():
    """Only a new value is a wish."""
    failed = settled(ended(Outcome.FAILED, "MigrationFailed"), retry="again")
    assert decide(replace(failed, retry=None)).create is None
    assert decide(replace(failed, retry="once more")).create is not None


def test_runs_that_stop_again_and_again_are_not_started_without_a_pause():
    """The first goes on at once; a stop that does not go away must not fill the cluster."""
    stopped = after_run(ended(Outcome.STOPPED))
    again = decide(stopped)
    assert again.create is not None
    seen = apply(stopped, again)
    second = seen.jobs[-1]
    assert decide(replace(seen, jobs=(finish(second, ended(Outcome.STOPPED)),))).create is None
