"""A report is recorded in the database, and its critical failures are notified."""

import json

import psycopg
import pytest
from tests.postgres.integrity.shop import RELATIONSHIP, UNIQUE, check

from dbmigrate.postgres.integrity.events import PAYLOAD_LIMIT, record_report

pytestmark = pytest.mark.one_version


@pytest.fixture
def events(shop):
    """The shop, with the bookkeeping's table in the schema history."""
    shop.execute("CREATE SCHEMA history")
    shop.execute(
        "CREATE TABLE history.system_events (id bigint GENERATED ALWAYS AS IDENTITY, "
        "event_type text NOT NULL, event_category text NOT NULL, severity_level text NOT NULL, "
        "message text NOT NULL, event_data jsonb, "
        "created_at timestamptz NOT NULL DEFAULT now())"
    )
    return shop


def record(connection, report):
    """Records the report, and gives the rows that are there."""
    record_report(
        connection, "history", report, environment="staging", context={"version": "1.6.0"}
    )
    return connection.execute(
        "SELECT event_type, event_category, severity_level, message, event_data"
        " FROM history.system_events"
    ).fetchall()


def test_writes_one_row_in_the_known_form(events, run):
    """Type, category, severity, and the report with its counts."""
    events.execute("INSERT INTO shop.orders VALUES (14, 8)")
    ((kind, category, severity, message, data),) = record(
        events, run([check(RELATIONSHIP, name="orphans"), check(UNIQUE, name="doubles")])
    )
    assert (kind, category, severity) == (
        "data_integrity_check",
        "database_maintenance",
        "warning",
    )
    assert message == "Integrity checks: 1 warning"
    assert (data["critical_failures"], data["warnings"], data["errors"]) == (0, 1, 0)
    assert (data["environment"], data["context"]) == ("staging", {"version": "1.6.0"})
    assert data["report"].splitlines()[1:] == [
        "================================================",
        "",
        "✗ orphans: FAIL (warning)",
        (
            "  Details: 1 row of shop.orders without their row in shop.customers: "
            "id=14 (customer_id=8)"
        ),
        "  Affected Records: 1",
        "",
        "✓ doubles: PASS (warning)",
        "  Details: no offending row",
        "",
        "Summary:",
        "  Critical Failures: 0",
        "  Warnings: 1",
        "  Errors: 0",
    ]


@pytest.mark.parametrize(
    ("body", "severity", "level"),
    [
        (UNIQUE, "critical", "info"),
        (RELATIONSHIP, "info", "info"),
        (RELATIONSHIP, "warning", "warning"),
        (RELATIONSHIP, "critical", "error"),
        ({"query": {"sql": "nonsense"}}, "info", "error"),
    ],
)
def test_the_level_follows_the_worst(events, run, body, severity, level):
    """A check that could not run is an error, however little it matters."""
    events.execute("INSERT INTO shop.orders VALUES (14, 8)")
    ((_, _, found, _, _),) = record(events, run([check(body, severity=severity)]))
    assert found == level


def test_notifies_of_critical_failures_only(events, run, connect):
    """Who listens gets type, number, time and names; a warning wakes nobody."""
    events.execute("INSERT INTO shop.orders VALUES (14, 8)")
    with connect() as listener:
        listener.execute("LISTEN data_integrity_alert")
        record(events, run([check(RELATIONSHIP)]))
        report = run([check(RELATIONSHIP, name="orphans", severity="critical")])
        record(events, report)
        notices = list(listener.notifies(timeout=10, stop_after=1))
    assert [json.loads(notice.payload) for notice in notices] == [
        {
            "type": "critical_failure",
            "failures": 1,
            "timestamp": report.checked_at,
            "checks": ["orphans"],
        }
    ]


def test_a_notification_fits_whatever_the_number(events, run):
    """PostgreSQL refuses 8000 bytes; the number stays right when names are left out."""
    events.execute("INSERT INTO shop.orders VALUES (14, 8)")
    report = run(
        [check(RELATIONSHIP, name=f"{'x' * 58}{n:05}", severity="critical") for n in range(150)]
    )
    assert report.critical_failures * 63 > PAYLOAD_LIMIT
    assert len(record(events, report)) == 1


def test_writes_nothing_when_it_cannot_notify(events, run):
    """Both or none."""
    events.execute("""
        INSERT INTO shop.orders VALUES (14, 8);
        DROP ROLE IF EXISTS integrity_writer;
        CREATE ROLE integrity_writer;
        GRANT USAGE ON SCHEMA history TO integrity_writer;
        GRANT INSERT, SELECT ON history.system_events TO integrity_writer;
        REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC;
    """)
    report = run([check(RELATIONSHIP, severity="critical")])
    events.execute("SET ROLE integrity_writer")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="pg_notify"):
        record(events, report)
    rows = events.execute("SELECT count(*) FROM history.system_events").fetchone()
    assert rows == (0,)
