"""A network in which nothing can be reached but one port: a network namespace, for which nobody needs to be root.

The namespace has only its loopback. The launcher opens the one port there and hands the listening socket out to the
test, which forwards what arrives to the server; so no address, no route and no bridge are needed. Run as a program it
is that launcher.
"""

import contextlib
import fcntl
import os
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


class OnePort:
    """A network whose one port leads to a server. A context manager; `command` and `pass_fds` start a process in it.

    Args:
        upstream: the server's address on this machine, host and port.
    """

    def __init__(self, upstream: str) -> None:
        host, port = upstream.rsplit(":", 1)
        self._upstream = (host, int(port))
        self.address = f"127.0.0.1:{port}"
        self._ours, self._theirs = socket.socketpair()
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in [self._listener, *self._open]:
            if connection is not None:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
        self._ours.close()
        self._theirs.close()

    @property
    def pass_fds(self) -> tuple[int, ...]:
        """Descriptors that the process must inherit."""
        return (self._theirs.fileno(),)

    def command(self, *program: str | Path) -> list[str | Path]:
        """The command that makes the network and becomes the program in it, under the same pid."""
        port = str(self._upstream[1])
        launcher = [sys.executable, __file__, port, str(self._theirs.fileno())]
        return ["unshare", "--user", "--map-root-user", "--net", *launcher, *program]

    def connect(self) -> None:
        """Take the listening socket from the launcher, once that was started, and begin to forward."""
        _, descriptors, _, _ = socket.recv_fds(self._ours, 1, 1)
        self._listener = socket.socket(fileno=descriptors[0])
        threading.Thread(target=self._accept, args=(self._listener,), name="one-port", daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                inner, _ = listener.accept()
            except OSError:
                return
            try:
                outer = socket.create_connection(self._upstream)
            except OSError:
                inner.close()
                continue
            self._open += [inner, outer]
            for source, target in ((inner, outer), (outer, inner)):
                threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _launch(arguments: Sequence[str]) -> None:
    port, descriptor, *program = arguments
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
    with socket.socket() as listener, socket.socket(fileno=int(descriptor)) as outside:
        listener.bind(("127.0.0.1", int(port)))
        listener.listen(64)
        socket.send_fds(outside, [b"x"], [listener.fileno()])
    os.execvp(program[0], program)


if __name__ == "__main__":
    _launch(sys.argv[1:])
