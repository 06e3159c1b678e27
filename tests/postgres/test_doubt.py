"""A statement that was cut off: what it has left is known as its own, and others' is not."""

import psycopg
import pytest

from dbmigrate.api.report.outcome import Outcome
from dbmigrate.migrations.amend import Amend
from dbmigrate.postgres.executing.leftovers import is_copy

FAILING = """
create function f(a int) returns int immutable language plpgsql as $$
begin
    if current_setting('my.failing', true) = 'on' then raise 'no'; end if;
    return a;
end $$;
"""
INVALID = """
    select c.relname from pg_index as i join pg_class as c on c.oid = i.indexrelid
    where not i.indisvalid order by c.relname
"""


@pytest.fixture
def cut(database):
    """Fail in a statement beside an old reader: it stays begun, with its real facts.

    A function: from the file's text to its failure's SQLSTATE. The table t has two rows that are
    not unique, and f(a) fails.
    """
    database.write(
        "v1.0.0_t.sql",
        FAILING + "create table t (a int, b int);\ninsert into t values (1, 1), (1, 1);"
        "create table u (a int);\ninsert into u values (1);\n"
        "create index i on t (f(a));\ncreate index j on t (f(a));\ncreate index k on u (f(a));",
    )
    assert database.run().failure is None

    def run(text, number=1, table="t"):
        database.write("v1.1.0_x.sql", text)
        fail(database, "on")
        reader = database.another()
        reader.execute(f"begin isolation level repeatable read; select from {table}")
        failure = database.run(lock_timeout=0.05, lock_retries=0).failure
        reader.close()
        fail(database, "off")
        status = database.run("status").unfinished
        assert status.statement_in_doubt == number, failure
        return failure.sqlstate

    return run


def fail(database, how):
    """Whether f(a) fails in new sessions."""
    database.connection.execute(f"alter database {database.name} set my.failing = {how}")


def leave(database, sql):
    """Somebody else's statement, which fails."""
    with database.another() as other:
        other.execute("set my.failing = on")
        with pytest.raises(psycopg.Error):
            other.execute(sql)


def resolve(database, decision):
    """Say what was found out."""
    return database.run("resolve", amend=Amend(decision=decision))


def names(database):
    """The INVALID indexes."""
    return [name for (name,) in database.rows(INVALID)]


@pytest.mark.parametrize("text", ["index concurrently if not exists x on t ((f(a) + 1))",
                                  "index concurrently on t ((f(a) + 1))"])  # fmt: skip
def test_what_a_statement_left_stays_known_when_it_is_run_again(database, cut, text):
    """IF NOT EXISTS would find it, and take it for an index of somebody else's."""
    assert cut(f"create {text};") == "P0001"
    assert len(names(database)) == 1
    assert resolve(database, "again").failure is None
    assert database.run("status").unfinished.statement_in_doubt == 0
    result = database.run()
    assert result.failure is None, result.failure
    assert names(database) == []
    assert database.value(
        "select count(*) from pg_index where indrelid = 't'::regclass and indisvalid"
    ) == 3  # fmt: skip


@pytest.mark.one_version
@pytest.mark.parametrize("text", ["select 1;", "drop index j;\nselect 1;", "-- none\nselect;"])
def test_what_is_to_run_again_may_be_changed_and_its_leftover_goes(database, cut, text):
    """A person has decided, and corrects the statement at the same time."""
    cut("create index concurrently x on t ((f(a) + 1));")
    assert resolve(database, "again").failure is None
    database.write("v1.1.0_x.sql", text)
    result = database.run()
    assert result.failure is None, result.failure
    assert names(database) == []


@pytest.mark.parametrize(
    ("text", "table", "others"),
    [
        ("reindex index concurrently i", "t", ["j", "k", "s.w"]),
        ("reindex (verbose) table concurrently t", "t", ["k", "s.w"]),
        ("reindex (concurrently) schema s", "s.v", ["i", "j", "k"]),
    ],
)
def test_copies_that_others_reindexing_left_are_not_ours_to_drop(
    database, cut, text, table, others
):
    """Ours are of a table that the statement reindexes, and like an index of it."""
    database.connection.execute(
        "create schema s; create table s.v (a int); insert into s.v values (1);"
        "create index w on s.v (f(a))"
    )
    assert cut(f"{text};", table=table) == "P0001"
    assert names(database) != []
    for each in others:
        leave(database, f"reindex index concurrently {each}")
    leave(database, f"create index concurrently other_ccnew on {table} ((f(a) + 7))")
    result = database.run()
    assert result.failure is None, result.failure
    copies = [each.removeprefix("s.") + "_ccnew" for each in others]
    assert names(database) == sorted([*copies, "other_ccnew"])


@pytest.mark.one_version
def test_a_copy_that_was_there_before_is_not_ours_to_drop(database, cut):
    """Somebody left it before the statement."""
    leave(database, "reindex index concurrently i")
    assert names(database) == ["i_ccnew"]
    assert cut("reindex index concurrently i;") == "P0001"
    assert names(database) == ["i_ccnew", "i_ccnew1"]
    assert database.run().failure is None
    assert names(database) == ["i_ccnew"]


@pytest.mark.parametrize(
    ("name", "original", "expected"),
    [
        ("i_ccnew", "i", True),
        ("i_ccold2", "i", True),
        ("i_ccnew", "i_c", False),
        ("i_ccnew", "index", False),
        ("i" * 57 + "_ccnew", "i" * 63, True),
        ("i" * 57 + "_ccnew", "j" * 63, False),
        ("i", "i", False),
    ],
)
def test_a_copy_bears_the_name_of_its_original(name, original, expected):
    """Cut where it would be too long."""
    assert is_copy(name, original) is expected


def assert_nothing_ran(database, failure):
    """The refusal is no attempt that failed."""
    assert not failure.touched
    assert database.value("select count(*) from schema_migrations where status = 'failed'") == 1
    result = database.run()
    assert (result.outcome, result.failure.code) == (Outcome.BLOCKED, failure.code)
    assert "failed" not in failure.message


STATEMENT = "create index concurrently x on t (a desc, (b + f(a))) where a = 1"


def test_an_index_of_that_name_that_is_another_one_is_no_success(database, cut):
    """Somebody made it after the cut: a person decides."""
    cut(STATEMENT + ";")
    database.connection.execute("drop index x; create index x on t (a, (b + f(a))) where a = 1")
    failure = database.run().failure
    assert failure.code == "StatementInDoubt"
    assert "CREATE INDEX x ON public.t USING btree (a, " in failure.message
    assert_nothing_ran(database, failure)
    assert resolve(database, "again").failure is None
    assert database.run().failure.sqlstate == "42P07"
    database.connection.execute("drop index x")
    assert database.run().failure is None
    assert "DESC" in database.value("select pg_get_indexdef('x'::regclass)")


@pytest.mark.one_version
def test_an_index_of_another_method_is_another_one(database, cut):
    """Though its columns are the same."""
    cut("create index concurrently x on t using hash ((f(a) + 1));")
    database.connection.execute("drop index x; create index x on t ((f(a) + 1))")
    assert database.run().failure.code == "StatementInDoubt"
    assert resolve(database, "done").failure is None
    assert database.run().failure is None


def test_an_index_that_the_server_words_otherwise_is_known(database, cut):
    """It is what the statement builds, in its own search_path, and is not built once more."""
    database.connection.execute(
        "create schema s; create table s.t (x int, a int, b int);"
        "alter table s.t drop column x; insert into s.t values (1, 1)"
    )
    text = "index {} x on t using btree (a desc, (b + f(a))) where a = 1 and b in (1, 2)"
    assert cut(
        "set search_path = s, public;\n" + f"create {text};".format("concurrently"), 2, "s.t"
    )
    database.connection.execute(
        "set search_path = s, public; drop index x; create " + text.format("")
    )
    built = database.value("select 'x'::regclass::oid")
    result = database.run()
    assert result.failure is None, result.failure
    assert database.value("select 's.x'::regclass::oid") == built


@pytest.mark.one_version
def test_without_the_right_to_look_closely_a_person_decides(database, cut):
    """The copy that tells the server's own words needs TEMPORARY on the database."""
    cut(STATEMENT + ";")
    database.connection.execute("drop index x;" + STATEMENT.replace("concurrently", ""))
    user = f"weak_{database.name}"
    database.connection.execute(
        f"create role {user} login in role pg_read_all_data, pg_write_all_data;"
        f"alter table t owner to {user}; grant create on schema public to {user};"
        f"revoke temporary on database {database.name} from public"
    )
    try:
        settings = {**database.server.params(database.name), "user": user}
        assert database.run(settings=settings).failure.code == "StatementInDoubt"
    finally:
        database.connection.execute(
            f"reassign owned by {user} to postgres; drop owned by {user}; drop role {user}"
        )
    assert database.run().failure is None


@pytest.mark.one_version
def test_an_index_whose_table_is_another_one_is_in_doubt(database, cut):
    """A dump that was restored has it under another number."""
    cut("create index concurrently x on t ((f(a) + 1));")
    database.connection.execute(
        "drop table t; create table t (a int, b int); create index x on t (f(a))"
    )
    assert database.run().failure.code == "StatementInDoubt"


@pytest.mark.one_version
def test_a_file_that_was_changed_where_it_ran_is_no_attempt_that_failed(database, cut):
    """Nothing of it ran: the history's last failure stays the real one."""
    cut("create index concurrently x on t ((f(a) + 1));")
    database.write("v1.1.0_x.sql", "create index concurrently y on t ((f(a) + 1));")
    failure = database.run().failure
    assert failure.code == "LedgerDiffers"
    assert_nothing_ran(database, failure)
