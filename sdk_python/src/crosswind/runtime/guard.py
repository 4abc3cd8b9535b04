"""The guard: the parent of a process that runs authors' code, which outlives it long enough to leave nothing behind.

A parent-death signal reaches children but not grandchildren, and a process that called setsid is in no group that one
could signal. So the guard adopts every orphan below it, watches the worker's end of the control socket, and when that
closes, however the worker ended, kills until it has no child left. It runs no code of authors. [STOP-1]

Below a zygote's guard the same program goes on. Below one that was started as `python -m crosswind.runtime.guard FD`,
by `guarded_process.py`, a command runs that the worker names in its first packet.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

from crosswind.runtime import processes

# What a guard tells of its command: that it could not be executed (an errno), or how it ended (wait status, seconds of
# processor time, largest resident memory in KiB).
NOT_EXECUTED: Final = struct.Struct("=ci")
ENDED: Final = struct.Struct("=cidq")
ORDER_BYTES: Final = 128 * 1024
_BUSY_SECONDS: Final = 2.0

Farewell = Callable[[int, resource.struct_rusage], None]


def main(arguments: Sequence[str]) -> NoReturn:
    """Runs a command below this process."""
    import json  # here, because a zygote's guard does not need it

    control = socket.socket(fileno=int(arguments[0]))
    control.set_inheritable(False)
    packet = control.recv(ORDER_BYTES)
    if not packet:
        os._exit(0)  # the worker is gone already
    order = json.loads(packet)

    def say_farewell(status: int, usage: resource.struct_rusage) -> None:
        _clear(order["folder"])
        with suppress(OSError):
            control.send(ENDED.pack(b"E", status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss))

    fork_below_guard(control, say_farewell)
    _execute(order, control)


def fork_below_guard(control: socket.socket, say_farewell: Farewell | None = None) -> None:
    """Forks: the caller goes on as the child, and the parent stays behind as its guard and never returns.

    Args:
        control: the socket to the worker. The guard only watches it for the worker's end.
        say_farewell: called in the guard when everything below it is gone.
    """
    processes.adopt_orphans()
    guard_id = os.getpid()
    child_id = os.fork()
    if child_id == 0:
        processes.die_with_parent(guard_id)
        return
    _guard(child_id, control, say_farewell)


def _guard(child_id: int, control: socket.socket, say_farewell: Farewell | None) -> NoReturn:
    child = os.pidfd_open(child_id)
    watched = select.poll()
    watched.register(control.fileno(), select.POLLRDHUP)  # not what comes in, which is the child's to read
    watched.register(child, select.POLLIN)
    ended: tuple[int, int, resource.struct_rusage] | None = None
    while ended is None:
        for fileno, _ in watched.poll():
            if fileno == child:
                ended = os.wait4(child_id, 0)
            else:
                watched.unregister(control.fileno())
                # A zygote reads the end of the socket as well; this is for one that hangs while it imports.
                processes.signal_process(child_id, signal.SIGKILL)
    _kill_all()
    _, status, usage = ended
    if say_farewell is not None:
        say_farewell(status, usage)
    code = os.waitstatus_to_exitcode(status)
    # The worker reads from the guard's end how the zygote ended.
    os._exit(code if code >= 0 else 128 - code)


def _kill_all() -> None:
    while True:
        processes.kill_orphans(known=())
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _execute(order: dict[str, Any], control: socket.socket) -> NoReturn:
    """Becomes the command. What Python has changed for itself is changed back."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    limit = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            os.execve(order["command"][0], order["command"], order["environment"])
        except OSError as error:
            # Another process that the worker forks may, until it executes its own program, still hold the descriptor
            # through which the file was written.
            if error.errno == errno.ETXTBSY and time.monotonic() < limit:
                time.sleep(0.01)
                continue
            with suppress(OSError):
                control.send(NOT_EXECUTED.pack(b"N", error.errno or 0))
            os._exit(127)


def _clear(folder: str) -> None:
    """Removes the folder of a command's sockets, also when the worker is gone."""
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(OSError):
                os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
