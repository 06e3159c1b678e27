"""The tables in which the database remembers its migrations."""

import subprocess

import psycopg
import pytest

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.postgres.bookkeeping import TABLES


@pytest.mark.parametrize("command", ["status", "plan", "validate"])
def test_looking_creates_nothing(database, command):
    """A database that was never migrated stays as it is."""
    database.write("v1.0.0_a.sql", "create table a ();")
    result = database.run(command)
    assert (result.failure, result.current_version, result.pending) == (None, None, 1)
    tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
    assert database.value(tables) == 0


def test_a_refused_run_creates_nothing(database):
    """Refused means that nothing was touched."""
    database.write("v1.0.0_a.sql", "selct;")
    database.run("up")
    assert not database.has("schema_migrations")


def test_all_tables_are_made_in_the_history_schema(database):
    """Their names may need quoting."""
    database.connection.execute('create schema "My history"')
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run("up", history_schema="My history").failure is None
    for table in TABLES:
        assert database.has(f'"My history".{table}')
    assert not database.has("public.schema_migrations")
    assert database.run("status", history_schema="My history").current_version == "1.0.0"


def test_a_missing_schema_is_refused(database):
    """It is not made by a typing error."""
    result = database.run("up", history_schema="nowhere")
    assert (result.failure.code, result.exit_code) == ("HistorySchemaMissing", 3)


@pytest.mark.parametrize(
    ("columns", "tool"),
    [
        ("version text primary key", "Rails, dbmate"),
        ("version bigint, dirty boolean", "golang-migrate"),
        ("id int, script text", "something else"),
    ],
)
@pytest.mark.parametrize("command", ["up", "status"])
def test_another_tools_history_is_refused(database, columns, tool, command):
    """By name, and left alone."""
    database.connection.execute(f"create table schema_migrations ({columns})")
    result = database.run(command)
    assert (result.failure.code, result.outcome) == ("ForeignHistory", Outcome.BLOCKED)
    assert tool in result.failure.message
    assert not database.has("migration_settings")


def test_another_table_of_such_a_name_is_refused(database):
    """An application may have its own system_events."""
    database.connection.execute("create table system_events (id int)")
    failure = database.run("up").failure
    assert failure.code == "ForeignHistory"
    assert "public.system_events" in failure.message


def test_a_newer_releases_tables_are_refused(database):
    """We cannot know what they mean."""
    database.run("up")
    database.connection.execute(
        """update migration_settings set value = '{"version": 99, "by": "9.0"}'
           where key = 'bookkeeping'"""
    )
    for command in ("up", "status"):
        failure = database.run(command).failure
        assert failure.code == "NewerBookkeeping"
        assert "9.0" in failure.message


def test_no_right_to_create_is_told(database):
    """With the grant that is missing."""
    database.connection.execute("create schema h")
    database.connection.execute("create role weak login")
    try:
        settings = {**database.server.params(database.name), "user": "weak"}
        failure = database.run("up", settings=settings, history_schema="h").failure
    finally:
        database.connection.execute("drop role weak")
    assert failure.code == "BookkeepingDenied"
    assert "grant" in failure.hint


@pytest.mark.parametrize(
    "statement",
    [
        "update schema_migrations set checksum = 'x'",
        "update schema_migrations set status = 'failed'",
        "update schema_migrations set status = 'rolled_back', applied_by = 'x'",
        "delete from schema_migrations",
        "truncate schema_migrations",
        """insert into schema_migrations (version, filename, checksum, text_checksum, applied_by)
           values ('1.0.0', 'f', 'c', 't', 'b')""",
    ],
)
def test_rows_are_only_added(database, statement):
    """The history cannot be rewritten, nor a version be live twice."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.run("up")
    with pytest.raises(psycopg.errors.IntegrityError):
        database.connection.execute(statement)


def test_the_tables_are_dumped_and_restored(database):
    """The guards do not stop a restore; the copy knows its version."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.run("up")
    copy = f"{database.name}_copy"
    server = database.server
    where = ["-h", server.folder, "-p", str(server.port), "-U", "postgres"]
    dump = subprocess.run(
        [server.programs / "pg_dump", *where, "-Fc", database.name], check=True, capture_output=True
    ).stdout
    with server.connect("postgres") as admin:
        admin.execute(f"create database {copy} template template0")
    try:
        subprocess.run(
            [server.programs / "pg_restore", *where, "-d", copy, "--exit-on-error"],
            input=dump, check=True,
        )  # fmt: skip
        params = server.params(copy)
        assert database.run("status", settings=params).current_version == "1.0.0"
        again = ["--clean", "--exit-on-error"]
        subprocess.run(
            [server.programs / "pg_restore", *where, "-d", copy, *again], input=dump, check=True
        )
        assert database.run("up", settings=params).failure is None
    finally:
        with server.connect("postgres") as admin:
            admin.execute(f"drop database {copy} with (force)")


def test_the_database_remembers_its_environment(database):
    """Staging's run against production's database is refused."""
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run("up", environment="production").failure is None
    for command in ("up", "status", "plan"):
        failure = database.run(command, environment="staging").failure
        assert failure.code == "EnvironmentMismatch"
    assert database.run("up").failure is None
    assert database.run("up", environment="production").failure is None


def test_a_copy_is_told_from_its_original(database):
    """The server's system identifier is remembered beside the name."""
    database.run("up", environment="production")
    database.connection.execute("""
        update migration_settings set value = jsonb_set(value, '{systemIdentifier}', '"1"')
        where key = 'environment'
    """)
    assert "is a copy" in database.run("up", environment="staging").failure.message
    assert database.run("up", environment="production").failure is None
    (warning,) = database.reporter.of(EventName.WARNING)
    assert "copied from another server" in warning["message"]


def test_of_ten_thousand_rows_no_text_is_read(database):
    """The rollbacks that the database keeps may be large; the result has the newest fifty."""
    database.run("up")
    database.connection.execute("""
        insert into schema_migrations
            (version, filename, checksum, text_checksum, applied_by, rollback_file, rollback_sql)
        select '1.' || n || '.0', 'v1.' || n || '.0_x.sql', 'c', 't', 'b', 'r', case
            when n % 1000 = 0 then (
                select string_agg(md5((n * m)::text), '') from generate_series(1, 200) as m
            ) end
        from generate_series(1, 10000) as n
    """)
    texts = """
        select coalesce(sum(toast_blks_read + toast_blks_hit), 0)
        from pg_statio_all_tables where relname = 'schema_migrations'
    """
    others = """
        select count(*) = 0 from pg_stat_activity
        where datname = current_database() and application_name like 'dbmigrate/%%'
    """
    database.wait_until(others)
    kept = "select count(*) from schema_migrations where length(rollback_sql) > 2000"
    assert database.value(kept) == 10
    database.connection.execute("select pg_stat_force_next_flush()")
    read_before = database.value(texts)
    result = database.run("status")
    assert (result.current_version, result.history_total) == ("1.10000.0", 10_000)
    assert len(result.history) == 50
    assert result.history[-1].version == "1.10000.0"
    database.wait_until(others)
    assert database.value(texts) == read_before
