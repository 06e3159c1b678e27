"""Numbers, times and long texts as sentences and tables for people have them."""

from __future__ import annotations

LONGEST = 4000
"""Characters of one text that are shown; a script can raise an error of megabytes."""


def cut(text: str, longest: int = LONGEST) -> str:
    """The text, or its beginning and how much was left out."""
    left = len(text) - longest
    return text if left <= 0 else f"{text[:longest]}… ({left} more characters)"


def table_time(text: str) -> str:
    """An RFC 3339 time for a table."""
    return text[:19].replace("T", " ")


def counted(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
