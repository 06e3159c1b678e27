"""Waits for a condition instead of for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def until(
    look: Callable[[], T],
    what: str,
    *,
    timeout: float = 60,
    every: float = 0.1,
    shown: Callable[[], object] | None = None,
) -> T:
    """Look again and again until the answer is true, and return it.

    Args:
        look: What is asked.
        what: What must come, for the failure's text.
        timeout: Seconds until the test fails.
        every: Seconds between two looks.
        shown: What the failure shows beside the text.

    Raises:
        AssertionError: it did not come in time.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            detail = f"\n{shown()}" if shown else f"\nlast answer: {answer!r}"
            raise AssertionError(f"not within {timeout} s: {what}{detail}")
        time.sleep(every)
