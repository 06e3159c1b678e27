"""Processes that die at the worst moments: database and history agree, and the next run goes on."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from proxy import Proxy

from conftest import until
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.lines import parse_result
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.postgres.executing import execution
from dbmigrate.postgres.lock import KEY
from dbmigrate.postgres.server.interruption import Interruption


@pytest.fixture
def start(database):
    """Starts the program against the test's database, and ends it."""
    processes = []

    def _start(*arguments):
        process = subprocess.Popen(
            [
                sys.executable, "-m", "dbmigrate", *arguments, "--output", "json",
                "--source", str(database.folder), "--database", database.server.uri(database.name),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY,
        )  # fmt: skip
        processes.append(process)
        return process

    yield _start
    for process in processes:
        process.kill()
        process.communicate()


REPOSITORY = Path(__file__).parents[2]
IS_SLEEPING = """
    select count(*) = 1 from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep'
"""
NOBODY_WORKS = """
    select count(*) = 0 from pg_stat_activity
    where datname = current_database() and application_name like 'dbmigrate/%%'
"""


def test_a_killed_runner_leaves_nothing_half_done(database, start):
    """SIGKILL between two files' statements; the next run finishes, each migration once."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b (); select pg_sleep(60); create table c ();")
    process = start("up")
    database.wait_until(IS_SLEEPING)
    process.kill()
    # The server process is still asleep: end it as its own check would within seconds.
    database.connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'"
    )
    database.wait_until(NOBODY_WORKS)
    assert (database.has("a"), database.has("b")) == (True, False)
    database.write("v1.1.0_b.sql", "create table b (); create table c ();")
    result = database.run("up")
    assert [record.version for record in result.applied] == ["1.1.0"]
    assert len(database.history()) == 2


def test_the_next_runner_does_not_start_beside_a_killed_ones_server_process(database, start):
    """The lock is the server process's own: while that works, nobody else does."""
    database.write("v1.0.0_a.sql", "create table a (); select pg_sleep(3); create table b ();")
    process = start("up")
    database.wait_until(IS_SLEEPING)
    process.kill()
    process.wait()
    assert database.run("up", wait_lock=0.2).failure.code == "LockNotObtained"
    assert database.value(IS_SLEEPING)
    result = database.run("up", wait_lock=30.0)
    assert result.failure is None
    assert database.history() == [("1.0.0", "forward", "completed")]


def test_the_server_notices_a_killed_runner_during_a_long_statement(database, start):
    """Within seconds, not when the statement ends; also in the second file."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "select pg_sleep(120);")
    process = start("up")
    database.wait_until(IS_SLEEPING)
    process.kill()
    database.wait_until(NOBODY_WORKS, timeout=20)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=str)
def test_a_signal_cancels_the_statement_and_frees_the_lock(database, start, number, code):
    """Within seconds; the exit code is the shell's; the result is still told."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b (); select pg_sleep(120);")
    process = start("up")
    database.wait_until(IS_SLEEPING)
    began = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == code
    assert time.monotonic() - began < 5
    assert "Traceback" not in errors
    result = parse_result(output.splitlines()[-1])
    assert (result.outcome, result.current_version) == (Outcome.INTERRUPTED, "1.0.0")
    assert result.pending_versions == ("1.1.0",)
    database.wait_until(NOBODY_WORKS, timeout=3)
    assert not database.has("b")


def test_a_signal_while_waiting_for_the_lock_ends_the_run(database, start):
    """Nothing was touched."""
    database.write("v1.0.0_a.sql", "create table a ();")
    with database.another() as other:
        other.execute("select pg_advisory_lock(%s)", [KEY])
        process = start("up")
        line = process.stdout.readline()
        while json.loads(line)["event"] != "waiting":
            line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 143
    assert not database.has("schema_migrations")


def test_a_signal_during_copy_undoes_the_file(database):
    """Data on its way are not kept."""
    rows = "1\n" * 10
    database.write(
        "v1.0.0_a.sql",
        "create table t (n int); create function slow() returns trigger language plpgsql as "
        "$$ begin perform pg_sleep(30); return new; end $$;"
        "create trigger slow before insert on t for each row execute function slow();"
        f"copy t from stdin;\n{rows}\\.\n",
    )
    result = _interrupted_when(database, IS_SLEEPING)
    assert (result.outcome, result.exit_code) == (Outcome.INTERRUPTED, 143)
    assert not database.has("t")


def test_a_signal_between_two_files_stops_there(database):
    """What is committed stays."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    interruption = Interruption()

    def listen(event, _):
        if event is EventName.MIGRATION_COMPLETED:
            interruption.request(signal.SIGTERM)

    database.reporter.listeners.append(listen)
    result = database.run("up", interruption=interruption)
    assert (result.outcome, result.current_version) == (Outcome.INTERRUPTED, "1.0.0")


def test_a_signal_during_commit_is_obeyed_afterwards(database, monkeypatch):
    """What was decided is seen through: the result knows of the commit."""
    interruption = Interruption()
    commit = execution.Execution._commit

    def signalled(self):
        interruption.request(signal.SIGTERM)
        return commit(self)

    monkeypatch.setattr(execution.Execution, "_commit", signalled)
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    result = database.run("up", interruption=interruption)
    assert result.outcome is Outcome.INTERRUPTED
    assert [record.version for record in result.applied] == ["1.0.0"]
    assert (result.current_version, result.pending) == ("1.0.0", 1)


def _interrupted_when(database, query):
    interruption = Interruption()
    main = threading.main_thread().ident
    thread = threading.Thread(target=lambda: _signal_when(database, query, main))
    before = signal.signal(signal.SIGUSR1, lambda *_: interruption.request(signal.SIGTERM))
    thread.start()
    try:
        return database.run("up", interruption=interruption)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)


def _signal_when(database, query, thread):
    with database.another() as other:
        until(lambda: other.execute(query).fetchone()[0])
    signal.pthread_kill(thread, signal.SIGUSR1)


@pytest.mark.parametrize("deliver", [True, False], ids=["committed", "not-committed"])
def test_a_lost_answer_to_commit_is_settled_by_the_history(database, deliver):
    """The run goes on when the row is there, and says that it is not when it is not."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    proxy = Proxy(database.server, b'"schema_migrations" (version', deliver=deliver)
    result = database.run("up", settings=database.through(proxy.port))
    proxy.close()
    assert proxy.cut.is_set()
    warnings = [each["message"] for each in database.reporter.of(EventName.WARNING)]
    assert any("answer to COMMIT was lost" in each for each in warnings)
    if deliver:
        assert result.failure is None
        assert [record.version for record in result.applied] == ["1.0.0", "1.1.0"]
        times = [record.applied_at for record in result.history]
        assert [record.applied_at for record in result.applied] == times
        assert all(times)
    else:
        assert (result.failure.code, result.failure.transient) == ("ConnectionLost", True)
        assert not database.has("a")
    assert database.run("up").current_version == "1.1.0"
    assert database.value("select count(*) from schema_migrations where status = 'completed'") == 2


def test_a_server_that_crashes_during_a_file(own_database):
    """Transient; the next run finds the file undone and does it."""
    database = own_database
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b (); select pg_sleep(30);")

    def crash():
        with database.another() as other:
            until(lambda: other.execute(IS_SLEEPING).fetchone()[0])
        database.server.stop(signal.SIGQUIT)

    thread = threading.Thread(target=crash)
    thread.start()
    result = database.run("up")
    thread.join()
    failure = result.failure
    assert (failure.transient, failure.touched, result.database_known) == (True, True, False)
    database.write("v1.1.0_b.sql", "create table b ();")
    database.server.start()
    result = database.run("up")
    assert (result.failure, result.current_version) == (None, "1.1.0")
    assert [record.version for record in result.applied] == ["1.1.0"]


def test_a_terminated_session_is_transient(database):
    """An administrator, or a failover, ended it."""
    database.write("v1.0.0_a.sql", "create table a (); select pg_sleep(30);")

    def terminate():
        with database.another() as other:
            until(lambda: other.execute(IS_SLEEPING).fetchone()[0])
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where wait_event = 'PgSleep'"
            )

    thread = threading.Thread(target=terminate)
    thread.start()
    result = database.run("up")
    thread.join()
    assert (result.failure.transient, result.failure.line) == (True, 1)
    assert result.database_known
    assert not database.has("a")
