"""Python tasks through server, worker and a process each: throughput, waiting times, and the gaps in a chain."""

import itertools
import os
import time

from google.protobuf import timestamp_pb2

from crosswind.control.v1 import task_instances_pb2
from tests.bench.figures import Figures, percentile
from tests.bench.readings import family_cpu_seconds, machine_cpu_seconds
from tests.bench.site import BenchFailed, Site
from tests.e2e.support.workers import WorkerProcess

INDEPENDENT = 500
CHAIN = 50
SLOTS = 16

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
    return {f"python.{name}": value for name, value in {**_independent(site, worker), **_chain(site)}.items()}


def _independent(site: Site, worker: WorkerProcess) -> Figures:
    server_before, worker_before = site.server_cpu(), site.worker_cpu(worker)
    all_before, ours_before, began = machine_cpu_seconds(), family_cpu_seconds(os.getpid()), time.monotonic()
    instances = site.run("independent")
    server_used, worker_used = site.server_cpu() - server_before, site.worker_cpu(worker) - worker_before
    ours = family_cpu_seconds(os.getpid()) - ours_before
    others = (machine_cpu_seconds() - all_before - ours) / (time.monotonic() - began)
    if len(instances) != INDEPENDENT:
        raise BenchFailed(f"The run has {len(instances)} task instances instead of {INDEPENDENT}.")
    queued = [_seconds(instance.queued_time) for instance in instances]
    started = [_seconds(instance.start_time) for instance in instances]
    ended = [_seconds(instance.end_time) for instance in instances]
    waits = [(start - queue) * 1e3 for queue, start in zip(queued, started, strict=True)]
    return {
        "tasks_per_second": INDEPENDENT / (max(ended) - min(queued)),
        "queue_to_start_p50_ms": percentile(waits, 50),
        "queue_to_start_p99_ms": percentile(waits, 99),
        "server_cpu_ms_per_task": server_used / INDEPENDENT * 1e3,
        "worker_cpu_ms_per_task": worker_used / INDEPENDENT * 1e3,
        # With the database's and the benchmark's own; and what others took away meanwhile.
        "all_cpu_ms_per_task": ours / INDEPENDENT * 1e3,
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
