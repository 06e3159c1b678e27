"""A file goes to the server together with the end of the one before it, and still stands alone."""

import threading

import pytest
from tests.chaos.relay import Cut, Relay, Trigger, Way

from conftest import until
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.errors import RefusedError
from dbmigrate.migrations.folder import read_source
from dbmigrate.postgres.executing.assignment import Assignment, Watch
from dbmigrate.postgres.executing.committing import Ending
from dbmigrate.postgres.executing.execution import Execution
from dbmigrate.postgres.executing.prerequisites import Script
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.session import Request
from dbmigrate.postgres.server.settings import CATALOG, SessionSettings

IS_SLEEPING = """
    select count(*) = 1 from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep'
"""
REFUSES_THE_SECOND = """
    create sequence touched;
    create function refuse() returns trigger language plpgsql as $$ begin
        if new.version = '1.1.0' and new.status = 'completed' then
            raise exception 'not this one';
        end if;
        return new;
    end $$;
    create trigger refuse before insert on schema_migrations
        for each row execute function refuse();
"""


@pytest.fixture
def relay(database):
    """Between the runner and the test's server."""
    relay = Relay(database.server.port)
    yield relay
    relay.close()


def test_it_is_on_its_way_before_the_one_before_it_is_told(database):
    """The server goes from one file to the next without waiting for the runner."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "select pg_sleep(0.5);")
    seen = []

    def look(event, data):
        if event is EventName.MIGRATION_COMPLETED and data["number"] == 1:
            database.wait_until(IS_SLEEPING)
            seen.append(database.history())

    database.reporter.listeners.append(look)
    assert database.run().failure is None
    assert seen == [[("1.0.0", "forward", "completed")]]


def test_a_file_is_told_as_completed_while_the_next_one_runs(database):
    """Nobody waits for the next file to hear of it, and its rows are there."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "select pg_sleep(60);")
    told = []
    seen = []

    def note(event, data):
        if event in {EventName.MIGRATION_STARTED, EventName.MIGRATION_COMPLETED}:
            told.append((event, data["number"]))

    database.reporter.listeners.append(note)

    def look():
        with database.another() as other:
            until(lambda: other.execute(IS_SLEEPING).fetchone()[0])
            until(lambda: len(told) == 3)
            seen.extend(other.execute("select version from schema_migrations").fetchall())
            other.execute(
                "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'"
            )

    thread = threading.Thread(target=look)
    thread.start()
    result = database.run()
    thread.join()
    assert seen == [("1.0.0",)]
    assert told == [
        (EventName.MIGRATION_STARTED, 1),
        (EventName.MIGRATION_COMPLETED, 1),
        (EventName.MIGRATION_STARTED, 2),
    ]
    assert result.failure.version == "1.1.0"
    assert [record.version for record in result.applied] == ["1.0.0"]


def test_no_statement_of_it_is_told_as_the_one_befores(database):
    """What is told belongs to the file that the server is at."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    database.run("up", debug_queries=True)
    told = database.reporter.of(EventName.STATEMENT)
    assert [(each["file"], each["statement"]) for each in told] == [
        ("v1.0.0_a.sql", "create table a ()"),
        ("v1.1.0_b.sql", "create table b ()"),
    ]


def test_it_does_not_begin_behind_a_transaction_that_was_undone(database):
    """Whatever became of the transaction before it, and however the server was left by it."""
    database.connection.execute("create sequence touched")
    source = read_source([database.write("v1.0.0_a.sql", "select nextval('touched');").parent])
    (migration,) = source.migrations
    wanted = SessionSettings("up", is_writing=True, search_path=CATALOG)
    session = connect(database.settings, wanted, Interruption())
    (xid,) = session.query("select pg_current_xact_id()::text from (select 1) as undone")[0]
    session.query("begin")
    (undone,) = session.query("select pg_current_xact_id()::text")[0]
    session.query("rollback")
    watch = Watch(lambda _: None, lambda: None, lambda: None)
    task = Assignment(session, Script(migration), lambda _: Request("select"), watch, "x", {})
    for number, committed in ((undone, False), (xid, True)):
        ending = Ending(migration, opening=(), proof=Request("select 1/0"), rows=())
        with pytest.raises(RefusedError):
            Execution(task).start_behind(ending, number, lambda: None)
        session.query("rollback")
        assert database.value("select is_called from touched") is committed
    session.close()


def test_nothing_of_it_runs_when_the_one_before_is_not_committed(database):
    """The failure is that file's; the next one has not even taken a sequence's number."""
    database.write("v1.0.0_a.sql", REFUSES_THE_SECOND)
    database.write("v1.1.0_b.sql", "create table b ();")
    database.write("v1.2.0_c.sql", "select nextval('touched');")
    result = database.run()
    assert (result.failure.version, result.current_version) == ("1.1.0", "1.0.0")
    assert "not this one" in result.failure.message
    assert not database.has("b")
    assert database.value("select is_called from touched") is False
    assert [row[0] for row in database.rows("select version from schema_migrations")] == [
        "1.0.0", "1.1.0",
    ]  # fmt: skip
    database.connection.execute("drop trigger refuse on schema_migrations")
    assert [record.version for record in database.run().applied] == ["1.1.0", "1.2.0"]


def test_what_it_locks_is_tried_again_by_itself(database):
    """The one before it is committed once, and it is not undone with the next one."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.run()
    database.write("v1.1.0_b.sql", "create table b ();")
    database.write("v1.2.0_c.sql", "alter table a add column i int;")
    database.write("v1.3.0_d.sql", "create table d ();")
    with database.another() as other:
        blocker = other.transaction()
        blocker.__enter__()
        other.execute("select from a")

        def let_go(event, data):
            if event is EventName.WAITING and "tried again" in data["message"]:
                blocker.__exit__(None, None, None)
                database.reporter.listeners.clear()

        database.reporter.listeners.append(let_go)
        result = database.run(lock_timeout=0.2)
    assert result.failure is None
    assert [record.version for record in result.applied] == ["1.1.0", "1.2.0", "1.3.0"]
    assert len(database.history()) == 4


@pytest.mark.parametrize("way", [Way.REQUEST, Way.ANSWER], ids=["unsent", "unanswered"])
def test_cut_at_the_commit_before_it(database, relay, way):
    """The history decides about the one before; the next one is run once, by the next try."""
    database.write("v1.0.0_a.sql", "create sequence s; create table a as select nextval('s');")
    database.write("v1.1.0_b.sql", "create table b as select nextval('s') as n;")
    database.run("to", "0")
    word = b"\0commit\0" if way is Way.REQUEST else b"COMMIT\0"
    relay.triggers.append(
        Trigger(way, lambda link: relay.cut(link, Cut.RUNNER), word=word, nth=1, behind=False)
    )
    result = database.run("up", settings=database.through(relay.port))
    done = [record.version for record in result.applied]
    assert done in ([], ["1.0.0", "1.1.0"])
    if not done:
        assert result.failure.transient
        assert not database.has("a")
        result = database.run()
    assert (result.current_version, len(database.history())) == ("1.1.0", 2)
    assert database.value("select count(*) from b") == 1


def test_a_signal_during_the_commit_before_it_is_obeyed_behind_it(database):
    """What was decided is seen through; the next file's statement is cancelled."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b (); select pg_sleep(60);")
    interruption = Interruption()

    def stop(event, _):
        if event is EventName.MIGRATION_COMPLETED:
            interruption.request(15)

    database.reporter.listeners.append(stop)
    result = database.run("up", interruption=interruption)
    assert result.outcome is Outcome.INTERRUPTED
    assert [record.version for record in result.applied] == ["1.0.0"]
    assert (database.has("a"), database.has("b")) == (True, False)


def test_applied_by_another_run_after_the_connection_broke(database, relay):
    """A run never says that it did what another one has done."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.run("to", "0")

    def overtake(link):
        relay.cut(link, Cut.BOTH)
        relay.triggers.clear()
        assert [each.version for each in database.run().applied] == ["1.0.0"]

    relay.triggers.append(Trigger(Way.REQUEST, overtake, word=b"\0commit\0", nth=1, behind=False))
    result = database.run("up", settings=database.through(relay.port))
    assert (result.failure.code, result.failure.transient) == ("Overtaken", True)
    assert (result.applied, result.current_version) == ((), "1.0.0")
