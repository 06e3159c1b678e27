"""Lines, tables and progress for people: plain, or with colours where a person looks.

Text from outside (a server's message, a file's name) may hold control characters that
move a terminal's cursor or change its title: they are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from dbmigrate.cli.output.streams import SafeStream

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn what follows around
    "\u2028\u2029]"  # ends of lines and paragraphs to some
)


def clean(text: str) -> str:
    """The text with characters that act replaced; line ends and tabs stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


class Terminal(Protocol):
    """Where text for people goes. Styles: ``good``, ``bad``, ``warn``, ``dim``, ``strong``."""

    def line(self, text: str = "", style: str = "") -> None:
        """Write one line (or several, when the text has line ends)."""

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table; a cell that is a known state is coloured by it."""

    def progress(self, text: str) -> None:
        """Show what is being done until the next call; an empty text ends it."""


def columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """A table's lines, headers first: cells of one line each, as wide as their column."""
    lines = [list(headers), *([clean(cell).replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]


class PlainTerminal:
    """Text without colours and without anything that moves."""

    def __init__(self, stream: SafeStream) -> None:
        self._stream = stream

    def line(self, text: str = "", style: str = "") -> None:
        """Write the text; styles have no meaning here."""
        del style
        self._stream.line(clean(text))

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write columns, two blanks apart."""
        for line in columns(headers, rows):
            self._stream.line("  ".join(line).rstrip())

    def progress(self, text: str) -> None:
        """Nothing: a log has no place that can be written twice."""


def terminal_for(stream: SafeStream, process: Mapping[str, str]) -> Terminal:
    """Colours on a terminal, unless NO_COLOR or TERM=dumb asks for none; else plain text."""
    if not stream.is_terminal or process.get("NO_COLOR") or process.get("TERM") == "dumb":
        return PlainTerminal(stream)
    from dbmigrate.cli.output.rich_terminal import RichTerminal  # noqa: PLC0415 -- only for a person

    return RichTerminal(stream)
