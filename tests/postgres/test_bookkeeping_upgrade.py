"""Tables that an older release made: read as they are, brought up to date by who writes."""

import signal
import subprocess

import old_bookkeeping
import psycopg
import pytest
from command_line import CommandLine

from dbmigrate.api.report.outcome import Outcome
from dbmigrate.postgres.bookkeeping import VERSION
from dbmigrate.postgres.bookkeeping.steps import STEPS

FILES = {
    "1.0.0": ("create table a ();", "drop table a;"),
    "1.1.0": ("create table b ();", "drop table b;"),
    "1.2.0": ("create table c ();", None),
}
MADE_BY = "select (value ->> 'version')::int from migration_settings where key = 'bookkeeping'"
ROWS = """
    select id, version, filename, checksum, text_checksum, applied_at, applied_by,
        execution_time_ms, rollback_sql, status, runner_version
    from schema_migrations order by id
"""
NOBODY_WORKS = """
    select count(*) = 0 from pg_stat_activity
    where datname = current_database() and application_name like 'dbmigrate/%%'
"""
WAITS_FOR_A_TABLE = """
    select count(*) = 1 from pg_stat_activity
    where datname = current_database() and application_name = 'dbmigrate/up'
        and wait_event_type = 'Lock' and wait_event = 'relation'
"""


@pytest.fixture(
    params=[number for number in STEPS if number < VERSION], ids=lambda version: f"step{version}"
)
def older(database, request):
    """A database of each older version, with a history in it."""
    old_bookkeeping.make(database, FILES, request.param)
    return database


def _shape(database):
    """All columns of all tables."""
    return database.rows("""
        select table_name, column_name, data_type from information_schema.columns
        where table_schema = 'public' order by 1, 2
    """)


def test_looking_works_and_changes_nothing(older):
    """`status` of a newer release is asked before anybody has upgraded."""
    older.write("v1.3.0_new.sql", "create table d ();")
    before = _shape(older)
    status = older.run("status")
    assert (status.failure, status.current_version, status.pending) == (None, "1.2.0", 1)
    assert [record.file for record in status.history] == [f"v{number}_old.sql" for number in FILES]
    assert status.history[0].applied_by == "an older runner"
    for command, target in (("plan", None), ("plan", "1.2.0"), ("validate", None)):
        assert older.run(command, target).failure is None
    assert older.run("plan", "1.0.0").failure.code == "RollbackMissing"
    assert _shape(older) == before
    assert older.value(MADE_BY) < VERSION


def test_a_kept_rollback_is_found_in_older_tables(database):
    """The way back is planned without bringing anything up to date."""
    old_bookkeeping.make(database, {"1.0.0": FILES["1.0.0"], "1.1.0": FILES["1.1.0"]})
    plan = database.run("plan", "1.0.0").plan
    assert [step.file for step in plan.steps] == ["rollbacks/v1.1.0_rollback.sql"]


def test_writing_brings_the_tables_up_to_date_and_keeps_every_row(older):
    """In place, by the next run that has anything to do or not."""
    before = older.rows(ROWS)
    assert older.run("up").failure is None
    assert older.value(MADE_BY) == VERSION
    assert older.rows(ROWS) == before
    older.write("v1.3.0_new.sql", "create table d ();")
    result = older.run("up")
    assert (result.failure, result.current_version, result.history_total) == (None, "1.3.0", 4)


def test_upgraded_tables_are_those_of_a_new_database(older):
    """Nobody needs to know how old a database is."""
    older.run("up")
    upgraded = _shape(older)
    older.connection.execute("drop schema public cascade; create schema public")
    older.run("up")
    assert _shape(older) == upgraded


def test_a_runner_that_is_killed_while_upgrading_leaves_the_old_tables(database, tmp_path):
    """The steps and their mark are one transaction."""
    old_bookkeeping.make(database, FILES)
    before = (_shape(database), database.rows(ROWS))
    dbmigrate = CommandLine(database, tmp_path)
    with database.another() as reader, reader.transaction():
        reader.execute("select from schema_migrations")
        process = dbmigrate.start("up", "--lock-timeout", "1m")
        database.wait_until(WAITS_FOR_A_TABLE)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        database.connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'dbmigrate/up' and datname = current_database()"
        )
        database.wait_until(NOBODY_WORKS)
    assert (_shape(database), database.rows(ROWS)) == before
    assert dbmigrate("up").code == 0
    assert database.value(MADE_BY) == VERSION
    assert database.rows(ROWS) == before[1]


def test_a_table_in_use_is_waited_for_no_longer_than_the_lock_timeout(database):
    """The run ends, transient, and the old tables stay."""
    old_bookkeeping.make(database, FILES)
    with database.another() as reader, reader.transaction():
        reader.execute("select from schema_migrations")
        failure = database.run("up", lock_timeout=0.2).failure
    assert (failure.sqlstate, failure.transient) == ("55P03", True)
    assert database.value(MADE_BY) == 1
    assert database.run("up").failure is None


def test_two_runners_upgrade_once(database, tmp_path):
    """The lock lets one do it; the other finds it done."""
    old_bookkeeping.make(database, FILES)
    before = database.rows(ROWS)
    dbmigrate = CommandLine(database, tmp_path)
    with database.another() as reader, reader.transaction():
        reader.execute("select from schema_migrations")
        processes = [dbmigrate.start("up", "--lock-timeout", "1m") for _ in range(2)]
        database.wait_until("""
            select count(*) = 2 from pg_stat_activity
            where datname = current_database() and application_name = 'dbmigrate/up'
        """)
        database.wait_until(WAITS_FOR_A_TABLE)
    for process in processes:
        ended = dbmigrate.end(process)
        assert ended.code == 0, ended.err
    assert database.value(MADE_BY) == VERSION
    assert database.rows(ROWS) == before


def test_a_role_that_does_not_own_the_tables_is_told_who_does(database):
    """It may write rows, and looking works."""
    old_bookkeeping.make(database, FILES)
    role = f"weak_{database.name}"
    database.connection.execute(f"""
        create role {role} login;
        grant usage on schema public to {role};
        grant select, insert, update, delete on all tables in schema public to {role};
    """)
    try:
        settings = {**database.server.params(database.name), "user": role}
        result = database.run("up", settings=settings)
        assert (result.failure.code, result.outcome) == ("BookkeepingDenied", Outcome.BLOCKED)
        assert role in result.failure.message
        assert "owner, postgres" in result.failure.hint
        assert f"grant postgres to {role}" in result.failure.hint
        assert database.run("status", settings=settings).current_version == "1.2.0"
    finally:
        database.connection.execute(f"drop owned by {role}; drop role {role}")
    assert database.value(MADE_BY) == 1


def test_something_in_the_way_of_a_new_table_is_told(database):
    """An application may have taken the name before we did; its table is left alone."""
    old_bookkeeping.make(database, FILES)
    database.connection.execute("create table migration_repairs (mine int)")
    failure = database.run("up").failure
    assert failure.code == "ForeignHistory"
    assert "migration_repairs" in failure.message
    assert database.value(MADE_BY) == 1
    assert database.run("status").current_version == "1.2.0"


def test_an_older_runner_is_refused_by_newer_tables(database, monkeypatch):
    """As the release before would see today's."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.run("up")
    monkeypatch.setattr("dbmigrate.postgres.bookkeeping.tables.VERSION", VERSION - 1)
    for command in ("up", "status", "plan", "validate"):
        failure = database.run(command).failure
        assert failure.code == "NewerBookkeeping"


def test_the_new_rows_keep_their_guards(older):
    """Also in upgraded tables."""
    older.run("up")
    with pytest.raises(psycopg.errors.IntegrityError):
        older.connection.execute("update schema_migrations set origin = 'baseline'")


def test_an_upgraded_database_is_dumped_and_restored(older):
    """Steps leave nothing that pg_dump cannot put in order."""
    older.run("up")
    server = older.server
    where = ["-h", server.folder, "-p", str(server.port), "-U", "postgres"]
    dump = subprocess.run(
        [server.programs / "pg_dump", *where, older.name], check=True, capture_output=True
    ).stdout
    older.connection.execute("drop schema public cascade; create schema public")
    subprocess.run(
        [server.programs / "psql", *where, "-q", "-v", "ON_ERROR_STOP=1", "-d", older.name],
        input=dump, check=True, capture_output=True,
    )  # fmt: skip
    assert older.run("up").current_version == "1.2.0"
