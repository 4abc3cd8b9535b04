"""Memory of the server, of a worker, of its zygote, and of tasks while they run."""

import statistics

from tests.bench.figures import Figures
from tests.bench.readings import memory_of, parent_of
from tests.bench.site import BenchFailed, Site
from tests.e2e.support.puppets import Stage

HELD = 4


def source_of(stage: Stage) -> str:
    """A DAG that does some work first, and one of tasks that come to the stage and stay until they are let go."""
    return f'''"""Written by the benchmark."""
import os
import socket

from crosswind import DAG, task

HELLO = '{{"dag": "held", "role": "held", "try": 1, "value": null, "pid": %d}}\\n'


@task
def trivial():
    return 1


@task
def hold():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect({str(stage.path)!r})
        connection.sendall((HELLO % os.getpid()).encode())
        connection.recv(100)


with DAG("warm_up"):
    for number in range(100):
        trivial.override(task_id=f"t{{number}}")()

with DAG("held"):
    for number in range({HELD}):
        hold.override(task_id=f"h{{number}}")()
'''


def measure_memory(site: Site) -> Figures:
    """Look at everybody's memory after some work, while tasks run."""
    with Stage() as stage:
        worker = site.start_worker(source_of(stage), slots=HELD, name="memory")
        site.run("warm_up")
        run_id = site.control.trigger("held")
        held = [stage.enter() for _ in range(HELD)]
        tasks = [memory_of(puppet.pid) for puppet in held]
        zygotes = {parent_of(puppet.pid) for puppet in held}
        if len(zygotes) != 1 or worker.pid in zygotes:
            raise BenchFailed(f"The tasks are no children of one zygote, but of the processes {zygotes}.")
        zygote = memory_of(zygotes.pop())
        worker_memory, server = memory_of(worker.pid), memory_of(site.server.pid)
        for puppet in held:
            puppet.succeed()
        state = site.control.wait_run("held", run_id)
        if state != "SUCCEEDED":
            raise BenchFailed(f"The run held/{run_id} ended {state}.")
    return {
        "server.rss_mb": server.rss,
        "server.pss_mb": server.pss,
        "worker.python.rss_mb": worker_memory.rss,
        "worker.python.pss_mb": worker_memory.pss,
        "worker.python.zygote_rss_mb": zygote.rss,
        "worker.python.task_rss_mb": statistics.median(task.rss for task in tasks),
        "worker.python.task_private_mb": statistics.median(task.private for task in tasks),
    }
