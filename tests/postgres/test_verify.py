"""Verifications: asked when their migration has run, undone, and the judge of it."""

import pytest

ASSERT = "do $$ begin assert (select count(*) = 2 from t), 'two rows are wanted'; end $$;"


@pytest.fixture
def source(database):
    """A migration that a verification looks at, and one behind it."""
    database.write("v1.0.0_t.sql", "create table t (a int);\ninsert into t values (1), (2);")
    database.write("v1.1.0_u.sql", "create table u ();")
    database.write("verify/v1.0.0_rows.sql", ASSERT)
    return database


@pytest.mark.parametrize("transaction", ["file", "all"])
def test_a_migration_that_holds_is_applied(source, transaction):
    """What the verification does is undone, its settings too."""
    source.write(
        "verify/v1.0.0_writes.sql", "set role none; set search_path = x; delete from public.t;"
    )
    assert source.run(transaction=transaction).failure is None
    assert source.value("select count(*) from t") == 2
    assert len(source.history()) == 2


@pytest.mark.parametrize("transaction", ["file", "all"])
def test_a_migration_that_does_not_hold_is_undone(source, transaction):
    """The verification's file and line are told; nothing runs behind it."""
    source.write("v1.0.0_t.sql", "create table t (a int);\ninsert into t values (1);")
    result = source.run(transaction=transaction)
    assert (result.failure.code, result.failure.version) == ("VerifyFailed", "1.0.0")
    assert result.failure.file.endswith("verify/v1.0.0_rows.sql")
    assert "two rows are wanted" in result.failure.message
    assert (source.has("t"), source.has("u")) == (False, False)
    assert source.history() == [("1.0.0", "forward", "failed")]


def test_a_file_that_runs_by_statement_is_not_finished_before_it_holds(source):
    """Its statements stay, and it is asked again by the next run."""
    source.write(
        "v1.0.0_t.sql",
        "create table t (a int);\ninsert into t values (1);\ncreate index concurrently on t (a);",
    )
    assert source.run().failure.code == "VerifyFailed"
    assert source.run().failure.code == "VerifyFailed"
    assert source.history() == [("1.0.0", "forward", "failed")] * 2
    source.connection.execute("insert into t values (2)")
    assert source.run().failure is None
    assert source.value("select count(*) from pg_index where indrelid = 't'::regclass") == 1


def test_deferred_constraints_are_checked_before_it_is_asked(source):
    """What is broken is not taken for right."""
    source.write(
        "v1.0.0_t.sql",
        "create table t (a int unique deferrable initially deferred);\n"
        "insert into t values (1), (1);",
    )
    assert source.run().failure.sqlstate == "23505"


@pytest.mark.parametrize(
    "sql", ["vacuum t;", "commit;", "-- dbmigrate: transaction=own\nselect 1;"]
)
def test_one_that_cannot_be_part_of_a_transaction_is_refused_before_anything_runs(source, sql):
    """It could not be undone."""
    source.write("verify/v1.1.0_bad.sql", sql)
    failure = source.run().failure
    assert failure.code in {"NotInTransaction", "TransactionControl"}
    assert "verify/v1.1.0_bad.sql" in failure.message
    assert not source.has("t")


def test_a_syntax_error_in_one_is_found_before_anything_runs(source):
    """And by `validate`."""
    source.write("verify/v1.1.0_bad.sql", "selct 1;")
    assert source.run("validate").failure.code == "SyntaxError"
    assert source.run().failure.code == "SyntaxError"
    assert not source.has("t")


def test_an_approved_plan_covers_them(source):
    """Another verification is another plan."""
    plan = source.run("plan").plan
    source.write("verify/v1.0.0_rows.sql", "select 1;")
    assert source.run(expect_plan=plan.hash).failure.code == "PlanChanged"
    source.write("verify/v1.0.0_rows.sql", ASSERT)
    assert source.run(expect_plan=plan.hash).failure is None


def test_a_rollback_asks_nothing(source):
    """It is not what the verification is about."""
    source.write("rollbacks/v1.0.0_rollback.sql", "drop table t;")
    source.write("rollbacks/v1.1.0_rollback.sql", "drop table u;")
    source.run()
    assert source.run("down", "0").failure is None
