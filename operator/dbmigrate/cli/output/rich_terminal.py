"""Colours, tables and a spinner with its clock, by rich; loaded on a terminal only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from dbmigrate.cli.output.terminal import clean, columns

if TYPE_CHECKING:
    from typing import TextIO

    from dbmigrate.cli.output.streams import SafeStream

STYLES = {"good": "green", "bad": "bold red", "warn": "yellow", "dim": "dim", "strong": "bold"}
_CELLS = {
    "applied": "green",
    "applied, not in the source": "bold red",
    "pending": "yellow",
    "failed": "bold red",
    "PASS": "green",
    "FAIL": "bold red",
    "ERROR": "bold red",
}


_GAP = 3
"""Blanks that a table's column costs."""
_FOLDED = 20
"""The narrowest that a column may be folded to."""
_BESIDE = 10
"""Columns that the spinner and its clock take, with their blanks."""


class RichTerminal:
    """A person's terminal."""

    def __init__(self, stream: SafeStream) -> None:
        self._console = Console(
            file=cast("TextIO", stream), highlight=False, markup=False, emoji=False
        )
        self._progress: Progress | None = None

    def line(self, text: str = "", style: str = "") -> None:
        """Write the text in its style, above the spinner if there is one."""
        self._console.print(Text(clean(text), style=STYLES.get(style, "")), soft_wrap=True)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table without lines between its rows.

        Its last column is folded where there is room for it. Where there is not, the
        terminal breaks the lines: nobody reads columns of three characters.
        """
        lines = list(columns(headers, rows))
        if sum(len(cell) + _GAP for cell in lines[0][:-1]) + _FOLDED > self._console.width:
            for line in lines:
                self._write_line(line)
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for number, header in enumerate(headers, 1):
            table.add_column(header, overflow="fold", no_wrap=number < len(headers))
        for row in rows:
            table.add_row(*(_cell(cell) for cell in row))
        self._console.print(table)

    def _write_line(self, cells: Sequence[str]) -> None:
        line = Text("  ").join(_cell(cell) for cell in cells)
        line.rstrip()
        self._console.print(line, soft_wrap=True)

    def progress(self, text: str) -> None:
        """A spinner, the text, and how long it has been going on, whatever the text.

        A text that is too long for the line loses its middle: the end says how far it is.
        """
        text = _fitting(clean(text), self._console.width - _BESIDE)
        if text and self._progress is not None:
            self._progress.update(self._progress.task_ids[0], description=text)
            return
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        if text:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._progress.add_task(text, total=None)
            self._progress.start()


def _fitting(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    kept = max(width - 1, 2)
    return f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}"


def _cell(text: str) -> Text:
    return Text(clean(text), style=_CELLS.get(text.strip(), ""))
