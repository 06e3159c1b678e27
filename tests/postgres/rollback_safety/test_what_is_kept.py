"""What a rollback loses is kept in the database, however it is lost."""

import pytest
from command_line import CommandLine
from tests.postgres.rollback_safety.kept import ALL, SETS, kept

from dbmigrate.api.report.events import EventName


@pytest.mark.parametrize(
    "sql",
    [
        "drop table t",
        "do $$ begin execute 'dr' || 'op table t'; end $$",
        "create function f() returns void language sql as 'drop table t'; select f();",
        "drop schema public_of_ours cascade",
    ],
    ids=["drop", "do", "function", "schema"],
)
def test_a_dropped_table_is_kept_however_it_is_dropped(shop, sql):
    """It is seen in the catalog, not in the text."""
    if "schema" in sql:
        shop.connection.execute(
            "create schema public_of_ours; alter table t set schema public_of_ours"
        )
    result = shop.back(sql)
    assert (result.failure, result.current_version) == (None, "1.0.0")
    assert kept(shop) == ALL
    (told,) = result.kept
    assert (told.version, told.kind, told.table, told.rows) == ("1.1.0", "table", "t", 3)
    assert shop.reporter.of(EventName.KEPT)[0]["kept"] == told


def test_a_dropped_column_is_kept_beside_the_key(shop):
    """And nothing else of its rows."""
    result = shop.back("alter table t drop column price")
    assert result.failure is None
    assert shop.rows(SETS) == [("columns", "public", "t", ["id"], 3)]
    assert kept(shop) == [{"id": row["id"], "price": row["price"]} for row in ALL]


def test_a_dropped_column_of_a_table_without_a_key_keeps_whole_rows(shop):
    """Nothing else tells whose value it was."""
    shop.connection.execute("alter table t drop constraint t_pkey")
    assert shop.back("alter table t drop column price").failure is None
    assert kept(shop) == ALL


def test_deleted_rows_alone_are_kept(shop):
    """Not the table."""
    result = shop.back("delete from t where id < 3")
    assert result.failure is None
    assert kept(shop) == ALL[:2]
    assert [(each.kind, each.rows) for each in result.kept] == [("rows", 2)]


def test_overwritten_rows_are_kept_as_they_were(shop):
    """An UPDATE loses values as a DELETE does."""
    assert shop.back("update t set name = 'lost' where id = 2").failure is None
    assert kept(shop) == [ALL[1]]


def test_rows_that_a_cascade_deletes_are_kept(shop):
    """The foreign key deletes them, not the file."""
    shop.connection.execute(
        "create table line (id int, t int references t on delete cascade);"
        "insert into line values (10, 1), (20, 2)"
    )
    assert shop.back("delete from t where id = 1").failure is None
    assert (kept(shop, "line"), kept(shop)) == ([{"id": "10", "t": "1"}], [ALL[0]])


@pytest.mark.parametrize("sql", ["truncate t", "delete from t where id = 1; truncate t"])
def test_truncated_rows_are_kept(shop, sql):
    """No row is deleted there, the file is another one."""
    assert shop.back(sql).failure is None
    assert shop.rows(SETS) == [("rows", "public", "t", ["id"], 3)]
    assert kept(shop) == ALL


def test_values_that_a_type_change_cuts_are_kept(shop):
    """Of the columns that are others afterwards, alone."""
    result = shop.back(
        "alter table t alter name type varchar(1) using left(name, 1), alter id type bigint"
    )
    assert result.failure is None
    assert kept(shop) == [{"id": row["id"], "name": row["name"]} for row in ALL]


def test_a_rewrite_by_random_values_is_kept(shop):
    """It ends otherwise each time that it is run."""
    sql = "alter table t alter price type float8 using random()"
    assert shop.back(sql).failure is None
    assert [row["price"] for row in kept(shop)] == ["1.50", "7.00", None]


@pytest.mark.parametrize(
    "sql",
    [
        "drop table unused",
        "alter table t alter id type bigint",
        "alter table t set unlogged",
        "alter table t rename to other; alter table other rename name to title;",
        "create table more (a int); insert into more values (1); delete from more; drop table more",
        "insert into t values (4)",
        "alter table t add d int generated always as (id * 2) stored; alter table t drop d",
    ],
)
def test_what_loses_nothing_keeps_nothing(shop, sql):
    """An empty table, a wider type, another name, what the rollback itself has made."""
    result = shop.back(sql)
    assert (result.failure, result.kept, shop.rows(SETS)) == (None, (), [])


def test_an_update_before_a_dropped_column_keeps_both(shop):
    """The rows are caught although the table changes under the trigger."""
    result = shop.back(
        "update t set name = 'x' where id = 1; alter table t drop column price;"
        "delete from t where id = 2; alter table t rename to renamed"
    )
    assert result.failure is None
    sets = {each.kind: each.rows for each in result.kept}
    assert sets == {"columns": 3, "rows": 2}


def test_the_value_of_a_dropped_sequence_is_kept(shop):
    """Numbers must not be given twice."""
    shop.connection.execute("create sequence s; select setval('s', 41)")
    assert shop.back("drop sequence s").failure is None
    assert kept(shop, "s") == [{"last_value": "41", "is_called": "true"}]


def test_partitions_are_kept_each_by_itself(shop):
    """Their parent holds no row."""
    shop.connection.execute(
        "create table p (id int primary key, v text) partition by range (id);"
        "create table p1 partition of p for values from (0) to (10);"
        "create table p2 partition of p for values from (10) to (20);"
        "insert into p values (1, 'a'), (11, 'b')"
    )
    assert shop.back("delete from p where id = 1; drop table p2").failure is None
    assert (kept(shop, "p1"), kept(shop, "p2")) == (
        [{"id": "1", "v": "a"}], [{"id": "11", "v": "b"}],
    )  # fmt: skip


def test_rows_are_kept_where_triggers_are_switched_off(shop):
    """What the trigger did not see, the counts tell: then all rows are kept."""
    result = shop.back("alter table t disable trigger all; delete from t where id = 1")
    assert result.failure is None
    assert kept(shop) == ALL


def test_rows_are_kept_in_a_replicas_session(shop):
    """Where ordinary triggers do not fire."""
    result = shop.back("set session_replication_role = replica; delete from t where id = 1")
    assert result.failure is None
    assert kept(shop) == [ALL[0]]


def test_rows_that_another_role_deletes_are_kept(shop):
    """It may delete, and may not write into our log."""
    role = f"clerk_{shop.name}"
    shop.connection.execute(f"create role {role}; grant all on t to {role}")
    result = shop.back(f"set role {role}; delete from t where id = 1")
    shop.connection.execute(f"drop owned by {role}; drop role {role}")
    assert result.failure is None
    assert kept(shop) == [ALL[0]]


def test_an_undone_delete_is_no_loss(shop):
    """The counts cannot tell it from a real one; what is kept too much does no harm."""
    result = shop.back(
        "do $$ begin delete from t where id = 1; raise 'no'; exception when others then end $$"
    )
    assert result.failure is None
    assert shop.value("select count(*) from t") == 3


def test_names_that_need_quoting(shop):
    """Per cent signs, quotes and dollars in names of tables and columns."""
    shop.connection.execute(
        'create table "we%%ird ""t$keep$" (id int primary key, "a %%s \'b" text, batch text);'
        'insert into "we%%ird ""t$keep$" values (1, \'100%%\', null)'.replace("%%", "%")
    )
    assert shop.back('update "we%ird ""t$keep$" set batch = \'x\'; drop table t').failure is None
    row = {"id": "1", "a %s 'b": "100%", "batch": None}
    assert kept(shop, 'we%ird "t$keep$') == [row]


@pytest.mark.one_version
def test_a_million_rows_stay_on_the_server(shop, tmp_path):
    """In chunks; the client's memory does not grow with them."""
    shop.connection.execute(
        "insert into t select g, 'a name of some length ' || g, g % 1000 "
        "from generate_series(10, 1000009) g"
    )
    shop.write("rollbacks/v1.1.0_rollback.sql", "drop table t")
    peak = CommandLine(shop, tmp_path).peak("down", "1.0.0", "--source", shop.folder)
    assert peak < 100_000_000  # the rows are 60 MB, and more as text
    query = "select count(*), sum(row_count), max(byte_count) from rollback_data_log"
    chunks, rows, largest = shop.rows(query)[0]
    assert (rows, chunks > 50) == (1_000_003, True)
    assert largest < 4 << 20
