"""Durations are written as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmigrate.cli.options.parameters import parse_duration
from dbmigrate.durations import format_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30), ("5m", 300), ("1h30m", 5400), ("500ms", 0.5), ("0", 0), ("2", 2),
        ("1.5", 1.5), ("1.5s", 1.5), ("1m500ms", 60.5), (" 10s ", 10), ("0s", 0),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_seconds(text, seconds):
    """Units, their sums, and plain seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "s", "5 m", "m5", "5m1h", "-5s", "1d", "5S", "1e9", "inf", "nan", "5s5s", "٣s",
     "9999999999", "9" * 100_000, "200h"],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text):
    """Among it what would stand for weeks."""
    with pytest.raises(ValueError, match=r"duration|more than"):
        parse_duration(text)


@given(st.integers(0, 600_000))
def test_milliseconds_are_exact(number):
    """No rounding on the way."""
    assert parse_duration(f"{number}ms") == pytest.approx(number / 1000)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0123, "12 ms"), (4.24, "4.2 s"), (65, "1 min 05 s"), (7800, "2 h 10 min"),
     (59.99, "1 min 00 s"), (0.9999, "1.0 s")],
)  # fmt: skip
def test_a_duration_is_shown_for_people(seconds, text):
    """Two figures are enough."""
    assert format_duration(seconds) == text
