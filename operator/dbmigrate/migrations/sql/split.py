"""From a script to its statements, split as psql splits it.

The data of ``COPY … FROM stdin`` begins on the next line and ends before a line that holds
a backslash and a full stop alone. Where psql would do what a migration cannot want, the
script is refused: backslash commands, data without its end (a file cut off), whatever is
never closed, and strings that are switched to another reading.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple, NoReturn

from dbmigrate.migrations.sql import tokens as lex
from dbmigrate.migrations.sql.scan import Scanner
from dbmigrate.migrations.sql.text import position
from dbmigrate.migrations.sql.window import IncompleteError, Readable, Window

_BETWEEN: Final = re.compile(rf"(?:[{lex.SPACE};]++|--[^\n\r]*+)*+")
RESTRICT: Final = re.compile(r"\\(?:un)?restrict[ \t]+[A-Za-z0-9]+[ \t\r]*(?=\n|\Z)")
_REST_OF_LINE: Final = re.compile(r"[ \t\r\f\v;]*+(?:--[^\n]*+)?(?:\n|\Z)")
_END_OF_DATA: Final = re.compile(r"\n\\\.\r?(?:(?=\n)|\Z)")
_LEAD: Final = re.compile(
    rf"""(?:copy|create(?![{lex.SPACE}]++(?!or|function|procedure|schema)[a-z]))
         (?!{lex.IDENT_PART})""",
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)
"""How statements begin whose first words must be known; a quick no for all others."""
_STRINGS: Final = "standard_conforming_strings"
_ROUTINES: Final = frozenset({"function", "procedure", "schema"})
_LARGE_OBJECT: Final = re.compile(r"SELECT pg_catalog\.lo(?:_open|write|_close)\([^()]*\)\Z")
_OPENS_LARGE_OBJECT: Final = re.compile(
    rf"[{lex.SPACE}]*+SELECT pg_catalog\.lo_open\('[0-9]+', [0-9]+\);"
)
_OPENS_WITHIN: Final = 100
"""Characters in which pg_dump gets from BEGIN to the end of that call."""
_DIRECTIONS: Final = {"from": "in", "to": "out"}
_OFF: Final = frozenset({"off", "of", "false", "no", "0"})
_ON: Final = frozenset({"on", "true", "yes", "1", "t", "y"})


class Statement(NamedTuple):
    """One statement of a script, exactly as it is written there."""

    text: str
    """From its first token to its last one before the semicolon; comments within are kept."""
    number: int
    """Counted from 1 within its script."""
    start: int
    """Offset of `text` in the script, in characters."""
    line: int
    """The first token's line, from 1."""
    column: int
    """The first token's column, from 1, in characters."""
    copy_data: Iterable[bytes] | None = None
    """What ``COPY … FROM stdin`` is to be sent, in parts; None for every other statement.

    Much of it is read when it is iterated, and raises RefusedError (SourceChanged) where the
    file does."""
    is_bracket: bool = False
    """BEGIN or COMMIT as pg_dump puts them around the data of large objects: where the whole file
    is one transaction, they say nothing."""

    def locate(self, character: int) -> tuple[int, int]:
        """Line and column in the script of a character of `text`.

        Args:
            character: counted from 1, as the server's error field ``P`` (statement position).
        """
        line, column = position(self.text, character - 1)
        return self.line + line - 1, column + (self.column - 1 if line == 1 else 0)


def split(script: str, filename: str = "") -> Iterator[Statement]:
    """The statements of a script in order, each as soon as it is found; empty ones are left out.

    Args:
        script: its text, as `decode` returns it.
        filename: the file's name for messages.

    Raises:
        SourceError: something is never closed (code ``Unterminated``), a backslash command
            (``BackslashCommand``), COPY data that cannot be told (``CopyData``), or
            standard_conforming_strings switched off (``NonstandardStrings``).
    """
    return _Splitter(Window(filename, script)).statements()


class Statements:
    """The statements of one file: read anew each time that they are iterated.

    Args:
        content: the file.
        filename: its name for messages.
    """

    def __init__(self, content: Readable, filename: str) -> None:
        self.content = content
        self.filename = filename
        self._count: int | None = None

    def __iter__(self) -> Iterator[Statement]:
        """See `split`; also raises RefusedError (SourceChanged) where the file does."""
        number = 0
        for statement in _Splitter(Window(self.filename, self.content)).statements():
            number = statement.number
            yield statement
        self._count = number

    def __len__(self) -> int:
        """How many: known when they have been iterated to their end, else this does it."""
        if self._count is None:
            deque(self, maxlen=0)
        return self._count or 0


class _Splitter:
    def __init__(self, window: Window) -> None:
        self.window = window
        self.scanner = Scanner(window)
        self.is_in_bracket = False

    def statements(self) -> Iterator[Statement]:
        window = self.window
        number = 0
        here = window.begin
        while True:
            try:
                start = self.between(here)
                if start == len(window.text):
                    break
                words = self.leading_words(start)
                is_routine = bool(words) and _is_routine(words)
                end, after = self.scanner.end_of_statement(start, is_routine=is_routine)
                text = window.text[start:end].rstrip(lex.SPACE)
                is_copy = words[:1] == ["copy"] and copy_direction(text) == "in"
                if is_copy:
                    after = self.rest_of_line(after)
                elif text[0] in "sS" and _switches_strings_off(text):
                    self.refuse_strings(start)
                may_be_bracket = self.is_in_bracket or text == "BEGIN"
                is_bracket = may_be_bracket and self.bracket(text, after)
            except IncompleteError:
                here = window.extend(here)
                continue
            number += 1
            line, column = window.place(start)
            data = None
            offset = window.start + start
            if is_copy:
                data, after = self.copy_data(start, after)
            yield Statement(text, number, offset, line, column, data, is_bracket)
            here = after

    def between(self, start: int) -> int:
        """Skip what stands between statements; pg_dump's restrict lines count as nothing."""
        script = self.window.text
        while True:
            start = lex.end_of(_BETWEEN.match(script, start), start)
            if start < len(script) and script[start] not in "/\\":
                return start
            if script.startswith("/*", start):
                start = self.scanner.comment(start)
            elif restrict := RESTRICT.match(script, start):
                start = restrict.end()
            elif start == len(script) and not self.window.is_last:
                raise IncompleteError
            else:
                return start

    def leading_words(self, start: int) -> list[str]:
        """The first tokens, of those statements alone that are looked at more closely."""
        script = self.window.text
        return list(islice(lex.tokens(script, start), 4)) if _LEAD.match(script, start) else []

    def bracket(self, text: str, after: int) -> bool:
        """Whether a statement, which ends before `after`, is `Statement.is_bracket`."""
        if self.is_in_bracket:
            self.is_in_bracket = _LARGE_OBJECT.match(text) is not None
            return text == "COMMIT"
        window = self.window
        if not window.is_last and len(window.text) < after + _OPENS_WITHIN:
            raise IncompleteError
        self.is_in_bracket = _OPENS_LARGE_OBJECT.match(window.text, after) is not None
        return self.is_in_bracket

    def refuse_strings(self, start: int) -> NoReturn:
        self.window.refuse(
            start,
            "with standard_conforming_strings off, the rest would read differently",
            code="NonstandardStrings",
            hint="leave it on, and write E'…' where backslashes are escapes",
        )

    def rest_of_line(self, after: int) -> int:
        """Where the data begins of a COPY statement that ends before `after`."""
        script = self.window.text
        rest = _REST_OF_LINE.match(script, after)
        if rest is None:
            self.window.refuse(
                after,
                "the data of COPY … FROM stdin begins on the next line",
                code="CopyData",
                hint="end the line behind the semicolon",
            )
        if not self.window.is_last and script[rest.end() - 1] != "\n":
            raise IncompleteError
        return rest.end()

    def copy_data(self, start: int, begin: int) -> tuple[Iterable[bytes], int]:
        """The data that begins there, of the COPY statement at `start`, and where to go on."""
        script = self.window.text
        # The line break before the data may be that before an end which comes at once.
        end_of_data = _END_OF_DATA.search(script, begin - 1)
        if end_of_data is not None and (self.window.is_last or end_of_data.end() < len(script)):
            return (script[begin : end_of_data.start() + 1].encode(),), end_of_data.end()
        found = None if self.window.is_last else self.window.skip_data(begin)
        if found is None:
            self.window.refuse(
                start,
                "the data of this COPY … FROM stdin has no end: the line \\. is missing",
                code="CopyData",
                hint="the file may be cut off; end the data by a line that holds \\. alone",
            )
        return found


def copy_direction(text: str) -> str:
    """``in`` for ``COPY … FROM stdin``, ``out`` for ``COPY … TO stdout``, else empty.

    The grammar takes STDIN and STDOUT for each other there, and so do we. FROM within
    parentheses or behind a dot (a table of that name) does not count.
    """
    depth = 0
    before = previous = ""
    for word in lex.tokens(text):
        if depth == 0 and previous in _DIRECTIONS and before != ".":
            return _DIRECTIONS[previous] if word in ("stdin", "stdout") else ""
        depth += (word == "(") - (word == ")")
        before, previous = previous, word
    return ""


def _is_routine(words: list[str]) -> bool:
    """Whether these are the first words of what may hold a BEGIN ATOMIC body."""
    if words[:1] != ["create"]:
        return False
    kind = words[3:4] if words[1:3] == ["or", "replace"] else words[1:2]
    return bool(_ROUTINES.intersection(kind))


def _switches_strings_off(text: str) -> bool:
    """Whether what follows would be read otherwise: by SET, or by a set_config that can be seen.

    What ALTER ROLE, DATABASE or SYSTEM sets begins with another session, and is no matter here.
    """
    if _STRINGS not in text.lower():
        return False
    words = list(lex.tokens(text))
    if words[:1] == ["set"]:
        return _STRINGS in words[1:3] and words[-1].strip("'").lower() in _OFF
    return any(
        name == "set_config"
        and setting.lower().lstrip("e").strip("'") == _STRINGS
        and value.strip("'").lower() not in _ON
        for name, _, setting, _, value in zip(*(words[at:] for at in range(5)), strict=False)
    )
