"""Durations as people read them; how they are written on a command line is the command line's."""

from __future__ import annotations


def format_duration(seconds: float) -> str:
    """A duration for people: ``850 ms``, ``4.2 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 0.9995:  # noqa: PLR2004 -- what is not 1000 ms when rounded
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:  # noqa: PLR2004 -- what is not 60.0 s when rounded
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 -- an hour
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"
