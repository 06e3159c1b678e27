"""A result as GitHub's workflow commands, which become annotations of a pull request. Pure.

Source of the form and its escapes: GitHub's documentation of workflow commands and the
package @actions/core. A name or message with a line break or a comma must not become a
command of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dbmigrate.api.lint import LintLevel
from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.api.report.result import RunResult
from dbmigrate.lint.paths import relative


def commands(result: RunResult, *, root: Path) -> Iterator[str]:
    """The commands, one a line: findings, what was not looked at, then the failure.

    Args:
        result: of a command.
        root: the folder that paths are told from: the repository.
    """
    if result.lint is not None:
        for finding in result.lint.findings:
            yield _command(
                "error" if finding.level is LintLevel.REFUSE else "warning",
                f"{finding.message}\n{finding.help}".strip(),
                file=_file(finding.file, root),
                line=finding.line,
                endLine=finding.end_line,
                # Columns count for GitHub only within one line.
                col=finding.column if finding.line == finding.end_line else 0,
                endColumn=finding.end_column if finding.line == finding.end_line else 0,
                title=finding.rule,
            )
        for gap in result.lint.gaps:
            yield _command(
                "notice",
                gap.reason,
                file=_file(gap.file, root),
                line=gap.line,
                title="not linted",
            )
        if result.lint.error:
            yield warning(f"nothing was linted: {result.lint.error}")
    if result.failure is not None:
        yield _failure(result.failure, root)
    elif result.outcome is not Outcome.SUCCEEDED:
        yield _command("error", result.message)


def warning(message: str) -> str:
    """A warning without a place."""
    return _command("warning", message)


def _failure(failure: Failure, root: Path) -> str:
    said = (failure.message, failure.detail, failure.server_hint, failure.hint)
    text = "\n".join(part for part in said if part)
    if not failure.file:
        return _command("error", text, title=failure.code)
    return _command(
        "error",
        text,
        file=_file(failure.file, root),
        line=failure.line,
        col=failure.column,
        title=failure.code,
    )


def _file(file: str, root: Path) -> str:
    return relative(file, root) or file


def _command(name: str, message: str, **properties: str | int) -> str:
    given = ",".join(f"{key}={_property(str(each))}" for key, each in properties.items() if each)
    return f"::{name}{' ' if given else ''}{given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
