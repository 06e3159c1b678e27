"""A script as text: from bytes, and from an offset to the place that a person looks for.

Offsets count from 0, lines and columns from 1, all in characters (as PostgreSQL counts
an error's position). Nothing here knows SQL.
"""

from __future__ import annotations

import codecs
import unicodedata

from dbmigrate.errors import Location, SourceError

_WIDTH = 100
"""Columns of a terminal that an excerpt may take."""
_TAB = "    "
_CUT = "…"
_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def decode(data: bytes, filename: str) -> str:
    """The text of a file, without its byte order mark.

    Args:
        data: the file's bytes.
        filename: the file's name for messages.

    Raises:
        SourceError: code ``NotUtf8``: it is not UTF-8, or has a NUL, which no text in
            PostgreSQL can hold. Its location is that of the first bad byte.
    """
    for mark, encoding in _OTHER_ENCODINGS:
        if data.startswith(mark):
            raise SourceError(
                f"{filename}: it is {encoding}, not UTF-8 (bytes {mark.hex(' ')} at offset 0)",
                code="NotUtf8",
                hint="save it as UTF-8",
                location=Location(filename, 1, 1),
            )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _bad_byte(data, error.start, filename) from None
    if "\0" in text:
        raise _bad_byte(data, data.index(0), filename)
    return text.removeprefix("\ufeff")


def _bad_byte(data: bytes, offset: int, filename: str) -> SourceError:
    nul = data.find(0)
    before = data[:offset] if nul == -1 else data[: min(offset, nul)]
    offset = len(before)
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].removeprefix(codecs.BOM_UTF8).decode()) + 1
    what = "a NUL byte" if offset == nul else f"byte 0x{data[offset]:02x} is not UTF-8"
    return SourceError(
        f"{filename}: {what}, at offset {offset} (line {line}, column {column})",
        code="NotUtf8",
        hint="it may be UTF-16 or binary: save it as UTF-8 text"
        if offset == nul
        else "save it as UTF-8",
        location=Location(filename, line, column),
    )


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
    start = 0
    for _ in range(line - 1):
        start = script.find("\n", start) + 1
        if start == 0:
            return ""
    end = script.find("\n", start)
    end = len(script) if end == -1 else end
    if end > start and script[end - 1] == "\r":
        end -= 1
    caret = min(start + max(column, 1) - 1, end)
    left = _cells(script[max(start, caret - _WIDTH) : caret])
    right = _cells(script[caret : min(end, caret + _WIDTH)])
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
