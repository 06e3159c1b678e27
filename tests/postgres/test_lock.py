"""The advisory lock: one runner for each database at any time."""

import threading

import pytest

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.postgres.lock import KEY
from dbmigrate.postgres.server.doubting import Connection


@pytest.fixture
def holder(database):
    """A session that holds the lock, as another runner's."""
    with database.another() as other:
        other.execute("set application_name = 'dbmigrate/up'")
        other.execute("select pg_advisory_lock(%s)", [KEY])
        yield other


def test_a_held_lock_is_told_with_its_holder(database, holder):
    """Exit code 4, after the time that was asked for, and nothing was run."""
    database.write("v1.0.0_a.sql", "create table a ();")
    result = database.run("up", wait_lock=0.3)
    assert (result.outcome, result.exit_code) == (Outcome.FAILED, 4)
    failure = result.failure
    assert (failure.code, failure.transient, failure.touched) == ("LockNotObtained", True, False)
    assert f"process {holder.info.backend_pid}" in failure.message
    assert not database.has("a")
    assert not database.has("schema_migrations")


def test_waiting_is_told_at_once_with_the_holder(database, holder):
    """Whoever watches knows whom the run waits for; then it goes on by itself."""
    database.write("v1.0.0_a.sql", "create table a ();")

    def let_go(event, _):
        if event is EventName.WAITING:
            holder.execute("select pg_advisory_unlock(%s)", [KEY])

    database.reporter.listeners.append(let_go)
    assert database.run("up").failure is None
    (waiting,) = database.reporter.of(EventName.WAITING)
    assert waiting["reason"] == "AdvisoryLock"
    assert waiting["holders"][0].pid == holder.info.backend_pid
    assert waiting["holders"][0].application == "dbmigrate/up"


def test_a_stale_row_is_no_lock(database):
    """The row outlives a killed runner; the lock does not."""
    database.run("up")
    database.connection.execute(
        "insert into migration_locks (locked_by, process_id) values ('a ghost', 1)"
    )
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run("up", wait_lock=0.2).failure is None


def test_the_row_says_who_works_and_goes_afterwards(database):
    """For people: the lock itself is the server's."""
    database.write("v1.0.0_a.sql", "create table who as select * from migration_locks;")
    database.run("up", applied_by="shop/exams")
    assert database.rows("select id, locked_by, command from who") == [(1, "shop/exams", "up")]
    assert database.value("select count(*) from migration_locks") == 0


@pytest.mark.usefixtures("holder")
def test_one_key_for_a_database_whatever_the_history_schema(database):
    """Two histories in one database still have one schema to change."""
    database.connection.execute("create schema h")
    assert database.run("up", history_schema="h", wait_lock=0.1).exit_code == 4


@pytest.mark.usefixtures("holder")
def test_reading_takes_no_lock(database):
    """`status` answers while another run works."""
    database.write("v1.0.0_a.sql", "create table a ();")
    for command in ("status", "plan", "validate"):
        assert database.run(command).failure is None


def test_two_runs_at_once_apply_each_migration_once(database):
    """Both succeed; the second finds what the first did."""
    for number in range(10):
        database.write(f"v1.{number}.0_t.sql", f"create table t{number} (); select pg_sleep(0.02);")
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(database.run("up"))) for _ in range(3)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [result.failure for result in results] == [None] * 3
    assert sorted(len(result.applied) for result in results) == [0, 0, 10]
    assert database.value("select count(*) from schema_migrations") == 10


def test_a_file_that_drops_the_lock_does_not_let_another_run_in(database):
    """The session has it again before the file is committed."""
    database.write("v1.0.0_a.sql", "select pg_advisory_unlock_all(); create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    taken = []

    def try_lock(event, _):
        if event is EventName.MIGRATION_COMPLETED:
            taken.append(database.value("select pg_try_advisory_lock(%s)", KEY))

    database.reporter.listeners.append(try_lock)
    assert database.run("up").failure is None
    assert taken == [False, False]


def test_a_lock_that_another_run_took_ends_the_run(database):
    """What no file may cause happened: the next file is undone and nothing more is run."""
    # By statement, so that the next file is not yet on its way when it begins.
    database.write("v1.0.0_a.sql", "-- dbmigrate: transaction=statement\ncreate table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")

    def steal(event, data):
        if event is EventName.MIGRATION_STARTED and data["version"] == "1.1.0":
            # Only a superuser's hand can do this to the runner's session.
            (pid,) = database.rows(
                "select pid from pg_locks where locktype = 'advisory' and objid = %s",
                KEY & 0xFFFFFFFF,
            )[0]
            session = next(s for s in sessions if s.info.backend_pid == pid)
            session.execute("select pg_advisory_unlock_all()")
            database.connection.execute("select pg_advisory_lock(%s)", [KEY])

    sessions = []
    database.reporter.listeners.append(steal)
    with _connections_seen(sessions):
        failure = database.run("up").failure
    assert failure.code == "LockLost"
    assert (database.has("a"), database.has("b")) == (True, False)


class _connections_seen:  # noqa: N801 -- reads as a context
    """Collects the connections that the engine makes."""

    def __init__(self, sessions):
        self.sessions = sessions

    def __enter__(self):
        self.connect = connect = Connection.connect

        def seen(*args, **kwargs):
            connection = connect(*args, **kwargs)
            self.sessions.append(connection)
            return connection

        Connection.connect = seen

    def __exit__(self, *_):
        del Connection.connect  # the class's own is psycopg's again


def test_a_busy_table_is_waited_for_and_the_file_tried_again(database):
    """lock_timeout is short, so that traffic behind us goes on; then all is tried once more."""
    database.connection.execute("create table busy ()")
    database.write("v1.0.0_a.sql", "create table a (); alter table busy add column n int;")
    other = database.another()
    other.execute("begin; select * from busy")
    blocker = other.info.backend_pid

    def let_go(event, data):
        if event is EventName.WAITING and "tried again" in data["message"]:
            other.rollback()

    database.reporter.listeners.append(let_go)
    result = database.run("up", lock_timeout=1.5)
    other.close()
    assert result.failure is None
    waiting = database.reporter.of(EventName.WAITING)
    assert {each["reason"] for each in waiting} == {"TableLock"}
    assert blocker in [holder.pid for each in waiting for holder in each["holders"]]
    assert database.value("select count(*) from schema_migrations") == 1


def test_a_table_that_stays_busy_fails_the_run_in_the_end(database):
    """As transient: the same may succeed later."""
    database.connection.execute("create table busy ()")
    database.write("v1.0.0_a.sql", "alter table busy add column n int;")
    with database.another() as other:
        other.execute("begin; select * from busy")
        failure = database.run("up", lock_timeout=0.1, lock_retries=1).failure
        other.rollback()
    tries = [each["message"] for each in database.reporter.of(EventName.WAITING)]
    assert ["tried again in" in each for each in tries] == [True]
    assert (failure.sqlstate, failure.transient, failure.statement) == ("55P03", True, 1)
