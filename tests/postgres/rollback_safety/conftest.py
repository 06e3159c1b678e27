"""A table with rows, and a rollback that may lose them."""

import pytest


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
