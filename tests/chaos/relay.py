"""Stands between a runner and the server: does something at a chosen byte, and breaks connections.

One thread serves all connections of a runner. What is to be done at a moment (a trigger) is
called by that thread, between two bytes: so a process can be killed, or the connection cut,
when the server has COMMIT and the runner has no answer, at every run of the same trial.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Way(StrEnum):
    """Which way bytes go."""

    REQUEST = "request"
    ANSWER = "answer"


class Cut(StrEnum):
    """How a connection breaks. What is later is so by `Relay.lateness`."""

    BOTH = "both"
    """For both ends at once."""
    RUNNER = "runner"
    """For the runner; the server has what was sent and hears of the end later."""
    SERVER = "server"
    """For the server; the runner hears of it later."""
    SILENCE = "silence"
    """The server's answers are lost; both ends hear of it later."""
    LATE = "late"
    """For the runner; what it sent last reaches the server only later, and then the end."""


@dataclass(slots=True)
class Trigger:
    """What is done when so many bytes have passed, or such a text."""

    way: Way
    act: Callable[[Link], None]
    at_byte: int = 0
    word: bytes = b""
    """In place of `at_byte`: before the `nth` packet that has it, or behind it."""
    nth: int = 1
    behind: bool = False
    done: bool = False


@dataclass(eq=False, slots=True)
class Link:
    """One connection through the relay."""

    runner: socket.socket
    server: socket.socket
    silent: bool = False
    """The server's answers are thrown away."""
    held: list[bytes] | None = None
    """Requests that are kept back."""
    closed: set[socket.socket] = field(default_factory=set)


_PACKET: Final = 1 << 16
_PATIENCE: Final = 20.0


class Relay:
    """A port on loopback that leads to the server's.

    Args:
        port: the server's.
    """

    def __init__(self, port: int) -> None:
        self.server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.port: int = self._listener.getsockname()[1]
        self.triggers: list[Trigger] = []
        self.lateness = 0.1
        self.refusing_until = 0.0
        """By the monotonic clock: until then new connections are closed at once."""
        self.passed = dict.fromkeys(Way, 0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._links: list[Link] = []
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._stopping = False
        self.failure: BaseException | None = None
        """What ended the relay's thread, which nothing may."""
        self._thread = threading.Thread(target=self._serve, name="relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Break what is open and end."""
        self._stopping = True
        self._wake.send(b"!")
        self._thread.join(_PATIENCE)
        for each in (self._listener, self._wake, self._woken):
            each.close()
        self._selector.close()
        if self.failure is not None:
            raise RuntimeError("the relay failed") from self.failure

    def cut(self, link: Link, how: Cut) -> None:
        """Break a connection; for triggers, in the relay's thread."""
        ends = {
            Cut.BOTH: ((link.runner, 0.0), (link.server, 0.0)),
            Cut.RUNNER: ((link.runner, 0.0), (link.server, self.lateness)),
            Cut.LATE: ((link.runner, 0.0), (link.server, self.lateness)),
            Cut.SERVER: ((link.server, 0.0), (link.runner, self.lateness)),
            Cut.SILENCE: ((link.server, self.lateness), (link.runner, self.lateness)),
        }[how]
        link.silent = how is not Cut.BOTH
        if how is Cut.LATE:
            link.held = []
        for end, seconds in ends:
            if seconds:
                self._at(seconds, lambda end=end: self._end(link, end))
            else:
                self._end(link, end, hard=True)

    def cut_newest(self, how: Cut) -> None:
        """Break the newest connection; from any thread."""

        def act() -> None:
            if self._links:
                self.cut(self._links[-1], how)

        self._at(0.0, act)
        self._wake.send(b"!")

    def _at(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), act))

    def _serve(self) -> None:
        try:
            self._forward()
        except BaseException as error:  # noqa: BLE001 -- told to whoever waits
            self.failure = error

    def _forward(self) -> None:
        while not self._stopping:
            left = self._later[0][0] - time.monotonic() if self._later else None
            for key, _ in self._selector.select(left if left is None else max(left, 0)):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._woken.recv(64)
                else:
                    self._pump(key.data, key.fileobj)  # type: ignore[arg-type]
            while self._later and self._later[0][0] <= time.monotonic():
                heapq.heappop(self._later)[2]()
        for link in list(self._links):
            self._end(link, link.runner)
            self._end(link, link.server)

    def _accept(self) -> None:
        runner, _ = self._listener.accept()
        try:
            if time.monotonic() < self.refusing_until:
                raise ConnectionRefusedError
            server = socket.create_connection(("127.0.0.1", self.server_port), _PATIENCE)
        except OSError:
            runner.close()
            return
        link = Link(runner, server)
        self._links.append(link)
        for end in (runner, server):
            end.settimeout(_PATIENCE)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(end, selectors.EVENT_READ, link)

    def _pump(self, link: Link, source: socket.socket) -> None:
        if source in link.closed:
            return
        try:
            data = source.recv(_PACKET)
        except OSError:
            data = b""
        if not data:
            # The server's process goes on without a runner until it hears of it, as on a network.
            self._end(link, source)
            other = link.server if source is link.runner else link.runner
            if link.held is None:
                self._end(link, other)
            return
        way = Way.REQUEST if source is link.runner else Way.ANSWER
        for piece, acts in self._pieces(way, data):
            self._send(link, way, piece)
            for act in acts:
                act(link)

    def _pieces(self, way: Way, data: bytes) -> list[tuple[bytes, list[Callable[[Link], None]]]]:
        """A packet, cut where something is to be done, with what is to be done behind each."""
        cuts: dict[int, list[Callable[[Link], None]]] = {}
        before = self.passed[way]
        self.passed[way] += len(data)
        for trigger in self.triggers:
            if trigger.done or trigger.way is not way:
                continue
            if trigger.word:
                trigger.nth -= trigger.word in data
                if trigger.nth > 0:
                    continue
                place = len(data) if trigger.behind else 0
            elif trigger.at_byte <= before + len(data):
                place = max(trigger.at_byte - before, 0)
            else:
                continue
            trigger.done = True
            cuts.setdefault(place, []).append(trigger.act)
        pieces = []
        begin = 0
        for place in sorted({*cuts, len(data)}):
            pieces.append((data[begin:place], cuts.get(place, [])))
            begin = place
        return pieces

    def _send(self, link: Link, way: Way, data: bytes) -> None:
        if not data or (way is Way.ANSWER and link.silent):
            return
        if way is Way.REQUEST and link.held is not None:
            link.held.append(data)
            return
        sink = link.server if way is Way.REQUEST else link.runner
        if sink in link.closed:
            return
        try:
            sink.sendall(data)
        except OSError:  # that end is gone, and the other one hears of it
            self._end(link, link.server)
            self._end(link, link.runner)

    def _end(self, link: Link, end: socket.socket, *, hard: bool = False) -> None:
        if end in link.closed:
            return
        if end is link.server and link.held:
            with contextlib.suppress(OSError):
                end.sendall(b"".join(link.held))
        link.closed.add(end)
        self._selector.unregister(end)
        if hard:  # RST in place of FIN: what is on its way is lost too
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.close()
        if len(link.closed) == 2:
            self._links.remove(link)
