"""What the linter is given of a script, and the way back from its places to the script's.

Two things are kept from it: the data of ``COPY … FROM stdin``, which is no SQL, and
statements that its parser cannot read. Everything else is given as it stands, comments
included, since they hold what is to be ignored.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from dbmigrate.migrations.statements import Statement

_NOT_A_LINE_BREAK = re.compile(r"[^\r\n]")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_END_OF_DATA = "\\."


@dataclass(frozen=True)
class Given:
    """A script as the linter sees it."""

    text: str
    cuts: tuple[tuple[int, int], ...] = ()
    """Where in `text` something was cut out, and how many characters were, in order."""

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_BREAK.finditer(self.text))]

    def offset(self, line: int, column: int) -> int:
        """The offset in the script of one of squawk's places.

        Args:
            line: from 0; a lone carriage return ends a line too.
            column: from 0, in bytes of UTF-8.

        Raises:
            ValueError: there is no such line.
        """
        starts = self._starts
        if not 0 <= line < len(starts):
            raise ValueError(f"there is no line {line + 1}")
        start = starts[line]
        # No character takes more than one column less than its bytes.
        end = min(starts[line + 1] if line + 1 < len(starts) else len(self.text), start + column)
        before = self.text[start:end].encode()[:column].decode(errors="ignore")
        return self.origin(start + len(before))

    def origin(self, offset: int) -> int:
        """The offset in the script of an offset in `text`."""
        return offset + sum(length for at, length in self.cuts if at <= offset)


def give(script: str, statements: Iterable[Statement]) -> Given:
    """The script without the data of its COPY statements."""
    pieces: list[str] = []
    cuts: list[tuple[int, int]] = []
    done = length = 0
    for statement in statements:
        if statement.copy_data is None:
            continue
        begin = script.index("\n", statement.start + len(statement.text)) + 1
        data = b"".join(statement.copy_data).decode()
        end = begin + len(data) + len(_END_OF_DATA)
        pieces.append(script[done:begin])
        length += begin - done
        cuts.append((length, end - begin))
        done = end
    return Given("".join([*pieces, script[done:]]), tuple(cuts))


def without(given: Given, statements: Sequence[Statement]) -> Given:
    """The same with these statements blanked; lines and columns stay.

    Args:
        given: what the linter was given before.
        statements: of the script, in order.
    """
    pieces: list[str] = []
    done = 0
    for statement in statements:
        at = _destination(given, statement.start)
        pieces += (given.text[done:at], _NOT_A_LINE_BREAK.sub(" ", statement.text))
        done = at + len(statement.text)
    return Given("".join([*pieces, given.text[done:]]), given.cuts)


def _destination(given: Given, offset: int) -> int:
    """The offset in the given text of one in the script that was not cut out."""
    removed = 0
    for at, length in given.cuts:
        if at + removed > offset:
            break
        removed += length
    return offset - removed


def statement_at(statements: Sequence[Statement], offset: int) -> Statement | None:
    """The statement that an offset of the script belongs to, what follows up to the next included.

    None before the first one.
    """
    index = bisect_right(statements, offset, key=lambda each: each.start)
    return statements[index - 1] if index else None


class Lines:
    """Lines and columns of a script: from 1, in characters; only a line feed ends a line."""

    def __init__(self, script: str) -> None:
        self._length = len(script)
        self._starts = [0, *(match.end() for match in re.finditer("\n", script))]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset; one outside is taken for the nearest end."""
        offset = min(max(offset, 0), self._length)
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1
