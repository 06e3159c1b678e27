"""Text for people: nothing in it acts on the terminal, and tables can be read."""

import io

import pytest

from dbmigrate.api.report.events import EventName
from dbmigrate.cli.output.rich_terminal import RichTerminal
from dbmigrate.cli.output.streams import SafeStream
from dbmigrate.cli.output.terminal import PlainTerminal, clean
from dbmigrate.cli.output.text import TextOutput


@pytest.mark.parametrize(
    "text",
    ["\x1b[2J", "\x07", "\r", "\x9b31m", "\u202e", "\u2066", "\u200f", "\u2028", "\x00", "\x7f"],
)
def test_what_acts_on_a_terminal_is_replaced(text):
    """Escape codes, marks that turn the direction of writing, ends of lines in disguise."""
    assert clean(f"a{text}b").startswith("a\N{REPLACEMENT CHARACTER}")
    assert text not in clean(f"a{text}b")


@pytest.mark.parametrize("text", ["tab\tline\nend", "предупреждение", "naïve ←→ 日本", "👩‍💻"])
def test_what_is_text_stays(text):
    """In any script."""
    assert clean(text) == text


def test_a_line_of_windows_ends_as_any_other():
    """Its carriage return is no trick."""
    assert clean("one\r\ntwo") == "one\ntwo"


def written(columns, monkeypatch, headers, rows):
    """A table as a terminal of that width gets it."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    RichTerminal(SafeStream(stream)).table(headers, rows)
    return stream.getvalue()


ROW = ("1.5.0", "v1.5.0_data_type_optimization.sql", "applied", "a long explanation of it all " * 2)
HEADERS = ("VERSION", "FILE", "STATE", "DETAILS")


def test_a_wide_terminal_folds_the_last_column_alone(monkeypatch):
    """A file's name stays in one piece."""
    text = written(80, monkeypatch, HEADERS, [ROW])
    assert "v1.5.0_data_type_optimization.sql" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "a long explanation of it all" not in text


def test_a_narrow_terminal_breaks_lines_by_itself(monkeypatch):
    """Columns of three characters are of no use; whole lines can be read and copied."""
    text = written(40, monkeypatch, HEADERS, [ROW])
    assert "1.5.0    v1.5.0_data_type_optimization.sql  applied  a long explanation of it" in text


def test_a_message_of_several_lines_cannot_pose_as_ours():
    """The lines that the server's notice goes on with are set in."""
    stream = io.StringIO()
    terminal = PlainTerminal(SafeStream(stream))
    output = TextOutput(terminal, terminal, verbose=False, live=False)
    output.emit(EventName.NOTICE, severity="NOTICE", message="x\n9 migrations applied")
    assert stream.getvalue() == "      notice: x\n        9 migrations applied\n"
