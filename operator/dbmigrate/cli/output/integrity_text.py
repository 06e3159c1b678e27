"""What the integrity checks found, as people read it."""

from __future__ import annotations

from dbmigrate.api.report.integrity import IntegrityReport
from dbmigrate.cli.output.terminal import Terminal


def write_integrity(out: Terminal, report: IntegrityReport) -> None:
    """A row for each check, and the sum of them."""
    if not report.results:
        out.line("INTEGRITY No checks", "warn")
        return
    out.table(
        ("CHECK", "RESULT", "SEVERITY", "RECORDS", "DETAILS"),
        [
            (each.check, each.status, each.severity, str(each.affected_records), each.details)
            for each in report.results
        ],
    )
    style = "good" if report.healthy else "bad"
    out.line(f"INTEGRITY {report.summary}", style)
