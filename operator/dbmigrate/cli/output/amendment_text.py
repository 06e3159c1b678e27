"""What was recorded without being run, and what the database has that the source has not."""

from __future__ import annotations

from dbmigrate.api.report.amendment import Amendment, AmendmentAction
from dbmigrate.api.report.history import MigrationRecord
from dbmigrate.api.report.result import RunResult
from dbmigrate.cli.output.terminal import Terminal

_SHORT = 12


def write_amendments(out: Terminal, result: RunResult) -> None:
    """The rows that were recorded, or would be."""
    if not result.amendments:
        return
    rows: list[tuple[str, ...]]
    action = result.amendments[-1].action
    if action is AmendmentAction.REPAIR:
        headers: tuple[str, ...] = ("VERSION", "FILE", "RECORDED", "NOW", "ROLLBACK KEPT")
        rows = [_repair_row(each) for each in result.amendments]
    elif action is AmendmentAction.ADOPT:
        headers = ("VERSION", "FILE", "STANDS FOR", "MATCHED BY", "APPLIED AT", "ROLLBACK KEPT")
        rows = [
            (
                each.version,
                each.file,
                each.foreign,
                each.proof,
                each.applied_at[:19],
                each.rollback or "none",
            )
            for each in result.amendments
        ]
    else:
        headers = ("", "VERSION", "FILE", "SHA-256", "ROLLBACK KEPT")
        rows = [
            (each.action.value, each.version, each.file, each.checksum, each.rollback or "none")
            for each in result.amendments
        ]
    out.table(headers, rows)
    if result.dry_run:
        out.line("Nothing was recorded (--dry-run)", "warn")


def _repair_row(each: Amendment) -> tuple[str, ...]:
    is_same = each.old_checksum == each.checksum
    now = "the same" if is_same else each.checksum[:_SHORT]
    return (each.version, each.file, each.old_checksum[:_SHORT], now, each.rollback or "as before")


def state_of(record: MigrationRecord) -> str:
    """How an applied migration came to be so, in a table's cell."""
    words = {"": "applied", "baseline": "baseline"}
    state = words.get(record.origin, record.origin.replace("adopted:", "adopted from "))
    return f"{state}, repaired" if record.applied_checksum else state
