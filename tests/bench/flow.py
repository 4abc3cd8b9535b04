"""Large runs through the whole protocol, with workers in this process whose tasks do nothing: what scheduling costs.

The workers share the machine's cores with server and database, so the transactions, statements and rows of a task say
more than the rate.
"""

import asyncio
import contextlib
import os
import random
import re
import time
import urllib.request
from collections.abc import Iterator

from crosswind.control.v1 import dag_runs_pb2
from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind.value.v1 import value_pb2
from tests.bench.figures import Figures
from tests.bench.raw_worker import RawWorker
from tests.bench.readings import family_cpu_seconds, machine_cpu_seconds
from tests.bench.site import PATIENCE, BenchFailed, Site
from tests.e2e.support.control import FINAL_RUN_STATES, run_state
from tests.e2e.support.protocol_worker import manifest_of

TASKS = 10_000
WIDTH = 500
"""Tasks of a layer; each waits for up to `FAN_IN` of the layer before."""
FAN_IN = 3
WORKERS, SLOTS = 2, 250
SETTINGS = {
    "CROSSWIND_START_DEADLINE": "60",
    "CROSSWIND_LEASE_DURATION": "120",
    "CROSSWIND_METRICS_ADDRESS": "127.0.0.1:0",
}
"""So that no lease expires while it waits for its turn; what a call costs does not depend on it."""
_COUNTED = ("transactions", "statements", "rows")


def layered(dag_id: str, count: int) -> dag_pb2.Dag:
    """A DAG of so many tasks in layers, always the same."""
    drawn = random.Random(6)
    tasks = []
    for number in range(count):
        layer = number // WIDTH
        before = range((layer - 1) * WIDTH, layer * WIDTH) if layer else range(0)
        upstream = drawn.sample(before, FAN_IN) if before else []
        made = task_pb2.Task(task_id=f"t{number}", entry_point="t", language="bench")
        made.upstream.extend(task_pb2.Edge(task_id=f"t{each}") for each in sorted(upstream))
        tasks.append(made)
    return dag_pb2.Dag(dag_id=dag_id, tasks=tasks)


def mapped(dag_id: str, count: int) -> dag_pb2.Dag:
    """A DAG of one task that is mapped over so many items, and one that waits for all of them."""
    made = task_pb2.Task(task_id="m", entry_point="m", language="bench")
    items = value_pb2.Items(items=[value_pb2.Item(data=b"%d" % number) for number in range(count)])
    literal = value_pb2.Payload(encoding="json/utf-8", items=items)
    made.mapping.inputs.add(name="item", position=0, literal=literal)
    end = task_pb2.Task(task_id="end", entry_point="end", language="bench", upstream=[task_pb2.Edge(task_id="m")])
    return dag_pb2.Dag(dag_id=dag_id, tasks=[made, end])


def measure_flow(site: Site) -> Figures:
    """Run a DAG of many tasks, and a mapping over as many items."""
    warm_up = asyncio.run(_measure(site, layered("warm_up", 500)))
    assert warm_up
    large = asyncio.run(_measure(site, layered("large", TASKS)))
    mapping = asyncio.run(_measure(site, mapped("mapping", TASKS)))
    return {
        **{f"flow.large_{name}": value for name, value in large.items()},
        **{f"flow.mapping_{name}": value for name, value in mapping.items()},
    }


async def _measure(site: Site, dag: dag_pb2.Dag) -> Figures:
    token = site.server.enrolment_token_file.read_text().strip()
    async with contextlib.AsyncExitStack() as stack:
        workers = []
        for number in range(WORKERS):
            worker = await stack.enter_async_context(
                RawWorker(site.server.address, token, name=f"{dag.dag_id}-{number}")
            )
            await worker.register(slots=SLOTS, manifest=manifest_of(dag.dag_id, "1", dag))
            workers.append(worker)
        before, cpu = read_counts(site), site.server_cpu()
        all_before, ours_before, began = machine_cpu_seconds(), family_cpu_seconds(os.getpid()), time.monotonic()
        run_id = site.control.trigger(dag.dag_id)
        working = [asyncio.create_task(worker.work(at_once=SLOTS)) for worker in workers]
        try:
            state = await asyncio.to_thread(_wait, site, dag.dag_id, run_id)
        finally:
            for each in working:
                each.cancel()
            ended = await asyncio.gather(*working, return_exceptions=True)
        wall, used, after = time.monotonic() - began, site.server_cpu() - cpu, read_counts(site)
        ours = family_cpu_seconds(os.getpid()) - ours_before
        others = (machine_cpu_seconds() - all_before - ours) / wall
        for error in ended:
            if isinstance(error, Exception):
                raise error
    if state != "SUCCEEDED":
        raise BenchFailed(f"The run {dag.dag_id}/{run_id} ended {state}.\n{site.server.tail()}")
    count = sum(worker.done for worker in workers)
    figures = {
        "tasks_per_second": count / wall,
        "server_cpu_ms_per_task": used / count * 1e3,
        # With the database's and the workers' own; and what others took away meanwhile.
        "all_cpu_ms_per_task": ours / count * 1e3,
        "cores_used_by_others": max(0.0, others),
    }
    return {**figures, **{f"{name}_per_task": (after[name] - before[name]) / count for name in _COUNTED}}


def _wait(site: Site, dag_id: str, run_id: str) -> str:
    """Wait for the end of a run, a long poll at a time: its state."""
    end = time.monotonic() + PATIENCE
    request = dag_runs_pb2.GetDagRunRequest(dag_id=dag_id, run_id=run_id)
    request.wait.FromSeconds(1)
    while time.monotonic() < end:
        run = site.control.call(site.control.runs.GetDagRun, request).dag_run
        if run_state(run) in FINAL_RUN_STATES:
            return run_state(run)
        time.sleep(0.25)  # a look now and then, instead of an answer to each change, is hardly a load
    raise BenchFailed(f"The run {dag_id}/{run_id} is not over after {PATIENCE:g} s.")


def read_counts(site: Site) -> dict[str, float]:
    """What the server has written until now, by its own figures."""
    url = site.server.wait_for(r"metrics are at (http://\S+)").group(1)
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        text = answer.read().decode()
    return dict(_read(text))


def _read(text: str) -> Iterator[tuple[str, float]]:
    for name in _COUNTED:
        found = re.search(rf"^crosswind_database_{name}_total (\S+)$", text, re.MULTILINE)
        if found is None:
            raise BenchFailed(f"The server's metrics do not count {name}.")
        yield name, float(found.group(1))
