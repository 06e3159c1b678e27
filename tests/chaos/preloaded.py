"""The program, imported before runners are forked; see `runners`."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from dbmigrate import __main__ as program


def main(arguments: Sequence[str], environment: Mapping[str, str], out: str, err: str) -> None:
    """What `dbmigrate` does, with that environment and output; ends the process."""
    for number, path in ((1, out), (2, err)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    faulthandler.register(signal.SIGUSR2)  # where it stands, when it is stuck
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["dbmigrate", *arguments]
    program.main()
