"""What the program tells a person: one line for each step, with its duration, on stderr."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def say(sentence: str) -> None:
    """Print a line on stderr: stdout is for answers."""
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - this is the one place that prints


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print `what` and, when it is done, the seconds that it took."""
    begun = time.monotonic()
    yield
    say(f" • {what} ({time.monotonic() - begun:.1f} s)")
