"""A file that fails leaves nothing but a row that says why."""

import pytest

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome

THIRD_FAILS = """\
create table a (n int);
insert into a values (1);
-- Überschrift
insert into a values (1 / 0, 'x');
create table b ();
"""


def test_tells_where_and_why(database):
    """File, line, column, caret, SQLSTATE and the server's message are exact."""
    path = database.write("v1.0.0_a.sql", THIRD_FAILS)
    result = database.run("up")
    failure = result.failure
    assert (result.outcome, result.exit_code) == (Outcome.FAILED, 1)
    assert (failure.code, failure.sqlstate, failure.statement) == ("MigrationFailed", "42601", 3)
    assert (failure.file, failure.line, failure.column) == (str(path), 4, 30)
    line, caret = failure.excerpt.splitlines()
    assert line[caret.index("^") :] == "'x');"
    assert "more expressions than target columns" in failure.server_message
    assert failure.touched
    assert not failure.transient


def test_tells_the_line_within_the_data_of_a_copy(database):
    """The statement's own place would not help in a dump."""
    database.write("v1.0.0_a.sql", "create table a (n int);\ncopy a (n) from stdin;\n1\ntwo\n\\.\n")
    failure = database.run("up").failure
    assert (failure.sqlstate, failure.line) == ("22P02", 2)
    assert failure.detail == 'COPY a, line 2, column n: "two"'


def test_leaves_nothing_of_the_file_and_keeps_those_before(database):
    """One transaction for each file."""
    database.write("v1.0.0_good.sql", "create table good ();")
    database.write("v1.1.0_bad.sql", "create table bad (); select 1/0; create table worse ();")
    result = database.run("up")
    assert (database.has("good"), database.has("bad"), database.has("worse")) == (
        True,
        False,
        False,
    )
    assert (result.current_version, result.pending_versions) == ("1.0.0", ("1.1.0",))


def test_is_recorded_in_a_transaction_of_its_own(database):
    """The row with the failure stays although the file was undone."""
    database.write("v1.0.0_a.sql", "create table a (); select 1/0;")
    database.run("up")
    assert database.history() == [("1.0.0", "forward", "failed")]
    error = database.value("select error from schema_migrations")
    assert (error["sqlstate"], error["statement"], error["line"]) == ("22012", 2, 1)


def test_once_mended_it_goes_on(database):
    """A failed row is no obstacle, however many there are."""
    database.write("v1.0.0_a.sql", "select 1/0;")
    database.run("up")
    database.run("up")
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run("up").outcome is Outcome.SUCCEEDED
    assert [row[2] for row in database.history()] == ["failed", "failed", "completed"]


def test_a_failure_that_cannot_be_recorded_is_still_told(database):
    """The first failure is the result; that it could not be recorded is a warning."""
    database.run("up")
    database.connection.execute("""
        create function deny() returns trigger language plpgsql as
            $$ begin raise exception 'full'; end $$;
        create trigger deny before insert on schema_migrations execute function deny();
    """)
    database.write("v1.0.0_a.sql", "create table a (); select 1/0;")
    result = database.run("up")
    assert result.failure.sqlstate == "22012"
    (warning,) = database.reporter.of(EventName.WARNING)
    assert "could not be recorded: full" in warning["message"]


@pytest.mark.parametrize("broken", ["insert into t values ('x');", "copy t from stdin;\nx\n\\.\n"])
def test_a_statement_behind_copied_data_is_located(database, broken):
    """The lines of the data count."""
    database.write(
        "v1.0.0_a.sql", f"create table t (a int);\ncopy t from stdin;\n1\n2\n\\.\n{broken}"
    )
    failure = database.run("up").failure
    assert (failure.line, failure.statement, failure.sqlstate) == (6, 3, "22P02")
    assert not database.has("t")


def test_a_deferred_constraint_that_fails_undoes_the_file(database):
    """It fails at the end of the transaction, and is told as such."""
    database.write(
        "v1.0.0_a.sql",
        "create table p (id int primary key);"
        "create table c (id int references p deferrable initially deferred);"
        "insert into c values (7);",
    )
    failure = database.run("up").failure
    assert (failure.code, failure.sqlstate) == ("MigrationFailed", "23503")
    assert "end of its transaction" in failure.message
    assert not database.has("p")


def test_a_time_limit_ends_a_statement(database):
    """--statement-timeout is kept, whatever the role's setting is."""
    database.write("v1.0.0_a.sql", "select pg_sleep(30);")
    failure = database.run("up", statement_timeout=0.2).failure
    assert (failure.sqlstate, failure.code) == ("57014", "MigrationFailed")


def test_what_a_procedure_commits_is_refused_by_the_server(database):
    """A file cannot end its transaction by a detour."""
    database.write(
        "v1.0.0_a.sql",
        "create table a (); create procedure p() language plpgsql as $$ begin commit; end $$;"
        "call p();",
    )
    assert database.run("up").failure.sqlstate == "2D000"
    assert not database.has("a")


@pytest.mark.parametrize("statement", ["copy a to stdout", "COPY (select 1) TO stdin (format csv)"])
def test_copy_to_the_client_is_refused(database, statement):
    """Before anything runs."""
    database.write("v1.0.0_a.sql", f"create table a ();\n{statement};\ncreate table b ();")
    failure = database.run("up").failure
    assert (failure.code, failure.line, failure.touched) == ("CopyToClient", 2, False)
    assert not database.has("a")


@pytest.mark.parametrize(
    "sql",
    [
        "drop table schema_migrations;",
        "drop schema public cascade; create schema public;",
        """
        create table other (like schema_migrations including all);
        drop table schema_migrations;
        alter table other rename to schema_migrations;
        """,
    ],
)
def test_a_file_cannot_replace_the_history(database, sql):
    """Its row would stand in a history that has forgotten the migrations before it."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.run("up")
    database.write("v1.1.0_b.sql", sql)
    assert database.run("up").failure.code == "HistoryReplaced"
    assert database.history() == [("1.0.0", "forward", "completed"), ("1.1.0", "forward", "failed")]
