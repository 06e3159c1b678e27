"""A script as text: from bytes, and from an offset to the place that a person looks for.

Offsets count from 0, lines and columns from 1, all in characters (as PostgreSQL counts
an error's position). Nothing here knows SQL.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable

from dbmigrate.errors import Location, SourceError

_WIDTH = 100
"""Columns of a terminal that an excerpt may take."""
CONTEXT = 2 * _WIDTH
"""Characters to both sides of a place that an excerpt may look at."""
_TAB = "    "
_CUT = "…"
_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class Decoder:
    """Decodes a file given in pieces, and refuses what is not UTF-8 with its place.

    Args:
        filename: the file's name for messages.
        offset: where the first piece begins, in bytes; only at 0 it may have a byte order mark.
    """

    def __init__(self, filename: str, offset: int = 0) -> None:
        self.filename = filename
        self.rest = b""
        """The beginning of a character whose end has not come yet."""
        self.offset = offset
        """Where `rest` begins."""
        self.begin = offset
        """Where the text begins: behind a byte order mark, when it had one."""
        self.line = 1
        self.column = 1

    def decode(self, data: bytes, *, is_last: bool = False) -> str:
        """The text of the next piece, the first one without its byte order mark.

        Raises:
            SourceError: code ``NotUtf8``: it is not UTF-8, or has a NUL, which no text in
                PostgreSQL can hold. Its location is that of the first bad byte.
        """
        if self.rest:
            data = self.rest + data
        if self.offset == 0:
            if len(data) < len(codecs.BOM_UTF32_LE) and not is_last:
                self.rest = data
                return ""
            self._refuse_marks(data)
        try:
            text, taken = codecs.utf_8_decode(data, "strict", is_last)
        except UnicodeDecodeError as error:
            raise self._bad_byte(data, error.start) from None
        if "\0" in text:
            raise self._bad_byte(data, data.index(0))
        if self.offset == 0 and text.startswith("\ufeff"):
            text = text[1:]
            self.begin = len(codecs.BOM_UTF8)
        self.rest = data[taken:]
        self.offset += taken
        self.line, self.column = self._behind(text)
        return text

    def _refuse_marks(self, data: bytes) -> None:
        for mark, encoding in _OTHER_ENCODINGS:
            if data.startswith(mark):
                raise SourceError(
                    f"{self.filename}: it is {encoding}, not UTF-8 "
                    f"(bytes {mark.hex(' ')} at offset 0)",
                    code="NotUtf8",
                    hint="save it as UTF-8",
                    location=Location(self.filename, 1, 1),
                )

    def _behind(self, text: str) -> tuple[int, int]:
        """Line and column behind that text, which stands at the present ones."""
        lines = text.count("\n")
        before = 0 if lines else self.column - 1
        return self.line + lines, before + len(text) - text.rfind("\n")

    def _bad_byte(self, data: bytes, at: int) -> SourceError:
        nul = data.find(0)
        before = data[:at] if nul == -1 else data[: min(at, nul)]
        at = len(before)
        offset = self.offset + at
        if self.offset == 0:
            before = before.removeprefix(codecs.BOM_UTF8)
        line, column = self._behind(before.decode())
        what = "a NUL byte" if at == nul else f"byte 0x{data[at]:02x} is not UTF-8"
        return SourceError(
            f"{self.filename}: {what}, at offset {offset} (line {line}, column {column})",
            code="NotUtf8",
            hint="it may be UTF-16 or binary: save it as UTF-8 text"
            if at == nul
            else "save it as UTF-8",
            location=Location(self.filename, line, column),
        )


def decode(data: bytes, filename: str) -> str:
    """The text of a whole file; see `Decoder.decode`."""
    return Decoder(filename).decode(data, is_last=True)


def position(script: str, offset: int) -> tuple[int, int]:
    """Line and column of the character at `offset`; one outside is taken for the nearest end."""
    offset = min(max(offset, 0), len(script))
    return script.count("\n", 0, offset) + 1, offset - script.rfind("\n", 0, offset)


def excerpt(script: str, line: int, column: int) -> str:
    """That line, and below it a caret under that column: two lines, at most 100 columns wide.

    Tabs become spaces, wide characters take two columns, and what would move the cursor
    or colour a terminal is replaced. A long line is cut around the column. Empty when
    there is no such line.
    """
    return excerpt_of((script,), line, column)


def excerpt_of(pieces: Iterable[str], line: int, column: int) -> str:
    """As `excerpt`, of a script that is given in pieces; no more of them is taken than needed."""
    at = max(column, 1) - 1
    number, before, text = 1, 0, ""  # `before` characters of the line are left out of `text`
    is_found = line <= 1
    for piece in pieces:
        start = 0
        if not is_found:
            lines = piece.count("\n")
            if number + lines < line:
                number += lines
                continue
            while number < line:
                start = piece.index("\n", start) + 1
                number += 1
            is_found = True
        end = piece.find("\n", start)
        text += piece[start:] if end == -1 else piece[start:end]
        if end != -1 or before + len(text) > at + 2 * CONTEXT:
            break
        cut = min(len(text), at - before) - CONTEXT  # what comes may yet show that `at` is too far
        if cut > 0:
            before, text = before + cut, text[cut:]
    return excerpt_at(text, at - before) if is_found else ""


def excerpt_at(text: str, offset: int) -> str:
    """As `excerpt`, around an offset of a part of a script.

    It must reach `CONTEXT` characters to both sides, or to the line's ends.
    """
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", start)
    end = len(text) if end == -1 else end
    if end > start and text[end - 1] == "\r":
        end -= 1
    caret = min(offset, end)
    left = _cells(text[max(start, caret - _WIDTH) : caret])
    right = _cells(text[caret : min(end, caret + _WIDTH)])
    before = _fit(left[::-1], _WIDTH * 2 // 3, more=caret - start > _WIDTH)[::-1]
    width = sum(_width(cell) for cell in before)
    after = _fit(right, _WIDTH - width, more=end - caret > _WIDTH)
    return f"{''.join(before)}{''.join(after)}\n{' ' * width}^"


def _cells(text: str) -> list[str]:
    """What is shown for each character."""
    return [_TAB if each == "\t" else each if each.isprintable() else "\ufffd" for each in text]


def _fit(cells: list[str], width: int, *, more: bool) -> list[str]:
    """As many cells from the front as fit, and a mark where some are missing."""
    if not more and sum(map(_width, cells)) <= width:
        return cells
    kept: list[str] = []
    room = width - len(_CUT)
    for cell in cells:
        room -= _width(cell)
        if room < 0:
            break
        kept.append(cell)
    return [*kept, _CUT]


def _width(cell: str) -> int:
    """Columns that a cell takes on a terminal (Unicode Standard Annex 11)."""
    if cell == _TAB:
        return len(_TAB)
    if unicodedata.category(cell) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(cell) in ("W", "F") else 1
