"""Starting the node's processes, finding them again, and ending them.

There are no pid files, which could name a foreign process after a crash: a process is the node's
if the program that it executes lies in a `node` folder of our built binaries.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .settings import Layout, NodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_STOP_ORDER = ("kubelet", "kube-apiserver")
"""First the kubelet, which would start pods anew; the API server before etcd. Then all others."""


@dataclass(frozen=True)
class Process:
    """A running process of the node."""

    pid: int
    program: str


@dataclass(frozen=True)
class Started:
    """A process that this one has started, and where it speaks."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        """Return the last line of its log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-1].strip() if lines else "nothing"


def find(layout: Layout) -> list[Process]:
    """Return every process, shims included, that executes one of the node's programs."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [Process(pid, program) for pid in pids if (program := _program(layout, pid))]


def foreign_kubernetes(layout: Layout) -> str | None:
    """Return the name of a kubelet or kube-proxy that is not ours, if one shares this network."""
    network = Path("/proc/self/ns/net").readlink()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            program = (entry / "exe").readlink().name
            if (entry / "ns" / "net").readlink() != network:
                continue
            if program in {"kubelet", "kube-proxy"} and not _program(layout, int(entry.name)):
                return program
    return None


def start(layout: Layout, name: str, command: list[str], path: str) -> Started:
    """Start a process of the node that outlives this one; its output goes to `logs/NAME.log`.

    Args:
        layout: Where the node's files are.
        name: The log's name.
        command: The program with its arguments.
        path: The PATH that it sees.
    """
    file = layout.logs / f"{name}.log"
    with file.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=layout.run,
            env={"PATH": path, "HOME": str(layout.run)},
            start_new_session=True,
        )
    return Started(name, process, file)


def end_all(layout: Layout) -> None:
    """Kill the node's processes, in order: its state is thrown away, so none needs a farewell."""
    for program in _STOP_ORDER:
        end(layout, [process for process in find(layout) if process.program == program])
    # A shim that was just being started may appear while its siblings die.
    while left := find(layout):
        end(layout, left)


def end(layout: Layout, processes: Iterable[Process]) -> None:
    """Kill these processes and wait until they are gone."""
    handles = []
    for process in processes:
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(process.pid)
            # The handle is bound to one process for good; now make sure that it is the one meant.
            if _program(layout, process.pid) == process.program:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                handles.append(handle)
            else:
                os.close(handle)
    for handle in handles:
        if not select.select([handle], [], [], 10)[0]:
            raise NodeError("A process of the node does not end, ten seconds after SIGKILL.")
        os.close(handle)


def wait_until(
    condition: Callable[[], bool],
    what: str,
    *,
    seconds: float,
    alive: Iterable[Started] = (),
    every: float = 0.1,
) -> None:
    """Return when the condition holds.

    Raises:
        NodeError: it did not hold in time, or one of the processes `alive` has ended meanwhile.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        for process in alive:
            if process.process.poll() is not None:
                raise NodeError(f"{process.name} ended, saying: {process.last_words()}")
        if time.monotonic() > deadline:
            raise NodeError(f"Waited {seconds:.0f} s in vain for {what}.")
        time.sleep(every)


def _program(layout: Layout, pid: int) -> str | None:
    """Return the name of the node's program that a process executes, None if it is foreign."""
    try:
        executable = Path(f"/proc/{pid}/exe").readlink()
    except OSError:
        return None
    if executable.parent.name == "node" and executable.parent.parent.parent == layout.binaries:
        return executable.name.removesuffix(" (deleted)")
    return None
