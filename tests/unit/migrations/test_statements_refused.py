"""What `split` refuses: each refusal names its code, its place and a way out."""

from __future__ import annotations

import pytest

from dbmigrate.errors import SourceError
from dbmigrate.migrations.statements import split

UNTERMINATED = {
    "a string": ("select 1;\n  select 'a;\n", 2, 10),
    "an escape string": ("select E'a\\'", 1, 9),
    "an escape string that ends in a backslash": ("select E'a\\", 1, 9),
    "the continuation of an escape string": ("select E'a'\n'b\\'", 1, 9),
    "a quoted name": ('select "a', 1, 8),
    "a dollar-quoted string": ("select\n $a$ b $$", 2, 2),
    "a comment within a statement": ("select 1 /* a /* b */", 1, 10),
    "a comment between statements": ("select 1;\n/* a", 2, 1),
    "a parenthesis": ("select (1, (2);", 1, 8),
    "the inner of two parentheses": ("select (1, (2;", 1, 12),
    "the body of a function": ("create function f()\nbegin atomic select 1;", 2, 1),
    "a CASE in the body of a function": ("create function f() begin atomic case; end;", 1, 21),
}


@pytest.mark.parametrize(
    ("script", "line", "column"), UNTERMINATED.values(), ids=UNTERMINATED.keys()
)
def test_never_closed(script: str, line: int, column: int) -> None:
    """The place told is where it was opened, not the end of the file."""
    with pytest.raises(SourceError) as caught:
        list(split(script, "v1.0.0_a.sql"))
    error = caught.value
    assert error.error_code == "Unterminated"
    assert str(error.location) == f"v1.0.0_a.sql:{line}:{column}"
    assert error.message.startswith(f"v1.0.0_a.sql:{line}:{column}: ")
    assert error.hint


@pytest.mark.parametrize(
    ("script", "line", "column", "command", "advice"),
    [
        ("select 1;\n\\i other.sql\n", 2, 1, "\\i", "migration of its own"),
        ("\\connect other", 1, 1, "\\connect", "connection"),
        ("select 1 \\gset\n", 1, 10, "\\gset", "say it in SQL"),
        ("select (1 \\g", 1, 11, "\\g", "say it in SQL"),
        ("select 1 \\; select 2;", 1, 10, "\\;", "say it in SQL"),
        ("select 1;\n\\.\n", 2, 1, "\\.", "COPY"),
        ("\\", 1, 1, "\\", "say it in SQL"),
        ("\\restrict\n", 1, 1, "\\restrict", "pg_dump"),
        ("\\restrict a b\n", 1, 1, "\\restrict", "pg_dump"),
        ("\\restrict a; select 1\n", 1, 1, "\\restrict", "pg_dump"),
        ("select 1 \\restrict a\n", 1, 10, "\\restrict", "pg_dump"),
        ("create function f() begin atomic \\d\n", 1, 34, "\\d", "say it in SQL"),
    ],
)
def test_backslash_command(script: str, line: int, column: int, command: str, advice: str) -> None:
    """A command of psql is refused with its place and with what to write instead."""
    with pytest.raises(SourceError) as caught:
        list(split(script))
    error = caught.value
    assert error.error_code == "BackslashCommand"
    assert error.message == f"line {line}, column {column}: {command} is a command of psql, not SQL"
    assert advice in error.hint


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("select 1;\nCOPY t FROM stdin;\n1\n2\n", 2),
        ("COPY t FROM stdin;", 1),
        ("COPY t FROM stdin", 1),
        ("COPY t FROM stdin;\n1\n\\.x", 1),
        ("COPY t FROM stdin; select 1;\n1\n\\.\n", 1),
    ],
    ids=["no mark", "no line", "no semicolon", "no mark but its like", "not on the next line"],
)
def test_copy_data_that_cannot_be_told(script: str, line: int) -> None:
    """A dump that was cut off is refused as a whole; psql would load its first half."""
    with pytest.raises(SourceError) as caught:
        list(split(script))
    assert caught.value.error_code == "CopyData"
    assert caught.value.location is not None
    assert caught.value.location.line == line


@pytest.mark.parametrize(
    "statement",
    [
        "set standard_conforming_strings = off",
        "SET LOCAL Standard_Conforming_Strings TO 'off'",
        "set session standard_conforming_strings to false",
        "select pg_catalog.set_config('Standard_conforming_strings', 'off', false)",
        "SELECT 1, set_config(E'standard_conforming_strings', (select 'off'), true) from t",
    ],
)
def test_strings_of_another_reading(statement: str) -> None:
    """The rest would be split wrongly, so it is not split at all."""
    with pytest.raises(SourceError) as caught:
        list(split(f"{statement}; select 'a\\'; drop table t; --'"))
    assert caught.value.error_code == "NonstandardStrings"


@pytest.mark.parametrize(
    "statement",
    [
        "SET standard_conforming_strings = on",
        "select set_config('standard_conforming_strings', 'on', false)",
        "select set_config('search_path', 'standard_conforming_strings', false)",
        "select 'standard_conforming_strings', set_config('a.b', 'off', false)",
        "alter role r set standard_conforming_strings = off",
        "show standard_conforming_strings",
    ],
)
def test_strings_of_the_standard_reading(statement: str) -> None:
    """Every pg_dump says so, and it changes nothing; nor does what another session will have."""
    assert len(list(split(f"{statement}; select 1"))) == 2


def test_excerpt() -> None:
    """The error carries the line, with a caret below the place."""
    with pytest.raises(SourceError) as caught:
        list(split("select 1;\nselect 'a", "a.sql"))
    assert caught.value.location is not None
    assert caught.value.location.excerpt == "select 'a\n       ^"
