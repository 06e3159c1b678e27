"""What a rollback loses is seen by trying it, and kept in the database."""

import signal

import pytest
from command_line import CommandLine

from dbmigrate.api.report.events import EventName
from dbmigrate.postgres.rollback.options import KeepOptions

SETS = """
    select kind, schema_name, table_name, key_columns, sum(row_count)::int
    from public.rollback_data_log where set_id is not null
    group by set_id, kind, schema_name, table_name, key_columns order by set_id
"""
ROWS = """
    select r from public.rollback_data_log as l, jsonb_array_elements(l.data_snapshot) as r
    where l.table_name = %s order by l.id, r ->> 'id'
"""


@pytest.fixture
def shop(database):
    """A table with three rows, made by v1.0.0; `back` is the way back from v1.1.0."""
    database.write(
        "v1.0.0_t.sql",
        "create table t (id int primary key, name text, price numeric(8, 2));"
        "insert into t values (1, 'pen', 1.50), (2, 'ink', 7), (3, null, null);",
    )
    database.write("v1.1.0_x.sql", "create table unused ();")
    assert database.run("up").failure is None
    database.back = lambda sql, **options: _back(database, sql, **options)
    return database


def _back(database, sql, **options):
    database.write("rollbacks/v1.1.0_rollback.sql", sql)
    return database.run("down", "1.0.0", **options)


def kept(database, table="t"):
    """The rows that are kept of a table."""
    return [row for (row,) in database.rows(ROWS, table)]


ALL = [
    {"id": "1", "name": "pen", "price": "1.50"},
    {"id": "2", "name": "ink", "price": "7.00"},
    {"id": "3", "name": None, "price": None},
]


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


def test_above_the_limit_nothing_is_done(shop):
    """It is said what would be lost, with rows and bytes, and what to do."""
    shop.connection.execute("insert into t select g, 'x', g from generate_series(10, 5000) g")
    result = shop.back("drop table t", keep=KeepOptions(limit=1000))
    assert (result.failure.code, result.exit_code) == ("RollbackTooLarge", 3)
    assert "table public.t: 4,994 rows" in result.failure.message
    assert "--backup-covers" in result.failure.hint
    assert shop.value("select count(*) from t") == 4994
    assert (result.current_version, shop.rows(SETS)) == ("1.1.0", [])


def test_a_refused_rollback_is_no_failed_attempt(shop):
    """The trial is undone, so neither the history nor the status knows of a failure."""
    before = shop.value("select count(*) from schema_migrations")
    result = shop.back("drop table t", keep=KeepOptions(limit=1))
    assert (result.outcome.value, result.failure.touched) == ("Blocked", False)
    assert shop.value("select count(*) from schema_migrations") == before
    assert shop.run("status").last_failure is None


def test_a_refusal_behind_a_rollback_that_ran_has_touched_the_database(shop):
    """Only its own trial is undone."""
    shop.write("v1.2.0_y.sql", "create table more ();")
    shop.write("rollbacks/v1.2.0_rollback.sql", "drop table more;")
    assert shop.run("up").failure is None
    result = shop.back("drop table t", keep=KeepOptions(limit=1))
    assert (result.current_version, result.failure.code) == ("1.1.0", "RollbackTooLarge")
    assert (result.outcome.value, result.failure.touched) == ("Blocked", True)


def test_above_the_limit_a_backup_covers_it(shop):
    """It is lost without being kept, and the log says which backup has it."""
    options = KeepOptions(limit=10, backup="base-2026-07-01")
    result = shop.back("drop table t", keep=options)
    assert result.failure is None
    assert not shop.has("t")
    query = "select row_count, covered_by, data_snapshot from rollback_data_log"
    assert shop.rows(query) == [(3, "base-2026-07-01", None)]
    assert [each.covered_by for each in result.kept] == ["base-2026-07-01"]


def test_it_can_be_switched_off(shop):
    """Then nothing is tried and nothing kept."""
    result = shop.back("drop table t; create sequence s", keep=KeepOptions(enabled=False))
    assert (result.failure, shop.rows(SETS), shop.has("t")) == (None, [], False)


def test_large_objects_are_refused(shop):
    """They are not in a table that could be kept."""
    shop.connection.execute("select lo_create(4711)")
    result = shop.back("select lo_unlink(4711)")
    assert result.failure.code == "RollbackTooLarge"
    assert "large objects" in result.failure.message
    assert shop.value("select count(*) from pg_largeobject_metadata") == 1


def test_a_server_that_does_not_count_is_refused(shop):
    """Deleted rows could not be seen."""
    shop.connection.execute(f"alter database {shop.name} set track_counts = off")
    result = shop.back("delete from t")
    assert result.failure.code == "RollbackUnseen"
    assert shop.value("select count(*) from t") == 3


def test_a_table_that_policies_hide_from_us_is_refused(shop):
    """Half of its rows are not all of them."""
    role = f"owner_{shop.name}"
    shop.connection.execute(
        f"create role {role} login; grant create, usage on schema public to {role};"
        f"grant all on all tables in schema public to {role};"
        f"grant all on all sequences in schema public to {role};"
        f"alter table t owner to {role}; alter table t enable row level security;"
        "alter table t force row level security; create policy p on t using (id = 1)"
    )
    params = shop.server.params(shop.name, user=role)
    result = shop.back("drop table t", settings=params)
    shop.connection.execute(f"reassign owned by {role} to postgres; drop owned by {role}")
    shop.connection.execute(f"drop role {role}")
    assert result.failure.code == "KeepFailed"
    assert "row-level security" in result.failure.message
    assert shop.has("t")


def test_notices_are_told_once(shop):
    """Although the statements run twice."""
    result = shop.back("do $$ begin raise notice 'hello'; end $$; drop table t")
    assert result.failure is None
    told = [data["message"] for data in shop.reporter.of(EventName.NOTICE)]
    assert told.count("hello") == 1


def test_a_file_with_copy_data_is_tried_too(shop):
    """Its data are sent twice."""
    result = shop.back("delete from t where id = 1;\nCOPY t (id) FROM stdin;\n7\n8\n\\.\n")
    assert result.failure is None
    assert shop.rows("select id from t order by id") == [(2,), (3,), (7,), (8,)]
    assert kept(shop) == [ALL[0]]


def test_settings_of_the_trial_do_not_reach_the_run(shop):
    """Each run of the statements begins as a file does."""
    shop.connection.execute("create table path (search_path text, timezone text)")
    result = shop.back(
        "insert into path select current_setting('search_path'), current_setting('timezone');"
        "set timezone = 'Asia/Tokyo'; set search_path = ''; drop table public.t;"
    )
    assert result.failure is None
    zone = shop.value("show timezone")
    assert shop.rows("select * from path") == [('"$user", public', zone)]


def test_on_the_command_line(shop, tmp_path):
    """The limit and the backup are options; what was kept is told, in JSON too."""
    line = CommandLine(shop, tmp_path)
    shop.write("rollbacks/v1.1.0_rollback.sql", "drop table t")
    arguments = ("down", "1.0.0", "--source", shop.folder, "--keep-limit", "1kB")
    refused = line(*arguments)
    assert (refused.code, "RollbackTooLarge" in refused.err, shop.has("t")) == (3, True, True)
    assert line(*arguments, "--backup-covers", " ").code == 2
    ended = line(*arguments[:-1], "1 GB", "--output", "json")
    assert (ended.code, shop.has("t")) == (0, False)
    (told,) = [event["kept"] for event in ended.events if event["event"] == "dataKept"]
    assert (told["kind"], told["table"], told["rows"]) == ("table", "t", 3)
    assert ended.result.kept[0].set_id == told["setId"]


def test_what_runs_outside_a_transaction_and_loses_nothing_is_run(shop):
    """The way back from an index that was built concurrently."""
    shop.connection.execute("create index i on t (name)")
    assert shop.back("drop index concurrently i").failure is None
    assert not shop.has("i")


def test_what_cannot_be_tried_is_refused(shop):
    """Unless a backup is named: then it is said that nothing is kept."""
    shop.connection.execute("create index i on t (name)")
    sql = "drop index concurrently i;\ndrop table t"
    result = shop.back(sql)
    assert (result.failure.code, result.failure.line, shop.has("i")) == ("RollbackUntried", 2, True)
    result = shop.back(sql, keep=KeepOptions(backup="b7"))
    assert (result.failure, shop.has("t")) == (None, False)
    (warning,) = shop.reporter.of(EventName.WARNING)
    assert "b7" in warning["message"]


def test_what_is_deleted_the_second_time_is_what_is_kept(shop):
    """Not what the trial deleted: a sequence goes on when it is undone."""
    shop.connection.execute("create sequence s")
    assert shop.back("delete from t where id = (select nextval('s'))").failure is None
    left = {row for (row,) in shop.rows("select id from t")}
    gone = {1, 2, 3} - left
    assert gone
    assert {int(row["id"]) for row in kept(shop)} == gone


def test_a_rollback_that_drops_another_table_each_time_is_refused(shop):
    """What it loses could not be kept before it is lost."""
    shop.connection.execute(
        "create sequence s; do $$ begin for n in 1..9 loop "
        "execute format('create table n%s as select 1 as a', n); end loop; end $$"
    )
    result = shop.back("do $$ begin execute 'drop table n' || nextval('s'); end $$")
    assert (result.failure.code, result.exit_code) == ("RollbackUnsteady", 3)
    assert all(shop.has(f"n{number}") for number in range(1, 10))
    assert shop.rows(SETS) == []


def test_a_table_that_is_dropped_in_one_of_two_runs_is_kept(shop):
    """The second round keeps what the first has lost unforeseen."""
    shop.connection.execute("create sequence s; create table u as select 5 as id")
    result = shop.back(
        "do $$ begin if nextval('s') = 1 then drop table t; else drop table u; end if; end $$"
    )
    assert result.failure is None
    assert (shop.has("t"), shop.has("u")) == (True, False)
    assert kept(shop, "u") == [{"id": "5"}]


def test_several_rollbacks_in_one_transaction(shop):
    """What one of them makes, the next may lose; all is kept or nothing is done."""
    shop.write("rollbacks/v1.0.0_rollback.sql", "alter table t drop column name; drop table t;")
    shop.write("rollbacks/v1.1.0_rollback.sql", "insert into t values (4, 'new', 9);")
    result = shop.run("down", "0", transaction="all")
    assert (result.failure, shop.has("t")) == (None, False)
    assert kept(shop) == [*ALL, {"id": "4", "name": "new", "price": "9.00"}]


def test_deferred_constraints_and_triggers_of_the_application(shop):
    """They fire in the trial and in the run, and are counted once."""
    shop.connection.execute(
        "create table audit (what text); create function log() returns trigger language plpgsql "
        "as 'begin insert into audit values (old.name); return null; end';"
        "create constraint trigger later after delete on t deferrable initially deferred "
        "for each row execute function log()"
    )
    assert shop.back("delete from t where id = 1").failure is None
    assert shop.rows("select * from audit") == [("pen",)]
    assert kept(shop) == [ALL[0]]


@pytest.mark.one_version
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_killed_while_it_keeps_nothing_is_changed(shop, tmp_path, sign):
    """Neither kept nor lost; and the next run does it."""
    shop.connection.execute("insert into t select g, 'x', 1 from generate_series(10, 300000) g")
    shop.write("rollbacks/v1.1.0_rollback.sql", "drop table t")
    number = shop.value("select count(*) from t")
    line = CommandLine(shop, tmp_path)
    process = line.start("down", "1.0.0", "--source", shop.folder)
    shop.wait_until(
        "select exists (select from pg_stat_activity where query like 'do %%batch_rows%%' "
        "and state = 'active' and pid <> pg_backend_pid())"
    )
    process.send_signal(sign)
    process.wait(30)
    process.communicate()
    shop.wait_until("select not exists (select from pg_locks where locktype = 'advisory')")
    assert shop.rows(SETS) == []
    assert shop.value("select count(*) from t") == number
    assert line("down", "1.0.0", "--source", shop.folder).code == 0
    assert (shop.has("t"), shop.rows(SETS)[0][-1]) == (False, number)


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
