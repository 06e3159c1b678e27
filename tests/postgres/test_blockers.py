"""Who is in the way of a migration is told: while it waits, and when it gives up."""

import threading

import psycopg
import pytest

from dbmigrate.api.report.events import EventName
from dbmigrate.postgres.reporting import blockers
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.settings import SessionSettings


@pytest.fixture
def busy(database):
    """A table that another session is reading, in a transaction that it leaves open."""
    database.connection.execute("create table busy (id int primary key); insert into busy select 1")
    database.write("v1.0.0_a.sql", "create table a ();\nalter table busy add column n int;\n")
    with reader(database) as other:
        yield other
        other.rollback()


def reader(database, application="shop-web"):
    """A session in a transaction that has read the table."""
    other = psycopg.connect(
        **database.server.params(database.name, application_name=application), autocommit=True
    )
    other.execute("begin")
    other.execute("select * from busy\n  where id = 1")
    return other


@pytest.fixture
def observing(database):
    """A session that asks about others."""
    wanted = SessionSettings("watch", search_path="pg_catalog")
    session = connect(database.settings, wanted, Interruption())
    yield session
    session.close()


def on_waiting(database, act):
    """Call this when the run first tells that it waits."""
    told = []

    def listen(event, data):
        if event is EventName.WAITING and not told:
            told.append(data)
            act()

    database.reporter.listeners.append(listen)
    return told


def test_the_one_in_the_way_is_told_with_all_that_is_known(database, busy):
    """Process, user, application, state, age and query: enough to find the person."""
    told = on_waiting(database, busy.rollback)
    assert database.run("up", lock_timeout=10.0).failure is None
    (waiting,) = told
    (holder,) = waiting["holders"]
    assert waiting["reason"] == "TableLock"
    assert (holder.pid, holder.user) == (busy.info.backend_pid, "postgres")
    assert (holder.application, holder.state) == ("shop-web", "idle in transaction")
    assert holder.query == "select * from busy where id = 1"
    assert 0 <= holder.seconds < 15
    assert waiting["message"].startswith(
        "v1.0.0_a.sql:2 waits for the ACCESS EXCLUSIVE lock on public.busy: "
        f"process {holder.pid} (user postgres, application shop-web), idle in transaction for "
    )


@pytest.mark.one_version
def test_the_same_one_is_told_once(database, busy):
    """Not again and again, until much time has passed."""
    pid = busy.info.backend_pid
    seen = []

    def count(event, _):
        if event is EventName.WAITING:
            seen.append(database.value("select count(*) from pg_locks where not granted"))

    database.reporter.listeners.append(count)
    result = database.run("up", lock_timeout=3.5, lock_retries=0)
    waiting = database.reporter.of(EventName.WAITING)
    assert [[each.pid for each in event["holders"]] for event in waiting] == [[pid]]
    assert seen == [1]
    assert result.failure.sqlstate == "55P03"
    assert database.reporter.of(EventName.STATEMENT) == []


@pytest.mark.one_version
def test_another_one_in_the_way_is_told_at_once(database, busy):
    """A new holder is news."""
    # A reader that comes later waits behind us, so it has to be there before.
    second = reader(database, "reports")
    told = []

    def listen(event, data):
        if event is EventName.WAITING:
            told.append(sorted(each.application for each in data["holders"]))
            (busy.rollback if len(told) == 1 else second.rollback)()

    database.reporter.listeners.append(listen)
    assert database.run("up", lock_timeout=20.0).failure is None
    second.close()
    assert told == [["reports", "shop-web"], ["reports"]]


@pytest.mark.one_version
def test_who_was_in_the_way_is_in_the_failure_and_in_the_history(database, busy):
    """When the last try is over, the reader of the history knows whom to ask."""
    failure = database.run("up", lock_timeout=0.5, lock_retries=1).failure
    pid = busy.info.backend_pid
    who = f"process {pid} (user postgres, application shop-web), idle in transaction"
    assert (failure.sqlstate, failure.transient) == ("55P03", True)
    assert who in failure.message
    assert f"pg_terminate_backend({pid})" in failure.hint
    kept = database.value("select error ->> 'message' from schema_migrations")
    assert who in kept


@pytest.mark.one_version
def test_who_is_in_the_way_is_told_with_the_next_try(database, busy):
    """The event of a pause names them too: the resource's status shows the last event."""
    database.run("up", lock_timeout=0.5, lock_retries=1)
    pauses = [
        each
        for each in database.reporter.of(EventName.WAITING)
        if "tried again in" in each["message"]
    ]
    assert [[holder.pid for holder in each["holders"]] for each in pauses] == [
        [busy.info.backend_pid]
    ]
    assert "(try 2 of 2)" in pauses[0]["message"]


def test_a_prepared_transaction_is_told_by_its_name(database):
    """It has no process, no session and no end: only its name leads to it."""
    database.connection.execute("create table busy (id int)")
    database.write("v1.0.0_a.sql", "alter table busy add column n int;")
    with database.another() as other:
        other.execute("begin; insert into busy values (1)")
        other.execute("prepare transaction 'order''s 7'")
    try:
        failure = database.run("up", lock_timeout=0.6, lock_retries=0).failure
    finally:
        database.connection.execute("rollback prepared 'order''s 7'")
    (waiting,) = database.reporter.of(EventName.WAITING)
    (holder,) = waiting["holders"]
    assert (holder.pid, holder.prepared, holder.user) == (0, "order's 7", "postgres")
    assert 'prepared transaction "order\'s 7" (user postgres), prepared for ' in failure.message
    assert "rollback prepared 'order''s 7'" in failure.hint


def test_a_role_that_may_not_see_others_says_so(database):
    """Rather than to show an empty state: the right that is missing is named."""
    database.connection.execute("""
        create role migrator login;
        create table busy (id int);
        alter table busy owner to migrator;
        grant create on schema public to migrator;
    """)
    database.write("v1.0.0_a.sql", "alter table busy add column n int;")
    settings = database.server.params(database.name) | {"user": "migrator"}
    try:
        with reader_of_all(database) as other:
            pid = other.info.backend_pid
            failure = database.run(
                "up", lock_timeout=0.6, lock_retries=0, settings=settings
            ).failure
            other.rollback()
        (waiting,) = database.reporter.of(EventName.WAITING)
        (holder,) = waiting["holders"]
        assert (holder.pid, holder.is_hidden) == (pid, True)
        assert (holder.state, holder.query, holder.seconds) == ("", "", None)
        assert holder.user == "postgres"
        assert "hidden from this role" in failure.message
        assert "pg_read_all_stats" in failure.hint
    finally:
        database.connection.execute("drop owned by migrator cascade; drop role migrator")


def reader_of_all(database):
    """A superuser's session that reads the table."""
    other = database.another()
    other.execute("begin; select * from busy")
    return other


@pytest.mark.one_version
def test_who_waits_itself_is_told_with_whom_it_waits_for(database, busy):
    """Behind a queue the head of it matters."""
    writer = database.another()
    thread = threading.Thread(target=_try, args=(writer, "lock table busy in exclusive mode"))
    blocker = database.another()
    blocker.execute("begin; lock table busy in row exclusive mode")
    thread.start()
    database.wait_until("select exists (select from pg_locks where not granted)")
    told = on_waiting(database, lambda: (busy.rollback(), blocker.rollback()))
    assert database.run("up", lock_timeout=20.0).failure is None
    thread.join()
    waits = {each.pid: each.waits_for for each in told[0]["holders"]}
    assert waits[writer.info.backend_pid] == (blocker.info.backend_pid,)
    assert waits[blocker.info.backend_pid] == ()
    writer.close()
    blocker.close()


def _try(connection, sql):
    with connection.transaction():
        connection.execute(sql)


@pytest.mark.one_version
def test_a_row_that_another_transaction_has_changed_is_waited_for_as_such(database):
    """An UPDATE waits for a transaction, whatever that one does."""
    database.connection.execute("create table busy (id int primary key); insert into busy select 1")
    database.write("v1.0.0_a.sql", "update busy set id = 2;")
    with database.another() as other:
        other.execute("begin; update busy set id = 3")
        told = on_waiting(database, other.rollback)
        assert database.run("up", lock_timeout=20.0).failure is None
    assert told[0]["reason"] == "Transaction"
    assert told[0]["message"].startswith("v1.0.0_a.sql:1 waits for a transaction to end: process ")


def test_an_index_that_is_built_beside_traffic_waits_for_old_transactions(database, observing):
    """CREATE INDEX CONCURRENTLY: whom it waits for, though that one holds no lock in the way."""
    database.connection.execute("create table quiet (id int)")
    with database.another() as old, database.another() as builder:
        holder = old.info.backend_pid
        old.execute("begin isolation level repeatable read; select 1")
        thread = threading.Thread(
            target=builder.execute, args=("create index concurrently on quiet (id)",)
        )
        thread.start()
        pid = builder.info.backend_pid
        database.wait_until(
            "select exists (select from pg_stat_progress_create_index "
            "where phase = 'waiting for old snapshots')"
        )
        database.wait_until("select exists (select from pg_locks where not granted)")
        wait = blockers.look(observing, pid)
        old.rollback()
        thread.join()
    assert (wait.is_transaction, wait.what) == (True, "a transaction to end")
    assert [each.pid for each in wait.holders] == [holder]


@pytest.mark.one_version
def test_a_file_that_builds_beside_traffic_tells_whom_it_waits_for(database):
    """With the phase; the lock timeout does not end it, since nobody waits behind it."""
    database.connection.execute("create table quiet (id int)")
    database.write("v1.0.0_a.sql", "create index concurrently quiet_id on quiet (id);")
    old = database.another()
    old.execute("begin isolation level repeatable read; select 1")
    told = on_waiting(database, lambda: None)
    release = threading.Timer(3.0, old.rollback)
    release.start()
    result = database.run("up", lock_timeout=0.5)
    release.join()
    pid = old.info.backend_pid
    old.close()
    assert result.failure is None
    assert told[0]["reason"] == "Transaction"
    assert [each.pid for each in told[0]["holders"]] == [pid]
    assert told[0]["message"].startswith(
        "v1.0.0_a.sql:1 waits for a transaction to end (waiting for old snapshots): process "
    )
    assert [each["message"] for each in database.reporter.of(EventName.WAITING)] == [
        told[0]["message"]
    ]


@pytest.mark.one_version
def test_whoever_waits_for_nothing_has_nobody_in_the_way(database, observing):
    """Neither a session that works, nor one that is gone."""
    assert blockers.look(observing, database.connection.info.backend_pid) is None
    assert blockers.look(observing, 2**22 + 1) is None


@pytest.mark.one_version
def test_a_locked_history_is_told_with_who_holds_it(database):
    """Before any file: nothing was touched, and it may be tried again."""
    database.run("up")
    database.write("v1.0.0_a.sql", "create table a ();")
    with database.another() as other:
        pid = other.info.backend_pid
        other.execute("begin; lock table migration_locks in exclusive mode")
        result = database.run("up", lock_timeout=0.3)
        other.rollback()
    failure = result.failure
    assert (failure.code, failure.sqlstate) == ("HistoryLocked", "55P03")
    assert (failure.transient, failure.touched) == (True, False)
    assert f"process {pid} (user postgres)" in failure.message
    assert f"pg_terminate_backend({pid})" in failure.hint


@pytest.mark.one_version
def test_a_history_that_is_locked_at_the_files_end_is_told_with_who_holds_it(database):
    """The file is undone, with its row; the holder is named."""
    database.run("up")
    database.write("v1.0.0_a.sql", "create table a ();")
    other = database.another()
    pid = other.info.backend_pid

    def lock(event, _):
        if event is EventName.MIGRATION_STARTED:
            other.execute("begin; lock table schema_migrations in share mode")

    database.reporter.listeners.append(lock)
    failure = database.run("up", lock_timeout=0.6, lock_retries=0).failure
    other.close()
    assert (failure.sqlstate, failure.statement) == ("55P03", 0)
    assert f"process {pid}" in failure.message
    assert not database.has("a")
    (waiting,) = database.reporter.of(EventName.WAITING)
    assert waiting["message"].startswith(
        "v1.0.0_a.sql: the end of its transaction waits for the ROW EXCLUSIVE lock on "
        f"public.schema_migrations: process {pid} "
    )


def test_a_history_that_a_prepared_transaction_holds_is_told_with_its_name(database):
    """It would hold it for ever, across restarts."""
    database.run("up")
    with database.another() as other:
        other.execute("begin; lock table migration_locks in exclusive mode")
        other.execute("prepare transaction 'forgotten'")
    try:
        failure = database.run("up", lock_timeout=0.3).failure
    finally:
        database.connection.execute("rollback prepared 'forgotten'")
    assert "prepared transaction 'forgotten' (user postgres), prepared for " in failure.message


@pytest.mark.one_version
def test_without_a_second_connection_the_run_goes_on(database):
    """Too many connections: less is told, and nothing else changes."""
    database.connection.execute("""
        create role narrow login connection limit 1;
        grant create on schema public to narrow;
    """)
    database.write("v1.0.0_a.sql", "create table a (); select pg_sleep(2.2);")
    settings = database.server.params(database.name) | {"user": "narrow"}
    try:
        assert database.run("up", settings=settings).failure is None
        (told,) = database.reporter.of(EventName.STATEMENT)
        assert (told["number"], "phase" in told) == (2, False)
    finally:
        database.connection.execute("drop owned by narrow cascade; drop role narrow")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("select  1\n\t from t", "select 1 from t"),
        ("alter role app password 'it''s secret' valid until 'x'", "alter role app password ***"),
        ("create role app encrypted PASSWORD 'unfinish", "create role app encrypted PASSWORD ***"),
        ("select dblink('host=h password=secret')", "select dblink('host=h password=***"),
        ("select '" + "x" * 1000, "select '" + "x" * 191 + "…"),
    ],
)
def test_a_query_is_told_in_one_short_line_without_passwords(query, shown):
    """It goes into logs and into the resource's status."""
    assert blockers.brief(query).startswith(shown)
    assert "secret" not in blockers.brief(query)
    assert len(blockers.brief(query)) <= 200
