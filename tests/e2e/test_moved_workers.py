"""A worker that an operator moves connects anew, and what it runs goes on; with one server, to the same one."""

from crosswind.control.v1 import workers_pb2
from tests.e2e.support.cluster import one_task


def test_a_moved_worker_connects_anew_and_its_task_goes_on(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    first = cluster.stage.enter("work")
    before = cluster.connections_of(worker)
    since = worker.mark()
    cluster.command("workers", "move", "worker")
    worker.wait_for("sends this worker away; connecting again", since=since)
    # It is given more by a poll of its new connection, which says that it has obeyed.
    again = cluster.control.trigger("one")
    second = cluster.stage.enter("work")
    request = workers_pb2.GetWorkerRequest(name="worker")
    assert not cluster.control.call(cluster.control.workers.GetWorker, request).worker.moving
    assert cluster.connections_of(worker) - before
    for puppet, each_run in ((first, run), (second, again)):
        puppet.succeed(1)
        assert cluster.control.wait_run("one", each_run) == "SUCCEEDED"
        assert cluster.control.attempt_states("one", each_run, "work") == ["SUCCEEDED"]
    assert worker.log.count("Registered as worker") == 1
