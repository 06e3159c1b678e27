"""A way to lose a connection at a chosen moment."""

import contextlib
import socket
import threading


class Proxy:
    """Stands between the runner and the server, and cuts the connection at a given word."""

    def __init__(self, server, word, *, deliver=False, then=None):
        self.server, self.word, self.deliver = server, word, deliver
        self.then = then or (lambda: None)
        """Called once the server has answered, before the runner notices anything."""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.cut = threading.Event()
        self.sockets = [self.listener]
        self.threads = []
        self._start(self._accept)

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", self.server.port))
            for end in (client, upstream):  # else small packets wait for each other
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            cut = threading.Event()  # of this connection: those made later work
            self.sockets += (client, upstream)
            for ends in ((client, upstream, True), (upstream, client, False)):
                self._start(self._pump, *ends, cut)

    def _pump(self, source, sink, is_client, cut):
        while True:
            try:
                data = source.recv(1 << 16)
                if not data:
                    break
                if is_client and self.word in data and not self.cut.is_set():
                    self.cut.set()
                    cut.set()
                    if self.deliver:
                        sink.sendall(data)
                    break
                if is_client or not cut.is_set():
                    sink.sendall(data)
                elif self.deliver and b"COMMIT" in data:
                    self.then()
                    break  # the server has answered, and nobody hears of it
            except OSError:
                break
        if is_client and self.deliver and cut.is_set():
            return  # its end comes with the server's answer
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Close every connection and wait for the threads."""
        for each in self.sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for each in self.threads:
            each.join()
        for each in self.sockets:
            each.close()
