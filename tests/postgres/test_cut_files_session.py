"""A file that is taken up again finds the session as it had left it, and the run keeps its own."""

import pytest
from cut_files import OWN


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
