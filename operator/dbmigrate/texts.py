"""Texts of any length, where there is room for a certain length only."""

from __future__ import annotations


def cut(text: str, limit: int) -> str:
    """At most that many characters; that something was cut is marked by the last of them."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"
