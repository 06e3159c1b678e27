"""A failure as a person reads it: what, where, what the server said, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbmigrate.cli.output.wording import cut
from dbmigrate.errors import Location

if TYPE_CHECKING:
    from dbmigrate.api.report.outcome import Failure
    from dbmigrate.cli.output.terminal import Terminal


def write_failure(terminal: Terminal, failure: Failure) -> None:
    """Write all that is known of a failure, the sentence first."""
    terminal.line(f"error: {cut(failure.message)} [{failure.code}]", "bad")
    place = Location(failure.file, failure.line, failure.column)
    if failure.file and (failure.statement or not failure.message.startswith(str(place))):
        statement = f", statement {failure.statement}" if failure.statement else ""
        terminal.line(f"  at {place}{statement}")
    for line in failure.excerpt.splitlines():
        terminal.line(f"    {line}")
    if failure.sqlstate:
        terminal.line(f"  SQLSTATE {failure.sqlstate}")
    said = ("server", failure.server_message), ("detail", failure.detail)
    for name, text in (*said, ("server's hint", failure.server_hint)):
        if text and text not in failure.message:
            terminal.line(f"  {name}: {cut(text)}")
    if failure.hint:
        terminal.line(f"  what to do: {failure.hint}", "strong")
