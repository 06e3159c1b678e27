"""COMMIT was sent and its answer did not come: the history alone decides, sooner or later."""

import signal
import threading
import time

import pytest
from tests.chaos.relay import Cut, Relay, Trigger, Way

from conftest import until
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.postgres.executing import settling
from dbmigrate.postgres.server.interruption import Interruption

SENT = b"\0commit\0"
"""In the message that asks for it (PostgreSQL manual, section 55.7: Parse)."""
NO_SESSION = """
    select count(*) = 0 from pg_stat_activity
    where datname = current_database() and application_name like 'dbmigrate/%%'
"""


@pytest.fixture
def relay(request):
    """Between the runner and the test's server."""
    name = "own_database" if "own_database" in request.fixturenames else "database"
    database = request.getfixturevalue(name)
    relay = Relay(database.server.port)
    yield relay
    relay.close()


def at_commit(relay, act, *, nth=1, way=Way.REQUEST, behind=True):
    """Do something at a COMMIT; by default when the server has it and has not answered."""
    word = SENT if way is Way.REQUEST else b"COMMIT\0"
    relay.triggers.append(Trigger(way, act, word=word, nth=nth, behind=behind))


def write_two(database):
    """Two migrations; the first run's second COMMIT is the first one's."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    database.run("to", "0")  # makes the bookkeeping, so that the next COMMIT is a file's


def test_the_server_is_looked_for_until_it_is_back(database, relay):
    """Connections are refused for a while, again and again; then the run goes on."""
    write_two(database)

    def cut(link):
        relay.refusing_until = time.monotonic() + 1.5
        relay.cut(link, Cut.RUNNER)

    at_commit(relay, cut)
    result = database.run("up", settings=database.through(relay.port))
    assert result.failure is None
    assert [record.version for record in result.applied] == ["1.0.0", "1.1.0"]
    assert len(database.history()) == 2


def test_a_second_answer_may_be_lost_too(database, relay):
    """Each is settled by itself."""
    write_two(database)
    at_commit(relay, lambda link: relay.cut(link, Cut.RUNNER))
    at_commit(relay, lambda link: relay.cut(link, Cut.RUNNER), nth=2)
    result = database.run("up", settings=database.through(relay.port))
    assert [record.version for record in result.applied] == ["1.0.0", "1.1.0"]
    warnings = [each["message"] for each in database.reporter.of(EventName.WARNING)]
    assert len([each for each in warnings if "answer to COMMIT was lost" in each]) == 2


def test_asking_may_be_cut_off_too(database, relay):
    """It is asked again: what was not yet known is not taken for undone."""
    write_two(database)

    def cut(link):
        relay.triggers.append(
            Trigger(Way.REQUEST, lambda other: relay.cut(other, Cut.BOTH), word=b"advisory_lock")
        )
        relay.cut(link, Cut.RUNNER)

    at_commit(relay, cut)
    result = database.run("up", settings=database.through(relay.port))
    assert result.failure is None
    assert [record.version for record in result.applied] == ["1.0.0", "1.1.0"]


def test_a_signal_while_it_is_not_known_claims_nothing(database, relay):
    """COMMIT may still be on its way to the server: the history is no answer yet."""
    write_two(database)
    interruption = Interruption()

    def cut(link):
        interruption.request(signal.SIGTERM)
        relay.cut(link, Cut.LATE)

    at_commit(relay, cut, behind=False)
    result = database.run("up", settings=database.through(relay.port), interruption=interruption)
    assert (result.outcome, result.database_known) == (Outcome.INTERRUPTED, False)
    assert (result.current_version, result.history) == (None, ())


@pytest.mark.one_version
def test_a_server_that_does_not_come_back_is_told_as_such(database, relay, monkeypatch):
    """Neither applied nor undone is claimed; the same run is to be tried again."""
    monkeypatch.setattr(settling, "_PATIENCE", 0.7)
    write_two(database)

    def cut(link):
        relay.refusing_until = time.monotonic() + 60
        relay.cut(link, Cut.RUNNER)

    at_commit(relay, cut)
    result = database.run("up", settings=database.through(relay.port))
    assert (result.failure.code, result.failure.transient) == ("CommitInDoubt", True)
    assert (result.database_known, result.applied) == (False, ())
    assert [record.version for record in database.run("up").applied] == ["1.1.0"]


@pytest.mark.one_version
def test_a_commit_that_reaches_the_server_late_is_waited_for(database, relay):
    """The old session still has the lock: the history is not looked at before it has ended."""
    write_two(database)
    relay.lateness = 1.0
    at_commit(relay, lambda link: relay.cut(link, Cut.LATE), behind=False)
    result = database.run("up", settings=database.through(relay.port))
    assert result.failure is None
    assert [record.version for record in result.applied] == ["1.0.0", "1.1.0"]
    assert [row[0] for row in database.history()] == ["1.0.0", "1.1.0"]


@pytest.mark.one_version
def test_a_signal_meanwhile_ends_the_run_and_claims_nothing(database, relay):
    """It says that the file may be committed or undone; the next run knows."""
    write_two(database)
    interruption = Interruption()

    def cut(link):
        relay.refusing_until = time.monotonic() + 60
        relay.cut(link, Cut.RUNNER)

    def told(event, data):
        if event is EventName.WARNING and "answer to COMMIT was lost" in data["message"]:
            interruption.request(signal.SIGTERM)

    at_commit(relay, cut)
    database.reporter.listeners.append(told)
    result = database.run("up", settings=database.through(relay.port), interruption=interruption)
    assert (result.outcome, result.exit_code) == (Outcome.INTERRUPTED, 143)
    assert "may be committed or undone" in result.message
    assert (result.applied, result.database_known) == ((), False)
    assert [record.version for record in database.run("up").applied] == ["1.1.0"]


@pytest.mark.parametrize(
    ("way", "applied"),
    [(Way.REQUEST, []), (Way.ANSWER, ["1.0.0", "1.1.0"])],
    ids=["before-the-server-has-it", "when-it-has-answered"],
)
def test_an_immediate_shutdown_at_commit(own_database, relay, way, applied):
    """What was committed is there after the recovery, and what was not is not."""
    database = own_database  # where synchronous_commit is off, as some applications choose
    write_two(database)
    stopped = threading.Event()

    def crash(link):
        database.server.stop(signal.SIGQUIT)
        relay.cut(link, Cut.BOTH)
        stopped.set()

    at_commit(relay, crash, way=way, behind=False)
    results = []
    thread = threading.Thread(
        target=lambda: results.append(database.run("up", settings=database.through(relay.port)))
    )
    thread.start()
    assert stopped.wait(20)
    database.server.start()
    thread.join()
    (result,) = results
    with database.server.connect(database.name) as connection:
        rows = connection.execute("select version from schema_migrations order by id").fetchall()
        tables = connection.execute("select to_regclass('a'), to_regclass('b')").fetchone()
    assert [row[0] for row in rows] == applied
    assert [name for name in tables if name] == ["a", "b"][: len(applied)]
    assert [record.version for record in result.applied] == applied
    assert (result.failure is None) is bool(applied)
    assert result.failure is None or result.failure.transient
    assert database.run("up").current_version == "1.1.0"


@pytest.mark.parametrize("command", [("up", None), ("to", "0")], ids=["up", "to-0"])
def test_another_run_that_went_on_meanwhile_is_not_gone_over(database, relay, command):
    """The lock was free while nobody was connected; the plan is not what is pending any more."""
    write_two(database)
    if command[0] == "to":
        database.write("rollbacks/v1.0.0_rollback.sql", "drop table a;")
        database.write("rollbacks/v1.1.0_rollback.sql", "drop table b;")
        database.run("up")
    rows = len(database.history())

    def other_runs(event, data):
        if event is EventName.WARNING and "answer to COMMIT was lost" in data["message"]:
            database.reporter.listeners.clear()
            until(lambda: database.value(NO_SESSION))
            assert database.run(*command).failure is None

    at_commit(relay, lambda link: relay.cut(link, Cut.RUNNER))
    database.reporter.listeners.append(other_runs)
    result = database.run(*command, settings=database.through(relay.port))
    assert result.failure is None or result.failure.transient
    assert "failed" not in [row[2] for row in database.history()]
    assert len(database.history()) == rows + 2
