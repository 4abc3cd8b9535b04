"""One address before several servers, as a load balancer of connections is: new ones are led to whichever is chosen."""

import contextlib
import socket
import threading
from typing import Self


class Balancer:
    """Forwards connections. A context manager; `address` is what clients dial.

    Args:
        upstream: the server to begin with.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for connection in (self._listener, *self._open):
            _end(connection)
        for thread in self._threads:
            thread.join(10)

    def lead_to(self, upstream: str) -> None:
        """Lead new connections to another server. Those that are open stay where they are."""
        self._upstream = upstream

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            host, port = self._upstream.rsplit(":", 1)
            try:
                outer = socket.create_connection((host, int(port)))
            except OSError:
                inner.close()
                continue
            with self._lock:
                self._open += [inner, outer]
            self._begin(_copy, inner, outer)
            self._begin(_copy, outer, inner)

    def _begin(self, work: object, *sockets: socket.socket) -> None:
        thread = threading.Thread(target=work, args=sockets, name="balancer", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    # Whichever side ends, the connection has ended: gRPC closes no half of it.
    _end(source)
    _end(target)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
