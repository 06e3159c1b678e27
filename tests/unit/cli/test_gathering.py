"""Lines that follow each other quickly are written together, and none waits for long or is lost."""

import io
import os
import queue

from dbmigrate.cli.output.gathering import PAUSE, GatheredLines
from dbmigrate.cli.output.streams import SafeStream

PATIENCE = 50 * PAUSE


class Writes(io.StringIO):
    """A stream that keeps what each flush found written."""

    def __init__(self):
        super().__init__()
        self.seen = queue.Queue()

    def flush(self):
        """What a writer of lines ends each write with."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        if text:
            self.seen.put(text)


def make():
    """The lines, and a queue of what each write wrote."""
    writes = Writes()
    return GatheredLines(SafeStream(writes)), writes.seen


def test_a_line_after_a_pause_is_written_at_once():
    """Who follows a slow run sees each line when it happens."""
    lines, seen = make()

    lines.line("one")

    assert seen.get_nowait() == "one\n"


def test_lines_that_follow_quickly_are_written_together_by_themselves():
    """One write for many lines, and no later call is needed for it."""
    lines, seen = make()
    lines.line("one")
    seen.get_nowait()

    for text in ("two", "three", "four"):
        lines.line(text)

    assert seen.empty()
    assert seen.get(timeout=PATIENCE) == "two\nthree\nfour\n"


def test_after_a_burst_a_later_one_is_written_too():
    """The writer waits for the next burst, and keeps the order."""
    lines, seen = make()
    for burst in range(3):
        lines.line(f"{burst} first")
        lines.line(f"{burst} second")
        text = ""
        while not text.endswith("second\n"):
            text += seen.get(timeout=PATIENCE)

        assert text == f"{burst} first\n{burst} second\n"


def test_flush_writes_what_waits():
    """At the end of a run nothing is left behind."""
    lines, seen = make()
    lines.line("one")
    lines.line("two")
    lines.line("three")

    lines.flush()

    assert [seen.get_nowait(), seen.get_nowait()] == ["one\n", "two\nthree\n"]


def test_nobody_who_reads_is_no_error():
    """A run goes on when nobody reads its log any more."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        lines = GatheredLines(SafeStream(stream))

        lines.line("one")
        lines.line("two")
        lines.flush()
