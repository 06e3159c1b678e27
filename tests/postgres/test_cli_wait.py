"""`dbmigrate wait`: an application's init container waits for its schema."""

import json
import signal
import subprocess
import time

import pytest

from dbmigrate.api.report.outcome import Outcome

pytestmark = pytest.mark.one_version


@pytest.fixture
def three_files(database):
    """Three migrations with their rollbacks."""
    for number in range(3):
        database.write(f"v1.{number}.0_t.sql", f"create table t{number} (id int);\n")
        database.write(f"rollbacks/v1.{number}.0_rollback.sql", f"drop table t{number};\n")


def start(dbmigrate, version, *arguments, **options):
    """Start waiting, and return when the first line of it is there."""
    process = dbmigrate.start(
        "wait", "--version", version, "--output", "json", *arguments, **options
    )
    assert json.loads(process.stdout.readline())["event"] == "started"
    return process, json.loads(process.stdout.readline())


@pytest.mark.usefixtures("three_files")
@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "v1.1.0"])
def test_an_applied_version_or_an_older_one_is_there_at_once(database, dbmigrate, version):
    """1.1.0 is applied: who needs 1.0.0 has it."""
    database.run("up", "1.1.0")
    ended = dbmigrate("wait", "--version", version)
    assert ended.code == 0
    assert "the database is at 1.1.0" in ended.out


@pytest.mark.usefixtures("three_files")
def test_it_ends_when_the_version_is_applied(database, dbmigrate):
    """From an empty database on; looking creates nothing."""
    process, first = start(dbmigrate, "1.1.0", "--timeout", "30s")
    assert first["event"] == "waiting"
    assert "nothing is applied yet" in first["message"]
    assert not database.has("public.schema_migrations")
    database.run("up", "1.0.0")
    assert "the database is at 1.0.0" in json.loads(process.stdout.readline())["message"]
    database.run("up")
    ended = dbmigrate.end(process)
    assert ended.code == 0
    assert ended.result.current_version == "1.2.0"


@pytest.mark.usefixtures("three_files")
def test_a_version_that_was_rolled_back_is_waited_for(database, dbmigrate):
    """Its row is in the history, but it is not applied."""
    database.run("up")
    database.run("down", "1.0.0")
    ended = dbmigrate("wait", "--version", "1.1.0", "--timeout", "1s", "--output", "json")
    assert ended.code == 1
    assert ended.result.current_version == "1.0.0"


def test_the_time_ends_with_exit_code_1_and_the_last_state(dbmigrate):
    """One line tells what was waited for."""
    began = time.monotonic()
    ended = dbmigrate("wait", "--version", "1.6.0", "--timeout", "1500ms")
    assert 1.5 < time.monotonic() - began < 15
    assert ended.code == 1
    assert ended.out.count("\n") == 1
    assert "waiting for 1.6.0: nothing is applied yet" in ended.out
    assert "[WaitTimeout]" in ended.err


def test_a_timeout_of_nothing_asks_once(dbmigrate):
    """For a readiness probe."""
    ended = dbmigrate("wait", "--version", "1.0.0", "--timeout", "0", "--output", "json")
    assert ended.code == 1
    assert ended.result.outcome is Outcome.FAILED
    assert [each["event"] for each in ended.events] == ["started", "result"]


def test_an_unreachable_database_is_waited_for(dbmigrate):
    """It may start later; what is wrong is told, the password is not."""
    env = {"DATABASE_URL": "postgresql://me:s3cret-Pass@127.0.0.1:1/x"}
    ended = dbmigrate("wait", "--version", "1.0.0", "--timeout", "1s", env=env)
    assert ended.code == 1
    assert "cannot connect" in ended.out
    assert "s3cret-Pass" not in ended.out + ended.err


@pytest.mark.usefixtures("three_files")
def test_a_connection_that_is_lost_is_made_anew(database, dbmigrate):
    """The server restarted, or somebody ended the session."""
    process, _ = start(dbmigrate, "1.0.0", "--timeout", "30s")
    query = """
        select count(pg_terminate_backend(pid)) > 0 from pg_stat_activity
        where datname = current_database() and application_name = 'dbmigrate/wait'
    """
    database.wait_until(query)
    database.run("up")
    assert dbmigrate.end(process).code == 0


def test_one_connection_serves_for_the_whole_wait(database, dbmigrate):
    """And no transaction is open meanwhile, which would hold back VACUUM."""
    process, _ = start(dbmigrate, "1.0.0", "--timeout", "30s")
    query = """
        select pid, state, xact_start is null from pg_stat_activity
        where datname = current_database() and application_name = 'dbmigrate/wait'
    """
    first = database.rows(query)
    began = database.value("select clock_timestamp()")
    database.wait_until(
        "select max(query_start) > %s + interval '1 second' from pg_stat_activity "
        "where datname = current_database() and application_name = 'dbmigrate/wait'",
        began,
    )
    assert len(first) == 1
    assert database.rows(query)[0][0] == first[0][0]
    process.terminate()
    assert dbmigrate.end(process).code == 143


def test_a_signal_ends_the_wait_at_once(dbmigrate):
    """Exit code 143, with a result."""
    process, _ = start(dbmigrate, "1.0.0", "--timeout", "1m")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 143
    assert json.loads(out.splitlines()[-1])["outcome"] == "Interrupted"


def test_a_foreign_history_ends_the_wait(database, dbmigrate):
    """No time makes another tool's table ours."""
    database.connection.execute("create table schema_migrations (version text)")
    ended = dbmigrate("wait", "--version", "1.0.0", "--timeout", "1m", "--output", "json")
    assert ended.code == 3
    assert ended.result.failure.code == "ForeignHistory"


def test_without_a_name_of_a_database_nothing_is_waited_for(dbmigrate):
    """A forgotten variable is told at once."""
    process = dbmigrate.start("wait", "--version", "1.0.0", env={"DATABASE_URL": ""})
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.001)
    assert dbmigrate.end(process, timeout=20).code == 2
