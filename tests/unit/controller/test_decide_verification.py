from __future__ import annotations

from dataclasses import replace

from tests.unit.controller.situations import (
    CHECK,
    MIGRATE,
    STATUS,
    SUM_1,
    VERIFY,
    after_run,
    apply,
    condition,
    ended,
    finish,
    integrity,
    later,
    observed,
    record,
    settled,
    spec,
    standing,
    succeeded,
)

from dbmigrate.api.report.outcome import Outcome
from dbmigrate.controller.decide import decide
from dbmigrate.controller.timestamps import format_precise, parse_time

CHECKED = spec(integrityChecks=[CHECK])


def answered(seen, result):
    """The Job that is due has run and answered so."""
    seen = apply(seen, decide(seen))
    *before, job = seen.jobs
    told = replace(result, finished_at=format_precise(seen.now))
    return replace(seen, jobs=(*before, finish(job, told)))


class TestStatusJob:
    """The database is asked again now and then."""

    def test_is_due_after_the_interval(self):
        """An hour after it was last asked, not before, and the resource stays Ready meanwhile."""
        assert decide(later(settled(), minutes=59)).create is None
        decision = decide(later(settled(), minutes=61))
        assert decision.create is not None
        assert decision.create.action is STATUS
        assert standing(decision.status) == ("Succeeded", "Current", "UpToDate")

    def test_is_looked_forward_to(self):
        """A restarted operator knows from the status when the next is due."""
        again = decide(settled()).again_at
        assert again == later(settled(), hours=1).now

    def test_off_is_off(self):
        """Nobody is asked when the interval is off."""
        assert decide(later(settled(spec=spec(verifyInterval="never")), days=30)).create is None

    def test_answer_renews_verified_at(self):
        """And nothing else of what is told."""
        seen = answered(later(settled(), minutes=61), succeeded(command="status", applied=()))
        decision = decide(seen)
        assert parse_time(decision.status.verified_at) == seen.now
        assert standing(decision.status) == ("Succeeded", "Current", "UpToDate")
        assert (decision.create, decision.events) == (None, ())

    def test_restored_database_is_migrated_again_and_said(self):
        """It no longer has what the last run left there: never silently, never ignored."""
        old = succeeded(
            command="status",
            applied=(),
            current_version="1.0.0",
            pending=1,
            history=(record("1.0.0", SUM_1),),
            history_total=1,
        )
        seen = answered(later(settled(), minutes=61), old)
        decision = decide(seen)
        assert decision.create is not None
        assert decision.create.action is MIGRATE
        assert standing(decision.status)[1] == "InProgress"
        assert decision.status.current_version == "1.0.0"
        assert [note.reason for note in decision.events] == ["DatabaseChanged"]

    def test_explicit_target_is_not_called_a_loss(self):
        """At 1.0.0 on purpose, 1.1.0 is pending for ever, and that is as it should be."""
        wanted = spec(targetVersion="v1.0.0")
        there = succeeded(current_version="1.0.0", pending=1)
        seen = answered(later(settled(there, spec=wanted), minutes=61), there)
        assert decide(seen).create is None

    def test_silence_does_not_take_ready_away(self):
        """A database that is away is no other schema; it is asked again, and said once."""
        away = ended(Outcome.FAILED, "Unreachable", transient=True)
        seen = answered(later(settled(), minutes=61), away)
        decision = decide(seen)
        assert standing(decision.status) == ("Succeeded", "Current", "UpToDate")
        assert [note.reason for note in decision.events] == ["NotVerified"]
        assert decision.create is None
        assert decision.again_at is not None
        again = decide(replace(seen, status=decision.status, now=decision.again_at)).create
        assert again is not None
        assert (again.action, again.attempt) == (STATUS, 2)

    def test_unwanted_one_is_stopped_like_any_other(self):
        """A new generation does not wait for a status Job that waits for a Secret."""
        due = later(settled(), minutes=61)
        seen = replace(apply(due, decide(due)), generation=2)
        assert len(decide(seen).stop) == 1


class TestIntegrity:
    """Checks of the data: told, and no matter of Ready."""

    def test_results_of_a_run_are_told(self):
        """A failed check makes IntegrityHealthy False and leaves Ready True."""
        result = succeeded(integrity=integrity("orphans"))
        decision = decide(after_run(result, spec=CHECKED))
        status = decision.status
        assert condition(status, "IntegrityHealthy") == ("False", "Unhealthy")
        assert condition(status, "Ready")[0] == "True"
        assert status.integrity is not None
        assert [each.affected_records for each in status.integrity.results] == [3]
        assert "IntegrityUnhealthy" in [note.reason for note in decision.events]

    def test_not_checked_is_unknown(self):
        """Before the first run of the checks nobody knows."""
        status = decide(observed(spec=CHECKED)).status
        assert condition(status, "IntegrityHealthy") == ("Unknown", "NotChecked")

    def test_no_checks_no_condition(self):
        """A resource without checks does not speak of integrity."""
        assert condition(decide(observed()).status, "IntegrityHealthy") == ("", "")

    def test_annotation_asks_for_them_once(self):
        """A new value runs the checks; the answered value does not run them again."""
        seen = settled(succeeded(integrity=integrity()), spec=CHECKED)
        assert decide(seen).create is None
        seen = replace(seen, check="now")
        plan = decide(seen).create
        assert plan is not None
        assert (plan.action, plan.requested) == (VERIFY, "now")
        seen = answered(seen, replace(succeeded(applied=()), integrity=integrity("orphans")))
        decision = decide(seen)
        assert decision.create is None
        assert condition(decision.status, "IntegrityHealthy") == ("False", "Unhealthy")

    def test_unhealthy_exit_of_the_checks_is_an_answer(self):
        """`check` ends with 1 when the data is not healthy: that is no failure of the Job."""
        seen = replace(settled(succeeded(integrity=integrity()), spec=CHECKED), check="now")
        result = replace(ended(Outcome.FAILED), integrity=integrity("orphans"))
        decision = decide(answered(seen, result))
        assert decision.create is None
        assert standing(decision.status) == ("Succeeded", "Current", "UpToDate")

    def test_mended_data_is_news(self):
        """Healthy again is an Event too."""
        seen = settled(succeeded(integrity=integrity("orphans")), spec=CHECKED)
        seen = answered(replace(seen, check="2"), replace(succeeded(), integrity=integrity()))
        assert "IntegrityHealthy" in [note.reason for note in decide(seen).events]

    def test_checks_that_a_recovered_run_did_not_tell_are_run(self):
        """A success without results of its checks is followed by them."""
        plan = decide(after_run(succeeded(), spec=CHECKED)).create
        assert plan is not None
        assert plan.action is VERIFY
