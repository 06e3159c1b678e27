"""What `status` tells people: each migration in a row, then where the database stands."""

from __future__ import annotations

from collections.abc import Mapping

from dbmigrate.api.report.history import FailedAttempt, MigrationRecord, UnfinishedFile
from dbmigrate.api.report.plan import Direction
from dbmigrate.api.report.result import RunResult
from dbmigrate.cli.output.amendment_text import state_of
from dbmigrate.cli.output.terminal import Terminal
from dbmigrate.cli.output.wording import counted, cut, table_time
from dbmigrate.durations import format_duration


def write_status(out: Terminal, result: RunResult, files: Mapping[str, str]) -> None:
    """The table, and the sentences below it."""
    failed = result.last_failure
    rows = [_history_row(record, files) for record in result.history]
    rows += [
        _failed_row(failed)
        if failed and failed.version == version and failed.type is Direction.FORWARD
        else (version, files.get(version, ""), "pending", "", "", "")
        for version in result.pending_versions
    ]
    rows += [("", file, "due", "", "", "") for file in result.repeatables_due]
    older = result.history_total - len(result.history)
    if older > 0:
        out.line(f"({older} older migrations are not shown)", "dim")
    if rows:
        headers = ("VERSION", "FILE", "STATE", "AT (UTC)", "TIME", "BY")
        out.table(headers, rows)
    current = result.current_version or "none, nothing is applied"
    out.line(f"CURRENT {current}, {result.pending} pending", "strong")
    if result.unfinished:
        out.line(_unfinished(result.unfinished), "bad")
    if failed:
        out.line(_last_failure(failed), "bad")
    if result.pending and not failed:
        out.line("`dbmigrate plan` shows what would run, `dbmigrate up` runs it", "dim")


def _history_row(record: MigrationRecord, files: Mapping[str, str]) -> tuple[str, ...]:
    ms = record.execution_time_ms
    state = state_of(record)
    return (
        record.version,
        record.file,
        state if record.version in files else f"{state}, not in the source",
        table_time(record.applied_at),
        "" if ms is None else format_duration(ms / 1000),
        record.applied_by,
    )


def _failed_row(failed: FailedAttempt) -> tuple[str, ...]:
    return (
        failed.version,
        failed.file,
        "failed",
        table_time(failed.failed_at),
        "",
        failed.applied_by,
    )


def _unfinished(file: UnfinishedFile) -> str:
    """What is applied in part, and what to do about it."""
    done = counted(file.statements_done, "statement")
    if file.statement_in_doubt:
        doubt = f"; statement {file.statement_in_doubt} is in doubt: {file.statement}"
        what = "looks whether it has taken effect"
    else:
        where = f" at line {file.next_line}" if file.next_line else ""
        doubt, what = "", f"goes on with it{where}"
    again = "down" if file.direction is Direction.ROLLBACK else "up"
    return f"UNFINISHED {file.file}: {done} done{doubt}; `dbmigrate {again}` {what}"


def _last_failure(failed: FailedAttempt) -> str:
    """The sentence that people ask for first: what failed, when, and why."""
    line = f" (line {failed.line})" if failed.line else ""
    codes = ", ".join(filter(None, (failed.code, failed.sqlstate)))
    when = f"{table_time(failed.failed_at)} UTC"
    return f"LAST ATTEMPT failed at {when}: {cut(failed.message, 500)}{line} [{codes}]"
