"""Many DAGs with cron schedules that are due at the same minute: when the last run is there, and what one costs."""

import asyncio
import time

from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.control.v1 import dag_runs_pb2
from crosswind.manifest.v1 import dag_pb2, task_pb2
from tests.bench.figures import Figures
from tests.bench.flow import SETTINGS, read_counts
from tests.bench.raw_worker import RawWorker
from tests.bench.site import PATIENCE, BenchFailed, Site
from tests.e2e.support.protocol_worker import manifest_of

__all__ = ["SETTINGS", "measure_schedules"]

DAGS = 1_000
MINUTE = 60
LEAD = 15
"""Seconds that publishing may take."""


def every_minute(dag_id: str, due: int) -> dag_pb2.Dag:
    """A DAG of one task whose first run is due at a full minute, in seconds since 1970."""
    made = dag_pb2.Dag(dag_id=dag_id, tasks=[task_pb2.Task(task_id="t", entry_point="t", language="bench")])
    made.schedule.cron.expression = "* * * * *"
    made.start_time.CopyFrom(Timestamp(seconds=due - MINUTE))
    # One run each: the minute after is not measured.
    made.end_time.CopyFrom(Timestamp(seconds=due - MINUTE))
    return made


def measure_schedules(site: Site) -> Figures:
    """Publish the DAGs, and wait for the full minute at which all are due."""
    due = -(-(int(time.time()) + LEAD) // MINUTE) * MINUTE
    asyncio.run(_publish(site, [every_minute(f"cron{number:04}", due) for number in range(DAGS)]))
    time.sleep(max(0.0, due - 1 - time.time()))
    before = read_counts(site)
    runs = _wait(site)
    after = read_counts(site)
    last = max(run.queued_time.ToMicroseconds() for run in runs) / 1e6
    return {
        "schedules.last_of_1000_s": last - due,
        "schedules.statements_per_run": (after["statements"] - before["statements"]) / DAGS,
        "schedules.transactions_per_run": (after["transactions"] - before["transactions"]) / DAGS,
    }


async def _publish(site: Site, dags: list[dag_pb2.Dag]) -> None:
    token = site.server.enrolment_token_file.read_text().strip()
    async with RawWorker(site.server.address, token, name="cron") as worker:
        await worker.register(slots=1, manifest=manifest_of("cron", "1", *dags))


def _wait(site: Site) -> list[dag_runs_pb2.DagRun]:
    end = time.monotonic() + PATIENCE
    request = dag_runs_pb2.ListDagRunsRequest(page_size=DAGS)
    while time.monotonic() < end:
        found = list(site.control.call(site.control.runs.ListDagRuns, request).dag_runs)
        if len(found) == DAGS:
            return found
        time.sleep(0.5)  # a look now and then is hardly a load
    raise BenchFailed(f"Of {DAGS} runs {len(found)} are there after {PATIENCE:g} s.\n{site.server.tail()}")
