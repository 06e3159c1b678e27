"""A run as people read it: progress on stdout, warnings and errors on stderr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from dbmigrate.api.report.events import EventName, LockHolder
from dbmigrate.api.report.history import MigrationRecord
from dbmigrate.api.report.integrity import IntegrityResult
from dbmigrate.api.report.kept import KeptData
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.report.plan import Direction
from dbmigrate.api.report.proof import ProvedMigration
from dbmigrate.api.report.result import RunResult
from dbmigrate.cli.output.amendment_text import write_amendments
from dbmigrate.cli.output.failure_text import write_failure
from dbmigrate.cli.output.integrity_text import write_integrity
from dbmigrate.cli.output.kept_text import describe_kept, write_kept
from dbmigrate.cli.output.lint_text import write_report
from dbmigrate.cli.output.plan_text import write_plan, write_summary
from dbmigrate.cli.output.proof_text import write_proved
from dbmigrate.cli.output.status_text import write_status
from dbmigrate.cli.output.terminal import Terminal
from dbmigrate.cli.output.wording import counted, cut
from dbmigrate.durations import format_duration

if TYPE_CHECKING:
    from dbmigrate.api.lint import LintReport

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
                write_status(self._out, result, files)
            case "plan" if result.plan is not None:
                write_plan(self._out, result.plan)
            case "up" | "down" | "to" if result.outcome is Outcome.SUCCEEDED:
                write_summary(self._out, result)
            case "lint" if result.outcome is Outcome.SUCCEEDED:
                self._out.line(f"LINT {result.message}", "bad" if result.exit_code else "good")
            case "kept" | "kept restore" | "kept purge" if result.outcome is Outcome.SUCCEEDED:
                write_kept(self._out, result)
            case _ if result.outcome is Outcome.SUCCEEDED and result.integrity is None:
                self._out.line(result.message, "good")
        if result.integrity is not None:
            write_integrity(self._out, result.integrity)
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

    def _end(self, result: RunResult) -> None:
        if result.outcome is Outcome.SUCCEEDED:
            return
        if result.failure is not None:
            write_failure(self._err, result.failure)
        else:
            self._err.line(f"{result.outcome.value.lower()}: {result.message}", "warn")
        if result.command in {"up", "down", "to"} and result.database_known:
            done = len(result.applied)
            before = f"{counted(done, 'file')} done before that; " if done else ""
            current = result.current_version or "none"
            left = f"{result.pending} pending"
            if result.plan is not None and result.plan.direction is Direction.ROLLBACK:
                left = f"{len(result.plan.steps) - done} still to roll back"
            self._err.line(f"{before}current version {current}, {left}")


def _how_far(data: Mapping[str, Any]) -> str:
    """The server's word on a statement that takes long; empty when it has none."""
    phase, percent = data.get("phase"), data.get("percent")
    if phase is None:
        return ""
    return f": {phase}" if percent is None else f": {phase}, {percent} %"
