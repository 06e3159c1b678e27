"""Checks change nothing, whatever their queries say."""

import psycopg
import pytest
from tests.postgres.integrity.shop import RELATIONSHIP, UNIQUE, check

from dbmigrate.errors import RefusedError
from dbmigrate.postgres.integrity.snapshot import Snapshot


@pytest.mark.parametrize(
    "hostile",
    [
        "SELECT 1; COMMIT; DROP TABLE shop.visits",
        "SELECT 1; DROP TABLE shop.visits",
        "SELECT 1) AS q; COMMIT; DROP TABLE shop.visits; SELECT * FROM (SELECT 1",
        "SELECT 1) AS q UNION SELECT (1",
        "COMMIT",
        "ROLLBACK; DROP TABLE shop.visits",
        "WITH gone AS (DELETE FROM shop.visits RETURNING 1) SELECT * FROM gone",
        "SELECT * INTO shop.copy FROM shop.visits",
        "SELECT customer FROM shop.visits FOR UPDATE",
        "SELECT set_config('transaction_read_only', 'off', true), wreck() AS x",
        "SELECT set_config('default_transaction_read_only', 'off', false), wreck()::text",
        "SELECT wreck()::text",
        "SELECT nextval('shop.numbers')",
    ],
)
def test_a_hostile_query_is_an_error_and_changes_nothing(shop, run, connect, hostile):
    """Refused by the server; the next check sees what was there, and so does everybody."""
    shop.execute("""
        CREATE SEQUENCE shop.numbers;
        CREATE FUNCTION wreck() RETURNS int LANGUAGE plpgsql AS
        $$ BEGIN PERFORM set_config('transaction_read_only', 'off', true);
           DELETE FROM shop.visits; RETURN 1; END $$;
    """)
    report = run([check({"query": {"sql": hostile}}), check(RELATIONSHIP, name="next")])
    assert [r.status for r in report.results] == ["ERROR", "PASS"]
    with connect() as other:
        assert other.execute("SELECT count(*) FROM shop.visits").fetchone() == (2,)
        assert other.execute("SELECT to_regclass('shop.copy')").fetchone() == (None,)


def test_what_the_server_lets_through_is_undone(run, connect):
    """PostgreSQL before 16 makes large objects in a read-only transaction; none remains."""
    run({"query": {"sql": "SELECT lo_create(0)"}})
    with connect() as other:
        rows = other.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone()
    assert rows == (0,)


def test_a_setting_that_a_query_changes_does_not_reach_the_next_check(run):
    """Otherwise one check could send the next one to other tables."""
    first = "SELECT set_config('search_path', 'pg_catalog', false) AS path"
    second = "SELECT 1 WHERE current_setting('search_path') = 'pg_catalog'"
    report = run(
        [check({"query": {"sql": first}}), check({"query": {"sql": second}}, name="second")]
    )
    assert [r.status for r in report.results] == ["FAIL", "PASS"]


def test_a_transaction_that_is_another_one_is_noticed(connect):
    """Were there a way out all the same, no result would be believed."""
    with connect() as other:
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = Snapshot(other)
        snapshot.verify()
        other.execute("COMMIT")
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        with pytest.raises(RefusedError, match="left the read-only transaction"):
            snapshot.verify()
        other.execute("ROLLBACK")


def test_leaves_the_connection_as_it_was(shop, run):
    """The caller goes on with a connection that can write, outside of a transaction."""
    run(UNIQUE)
    assert shop.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert (shop.isolation_level, shop.read_only) == (None, None)
    shop.execute("INSERT INTO shop.visits VALUES ('x', 'y')")


def test_refuses_a_connection_within_a_transaction(shop, run):
    """Its snapshot and its rights to write are not ours to judge."""
    with shop.transaction(), pytest.raises(RefusedError, match="outside of a transaction"):
        run(UNIQUE)
