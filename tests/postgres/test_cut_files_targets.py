"""What a cut statement was to make or drop is recognised; nobody else's is taken for it."""

import hashlib
import json

import psycopg
import pytest
from cut_files import resolve


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
