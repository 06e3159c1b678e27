"""Files whose statements cannot run in one transaction: each is done once, whatever happens."""

import psycopg
import pytest
from messages import CutAtMessage

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome

TABLE = "create table t (a int); insert into t select generate_series(1, 100);"
MIXED = """\
set search_path = public;
insert into t values (101);
create index concurrently i on t (a);
insert into t values (102);
drop index concurrently public.old;
copy t from stdin;
103
104
\\.
vacuum t;
insert into t values (105);
"""


@pytest.fixture
def prepared(database):
    """A table with an index that the file drops, and the file."""
    database.write("v1.0.0_t.sql", TABLE + "create index old on t (a);")
    assert database.run().failure is None
    database.write("v1.1.0_mixed.sql", MIXED)
    return database


def assert_whole(database):
    """Each statement of MIXED has taken effect once."""
    assert database.rows("select a from t where a > 100 order by a") == [
        (101,), (102,), (103,), (104,), (105,),
    ]  # fmt: skip
    assert database.rows(
        "select c.relname, i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid "
        "where i.indrelid = 't'::regclass"
    ) == [("i", True)]
    assert database.history()[-1] == ("1.1.0", "forward", "completed")
    assert database.value("select count(*) from migration_statements where closed_at is null") == 0


def test_an_index_is_built_concurrently_without_being_asked(database):
    """The file needs no header for it, and its row says how it ran."""
    database.write("v1.0.0_t.sql", TABLE)
    database.write("v1.1.0_i.sql", "create unique index concurrently i on t (a);")
    assert database.run().failure is None
    assert database.value("select indisvalid from pg_index where indexrelid = 'i'::regclass")
    assert database.rows("select version, transaction_mode from schema_migrations order by id") == [
        ("1.0.0", "file"),
        ("1.1.0", "statement"),
    ]


def test_every_kind_of_statement_runs_once(prepared):
    """In a file that mixes them, COPY included."""
    result = prepared.run()
    assert result.failure is None
    assert_whole(prepared)


@pytest.mark.one_version
@pytest.mark.parametrize("deliver", [False, True], ids=["unsent", "unanswered"])
def test_cut_at_each_message_the_next_run_goes_on(prepared, deliver):
    """The connection breaks before or behind each message that the runner sends in turn."""
    params = {**prepared.server.params(prepared.name), "host": "127.0.0.1"}
    cuts = 0
    while True:
        proxy = CutAtMessage(prepared.server, cuts, deliver=deliver)
        try:
            result = prepared.run(settings={**params, "port": str(proxy.port)})
        finally:
            proxy.close()
        if not proxy.cut.is_set():
            break
        if result.failure is not None:
            assert result.failure.transient, result.failure
        final = prepared.run()
        assert final.failure is None, (cuts, final.failure)
        assert_whole(prepared)
        prepared.connection.execute("delete from t where a > 100; drop index i")
        prepared.connection.execute("create index old on t (a)")
        prepared.connection.execute(
            "alter table schema_migrations disable trigger all; "
            "delete from schema_migrations where version = '1.1.0'; "
            "alter table schema_migrations enable trigger all; "
        )
        cuts += 1
    assert cuts > 30
    assert_whole(prepared)


def test_a_statement_and_its_entry_are_one_transaction(prepared):
    """An entry that cannot be written undoes its statement."""
    prepared.connection.execute("""
        create function refuse() returns trigger language plpgsql as
            $$ begin raise 'no entry'; end $$;
        create trigger refuse before insert on migration_statements
            for each row when (new.number = 2) execute function refuse();
    """)
    assert prepared.run().failure.server_message == "no entry"
    assert prepared.value("select count(*) from t where a > 100") == 0
    prepared.connection.execute("drop trigger refuse on migration_statements")
    assert prepared.run().failure is None
    assert_whole(prepared)


def test_an_index_that_fails_beside_an_old_transaction_does_not_keep_the_run_waiting(database):
    """Its leftover is put away by the next run, when that is possible."""
    database.write("v1.0.0_t.sql", TABLE)
    database.run()
    database.write("v1.1.0_i.sql", "create index concurrently i on t ((1 / (a - 1)));")
    reader = database.another()
    reader.execute("begin isolation level repeatable read; select from t")
    result = database.run(lock_timeout=0.05, lock_retries=0)
    assert result.failure.sqlstate == "22012"
    assert database.value("select count(*) from pg_index where not indisvalid") == 1
    reader.close()
    database.connection.execute("delete from t where a = 1")
    assert database.run().failure is None
    assert database.value("select indisvalid from pg_index where indexrelid = 'i'::regclass")


def test_a_statement_that_fails_keeps_those_before_it_and_is_taken_up_again(database):
    """The person corrects the statement that failed, not what has been run."""
    database.write("v1.0.0_t.sql", TABLE + "insert into t values (1);")
    database.write(
        "v1.1.0_i.sql",
        "insert into t values (200);\ncreate unique index concurrently i on t (a);\nvacuum t;",
    )
    result = database.run()
    assert (result.failure.sqlstate, result.failure.line) == ("23505", 2)
    assert "goes on here" in result.failure.hint
    assert result.unfinished.statements_done == 1
    assert database.value("select count(*) from pg_index where not indisvalid") == 0
    database.connection.execute("delete from t where ctid = (select max(ctid) from t where a = 1)")
    assert database.run().failure is None
    assert database.value("select count(*) from t where a = 200") == 1


def test_what_follows_the_failure_may_be_edited_and_what_precedes_it_may_not(database):
    """What was run must still be what stands there."""
    database.write("v1.0.0_t.sql", TABLE)
    file = "v1.1.0_i.sql"
    database.write(file, "insert into t values (200);\nvacuum nothing;")
    assert database.run().failure.code == "MigrationFailed"
    database.write(file, "insert into t values (201);\nvacuum t;")
    failure = database.run().failure
    assert (failure.code, failure.line) == ("LedgerDiffers", 1)
    database.write(file, "vacuum t;")
    assert database.run().failure.code == "LedgerDiffers"
    database.write(file, "insert into t values (200);\nvacuum t;")
    assert database.run().failure is None
    assert database.value("select count(*) from t where a >= 200") == 1


def test_an_unfinished_file_comes_first(database):
    """Nothing else runs on a database that is half-way; `status` says so."""
    database.write("v1.0.0_t.sql", TABLE)
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table t;")
    database.write("v1.1.0_i.sql", "insert into t values (200);\nvacuum nothing;")
    database.run()
    failure = database.run("down", "0").failure
    assert failure.code == "UnfinishedMigration"
    assert "v1.1.0_i.sql" in failure.message
    assert database.has("t")
    status = database.run("status")
    assert (status.unfinished.file, status.unfinished.statements_done) == ("v1.1.0_i.sql", 1)


def test_an_invalid_index_of_somebody_else_is_not_ours_to_drop(database):
    """IF NOT EXISTS finds it; that is no success."""
    database.write("v1.0.0_t.sql", TABLE + "insert into t values (1);")
    database.run()
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.connection.execute("create unique index concurrently i on t (a)")
    database.write("v1.1.0_i.sql", "create index concurrently if not exists i on t (a);")
    failure = database.run().failure
    assert failure.code == "InvalidIndex"
    assert database.value("select count(*) from pg_index where not indisvalid") == 1
    database.connection.execute("drop index i")
    assert database.run().failure is None
    assert database.value("select indisvalid from pg_index where indexrelid = 'i'::regclass")


def test_lock_timeout_does_not_end_what_blocks_nobody(database):
    """CONCURRENTLY waits for an old transaction, and says for whom."""
    database.write("v1.0.0_t.sql", TABLE)
    database.run()
    database.write("v1.1.0_i.sql", "create index concurrently i on t (a);")
    reader = database.another()
    reader.autocommit = False
    reader.execute("begin")
    reader.execute("insert into t values (7)")

    def end(event, _data):
        if event is EventName.WAITING:
            reader.commit()

    database.reporter.listeners.append(end)
    assert database.run(lock_timeout=0.05, lock_retries=0).failure is None
    reader.close()
    assert database.value("select indisvalid from pg_index where indexrelid = 'i'::regclass")


def test_the_session_is_the_files_own_again_after_a_cut(database):
    """SET is said again: what follows was written for it."""
    database.write("v1.0.0_t.sql", "create schema s;")
    file = "v1.1.0_i.sql"
    database.write(file, "set search_path = s;\ncreate table u (a int);\nvacuum nothing;")
    assert database.run().failure is not None
    database.write(
        file,
        "set search_path = s;\ncreate table u (a int);\nvacuum u;\n"
        "create index concurrently on u (a);\ncreate index concurrently on u (a);",
    )
    assert database.run().failure is None
    assert database.has("s.u")
    assert database.value("select count(*) from pg_index where indrelid = 's.u'::regclass") == 2


def test_the_header_can_ask_for_it(database):
    """One transaction a statement, for what would hold its locks for too long."""
    database.write(
        "v1.0.0_t.sql",
        "-- dbmigrate: transaction=statement\ncreate table t (a int);\nselect 1 / 0;",
    )
    assert database.run().failure.line == 3
    assert database.has("t")


def test_a_role_that_the_file_sets_does_not_need_the_ledger(database):
    """Our own statements run as who logged in, between those of another role."""
    role = f"weak_{database.name}"
    database.connection.execute(f"create role {role}; grant create on schema public to {role}")
    try:
        database.write(
            "v1.0.0_t.sql",
            f"set role {role};\ncreate table t (a int);\ncreate index concurrently i on t (a);\n"
            "insert into t values (1);",
        )
        assert database.run().failure is None
        assert database.value("select tableowner from pg_tables where tablename = 't'") == role
    finally:
        database.connection.execute(f"drop owned by {role}; drop role {role}")


def test_a_rollback_may_run_by_statement_too(database):
    """DROP INDEX CONCURRENTLY, on the way back."""
    database.write("v1.0.0_t.sql", TABLE)
    database.write("v1.1.0_i.sql", "create index concurrently i on t (a);")
    database.write("rollbacks/v1.1.0_rollback.sql", "drop index concurrently i;")
    assert database.run().failure is None
    assert database.run("down", "1.0.0").failure is None
    assert database.value("select to_regclass('i') is null")
    assert database.run().failure is None


@pytest.mark.parametrize(
    ("sql", "code", "line"),
    [
        ("vacuum;\nbegin;", "TransactionControl", 2),
        ("-- dbmigrate: transaction=file\nvacuum;", "NotInTransaction", 2),
        ("create temp table x ();\nvacuum;", "TemporaryTable", 1),
        ("select 1;\ndiscard all;", "NotInTransaction", 2),
        ("-- dbmigrate: transaction=own\nprepare transaction 'x';", "TransactionControl", 2),
        ("\n-- dbmigrate: transactions=own\nselect 1;", "InvalidDirective", 2),
        ("-- dbmigrate: lock_timeout=soon\nselect 1;", "InvalidDirective", 1),
        ("-- dbmigrate: standard_conforming_strings=off\nselect 1;", "InvalidDirective", 1),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_runs(database, sql, code, line):
    """With its line, and nothing of the files before it run."""
    database.write("v1.0.0_good.sql", "create table good ();")
    database.write("v1.1.0_bad.sql", sql)
    result = database.run()
    assert (result.outcome, result.exit_code) == (Outcome.BLOCKED, 2)
    assert (result.failure.code, result.failure.line) == (code, line)
    assert not database.has("good")


def test_a_files_own_settings_hold_for_it_alone(database):
    """In one transaction and by statement."""
    database.write(
        "v1.0.0_a.sql",
        "-- dbmigrate: work_mem='7MB', statement_timeout=9s\n"
        "create table seen as select current_setting('work_mem') as w, "
        "current_setting('statement_timeout') as s;",
    )
    database.write(
        "v1.1.0_b.sql",
        "-- dbmigrate: work_mem=8MB transaction=statement\n"
        "insert into seen select current_setting('work_mem'), '';",
    )
    database.write("v1.2.0_c.sql", "insert into seen select current_setting('work_mem'), '';")
    assert database.run().failure is None
    default = database.value("select boot_val from pg_settings where name = 'work_mem'")
    assert database.rows("select * from seen") == [
        ("7MB", "9s"), ("8MB", ""), (f"{int(default) // 1024}MB", ""),
    ]  # fmt: skip


def test_a_file_that_was_begun_by_statement_is_finished_so(database):
    """Though it needs no statement mode any more: nothing of it is run again."""
    database.write("v1.0.0_t.sql", TABLE)
    file = "v1.1.0_i.sql"
    database.write(file, "insert into t values (200);\nvacuum nothing;")
    assert database.run().failure is not None
    database.write(file, "insert into t values (200);\ninsert into t values (201);")
    assert database.run(transaction="all").failure.code == "UnfinishedMigration"
    assert database.run().failure is None
    assert database.value("select count(*) from t where a >= 200") == 2
    assert database.run("status").unfinished is None
