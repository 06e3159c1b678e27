"""A network that fails without a word: packets to or from a server's port vanish.

The kernel drops them, so that nobody is told, as when a cable is cut, a node loses its
power or a firewall forgets a connection. A program in between could not do that: its own
kernel would go on to acknowledge what it swallows.
"""

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

FIREWALL = shutil.which("iptables") or "/usr/sbin/iptables"
TO_SERVER, FROM_SERVER = "--dport", "--sport"


def _rule(action: str, direction: str, port: int) -> None:
    rule = ["INPUT", "-i", "lo", "-p", "tcp", direction, str(port), "-j", "DROP"]
    subprocess.run([FIREWALL, "-w", "10", action, *rule], check=True, capture_output=True)


class Packets:
    """Those of one port: `vanish` from now on, until `mend`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.vanishing: list[str] = []

    def vanish(self, *directions: str) -> None:
        """Drop them in these directions."""
        for direction in directions:
            _rule("-I", direction, self.port)
            self.vanishing.append(direction)

    def mend(self) -> None:
        """Let them through again."""
        while self.vanishing:
            _rule("-D", self.vanishing.pop(), self.port)


@contextlib.contextmanager
def packets_of(port: int) -> Iterator[Packets]:
    """A port's packets, which go through again afterwards in any case."""
    if os.geteuid() != 0:
        pytest.skip("only root can make packets vanish")
    packets = Packets(port)
    try:
        packets.vanish(TO_SERVER)
        packets.mend()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"packets cannot be made to vanish here: {error}")
    try:
        yield packets
    finally:
        packets.mend()


class Wire:
    """A program between the runner and the server, which can be slow, and can hang.

    Args:
        ports: the server's; of several, each connection gets the next one's.
        delay: seconds that each piece of at most 64 bytes is held back.
    """

    def __init__(self, *ports: int, delay: float = 0.0) -> None:
        self.upstream_ports, self.delay = itertools.cycle(ports), delay
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = [self.listener]
        self.swallowing: set[tuple[socket.socket, str]] = set()
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self, *directions: str) -> None:
        """From now on what comes on the connections of now is read, and goes nowhere."""
        self.swallowing |= {(client, each) for client in self.connections for each in directions}

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                upstream = socket.create_connection(("127.0.0.1", next(self.upstream_ports)))
                for end in (client, upstream):  # else small packets wait for each other
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.sockets += (client, upstream)
                self.connections.append(client)
                for source, sink, way in (
                    (client, upstream, TO_SERVER),
                    (upstream, client, FROM_SERVER),
                ):
                    key = (client, way)
                    threading.Thread(
                        target=self._pump, args=(source, sink, key), daemon=True
                    ).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, key: tuple[socket.socket, str]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(64 if self.delay else 1 << 16):
                time.sleep(self.delay)
                if key not in self.swallowing:
                    sink.sendall(data)
        if key in self.swallowing:
            return  # it hangs: nobody hears of the end either
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        for each in self.sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
