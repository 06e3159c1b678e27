"""What is refused before the first file runs: nothing at all is executed then."""

import pytest

from dbmigrate.api.report.outcome import Outcome

GOOD = "create table good ();"


@pytest.fixture
def second(database):
    """Runs `up` with a good first file and the given second one."""

    def _run(sql, **options):
        database.write("v1.0.0_good.sql", GOOD)
        database.write("v1.1.0_second.sql", sql)
        result = database.run("up", **options)
        assert not database.has("good"), "the first file was run"
        return result

    return _run


@pytest.mark.parametrize(
    "statement",
    ["begin", "commit", "rollback", "savepoint s", "start transaction", "prepare transaction 'x'"],
)
def test_transaction_control_is_refused_with_its_line(second, statement):
    """A file is one transaction as a whole."""
    result = second(f"create table a ();\n\n{statement};\n")
    assert (result.outcome, result.exit_code) == (Outcome.BLOCKED, 2)
    assert (result.failure.code, result.failure.line) == ("TransactionControl", 3)
    assert not result.failure.touched


@pytest.mark.parametrize(
    "statement",
    [
        "vacuum",
        "create index concurrently i on good (a)",
        "create database x",
        "alter system reset all",
    ],
)
def test_what_cannot_run_in_a_transaction_is_refused_with_its_line(second, statement):
    """Where the file says that it is one transaction."""
    failure = second(f"-- dbmigrate: transaction=file\n{statement};").failure
    assert (failure.code, failure.line) == ("NotInTransaction", 2)


def test_a_syntax_error_is_found_before_anything_runs(second):
    """The server's own grammar judges, and says where."""
    result = second("select 1;\ncreate tabel a ();")
    assert (result.outcome, result.exit_code) == (Outcome.BLOCKED, 2)
    failure = result.failure
    assert (failure.code, failure.line, failure.column) == ("SyntaxError", 2, 8)
    assert "tabel" in failure.message


def test_all_syntax_errors_are_told_at_once(second):
    """Whoever mends one wants to know of the next."""
    assert "2 statements" in second("selct 1; select 2; selct 3;").failure.message


def test_what_does_not_exist_yet_is_no_syntax_error(database):
    """A later statement may use what an earlier one creates."""
    database.write("v1.0.0_a.sql", "create table a (n int); insert into a values (1);")
    database.write("v1.1.0_b.sql", "update a set n = n + 1; select n from a; analyze a;")
    assert database.run("up").failure is None


def test_the_syntax_check_waits_for_no_lock(database):
    """Parsing a SELECT locks its table: a busy one is left for later."""
    database.connection.execute("create table busy (n int)")
    database.write("v1.0.0_a.sql", "select n from busy; selct;")
    with database.another() as other:
        other.execute("begin; lock table busy")
        result = database.run("up", lock_timeout=30.0)
    assert result.failure.code == "SyntaxError"
    assert result.duration_ms < 5000


def test_the_syntax_check_executes_nothing(database):
    """Not even a function in a SELECT."""
    database.write("v1.0.0_a.sql", "select nextval('s');\nselct;")
    database.connection.execute("create sequence s")
    database.run("up")
    assert database.value("select is_called from s") is False


def test_an_edited_file_stops_everything(database):
    """Both sums are named."""
    database.write("v1.0.0_a.sql", "create table a ();")
    before = database.run("up").applied[0].checksum
    database.write("v1.0.0_a.sql", "create table other ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    result = database.run("up")
    assert (result.failure.code, result.exit_code) == ("ChecksumMismatch", 3)
    assert before in result.failure.message
    assert not database.has("b")


def test_other_line_ends_are_no_edit(database):
    """A checkout under Windows is the same migration."""
    database.write("v1.0.0_a.sql", "create table a (\n);")
    database.run("up")
    database.write("v1.0.0_a.sql", "\ufeffcreate table a (\r\n);")
    assert database.run("up").failure is None


def test_a_database_ahead_of_the_source_is_refused(database):
    """An older release must not pretend that all is well."""
    database.write("v1.0.0_a.sql", "create table a ();")
    late = database.write("v1.1.0_b.sql", "create table b ();")
    database.run("up")
    late.unlink()
    assert database.run("up").failure.code == "DatabaseAhead"


def test_a_late_file_is_refused(database):
    """It would run in another order here than elsewhere."""
    database.write("v1.1.0_b.sql", "create table b ();")
    database.run("up")
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run("up").failure.code == "OutOfOrder"
    assert not database.has("a")


def test_another_plan_than_expected_is_refused(database):
    """What was approved is what runs."""
    database.write("v1.0.0_a.sql", "create table a ();")
    plan = database.run("plan").plan
    database.write("v1.1.0_b.sql", "create table b ();")
    result = database.run("up", expect_plan=plan.hash)
    assert (result.failure.code, result.exit_code) == ("PlanChanged", 3)
    assert not database.has("a")


def test_the_rest_of_an_approved_plan_is_still_approved(database):
    """A run cut off goes on under the same hash, also when nothing is left of it."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    plan = database.run("plan").plan
    stopped = database.run("up", expect_plan=plan.hash, stop_reason=database.is_begun)
    assert stopped.current_version == "1.0.0"
    assert database.run("up", expect_plan=plan.hash).current_version == "1.1.0"
    assert database.run("up", expect_plan=plan.hash).failure is None
    hashes = database.rows("select distinct plan_hash from schema_migrations")
    assert hashes == [(plan.hash,)]


def test_an_approval_does_not_cover_another_file_in_place_of_the_rest(database):
    """Its first part being done does not open the door for something else."""
    database.write("v1.0.0_a.sql", "create table a ();")
    later = database.write("v1.1.0_b.sql", "create table b ();")
    plan = database.run("plan").plan
    database.run("up", expect_plan=plan.hash, stop_reason=database.is_begun)
    later.write_text("create table other ();")
    assert database.run("up", expect_plan=plan.hash).failure.code == "PlanChanged"


def test_a_rollback_plan_that_was_cut_goes_on(database):
    """Both directions alike."""
    for number in (1, 2, 3):
        database.write(f"v1.{number}.0_t.sql", f"create table t{number} ();")
        database.write(f"rollbacks/v1.{number}.0_rollback.sql", f"drop table t{number};")
    database.run("up")
    plan = database.run("plan", "1.1.0").plan
    options = {"expect_plan": plan.hash}
    database.run("to", "1.1.0", stop_reason=lambda: None if database.has("t3") else "x", **options)
    assert database.has("t2")
    result = database.run("to", "1.1.0", **options)
    assert (result.failure, result.current_version) == (None, "1.1.0")
    assert database.run("to", "1.1.0", **options).failure is None


def test_a_stale_generation_is_refused(database):
    """A Job of yesterday's spec must not run after today's."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.run("up", resource_uid="u", resource_generation=5)
    stale = database.run("up", resource_uid="u", resource_generation=4)
    assert stale.failure.code == "StaleGeneration"
    assert database.run("up", resource_uid="u", resource_generation=5).failure is None
    assert database.run("up", resource_uid="other", resource_generation=1).failure is None


def test_a_statement_is_not_judged_by_the_schema_before_its_file(database):
    """What the file changes first may be what makes a later statement right."""
    database.connection.execute("create table t (a int)")
    database.write(
        "v1.0.0_a.sql", "alter table t add b int; insert into t values (1, 2); select a, b from t;"
    )
    assert database.run("up").failure is None


def test_no_directive_is_advised_that_would_not_help(database):
    """A prepared transaction is refused in every mode."""
    database.write("v1.0.0_a.sql", "prepare transaction 'x';")
    failure = database.run("up").failure
    assert (failure.code, "transaction=own" in failure.hint) == ("TransactionControl", False)
