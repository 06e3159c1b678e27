"""What rollbacks have kept is listed, put back as it was, and purged."""

from datetime import timedelta

import psycopg
import pytest
from command_line import CommandLine

from dbmigrate.api.report.events import EventName
from dbmigrate.postgres.rollback.options import KeepOptions, KeptRequest, OnConflict

TYPES = """
    create type public.mood as enum ('sad', 'ok');
    create type public.pair as (a int, "b c" text);
    create domain public.short as varchar(5) check (value <> 'no');
    create domain public.feeling as public.mood;
    create domain public.pairs as public.pair;
    create domain public.document as jsonb;
    create type public.span as range (subtype = timestamptz);
"""
VALUES = {
    "smallint": "-32768",
    "bigint": "9223372036854775807",
    "numeric": "'NaN'",
    "numeric(30, 10)": "12345678901234567890.0123456789",
    "real": "1.1",
    "double precision": "0.1::float8 + 0.2",
    "double precision[]": "array['Infinity', '-Infinity', 'NaN', '-0', 5e-324]::float8[]",
    "money": "'1234.56'",
    "boolean": "false",
    "text": "E'a\\tb\\n\"c\\\\d''e\\r {}, () \\u00e9\\U0001F418'",
    "text[]": "array['', 'NULL', null, 'a,b', '{x}', '\"', ' ']",
    "int[]": "'[2:3][0:1]={{1,2},{3,4}}'",
    "varchar(7)": "'abc  '",
    "char(5)": "'ab'",
    "bpchar": "'ab   '",
    "name": "'a_name'",
    '"char"': "'x'",
    "bytea": "'\\x00ff5c27'",
    "date": "'infinity'",
    "date[]": "array['4713-01-01 BC', '5874897-12-31']::date[]",
    "time": "'23:59:59.999999'",
    "time with time zone": "'12:00:00+05:30'",
    "timestamp": "'0044-03-15 BC'",
    "timestamptz": "'2026-03-29 01:30:00.000001+00'",
    "timestamptz(0)": "'-infinity'",
    "interval": "'1 year -2 mons +3 days -04:05:06.789'",
    "interval year to month": "'14 mons'",
    "uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "json": '\'{"b":  1, "a": "\\u00e9", "a": null}\'',
    "jsonb": '\'[1.10, "x", null, {"k": 1e400}]\'',
    "jsonb[]": "array['\"s\"', '1', null]::jsonb[]",
    "public.document": "'\"a text\"'",
    "xml": "'<a b=\"1\">x</a>'",
    "inet": "'192.168.0.1/24'",
    "cidr": "'2001:db8::/32'",
    "macaddr8": "'08:00:2b:01:02:03:04:05'",
    "bit(5)": "B'10110'",
    "bit varying": "B'1'",
    "point": "'(1.5,-2)'",
    "polygon": "'((0,0),(1,1),(1,0))'",
    "circle": "'<(1,2),3>'",
    "int4range": "'empty'",
    "numrange": "'(,5.5]'",
    "public.span": "'[2026-01-01 00:00:00+00, infinity)'",
    "int4multirange": "'{[1,3),[7,8)}'",
    "tsvector": "'a:1A fat:2B cat'",
    "tsquery": "'fat & !cat'",
    "pg_lsn": "'16/B374D848'",
    "regclass": "'pg_catalog.pg_class'",
    "oid": "4294967295",
    "public.mood": "'ok'",
    "public.mood[]": "'{sad,NULL}'",
    "public.feeling": "'sad'",
    "public.short": "'yes'",
    "public.pair": "row(null, 'x, \"y\"')",
    "public.pair[]": "array[row(1, 'a'), null, row(null, null)]::public.pair[]",
    "public.pairs": "row(null, null)",
}
"""A value of each type that a careless copy would spoil."""


@pytest.fixture
def types(database):
    """The types that this server has: not every one is built with XML."""
    try:
        database.connection.execute("select '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        return {kind: value for kind, value in VALUES.items() if kind != "xml"}
    return VALUES


@pytest.fixture
def project(database):
    """v1.1.0 makes the table t and a column of users; its rollback drops both."""
    database.write(
        "v1.0.0_users.sql",
        "create table users (id int primary key, name text); insert into users values (1), (2);",
    )
    database.write(
        "v1.1.0_t.sql",
        "create table t (id int generated always as identity primary key, parent int, "
        "  foreign key (parent) references t, user_id int references users, note text);"
        "alter table users add zone text not null default 'UTC', add settings jsonb;",
    )
    database.write(
        "rollbacks/v1.1.0_rollback.sql",
        "alter table users drop zone, drop settings; drop table t;",
    )
    assert database.run("up").failure is None
    database.connection.execute(
        "insert into t (parent, user_id, note) values (2, 1, 'child'), (null, 2, 'parent');"
        "update users set zone = 'Asia/Tokyo', settings = '{\"a\": [1]}' where id = 2"
    )
    return database


def restore(database, version="1.1.0", **request):
    """Run the command."""
    return database.run("kept restore", kept=KeptRequest(version=version, **request))


def test_every_type_comes_back_as_it_was(database, types):
    """To the bit: the binary form of each value is compared."""
    columns = ", ".join(f'"c{n}" {kind}' for n, kind in enumerate(types))
    database.connection.execute(TYPES)
    database.write("v1.0.0_t.sql", f"create table t (id int primary key, {columns});")
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table t;")
    assert database.run("up").failure is None
    values = ", ".join(types.values())
    nulls = ", ".join(["null"] * len(types))
    database.connection.execute(f"insert into t values (1, {values}), (2, {nulls})")
    database.connection.execute("create table original as table t")
    assert database.run("down", "0").failure is None
    assert database.run("up").failure is None
    result = restore(database, "1.0.0")
    assert result.failure is None
    assert [(each.into, each.rows) for each in result.restored] == [("public.t", 2)]
    query = "select {} from {} order by id"
    for number, kind in enumerate(types):
        # What has no binary form is compared as text.
        form = f"c{number}::text" if kind in ("tsquery", "xml") else f"c{number}"
        cursor = database.connection.cursor(binary=kind not in ("tsquery", "xml"))
        raw = []
        for table in ("original", "t"):
            cursor.execute(query.format(form, table))
            raw.append([cursor.pgresult.get_value(row, 0) for row in range(2)])
        assert raw[0] == raw[1], kind
        assert raw[0][0] is not None
        assert raw[0][1] is None


def test_a_column_of_every_type_comes_back(database, types):
    """By the key of its row."""
    columns = ", ".join(f'add "c{n}" {kind}' for n, kind in enumerate(types))
    drops = ", ".join(f'drop "c{n}"' for n in range(len(types)))
    database.connection.execute(TYPES + "create table t (a int, b text, primary key (a, b));")
    database.write("v1.0.0_t.sql", f"alter table t {columns};")
    database.write("rollbacks/v1.0.0_rollback.sql", f"alter table t {drops};")
    assert database.run("up").failure is None
    values = ", ".join(types.values())
    database.connection.execute(f"insert into t values (1, 'x', {values})")
    database.connection.execute("insert into t values (1, 'y')")
    database.connection.execute("create table original as table t")
    assert database.run("down", "0").failure is None
    assert database.run("up").failure is None
    assert restore(database, "1.0.0").failure is None
    text = "select t::text from {} as t order by a, b"
    assert database.rows(text.format("t")) == database.rows(text.format("original"))


def test_all_that_a_rollback_removed_is_restored(project):
    """Rows with their references, values by key, and where the sequence was."""
    before = project.rows("select * from t order by id"), project.rows("table users order by id")
    assert project.run("down", "1.0.0").failure is None
    assert project.run("up").failure is None
    result = restore(project)
    assert result.failure is None
    after = project.rows("select * from t order by id"), project.rows("table users order by id")
    assert after == before
    assert project.value("insert into t (note) values ('next') returning id") == 3
    assert sorted((each.kind, each.rows) for each in result.restored) == [
        ("columns", 2), ("sequence", 1), ("table", 2),
    ]  # fmt: skip


def test_tables_are_restored_before_those_that_refer_to_them(database):
    """In whatever order they were dropped."""
    database.write(
        "v1.0.0_t.sql",
        "create table a (id int primary key); create table b (id int primary key, a int);"
        "alter table b add foreign key (a) references a;"
        "create table c (b int references b);",
    )
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table c; drop table b; drop table a;")
    assert database.run("up").failure is None
    database.connection.execute(
        "insert into a values (1); insert into b values (2, 1); insert into c values (2)"
    )
    for command in (("down", "0"), ("up",)):
        assert database.run(*command).failure is None
    assert restore(database, "1.0.0").failure is None
    assert database.rows("select a.id, b.id, c.b from a, b, c") == [(1, 2, 2)]


def test_without_its_table_nothing_is_restored(project):
    """It is said that the migration comes first."""
    project.run("down", "1.0.0")
    result = restore(project)
    assert (result.failure.code, result.exit_code) == ("RestoreTargetMissing", 3)
    assert "dbmigrate up" in result.failure.hint


def test_a_row_that_is_there_is_not_overwritten(project):
    """Not unless that is asked for; and then nothing else is restored either."""
    project.run("down", "1.0.0")
    project.run("up")
    project.connection.execute("insert into t overriding system value values (2, null, 1, 'newer')")
    result = restore(project)
    assert result.failure.code == "RestoreConflict"
    assert project.rows("select note from t") == [("newer",)]
    assert project.rows("select zone from users") == [("UTC",)] * 2
    result = restore(project, on_conflict=OnConflict.SKIP)
    (table,) = (each for each in result.restored if each.kind == "table")
    assert (table.rows, table.skipped) == (1, 1)
    assert project.rows("select note from t order by id") == [("child",), ("newer",)]
    assert restore(project, on_conflict=OnConflict.REPLACE).failure is None
    assert project.rows("select note from t order by id") == [("child",), ("parent",)]


def test_a_value_that_is_there_is_not_overwritten(project):
    """The default that the migration gave is nobody's value."""
    project.run("down", "1.0.0")
    project.run("up")
    project.connection.execute("update users set zone = 'Europe/Rome' where id = 2")
    result = restore(project, table="users")
    assert result.failure.code == "RestoreConflict"
    assert "1 of 2 rows" in result.failure.message
    result = restore(project, table="public.users", on_conflict=OnConflict.SKIP)
    assert [(each.rows, each.skipped) for each in result.restored] == [(1, 1)]
    assert project.value("select zone from users where id = 2") == "Europe/Rome"
    assert restore(project, table="users", on_conflict=OnConflict.REPLACE).failure is None
    assert project.value("select zone from users where id = 2") == "Asia/Tokyo"


def test_rows_that_are_gone_are_counted(project):
    """Their values have no place any more."""
    project.run("down", "1.0.0")
    project.connection.execute("delete from users where id = 1")
    project.run("up")
    result = restore(project, table="users")
    assert [(each.rows, each.missing) for each in result.restored] == [(1, 1)]


def test_deleted_and_overwritten_rows_come_back(project):
    """As they were before the rollback, though it changed one of them twice."""
    project.write(
        "rollbacks/v1.1.0_rollback.sql",
        "update users set name = 'first'; update users set name = 'second' where id = 2;"
        "delete from users where id = 2; alter table users drop zone, drop settings; drop table t;",
    )
    project.connection.execute("truncate t; update users set name = 'kept' where id = 2")
    before = project.rows("select id, name from users order by id")
    assert project.run("down", "1.0.0").failure is None
    assert project.run("up").failure is None
    assert restore(project, on_conflict=OnConflict.REPLACE).failure is None
    assert project.rows("select id, name from users order by id") == before


def test_into_a_side_table(project):
    """Which is made, and takes what has no place elsewhere."""
    project.connection.execute("create type mood as enum ('ok'); alter table t add m mood")
    project.connection.execute("update t set m = 'ok'")
    project.write(
        "rollbacks/v1.1.0_rollback.sql",
        "alter table users drop zone, drop settings; drop table t; drop type mood;",
    )
    project.run("down", "1.0.0")
    result = restore(project, table="t", into='public."Before"')
    assert result.failure is None
    assert project.rows('select id, note, m from "Before" order by id') == [
        (1, "child", "ok"), (2, "parent", "ok"),
    ]  # fmt: skip
    warnings = [data["message"] for data in project.reporter.of(EventName.WARNING)]
    assert any("mood" in text and "text" in text for text in warnings)
    result = restore(project, into="public.other")
    assert (result.failure.code, result.exit_code) == ("SeveralSets", 2)


def test_an_earlier_rollback_is_restored_by_its_set(project):
    """By version it is the last one."""
    project.run("down", "1.0.0")
    project.run("up")
    project.connection.execute("insert into t (note) values ('second time')")
    project.run("down", "1.0.0")
    project.run("up")
    assert restore(project, table="t").failure is None
    assert project.rows("select note from t") == [("second time",)]
    project.connection.execute("truncate t")
    first = next(each for each in project.run("kept").kept if each.kind == "table")
    assert restore(project, None, set_id=first.set_id).failure is None
    assert project.rows("select note from t order by id") == [("child",), ("parent",)]


def test_a_narrower_column_is_not_filled_with_cut_values(project):
    """A value that does not fit fails, and nothing is restored."""
    project.run("down", "1.0.0")
    project.connection.execute(
        "create table t (id int primary key, parent int, user_id int, note varchar(3))"
    )
    result = restore(project, table="t")
    assert (result.failure.code, result.failure.sqlstate) == ("RestoreFailed", "22001")
    assert project.value("select count(*) from t") == 0


def test_what_is_not_kept_is_said(project):
    """A version that lost nothing, a number that is none, a backup's data."""
    assert restore(project, "1.0.0").failure.code == "NothingKept"
    assert restore(project, None, set_id=99).failure.code == "NothingKept"
    assert project.run("kept").message == "nothing is kept"
    project.run("down", "1.0.0", keep=KeepOptions(limit=1, backup="base-7"))
    project.run("up")
    result = restore(project)
    assert result.failure.code == "NothingKept"
    assert {each.covered_by for each in project.run("kept").kept} == {"base-7"}


def test_what_is_old_is_purged(project):
    """And nothing else."""
    for _ in range(2):
        project.run("down", "1.0.0")
        project.run("up")
    project.connection.execute(
        "update rollback_data_log set created_at = now() - interval '91 days' "
        "where created_at = (select min(created_at) from rollback_data_log)"
    )
    number = len(project.run("kept").kept)
    result = project.run("kept purge", kept=KeptRequest(older_than=timedelta(days=90)))
    assert result.failure is None
    left = project.run("kept").kept
    assert len(left) + len(result.kept) == number
    assert left
    assert result.kept


def test_looking_creates_nothing(database):
    """A database without a history keeps nothing."""
    result = database.run("kept")
    assert (result.failure, result.kept) == (None, ())
    assert not database.has("schema_migrations")


@pytest.mark.one_version
def test_on_the_command_line(project, tmp_path):
    """As documented: list, restore, purge; no folder of migrations is needed."""
    project.run("down", "1.0.0")
    project.run("up")
    line = CommandLine(project, tmp_path)
    listed = line("kept")
    assert listed.code == 0
    assert "columns zone, settings of public.users" in listed.out
    assert "table public.t" in listed.out
    ended = line("kept", "restore", "1.1.0", "--output", "json")
    assert ended.code == 0
    assert sorted(each.rows for each in ended.result.restored) == [1, 2, 2]
    again = line("kept", "restore", "1.1.0")
    assert (again.code, "RestoreConflict" in again.err) == (3, True)
    assert line("kept", "restore").code == 2
    assert line("kept", "purge").code == 2
    assert line("kept", "purge", "--older-than", "0h").code == 0
    assert line("kept", "--output", "json").result.kept == ()
    assert "--older-than" in line("kept", "purge", "--help").out
