"""The ledger of files that run by statement: where it is, and what becomes of it."""

import pytest
from cut_files import OWN
from psycopg.sql import SQL, Identifier


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


def test_a_file_that_drops_the_ledger_is_undone(database):
    """With its schema: the statement and its entry are one transaction."""
    database.write(
        "v1.0.0_t.sql", "create table t (a int);\nvacuum t;\ndrop schema public cascade;"
    )
    assert database.run().failure is not None
    assert database.has("public.t")
    assert database.run("status").unfinished.statements_done == 2
