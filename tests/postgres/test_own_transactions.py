"""Files with BEGIN and COMMIT of their own: each of those transactions is applied once."""

import threading

import pytest
from messages import CutAtMessage

from dbmigrate.migrations.amend import Amend
from dbmigrate.postgres.lock import KEY

HEADER = "-- dbmigrate: transaction=own\n"
BLOCKS = (
    HEADER
    + """\
create table t (a int);
begin;
insert into t values (1);
savepoint s;
insert into t values (2);
rollback to s;
insert into t values (3);
commit;
insert into t values (4);
begin isolation level serializable;
copy t from stdin;
5
\\.
commit and chain;
insert into t values (6);
end;
begin;
insert into t values (7);
rollback;
create index concurrently i on t (a);
create procedure add(x int) language plpgsql as $$
begin insert into t values (x); commit; end $$;
"""
)
ROWS = [(1,), (3,), (4,), (5,), (6,)]


def assert_whole(database):
    """Each transaction of BLOCKS has taken effect once."""
    assert database.rows("select a from t order by a") == ROWS
    assert database.value("select indisvalid from pg_index where indexrelid = 'i'::regclass")
    assert database.history() == [("1.0.0", "forward", "completed")]
    assert database.value("select count(*) from migration_statements where closed_at is null") == 0


def test_a_files_own_transactions_are_obeyed(database):
    """Savepoints, chains, isolation levels and what is undone on purpose."""
    database.write("v1.0.0_t.sql", BLOCKS)
    assert database.run().failure is None
    assert_whole(database)
    assert database.value("select transaction_mode from schema_migrations") == "own"


@pytest.mark.one_version
@pytest.mark.parametrize("deliver", [False, True], ids=["unsent", "unanswered"])
def test_cut_at_each_message_each_transaction_is_applied_once(database, deliver):
    """The connection breaks before or behind each message that the runner sends in turn."""
    database.write("v1.0.0_t.sql", BLOCKS)
    params = {**database.server.params(database.name), "host": "127.0.0.1"}
    cuts = 0
    while True:
        proxy = CutAtMessage(database.server, cuts, deliver=deliver)
        try:
            database.run(settings={**params, "port": str(proxy.port)})
        finally:
            proxy.close()
        if not proxy.cut.is_set():
            break
        final = database.run()
        assert final.failure is None, (cuts, final.failure)
        assert_whole(database)
        database.connection.execute("drop schema public cascade; create schema public")
        cuts += 1
    assert cuts > 50


def test_a_procedure_that_commits_runs_outside_of_a_transaction(database):
    """The server refuses its COMMIT inside one."""
    database.write("v1.0.0_t.sql", BLOCKS + "call add(8);\ndo $$ begin commit; end $$;")
    assert database.run().failure is None
    assert database.rows("select a from t order by a") == [*ROWS, (8,)]


@pytest.fixture
def doubtful(database):
    """A procedure that commits was cut off; its statement is in doubt."""
    database.write("v1.0.0_t.sql", BLOCKS + "call add(8);")
    database.run()
    database.write("v1.1.0_u.sql", HEADER + "call add(9);")
    database.connection.execute("""
        create or replace procedure add(x int) language plpgsql as $$
        begin
            insert into t values (x); commit; perform pg_terminate_backend(pg_backend_pid());
        end $$
    """)
    assert database.run().failure.transient
    return database


def resolve(database, decision, **options):
    """Say what was found out."""
    return database.run("resolve", amend=Amend(decision=decision, **options))


def test_what_is_in_doubt_is_asked_for_and_not_guessed(doubtful):
    """Nothing tells how far it came, so nothing is run; `status` says so."""
    failure = doubtful.run().failure
    assert (failure.code, failure.line) == ("StatementInDoubt", 2)
    assert doubtful.value("select count(*) from t where a = 9") == 1
    unfinished = doubtful.run("status").unfinished
    assert (unfinished.statement_in_doubt, unfinished.statement) == (1, "call add(9)")


def test_a_statement_that_is_said_to_be_done_is_not_run_again(doubtful):
    """A dry run only says so; who decided is written down."""
    assert "would be recorded" in resolve(doubtful, "done", dry_run=True).message
    assert doubtful.run().failure.code == "StatementInDoubt"
    assert resolve(doubtful, "done", reason="seen").failure is None
    assert doubtful.run().failure is None
    assert doubtful.value("select count(*) from t where a = 9") == 1
    assert doubtful.rows(
        "select event_data ->> 'by', event_data ->> 'reason' from system_events "
        "where event_type = 'statement_resolved'"
    ) == [("tester", "seen")]


def test_a_statement_that_is_said_not_to_be_done_is_run_again(doubtful):
    """Once more, and no more."""
    doubtful.connection.execute(
        "create or replace procedure add(x int) language sql as 'insert into t values (x)'"
    )
    assert resolve(doubtful, "again").failure is None
    assert doubtful.run().failure is None
    assert doubtful.value("select count(*) from t where a = 9") == 2


def test_a_file_that_is_abandoned_is_begun_anew(doubtful):
    """The person has put the database in order."""
    doubtful.write("v1.1.0_u.sql", "insert into t values (10);")
    assert doubtful.run().failure.code == "LedgerDiffers"
    assert resolve(doubtful, "abandon").failure is None
    assert doubtful.run("status").unfinished is None
    assert doubtful.run().failure is None
    assert doubtful.value("select count(*) from t where a = 10") == 1


def test_where_nothing_is_in_doubt_nothing_is_decided(doubtful):
    """The command tells what there is."""
    resolve(doubtful, "again")
    assert resolve(doubtful, "done").failure.code == "NothingToResolve"
    resolve(doubtful, "abandon")
    assert resolve(doubtful, "abandon").failure.code == "NothingToResolve"


def test_a_failure_undoes_its_own_block_alone(database):
    """What was committed stays, and the next run begins with the block that failed."""
    file = HEADER + "begin;\ncreate table t (a int);\ncommit;\nbegin;\ninsert into t values (1);\n"
    database.write("v1.0.0_t.sql", file + "select 1 / 0;\ncommit;")
    assert database.run().failure.line == 7
    assert database.value("select count(*) from t") == 0
    database.write("v1.0.0_t.sql", file + "select 1;\ncommit;")
    assert database.run().failure is None
    assert database.value("select count(*) from t") == 1


def test_a_block_that_is_not_closed_is_undone_and_told(database):
    """The file has no COMMIT for it."""
    database.write("v1.0.0_t.sql", HEADER + "create table a ();\nbegin;\ncreate table t ();")
    assert database.run().failure.code == "TransactionLeftOpen"
    assert (database.has("a"), database.has("t")) == (True, False)


@pytest.mark.one_version
def test_a_block_that_drops_the_lock_lets_nobody_in_before_its_end(database):
    """Else another run could do the whole file meanwhile, and this one its block once more."""
    block = """\
begin;
set transaction isolation level serializable;
select pg_advisory_unlock_all();
select pg_advisory_xact_lock(1);
commit;"""
    database.write("v1.0.0_t.sql", HEADER + block)
    results = []
    thread = threading.Thread(target=lambda: results.append(database.run()))
    database.connection.execute("select pg_advisory_lock(1)")
    try:
        thread.start()
        database.wait_until(
            "select exists (select from pg_locks where locktype = 'advisory' and not granted"
            " and database = (select oid from pg_database where datname = current_database()))"
        )
        assert not database.value("select pg_try_advisory_lock(%s)", KEY)
    finally:
        database.connection.execute("select pg_advisory_unlock_all()")
        thread.join()
    assert results[0].failure is None


@pytest.mark.one_version
@pytest.mark.parametrize(
    "file",
    [
        f"{HEADER}begin;\nselect pg_advisory_unlock_all();\ncommit;\n",
        f"{HEADER}begin;\nselect pg_advisory_unlock_all();\nrollback;\n",
        "-- dbmigrate: transaction=statement\nselect pg_advisory_unlock_all();\n",
        "-- dbmigrate: transaction=statement\ndiscard all;\n",
    ],
    ids=["commit", "rollback", "statement", "discard"],
)
def test_between_two_transactions_the_session_has_the_lock_again(database, file):
    """Whatever the first has dropped: nobody comes in between."""
    file += f"create table t as select pg_advisory_unlock({KEY}) as had_lock;"
    database.write("v1.0.0_t.sql", file)
    assert database.run().failure is None
    assert database.value("select had_lock from t")
