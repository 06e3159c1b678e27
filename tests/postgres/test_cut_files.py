"""Files that are taken up again: what must not be done twice, skipped, or done elsewhere."""

import hashlib
import json
import threading

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from conftest import until
from dbmigrate.migrations.amend import Amend

OWN = "-- dbmigrate: transaction=own\n"


def resolve(database, decision):
    """Say what was found out."""
    return database.run("resolve", amend=Amend(decision=decision))


def test_a_procedure_that_commits_and_then_fails_is_in_doubt(database):
    """Its first part is committed: it is neither tried again by itself nor begun anew."""
    database.write(
        "v1.0.0_t.sql",
        "create table t (a int);\ncreate table busy ();\n"
        "create procedure p() language plpgsql as $$\n"
        "begin insert into t values (1); commit; lock table busy; end $$;",
    )
    assert database.run().failure is None
    database.write("v1.1.0_p.sql", OWN + "call p();")
    blocker = database.another()
    blocker.execute("begin; lock table busy")
    failure = database.run(lock_timeout=0.05, lock_retries=2).failure
    blocker.close()
    assert failure.sqlstate == "55P03"
    assert "resolve" in failure.hint
    assert database.value("select count(*) from t") == 1
    assert database.run().failure.code == "StatementInDoubt"
    assert database.value("select count(*) from t") == 1
    assert resolve(database, "done").failure is None
    assert database.run().failure is None
    assert database.value("select count(*) from t") == 1


def test_a_file_that_was_renamed_is_abandoned_whole(database):
    """The ledger knows it by its version: nothing that was run under its old name is skipped."""
    database.write("v1.0.0_t.sql", "create table t (a int);")
    old = database.write("v1.1.0_old.sql", "insert into t values (1);\nvacuum nothing;")
    assert database.run().failure is not None
    old.unlink()
    database.write(
        "v1.1.0_new.sql", "insert into t values (1);\ninsert into t values (2);\nvacuum nothing;"
    )
    assert database.run().failure is not None
    status = database.run("status").unfinished
    assert (status.file, status.statements_done) == ("v1.1.0_new.sql", 2)
    database.connection.execute("truncate t")
    assert resolve(database, "abandon").failure is None
    assert database.run("status").unfinished is None
    database.write("v1.1.0_new.sql", "insert into t values (1);\nvacuum t;")
    assert database.run().failure is None
    assert database.value("select count(*) from t") == 1


def test_deferred_triggers_run_in_the_session_of_the_files_own_transaction(database):
    """Not in that of our own entries: another search_path would be another table."""
    database.write(
        "v1.0.0_t.sql",
        "create schema s;\ncreate table s.t (a int);\ncreate table s.seen (who text);\n"
        "create function s.see() returns trigger language plpgsql as $$\n"
        "begin insert into seen values (current_user); return null; end $$;\n"
        "create constraint trigger see after insert on s.t deferrable initially deferred\n"
        "for each row execute function s.see();",
    )
    assert database.run().failure is None
    database.write(
        "v1.1.0_u.sql", OWN + "set search_path = s;\nbegin;\ninsert into t values (1);\ncommit;"
    )
    result = database.run()
    assert result.failure is None, result.failure
    assert database.value("select count(*) from s.seen") == 1


def test_settings_of_a_block_that_was_undone_are_not_said_again(database):
    """ROLLBACK took them back."""
    database.write(
        "v1.0.0_t.sql", "create schema s;\ncreate table s.t (a int);\ncreate table t (a int);"
    )
    text = OWN + "begin;\nset search_path = s;\nrollback;\n{}insert into t values (1);"
    database.write("v1.1.0_u.sql", text.format("select 1 / 0;\n"))
    assert database.run().failure is not None
    database.write("v1.1.0_u.sql", text.format(""))
    assert database.run().failure is None
    assert database.value("select count(*) from public.t") == 1


@pytest.mark.parametrize("undoing", ["rollback to a", "rollback to savepoint a"])
def test_settings_behind_a_savepoint_that_was_undone_are_not_said_again(database, undoing):
    """Nor those of a part of a block."""
    database.write(
        "v1.0.0_t.sql", "create schema s;\ncreate table s.t (a int);\ncreate table t (a int);"
    )
    text = (
        OWN + f"begin;\nsavepoint a;\nset search_path = s;\n{undoing};\n"
        "insert into t values (0);\ncommit;\n{}insert into t values (1);"
    )
    database.write("v1.1.0_u.sql", text.replace("{}", "select 1 / 0;\n"))
    assert database.run().failure is not None
    database.write("v1.1.0_u.sql", text.replace("{}", ""))
    assert database.run().failure is None
    assert database.value("select count(*) from public.t") == 2


def test_a_chained_block_is_whole_when_it_is_taken_up(database):
    """What it undoes is undone, though the block before it was committed by an earlier run."""
    text = (
        OWN + "create table t (a int);\nbegin;\ninsert into t values (1);\ncommit and chain;\n"
        "insert into t values (2);\n{}rollback;\ninsert into t values (3);"
    )
    database.write("v1.0.0_t.sql", text.format("select 1 / 0;\n"))
    assert database.run().failure is not None
    database.write("v1.0.0_t.sql", text.format(""))
    assert database.run().failure is None
    assert database.rows("select a from t order by a") == [(1,), (3,)]


def test_set_config_is_said_again(database):
    """As pg_dump writes it, it is a SET by another name."""
    database.write("v1.0.0_t.sql", "create schema s;")
    text = "select pg_catalog.set_config('search_path', 's', false);\nselect 2;\n{}\nvacuum;"
    database.write("v1.1.0_u.sql", text.format("select 1 / 0;"))
    assert database.run().failure is not None
    database.write("v1.1.0_u.sql", text.format("create table u ();"))
    assert database.run().failure is None
    assert database.has("s.u")


@pytest.mark.parametrize(
    "sql",
    [
        "set local search_path = s",
        "set constraints all deferred",
        "set transaction isolation level serializable",
        "lock table t",
        "select pg_catalog.set_config('search_path', 's', true)",
    ],
)
def test_what_holds_for_a_transaction_alone_is_refused_in_a_file_by_statement(database, sql):
    """It would hold for nothing: its transaction is over at once."""
    database.write("v1.0.0_t.sql", "create schema s; create table t (a int);")
    database.write("v1.1.0_u.sql", f"{sql};\ncreate table u ();\nvacuum t;")
    failure = database.run().failure
    assert failure is not None
    assert (failure.code, failure.line) == ("TransactionLocal", 1)
    assert not database.has("t")


def test_a_detachment_that_was_finished_after_its_failure_is_done(database):
    """It is not tried once more, which would fail for ever."""
    database.write(
        "v1.0.0_t.sql",
        "create table p (a int) partition by list (a);\n"
        "create table c partition of p for values in (1);",
    )
    database.run()
    database.write(
        "v1.1.0_d.sql",
        "-- dbmigrate: statement_timeout=300ms\nalter table p detach partition c concurrently;",
    )
    reader = database.another()
    reader.execute("begin isolation level repeatable read; select from p")
    waiting = """
        select count(*) > 0 from pg_stat_activity
        where datname = current_database() and query ~* 'finalize' and wait_event_type = 'Lock'
    """

    def end_it():
        with database.another() as looking:
            until(lambda: looking.execute(waiting).fetchone()[0])
        reader.close()

    ending = threading.Thread(target=end_it)
    ending.start()
    failure = database.run(lock_timeout=10).failure
    ending.join()
    assert failure.sqlstate == "57014"
    result = database.run()
    assert result.failure is None, result.failure
    assert database.value("select count(*) from pg_inherits") == 0


def begin(database, text, facts):
    """A file whose one statement was begun and never executed."""
    database.write("v1.1.0_u.sql", text + ";")
    database.connection.execute(
        "insert into migration_statements (migration_type, version, filename, file_checksum, "
        "number, checksum, statement, state, facts, applied_by) "
        "values ('forward', '1.1.0', 'v1.1.0_u.sql', '', 1, %s, '', 'begun', %s, 'x')",
        [hashlib.sha256(text.encode()).hexdigest(), json.dumps(facts)],
    )


def test_after_a_restored_dump_an_index_is_not_taken_for_dropped(database):
    """A dump gives its objects other OIDs."""
    database.write("v1.0.0_t.sql", "create table t (a int);\ncreate index i on t (a);")
    database.run()
    begin(database, "drop index concurrently i", {"index": 4000000, "name": ["public", "i"]})
    failure = database.run().failure
    assert failure.code == "StatementInDoubt"
    assert resolve(database, "again").failure is None
    assert database.run().failure is None
    assert not database.has("i")


def test_after_a_restored_dump_a_partition_is_not_taken_for_detached(database):
    """A dump gives its objects other OIDs."""
    database.write(
        "v1.0.0_t.sql",
        "create table p (a int) partition by list (a);\n"
        "create table c partition of p for values in (1);",
    )
    database.run()
    facts = {"parent": 4000000, "partition": 4000001}
    begin(database, "alter table p detach partition c concurrently", facts)
    assert database.run().failure.code == "StatementInDoubt"
    assert resolve(database, "again").failure is None
    assert database.run().failure is None
    assert database.value("select count(*) from pg_inherits") == 0


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("create index concurrently " + "i" * 70 + " on t (a)", "i" * 63),
        ("create index concurrently IndexÉ on t (a)", "indexÉ"),
        ('create index concurrently "I""x" on t (a)', 'I"x'),
    ],
)
def test_an_index_is_known_by_the_name_that_the_server_gives_it(database, sql, name):
    """Cut to 63 bytes, and only ASCII letters made small."""
    database.write("v1.0.0_t.sql", "create table t (a int);")
    database.run()
    begin(
        database, sql, {"table": database.value("select 't'::regclass::oid::int8"), "indexes": []}
    )
    database.connection.execute(sql)
    assert database.rows(
        "select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid "
        "where i.indrelid = 't'::regclass"
    ) == [(name,)]
    result = database.run()
    assert result.failure is None, result.failure


@pytest.fixture
def unnamed(database):
    """A run was cut off in an index without a name."""
    database.write("v1.0.0_t.sql", "create table t (a int, b int);")
    database.run()
    table = database.value("select 't'::regclass::oid::int8")
    begin(database, "create unique index concurrently on t (a)", {"table": table, "indexes": []})
    return database


COUNT = (
    "select count(*) from pg_index where indrelid = 't'::regclass and indisunique and indisvalid"
)


def test_an_unnamed_index_of_somebody_else_is_not_taken_for_ours(unnamed):
    """It is valid and was not there before; it is not what the statement describes."""
    unnamed.connection.execute("create index on t (a)")
    assert unnamed.run().failure.code == "StatementInDoubt"
    assert resolve(unnamed, "again").failure is None
    assert unnamed.run().failure is None
    assert unnamed.value(COUNT) == 1


def test_an_unnamed_index_is_known_by_what_it_indexes(unnamed):
    """The run was cut off after the index was whole."""
    unnamed.connection.execute("create index on t (b); create unique index on t (a)")
    assert unnamed.run().failure is None
    assert unnamed.value(COUNT) == 1


def test_an_unnamed_index_that_was_left_invalid_is_built_again(unnamed):
    """Whatever else was made meanwhile."""
    unnamed.connection.execute("create index on t (b); insert into t values (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        unnamed.connection.execute("create unique index concurrently on t (a)")
    unnamed.connection.execute("truncate t")
    assert unnamed.run().failure is None
    assert unnamed.value(COUNT) == 1
    assert unnamed.value("select count(*) from pg_index where not indisvalid") == 0


def test_what_cannot_be_looked_at_is_an_error_with_its_place(database):
    """A role without a right, a name that is none."""
    role = f"weak_{database.name}"
    database.write("v1.0.0_t.sql", "create schema s;\ncreate table s.t (a int);")
    database.run()
    database.connection.execute(f"create role {role}")
    try:
        database.write("v1.1.0_u.sql", f"set role {role};\ncreate index concurrently i on s.t (a);")
        failure = database.run().failure
        assert (failure.code, failure.line, failure.sqlstate) == ("MigrationFailed", 2, "42501")
        assert database.history()[-1] == ("1.1.0", "forward", "failed")
    finally:
        database.connection.execute(f"drop role {role}")


def test_a_session_that_was_discarded_still_has_our_lock_timeout(database):
    """A file that asks for a clean session does not ask to hold up all others."""
    database.write("v1.0.0_t.sql", "create table seen (t text);")
    database.run()
    database.write(
        "v1.1.0_u.sql",
        "discard all;\ninsert into seen values (current_setting('lock_timeout'));\nvacuum seen;",
    )
    assert database.run(lock_timeout=1.5).failure is None
    assert database.value("select t from seen") == "1500ms"


def test_hints_say_what_stays_where_statements_stay(database):
    """At the history's row, in a block of the file's own, and when a verification fails."""
    database.write("v1.0.0_t.sql", "create table t (a int);")
    database.run()
    database.connection.execute("""
        create function refuse() returns trigger language plpgsql as
            $$ begin raise 'no row'; end $$;
        create trigger refuse before insert on schema_migrations
            for each row when (new.version = '1.1.0' and new.status = 'completed')
            execute function refuse();
    """)
    database.write("v1.1.0_u.sql", "insert into t values (1);\nvacuum t;")
    failure = database.run().failure
    assert failure.server_message == "no row"
    assert "left nothing behind" not in failure.hint
    assert "stay" in failure.hint
    database.connection.execute("drop trigger refuse on schema_migrations")
    database.write("verify/v1.1.0_u.sql", "select 1 / count(*) from t where a = 2;")
    failure = database.run().failure
    assert failure.code == "VerifyFailed"
    assert "stay" in failure.hint
    database.connection.execute("insert into t values (2)")
    assert database.run().failure is None
    database.write(
        "v1.2.0_u.sql", OWN + "begin;\ninsert into t values (1);\nselect 1 / 0;\ncommit;"
    )
    failure = database.run().failure
    assert "goes on here" not in failure.hint
    assert "undone" in failure.hint


def test_a_connection_lost_in_a_verification_undoes_no_statement(database):
    """And the error does not say so."""
    database.write("v1.0.0_t.sql", "create table t (a int);\nvacuum t;")
    database.write("verify/v1.0.0_t.sql", "select pg_terminate_backend(pg_backend_pid());")
    failure = database.run().failure
    assert database.has("t")
    assert "is undone" not in failure.message


def test_a_verifications_header_holds_for_it(database):
    """Its settings, for itself."""
    database.write("v1.0.0_t.sql", "create table t (a int);")
    database.write(
        "verify/v1.0.0_t.sql",
        "-- dbmigrate: work_mem=7MB\n"
        "do $$ begin assert current_setting('work_mem') = '7MB'; end $$;",
    )
    result = database.run()
    assert result.failure is None, result.failure


@pytest.mark.parametrize("file", ["v1.1.0_u.sql", "verify/v1.0.0_u.sql"])
def test_after_is_refused_where_it_means_nothing(database, file):
    """Only repeatable files have an order to ask for."""
    database.write("v1.0.0_t.sql", "create table t (a int);")
    database.write(file, "-- dbmigrate: after=t\nselect 1;")
    result = database.run()
    assert result.failure is not None
    assert (result.failure.code, result.failure.line) == ("InvalidDirective", 1)
    assert not database.has("t")


def test_a_header_behind_pg_dumps_restrict_line_holds(database):
    """pg_dump writes that line first."""
    database.write(
        "v1.0.0_t.sql",
        "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- dbmigrate: work_mem=7MB\n"
        "create table seen as select current_setting('work_mem') as w;\n\\unrestrict abc\n",
    )
    result = database.run()
    assert result.failure is None, result.failure
    assert database.value("select w from seen") == "7MB"


@pytest.mark.parametrize("mode", ["statement", "own", "file"])
def test_an_approved_plan_is_finished_under_its_hash(database, mode):
    """Though it was cut off in a migration, and again in a repeatable file."""
    head = f"-- dbmigrate: transaction={mode}\n"
    database.write("v1.0.0_t.sql", "create table t (a int);")
    database.write(
        "v1.1.0_u.sql", head + "insert into t values (1);\ninsert into t select 2 from first;"
    )
    database.write("v1.2.0_v.sql", "insert into t values (3);")
    database.write("repeatable/a.sql", "create or replace view va as select 1;")
    database.write(
        "repeatable/b.sql",
        head
        + "-- dbmigrate: after=a\ninsert into t values (4);\ninsert into t select 5 from second;",
    )
    plan = database.run("plan").plan.hash
    for missing in ("first", "second"):
        assert database.run(expect_plan=plan).failure.code == "MigrationFailed"
        database.connection.execute(f"create table {missing} as select 1")
    assert database.run(expect_plan=plan).failure is None
    assert database.rows("select a from t order by a") == [(1,), (2,), (3,), (4,), (5,)]
    assert database.run().message == "nothing to do"


@pytest.mark.parametrize("schema", ["select", "Order By", 'a"b'])
def test_the_ledger_may_be_in_a_schema_of_any_name(database, schema):
    """In every way to run a file."""
    database.connection.execute(SQL("create schema {}").format(Identifier(schema)))
    database.write("v1.0.0_t.sql", "create table t (a int);")
    database.write("v1.1.0_u.sql", "create index concurrently i on t (a);")
    database.write("v1.2.0_u.sql", OWN + "begin;\ninsert into t values (1);\ncommit;")
    database.write("repeatable/a.sql", "create or replace view va as select 1;")
    assert database.run(history_schema=schema).failure is None
    assert database.run(history_schema=schema).message == "nothing to do"


def test_the_history_tells_of_a_file_that_it_ran_by_statement(database):
    """Though the file would be one transaction by the time it was finished."""
    database.write("v1.0.0_t.sql", "create table t (a int);\nvacuum nothing;")
    assert database.run().failure is not None
    database.write("v1.0.0_t.sql", "create table t (a int);")
    assert database.run().failure is None
    query = "select transaction_mode from schema_migrations order by id desc limit 1"
    assert database.value(query) == "statement"


def test_the_leftover_of_a_role_that_the_file_sets_is_put_away(database):
    """Who logs in has that role's rights only behind SET ROLE."""
    database.write("v1.0.0_t.sql", "create table t (a int);\ninsert into t values (1), (1);")
    database.run()
    owner, login = f"owner_{database.name}", f"login_{database.name}"
    database.connection.execute(
        f"create role {owner}; create role {login} login noinherit; grant {owner} to {login}; "
        f"alter table t owner to {owner}; grant create on schema public to {owner}; "
        f"grant select, insert, update, delete on all tables in schema public to {login}; "
        f"grant usage on all sequences in schema public to {login}"
    )
    try:
        database.write(
            "v1.1.0_u.sql", f"set role {owner};\ncreate unique index concurrently i on t (a);"
        )
        settings = {**database.server.params(database.name), "user": login}
        assert database.run(settings=settings).failure.sqlstate == "23505"
        assert database.value("select count(*) from pg_index where not indisvalid") == 0
        database.connection.execute("delete from t")
        assert database.run(settings=settings).failure is None
    finally:
        database.connection.execute(
            f"drop owned by {owner}, {login} cascade; drop role {owner}, {login}"
        )


@pytest.mark.parametrize("mode", ["file", "statement", "own"])
@pytest.mark.parametrize(
    "reset",
    ["reset all", "reset lock_timeout", "set session lock_timeout = default"],
)
def test_a_reset_goes_back_to_the_runs_own_lock_timeout(database, mode, reset):
    """Not to the server's, which is to wait without end before all others."""
    database.write(
        "v1.0.0_t.sql",
        f"-- dbmigrate: transaction={mode}\ncreate table seen (t text);\n{reset};\n"
        "insert into seen values (current_setting('lock_timeout'));",
    )
    assert database.run(lock_timeout=1.5).failure is None
    assert database.value("select t from seen") == "1500ms"


def test_a_header_allows_what_only_the_server_knows_to_need_no_transaction(database):
    """REINDEX and CLUSTER of a partitioned table."""
    database.write(
        "v1.0.0_t.sql",
        "create table p (a int) partition by list (a);\n"
        "create table c partition of p for values in (1);\ncreate index i on p (a);",
    )
    database.write(
        "v1.1.0_u.sql", "-- dbmigrate: transaction=statement\nreindex table p;\ncluster p using i;"
    )
    assert database.run().failure is None


def test_a_file_that_drops_the_ledger_is_undone(database):
    """With its schema: the statement and its entry are one transaction."""
    database.write(
        "v1.0.0_t.sql", "create table t (a int);\nvacuum t;\ndrop schema public cascade;"
    )
    assert database.run().failure is not None
    assert database.has("public.t")
    assert database.run("status").unfinished.statements_done == 2


def test_an_abandoned_run_of_a_repeatable_file_makes_it_due(database):
    """Its older text is not what the database has, though the history has its checksum."""
    database.write("v1.0.0_t.sql", "create table t (a int);")
    old = "create or replace view v as select 1 as x;"
    database.write("repeatable/v.sql", old)
    assert database.run().failure is None
    database.write("repeatable/v.sql", "create or replace view v as select 2 as x;\nvacuum no;")
    assert database.run().failure is not None
    assert resolve(database, "abandon").failure is None
    database.write("repeatable/v.sql", old)
    assert database.run().failure is None
    assert database.value("select x from v") == 1
    assert database.run().message == "nothing to do"
