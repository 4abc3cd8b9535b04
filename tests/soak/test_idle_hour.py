"""An hour in which nothing happens: with the intervals that people get, no connection dies and no task is lost."""

import threading

import pytest

from crosswind_server.timing import Timing
from tests.e2e.support.cluster import one_task
from tests.e2e.support.servers import Pace

HOUR = 3600.0
ORDINARY = Timing()


@pytest.mark.soak
def test_an_idle_hour_costs_no_connection(cluster):
    pace = Pace(**{name: getattr(ORDINARY, name) for name in Pace.__dataclass_fields__})
    cluster.start_server(pace=pace)
    cluster.write(one_task())
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    control = cluster.control
    before = cluster.connections_of(worker)
    assert len(before) == 1
    watched = cluster.in_background(lambda: control.wait_run("one", run, seconds=HOUR + 600))
    # The passing of time is the event here: nothing else could signal it.
    threading.Event().wait(HOUR)
    assert cluster.connections_of(worker) == before
    puppet.succeed(1)
    assert watched.result(timeout=60) == "SUCCEEDED"
    assert control.attempt_states("one", run, "work") == ["SUCCEEDED"]
