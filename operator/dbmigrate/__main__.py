"""The process ``dbmigrate``, and ``python -m dbmigrate``: how it begins and how it ends.

A run is short, so what Python does for long ones is left out: looking through all that
was imported for garbage (20 ms), and taking every object apart at the end (30 ms). The
operator starts a process for each run; nothing of the run itself is decided here.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys

_GARBAGE = 50_000
"""New objects after which Python looks for garbage; its own default is 700."""


def main() -> None:
    """Run, and end the process."""
    gc.set_threshold(_GARBAGE)
    from dbmigrate.cli.main import main as run  # noqa: PLC0415 -- behind the line above

    code = run()
    atexit._run_exitfuncs()  # noqa: SLF001 -- what a library has promised to do at the end
    for stream in (sys.stdout, sys.stderr):
        # Of a stream that is gone nothing is to be said: the exit code tells the rest.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
