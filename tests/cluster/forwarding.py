"""A way into a cluster that this machine is not a node of: `kubectl port-forward`, kept alive.

kubectl ends the forwarding as soon as the pod refuses one connection, which is what a test does
when it stops a server. So it is started again on the same port until the block is left.
"""

from __future__ import annotations

import subprocess
import threading
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.kubectl import Kubectl

_SECONDS_BETWEEN_TRIES = 0.2


@contextmanager
def forwarded(kubectl: Kubectl, service: str, port: int) -> Iterator[int]:
    """Give the local port that leads to a Service's port while the block runs."""
    first = _start(kubectl, service, f":{port}")
    local = _local_port(first)
    running, closed = [first], threading.Event()

    def keep() -> None:
        while not closed.is_set():
            running[0].wait()
            if not closed.wait(_SECONDS_BETWEEN_TRIES):
                running[0] = _start(kubectl, service, f"{local}:{port}")

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield local
    finally:
        closed.set()
        while keeper.is_alive():  # it may just have started another one
            running[0].terminate()
            keeper.join(timeout=0.1)
        running[0].terminate()
        running[0].wait()


def _start(kubectl: Kubectl, service: str, ports: str) -> subprocess.Popen[bytes]:
    command = kubectl.command("port-forward", f"service/{service}", ports)
    # Its output would fill a pipe that nobody reads after the first line.
    output = subprocess.PIPE if ports.startswith(":") else subprocess.DEVNULL
    return subprocess.Popen(
        command, stdout=output, stderr=subprocess.DEVNULL, env=kubectl.environment()
    )


def _local_port(forwarding: subprocess.Popen[bytes]) -> int:
    """Read the port from kubectl's first line: Forwarding from 127.0.0.1:40123 to 5432."""
    assert forwarding.stdout is not None
    line = forwarding.stdout.readline().decode()
    assert "127.0.0.1:" in line, f"kubectl port-forward did not begin: {line!r}"
    # The rest of what it says is thrown away, so that it never has to wait for a reader.
    threading.Thread(target=_drain, args=[forwarding.stdout], daemon=True).start()
    return int(line.partition("127.0.0.1:")[2].split()[0])


def _drain(stream: IO[bytes]) -> None:
    with stream:
        stream.read()
