"""A run as machines of a CI read it: SARIF, or GitHub's annotations. The result decides all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dbmigrate import __version__
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.result import RunResult

if TYPE_CHECKING:
    from dbmigrate.cli.output.streams import SafeStream


class CiOutput:
    """Output that tells the result alone; with SARIF, warnings go to stderr.

    Args:
        out: for the result.
        err: for what has no place in a SARIF file.
        form: ``sarif`` or ``github``.
        process: the process's environment variables: GITHUB_WORKSPACE is the repository.
    """

    def __init__(
        self, out: SafeStream, err: SafeStream, form: str, process: Mapping[str, str]
    ) -> None:
        self._out = out
        self._err = err
        self._form = form
        self._root = Path(process.get("GITHUB_WORKSPACE") or Path.cwd())

    def emit(self, event: EventName, **data: object) -> None:
        """Tell warnings; the rest is in the result."""
        if event is not EventName.WARNING:
            return
        message = str(data.get("message", ""))
        if self._form == "github":
            from dbmigrate.lint.github import warning  # noqa: PLC0415 -- one of two

            self._out.line(warning(message))
        else:
            self._err.line(f"warning: {message}")

    def show_statements(self) -> None:
        """Nothing: only the result is told."""

    def connected_to(self, target: str, origin: str) -> None:
        """Nothing: as above."""

    def result(self, result: RunResult, files: Mapping[str, str]) -> None:
        """Write it."""
        del files
        if self._form == "sarif":
            from dbmigrate.lint.sarif import sarif  # noqa: PLC0415 -- one of two

            self._out.line(sarif(result, version=__version__, root=self._root))
            return
        from dbmigrate.lint.github import commands  # noqa: PLC0415 -- one of two

        for line in commands(result, root=self._root):
            self._out.line(line)
