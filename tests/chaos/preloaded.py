"""The program, imported before runners are forked; see `runners`.

The program itself imports what it needs when it needs it, which takes most of a short run.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import pkgutil
import signal
import sys
from collections.abc import Mapping, Sequence

import dbmigrate.cli
import dbmigrate.postgres
from dbmigrate import __main__ as program

for _package in (dbmigrate.cli, dbmigrate.postgres):
    for _module in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        importlib.import_module(_module.name)


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
