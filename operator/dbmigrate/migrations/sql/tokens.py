"""PostgreSQL's lexical rules (manual, section 4.1): where quoted things and comments end.

The rules are the server's own: whitespace and case folding are ASCII only, and every
character beyond ASCII belongs to an identifier. Functions that look for an end return
its offset, or `UNTERMINATED`; each is linear in what it skips. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

UNTERMINATED: Final = -1

SPACE: Final = " \t\n\r\f\v"
"""What the scanner takes for whitespace (the vertical tab since PostgreSQL 16)."""
IDENT_START: Final = r"[^\x00-@\[-\^`{-\x7f]"
"""A character that a name may begin with: ASCII letters, ``_`` and all beyond ASCII.

Said by what is left out: Python compiles a class up to U+10FFFF a hundred times slower."""
IDENT_PART: Final = r"[^\x00-#%-/:-@\[-\^`{-\x7f]"
"""One that a name may go on with: digits and ``$`` too."""

_BLANK = re.compile(rf"(?:[{SPACE}]++|--[^\n\r]*+)*+")
_LINE_COMMENT = re.compile(r"--[^\n\r]*+")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_IDENT_PART = re.compile(IDENT_PART)
_NAME_START = re.compile(IDENT_START)
_NAME_REST = re.compile(rf"{IDENT_PART}++")
_PARAMETER = re.compile(r"\$[0-9]*+")
_DOLLAR_TAG = re.compile(rf"\$(?:{IDENT_START}[^\x00-/:-@\[-\^`{{-\x7f]*+)?\$")
_ESCAPE_BODY = re.compile(r"[^'\\]*+(?:(?:\\.|'')[^'\\]*+)*+", re.DOTALL)
_CONTINUED = re.compile(
    rf"(?:[ \t\f\v]++|--[^\n\r]*+)*+[\n\r](?:[{SPACE}]++|--[^\n\r]*+(?=[\n\r]))*+'"
)
"""A string goes on behind a line break: ``'a'`` newline ``'b'`` is one constant (4.1.2.1)."""
_TOKEN = re.compile(
    rf"""[{SPACE}]*+(?:
      (?P<string>  (?:[bBxXnN]|[uU]&)?'[^']*+(?:''[^']*+)*+'? )
    | (?P<escape>  [eE]' )
    | (?P<quoted>  (?:[uU]&)?"[^"]*+(?:""[^"]*+)*+"? )
    | (?P<word>    {IDENT_START}{IDENT_PART}*+ )
    | (?P<comment> /\* | -- )
    | (?P<dollar>  \$(?![0-9]) )
    | (?P<other>   \$?[0-9][0-9A-Za-z_.]*+ | [^{SPACE}] )
    )""",
    re.VERBOSE | re.DOTALL,
)


def end_of(match: re.Match[str] | None, start: int) -> int:
    """Where a match ends; where it would have begun, if there is none."""
    return start if match is None else match.end()


def skip_blank(sql: str, start: int) -> int:
    """The offset of the first character that is neither whitespace nor comment.

    A comment that is never closed counts as something: its own offset is the answer.
    """
    while True:
        start = end_of(_BLANK.match(sql, start), start)
        if not sql.startswith("/*", start):
            return start
        end = end_of_comment(sql, start)
        if end == UNTERMINATED:
            return start
        start = end


def end_of_comment(sql: str, start: int) -> int:
    """Where the comment at `start` ends: ``--`` before the line's end, ``/*`` with nested ones."""
    if sql.startswith("-", start):
        return end_of(_LINE_COMMENT.match(sql, start), start)
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return UNTERMINATED


def end_of_quoted(sql: str, start: int, floor: int) -> int:
    """Where the string, quoted name or ``$tag$`` string at `start` ends.

    Two quotes in a row are one within the string; here the string ends and another begins,
    which comes to the same. A ``$`` that opens no string ends at once.

    Args:
        sql: the script.
        start: the offset of its first quote, behind any prefix.
        floor: no token before `floor` reaches beyond it: nothing before belongs to this one.
    """
    quote = sql[start]
    if quote == "$":
        return end_of_dollar(sql, start, floor)
    if quote == "'" and is_escape_quote(sql, start, floor):
        return end_of_escape_string(sql, start)
    end = sql.find(quote, start + 1)
    return UNTERMINATED if end == -1 else end + 1


def end_of_escape_string(sql: str, quote: int) -> int:
    """Where an ``E'…'`` string ends, its continuations on later lines included.

    Args:
        sql: the script.
        quote: the offset of the opening quote, behind the ``E``.
    """
    while True:
        end = end_of(_ESCAPE_BODY.match(sql, quote + 1), quote + 1)
        if not sql.startswith("'", end):
            return UNTERMINATED
        continued = _CONTINUED.match(sql, end + 1)
        if continued is None:
            return end + 1
        quote = continued.end() - 1


def is_escape_quote(sql: str, quote: int, floor: int) -> bool:
    """Whether the quote at `quote` opens an ``E'…'`` string: an E that is not the end of a name.

    Args:
        sql: the script.
        quote: the offset of the quote.
        floor: where the previous token ended; nothing before it belongs to this one.
    """
    prefix = quote - 1
    if prefix < floor or sql[prefix] not in "eE":
        return False
    return prefix == floor or _IDENT_PART.match(sql, prefix - 1) is None


def end_of_dollar(sql: str, start: int, floor: int) -> int:
    """Where what begins with the ``$`` at `start` ends: a ``$tag$`` string, or that character.

    A ``$`` within a name (``a$b$c``) and a parameter (``$1``) open no string: they end where
    the name or the parameter does. The arguments are those of `is_escape_quote`.
    """
    begin = start
    while begin > floor and _IDENT_PART.match(sql, begin - 1):
        begin -= 1
    if _NAME_START.search(sql, begin, start):
        return end_of(_NAME_REST.match(sql, start), start)
    tag = _DOLLAR_TAG.match(sql, start)
    if tag is None:
        return end_of(_PARAMETER.match(sql, start), start)
    end = sql.find(tag[0], tag.end())
    return UNTERMINATED if end == -1 else end + len(tag[0])


def fold(word: str) -> str:
    """A keyword in lower case, as the server folds it: ASCII letters only."""
    return word.lower() if word.isascii() else word


def tokens(sql: str, start: int = 0) -> Iterator[str]:
    """What the server's grammar would see from `start` on, without whitespace and comments.

    Unquoted words come in lower case; quoted names, strings and numbers as they are written
    (so a quoted name never equals a keyword); everything else by single characters.
    What is never closed ends the iteration.
    """
    return (token for _, token in placed_tokens(sql, start))


def placed_tokens(sql: str, start: int = 0) -> Iterator[tuple[int, str]]:
    """As `tokens`, each with its offset."""
    while match := _TOKEN.match(sql, start):
        kind = match.lastgroup or ""
        begin, end = match.span(kind)
        if kind == "comment":
            end = end_of_comment(sql, begin)
        elif kind == "escape":
            end = end_of_escape_string(sql, end - 1)
        elif kind == "dollar":
            end = end_of_dollar(sql, begin, floor=begin)
        if end == UNTERMINATED:
            return
        if kind != "comment":
            text = sql[begin:end]
            yield begin, fold(text) if kind == "word" else text
        start = end
