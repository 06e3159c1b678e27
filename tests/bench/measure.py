"""One process measured: wall time, CPU seconds of it and of the server, peak memory.

Linux counts the memory that a process had before exec to the program that it becomes, so a
program that a large Python starts seems as large. A small launcher starts them instead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAUNCHER = """
import json, os, sys, time
for line in sys.stdin:
    argv, environment, folder, log = json.loads(line)
    os.chdir(folder)
    opened = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    began = time.monotonic()
    pid = os.posix_spawn(argv[0], argv, environment, file_actions=opened)
    _, status, usage = os.wait4(pid, 0)
    took = time.monotonic() - began
    code = os.waitstatus_to_exitcode(status)
    print(json.dumps([code, took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]), flush=True)
"""


class FailedError(Exception):
    """A program did not do what it was asked."""


@dataclass(frozen=True)
class Command:
    """How a program is started. Its environment is this and nothing else."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What one process took. Times are seconds, memory is MB of 1,000,000 bytes."""

    wall: float
    cpu: float
    """Of the program and the processes that it started and waited for."""
    server_cpu: float
    memory: float
    """The peak of its largest process; the launcher's own 9 MB are the least that is seen."""


class Launcher:
    """Starts programs one after the other, and measures them."""

    def __init__(self, postmaster: int) -> None:
        """Args: postmaster is the process id of the server whose CPU time is measured."""
        self._postmaster = postmaster
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, command: Command, log: Path) -> Run:
        """Run a program to its end; what it writes goes to the log.

        Raises:
            FailedError: its exit code is not 0.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        before = _server_cpu(self._postmaster)
        request = [list(command.argv), dict(command.env), str(command.cwd), str(log)]
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code, wall, cpu, kib = json.loads(self._process.stdout.readline())
        if code != 0:
            tail = " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
            raise FailedError(f"{Path(command.argv[0]).name} ended with {code}: {tail[-500:]}")
        return Run(wall, cpu, _server_cpu(self._postmaster) - before, kib * 1024 / 1e6)

    def close(self) -> None:
        """End the launcher."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def _server_cpu(postmaster: int) -> float:
    """CPU seconds of the server until now: of those who live, and of those who have ended."""
    ticks = sum(_ticks(postmaster)[:4])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii")
    for child in children.split():
        try:
            ticks += sum(_ticks(int(child))[:2])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended since, and a moment later it is among the ended
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> list[int]:
    """utime, stime, cutime and cstime of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return [int(each) for each in fields[11:15]]
