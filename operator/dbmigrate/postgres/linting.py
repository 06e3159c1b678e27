"""The linter's part of a run: which files are looked at, and whether the run goes on.

The linter itself is handed in by the run's options; here it is neither known nor loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dbmigrate.api.lint import REFUSED_CODE, LintFinding, LintLevel, LintReport
from dbmigrate.api.report.events import EventName
from dbmigrate.errors import LinterFailedError, Location, RefusedError
from dbmigrate.postgres.server.interruption import Interrupted

if TYPE_CHECKING:
    from dbmigrate.migrations.files import SourceFile
    from dbmigrate.postgres.context import Context

_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Linting:
    """How a run's files are linted."""

    level: LintLevel
    """With ``refuse``, a linter that does not work stops the run as a finding would."""
    look: Callable[[Sequence[SourceFile], int | None], LintReport]
    """Takes the files and the server's version as a number (160002 for 16.2; None: not known).

    It raises LinterFailedError when it does not work."""


def lint(context: Context, files: Sequence[SourceFile]) -> None:
    """Look at the files, tell what is found, and refuse what the rules refuse.

    Raises:
        RefusedError: code LinterFailed or LinterMissing: the rules refuse what is found, and
            nobody can tell what there is. Where they only report, that is a warning.
        LinterFailedError: the same, for `lint` itself.
        Interrupted: a signal came meanwhile.
    """
    linting = context.options.linting
    if linting is None or not files:
        return
    version = context.session.connection.info.server_version if context.session else None
    try:
        # The linter is a program of its own: a signal must not wait for it.
        with context.interruption.raising():
            report = linting.look(files, version)
    except Exception as error:
        if context.interruption.requested:
            # What the signal struck may say so in its own way: the linter's program gets it too.
            raise Interrupted from error
        if not isinstance(error, LinterFailedError) or context.options.command == "lint":
            raise
        if linting.level is LintLevel.REFUSE:
            raise RefusedError(error.message, code=error.error_code, hint=error.hint) from None
        report = LintReport("", linting.level, error=error.message)
        context.progress.warning(f"nothing was linted: {error.message}")
    context.lint = report
    if not report.error:
        context.progress.reporter.emit(EventName.LINT, report=report)


def require_clean(context: Context) -> None:
    """Refuse the run if a finding does.

    Raises:
        RefusedError: code LintRefused.
    """
    report = context.lint
    if report is None or not report.refusing:
        return
    refusing = [each for each in report.findings if each.level is LintLevel.REFUSE]
    first = refusing[0]
    place = Location(first.file, first.line, first.column, first.excerpt)
    raise RefusedError(
        _message(refusing, report.refusing),
        code=REFUSED_CODE,
        hint=f"mend the file; or, where it is meant, write `-- squawk-ignore {first.rule}` and why "
        f"on the line before line {first.line}",
        location=place,
    )


def _message(refusing: Sequence[LintFinding], total: int) -> str:
    lines = [
        f"{each.file}:{each.line}:{each.column}: {each.rule}: {each.message}"
        for each in refusing[:_SHOWN]
    ]
    if total == 1:
        return f"the linter refuses {lines[0]}"
    if total > len(lines):
        lines.append(f"and {total - len(lines)} more")
    return f"the linter refuses {total} places:\n" + "\n".join(f"- {line}" for line in lines)
