"""Files that come after newer ones: refused, or run late; and the way back from there."""

import pytest

from dbmigrate.api.report.events import EventName
from dbmigrate.api.rules import OutOfOrder, PlanRules

pytestmark = pytest.mark.one_version

WARN = PlanRules(out_of_order=OutOfOrder.WARN)


@pytest.fixture
def late(database):
    """1.0.0 and 1.2.0 are applied; 1.1.0 has come since, and builds upon 1.2.0."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table a;")
    database.write("v1.2.0_c.sql", "create table c ();")
    database.write("rollbacks/v1.2.0_rollback.sql", "drop table c;")
    assert database.run("up").failure is None
    database.write("v1.1.0_b.sql", "create view b as select * from c;")
    database.write("rollbacks/v1.1.0_rollback.sql", "drop view b;")
    return database


def test_it_is_refused_by_default(late):
    """Nothing runs, and it stays pending."""
    result = late.run("up")
    assert result.failure.code == "OutOfOrder"
    assert (result.pending_versions, late.has("b")) == (("1.1.0",), False)


def test_it_runs_with_a_warning_when_the_rule_says_so(late):
    """The plan marks it; the current version does not go down."""
    late.write("v1.3.0_d.sql", "create table d ();")
    planned = late.run("plan", rules=WARN).plan
    result = late.run("up", rules=WARN, expect_plan=planned.hash)
    assert result.failure is None
    assert [step.out_of_order for step in planned.steps] == [True, False]
    assert [record.version for record in result.applied] == ["1.1.0", "1.3.0"]
    (warning,) = late.reporter.of(EventName.WARNING)
    assert "v1.1.0_b.sql runs out of order" in warning["message"]
    assert result.current_version == "1.3.0"


def test_it_runs_silently_when_that_is_allowed(late):
    """The plan still marks it."""
    result = late.run("up", rules=PlanRules(out_of_order=OutOfOrder.ALLOW))
    assert (result.failure, result.current_version) == (None, "1.2.0")
    assert late.reporter.of(EventName.WARNING) == []
    assert result.plan.steps[0].out_of_order


def test_the_way_back_undoes_what_ran_last_first(late):
    """By version, the table would go before the view that needs it, and fail."""
    late.run("up", rules=WARN)
    result = late.run("down", "0")
    assert result.failure is None
    assert [record.version for record in result.applied] == ["1.1.0", "1.2.0", "1.0.0"]


def test_a_plan_that_was_cut_is_gone_on_with(late):
    """An approved plan with a late file holds for its rest, forward and back."""
    late.connection.execute("create function fails() returns int language sql as 'select 1 / 0'")
    late.write("v1.3.0_d.sql", "create table d as select fails();")
    planned = late.run("plan", rules=WARN).plan.hash
    cut = late.run("up", rules=WARN, expect_plan=planned)
    assert [record.version for record in cut.applied] == ["1.1.0"]
    late.connection.execute(
        "create or replace function fails() returns int language sql as 'select 1'"
    )
    assert late.run("up", rules=WARN, expect_plan=planned).current_version == "1.3.0"
    late.write("rollbacks/v1.3.0_rollback.sql", "drop table d;")
    late.write("rollbacks/v1.2.0_rollback.sql", "drop table c; select 1 / fails();")
    back = late.run("plan", "1.0.0").plan.hash
    late.connection.execute(
        "create or replace function fails() returns int language sql as 'select 0'"
    )
    cut = late.run("down", "1.0.0", expect_plan=back)
    assert [record.version for record in cut.applied] == ["1.3.0", "1.1.0"]
    late.connection.execute(
        "create or replace function fails() returns int language sql as 'select 1'"
    )
    assert late.run("down", "1.0.0", expect_plan=back).current_version == "1.0.0"


def test_a_way_back_that_was_cut_is_gone_on_with(late):
    """Its first step is not the newest version, but the last applied."""
    late.run("up", rules=WARN)
    late.connection.execute("create function one() returns int language sql as 'select 0'")
    late.write("rollbacks/v1.2.0_rollback.sql", "drop table c; select 1 / one();")
    planned = late.run("plan", "1.0.0").plan
    assert planned.from_version == "1.2.0"
    cut = late.run("down", "1.0.0", expect_plan=planned.hash)
    assert [record.version for record in cut.applied] == ["1.1.0"]
    late.connection.execute(
        "create or replace function one() returns int language sql as 'select 1'"
    )
    result = late.run("down", "1.0.0", expect_plan=planned.hash)
    assert (result.failure, result.current_version) == (None, "1.0.0")
