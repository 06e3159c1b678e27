"""The part of a script that is looked at: all of it, or as much of a large file as is needed.

A window is moved along its file. What is decided within it must not depend on what it does
not show: whoever comes to its end raises `IncompleteError`, and looks again from the same
place when the window shows twice as much from there on, so that the time is linear.
Places are exact wherever the window stands. Nothing here knows what a statement is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from dbmigrate.errors import Location, SourceError
from dbmigrate.migrations.sql.text import CONTEXT, Decoder, excerpt_at

_END_OF_DATA: Final = b"\n\\."
_CONTINUATION: Final = bytes(range(0x80, 0xC0))
"""Bytes that begin no character (UTF-8)."""


class Readable(Protocol):
    """A file whose bytes can be read from anywhere, and again."""

    @property
    def size(self) -> int:
        """How many bytes."""

    def read_from(self, offset: int) -> Iterator[bytes]:
        """The bytes from there to the end, in blocks."""


class IncompleteError(Exception):
    """What is looked at does not end within the window, and there is more behind it."""


@dataclass(frozen=True, slots=True)
class DataPart:
    """A part of a file that is sent as it is: COPY data which is not held in memory.

    Iterating reads it, and may be done again.
    """

    content: Readable
    start: int
    """Offset in bytes."""
    end: int

    def __iter__(self) -> Iterator[bytes]:
        """Its bytes, in blocks; raises RefusedError (SourceChanged) where the file does."""
        left = self.end - self.start
        if left:
            for block in self.content.read_from(self.start):
                yield block[:left]
                left -= len(block)
                if left <= 0:
                    return


class Window:
    """A script, or a part of it.

    Args:
        filename: the file's name for messages.
        source: the whole script, or the file that it is read from.
    """

    def __init__(self, filename: str, source: str | Readable) -> None:
        self.filename = filename
        self.text = ""
        self.is_last = True
        """There is nothing behind it."""
        self.start = 0
        """Offset in the script, in characters, of the window's first one."""
        self._line = 1  # that of the offset `_counted`, which begins at `_line_start`
        self._line_start = self._counted = 0
        self._file: _File | None = None
        if not isinstance(source, str):
            self._file = _File(source, 0, filename)
            self._show(1)
            return
        self.text = source
        if source.startswith("\ufeff"):  # a byte order mark takes no column
            self._line_start = self._counted = 1

    @property
    def begin(self) -> int:
        """Where the script begins, behind a byte order mark; asked for before all else."""
        return self._counted

    def extend(self, at: int) -> int:
        """Show twice as much behind the offset `at`, and drop what is before; its new offset."""
        self.place(at)
        dropped = max(at - CONTEXT, 0)
        self._drop(dropped)
        self._show(max(len(self.text) - (at - dropped), 1))
        return at - dropped

    def _drop(self, characters: int) -> None:
        if self._file is not None:
            self._file.passed += len(self.text[:characters].encode())
        self.text = self.text[characters:]
        self.start += characters
        self._line_start -= characters
        self._counted -= characters

    def _show(self, characters: int) -> None:
        if self._file is not None:
            self.text += self._file.read(characters)
            self.is_last = self._file.is_read

    def skip_data(self, at: int) -> tuple[DataPart, int] | None:
        """The COPY data that begins at `at`, where a line does, and the offset behind its end.

        The window goes on there. None when the data has no end.
        """
        if self._file is None:
            return None
        content = self._file.content
        begin = self._file.begin + len(self.text[:at].encode())
        found = _find_end(content, begin)
        if found is None:
            return None
        self.place(at)
        self._line += found.lines
        self._line_start, self._counted = -found.column, 0
        self.start += at + found.characters
        self._file = _File(content, found.behind, self.filename)
        self.text = ""
        self._show(1)
        return DataPart(content, begin, found.end), 0

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset that is not before the last one asked for."""
        lines = self.text.count("\n", self._counted, offset)
        if lines:
            self._line += lines
            self._line_start = self.text.rfind("\n", self._counted, offset) + 1
        self._counted = offset
        return self._line, offset - self._line_start + 1

    def refuse(self, offset: int, message: str, *, code: str, hint: str) -> NoReturn:
        """Raise a SourceError for an offset that is not before the last one asked for.

        Raises:
            IncompleteError: too little of its line is shown to judge it, or to show it.
        """
        shown = self.text[offset : offset + CONTEXT]
        if not self.is_last and len(shown) < CONTEXT and "\n" not in shown:
            raise IncompleteError
        line, column = self.place(offset)
        location = Location(self.filename, line, column, excerpt_at(self.text, offset))
        place = str(location) if self.filename else f"line {line}, column {column}"
        raise SourceError(f"{place}: {message}", code=code, hint=hint, location=location)


class _File:
    """Where a window stands in its file."""

    def __init__(self, content: Readable, offset: int, filename: str) -> None:
        self.content = content
        self.passed = 0
        """Bytes of text that the window does not show any more."""
        self.is_read = False
        self._read = offset
        self._blocks = content.read_from(offset)
        self._decoder = Decoder(filename, offset)

    @property
    def begin(self) -> int:
        """Offset in bytes of the window's first character."""
        return self._decoder.begin + self.passed

    def read(self, characters: int) -> str:
        """At least so many characters more, or all that are left."""
        pieces: list[str] = []
        while characters > 0 and not self.is_read:
            block = next(self._blocks, b"")
            self._read += len(block)
            self.is_read = self._read >= self.content.size
            pieces.append(self._decoder.decode(block, is_last=self.is_read))
            characters -= len(pieces[-1])
        return "".join(pieces)


@dataclass(frozen=True, slots=True)
class _End:
    """Where COPY data ends."""

    end: int
    """Offset in bytes of the line that ends it."""
    behind: int
    """Offset in bytes behind what stands in that line."""
    column: int
    """How many characters stand in it."""
    lines: int
    """How many lines are before it."""
    characters: int
    """How many characters, from where the data begins, are before `behind`."""


def _find_end(content: Readable, begin: int) -> _End | None:
    here = begin - 1  # the line break before the data may be that before its end
    data = b""
    lines, characters = -1, -1
    for block in content.read_from(here):
        data += block
        is_last = here + len(data) >= content.size
        at, behind = _end_within(data, is_last=is_last)
        if behind != -1:
            lines += data.count(b"\n", 0, at + 1)
            characters += _characters(data[:behind])
            return _End(here + at + 1, here + behind, behind - at - 1, lines, characters)
        lines += data.count(b"\n", 0, at)
        characters += _characters(data[:at])
        here += at
        data = data[at:]
    return None


def _end_within(data: bytes, *, is_last: bool) -> tuple[int, int]:
    """Offset of the line break before the end and the one behind it.

    Without an end: from where on it may yet come, and -1.
    """
    at = data.find(_END_OF_DATA)
    while at != -1:
        behind = at + len(_END_OF_DATA)
        rest = data[behind : behind + 2]
        if rest[:1] == b"\n" or (is_last and not rest):
            return at, behind
        if rest == b"\r\n" or (is_last and rest == b"\r"):
            return at, behind + 1
        if rest in {b"", b"\r"}:
            return at, -1
        at = data.find(_END_OF_DATA, behind)
    return max(len(data) - len(_END_OF_DATA) + 1, 0), -1


def _characters(data: bytes) -> int:
    return len(data) if data.isascii() else len(data.translate(None, _CONTINUATION))
