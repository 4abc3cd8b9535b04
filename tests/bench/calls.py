"""Calls of a worker: how many a second the server answers, and what one costs it in CPU time.

The client is this process and shares the machine's cores with the server; so the CPU time says more than the rate.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from crosswind.execution.v1 import lease_pb2
from tests.bench.figures import Figures
from tests.bench.raw_worker import Item, RawWorker, do_all
from tests.bench.site import Site
from tests.e2e.support.protocol_worker import independent_tasks, manifest_of

FEW, MANY = 16, 64
"""Calls at the same time. Figures without a number in the name are of MANY."""
ATTEMPTS_FEW, ATTEMPTS_MANY = 400, 1600
READS = 2000
HEARTBEATS = {1: 1000, 16: 400, 128: 200}
VARIABLE = "bench_variable"
SETTINGS = {"CROSSWIND_START_DEADLINE": "60", "CROSSWIND_LEASE_DURATION": "120"}
"""So that no lease expires while it waits for its turn; what a call costs does not depend on it."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a number of calls took."""

    calls: int
    wall_seconds: float
    cpu_seconds: float

    def figures(self, name: str) -> Figures:
        """Calls a second, and microseconds of the server's CPU a call."""
        return {
            f"{name}_per_second": self.calls / self.wall_seconds,
            f"{name}_cpu_us": self.cpu_seconds / self.calls * 1e6,
        }


def measure_calls(site: Site) -> Figures:
    """Load the server with each call in turn."""
    site.control.set_variable(VARIABLE, "a value")
    return {f"server.{name}": value for name, value in asyncio.run(_measure(site)).items()}


async def _measure(site: Site) -> Figures:
    total = ATTEMPTS_FEW + ATTEMPTS_MANY
    token = site.server.enrolment_token_file.read_text().strip()
    figures: Figures = {}
    async with RawWorker(site.server.address, token, name="raw") as worker:
        manifest = manifest_of("raw", "1", independent_tasks("raw", total))
        await worker.register(slots=total, manifest=manifest)
        site.control.trigger("raw")
        attempts = await worker.take(total)
        groups = ((FEW, f"{FEW}", attempts[:ATTEMPTS_FEW]), (MANY, "", attempts[ATTEMPTS_FEW:]))

        for at_once, suffix, group in groups:
            load = await _load(site, group, worker.start, at_once=at_once)
            figures |= load.figures(f"start{suffix}")

        def read(attempt: lease_pb2.AttemptRef) -> Awaitable[None]:
            return worker.get_variable(attempt, VARIABLE)

        for at_once, suffix, _ in groups:
            reads = list(itertools.islice(itertools.cycle(attempts), READS))
            load = await _load(site, reads, read, at_once=at_once)
            figures |= load.figures(f"get_variable{suffix}")

        for size, count in HEARTBEATS.items():
            load = await _load(site, _slices(attempts, size, count), worker.heartbeat, at_once=FEW)
            figures[f"heartbeat{size}_per_second"] = load.calls / load.wall_seconds
            figures[f"heartbeat{size}_us_per_attempt"] = load.cpu_seconds / (load.calls * size) * 1e6

        for at_once, suffix, group in groups:
            load = await _load(site, group, worker.finish, at_once=at_once)
            figures |= load.figures(f"finish{suffix}")
    return figures


async def _load(site: Site, items: Iterable[Item], action: Callable[[Item], Awaitable[None]], *, at_once: int) -> Load:
    every = list(items)
    cpu, wall = site.server_cpu(), time.perf_counter()
    await do_all(every, action, at_once=at_once)
    return Load(calls=len(every), wall_seconds=time.perf_counter() - wall, cpu_seconds=site.server_cpu() - cpu)


def _slices(
    attempts: Sequence[lease_pb2.AttemptRef], size: int, count: int
) -> Iterable[Sequence[lease_pb2.AttemptRef]]:
    """So many groups of attempts, going around."""
    around = itertools.cycle(attempts)
    return (list(itertools.islice(around, size)) for _ in range(count))
