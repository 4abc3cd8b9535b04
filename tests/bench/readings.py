"""What Linux says about a process: CPU time and memory, from /proc."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MB: Final = 1e6
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Memory of a process, in MB of 10^6 bytes.

    Args:
        rss: resident, shared pages counted in full.
        pss: resident, each shared page divided among those who share it.
        private: pages that nobody shares: what one more such process costs.
    """

    rss: float
    pss: float
    private: float


def memory_of(pid: int) -> Memory:
    """Read the memory of a process."""
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0]) * 1024
    private = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return Memory(rss=sizes["Rss"] / MB, pss=sizes["Pss"] / MB, private=private / MB)


def cpu_seconds(pid: int) -> float:
    """CPU time of one process in user and kernel mode, without its children."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def family_cpu_seconds(head: int) -> float:
    """CPU time of a process and all below it, those included that have ended and were waited for.

    A process counts what its children used when it waits for them, so a worker's figure holds its tasks' too.
    """
    stats: dict[int, list[str]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                stats[int(entry)] = _stat(int(entry))
    children: dict[int, list[int]] = {}
    for pid, fields in stats.items():
        children.setdefault(int(fields[1]), []).append(pid)
    total, waiting = 0, [head]
    while waiting:
        pid = waiting.pop()
        total += sum(int(field) for field in stats[pid][11:15])
        waiting += children.get(pid, ())
    return total / _TICKS


def machine_cpu_seconds() -> float:
    """CPU time that the whole machine has spent on work, or was kept from spending by its host."""
    user, nice, system, _idle, _waiting, irq, soft, stolen = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, irq, soft, stolen))) / _TICKS


def parent_of(pid: int) -> int:
    """The parent of a process."""
    return int(_stat(pid)[1])


def child_ids(pid: int) -> list[int]:
    """The children of a process, whichever of its threads made them."""
    listings = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for listing in listings for word in listing.read_text().split()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold anything but is in parentheses."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
