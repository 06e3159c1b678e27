"""status, plan and validate: what they say of a database, and that they change nothing."""

import psycopg
import pytest

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.settings import SessionSettings


def test_status_tells_what_is_applied_and_what_is_pending(database):
    """From the database, not from the source."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.run("up", environment="staging")
    database.write("v1.1.0_b.sql", "create table b ();")
    result = database.run("status")
    assert (result.current_version, result.pending_versions) == ("1.0.0", ("1.1.0",))
    assert [record.file for record in result.history] == ["v1.0.0_a.sql"]
    assert (result.environment, result.database_known) == ("staging", True)


def test_status_works_for_an_edited_file_and_a_database_ahead(database):
    """It is asked just when something is wrong."""
    path = database.write("v1.0.0_a.sql", "create table a ();")
    database.run("up")
    path.write_text("create table other ();")
    assert database.run("status").current_version == "1.0.0"
    path.unlink()
    assert database.run("status").current_version == "1.0.0"


def test_plan_shows_what_up_then_does(database):
    """The same hash, whoever computes it and when."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    plan = database.run("plan").plan
    assert [step.version for step in plan.steps] == ["1.0.0", "1.1.0"]
    assert not database.has("a")
    result = database.run("up", expect_plan=plan.hash)
    assert (result.failure, result.plan.hash) == (None, plan.hash)


def test_validate_executes_nothing_and_warns_of_missing_rollbacks(database):
    """A word for each migration that has no way back."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    database.write("rollbacks/v1.1.0_rollback.sql", "drop table b;")
    assert database.run("validate").outcome is Outcome.SUCCEEDED
    (warning,) = database.reporter.of(EventName.WARNING)
    assert "v1.0.0_a.sql" in warning["message"]
    assert not database.has("a")


@pytest.mark.parametrize("command", ["validate", "up"])
def test_a_directive_below_the_first_statement_is_an_error(database, command):
    """Nobody would obey it; the same words in a text or in data are none."""
    words = "-- dbmigrate: transaction=own"
    database.write("v1.0.0_a.sql", f"create table a ();\n\n  {words}\ncreate table b ();")
    failure = database.run(command).failure
    assert (failure.code, failure.line, failure.column) == ("InvalidDirective", 3, 3)
    database.write(
        "v1.0.0_a.sql",
        f"create table a (t text);\nselect '\n{words}\n';\n"
        f"copy a from stdin;\n{words}\n\\.\nselect 1 /*\n{words}\n*/;",
    )
    assert database.run(command).failure is None


def test_validate_finds_errors_in_rollbacks_too(database):
    """Nobody wants to learn of it when it is needed."""
    database.write("v1.0.0_a.sql", "create table a ();")
    path = database.write("rollbacks/v1.0.0_rollback.sql", "drop tabel a;")
    failure = database.run("validate").failure
    assert (failure.code, failure.file, failure.line) == ("SyntaxError", str(path), 1)


def test_reading_sessions_cannot_write(database):
    """Their transactions are read-only by the server's own rule."""
    session = connect(database.settings, SessionSettings("status"), Interruption())
    try:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            session.query("create table a ()")
    finally:
        session.close()
