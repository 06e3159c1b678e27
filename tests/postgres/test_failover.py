"""A primary that dies and a standby that takes over: the new primary's word is the truth."""

import signal
import threading

import pytest
from proxy import Proxy

from conftest import start_server, until
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome

IS_SLEEPING = """
    select count(*) = 1 from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep'
"""
COMMITTING = b'"schema_migrations" (version'


@pytest.fixture(params=[15, 18], ids=["pg15", "pg18"])
def own_server(request):
    """A primary of its own."""
    server = start_server(request.param)
    yield server
    server.destroy()


class Pair:
    """A primary and its standby, which receives and replays what the primary writes."""

    def __init__(self, database):
        self.database = database
        self.primary = database.server
        self.standby = self.primary.standby()
        self.standby.start()

    def params(self, *hosts):
        """Both addresses, in this order; the standby's first, as nobody should have to care."""
        first = {"host": str(self.standby.folder), "port": str(self.standby.port)}
        last = {"host": str(self.primary.folder), "port": str(self.primary.port)}
        ends = [first, *hosts] if hosts else [first, last]
        joined = {key: ",".join(each[key] for each in ends) for key in ("host", "port")}
        return {"user": "postgres", "dbname": self.database.name, **joined}

    def catch_up(self):
        """Wait until the standby has replayed all that the primary has written."""
        with self.primary.connect(self.database.name) as primary:
            (written,) = primary.execute("select pg_current_wal_flush_lsn()::text").fetchone()
        with self.standby.connect(self.database.name) as standby:
            query = "select pg_last_wal_replay_lsn() >= %s::pg_lsn"
            until(lambda: standby.execute(query, [written]).fetchone()[0])

    def stop_receiving(self):
        """From here on what the primary commits is lost with it."""
        with self.standby.connect("postgres") as standby:
            standby.execute("alter system set primary_conninfo = ''")
            standby.execute("select pg_reload_conf()")
            query = "select count(*) = 0 from pg_stat_wal_receiver"
            until(lambda: standby.execute(query).fetchone()[0])

    def fail_over(self):
        """The primary is gone at once, and the standby takes its place."""
        self.primary.stop(signal.SIGQUIT)
        self.standby.promote()

    def rows(self, query):
        """What the new primary says."""
        with self.standby.connect(self.database.name) as connection:
            return connection.execute(query).fetchall()

    def history(self):
        """What is applied there, in order."""
        return self.rows(
            "select version, count(*) from schema_migrations "
            "where status = 'completed' group by version order by version"
        )


@pytest.fixture
def pair(own_database):
    """A database on a primary, and its standby."""
    database = own_database
    database.write("v1.0.0_a.sql", "create table a (n int); insert into a values (1);")
    database.write("v1.1.0_b.sql", "create table b (n int); insert into b values (1);")
    pair = Pair(database)
    yield pair
    pair.standby.destroy()


def test_a_standby_alone_is_refused(pair):
    """With the advice to name all hosts; what looks is told that it looks at a standby."""
    params = pair.standby.params(pair.database.name)
    result = pair.database.run("up", settings=params)
    assert (result.failure.code, result.exit_code) == ("StandbyServer", 5)
    assert "postgresql://db-1,db-2/" in result.failure.hint
    for command in ("status", "kept"):
        assert pair.database.run(command, settings=params).failure is None
        (warning,) = pair.database.reporter.of(EventName.WARNING)
        assert "is a standby" in warning["message"]


def test_of_two_hosts_the_primary_is_migrated(pair):
    """Whichever stands first; and it is the primary that is asked for the status."""
    assert pair.database.run("up", settings=pair.params()).current_version == "1.1.0"
    assert pair.database.value("select count(*) from a") == 1
    pair.stop_receiving()
    pair.database.write("v1.2.0_c.sql", "create table c ();")
    assert pair.database.run("up", settings=pair.params()).current_version == "1.2.0"
    assert pair.database.run("status", settings=pair.params()).current_version == "1.2.0"
    assert pair.database.reporter.of(EventName.WARNING) == []


def test_with_the_primary_down_each_hosts_fault_is_told(pair):
    """And a status comes from the standby, with a warning."""
    pair.database.run("up", settings=pair.params())
    pair.catch_up()
    pair.primary.stop(signal.SIGQUIT)
    result = pair.database.run("up", settings=pair.params())
    assert result.failure.code == "StandbyServer"
    assert f":{pair.standby.port}: " in result.failure.message
    assert f":{pair.primary.port}: " in result.failure.message
    assert pair.database.run("status", settings=pair.params()).current_version == "1.1.0"
    assert len(pair.database.reporter.of(EventName.WARNING)) == 1


def test_a_failover_in_the_middle_of_a_file(pair):
    """The file is undone; the next run does it, and nothing twice."""
    slow = "create table b (n int); insert into b values (1); select pg_sleep(60);"
    pair.database.write("v1.1.0_b.sql", slow)

    def fail_over():
        with pair.database.another() as other:
            until(lambda: other.execute(IS_SLEEPING).fetchone()[0])
        pair.catch_up()
        pair.fail_over()

    thread = threading.Thread(target=fail_over)
    thread.start()
    result = pair.database.run("up", settings=pair.params())
    thread.join()
    assert (result.failure.code, result.failure.transient) == ("ConnectionLost", True)
    assert [record.version for record in result.applied] == ["1.0.0"]
    pair.database.write("v1.1.0_b.sql", slow.replace("60", "0"))
    result = pair.database.run("up", settings=pair.params())
    assert (result.failure, result.current_version) == (None, "1.1.0")
    assert pair.history() == [("1.0.0", 1), ("1.1.0", 1)]
    assert pair.rows("select (select count(*) from a), (select count(*) from b)") == [(1, 1)]


def run_with_lost_answer(pair, then):
    """Run `up`; when the first file is committed, its answer is lost and `then` happens."""
    proxy = Proxy(pair.primary, COMMITTING, deliver=True, then=then)
    try:
        hosts = {"host": "127.0.0.1", "port": str(proxy.port)}
        return pair.database.run("up", settings=pair.params(hosts))
    finally:
        proxy.close()
        assert proxy.cut.is_set()


def test_a_commit_that_the_new_primary_has(pair):
    """Its answer is lost with the old primary; the history decides, and the run goes on."""

    def then():
        pair.catch_up()
        pair.fail_over()

    result = run_with_lost_answer(pair, then)
    assert (result.failure, result.current_version) == (None, "1.1.0")
    assert [record.version for record in result.applied] == ["1.0.0", "1.1.0"]
    assert pair.history() == [("1.0.0", 1), ("1.1.0", 1)]


def test_a_commit_that_the_new_primary_never_received(pair):
    """It is not reported as done, though the old primary had committed it."""
    pair.stop_receiving()
    result = run_with_lost_answer(pair, pair.fail_over)
    assert (result.failure.code, result.failure.transient) == ("ConnectionLost", True)
    assert result.applied == ()
    assert (result.database_known, result.current_version, result.pending) == (True, None, 2)
    result = pair.database.run("up", settings=pair.params())
    assert (result.failure, result.current_version) == (None, "1.1.0")
    assert pair.history() == [("1.0.0", 1), ("1.1.0", 1)]
    assert pair.rows("select (select count(*) from a), (select count(*) from b)") == [(1, 1)]


def test_files_that_were_reported_and_then_lost_are_taken_back(pair):
    """The first file's commit was answered; the failover took it with the second one."""
    pair.database.write("v1.1.0_b.sql", "create table b (n int); select pg_sleep(60);")
    pair.stop_receiving()

    def fail_over():
        with pair.database.another() as other:
            until(lambda: other.execute(IS_SLEEPING).fetchone()[0])
        # The new primary is there before the run looks again.
        pair.standby.promote()
        pair.primary.stop(signal.SIGQUIT)

    thread = threading.Thread(target=fail_over)
    thread.start()
    result = pair.database.run("up", settings=pair.params())
    thread.join()
    assert result.outcome is Outcome.FAILED
    assert (result.database_known, result.applied, result.pending) == (True, (), 2)
    warnings = [each["message"] for each in pair.database.reporter.of(EventName.WARNING)]
    assert any(each.startswith("1.0.0: this run committed it") for each in warnings)
