"""One invocation: its output, its signals, its way to end.

Whatever happens between the first argument and the exit code ends in `App.finish` with
a `RunResult`: told to people or machines, and written to the termination message file.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dbmigrate import __version__
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.api.report.result import RunResult
from dbmigrate.api.report.termination import termination_message
from dbmigrate.cli.output.streams import standard_error, standard_output
from dbmigrate.cli.results import now, result_of
from dbmigrate.errors import DbmigrateError, InterruptedRunError
from dbmigrate.postgres.server.interruption import Interruption

if TYPE_CHECKING:
    from dbmigrate.cli.options.merged import Common


class Output(Protocol):
    """Where a run's news goes; as a `Reporter` it is handed to the engine."""

    def emit(self, event: EventName, **data: object) -> None:
        """Tell one event."""

    def show_statements(self) -> None:
        """Show each statement that is told."""

    def connected_to(self, target: str, origin: str) -> None:
        """Tell which database it is, and who said so."""

    def result(self, result: RunResult, files: Mapping[str, str]) -> None:
        """Tell the result: the last call."""


class App:
    """What all commands of one invocation share.

    Args:
        arguments: the command line. It is looked through for the output's form before
            it is understood, so that a misspelt option is told in that form too.
        process: the process's environment variables.
    """

    def __init__(self, arguments: Sequence[str], process: Mapping[str, str]) -> None:
        self.process = process
        self.interruption = Interruption()
        self.command = ""
        self.environment: str | None = None
        self.source_digest = ""
        self._verbose = False
        self._form = _early(arguments, "--output") or process.get("DBMIGRATE_OUTPUT", "")
        file = _early(arguments, "--termination-message") or process.get(
            "DBMIGRATE_TERMINATION_MESSAGE", ""
        )
        self._termination_file = Path(file) if file else None
        self._output: Output | None = None

    def use(self, command: str, common: Common) -> None:
        """From here on the options are known: the run begins."""
        self.command = command
        self.environment = common.environment
        self._form = common.output
        self._verbose = common.verbose
        self._termination_file = common.termination_message
        self.output.emit(EventName.STARTED, command=command, runner=__version__)

    @property
    def output(self) -> Output:
        """The output, made when first needed."""
        if self._output is None:
            self._output = self._make_output()
        return self._output

    def warn(self, message: str) -> None:
        """Tell a warning of ours."""
        self.output.emit(EventName.WARNING, message=message)

    def finish(self, result: RunResult, files: Mapping[str, str] | None = None) -> int:
        """Tell the result, last of all; its exit code."""
        if self._termination_file is not None:
            try:
                _write(self._termination_file, termination_message(result))
            except OSError as error:
                self.warn(
                    f"{self._termination_file}: the termination message cannot be written: "
                    f"{error.strerror}"
                )
        self.output.result(result, files or {})
        return result.exit_code

    def fail(self, error: DbmigrateError) -> int:
        """End with an error of the command line's own."""
        return self.finish(
            result_of(
                error,
                command=self.command,
                environment=self.environment,
                source_digest=self.source_digest,
            )
        )

    def interrupted(self) -> int:
        """End because of a signal that came while nothing was touched."""
        number = self.interruption.signal_number or 2
        return self.fail(
            InterruptedRunError("a signal ended the run; nothing was touched", signal_number=number)
        )

    def crash(self, error: Exception) -> int:
        """End with what should not have happened: our fault, told in one line.

        The exception's text is not shown: it may hold anything, a password too.
        """
        if self.process.get("DBMIGRATE_DEBUG"):
            standard_error().line("".join(traceback.format_exception(error)).rstrip())
        name = type(error).__name__
        message = f"an unexpected {name} in dbmigrate itself"
        failure = Failure(
            code="InternalError",
            message=message,
            hint="`dbmigrate status` tells the database's state; with DBMIGRATE_DEBUG=1 the "
            "details are shown: please report them",
        )
        return self.finish(
            RunResult(
                command=self.command,
                outcome=Outcome.FAILED,
                exit_code=1,
                finished_at=now(),
                message=message,
                environment=self.environment,
                source_digest=self.source_digest,
                failure=failure,
            )
        )

    def _make_output(self) -> Output:
        if self._form == "json":
            from dbmigrate.cli.output.gathering import GatheredLines  # noqa: PLC0415 -- only with it
            from dbmigrate.cli.output.json_lines import JsonOutput  # noqa: PLC0415 -- one of two

            return JsonOutput(GatheredLines(standard_output(encoding="utf-8")))
        if self._form in ("sarif", "github"):
            from dbmigrate.cli.output.ci import CiOutput  # noqa: PLC0415 -- one of the forms

            return CiOutput(
                standard_output(encoding="utf-8"), standard_error(), self._form, self.process
            )
        from dbmigrate.cli.output.terminal import terminal_for  # noqa: PLC0415 -- only with it
        from dbmigrate.cli.output.text import TextOutput  # noqa: PLC0415 -- one of two

        stdout = standard_output()
        out = terminal_for(stdout, self.process)
        err = terminal_for(standard_error(), self.process)
        return TextOutput(out, err, verbose=self._verbose, live=stdout.is_terminal)


def _early(arguments: Sequence[str], option: str) -> str | None:
    """An option's value by its look alone; the last one rules, as it does for click."""
    found = None
    for index, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == option and index + 1 < len(arguments):
            found = arguments[index + 1]
        elif argument.startswith(f"{option}="):
            found = argument.partition("=")[2]
    return found


def _write(path: Path, data: bytes) -> None:
    """Write in one piece into the file that is there: kubelet's is a mount, not to be replaced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o644)
    with contextlib.closing(open(descriptor, "wb", buffering=0)) as file:  # noqa: PTH123
        file.write(data)
