"""Standard output and error, as they may really be: closed, broken, full, of another encoding.

A migration must not fail because nobody reads its progress any more. So a stream that
breaks is replaced by nothing, once, and the run goes on; its exit code tells the rest.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


class SafeStream:
    """A text stream whose writing never raises for the reader's sake."""

    def __init__(self, stream: TextIO | None, *, encoding: str | None = None) -> None:
        self._stream = stream
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # Text in another language on a terminal that cannot show it must not stop a run.
            reconfigure(encoding=encoding, errors="backslashreplace")

    @property
    def is_terminal(self) -> bool:
        """A person looks at it."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    @property
    def encoding(self) -> str:
        """What the terminal's libraries ask for."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """As a file's."""
        return self.is_terminal

    def fileno(self) -> int:
        """As a file's."""
        if self._stream is None:
            raise OSError("the stream is closed")
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write, or forget the stream if nobody reads it."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._give_up()
        return len(text)

    def flush(self) -> None:
        """Flush, or forget the stream if nobody reads it."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._give_up()

    def line(self, text: str) -> None:
        """Write one line, at once: who follows a log sees it when it happens."""
        self.write(text + "\n")
        self.flush()

    def _give_up(self) -> None:
        stream, self._stream = self._stream, None
        # What is left in the buffer would raise once more when the interpreter ends.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
            os.close(nowhere)


def standard_output(*, encoding: str | None = None) -> SafeStream:
    """The process's stdout (None when it was started without one)."""
    return SafeStream(sys.stdout, encoding=encoding)


def standard_error() -> SafeStream:
    """The process's stderr."""
    return SafeStream(sys.stderr)
