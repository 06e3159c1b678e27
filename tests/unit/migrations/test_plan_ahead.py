"""A database that is ahead of the source: refused, with what it would take; or let be."""

import pytest
from tests.unit.migrations.histories import applied, source_of

from dbmigrate.api.rules import DatabaseAhead, OutOfOrder, PlanRules
from dbmigrate.errors import RefusedError
from dbmigrate.migrations.ahead import ahead_of, report_of
from dbmigrate.migrations.applied import BASELINE
from dbmigrate.migrations.plan import plan_forward, plan_rollback
from dbmigrate.migrations.version import Version

KEPT = "0" * 64
LENIENT = PlanRules(database_ahead=DatabaseAhead.WARN)


def refusal(source, history, rules=None):
    """Why the plan forward is refused."""
    with pytest.raises(RefusedError) as caught:
        plan_forward(source, history, None, rules or PlanRules())
    return caught.value


def test_the_command_back_is_named_when_every_rollback_is_kept():
    """And what it undoes, newest first."""
    history = applied("1.0.0") + applied("1.1.0", "1.2.0", rollback_checksum=KEPT)
    error = refusal(source_of("1.0.0"), history)
    assert error.error_code == "DatabaseAhead"
    assert "1.1.0 (v1.1.0_name.sql, rollback kept)" in error.message
    assert "`dbmigrate to 1.0.0` would undo 1.2.0, 1.1.0" in error.hint


def test_a_rollback_that_is_not_kept_is_named_instead():
    """A command that would be refused is not proposed."""
    history = applied("1.0.0", "1.1.0") + applied("1.2.0", rollback_checksum=KEPT)
    error = refusal(source_of("1.0.0"), history)
    assert "1.1.0 (v1.1.0_name.sql, no rollback kept)" in error.message
    assert "no rollback of 1.1.0" in error.hint
    assert "dbmigrate to" not in error.hint


def test_there_is_no_way_back_below_a_baseline():
    """What we have not run we do not undo."""
    history = applied("1.0.0", "1.1.0", origin=BASELINE, rollback_checksum=KEPT)
    assert "baseline" in refusal(source_of("1.0.0"), history).hint


def test_an_empty_source_is_behind_everything():
    """The way back is then to nothing."""
    error = refusal(source_of(), applied("1.0.0", rollback_checksum=KEPT))
    assert "ends at nothing" in error.message
    assert "`dbmigrate down 0`" in error.hint


def test_the_rule_lets_it_be_with_a_warning():
    """Nothing runs, and the database's version is what it is."""
    plan = plan_forward(source_of("1.0.0"), applied("1.0.0", "1.1.0"), None, LENIENT)
    assert (plan.steps, plan.to_version) == ((), Version(1, 1, 0))
    assert "ahead of the source: it has 1.1.0" in plan.warnings[0]


def test_the_rule_does_not_excuse_a_hole():
    """A file that is missing in the middle was removed by somebody."""
    history = applied("1.0.0", "1.1.0", "1.3.0")
    error = refusal(source_of("1.0.0", "1.2.0"), history, LENIENT)
    assert error.error_code == "MissingMigration"
    assert "1.1.0" in error.message
    assert "1.3.0" not in error.message


def test_what_an_older_release_still_has_pending_is_out_of_order():
    """The database is at 1.2.0 already."""
    history = applied("1.0.0", "1.2.0")
    source = source_of("1.0.0", "1.1.0")
    assert refusal(source, history, LENIENT).error_code == "OutOfOrder"
    both = PlanRules(OutOfOrder.ALLOW, DatabaseAhead.WARN)
    plan = plan_forward(source, history, None, both)
    assert [str(step.version) for step in plan.steps] == ["1.1.0"]
    assert plan.to_version == Version(1, 2, 0)


def test_reports_name_the_newer_versions_alone():
    """Oldest first; an older one that is missing is no sign of a newer source."""
    history = applied("1.0.0", "1.3.0", "1.1.0") + applied("1.2.0", rollback_checksum=KEPT)
    reported = report_of(ahead_of(source_of("1.0.0"), history))
    assert [(each.version, each.rollback_kept) for each in reported] == [
        ("1.1.0", False), ("1.2.0", True), ("1.3.0", False),
    ]  # fmt: skip
    assert ahead_of(source_of("1.4.0"), history) == ()


def test_a_baselined_version_is_not_rolled_back():
    """Even where the source has its rollback."""
    source = source_of("1.0.0", "1.1.0", "1.2.0", rollbacks=["1.0.0", "1.1.0", "1.2.0"])
    history = applied("1.0.0", "1.1.0", origin=BASELINE) + applied("1.2.0")
    with pytest.raises(RefusedError) as caught:
        plan_rollback(source, history, Version(1, 0, 0))
    assert caught.value.error_code == "BelowBaseline"
    assert "1.1.0 came by a baseline" in caught.value.message
    assert caught.value.hint == "the way back ends at 1.1.0"
    assert len(plan_rollback(source, history, Version(1, 1, 0)).steps) == 1
