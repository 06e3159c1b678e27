"""Files that come late: what the rules say, and how the way back goes."""

import pytest
from tests.unit.migrations.histories import applied, source_of, versions_of

from dbmigrate.api.rules import OutOfOrder, PlanRules
from dbmigrate.errors import RefusedError
from dbmigrate.migrations.plan import ZERO, plan_forward, plan_rollback, plan_to
from dbmigrate.migrations.version import Version

LATE = source_of("1.0.0", "1.1.0", "1.2.0", "1.3.0")


@pytest.mark.parametrize("rule", [OutOfOrder.WARN, OutOfOrder.ALLOW])
def test_a_late_file_runs_first_and_the_version_stays_the_highest(rule):
    """1.1.0 then 1.3.0; the plan marks the late one."""
    plan = plan_forward(LATE, applied("1.0.0", "1.2.0"), None, PlanRules(out_of_order=rule))
    assert versions_of(plan) == ["1.1.0", "1.3.0"]
    assert [step.out_of_order for step in plan.report.steps] == [True, False]
    assert (str(plan.from_version), str(plan.to_version)) == ("1.2.0", "1.3.0")


def test_a_late_file_alone_does_not_lower_the_version():
    """The database stays at 1.3.0."""
    history = applied("1.0.0", "1.2.0", "1.3.0")
    plan = plan_to(LATE, history, Version(1, 3, 0), PlanRules(out_of_order=OutOfOrder.ALLOW))
    assert versions_of(plan) == ["1.1.0"]
    assert plan.to_version == Version(1, 3, 0)


def test_only_warn_warns():
    """With the file's name and what is applied already."""
    history = applied("1.0.0", "1.2.0")
    warned = plan_forward(LATE, history, None, PlanRules(out_of_order=OutOfOrder.WARN))
    assert len(warned.warnings) == 1
    assert "v1.1.0_name.sql" in warned.warnings[0]
    assert "1.2.0" in warned.warnings[0]
    allowed = plan_forward(LATE, history, None, PlanRules(out_of_order=OutOfOrder.ALLOW))
    assert allowed.warnings == ()
    assert allowed.hash == warned.hash


def test_refusing_is_the_default_and_says_how_to_allow_it():
    """Renaming comes first."""
    with pytest.raises(RefusedError) as caught:
        plan_forward(LATE, applied("1.0.0", "1.2.0"))
    assert "rename" in caught.value.hint
    assert "--out-of-order" in caught.value.hint


def test_the_way_back_undoes_the_last_applied_first():
    """1.1.0 ran after 1.2.0 and may build upon it."""
    versions = ["1.0.0", "1.1.0", "1.2.0"]
    plan = plan_rollback(
        source_of(*versions, rollbacks=versions), applied("1.0.0", "1.2.0", "1.1.0"), ZERO
    )
    assert versions_of(plan) == ["1.1.0", "1.2.0", "1.0.0"]
    assert plan.warnings == ()


def test_a_late_one_that_stays_is_told():
    """Going back to 1.1.0 undoes 1.2.0, upon which 1.1.0 was applied."""
    versions = ["1.0.0", "1.1.0", "1.2.0"]
    plan = plan_rollback(
        source_of(*versions, rollbacks=versions),
        applied("1.0.0", "1.2.0", "1.1.0"),
        Version(1, 1, 0),
    )
    assert versions_of(plan) == ["1.2.0"]
    assert "v1.1.0_name.sql stays" in plan.warnings[0]
    assert "1.2.0" in plan.warnings[0]
