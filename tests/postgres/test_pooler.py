"""Behind a connection pooler: refused where sessions are shared, and nothing is left there."""

import threading

import pytest
from command_line import CommandLine
from network import Wire
from pgbouncer import PgBouncer, version

from conftest import until
from dbmigrate.api.report.events import EventName
from dbmigrate.migrations.version import Version
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.settings import CATALOG, ConnectionSettings, SessionSettings
from dbmigrate.postgres.watch import HistoryWatch

pytestmark = pytest.mark.one_version

SETTINGS = """
    select current_setting('search_path'), current_setting('lock_timeout'),
        current_setting('default_transaction_read_only'),
        coalesce(current_setting('app.environment', true), ''),
        current_setting('client_connection_check_interval')
"""
UNTOUCHED = ('"$user", public', "0", "off", "", "0")
LOCKS = "select count(*) from pg_locks where locktype = 'advisory'"


@pytest.fixture
def bouncer(database):
    """Starts poolers before the test's server."""
    if not version():
        pytest.skip("no PgBouncer on this machine")
    started = []

    def _start(pool_mode, **settings):
        started.append(PgBouncer(database.server, pool_mode, **settings))
        return started[-1]

    yield _start
    for each in started:
        each.close()


@pytest.fixture(autouse=True)
def one_migration(database):
    """There is something to migrate."""
    database.write("v1.0.0_a.sql", "create table a (n int); insert into a values (1);")


def servers_of(pooler, database, number):
    """Hold so many of the pool's server sessions at once; what is set in each."""
    clients = [pooler.connect(database.name) for _ in range(number)]
    try:
        for each in clients:
            each.execute("begin")
        return [each.execute(SETTINGS).fetchone() for each in clients]
    finally:
        for each in clients:
            each.close()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_an_idle_pool_of_shared_sessions_is_refused(database, bouncer, mode):
    """Before a lock is taken; it says where to connect to, and may pass once that is mended."""
    pooler = bouncer(mode, min_pool_size=3)
    result = database.run("up", settings=pooler.params(database.name))
    assert (result.failure.code, result.exit_code) == ("PoolerInTheWay", 5)
    assert (result.failure.transient, result.failure.touched) == (True, False)
    assert "--direct-database" in result.failure.hint
    assert database.value(LOCKS) == 0
    assert not database.has("schema_migrations")
    if mode == "transaction":
        assert set(servers_of(pooler, database, 3)) == {UNTOUCHED}


@pytest.mark.parametrize("command", ["up", "down", "check"])
def test_each_command_that_needs_a_session_is_refused(database, bouncer, command):
    """The integrity checks too: they set what their snapshot needs."""
    pooler = bouncer("transaction")
    target = "0" if command == "down" else None
    result = database.run(command, target, settings=pooler.params(database.name))
    assert result.failure.code == "PoolerInTheWay"
    assert servers_of(pooler, database, 1) == [UNTOUCHED]


def test_a_pool_that_goes_round_is_refused(database, bouncer):
    """Its second client never gets what the first has just used."""
    pooler = bouncer("transaction", server_round_robin=1)
    servers_of(pooler, database, 6)  # so many are there now, and idle
    result = database.run("up", settings=pooler.params(database.name))
    assert result.failure.code == "PoolerInTheWay"
    assert set(servers_of(pooler, database, 6)) == {UNTOUCHED}


def test_prepared_statements_in_the_pooler_change_nothing(database, bouncer):
    """It follows them from session to session; nothing else."""
    if version() < (1, 21):
        pytest.skip("this PgBouncer does not follow prepared statements")
    pooler = bouncer("transaction", max_prepared_statements=100)
    result = database.run("up", settings=pooler.params(database.name))
    assert result.failure.code == "PoolerInTheWay"
    assert servers_of(pooler, database, 1) == [UNTOUCHED]


def test_several_poolers_behind_one_name_are_refused(database, bouncer):
    """A second connection may come to another one than the first."""
    poolers = [bouncer("transaction") for _ in range(3)]
    service = Wire(*[each.port for each in poolers])
    params = poolers[0].params(database.name) | {"port": str(service.port)}
    result = database.run("up", settings=params)
    service.close()
    assert result.failure.code == "PoolerInTheWay"
    for each in poolers:
        assert servers_of(each, database, 1) == [UNTOUCHED]


def test_the_direct_address_beside_the_pooled_one(database, bouncer, tmp_path):
    """The refusal's advice, as a user follows it."""
    run = CommandLine(database, tmp_path)
    pooler = bouncer("transaction")
    run.env["DATABASE_URL"] = pooler.uri(database.name)
    ended = run("up")
    assert (ended.code, "[PoolerInTheWay]" in ended.err) == (5, True)
    assert "DIRECT_DATABASE_URL" in ended.err
    run.env["DIRECT_DATABASE_URL"] = f"postgresql://127.0.0.1:{database.server.port}"
    ended = run("up", "--verbose")
    assert ended.code == 0, ended.err
    assert "DATABASE_URL, DIRECT_DATABASE_URL" in ended.out + ended.err
    assert database.value("select count(*) from a") == 1
    assert run("status").code == 0


class Traffic:
    """Clients of the pool that hold transactions, some long, some short, until the end."""

    def __init__(self, pooler, database, number):
        self.pooler, self.name = pooler, database.name
        self.ended = threading.Event()
        self.done = [0] * number
        self.threads = [threading.Thread(target=self._work, args=(n,)) for n in range(number)]

    def _work(self, number):
        with self.pooler.connect(self.name) as client:
            while not self.ended.is_set():
                with client.transaction():
                    client.execute("select pg_sleep(%s)", [0.02 * (number % 4)])
                self.done[number] += 1

    def __enter__(self):
        for each in self.threads:
            each.start()
        until(lambda: all(self.done))
        return self

    def __exit__(self, *_):
        self.ended.set()
        for each in self.threads:
            each.join()


@pytest.mark.parametrize("size", [3, 12])
def test_a_busy_pool_of_shared_sessions_is_refused(database, bouncer, size):
    """With fewer and with more server sessions than its eight clients want, each time."""
    pooler = bouncer("transaction", default_pool_size=size)
    with Traffic(pooler, database, 8):
        for _ in range(10):
            result = database.run("up", settings=pooler.params(database.name))
            assert result.failure.code == "PoolerInTheWay"
            assert database.value(LOCKS) == 0
    assert set(servers_of(pooler, database, size)) == {UNTOUCHED}


def test_a_pool_without_a_free_session_is_waited_for_a_while(database, bouncer):
    """Others hold all of it: the run ends, and may be tried again."""
    pooler = bouncer("transaction", default_pool_size=1)
    with pooler.connect(database.name) as other:
        other.execute("begin")
        other.execute("select 1")
        result = database.run("up", settings=pooler.params(database.name), connect_timeout=2.0)
        assert (result.failure.code, result.failure.transient) == ("ConnectTimeout", True)
        other.execute("rollback")


@pytest.mark.parametrize("settings", [{}, {"default_pool_size": 1}], ids=["wide", "one-session"])
def test_a_pool_of_sessions_is_used(database, bouncer, settings):
    """Even where ours is the only one: a second client waits, which proves that it is ours."""
    database.write("v1.1.0_b.sql", "create table b (); set work_mem = '64kB';")
    pooler = bouncer("session", **settings)
    result = database.run("up", settings=pooler.params(database.name), environment="staging")
    assert (result.failure, result.current_version) == (None, "1.1.0")
    assert database.value("select count(*) from a") == 1
    assert database.reporter.of(EventName.WARNING) == []


def test_a_pool_that_never_clears_its_sessions_gets_ours_back_clean(database, bouncer):
    """Neither the lock nor a setting stays with the server session that others get."""
    pooler = bouncer("session", server_reset_query="", default_pool_size=1)
    assert database.run("up", settings=pooler.params(database.name)).failure is None
    assert database.value(LOCKS) == 0
    assert servers_of(pooler, database, 1) == [UNTOUCHED]


def test_who_blocks_us_is_told_through_a_pool_of_sessions(database, bouncer):
    """The server process is known by its own pid, not by the pooler's word."""
    pooler = bouncer("session")
    database.run("up", settings=pooler.params(database.name))
    database.write("v1.1.0_b.sql", "alter table a add m int;")
    with database.another() as other:
        other.execute("begin; lock table a")
        told = threading.Event()
        database.reporter.listeners.append(
            lambda event, _: told.set() if event is EventName.WAITING else None
        )
        release = threading.Thread(target=lambda: (told.wait(15), other.execute("rollback")))
        release.start()
        result = database.run("up", settings=pooler.params(database.name))
        release.join()
    assert told.is_set()
    assert result.current_version == "1.1.0"


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("command", ["status", "plan", "validate"])
def test_what_only_looks_goes_on_with_a_warning(database, bouncer, mode, command):
    """All in one read-only transaction, after which the server session is as it was."""
    assert database.run("up").failure is None
    database.write("v1.1.0_b.sql", "create table b ();")
    pooler = bouncer(mode, server_reset_query="", default_pool_size=1)
    result = database.run(command, settings=pooler.params(database.name))
    assert (result.failure, result.current_version, result.pending) == (None, "1.0.0", 1)
    (warning,) = database.reporter.of(EventName.WARNING)[:1]
    assert "is a connection pooler" in warning["message"]
    assert servers_of(pooler, database, 1) == [UNTOUCHED]


def test_a_wrong_statement_is_found_through_a_pool(database, bouncer):
    """The grammar judges, though the first fault ends the transaction."""
    database.write("v1.1.0_b.sql", "select 1;\nselect * from not_there;\ncreat table b ();")
    pooler = bouncer("transaction")
    result = database.run("validate", settings=pooler.params(database.name))
    assert (result.failure.code, result.failure.line) == ("SyntaxError", 3)


def test_waiting_for_a_version_holds_no_transaction(database, bouncer):
    """An application's init container knows the pooled address alone."""
    pooler = bouncer("transaction", default_pool_size=1)
    wanted = SessionSettings("wait")
    where = ConnectionSettings(pooler.params(database.name), "the test")
    watch = HistoryWatch(where, wanted, "public", Interruption())
    assert watch.current() is None
    assert database.run("up").failure is None
    assert watch.current() == Version(1, 0, 0)
    assert database.value(
        "select count(*) = 0 from pg_stat_activity "
        "where datname = current_database() and state like 'idle in%'"
    )
    watch.close()
    assert servers_of(pooler, database, 1) == [UNTOUCHED]


def test_the_server_itself_is_asked_by_one_connection(database):
    """No proof is needed where nobody made the pid up."""
    database.connection.execute("alter system set log_connections = on")
    database.connection.execute("select pg_reload_conf()")
    database.wait_until("select current_setting('log_connections') <> 'off'")
    log = database.server.folder / "log"
    marker = f"database={database.name} application_name=dbmigrate/up"
    try:
        session = connect(
            database.settings,
            SessionSettings("up", is_writing=True, search_path=CATALOG),
            Interruption(),
        )
        assert (session.is_pooled, session.owns_server) == (False, True)
        assert session.query("select pg_catalog.pg_backend_pid()")[0][0] == session.pid
        session.close()
        assert log.read_text().count(marker) == 1
    finally:
        database.connection.execute("alter system reset log_connections")
        database.connection.execute("select pg_reload_conf()")


def test_a_pooler_that_takes_no_second_client_is_not_trusted(database, bouncer):
    """The proof cannot be had; why is told."""
    pooler = bouncer("session", max_client_conn=2)
    with pooler.connect(database.name) as other:
        other.execute("select 1")
        result = database.run("up", settings=pooler.params(database.name))
    assert (result.failure.code, result.failure.transient) == ("TooManyConnections", True)
    assert database.value(LOCKS) == 0
