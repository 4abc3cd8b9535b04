"""The zygote: a process that imports one version of a bundle once and forks a child for every attempt.

Started as `python -m crosswind.runtime.zygote FD PATH NAME` by `zygote_process.py`. It has one thread, never imports
gRPC, and never runs a task itself; what a child does is in `task_child.py`.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from crosswind.runtime import processes
from crosswind.runtime import zygote_protocol as protocol
from crosswind.runtime.cancellation import NUDGE
from crosswind.runtime.guard import fork_below_guard

_DESCRIPTORS: Final = 3


def main(arguments: Sequence[str]) -> NoReturn:
    """Imports the bundle, tells the worker what it holds, and serves until the worker is gone."""
    descriptor, path, name = arguments
    control = socket.socket(fileno=int(descriptor))
    control.set_inheritable(False)
    fork_below_guard(control)
    # Imported below the guard, which so stays as small as Python is.
    from crosswind.runtime.bundle_loading import load

    try:
        loaded, manifest = load(Path(path), name)
    except BaseException as error:  # sys.exit() in a DAG file is to be told as well
        _tell_broken(control, error)
        os._exit(1)
    if threading.active_count() > 1:
        names = ", ".join(thread.name for thread in threading.enumerate() if thread is not threading.main_thread())
        print(f"Importing the bundle {name} started threads that its tasks will not have: {names}.", file=sys.stderr)
    _flush()
    _tell_manifest(control, manifest)
    del manifest
    from crosswind.runtime.task_child import prepare, run_child

    prepared = prepare(loaded)
    # What is there now is shared by all children; a collection that looked at it would copy its pages in each.
    gc.collect()
    gc.freeze()
    Zygote(control, lambda descriptors: run_child(prepared, *descriptors)).serve()
    os._exit(0)


def _tell_manifest(control: socket.socket, manifest: bytes) -> None:
    for start in range(0, len(manifest), protocol.PACKET_BYTES):
        control.sendall(protocol.MANIFEST + manifest[start : start + protocol.PACKET_BYTES])
    control.sendall(protocol.MANIFEST_END)


def _tell_broken(control: socket.socket, error: BaseException) -> None:
    if isinstance(error, SystemExit):
        sentence = f"its code called sys.exit({'' if error.code is None else error.code!r}) while it was imported"
    else:
        sentence = f"{type(error).__name__}: {error}"
    _flush()
    with suppress(OSError):
        control.sendall(protocol.BROKEN + sentence.encode(errors="replace")[:16_384])


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


class Zygote:
    """Forks, signals and reaps children as the worker asks.

    Args:
        control: the socket to the worker.
        run: called in a child with its descriptors (frames, stdout, stderr); it never returns.
    """

    def __init__(self, control: socket.socket, run: Callable[[list[int]], NoReturn]) -> None:
        self._control = control
        self._run = run
        self._numbers: dict[int, int] = {}  # process id -> the worker's number
        self._process_ids: dict[int, int] = {}  # the other way
        # What the bundle's code started while it was imported is no orphan of a task.
        self._imported = frozenset(processes.child_ids())
        self._wake_reading, self._wake_writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def serve(self) -> None:
        """Works until the worker is gone. Its children are then the guard's to end."""
        processes.adopt_orphans()
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wake_writing, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        poll.register(self._wake_reading, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._wake_reading:
                    with suppress(BlockingIOError):
                        os.read(self._wake_reading, 4096)
                    self._reap()
                elif not self._receive():
                    return

    def _receive(self) -> bool:
        try:
            packet, descriptors, _, _ = socket.recv_fds(self._control, protocol.PACKET_BYTES, _DESCRIPTORS)
        except OSError:
            return False
        if not packet:
            return False
        if packet[:1] == protocol.START:
            self._fork(protocol.decode_start(packet), descriptors)
        elif packet[:1] == protocol.SIGNAL:
            number, signal_number = protocol.decode_signal(packet)
            process_id = self._process_ids.get(number)
            if process_id is not None:
                processes.signal_group(process_id, signal_number)
        elif packet[:1] == protocol.NUDGE:
            process_id = self._process_ids.get(protocol.decode_nudge(packet))
            if process_id is not None:  # it is reaped here, so the process id is its own
                os.kill(process_id, NUDGE)
        return True

    def _fork(self, number: int, descriptors: list[int]) -> None:
        zygote_id = os.getpid()
        try:
            process_id = os.fork()
        except OSError as error:
            self._send(protocol.encode_refused(number, error.errno or 0))
            return
        if process_id == 0:
            self._become_child(zygote_id, descriptors)
        # Also by the parent: a signal may be asked for before the child has come to its own setpgid.
        with suppress(OSError):
            os.setpgid(process_id, process_id)
        for descriptor in descriptors:
            os.close(descriptor)
        self._numbers[process_id] = number
        self._process_ids[number] = process_id

    def _become_child(self, zygote_id: int, descriptors: list[int]) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            processes.die_with_parent(zygote_id)
            processes.adopt_orphans()
            with suppress(OSError):
                os.setpgid(0, 0)
            self._control.close()
            os.close(self._wake_reading)
            os.close(self._wake_writing)
            self._run(descriptors)
        finally:
            os._exit(70)

    def _reap(self) -> None:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            process_id = ended.si_pid
            if process_id in self._numbers:
                # Before the process id is given back: what is left of its group ends with it.
                processes.signal_group(process_id, signal.SIGKILL)
            _, status, usage = os.wait4(process_id, 0)
            number = self._numbers.pop(process_id, None)
            if number is None:
                continue
            del self._process_ids[number]
            processes.kill_orphans(self._numbers.keys() | self._imported)
            self._send(
                protocol.encode_exit(
                    protocol.ChildExit(
                        number=number,
                        process_id=process_id,
                        status=status,
                        cpu_seconds=usage.ru_utime + usage.ru_stime,
                        max_memory_bytes=usage.ru_maxrss * 1024,
                    )
                )
            )

    def _send(self, packet: bytes) -> None:
        with suppress(OSError):  # the worker is gone: the next receive tells it
            self._control.sendall(packet)


if __name__ == "__main__":
    main(sys.argv[1:])
