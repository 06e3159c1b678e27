from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.controller.situations import (
    FILES,
    MIGRATE,
    SUM_3,
    after_run,
    apply,
    config_map,
    digest,
    ended,
    ended_pod,
    finish,
    later,
    observed,
    pod,
    record,
    settled,
    spec,
    standing,
    succeeded,
)

from dbmigrate.api.report.outcome import Outcome
from dbmigrate.controller.decide import decide


def test_new_resource_is_migrated():
    """A new resource gets a migrate Job for its generation and its source."""
    seen = observed()
    decision = decide(seen)
    plan = decision.create
    assert plan is not None
    assert (plan.action, plan.run, plan.attempt) == (MIGRATE, 1, 1)
    assert (plan.generation, plan.source_digest) == (1, digest(seen))
    assert standing(decision.status) == ("Migrating", "InProgress", "Running")
    assert decision.status.active_run is not None
    assert decision.status.active_run.job == plan.name


def test_two_operators_choose_the_same_job():
    """The Job's name depends on what is seen, not on who sees it or when."""
    here, there = decide(observed()).create, decide(later(observed(), seconds=7)).create
    assert here is not None
    assert here == there


def test_job_that_we_wrote_down_and_could_not_create_is_created_under_the_same_name():
    """An API server that was away between the status and the Job costs nothing."""
    first = decide(observed())
    assert first.create is not None
    again = decide(observed(status=first.status, uncreated=first.create.name))
    assert again.create == first.create
    assert again.status == first.status


def test_job_that_another_wrote_down_is_waited_for():
    """Another may be creating it this moment; or it ran and is gone: never run it twice."""
    first = decide(observed())
    again = decide(later(observed(status=first.status), seconds=5))
    assert again.create is None
    assert again.status == first.status
    assert again.again_at == later(observed(), seconds=30).now


def test_job_that_is_no_longer_wanted_before_it_was_seen_keeps_its_number():
    """Should it appear after all, its number is not that of the Job in its place."""
    first = decide(observed())
    seen = replace(later(observed(status=first.status), seconds=5), generation=2)
    plan = decide(seen).create
    assert plan is not None
    assert (plan.generation, plan.run) == (2, 2)


def test_success_is_current():
    """A succeeded run for the present generation and source makes the resource Ready."""
    decision = decide(after_run(succeeded()))
    status = decision.status
    assert standing(status) == ("Succeeded", "Current", "UpToDate")
    assert (status.current_version, status.pending, status.migrations_total) == ("1.1.0", 0, 2)
    assert [each.checksum for each in status.migrations] == [FILES[0][1], FILES[1][1]]
    assert status.last_run is not None
    assert status.last_run.exit_code == 0
    assert status.active_run is None
    assert decision.create is None
    assert [note.reason for note in decision.events] == ["Migrated"]


def test_settled_resource_gets_nothing_after_a_restart():
    """What is settled stays so: no Job, no Event, not a byte of status."""
    seen = later(settled(), minutes=1)
    decision = decide(seen)
    assert decision.status == seen.status
    assert (decision.create, decision.events, decision.stop) == (None, (), ())


def test_settled_resource_stays_settled_when_its_job_is_gone():
    """A Job that TTL removed after its result was recorded is not missed."""
    seen = later(settled(), minutes=2)
    decision = decide(replace(seen, jobs=()))
    assert decision.create is None
    assert decision.status == seen.status


def test_changed_source_is_migrated():
    """A new file in a ConfigMap makes the resource not Ready and starts a run."""
    before = settled()
    seen = replace(before, config_maps=(config_map(*FILES, ("v1.2.0_more.sql", SUM_3)),))
    decision = decide(seen)
    assert decision.create is not None
    assert decision.create.source_digest == digest(seen) != digest(before)
    assert decision.create.run == 2
    assert standing(decision.status) == ("Migrating", "InProgress", "Running")
    assert decision.status.target_version == "1.2.0"


def test_changed_spec_is_migrated():
    """A new generation starts a run of its own."""
    decision = decide(replace(settled(), generation=2))
    assert decision.create is not None
    assert decision.create.generation == 2


def test_retry_annotation_runs_a_failed_migration_again():
    """A failure stays until a person asks for another try."""
    failed = settled(ended(Outcome.FAILED, "MigrationFailed", touched=True))
    assert decide(failed).create is None
    decision = decide(replace(failed, retry="2026-06-01"))
    assert decision.create is not None
    assert (decision.create.attempt, decision.create.requested) == (1, "2026-06-01")


def test_target_below_the_present_version_is_a_rollback():
    """The status says so before the runner has said anything."""
    seen = replace(settled(), generation=2, spec=spec(targetVersion="1.0.0"))
    status = decide(seen).status
    assert status.phase == "RollingBack"
    assert status.target_version == "1.0.0"


def test_running_job_is_left_alone():
    """While the right Job runs, there is nothing to do but to follow its log."""
    first = observed()
    running = apply(first, decide(first))
    decision = decide(running)
    assert decision.create is None
    assert decision.stop == ()
    assert decision.follow == (running.jobs[0].name,)


@pytest.mark.parametrize("change", ["spec", "source", "suspend"])
def test_unwanted_run_is_asked_to_stop_and_nothing_starts_beside_it(change):
    """Neither a changed spec nor source nor suspend interrupts a running file."""
    first = observed()
    running = apply(first, decide(first))
    changed = {
        "spec": replace(running, generation=2),
        "source": replace(running, config_maps=(config_map(("v2.0.0_x.sql", SUM_3)),)),
        "suspend": replace(running, generation=2, spec=spec(suspend=True)),
    }[change]
    decision = decide(changed)
    assert [stop.pod for stop in decision.stop] == ["exams-pod"]
    assert (decision.create, decision.delete_jobs) == (None, ())
    assert standing(decision.status) == ("Migrating", "InProgress", "Stopping")
    again = decide(apply(changed, decision))
    assert (again.stop, again.create, again.delete_jobs) == ((), None, ())


def test_unwanted_job_that_cannot_start_is_deleted_after_it_was_asked_to_stop():
    """A pod that waits for a missing Secret would wait for ever; one that starts stops itself."""
    first = observed()
    running = apply(first, decide(first))
    (job,) = running.jobs
    waiting = replace(running, generation=2, jobs=(replace(job, pods=(pod(started=False),)),))
    asked = decide(waiting)
    assert (len(asked.stop), asked.delete_jobs) == (1, ())
    assert decide(apply(waiting, asked)).delete_jobs == (job.name,)


def test_run_for_an_older_source_settles_nothing():
    """Its facts are booked; the new source gets its own run."""
    seen = after_run(succeeded())
    seen = replace(seen, config_maps=(config_map(*FILES, ("v1.2.0_more.sql", SUM_3)),))
    decision = decide(seen)
    assert decision.status.current_version == "1.1.0"
    assert decision.create is not None
    assert decision.create.source_digest == digest(seen)
    assert standing(decision.status)[1] == "InProgress"


def test_stopped_run_is_followed_by_the_new_state_at_once():
    """After the file that it was at, the run for the new generation starts."""
    seen = replace(after_run(ended(Outcome.STOPPED)), generation=2)
    decision = decide(seen)
    assert decision.create is not None
    assert (decision.create.generation, decision.create.attempt) == (2, 1)
    assert decision.status.failure is None


def test_suspended_resource_starts_nothing():
    """Suspended is neither ready nor failed, and no Job is made."""
    decision = decide(observed(spec=spec(suspend=True)))
    assert decision.create is None
    assert standing(decision.status) == ("Suspended", "Waiting", "Suspended")


def test_result_in_the_log_is_booked_before_the_container_has_ended():
    """The log's last line is the first news; nothing starts beside the container that ends."""
    first = observed()
    running = apply(first, decide(first))
    (job,) = running.jobs
    told = replace(running, jobs=(replace(job, result=succeeded()),))
    decision = decide(told)
    assert standing(decision.status) == ("Succeeded", "Current", "UpToDate")
    # The log is forgotten once it is booked; the container may still be seen running.
    forgotten = replace(told, status=decision.status, jobs=(job,))
    assert decide(forgotten).status == decision.status
    changed = decide(replace(forgotten, generation=2))
    assert (changed.create, changed.stop) == (None, ())
    assert standing(changed.status)[1] == "InProgress"


def test_success_that_the_container_denies_is_asked_after():
    """An exit code other than the result's makes the result worth nothing."""
    seen = settled()
    (job,) = seen.jobs
    decision = decide(replace(seen, jobs=(replace(job, pods=(ended_pod(137),)),)))
    assert decision.create is not None
    assert decision.create.action == "status"
    assert standing(decision.status) == ("Verifying", "InProgress", "ResultLost")


def test_result_is_booked_once():
    """A Job that stays around after its result was booked changes nothing any more."""
    old = settled()
    newer = decide(replace(old, generation=2))
    seen = apply(replace(old, generation=2), newer)
    result = succeeded(current_version="1.0.0", history=(record("1.0.0", FILES[0][1]),), applied=())
    done = replace(seen, jobs=(seen.jobs[0], finish(seen.jobs[1], result)))
    assert decide(done).status.current_version == "1.0.0"


def test_deleting_resource_is_left_alone():
    """Its Job goes with it by the owner reference; nothing is written to what is going."""
    seen = replace(settled(), deleting=True, generation=2)
    decision = decide(seen)
    assert decision.status == seen.status
    assert (decision.create, decision.stop, decision.delete_jobs) == (None, (), ())


def test_refused_job_is_told_and_tried_later():
    """A quota that forbids the Job is a reason in the status, not a hot loop."""
    decision = decide(observed(job_refused="exceeded quota: jobs"))
    assert decision.create is None
    assert standing(decision.status) == ("Pending", "InProgress", "JobRefused")
    assert "exceeded quota" in (decision.status.message or "")
    assert decision.again_at is not None
