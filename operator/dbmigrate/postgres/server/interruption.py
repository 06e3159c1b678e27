"""A signal's way into the engine: asked for at any moment, obeyed where it is safe.

A signal handler calls `Interruption.request`. The engine looks at it while it waits for
the server (the file descriptor becomes readable), cancels the statement and undoes the
transaction. In a `raising` region, where a library does the waiting, the request raises
at once. During COMMIT neither happens: what was decided is seen through first.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Iterator


class Interrupted(KeyboardInterrupt):
    """Raised where an interruption is obeyed.

    A KeyboardInterrupt, so that psycopg cancels the statement that it waits for, and so
    that no ``except Exception`` swallows it.
    """


class Interruption:
    """Whether a signal asked the run to end; one for each process or run."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._raises_in: int | None = None
        self.signal_number: int | None = None

    def request(self, signum: int) -> None:
        """Ask for the end of the run; safe in a signal handler, and to be called more than once."""
        first = self.signal_number is None
        if first:
            self.signal_number = signum
            os.write(self._write, b"!")
        if first and self._raises_in == threading.get_ident():
            raise Interrupted

    @property
    def requested(self) -> bool:
        """Whether the end was asked for."""
        return self.signal_number is not None

    def fileno(self) -> int:
        """A descriptor that is readable from the request on: for poll and select."""
        return self._read

    def check(self) -> None:
        """Raise `Interrupted` if the end was asked for."""
        if self.requested:
            raise Interrupted

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """A region in which a request raises `Interrupted` at once, from within the handler."""
        outer, self._raises_in = self._raises_in, threading.get_ident()
        try:
            self.check()
            yield
        finally:
            self._raises_in = outer

    def sleep(self, seconds: float) -> None:
        """Wait, or raise `Interrupted` as soon as the end is asked for."""
        deadline = time.monotonic() + seconds
        self.check()
        poll = select.poll()  # select() knows no descriptor beyond 1023
        poll.register(self._read, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            if poll.poll(left * 1000):
                self.check()

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._read)
        os.close(self._write)
