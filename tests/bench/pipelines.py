"""Tasks through server and worker: throughput, waiting times, and the gaps in a chain.

A Python task has a process of its own; Go tasks share their bundle's.
"""

import itertools
import os
import shutil
import time
from functools import cache
from pathlib import Path

from google.protobuf import timestamp_pb2

from crosswind.control.v1 import task_instances_pb2
from tests.bench.figures import Figures, percentile, prefixed
from tests.bench.readings import child_ids, family_cpu_seconds, machine_cpu_seconds, memory_of
from tests.bench.site import WORKSPACE, BenchFailed, Site
from tests.e2e.support.go_bundles import GoBundles
from tests.e2e.support.processes import Process

INDEPENDENT = 500
GO_INDEPENDENT = 2000
CHAIN = 50
SLOTS = 16
GO_SLOTS = 64
"""Go tasks are goroutines, of which a worker has more at a time than of processes."""
GO_BUNDLE = Path(__file__).parent / "go_bundle"
EXAMPLE_BUNDLE = Path(__file__).parents[2] / "examples" / "flights" / "go"
BUNDLE_STARTS = 5

SOURCE = f'''"""Written by the benchmark."""
from crosswind import DAG, task


@task
def trivial():
    return 1


@task
def step(value):
    return value + 1


with DAG("warm_up"):
    for number in range(32):
        trivial.override(task_id=f"t{{number}}")()

with DAG("independent"):
    for number in range({INDEPENDENT}):
        trivial.override(task_id=f"t{{number}}")()

with DAG("chain"):
    value = 0
    for number in range({CHAIN}):
        value = step.override(task_id=f"s{{number}}")(value)
'''


def measure_pipelines(site: Site) -> Figures:
    """Run both DAGs, after a small one that makes everything warm."""
    worker = site.start_worker(SOURCE, slots=SLOTS)
    site.run("warm_up")
    return prefixed("python", {**_independent(site, worker, count=INDEPENDENT), **_chain(site)})


def measure_go_pipelines(site: Site) -> Figures:
    """Do the same with a Go worker, and look at its bundle's start and at the memory of both."""
    go = _go_bundles()
    bundle = go.pack(GO_BUNDLE, "bench.bundle")
    worker = site.start_go_worker(go.command("crosswind-go-worker"), bundle, slots=GO_SLOTS)
    site.run("warm_up")
    figures = {**_independent(site, worker, count=GO_INDEPENDENT), **_chain(site)}
    bundle_pid, _ = _bundle_start(worker)
    memory = {
        "worker.go.rss_mb": memory_of(worker.pid).rss,
        "worker.go.guard_rss_mb": sum(memory_of(pid).rss for pid in child_ids(worker.pid) if pid != bundle_pid),
        "worker.go.bundle_rss_mb": memory_of(bundle_pid).rss,
    }
    worker.terminate()
    worker.wait()
    figures["bundle_start_ms"] = _measure_bundle_starts(site, go)
    return {**prefixed("go", figures), **memory}


@cache
def _go_bundles() -> GoBundles:
    """A new folder for what is built, so that nothing older is measured."""
    folder = (WORKSPACE / "go").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return GoBundles(folder)


def _measure_bundle_starts(site: Site, go: GoBundles) -> float:
    """Start workers with the example's bundle, one after the other; the median of how long its process took."""
    bundle = go.pack(EXAMPLE_BUNDLE, "flights.bundle")
    taken = []
    for number in range(BUNDLE_STARTS):
        worker = site.start_go_worker(go.command("crosswind-go-worker"), bundle, slots=1, name=f"starts-{number}")
        taken.append(_bundle_start(worker)[1])
        worker.terminate()
        worker.wait()
    return percentile(taken, 50)


def _bundle_start(worker: Process) -> tuple[int, float]:
    """The process of a worker's bundle, and the milliseconds until it could be given a task."""
    started = worker.wait_for(r"Bundle \S+, version \w+: its process (\d+) started in ([\d.]+) ms")
    return int(started.group(1)), float(started.group(2))


def _independent(site: Site, worker: Process, *, count: int) -> Figures:
    server_before, worker_before = site.server_cpu(), site.worker_cpu(worker)
    all_before, ours_before, began = machine_cpu_seconds(), family_cpu_seconds(os.getpid()), time.monotonic()
    instances = site.run("independent")
    server_used, worker_used = site.server_cpu() - server_before, site.worker_cpu(worker) - worker_before
    ours = family_cpu_seconds(os.getpid()) - ours_before
    others = (machine_cpu_seconds() - all_before - ours) / (time.monotonic() - began)
    if len(instances) != count:
        raise BenchFailed(f"The run has {len(instances)} task instances instead of {count}.")
    queued = [_seconds(instance.queued_time) for instance in instances]
    started = [_seconds(instance.start_time) for instance in instances]
    ended = [_seconds(instance.end_time) for instance in instances]
    waits = [(start - queue) * 1e3 for queue, start in zip(queued, started, strict=True)]
    return {
        "tasks_per_second": count / (max(ended) - min(queued)),
        "queue_to_start_p50_ms": percentile(waits, 50),
        "queue_to_start_p99_ms": percentile(waits, 99),
        "server_cpu_ms_per_task": server_used / count * 1e3,
        "worker_cpu_ms_per_task": worker_used / count * 1e3,
        # With the database's and the benchmark's own; and what others took away meanwhile.
        "all_cpu_ms_per_task": ours / count * 1e3,
        "cores_used_by_others": max(0.0, others),
    }


def _chain(site: Site) -> Figures:
    instances = {instance.task_id: instance for instance in site.run("chain")}
    steps = [instances[f"s{number}"] for number in range(CHAIN)]
    gaps = [_gap_ms(before, after) for before, after in itertools.pairwise(steps)]
    whole = _seconds(steps[-1].end_time) - _seconds(steps[0].queued_time)
    return {
        "chain_gap_p50_ms": percentile(gaps, 50),
        "chain_gap_p99_ms": percentile(gaps, 99),
        "chain_step_ms": whole / CHAIN * 1e3,
    }


def _gap_ms(before: task_instances_pb2.TaskInstance, after: task_instances_pb2.TaskInstance) -> float:
    """From the end of a task to the start of the next one, by the server's times."""
    return (_seconds(after.start_time) - _seconds(before.end_time)) * 1e3


def _seconds(time: timestamp_pb2.Timestamp) -> float:
    return float(time.ToMicroseconds()) / 1e6
