"""Tells the database what the integrity checks found: a row in system_events, and a notification.

The form of the report, the columns and the notification's keys are those that listeners and
dashboards of such installations know. Runs no check.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from dbmigrate.api.report.integrity import IntegrityReport

CHANNEL = "data_integrity_alert"
"""Who listens on it is told of critical failures."""

PAYLOAD_LIMIT = 7999
"""Bytes of a notification's payload (PostgreSQL manual, NOTIFY: shorter than 8000 bytes)."""

_MARKS = {"PASS": "✓", "FAIL": "✗", "ERROR": "!"}


def record_report(
    connection: psycopg.Connection[Any],
    schema: str,
    report: IntegrityReport,
    *,
    environment: str | None,
    context: Mapping[str, str],
) -> None:
    """Write the report to `schema`.system_events; notify of critical failures. Both or none.

    Args:
        connection: may write; in a transaction of the caller's, the row becomes part of it.
        schema: the history schema, whose bookkeeping exists.
        report: what was found.
        environment: name of the environment.
        context: what else helps to find the run again (version, resource, commit), without secrets.

    Raises:
        psycopg.Error: the table is missing or may not be written.
    """
    insert = sql.SQL("""
        INSERT INTO {} (event_type, event_category, severity_level, message, event_data)
        VALUES ('data_integrity_check', 'database_maintenance', %s, %s, %s)
    """).format(sql.Identifier(schema, "system_events"))
    data = {
        "critical_failures": report.critical_failures,
        "warnings": report.warnings,
        "errors": report.errors,
        "report": report_text(report),
        "checked_at": report.checked_at,
        "environment": environment,
        "context": dict(context),
    }
    with connection.transaction():
        connection.execute(
            insert, [_severity(report), f"Integrity checks: {report.summary}", Jsonb(data)]
        )
        if report.critical_failures:
            connection.execute("SELECT pg_catalog.pg_notify(%s, %s)", [CHANNEL, payload(report)])


def report_text(report: IntegrityReport) -> str:
    """The report for people, one paragraph a check, and the counts at its end."""
    title = f"Data Integrity Check Report - {report.checked_at[:10]}"
    lines = [title, "=" * 48, ""]
    for result in report.results:
        lines += [
            f"{_MARKS[result.status]} {result.check}: {result.status} ({result.severity})",
            f"  Details: {result.details}",
        ]
        if result.affected_records:
            lines.append(f"  Affected Records: {result.affected_records}")
        lines.append("")
    lines += [
        "Summary:",
        f"  Critical Failures: {report.critical_failures}",
        f"  Warnings: {report.warnings}",
        f"  Errors: {report.errors}",
    ]
    return "\n".join(lines) + "\n"


def payload(report: IntegrityReport) -> str:
    """The notification: as many names of failed checks as fit; `failures` is their full number."""
    names = [
        result.check
        for result in report.results
        if result.status == "FAIL" and result.severity == "critical"
    ]
    while True:
        text = json.dumps(
            {
                "type": "critical_failure",
                "failures": report.critical_failures,
                "timestamp": report.checked_at,
                "checks": names,
            }
        )
        if len(text.encode()) <= PAYLOAD_LIMIT:
            return text
        names = names[:-1]


def _severity(report: IntegrityReport) -> str:
    if report.critical_failures or report.errors:
        return "error"
    return "warning" if report.warnings else "info"
