"""From bytes to text, and from an offset to the place that a person looks for."""

from __future__ import annotations

import pytest

from dbmigrate.errors import SourceError
from dbmigrate.migrations.statements import decode, excerpt, position


def test_utf8() -> None:
    """UTF-8 is taken as it is, carriage returns included."""
    assert decode("select 'é🐘';\r\n".encode(), "a.sql") == "select 'é🐘';\r\n"


def test_byte_order_mark() -> None:
    """One byte order mark is dropped."""
    assert decode(b"\xef\xbb\xbfselect 1", "a.sql") == "select 1"


@pytest.mark.parametrize(
    ("data", "said", "place"),
    [
        (b"select 1;\n-- caf\xe9\n", "byte 0xe9 is not UTF-8, at offset 16", "a.sql:2:7"),
        ("é\né".encode() + b"\xff", "offset 5", "a.sql:2:2"),
        (b"\xef\xbb\xbfab\xff", "offset 5", "a.sql:1:3"),
        (b"ab\xc3", "byte 0xc3 is not UTF-8, at offset 2", "a.sql:1:3"),
        (b"a\n\0b", "a NUL byte, at offset 2", "a.sql:2:1"),
        (b"\0\xff", "a NUL byte, at offset 0", "a.sql:1:1"),
        (b"\xff\0", "byte 0xff is not UTF-8, at offset 0", "a.sql:1:1"),
        (b"\xed\xa0\x80", "byte 0xed is not UTF-8, at offset 0", "a.sql:1:1"),
        ("select 1".encode("utf-16"), "UTF-16", "a.sql:1:1"),
        (b"\xfe\xff" + "select 1".encode("utf-16-be"), "UTF-16", "a.sql:1:1"),
        ("select 1".encode("utf-32"), "UTF-32", "a.sql:1:1"),
        ("select 1".encode("utf-16-le"), "NUL", "a.sql:1:2"),
    ],
)
def test_anything_else_is_refused(data: bytes, said: str, place: str) -> None:
    """The first bad byte is named by offset, line and column."""
    with pytest.raises(SourceError) as caught:
        decode(data, "a.sql")
    assert caught.value.error_code == "NotUtf8"
    assert said in caught.value.message
    assert str(caught.value.location) == place
    assert "UTF-8" in caught.value.hint


@pytest.mark.parametrize(
    ("offset", "place"),
    [(0, (1, 1)), (1, (1, 2)), (2, (1, 3)), (3, (2, 1)), (5, (3, 1)), (99, (3, 1)), (-1, (1, 1))],
)
def test_position(offset: int, place: tuple[int, int]) -> None:
    """Lines and columns count from 1; a line break belongs to the line that it ends."""
    assert position("éa\nb\n", offset) == place


@pytest.mark.parametrize(
    ("script", "line", "column", "expected"),
    [
        ("select 1;\nselect wrong;\n", 2, 8, "select wrong;\n       ^"),
        ("a\r\nb\r\n", 1, 1, "a\n^"),
        ("ab", 1, 3, "ab\n  ^"),
        ("ab", 1, 9, "ab\n  ^"),
        ("\tx\ty", 1, 4, "    x    y\n         ^"),
        ("漢字x", 1, 3, "漢字x\n    ^"),
        ("e\u0301x", 1, 3, "e\u0301x\n ^"),
        ("a\x1b[31mb\u202ec", 1, 7, "a\ufffd[31mb\ufffdc\n      ^"),
        ("a", 2, 1, ""),
    ],
    ids=["line", "crlf", "end", "beyond", "tabs", "wide", "combining", "control", "no such line"],
)
def test_excerpt(script: str, line: int, column: int, expected: str) -> None:
    """The line is shown as it looks on a terminal, with a caret below the column."""
    assert excerpt(script, line, column) == expected


@pytest.mark.parametrize("character", ["a", "漢", "\t", "e\u0301"])
@pytest.mark.parametrize("column", [1, 10, 5_000, 100_000])
def test_excerpt_of_a_long_line(character: str, column: int) -> None:
    """It is cut around the column: the caret stands below the same character, in 100 columns."""
    script = character * (column - 1) + "|" + character * 100_000
    at = len(character) * (column - 1)
    line, caret = excerpt(script, 1, at + 1).split("\n")
    wide = line.replace("漢", "漢漢").replace("\u0301", "")
    assert wide[len(caret) - 1] == "|"
    assert len(wide) <= 100
    assert line.startswith("…") == (column >= 5_000)
    assert line.endswith("…")
