"""What a file does to its session harms neither its history row nor the next file."""

import pytest

from dbmigrate.api.report.outcome import Outcome


@pytest.fixture
def role(database):
    """A role without any rights, gone afterwards (roles belong to the whole server)."""
    database.connection.execute("create role nobody_here")
    yield "nobody_here"
    database.connection.execute("drop owned by nobody_here")
    database.connection.execute("drop role nobody_here")


@pytest.mark.usefixtures("role")
@pytest.mark.parametrize(
    "statement",
    [
        "set role nobody_here",
        "set local role nobody_here",
        "set session authorization nobody_here",
        "set search_path = ''",
        "select set_config('search_path', '', false)",
        "set search_path = evil, pg_catalog",
        "set statement_timeout = '2s'",
        "set lock_timeout = '1ms'; set idle_in_transaction_session_timeout = '1ms'",
        "set session_replication_role = replica",
        "set standard_conforming_strings = on; set client_encoding = 'LATIN1'",
        "reset all",
        "set default_transaction_read_only = on",
        "set row_security = off",
        "set datestyle = 'German'; set timezone = 'Asia/Tokyo'",
    ],
)
def test_the_row_is_written_and_the_next_file_is_clean(database, statement):
    """The history is written as the role that connected, with our own settings."""
    database.connection.execute("""
        create schema evil;
        create function evil.int4(boolean) returns int language sql as 'select 0';
        create function evil.to_char(timestamp, text) returns text language sql as $$ select 'x' $$;
    """)
    database.write("v1.0.0_a.sql", f"create table public.a (); {statement};")
    database.write(
        "v1.1.0_b.sql",
        """
        create table public.state as select current_user::text as u, session_user::text as s,
            current_setting('search_path') as path, current_setting('statement_timeout') as t,
            current_setting('lock_timeout') as l, current_setting('session_replication_role') as r,
            current_setting('client_encoding') as e, current_setting('app.environment') as env;
        """,
    )
    result = database.run("up", environment="staging", statement_timeout=60.0)
    assert result.failure is None
    assert len(database.history()) == 2
    assert database.rows("select * from state") == [
        ("postgres", "postgres", '"$user", public', "1min", "2s", "origin", "UTF8", "staging")
    ]


def test_temporary_tables_cursors_and_prepared_statements_end_with_their_file(database):
    """The next file may use the same names."""
    sql = (
        "create temp table x (); prepare p as select 1; listen l;"
        "declare c cursor with hold for select 1;"
    )
    database.write("v1.0.0_a.sql", sql)
    database.write("v1.1.0_b.sql", sql)
    assert database.run("up").failure is None


@pytest.mark.usefixtures("role")
def test_a_rollback_under_another_role_is_recorded(database):
    """Its history rows too are ours."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table a; set role nobody_here;")
    database.run("up")
    assert database.run("down", "0").failure is None


@pytest.mark.usefixtures("role")
def test_a_failure_under_another_role_is_recorded(database):
    """A SET that was undone with its file, and one by a function, do no harm."""
    database.write("v1.0.0_a.sql", "set role nobody_here; create table public.a ();")
    assert database.run("up").failure.sqlstate == "42501"
    assert database.history() == [("1.0.0", "forward", "failed")]


def test_limits_of_the_role_and_the_database_do_not_cut_a_migration(database):
    """ALTER DATABASE … SET statement_timeout is for the application."""
    name = database.name
    for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        database.connection.execute(f"alter database {name} set {setting} = '20ms'")
    if database.server.major >= 17:
        database.connection.execute(f"alter database {name} set transaction_timeout = '50ms'")
    database.write("v1.0.0_a.sql", "select pg_sleep(0.2); create table a ();")
    assert database.run("up").failure is None


def test_a_read_only_transaction_cannot_be_recorded_and_is_undone(database):
    """The file failed, although each of its statements ran."""
    database.write("v1.0.0_a.sql", "create table a (); set transaction read only;")
    assert database.run("up").failure.sqlstate == "25006"
    assert not database.has("a")


def test_operators_of_the_application_do_not_read_the_history(database):
    """The role's search_path may put a schema before pg_catalog; files still run under it."""
    database.connection.execute(f"""
        create schema evil;
        create function evil.never(text, text) returns boolean language sql as 'select false';
        create operator evil.= (leftarg = text, rightarg = text, function = evil.never);
        alter database {database.name} set search_path = evil, public, pg_catalog;
    """)
    database.write("v1.0.0_a.sql", "create table a as select current_setting('search_path') as p;")
    assert database.run("up").current_version == "1.0.0"
    assert database.run("up").message == "nothing to do"
    assert database.run("status").current_version == "1.0.0"
    assert database.rows("select p from evil.a") == [("evil, public, pg_catalog",)]


def test_statement_timeout_is_for_migrations_not_for_our_own_statements(database):
    """A limit that no statement of ours could keep stops a migration, and nothing else."""
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run("up").outcome is Outcome.SUCCEEDED
    database.write("v1.1.0_slow.sql", "select pg_sleep(1);")

    result = database.run("up", statement_timeout=0.001)

    assert (result.failure.code, result.failure.sqlstate) == ("MigrationFailed", "57014")
    assert database.run("status", statement_timeout=0.001).current_version == "1.0.0"


def test_a_message_of_megabytes_is_kept_short(database):
    """Neither the history nor the report grows by what a file chooses to say."""
    database.write("v1.0.0_loud.sql", "do $$ begin raise '%', repeat('x', 5000000); end $$;")

    failure = database.run("up").failure

    assert len(failure.server_message) < 10_000
    assert database.value("select max(length(error::text)) < 50000 from schema_migrations")
