"""A check that cannot run is an ERROR that says why, and never a PASS."""

import pytest
from tests.postgres.integrity.shop import RELATIONSHIP, UNIQUE, check

from dbmigrate.errors import UnreachableError


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            {"unique": {"table": "shop.nowhere", "columns": ["id"]}},
            "table shop.nowhere does not exist",
        ),
        (
            {"unique": {"table": "shop.orders", "columns": ["nothing"]}},
            "column t.nothing does not exist (SQLSTATE 42703)",
        ),
        (
            {"pattern": {"table": "shop.orders", "column": "note", "regex": "("}},
            "invalid regular expression: parentheses () not balanced (SQLSTATE 2201B)",
        ),
        (
            {"range": {"table": "shop.orders", "column": "id", "min": "many"}},
            'invalid input syntax for type integer: "many" (SQLSTATE 22P02)',
        ),
        ({"query": {"sql": "TABLE void"}}, 'relation "void" does not exist (SQLSTATE 42P01)'),
        (
            {"query": {"sql": "UPDATE shop.orders SET note = ''"}},
            'syntax error at or near "UPDATE" (SQLSTATE 42601)',
        ),
        ({"query": {"sql": "-- nothing"}}, "syntax error at end of input (SQLSTATE 42601)"),
    ],
)  # fmt: skip
def test_says_why(run, body, reason):
    """Each with the reason that a person can act upon."""
    result = run(body)
    assert (result.status, result.details, result.affected_records) == ("ERROR", reason, 0)


def test_a_check_that_takes_too_long_is_an_error(run):
    """The timeout is the check's own."""
    result = run({"query": {"sql": "SELECT pg_sleep(30)::text"}}, timeout=0.2)
    assert (result.status, result.details) == ("ERROR", "did not finish within 0.2 s")
    assert result.duration_ms < 5000


def test_the_timeout_is_for_the_whole_check(run):
    """Counting the rest of the rows does not get the time anew."""
    query = "SELECT n, pg_sleep(0.16)::text FROM generate_series(1, 9) AS n"
    result = run({"query": {"sql": query}}, timeout=1)
    assert (result.status, result.details) == ("ERROR", "did not finish within 1 s")


def test_a_missing_right_is_an_error(shop, connect, run):
    """The role may not read: nothing is known."""
    shop.execute("DROP ROLE IF EXISTS integrity_stranger")
    shop.execute("CREATE ROLE integrity_stranger")
    shop.execute("GRANT USAGE ON SCHEMA shop TO integrity_stranger")
    with connect() as other:
        other.execute("SET ROLE integrity_stranger")
        result = run(UNIQUE, on=other)
    assert result.status == "ERROR"
    assert "permission denied for table customers" in result.details


def test_rows_hidden_by_a_policy_are_an_error(shop, connect, run):
    """A role that does not see all rows must not call them right."""
    shop.execute("INSERT INTO shop.orders VALUES (14, 8)")
    shop.execute("ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY")
    shop.execute("DROP ROLE IF EXISTS integrity_reader")
    shop.execute("CREATE ROLE integrity_reader")
    shop.execute("GRANT USAGE ON SCHEMA shop TO integrity_reader")
    shop.execute("GRANT SELECT ON ALL TABLES IN SCHEMA shop TO integrity_reader")
    with connect() as other:
        other.execute("SET ROLE integrity_reader")
        result = run(RELATIONSHIP, on=other)
    assert result.status == "ERROR"
    assert "row-level security" in result.details


def test_the_checks_after_it_still_run(shop, run):
    """One ERROR does not spoil the rest."""
    shop.execute("INSERT INTO shop.orders VALUES (14, 8)")
    report = run(
        [
            check({"query": {"sql": "SELECT 1/0"}}, name="broken"),
            check(RELATIONSHIP, name="orphans", severity="critical"),
            check(UNIQUE, name="doubles"),
        ]
    )
    assert [r.status for r in report.results] == ["ERROR", "FAIL", "PASS"]
    assert (report.critical_failures, report.warnings, report.errors) == (1, 0, 1)
    assert (report.healthy, report.summary) == (False, "1 critical, 1 error")


def test_a_lost_connection_is_said(run, shop, connect):
    """Not a result: nobody knows how the data are."""
    with connect() as other:
        killer = f"SELECT pg_terminate_backend({shop.info.backend_pid})::text"
        assert other is not shop
        with pytest.raises(UnreachableError):
            run({"query": {"sql": killer}})
