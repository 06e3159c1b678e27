"""A file that was begun by statement: every command says where it goes on, and it comes first."""

import pytest

from dbmigrate.api.report.events import EventName
from dbmigrate.api.rules import OutOfOrder, PlanRules
from dbmigrate.migrations.amend import Amend

pytestmark = pytest.mark.one_version

BEGUN = "v1.2.0_u.sql"


@pytest.fixture
def begun(database):
    """1.2.0 has failed in its last statement, in line 4."""
    database.write("v1.0.0_t.sql", "create table t (a int);")
    database.write(BEGUN, "insert into t values (1);\nset work_mem = '7MB';\n\nvacuum nothing;")
    assert database.run().failure.line == 4
    return database


def warnings(database):
    """What was said beside the result."""
    return [data["message"] for data in database.reporter.of(EventName.WARNING)]


def finish(database):
    """Correct the file."""
    database.write(BEGUN, "insert into t values (1);\nset work_mem = '7MB';\n\nvacuum t;")


@pytest.mark.parametrize("command", ["plan", "validate", "status"])
def test_what_looks_tells_where_the_file_goes_on(begun, command):
    """As a person reads it, and in the result."""
    part = begun.run(command).unfinished
    assert (part.file, part.statements_done) == (BEGUN, 1)
    assert (part.next_statement, part.next_line) == (3, 4)
    if command != "status":
        told = (
            f"{BEGUN} is not finished: 1 of its statements are done, and the run goes on with "
            "statement 3 (line 4)"
        )
        assert warnings(begun).count(told) == 1


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_what_looks_refuses_a_file_that_was_changed_where_it_ran(begun, command):
    """As `up` would; `status` tells what it can."""
    begun.write(BEGUN, "insert into t values (2);\nvacuum t;")
    failure = begun.run(command).failure
    assert (failure.code, failure.line) == ("LedgerDiffers", 1)
    status = begun.run("status")
    assert (status.failure, status.unfinished.next_line) == (None, 0)


def test_what_looks_tells_that_a_statement_is_in_doubt(begun):
    """And that the run looks at it first."""
    begun.connection.execute(
        "insert into migration_statements (migration_type, version, filename, file_checksum, "
        "number, checksum, statement, state, facts, applied_by) select 'forward', '1.2.0', "
        "filename, '', 3, encode(sha256('vacuum nothing'), 'hex'), 'vacuum', 'begun', '{}', 'x' "
        "from migration_statements"
    )
    part = begun.run("plan").unfinished
    assert (part.statement_in_doubt, part.next_statement) == (3, 3)
    assert "statement 3 is in doubt (line 4)" in warnings(begun)[-1]
    begun.run("resolve", amend=Amend(decision="again"))
    assert begun.run("plan").unfinished.statement_in_doubt == 0


def test_an_older_new_file_waits_until_the_unfinished_one_is_whole(begun):
    """By default nothing runs: the message names both, and says what can be done."""
    finish(begun)
    begun.write("v1.1.0_new.sql", "create table new ();")
    for command in ("plan", "validate", "up"):
        failure = begun.run(command).failure
        assert failure.code == "UnfinishedMigration"
        assert "v1.1.0_new.sql would come before it" in failure.message
        assert "--out-of-order warn" in failure.hint
    assert not begun.has("new")


@pytest.mark.parametrize("rule", [OutOfOrder.WARN, OutOfOrder.ALLOW])
def test_an_older_new_file_runs_behind_the_unfinished_one_where_that_is_allowed(begun, rule):
    """As one that is older than what is applied; under the plan that was approved, if any was."""
    finish(begun)
    begun.write("v1.1.0_new.sql", "create table new ();\nselect from first;")
    rules = PlanRules(out_of_order=rule)
    plan = begun.run("plan", rules=rules).plan
    assert [(each.version, each.out_of_order) for each in plan.steps] == [
        ("1.2.0", False),
        ("1.1.0", True),
    ]
    told = [each for each in warnings(begun) if "out of order" in each]
    assert len(told) == (rule is OutOfOrder.WARN)
    assert begun.run(rules=rules, expect_plan=plan.hash).failure.code == "MigrationFailed"
    begun.connection.execute("create table first ()")
    result = begun.run(rules=rules, expect_plan=plan.hash)
    assert result.failure is None, result.failure
    assert begun.has("new")
    assert begun.run().failure is None


def test_an_unfinished_file_that_is_gone_is_to_be_put_back(begun):
    """`up` alone could not finish it."""
    (begun.folder / BEGUN).unlink()
    failure = begun.run().failure
    assert failure.code == "UnfinishedMigration"
    assert f"put {BEGUN} back into the source" in failure.hint


def test_an_unfinished_repeatable_file_is_to_be_as_it_was(database):
    """With its older text it is not due, and `up` alone would never finish it."""
    old = "create or replace view v as select 1 as x;"
    database.write("v1.0.0_t.sql", "create table t (a int);")
    database.write("repeatable/v.sql", old)
    assert database.run().failure is None
    database.write("repeatable/v.sql", "create or replace view v as select 2 as x;\nvacuum no;")
    assert database.run().failure is not None
    database.write("repeatable/v.sql", old)
    failure = database.run().failure
    assert failure.code == "UnfinishedMigration"
    assert "as it was when it was begun" in failure.hint


@pytest.mark.parametrize("deallocate", ["deallocate p", "deallocate prepare p", "select"])
def test_what_nobody_executes_any_more_need_not_be_prepared_again(database, deallocate):
    """A statement that is done has dropped its table."""
    text = (
        "create table old (a int);\nprepare p as insert into old values (1);\nexecute p;\n"
        "drop table old;\n{};\nvacuum {};"
    )
    database.write("v1.0.0_t.sql", text.format(deallocate, "nothing"))
    assert database.run().failure.line == 6
    database.write("v1.0.0_t.sql", text.format(deallocate, "pg_class"))
    result = database.run()
    assert result.failure is None, result.failure


def test_what_is_executed_and_cannot_be_prepared_again_is_told(database):
    """At the EXECUTE, with what to do."""
    text = (
        "create table t (a int);\ncreate table old (a int);\n"
        "prepare p as select count(*) from old;\ndrop table old;\nvacuum {};\nexecute p;"
    )
    database.write("v1.0.0_t.sql", text.format("nothing"))
    assert database.run().failure.line == 5
    database.write("v1.0.0_t.sql", text.format("t"))
    failure = database.run().failure
    assert (failure.line, failure.sqlstate) == (6, "42P01")
    assert "in place of its EXECUTE" in failure.hint


def test_what_can_never_be_prepared_fails_where_it_stands(database):
    """In the first run, and when no statement behind it was done."""
    database.write("v1.0.0_t.sql", "create table t ();\nprepare p as select from no;\nvacuum t;")
    assert database.run().failure.line == 2
    assert database.run().failure.line == 2
