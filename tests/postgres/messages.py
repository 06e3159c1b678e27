"""A proxy that loses the connection at the n-th message of the client."""

import contextlib
import selectors
import socket
import threading


class CutAtMessage:
    """Cuts the connection that sends that message, before or behind its delivery.

    A message is what arrives at once; those of all connections are counted, from 0. When it
    is delivered, the server's answer is awaited and nobody hears of it.
    """

    def __init__(self, server, number, *, deliver=False):
        self.server, self.left, self.deliver = server, number, deliver
        self.cut = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.stopping, self.wake = socket.socketpair()
        self.selector.register(self.stopping, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.stopping:
                    return
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj.fileno() != -1:
                    self._pass(key.fileobj, *key.data)

    def _accept(self):
        client, _ = self.listener.accept()
        upstream = socket.create_connection(("127.0.0.1", self.server.port))
        for end in (client, upstream):  # else small packets wait for each other, 40 ms
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(client, selectors.EVENT_READ, (upstream, True))
        self.selector.register(upstream, selectors.EVENT_READ, (client, False))

    def _pass(self, source, sink, is_client):
        try:
            data = source.recv(1 << 16)
        except OSError:
            data = b""
        if is_client and data and not self.cut.is_set():
            self.left -= 1
            if self.left < 0:
                self.cut.set()
                if self.deliver:
                    sink.sendall(data)
                    sink.settimeout(5)
                    with contextlib.suppress(OSError):
                        sink.recv(1 << 16)
                data = b""
        try:
            if data:
                sink.sendall(data)
                return
        except OSError:
            pass
        for each in (source, sink):
            self.selector.unregister(each)
            each.close()

    def close(self):
        """Close every connection."""
        self.wake.send(b"!")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
        self.wake.close()
