"""What happens around a run: other runners, dead sessions, changed files, wrong clocks."""

import os
import shutil
import signal
import threading
from datetime import datetime, timedelta

import pytest
from tests.chaos.relay import Cut, Relay, Trigger, Way
from tests.chaos.runners import CLOCKS

from conftest import until
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.postgres.lock import KEY
from dbmigrate.postgres.server import session as engine_session
from dbmigrate.postgres.server.interruption import Interruption

IS_SLEEPING = """
    select count(*) = 1 from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep'
"""
SLEEPER = "(select pid from pg_stat_activity where wait_event = 'PgSleep')"


@pytest.fixture
def relay(database):
    """Between the runner and the server."""
    relay = Relay(database.server.port)
    yield relay
    relay.close()


def when(database, condition, act):
    """A thread that does something with another connection as soon as a query says so."""

    def run():
        with database.another() as other:
            until(lambda: other.execute(condition).fetchone()[0])
            act(other)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def at_event(database, name, act):
    """Do something, once, when the run tells an event."""
    done = []

    def listen(event, data):
        if event is name and not done:
            done.append(data)
            act()

    database.reporter.listeners.append(listen)


def end_runners(database):
    """End the sessions of all runners, as an administrator or a failover does."""
    database.connection.execute("""
        select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where datname = current_database() and application_name like 'dbmigrate/%%'
    """)


# -- other runners


def test_ten_runners_at_once_apply_each_migration_once(database, dbmigrate):
    """All succeed; one does the work or, when it is overtaken, some share it."""
    database.write("v1.0.0_a.sql", "create table n (i int); insert into n values (0);")
    for number in range(1, 6):
        database.write(f"v1.{number}.0_n.sql", f"insert into n values ({number});")
    options = ("up", "--source", database.folder, "--output", "json")
    processes = [dbmigrate.start(*options) for _ in range(10)]
    results = [dbmigrate.end(each).result for each in processes]
    assert [result.failure for result in results] == [None] * 10
    assert {result.current_version for result in results} == {"1.5.0"}
    assert sum(len(result.applied) for result in results) == 6
    assert database.rows("select i from n order by i") == [(i,) for i in range(6)]
    assert len(database.history()) == 6
    assert database.value("select count(*) from migration_locks") == 0


def test_a_lock_session_that_ends_between_two_files_ends_the_run(database):
    """What was free for others since then is not gone on with; the next run does the rest."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    at_event(database, EventName.MIGRATION_COMPLETED, lambda: end_runners(database))
    result = database.run()
    assert result.failure.transient
    assert [record.version for record in result.applied] == ["1.0.0"]
    assert (database.has("a"), database.has("b")) == (True, False)
    database.reporter.listeners.clear()
    assert [record.version for record in database.run().applied] == ["1.1.0"]


def test_a_run_whose_lock_went_to_another_one_leaves_it_alone(database):
    """The other one does all that is left; ours says that it may be tried again."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    others = []

    def overtake():
        end_runners(database)
        database.reporter.listeners.clear()
        others.append(database.run())

    at_event(database, EventName.MIGRATION_COMPLETED, overtake)
    result = database.run()
    assert result.failure.transient
    assert [record.version for record in result.applied] == ["1.0.0"]
    assert [record.version for record in others[0].applied] == ["1.1.0"]
    assert result.current_version == "1.1.0"
    assert [row[2] for row in database.history()] == ["completed", "completed"]


# -- the runner or its session dies


@pytest.mark.one_version
def test_a_killed_server_process_is_transient(own_database):
    """The server drops all sessions and recovers; the file is undone."""
    database = own_database
    database.write("v1.0.0_a.sql", "create table a (); select pg_sleep(60);")

    def kill(other):
        (pid,) = other.execute(f"select {SLEEPER}").fetchone()
        os.kill(pid, signal.SIGKILL)

    thread = when(database, IS_SLEEPING, kill)
    result = database.run()
    thread.join()
    assert (result.failure.code, result.failure.transient) == ("ConnectionLost", True)
    database.server.wait()
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run().failure is None
    with database.another() as other:
        assert other.execute("select to_regclass('a') is not null").fetchone()[0]


def test_a_killed_runner_whose_server_process_finishes_the_statement(database, dbmigrate):
    """It works on without anybody, holds the lock, commits nothing; the next run waits for it."""
    database.write("v1.0.0_n.sql", "create table n (i int);")
    database.run()
    slow = "insert into n values (1); select pg_sleep(1.5); insert into n values (2);"
    database.write("v1.1.0_slow.sql", slow)
    process = dbmigrate.start("up", "--source", database.folder)
    database.wait_until(IS_SLEEPING)
    process.kill()
    process.communicate()
    assert database.value(IS_SLEEPING)
    result = database.run(wait_lock=30.0)
    assert result.failure is None
    assert database.reporter.of(EventName.WAITING)[0]["reason"] == "AdvisoryLock"
    assert database.rows("select i from n order by i") == [(1,), (2,)]
    assert [row[0] for row in database.history()] == ["1.0.0", "1.1.0"]


@pytest.mark.one_version
def test_a_cancel_that_finds_no_connection_ends_the_run_all_the_same(database, relay, monkeypatch):
    """The server ends the statement when it notices; until then the lock is not free."""
    monkeypatch.setattr(engine_session, "_CANCEL_LIMIT", 1.0)
    database.write("v1.0.0_a.sql", "create table a (); select pg_sleep(60);")
    interruption = Interruption()
    main = threading.main_thread().ident

    def give_up(_):
        relay.refusing_until = float("inf")
        signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: interruption.request(signal.SIGTERM))
    thread = when(database, IS_SLEEPING, give_up)
    try:
        result = database.run(settings=database.through(relay.port), interruption=interruption)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert (result.outcome, result.database_known) == (Outcome.INTERRUPTED, False)
    # The server looks every five seconds whether we still live.
    database.wait_until(f"select not ({IS_SLEEPING})", timeout=20)
    assert not database.has("a")
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run().failure is None


def test_a_connection_lost_behind_a_copy_is_told_with_the_statement_after_it(database):
    """COPY is a round trip of its own: what comes behind it has a place of its own too."""
    database.write(
        "v1.0.0_a.sql",
        "create table a (i int);\ncopy a from stdin;\n1\n\\.\nselect pg_sleep(60);\n",
    )
    thread = when(
        database,
        IS_SLEEPING,
        lambda other: other.execute(f"select pg_terminate_backend({SLEEPER})"),
    )
    result = database.run()
    thread.join()
    assert result.failure.transient
    assert (result.failure.line, result.failure.statement) == (5, 3)
    assert not database.has("a")


@pytest.mark.one_version
@pytest.mark.parametrize("command", ["up", "status"])
def test_a_last_look_that_fails_twice_claims_no_version(database, relay, command):
    """What was committed is proved by then; what is there now, nobody knows."""
    database.write("v1.0.0_a.sql", "create table a ();")
    if command == "status":
        database.run()

    def cut(link):
        relay.refusing_until = float("inf")
        relay.cut(link, Cut.BOTH)

    last_look = Trigger(Way.REQUEST, cut, word=b"as l order by id desc")
    if command == "up":
        at_event(database, EventName.MIGRATION_COMPLETED, lambda: relay.triggers.append(last_look))
    else:
        relay.triggers.append(last_look)
    result = database.run(command, settings=database.through(relay.port))
    assert (result.database_known, result.current_version) == (False, None)
    if command == "up":
        assert (result.failure, [each.version for each in result.applied]) == (None, ["1.0.0"])
    else:
        assert (result.failure.code, result.exit_code) == ("ConnectionLost", 5)
    assert database.history() == [("1.0.0", "forward", "completed")]


# -- the source changes


def test_files_that_change_under_the_runner_are_run_as_they_were_read(database):
    """What was hashed is what runs; the change is seen by the next run."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    database.write("v1.2.0_c.sql", "create table c ();")

    def change():
        database.write("v1.1.0_b.sql", "create table other ();")
        (database.folder / "v1.2.0_c.sql").unlink()
        database.write("v1.3.0_d.sql", "create table d ();")

    at_event(database, EventName.MIGRATION_STARTED, change)
    result = database.run()
    assert [record.version for record in result.applied] == ["1.0.0", "1.1.0", "1.2.0"]
    assert [database.has(name) for name in ("a", "b", "c", "d", "other")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    database.reporter.listeners.clear()
    failure = database.run().failure
    assert (failure.code, "v1.1.0_b.sql" in failure.message) == ("ChecksumMismatch", True)


@pytest.mark.one_version
def test_a_large_file_that_changes_under_the_runner_is_undone(database):
    """It is not held in memory; what was read the second time is not what was hashed."""
    lines = "".join(f"{number}\n" for number in range(400_000))
    database.write("v1.0.0_a.sql", "create table a (i int);")
    path = database.write("v1.1.0_b.sql", f"copy a from stdin;\n{lines}\\.\n")

    def change():
        with path.open("r+b") as file:
            file.write(b"copy a from stdin;\n7777777\n7777777\n")

    at_event(database, EventName.MIGRATION_STARTED, change)
    assert database.run().failure.code == "SourceChanged"
    assert database.value("select count(*) from a") == 0
    database.reporter.listeners.clear()
    assert database.run().current_version == "1.1.0"
    assert database.value("select count(*) from a where i = 7777777") == 2


def test_a_source_that_is_gone_meanwhile_is_not_missed(database):
    """A ConfigMap's folder may be replaced at any moment."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    at_event(database, EventName.MIGRATION_STARTED, lambda: shutil.rmtree(database.folder))
    assert [record.version for record in database.run().applied] == ["1.0.0", "1.1.0"]


# -- clocks


@pytest.fixture
def with_clock(dbmigrate, database):
    """Runs the program on a host whose clock is wrong."""
    if CLOCKS is None:
        pytest.skip("no libfaketime on this machine")

    def _run(clock, *arguments):
        environment = {"LD_PRELOAD": str(CLOCKS), "FAKETIME": clock}
        return dbmigrate(
            *arguments, "--source", database.folder, "--output", "json", env=environment
        )  # fmt: skip

    return _run


def test_hosts_whose_clocks_differ_share_one_history(database, with_clock):
    """Order and times in it are the server's."""
    began = database.value("select clock_timestamp()")
    for number, clock in enumerate(("+1h", "-1h", "+1d")):
        database.write(f"v1.{number}.0_t.sql", f"create table t{number} ();")
        ended = with_clock(clock, "up")
        assert ended.code == 0
        finished = datetime.fromisoformat(ended.result.finished_at)
        assert abs(finished - began) > timedelta(minutes=50), "its clock was not wrong"
    rows = database.rows("select version, applied_at from schema_migrations order by applied_at")
    assert [row[0] for row in rows] == ["1.0.0", "1.1.0", "1.2.0"]
    assert all(began <= row[1] <= began + timedelta(minutes=5) for row in rows)


def test_a_clock_that_is_off_does_not_make_a_lock_look_stale(database, with_clock):
    """Neither ahead nor behind: who holds it is the server's word, and waiting has no date."""
    database.write("v1.0.0_a.sql", "create table a ();")
    with database.another() as holder:
        holder.execute("select pg_advisory_lock(%s)", [KEY])
        for clock in ("+1d", "-1h"):
            ended = with_clock(clock, "up", "--wait-lock", "300ms")
            assert (ended.code, ended.result.failure.code) == (4, "LockNotObtained")
            assert 300 <= ended.result.duration_ms < 30_000
    assert with_clock("-1d", "up").code == 0
    assert len(database.history()) == 1


def test_a_clock_that_jumps_during_the_run_changes_nothing(database, dbmigrate, tmp_path):
    """Durations are taken from a clock that does not jump."""
    if CLOCKS is None:
        pytest.skip("no libfaketime on this machine")
    stamp = tmp_path / "clock"
    stamp.write_text("+0\n")
    environment = {
        "LD_PRELOAD": str(CLOCKS), "FAKETIME_TIMESTAMP_FILE": str(stamp),
        "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    database.write("v1.0.0_a.sql", "create table a (); select pg_sleep(1.5);")
    database.write("v1.1.0_b.sql", "create table b ();")
    process = dbmigrate.start(
        "up", "--source", database.folder, "--output", "json", env=environment
    )
    database.wait_until(IS_SLEEPING)
    stamp.write_text("-1d\n")
    ended = dbmigrate.end(process)
    assert ended.code == 0
    assert 1000 < ended.result.duration_ms < 60_000
    (milliseconds,) = database.rows(
        "select execution_time_ms from schema_migrations where version = '1.0.0'"
    )[0]
    assert 1000 < milliseconds < 60_000
