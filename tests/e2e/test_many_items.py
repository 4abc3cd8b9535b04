"""A task mapped over many items, and one that reduces their results without holding them all."""

import json

import pytest

from crosswind.execution.v1 import task_service_pb2, worker_service_pb2
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.processes import PATIENCE
from tests.e2e.support.workers import PYTHON_SOURCE

ITEMS, BYTES = 1_000, 6_000
WIDE = f'''
"""Written by the tests."""
from crosswind import DAG, get_current_context, task


@task
def numbers():
    return list(range({ITEMS}))


@task
def make(number):
    return "x" * {BYTES} + str(number)


@task(queue="reducing")
def reduce():
    """Reads the results one after the other."""
    count = total = 0
    for value in get_current_context().task_instance.xcom_items("make"):
        count, total = count + 1, total + int(value[{BYTES}:])
    return {{"count": count, "total": total}}


with DAG("wide"):
    make.expand(number=numbers()) >> reduce()
'''


@pytest.mark.timeout(10 * PATIENCE)  # a thousand processes on a busy machine
@PYTHON_SOURCE
def test_a_thousand_results_are_reduced_in_slices(cluster: Cluster):
    """They are larger together than a message may be: the server gives them in parts, and never all at once."""
    (cluster.dags / "wide.py").write_text(WIDE)
    proxy, pages, given = cluster.proxy(), [], []

    def note_page(reply: bytes) -> bool:
        pages.append(task_service_pb2.SliceXComResponse.FromString(reply))
        return False

    def note_start(reply: bytes) -> bool:
        given.append(worker_service_pb2.StartAttemptResponse.FromString(reply).context)
        return False

    proxy.hold_reply("SliceXCom", which=note_page)
    proxy.hold_reply("StartAttempt", which=note_start)
    cluster.start_worker("makes", slots=8)
    cluster.start_worker("reduces", through=proxy, queues=["reducing"])
    run = cluster.control.trigger("wide")
    assert cluster.control.wait_run("wide", run, seconds=8 * PATIENCE) == "SUCCEEDED"
    found = json.loads(cluster.control.xcom("wide", run, "reduce"))
    assert found == {"count": ITEMS, "total": sum(range(ITEMS))}
    (context,) = given
    assert (context.task_instance.task_id, len(context.inputs)) == ("reduce", 0)
    assert sum(len(page.values) for page in pages) == ITEMS
    assert {page.total_size for page in pages} == {ITEMS}
    assert len(pages) > 1
    assert max(page.ByteSize() for page in pages) <= 4 << 20
    assert proxy.count("GetXCom") == 0
