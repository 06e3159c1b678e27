"""What holds for every input: no crash, no hang, nothing lost, time linear in the size."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbmigrate.errors import SourceError
from dbmigrate.migrations.statements import (
    Statement,
    StatementKind,
    decode,
    excerpt,
    kind_of,
    position,
    split,
)

PIECES = [
    *("'", "''", "\\'", "E'", "e'", "U&'", "B'", '"', 'U&"', "$", "$$", "$a$", "$é$", "$1", "a$b$"),
    *("(", ")", ";", ";;", "--", "-", "/*", "*/", "/", "*", "\\", "\\.", "\\x", "++", ",", "."),
    *(" ", "\n", "\r\n", "\r", "\t", "\f", "\v", "\u00a0", "\ufeff", "é", "1", "1e", "t"),
    *("create", "or", "replace", "function", "procedure", "begin", "atomic", "case", "end", "as"),
    *("copy", "from", "stdin", "set", "standard_conforming_strings", "off", "vacuum", "select"),
    *("\n\\.\n", ";\n1\n\\.\n", "\\restrict a\n", "COPY t FROM stdin;\n"),
]
SCRIPTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join),
    st.text(),
)
BETWEEN = re.compile(
    r"(?:[ \t\n\r\f\v;\ufeff]|--[^\n\r]*|\\(?:un)?restrict[ \t]+[A-Za-z0-9]+[ \t\r]*(?=\n|\Z))*"
)


def _rest(gap: str) -> str:
    """What is left of a gap without whitespace, comments, semicolons and restrict lines."""
    while True:
        gap = gap[BETWEEN.match(gap).end() :]
        if not gap.startswith("/*"):
            return gap
        depth = 0
        for edge in re.finditer(r"/\*|\*/", gap):
            depth += 1 if edge[0] == "/*" else -1
            if depth == 0:
                gap = gap[edge.end() :]
                break
        else:
            return gap


def _gaps(script: str, statements: list[Statement]) -> list[str]:
    """What stands between the statements, their COPY data taken out."""
    gaps, here = [], 0
    for each in statements:
        assert script.startswith(each.text, each.start)
        gaps.append(script[here : each.start])
        here = each.start + len(each.text)
        if each.copy_data is not None:
            begin = script.index("\n", here) + 1
            gaps.append(script[here:begin])
            data = b"".join(each.copy_data).decode()
            assert script.startswith(data + "\\.", begin)
            here = begin + len(data) + 2
    return [*gaps, script[here:]]


def _check_place(error: SourceError, script: str) -> None:
    """An error names a place that is there."""
    assert error.location is not None
    assert (error.location.line, error.location.column) >= (1, 1)
    assert error.location.line <= script.count("\n") + 1


@settings(max_examples=600, deadline=None)
@given(SCRIPTS)
@example("COPY t FROM stdin;\n\\.\n")
@example("select 1 -- x\n/* y */;")
@example("select E'a'\n'\\'' ; x")
def test_nothing_is_lost(script: str) -> None:
    """The statements lie in order, and between them is nothing that could mean something."""
    try:
        statements = list(split(script))
    except SourceError as error:
        _check_place(error, script)
        return
    assert [_rest(gap) for gap in _gaps(script, statements)] == [""] * (
        len(statements) + 1 + sum(each.copy_data is not None for each in statements)
    )
    for each in statements:
        assert each.text.strip(" \t\n\r\f\v") == each.text != ""
        assert isinstance(kind_of(each), StatementKind)
        if not script.startswith("\ufeff"):
            assert position(script, each.start) == (each.line, each.column)
        assert each.locate(1) == (each.line, each.column)


@settings(max_examples=300, deadline=None)
@given(SCRIPTS)
def test_a_statement_alone_reads_the_same(script: str) -> None:
    """Each statement, split again by itself, is one statement of the same text."""
    try:
        statements = list(split(script))
    except SourceError:
        return
    for each in statements:
        if each.copy_data is None and not each.text.startswith("\ufeff"):
            assert [again.text for again in split(each.text)] == [each.text]


@settings(max_examples=200, deadline=None)
@given(st.lists(SCRIPTS, max_size=4))
def test_complete_scripts_join(scripts: list[str]) -> None:
    """Scripts that are complete, one behind the other, give the statements of each."""
    joined, expected = "", []
    for each in scripts:
        script = each.replace("\ufeff", "") + "\n;\n"
        try:
            texts = [statement.text for statement in split(script)]
        except SourceError:
            continue
        joined += script
        expected += texts
    assert [each.text for each in split(joined)] == expected


@settings(max_examples=200, deadline=None)
@given(st.binary(), SCRIPTS)
def test_decode(data: bytes, text: str) -> None:
    """Text comes back as it was; any other bytes are refused with a place within them."""
    text = text.replace("\0", "").lstrip("\ufeff")
    assert decode(text.encode(), "a.sql") == text
    try:
        assert "\0" not in decode(data, "a.sql")
    except SourceError as error:
        _check_place(error, data.decode("latin-1"))


@settings(max_examples=300, deadline=None)
@given(st.text(), st.integers(0, 50), st.integers(0, 300))
def test_excerpt(script: str, line: int, column: int) -> None:
    """It is empty, or two lines that end in a caret and do nothing to a terminal."""
    shown = excerpt(script, line, column)
    if shown:
        first, caret = shown.split("\n")
        assert first == "" or first.isprintable()
        assert caret.strip(" ") == "^"


HOSTILE = {
    "quotes": lambda n: "'" * (n + 1),
    "escapes": lambda n: "select E'" + "\\'" * n,
    "continued escape strings": lambda n: "select E'a'" + "\n'b'" * n + "; select E'a'\n--" * n,
    "semicolons": lambda n: ";" * n,
    "statements on one line": lambda n: "select 1;" * n,
    "open parentheses": lambda n: "(" * n,
    "nested parentheses": lambda n: "(" * n + ")" * n,
    "parentheses three deep and one open": lambda n: "(((a)(b)(c)$" * n,
    "parentheses with escape strings": lambda n: "(e'x'" * n,
    "open comments": lambda n: "/*" * n,
    "nested comments": lambda n: "/*" * n + "*/" * n,
    "comments": lambda n: "select 1 /**/--\n" * n,
    "comments at the end": lambda n: "select 1" + "/**/ --\n" * n + ";",
    "comments behind CREATE": lambda n: "create " + "/**/" * n,
    "dollars": lambda n: "$" * n,
    "dollar tags without end": lambda n: "".join(f"$a{i}$ " for i in range(n)),
    "dollars that open nothing": lambda n: "$aaaa-" * n,
    "names with dollars": lambda n: "a$b$c$" * n + " a$" * n,
    "a long name before a dollar": lambda n: "a" * n + "$" + "1" * n + "$",
    "CASEs in a body": lambda n: "create function f() begin atomic " + "case " * n,
    "labels in a body": lambda n: "create function f() begin atomic " + "as/**/end " * n,
    "COPY without data": lambda n: "COPY t FROM stdin;\n" * n,
    "COPY with almost an end": lambda n: "COPY t FROM stdin;\n" + "\\.x\n" * n,
    "COPY with parentheses": lambda n: "COPY " + "(" * n + ")" * n + " FROM stdin;\n",
    "restrict lines": lambda n: "\\restrict a\n" * n,
    "lines before an error": lambda n: "\n" * n + "\\x",
}


def _seconds(script: str) -> float:
    started = time.process_time()
    try:
        for each in split(script):
            kind_of(each)
    except SourceError:
        pass
    return time.process_time() - started


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_is_linear(make) -> None:
    """Sixteen times the input takes about sixteen times as long (it would be 256, if quadratic)."""
    size = 4_000
    small = min(_seconds(make(size)) for _ in range(3))
    large = _seconds(make(size * 16))
    assert large < max(small, 0.002) * 80
