"""Values past the advertised limit: refused with a sentence that names the limit; nothing else stops."""

import json

import grpc

from crosswind.control.v1 import dag_runs_pb2, variables_pb2
from crosswind.value.v1 import value_pb2
from tests.e2e.support.cluster import one_task

MEBIBYTE = 1024 * 1024


def test_result_over_the_limit_fails_its_task_only(each_cluster):
    cluster = each_cluster
    cluster.write(one_task(), one_task("other"))
    worker = cluster.start_worker()
    run, other = cluster.control.trigger("one"), cluster.control.trigger("other")
    puppets = {puppet.dag_id: puppet for puppet in (cluster.stage.enter("work"), cluster.stage.enter("work"))}
    puppets["one"].succeed_with_text(MEBIBYTE + 1)
    assert cluster.control.wait_run("one", run) == "FAILED"
    (attempt,) = cluster.control.attempts("one", run, "work")
    assert attempt.failure.type == "crosswind.ValueTooLarge"
    assert "1048576" in attempt.failure.message.replace(",", "").replace("_", "").replace(" ", "") or (
        "1 MiB" in attempt.failure.message
    )
    puppets["other"].succeed(1)
    assert cluster.control.wait_run("other", other) == "SUCCEEDED"
    assert worker.alive


def test_list_that_no_message_holds_fails_its_task_only(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    # Each item is below the limit of a value, but all of them are past that of a message.
    cluster.stage.enter("work").succeed_with_text(MEBIBYTE - 2, times=5)
    assert cluster.control.wait_run("one", run) == "FAILED"
    (attempt,) = cluster.control.attempts("one", run, "work")
    assert attempt.failure.type == "crosswind.ValueTooLarge"
    assert worker.alive


def test_result_at_the_limit_arrives(each_cluster):
    cluster = each_cluster
    cluster.write(one_task())
    cluster.start_worker()
    run = cluster.control.trigger("one")
    # As JSON it has two quotation marks more.
    cluster.stage.enter("work").succeed_with_text(MEBIBYTE - 2)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert len(cluster.control.xcom("one", run, "work")) == MEBIBYTE


def test_conf_and_variable_over_the_limit_are_refused(cluster):
    cluster.write(one_task())
    cluster.start_worker()
    control = cluster.control
    conf = value_pb2.Payload(encoding="json/utf-8", data=json.dumps({"x": "x" * MEBIBYTE}).encode())
    trigger = dag_runs_pb2.TriggerDagRunRequest(dag_id="one", conf=conf, request_id=new_id())
    code, reason, sentence = control.refused(control.runs.TriggerDagRun, trigger)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "VALUE_TOO_LARGE")
    assert "conf" in sentence
    variable = variables_pb2.SetVariableRequest(key="big", value="x" * (65 * 1024), request_id=new_id())
    code, reason, sentence = control.refused(control.variables.SetVariable, variable)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "VALUE_TOO_LARGE")
    assert "big" in sentence


def new_id() -> str:
    """A request id."""
    import uuid

    return str(uuid.uuid4())
