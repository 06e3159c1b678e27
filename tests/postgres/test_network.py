"""A network that fails without a word: noticed by both sides, and the next run carries on."""

import threading
import time

import pytest
from network import FROM_SERVER, TO_SERVER, Wire, packets_of

from conftest import until
from dbmigrate.api.report.events import EventName
from dbmigrate.postgres.lock import KEY
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.settings import ConnectionSettings, SessionSettings

pytestmark = pytest.mark.one_version

IMPATIENT = {
    "keepalives_idle": "1", "keepalives_interval": "1", "keepalives_count": "2",
    "tcp_user_timeout": "3000",
}  # fmt: skip
"""What is waited for a minute otherwise, in three seconds."""
IS_SLEEPING = """
    select count(*) = 1 from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep'
"""
LOCKS = """
    select count(*) from pg_locks where locktype = 'advisory' and database = (
        select oid from pg_database where datname = current_database()
    )
"""
BOTH = (TO_SERVER, FROM_SERVER)


@pytest.fixture
def packets(own_database):
    """Those of the test's server."""
    with packets_of(own_database.server.port) as packets:
        yield packets


@pytest.fixture
def params(own_database):
    """By TCP: a Unix socket has no packets."""
    return {**own_database.server.params(own_database.name), "host": "127.0.0.1", **IMPATIENT}


def when(condition, action):
    """Do it as soon as that is true, beside the test."""

    def wait():
        until(condition)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize(
    "directions", [(FROM_SERVER,), (TO_SERVER,), BOTH], ids=["answers", "questions", "both"]
)
def test_a_cut_during_a_statement(own_database, packets, params, directions):
    """The runner says so within its time; the server frees the lock within its own."""
    database = own_database
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b (); select pg_sleep(60);")
    thread = when(lambda: database.value(IS_SLEEPING), lambda: packets.vanish(*directions))
    began = time.monotonic()
    result = database.run("up", settings=params)
    took = time.monotonic() - began
    thread.join()
    database.wait_until(f"select ({LOCKS}) = 0", timeout=15)
    packets.mend()
    assert (result.failure.code, result.failure.transient) == ("ConnectionLost", True)
    assert not result.database_known
    assert took < 40
    assert not database.has("b")
    database.write("v1.1.0_b.sql", "create table b ();")
    result = database.run("up", settings=params)
    assert (result.failure, result.current_version) == (None, "1.1.0")
    assert database.value("select count(*) from schema_migrations where status = 'completed'") == 2


def test_a_cut_between_two_files(own_database, packets, params):
    """What was committed stays; the rest is not begun twice."""
    database = own_database
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")

    def listen(event, _):
        if event is EventName.MIGRATION_COMPLETED:
            packets.vanish(*BOTH)

    database.reporter.listeners.append(listen)
    result = database.run("up", settings=params)
    database.reporter.listeners.clear()
    packets.mend()
    assert result.failure.transient
    assert [record.version for record in result.applied] == ["1.0.0"]
    result = database.run("up", settings=params)
    assert [record.version for record in result.applied] == ["1.1.0"]
    assert database.value("select count(*) from schema_migrations where status = 'completed'") == 2


def test_a_server_that_cannot_be_reached(own_database, packets, params):
    """Nobody refuses, nobody answers: the attempt ends after its time."""
    own_database.write("v1.0.0_a.sql", "create table a ();")
    packets.vanish(TO_SERVER)
    result = own_database.run("up", settings=params, connect_timeout=2.0)
    assert (result.failure.code, result.exit_code) == ("ConnectTimeout", 5)
    assert "firewalls" in result.failure.hint


def test_a_cut_that_heals_in_time_is_not_noticed(own_database, packets, params):
    """Packets are sent again: that is what TCP is for."""
    database = own_database
    database.write("v1.0.0_a.sql", "create table a (); select pg_sleep(1.5);")
    patient = {key: value for key, value in params.items() if key not in IMPATIENT}
    healed = []

    def cut():
        packets.vanish(*BOTH)
        time.sleep(2)  # while the server's answer is on its way
        packets.mend()
        healed.append(True)

    thread = when(lambda: database.value(IS_SLEEPING), cut)
    result = database.run("up", settings=patient)
    thread.join()
    assert healed
    assert (result.failure, result.current_version) == (None, "1.0.0")


def test_a_slow_network_only_takes_longer(own_database, params):
    """Every 64 bytes a little later, in both directions."""
    database = own_database
    database.write("v1.0.0_a.sql", "create table a ();")
    wire = Wire(database.server.port, delay=0.005)
    result = database.run("up", settings={**params, "port": str(wire.port)})
    wire.close()
    assert (result.failure, result.current_version) == (None, "1.0.0")


def test_it_is_a_minute_where_nobody_says_otherwise(params):
    """On both sides; the server's own would be hours."""
    patient = {key: value for key, value in params.items() if key not in IMPATIENT}
    where = ConnectionSettings(patient, "the test")
    session = connect(where, SessionSettings("up", is_writing=True), Interruption())
    names = ["keepalives_idle", "keepalives_interval", "keepalives_count"]
    query = "select current_setting('tcp_' || name)::int from unnest(%s::text[]) as name"
    idle, interval, count = (row[0] for row in session.query(query, [names]))
    ours = session.connection.info.get_parameters()
    session.close()
    assert idle + interval * count <= 60
    assert [int(ours[name]) for name in names] == [idle, interval, count]
    assert int(ours["tcp_user_timeout"]) <= 60_000


@pytest.fixture
def wire(own_database):
    """A program in between."""
    wire = Wire(own_database.server.port)
    yield wire
    wire.close()


@pytest.mark.parametrize(
    "directions", [(FROM_SERVER,), (TO_SERVER,), BOTH], ids=["answers", "questions", "both"]
)
def test_a_program_in_between_that_hangs(own_database, wire, params, directions):
    """Its kernel acknowledges all: the server itself is asked, and its process ended."""
    database = own_database
    database.write("v1.0.0_a.sql", "create table a (); select pg_sleep(1);")
    thread = when(lambda: database.value(IS_SLEEPING), lambda: wire.swallow(*directions))
    result = database.run("up", settings={**params, "port": str(wire.port)})
    thread.join()
    assert (result.failure.code, result.failure.transient) == ("ConnectionLost", True)
    assert "its answer did not arrive" in result.failure.message
    assert not database.has("a")
    database.wait_until(f"select ({LOCKS}) = 0", timeout=10)
    result = database.run("up", settings=params)
    assert (result.failure, result.current_version) == (None, "1.0.0")


def test_a_swallowed_answer_to_commit(own_database, wire, params):
    """The history decides, and the run goes on by a connection that works."""
    database = own_database
    database.write(
        "v1.0.0_a.sql",
        "create table a (n int);"
        "create function late() returns trigger language plpgsql as "
        "$$ begin perform pg_sleep(1); return null; end $$;",
    )
    database.run("up", settings=params)
    database.connection.execute("""
        create constraint trigger late after insert on schema_migrations
        deferrable initially deferred for each row execute function late()
    """)
    database.write("v1.1.0_b.sql", "create table b ();")
    thread = when(lambda: database.value(IS_SLEEPING), lambda: wire.swallow(FROM_SERVER))
    result = database.run("up", settings={**params, "port": str(wire.port)})
    thread.join()
    assert (result.failure, result.current_version) == (None, "1.1.0")
    (warning,) = database.reporter.of(EventName.WARNING)
    assert "the answer to COMMIT was lost" in warning["message"]


def test_a_hang_while_another_run_is_waited_for(own_database, wire, params):
    """Our own short questions have an end too."""
    database = own_database
    database.write("v1.0.0_a.sql", "create table a ();")

    def listen(event, _):
        if event is EventName.WAITING:
            wire.swallow(*BOTH)

    database.reporter.listeners.append(listen)
    with database.another() as other:
        other.execute("select pg_advisory_lock(%s)", [KEY])
        result = database.run("up", settings={**params, "port": str(wire.port)}, wait_lock=300.0)
    assert (result.failure.code, result.failure.transient) == ("ConnectionLost", True)
    assert "its answer did not arrive" in result.failure.message
    database.wait_until(f"select ({LOCKS}) = 0", timeout=10)


def test_a_long_statement_is_left_alone(own_database, wire, params):
    """It is longer than any patience, and the server is at work."""
    database = own_database
    database.write("v1.0.0_a.sql", "create table a (); select pg_sleep(8);")
    result = database.run("up", settings={**params, "port": str(wire.port)})
    assert (result.failure, result.current_version) == (None, "1.0.0")
