"""Lines of a log, of which those that come thick and fast are written together.

Each write of a container's log wakes the runtime's shim, kubelet and whoever follows the
log, on the processors that PostgreSQL works on too: two lines a file cost more than the
file. A line after a pause is written at once; those that follow within a tenth of a
second wait for its end, whatever the run does meanwhile. A process that is killed loses
what it told in its last tenth of a second, never what it did: the history has that.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dbmigrate.cli.output.streams import SafeStream

PAUSE: Final = 0.1
"""Seconds between two writes."""


class GatheredLines:
    """Lines on their way to a stream; the last call is `flush`."""

    def __init__(self, stream: SafeStream) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._written = -PAUSE
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None

    def line(self, text: str) -> None:
        """Write a line now or soon."""
        with self._changed:
            self._lines.append(text)
            if time.monotonic() - self._written >= PAUSE:
                self._write()
            elif len(self._lines) == 1:
                self._see_to_it()

    def flush(self) -> None:
        """Write what waits."""
        with self._changed:
            if self._lines:
                self._write()

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        self._stream.line("\n".join(lines))
        self._written = time.monotonic()

    def _see_to_it(self) -> None:
        """Let the writer, which waits for the first line, know of it."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_later, daemon=True)
            self._writer.start()
        self._changed.notify()

    def _write_later(self) -> None:
        # Signals are for the main thread, which may wait for the server in a library.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        with self._changed:
            while True:
                left = self._written + PAUSE - time.monotonic()
                if not self._lines:
                    self._changed.wait()
                elif left > 0:
                    self._changed.wait(left)
                else:
                    self._write()
