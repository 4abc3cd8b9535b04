"""What Linux offers to keep processes from outliving their reason: parent-death signals, subreapers, process groups.

Here belong single system calls and the sweep that uses them. Who ends whom, and when, belongs to `guard.py` and
`zygote.py`.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Container
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
# Loaded once, so that a forked child pays for a call only.
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent_id: int) -> None:
    """Has the kernel kill this process when the thread that forked it ends.

    Args:
        parent_id: the parent's process id, taken before the fork. Where the parent is gone already, this exits at once.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_id:
        os._exit(1)


def adopt_orphans() -> None:
    """Makes this process the parent of descendants whose own parent ends, so that none escapes it."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def child_ids() -> list[int]:
    """Process ids of this thread's children; empty where the kernel does not tell."""
    try:
        with open("/proc/thread-self/children", "rb", buffering=0) as listing:
            return [int(word) for word in listing.read(1 << 20).split()]
    except OSError:
        return []


def resident_bytes(process_id: int) -> int:
    """Resident memory of a process and its descendants, in bytes; shared pages count once for each."""
    try:
        with open(f"/proc/{process_id}/statm", "rb") as sizes:
            total = int(sizes.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        children: list[int] = []
        for thread in os.listdir(f"/proc/{process_id}/task"):
            with open(f"/proc/{process_id}/task/{thread}/children", "rb") as listing:
                children += [int(word) for word in listing.read().split()]
    except (OSError, IndexError):
        return 0  # it has ended meanwhile
    return total + sum(resident_bytes(child) for child in children)


def kill_orphans(known: Container[int]) -> None:
    """Kills the children that are not known: what a task started and left behind."""
    for process_id in child_ids():
        if process_id not in known:
            signal_process(process_id, signal.SIGKILL)


def signal_process(process_id: int, number: int) -> None:
    """Sends a signal to a process, or to nobody where it has ended."""
    try:
        os.kill(process_id, number)
    except (ProcessLookupError, PermissionError):
        return


def signal_group(group_id: int, number: int) -> None:
    """Sends a signal to a process group, or to nobody where it has ended."""
    try:
        os.killpg(group_id, number)
    except (ProcessLookupError, PermissionError):
        return


def signal_name(number: int) -> str:
    """The name of a signal, such as `SIGKILL`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}) failed: {os.strerror(error)}")
