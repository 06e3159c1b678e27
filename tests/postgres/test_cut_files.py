"""Files that are taken up again: what must not be done twice, skipped, or done elsewhere."""

import threading

import pytest
from cut_files import OWN, resolve

from conftest import until


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
