"""Where one statement ends: the semicolon that psql would take for its end.

Facts from psql's scanner (``psqlscan.l``): a semicolon ends a statement unless it stands
in a quoted thing, a comment, parentheses (the actions of CREATE RULE) or the body of an
SQL-standard function (``BEGIN ATOMIC … END``).

The scan jumps by one regular expression from one place that may matter to the next, and
its time is linear in the script, whatever the script holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from dbmigrate.migrations.sql import tokens as lex
from dbmigrate.migrations.sql.refuse import refuse_command, refuse_open
from dbmigrate.migrations.sql.window import IncompleteError, Window

# What cannot end a statement is skipped by one match. A quote behind an E stops it (it may open
# an escape string), so do comments at the top level (one may stand last, and is then no part of
# the statement), dollars, and parentheses that nest more than three deep or hold one of these.
# What is repeated is possessive, and no two alternatives begin alike: nothing is tried twice. The
# outer repetitions are not: Python before 3.11.5 loses its way in them (CPython issue 106052).
_QUOTED: Final = r"""(?<![eE])'[^']*+'|"[^"]*+"|-(?!-)|/(?!\*)"""
_WITHIN: Final = rf"""[^'"$()\\/\-]++|{_QUOTED}|--[^\n\r]*+"""
_PARENTHESES: Final = rf"\((?:{_WITHIN}|\((?:{_WITHIN}|\((?:{_WITHIN})*\))*\))*\)"
_SKIP: Final = re.compile(rf"""(?:[^'"$;()\\/\-]++|{_QUOTED}|{_PARENTHESES})*""")
_BETWEEN_WORDS: Final = r"\x00-!#%&*+,.0-:<-@\[\]\^`{-\x7f"
_BODY_WORD: Final = rf"(?i:begin|atomic|case|end|as)(?!{lex.IDENT_PART})"
_OTHER_WORD: Final = rf"(?!{_BODY_WORD}){lex.IDENT_START}{lex.IDENT_PART}*+"
_SKIP_TO_WORD: Final = re.compile(
    rf"""(?:[{_BETWEEN_WORDS}]++|{_OTHER_WORD}|{_QUOTED}|{_PARENTHESES})*""", re.ASCII
)
_WORD: Final = re.compile(rf"{lex.IDENT_START}{lex.IDENT_PART}*+")
_QUOTES: Final = {"'": "string", '"': "quoted identifier", "$": "dollar-quoted string"}


_Match = Callable[[str, int], re.Match[str] | None]


class Scanner:
    """Finds ends in one script, of which it sees a window.

    Every method raises SourceError for what is never closed and for backslash commands, and
    IncompleteError for what does not end within the window.
    """

    def __init__(self, window: Window) -> None:
        self.window = window

    def end_of_statement(self, start: int, *, is_routine: bool) -> tuple[int, int]:
        """Where the statement's text ends (whitespace aside), and where to go on behind it.

        Args:
            start: the offset of its first token.
            is_routine: it may hold a ``BEGIN ATOMIC`` body, so that its words matter.
        """
        script = self.window.text
        skip = (_SKIP_TO_WORD if is_routine else _SKIP).match
        at = lex.end_of(skip(script, start), start)
        if script.startswith(";", at):  # as most end; the rest is for those that do not
            return at, at + 1
        return self._beyond(start, skip)

    def _beyond(self, start: int, skip: _Match) -> tuple[int, int]:
        """As `end_of_statement`, over whatever stops the skipping."""
        script = self.window.text
        nesting = _Nesting(script)
        comments = (start, start)  # those that follow the last token
        here = start
        while (at := lex.end_of(skip(script, here), here)) < len(script):
            first = script[at]
            end = at + 1
            if first == ";":
                if nesting.is_closed():
                    return _before(script, comments, at), end
            elif first in "()":
                nesting.parenthesis(at, first)
            elif first in _QUOTES:
                end = self.quoted(at, floor=here)
            elif first in "-/":
                end = self.comment(at)
                begin = at if script[comments[1] : at].strip(lex.SPACE) else comments[0]
                comments = (begin, end)
            elif first == "\\":
                refuse_command(self.window, at)
            else:
                end = lex.end_of(_WORD.match(script, at), at)
                nesting.word(at, end)
            here = end
        if not self.window.is_last:
            raise IncompleteError
        if not nesting.is_closed():
            refuse_open(self.window, *nesting.innermost())
        return _before(script, comments, len(script)), len(script)

    def comment(self, start: int) -> int:
        """Where the comment at `start` ends."""
        end = lex.end_of_comment(self.window.text, start)
        if end == lex.UNTERMINATED:
            refuse_open(self.window, start, "comment")
        return end

    def quoted(self, start: int, floor: int) -> int:
        """Where the quoted thing at `start` ends; no token before `floor` reaches beyond it."""
        script = self.window.text
        end = lex.end_of_quoted(script, start, floor)
        if end == lex.UNTERMINATED:
            refuse_open(self.window, start, _QUOTES[script[start]])
        return end


class _Nesting:
    """What is open: parentheses, and a ``BEGIN ATOMIC`` body with its CASEs (which end by END)."""

    def __init__(self, script: str) -> None:
        self.script = script
        self.parentheses: list[int] = []
        self.body: list[int] = []
        self.previous = ""
        self.previous_at = self.previous_end = 0

    def is_closed(self) -> bool:
        return not self.parentheses and not self.body

    def innermost(self) -> tuple[int, str]:
        """The offset of what is open, and its name."""
        if self.parentheses:
            return self.parentheses[-1], "parenthesis"
        return self.body[0], "BEGIN ATOMIC body"

    def parenthesis(self, at: int, which: str) -> None:
        if which == "(":
            self.parentheses.append(at)
        elif self.parentheses:
            self.parentheses.pop()

    def word(self, at: int, end: int) -> None:
        if self.parentheses:
            return
        word = lex.fold(self.script[at:end])
        if self.body:
            if word in ("case", "end") and not self.is_label(at):
                if word == "case":
                    self.body.append(at)
                else:
                    self.body.pop()
        elif word == "atomic" and self.follows("begin", at):
            self.body.append(self.previous_at)
        self.previous, self.previous_at, self.previous_end = word, at, end

    def is_label(self, at: int) -> bool:
        """Whether the word at `at` names a column: ``t.end``, ``1 AS end``."""
        return self.script[at - 1] == "." or self.follows("as", at)

    def follows(self, word: str, at: int) -> bool:
        """Whether that word is the token before `at`."""
        return self.previous == word and lex.skip_blank(self.script, self.previous_end) == at


def _before(script: str, comments: tuple[int, int], end: int) -> int:
    """The end of the last token before `end`, behind which only `comments` may stand."""
    begin, behind = comments
    return end if script[behind:end].strip(lex.SPACE) else begin
