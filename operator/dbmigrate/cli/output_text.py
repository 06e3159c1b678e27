"""A run as people read it: progress on stdout, warnings and errors on stderr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from dbmigrate.api.report.events import EventName, LockHolder
from dbmigrate.api.report.history import FailedAttempt, MigrationRecord, UnfinishedFile
from dbmigrate.api.report.integrity import IntegrityReport, IntegrityResult
from dbmigrate.api.report.kept import KeptData
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.report.plan import Direction, PlanReport, PlanStep
from dbmigrate.api.report.proof import ProvedMigration
from dbmigrate.api.report.result import RunResult
from dbmigrate.cli.amendment_text import state_of, write_amendments
from dbmigrate.cli.failure_text import cut, write_failure
from dbmigrate.cli.kept_text import describe_kept, write_kept
from dbmigrate.cli.lint_text import write_report
from dbmigrate.cli.proof_text import write_proved
from dbmigrate.cli.terminal import Terminal
from dbmigrate.durations import format_duration

if TYPE_CHECKING:
    from dbmigrate.api.lint import LintReport

_SHORT_HASH = 12
_FIRST_LINE = 10.0
"""Seconds after which a log has a line about a statement that still runs."""


class TextOutput:
    """Output for people.

    Args:
        out: for what was asked.
        err: for warnings and errors.
        verbose: also the statements that are told.
        live: something that moves is welcome on `out`.
    """

    def __init__(self, out: Terminal, err: Terminal, *, verbose: bool, live: bool) -> None:
        self._out = out
        self._err = err
        self._verbose = verbose
        self._live = live
        self._file = ""
        self._quiet_until = _FIRST_LINE
        self._number = 0
        self._command = ""

    def emit(self, event: EventName, **data: Any) -> None:  # noqa: C901 -- a case for each event
        """Show one event, if it is worth a person's eyes."""
        match event:
            case EventName.MIGRATION_STARTED:
                self._started(data)
            case EventName.MIGRATION_COMPLETED:
                self._completed(data)
            case EventName.STATEMENT:
                self._statement(data)
            case EventName.WAITING:
                self._waiting(data)
            case EventName.NOTICE:
                self._notice(str(data.get("severity", "NOTICE")), str(data.get("message", "")))
            case EventName.WARNING:
                self._err.line(f"warning: {data.get('message', '')}", "warn")
            case EventName.LINT:
                of_command = self._out if self._command == "lint" else self._err
                write_report(of_command, cast("LintReport", data["report"]))
            case EventName.PROVED:
                write_proved(self._out, cast("ProvedMigration", data["migration"]))
            case EventName.KEPT:
                self._kept(cast("KeptData", data["kept"]))
            case EventName.CHECK:
                self._check(cast("IntegrityResult", data["check"]))
            case EventName.STARTED:
                self._command = str(data.get("command", ""))

    def show_statements(self) -> None:
        """Show each statement that is told, as DEBUG_QUERIES asks."""
        self._verbose = True

    def connected_to(self, target: str, origin: str) -> None:
        """Say which database it is, and who said so."""
        self._out.line(f"Database {target} (from {origin})", "dim")

    def result(self, result: RunResult, files: Mapping[str, str]) -> None:
        """Show what came out.

        Args:
            result: the run's result.
            files: the source's files by version.
        """
        self._out.progress("")
        write_amendments(self._out, result)
        match result.command:
            case "status" if result.database_known:
                self._status(result, files)
            case "plan" if result.plan is not None:
                self._plan(result.plan)
            case "up" | "down" | "to" if result.outcome is Outcome.SUCCEEDED:
                self._summary(result)
            case "lint" if result.outcome is Outcome.SUCCEEDED:
                self._out.line(f"LINT {result.message}", "bad" if result.exit_code else "good")
            case "kept" | "kept restore" | "kept purge" if result.outcome is Outcome.SUCCEEDED:
                write_kept(self._out, result)
            case _ if result.outcome is Outcome.SUCCEEDED and result.integrity is None:
                self._out.line(result.message, "good")
        if result.integrity is not None:
            self._integrity(result.integrity)
        self._end(result)

    def _started(self, data: Mapping[str, Any]) -> None:
        self._number = 0
        self._file = f"[{data['number']}/{data['of']}] {data['file']}"
        if self._live:
            self._out.progress(self._file)
        else:
            self._out.line(f"{self._file} …")

    def _completed(self, data: Mapping[str, Any]) -> None:
        record = cast("MigrationRecord", data["migration"])
        self._out.progress("")
        verb = "rolled back" if record.type is Direction.ROLLBACK else "applied"
        took = format_duration((record.execution_time_ms or 0) / 1000)
        self._out.line(f"[{data['number']}/{data['of']}] {record.file} {verb} in {took}", "good")

    def _kept(self, kept: KeptData) -> None:
        if kept.set_id is None:
            self._err.line(f"warning: lost, not kept: {describe_kept(kept)}", "warn")
        else:
            self._out.line(f"      kept as set {kept.set_id}: {describe_kept(kept)}", "dim")

    def _statement(self, data: Mapping[str, Any]) -> None:
        count = f"statement {data['number']}/{data['of']}"
        seconds = float(data.get("seconds", 0))
        far = _how_far(data)
        if self._live and not self._verbose:
            self._out.progress(f"{self._file}, line {data['line']}, {count}{far}")
            return
        place = f"      {data['file']}:{data['line']} {count}"
        if data["number"] != self._number:
            self._number, self._quiet_until = data["number"], _FIRST_LINE
            if self._verbose:
                lines = str(data.get("statement", "")).strip().splitlines() or [""]
                self._out.line(f"{place}: {lines[0]}", "dim")
        if seconds >= self._quiet_until:
            # Ever more seldom: a log is read afterwards.
            self._quiet_until = 2 * seconds
            self._out.line(f"{place}{far}, for {format_duration(seconds)}", "dim")

    def _waiting(self, data: Mapping[str, Any]) -> None:
        message = str(data.get("message", ""))
        if data.get("reason") == "Version":  # what `wait` is there for
            show = self._out.progress if self._live else self._out.line
            show(message)
            return
        self._err.line(f"waiting: {message}", "warn")
        for holder in cast("Sequence[LockHolder]", data.get("holders", ())):
            if holder.query:
                which = "its query" if holder.state == "active" else "its last query"
                self._err.line(f"         process {holder.pid}, {which}: {holder.query}", "dim")

    def _notice(self, severity: str, message: str) -> None:
        style = "dim" if severity in {"NOTICE", "INFO", "LOG", "DEBUG"} else "warn"
        # Continued lines are set in, so that no message looks like a line of ours.
        indented = message.replace("\r\n", "\n").replace("\n", "\n        ")
        self._out.line(f"      {severity.lower()}: {cut(indented)}", style)

    def _check(self, check: IntegrityResult) -> None:
        if check.status != "PASS":
            self._out.line(f"check {check.check}: {check.status}", "bad")

    def _status(self, result: RunResult, files: Mapping[str, str]) -> None:
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
            self._out.line(f"({older} older migrations are not shown)", "dim")
        if rows:
            headers = ("VERSION", "FILE", "STATE", "AT (UTC)", "TIME", "BY")
            self._out.table(headers, rows)
        current = result.current_version or "none, nothing is applied"
        self._out.line(f"CURRENT {current}, {result.pending} pending", "strong")
        if result.unfinished:
            self._out.line(_unfinished(result.unfinished), "bad")
        if failed:
            self._out.line(_last_failure(failed), "bad")
        if result.pending and not failed:
            self._out.line("`dbmigrate plan` shows what would run, `dbmigrate up` runs it", "dim")

    def _plan(self, plan: PlanReport) -> None:
        files = (*plan.steps, *plan.repeatables)
        if not files:
            self._out.line(f"Nothing to do: current version {plan.from_version or 'none'}", "good")
        else:
            word = "apply" if plan.direction is Direction.FORWARD else "roll back"
            self._out.table(
                ("", "VERSION", "FILE", "SHA-256"),
                [(_do(word, step), step.version, step.file, step.checksum) for step in files],
            )
            self._out.line(f"{_span(plan)}, {_count(len(files), 'file')}", "strong")
        self._out.line(f"PLAN {plan.hash}")

    def _summary(self, result: RunResult) -> None:
        current = f"current version {result.current_version or 'none'}"
        took = format_duration(result.duration_ms / 1000)
        if not result.applied:
            self._out.line(f"Nothing to do: {current}", "good")
            return
        back = result.applied[-1].type is Direction.ROLLBACK
        verb = "rolled back" if back else "applied"
        again = sum(each.type is Direction.REPEATABLE for each in result.applied)
        count = _count(len(result.applied) - again, "migration")
        if again:
            both = f"{count} and " if len(result.applied) > again else ""
            count = f"{both}{_count(again, 'repeatable file')}"
        self._out.line(f"{count} {verb} in {took}: {current}", "good")

    def _integrity(self, report: IntegrityReport) -> None:
        if not report.results:
            self._out.line("INTEGRITY No checks", "warn")
            return
        self._out.table(
            ("CHECK", "RESULT", "SEVERITY", "RECORDS", "DETAILS"),
            [
                (each.check, each.status, each.severity, str(each.affected_records), each.details)
                for each in report.results
            ],
        )
        style = "good" if report.healthy else "bad"
        self._out.line(f"INTEGRITY {report.summary}", style)

    def _end(self, result: RunResult) -> None:
        if result.outcome is Outcome.SUCCEEDED:
            return
        if result.failure is not None:
            write_failure(self._err, result.failure)
        else:
            self._err.line(f"{result.outcome.value.lower()}: {result.message}", "warn")
        if result.command in {"up", "down", "to"} and result.database_known:
            done = len(result.applied)
            before = f"{_count(done, 'file')} done before that; " if done else ""
            current = result.current_version or "none"
            self._err.line(f"{before}current version {current}, {result.pending} pending")


def _history_row(record: MigrationRecord, files: Mapping[str, str]) -> tuple[str, ...]:
    ms = record.execution_time_ms
    state = state_of(record)
    return (
        record.version,
        record.file,
        state if record.version in files else f"{state}, not in the source",
        _time(record.applied_at),
        "" if ms is None else format_duration(ms / 1000),
        record.applied_by,
    )


def _failed_row(failed: FailedAttempt) -> tuple[str, ...]:
    return (failed.version, failed.file, "failed", _time(failed.failed_at), "", failed.applied_by)


def _unfinished(file: UnfinishedFile) -> str:
    """What is applied in part, and what to do about it."""
    done = _count(file.statements_done, "statement")
    if file.statement_in_doubt:
        doubt = f"; statement {file.statement_in_doubt} is in doubt: {file.statement}"
        what = "looks whether it has taken effect"
    else:
        doubt, what = "", "goes on with it"
    again = "down" if file.direction is Direction.ROLLBACK else "up"
    return f"UNFINISHED {file.file}: {done} done{doubt}; `dbmigrate {again}` {what}"


def _last_failure(failed: FailedAttempt) -> str:
    """The sentence that people ask for first: what failed, when, and why."""
    line = f" (line {failed.line})" if failed.line else ""
    codes = ", ".join(filter(None, (failed.code, failed.sqlstate)))
    when = f"{_time(failed.failed_at)} UTC"
    return f"LAST ATTEMPT failed at {when}: {cut(failed.message, 500)}{line} [{codes}]"


def _how_far(data: Mapping[str, Any]) -> str:
    """The server's word on a statement that takes long; empty when it has none."""
    phase, percent = data.get("phase"), data.get("percent")
    if phase is None:
        return ""
    return f": {phase}" if percent is None else f": {phase}, {percent} %"


def _time(text: str) -> str:
    """An RFC 3339 time for a table."""
    return text[:19].replace("T", " ")


def _do(word: str, step: PlanStep) -> str:
    return f"{word}, out of order" if step.out_of_order else word


def _span(plan: PlanReport) -> str:
    return f"{plan.from_version or 'empty'} → {plan.to_version or 'empty'}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
