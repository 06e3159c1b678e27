"""What people see of a statement that takes long, and of whom it waits for."""

import io

import pytest

from dbmigrate.api.report.events import EventName, LockHolder
from dbmigrate.cli.output.rich_terminal import RichTerminal, _fitting
from dbmigrate.cli.output.streams import SafeStream
from dbmigrate.cli.output.terminal import PlainTerminal
from dbmigrate.cli.output.text import TextOutput


class Screen(PlainTerminal):
    """A terminal that keeps each text of its live line."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.live: list[str] = []
        super().__init__(SafeStream(self.stream))

    def progress(self, text: str) -> None:
        """Keep it."""
        self.live.append(text)

    @property
    def lines(self) -> list[str]:
        """What was written."""
        return self.stream.getvalue().splitlines()


@pytest.fixture
def screen():
    """Where the output goes."""
    return Screen()


def statement(output, seconds, number=2, **data):
    """Tell of one statement."""
    output.emit(
        EventName.STATEMENT,
        version="1.0.0",
        file="v1.0.0_a.sql",
        statement="create index\non big (n)",
        line=7,
        number=number,
        of=3,
        seconds=seconds,
        **data,
    )


def output(screen, *, live=False, verbose=False):
    """An output that has begun with a file."""
    made = TextOutput(screen, screen, verbose=verbose, live=live)
    made.emit(EventName.MIGRATION_STARTED, file="v1.0.0_a.sql", number=1, of=1)
    return made


def test_a_terminal_shows_phase_and_per_cent_in_its_live_line(screen):
    """And nothing that scrolls."""
    shown = output(screen, live=True)
    statement(shown, 4.0, phase="building index: scanning table", percent=43)
    assert screen.live[-1] == (
        "[1/1] v1.0.0_a.sql, line 7, statement 2/3: building index: scanning table, 43 %"
    )
    assert screen.lines == []


def test_a_phase_without_per_cent_is_shown_without(screen):
    """None is made up."""
    shown = output(screen, live=True)
    statement(shown, 4.0, phase="rebuilding index")
    assert screen.live[-1].endswith("statement 2/3: rebuilding index")


def test_a_log_has_a_line_now_and_then(screen):
    """The first after ten seconds, then after twice the time each."""
    shown = output(screen)
    for seconds in range(1, 3601):
        statement(shown, float(seconds), phase="scanning heap", percent=seconds // 36)
    told = screen.lines[1:]
    assert len(told) == 9
    assert told[0] == "      v1.0.0_a.sql:7 statement 2/3: scanning heap, 0 %, for 10.0 s"
    assert told[-1] == "      v1.0.0_a.sql:7 statement 2/3: scanning heap, 71 %, for 42 min 40 s"


def test_each_statement_begins_anew(screen):
    """A second long one is told as soon as the first."""
    shown = output(screen)
    statement(shown, 3000.0)
    statement(shown, 9.0, number=3)
    statement(shown, 10.0, number=3)
    assert [line.strip() for line in screen.lines[1:]] == [
        "v1.0.0_a.sql:7 statement 2/3, for 50 min 00 s",
        "v1.0.0_a.sql:7 statement 3/3, for 10.0 s",
    ]


def test_with_verbose_the_statement_itself_is_shown_once(screen):
    """Its first line, with its place."""
    shown = output(screen, verbose=True)
    statement(shown, 0.0)
    statement(shown, 2.0)
    assert screen.lines[1:] == ["      v1.0.0_a.sql:7 statement 2/3: create index"]


def test_who_is_in_the_way_is_shown_with_the_query(screen):
    """The sentence first, then a line for each query that is known."""
    shown = output(screen)
    holders = (
        LockHolder(41, state="idle in transaction", query="select 1"),
        LockHolder(42, state="active", query="select 2"),
        LockHolder(43, is_hidden=True),
    )
    shown.emit(EventName.WAITING, reason="TableLock", message="waits", holders=holders)
    assert screen.lines[1:] == [
        "waiting: waits",
        "         process 41, its last query: select 1",
        "         process 42, its query: select 2",
    ]


def test_the_clock_of_the_live_line_does_not_begin_anew_with_each_text(monkeypatch):
    """It tells for how long the file has been running."""
    monkeypatch.setenv("TERM", "xterm")
    terminal = RichTerminal(SafeStream(io.StringIO()))
    terminal.progress("a")
    task = terminal._progress.tasks[0]
    began = task.start_time
    terminal.progress("b")
    (task,) = terminal._progress.tasks
    assert (task.description, task.start_time) == ("b", began)
    terminal.progress("")
    assert terminal._progress is None


def test_a_live_line_that_is_too_long_keeps_its_end():
    """How far it is, and the clock behind it, stay on the terminal."""
    text = "[1/1] v1.1.0_a_long_name.sql, line 1, statement 1/2: building index: loading, 43 %"
    assert _fitting(text, 40) == "[1/1] v1.1.0_a_long…index: loading, 43 %"
    assert _fitting(text, len(text)) == text
