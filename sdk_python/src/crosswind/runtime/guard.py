"""The guard: the parent of a zygote, which outlives it just long enough to leave nothing behind. [STOP-1]

A parent-death signal reaches children but not grandchildren, and a process that called setsid is in no group that one
could signal. So the guard adopts every orphan below it, watches the worker's end of the control socket, and when that
closes, however the worker ended, kills until it has no child left. It runs no code of authors.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from typing import NoReturn

from crosswind.runtime import processes


def fork_below_guard(control: socket.socket) -> None:
    """Forks: the caller goes on as the child, and the parent stays behind as its guard and never returns.

    Args:
        control: the socket to the worker. The guard only watches it for the worker's end.
    """
    processes.adopt_orphans()
    guard_id = os.getpid()
    zygote_id = os.fork()
    if zygote_id == 0:
        processes.die_with_parent(guard_id)
        return
    _guard(zygote_id, control)


def _guard(zygote_id: int, control: socket.socket) -> NoReturn:
    zygote = os.pidfd_open(zygote_id)
    watched = select.poll()
    watched.register(control.fileno(), 0)  # only its hang-up, which is always reported
    watched.register(zygote, select.POLLIN)
    zygote_status: int | None = None
    while zygote_status is None:
        for fileno, _ in watched.poll():
            if fileno == zygote:
                zygote_status = os.waitpid(zygote_id, 0)[1]
            else:
                watched.unregister(control.fileno())
                # It reads the end of the socket as well; this is for one that hangs while it imports.
                processes.signal_process(zygote_id, signal.SIGKILL)
    _kill_all()
    code = os.waitstatus_to_exitcode(zygote_status)
    # The worker reads from the guard's end how the zygote ended.
    os._exit(code if code >= 0 else 128 - code)


def _kill_all() -> None:
    while True:
        processes.kill_orphans(known=())
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
