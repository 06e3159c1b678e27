"""Runners as processes of their own, started in milliseconds.

Most are forked from a process that has imported the program and done nothing else: the same
code from `main` on, with the same signals and its own memory. The others, whose clock is to
be off, are started as a user starts them.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CLOCKS: Final = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
"""Of Debian's package libfaketime, which gives a process a clock of its own; None without it."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.chaos.preloaded"])


@dataclass(frozen=True, slots=True)
class Ended:
    """How a runner ended and what it said."""

    code: int
    """Exit code; negative for the signal that killed it."""
    seconds: float
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any] | None:
        """Its last line, when that is a result."""
        lines = self.out.splitlines()
        try:
            line = json.loads(lines[-1])
        except (IndexError, ValueError):
            return None
        return line if line.get("event") == "result" else None

    def warned(self, words: str) -> bool:
        """Whether it told a warning with these words."""
        return any('"event": "warning"' in each and words in each for each in self.out.splitlines())


class Runner:
    """One process of `dbmigrate`. Signals and `is_over` may be used by any thread.

    Args:
        arguments: of the command line.
        folder: where its output goes; it must be new.
        clock: what faketime makes of its clock, such as ``+1h``; None is the right time.
    """

    def __init__(self, arguments: list[str], folder: Path, clock: str | None = None) -> None:
        folder.mkdir(parents=True)
        self._out, self._err = folder / "out", folder / "err"
        self._began = time.monotonic()
        kept = ("PATH", "LANG", "LC_ALL", "TMPDIR")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        self._process = (
            _fork(arguments, environment, self._out, self._err)
            if clock is None
            else _start(arguments, environment, self._out, self._err, clock)
        )
        try:
            # Unlike its number, this never means another process.
            self._handle = os.pidfd_open(self._process.pid)
        except ProcessLookupError:
            self._handle = -1

    def is_over(self, timeout: float = 0.0) -> bool:
        """Whether it has ended, at the latest after so many seconds."""
        if self._handle < 0:
            return True
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self._handle >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def said(self) -> str:
        """Its last words so far."""
        return f"{_text(self._out)[-1000:]}\n{_text(self._err)[-3000:]}"

    def ended(self) -> Ended:
        """How it ended; it must have, and this is asked for once."""
        if isinstance(self._process, subprocess.Popen):
            code = self._process.wait()
        else:
            self._process.join()
            code = self._process.exitcode
            self._process.close()
        seconds = time.monotonic() - self._began
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        return Ended(code, seconds, _text(self._out), _text(self._err))


def _fork(arguments: list[str], environment: dict[str, str], out: Path, err: Path) -> Any:
    from tests.chaos.preloaded import main  # noqa: PLC0415 -- loads the program

    process = _context.Process(target=main, args=(arguments, environment, str(out), str(err)))
    process.start()
    return process


def _start(
    arguments: list[str], environment: dict[str, str], out: Path, err: Path, clock: str
) -> subprocess.Popen[bytes]:
    environment = {**environment, "LD_PRELOAD": str(CLOCKS), "FAKETIME": clock}
    with out.open("wb") as output, err.open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "dbmigrate", *arguments],
            stdout=output, stderr=errors, stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
