"""A file that is read block by block gives what its whole text gives, wherever blocks end."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbmigrate.errors import SourceError
from dbmigrate.migrations.content import HeldContent
from dbmigrate.migrations.statements import Decoder, Statements, decode, excerpt, excerpt_of, split

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.sql"))
PIECES = [
    *("'", "''", "\\'", "E'", "U&'", '"', "$", "$$", "$a$", "$é$", "$1", "a$b$"),
    *("(", ")", ";", ";", ";;", "--", "-", "/*", "*/", "/", "*", "\\", "\\.", "\\x"),
    *(" ", "\n", "\n", "\r\n", "\r", "\t", "é", "€", "😀", "1", "t"),
    *("create ", "or ", "replace ", "function ", "begin ", "atomic ", "case ", "end ", "as "),
    *("copy t from stdin", "set ", "standard_conforming_strings ", "off", "select "),
    *("\n\\.\n", "\n\\.\r\n", ";\n1\n\\.\n", "\\restrict a\n", "COPY t FROM stdin;\n"),
    *("BEGIN", ";\n\nSELECT pg_catalog.lo_open('1', 131072);\n", "COMMIT;"),
    *("COPY t FROM stdin;\n\\.\n", "COPY t FROM stdin; -- x\nä\t\\\\.\n\\.x\n\\.\n"),
]
SCRIPTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def _told(statements) -> tuple[list, list | None]:
    """The statements up to an error, and all that is said of it."""
    found, error = [], None
    try:
        for each in statements:
            data = None if each.copy_data is None else b"".join(each.copy_data)
            place = (each.number, each.start, each.line, each.column)
            found.append((each.text, place, each.is_bracket, data))
    except SourceError as refused:
        error = [str(refused), refused.error_code, refused.hint, refused.location]
    return found, error


@settings(max_examples=1_500, deadline=None)
@given(SCRIPTS, st.integers(1, 40), st.sampled_from(["", "\ufeff"]))
@example("COPY t FROM stdin;\n\\.\n", 1, "")
@example("COPY t FROM stdin;\n1\n\\.\r", 1, "")
@example("COPY t FROM stdin;\n1\n\\.", 1, "")
@example("COPY t FROM stdin;\n1\n\\.\r\nselect\n 1;", 1, "\ufeff")
@example("COPY t FROM stdin;\né\n\\.\nselect é;;", 2, "")
@example("select E'a'\n'\\'' ; x", 3, "")
def test_blocks_make_no_difference(script: str, block: int, mark: str) -> None:
    """Texts, places, data and errors are the same, whatever the size of a block."""
    data = (mark + script).encode()
    whole = _told(split(script, "a.sql"))
    assert _told(Statements(HeldContent(data, block), "a.sql")) == whole


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
@pytest.mark.parametrize("block", [7, 500, 10_000])
def test_real_scripts(path: Path, block: int) -> None:
    """As the property, on real SQL."""
    data = path.read_bytes()
    assert _told(Statements(HeldContent(data, block), "")) == _told(split(data.decode(), ""))


def test_statements_can_be_read_again() -> None:
    """They are counted when they were read to their end, or when their number is asked for."""
    statements = Statements(HeldContent(b"select 1; select 2;", 4), "")
    assert len(statements) == 2
    assert [each.text for each in statements] == ["select 1", "select 2"]
    assert [each.number for each in statements] == [1, 2]


def test_data_is_not_held() -> None:
    """COPY data that reaches beyond what is looked at is read when it is sent, and in parts."""
    data = b"1\n" * 1_000
    (copy,) = Statements(HeldContent(b"COPY t FROM stdin;\n" + data + b"\\.\n", 64), "")
    parts = list(copy.copy_data)
    assert max(map(len, parts)) <= 64
    assert b"".join(parts) == b"".join(copy.copy_data) == data


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=40) | SCRIPTS.map(str.encode), st.integers(1, 9))
@example("\ufeffé".encode(), 1)
@example(b"\xff\xfe\0\0", 1)
@example("é\n€\n😀".encode()[:-1], 2)
@example(b"a\nb\0", 3)
def test_decoding_in_pieces(data: bytes, size: int) -> None:
    """The same text, or the same complaint with the same place."""

    def in_pieces() -> str:
        decoder = Decoder("a.sql")
        pieces = [decoder.decode(data[at : at + size]) for at in range(0, len(data), size)]
        return "".join([*pieces, decoder.decode(b"", is_last=True)])

    assert _or_error(in_pieces) == _or_error(lambda: decode(data, "a.sql"))


def _or_error(make) -> str | tuple:
    try:
        return make()
    except SourceError as error:
        return error.message, error.location


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "é" * 90, "\n", "\r\n", "\t", "x" * 120]), max_size=12),
    st.integers(0, 6),
    st.integers(0, 700),
)
def test_excerpt_of_pieces(pieces: list[str], line: int, column: int) -> None:
    """The same two lines, whether the script is given whole or in pieces."""
    whole = "".join(pieces)
    for size in (1, 50, 1_000):
        cut = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert excerpt_of(cut, line, column) == excerpt(whole, line, column)
