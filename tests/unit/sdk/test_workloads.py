"""Code beside tasks in Python: what callbacks and timetables are told, and what a timetable answers."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.execution.v1.lease_pb2 import (
    WORKLOAD_CALLBACK,
    WORKLOAD_TIMETABLE,
    CallbackContext,
    TaskInstanceKey,
    TimetableContext,
)
from crosswind.manifest.v1.dag_pb2 import Callback
from tests.unit.sdk.test_execution import attempt, result

DAY_S = 86_400


def asked(load: Any, function: str, call: str = "t()", **question: Any) -> Any:
    """The outcome of a timetable."""
    context = TimetableContext(limit=2, now=Timestamp(seconds=10 * DAY_S), **question)
    source = f"from datetime import UTC, datetime\n{function}"
    return attempt(load, source, decorator="", call=call, workload=WORKLOAD_TIMETABLE, timetable=context)


def test_a_callback_is_told_what_its_parameters_ask_for(load):
    callback = CallbackContext(
        event=Callback.EVENT_FAILURE,
        task_instance=TaskInstanceKey(dag_id="d", run_id="r", task_id="a", map_index=3),
        try_number=2,
        state="failed",
    )
    callback.failure.type, callback.failure.message = "ValueError", "it failed"
    outcome = attempt(
        load,
        "def t(event, task_id, map_index, try_number, failure, state):\n"
        "    return [event, task_id, map_index, try_number, failure, state]",
        call="t(1, 2, 3, 4, 5, 6)",
        workload=WORKLOAD_CALLBACK,
        callback=callback,
    )
    assert result(outcome) == ["failure", "a", 3, 2, "ValueError: it failed", "failed"]
    assert result(attempt(load, "def t():\n    return 1", workload=WORKLOAD_CALLBACK, callback=callback)) == 1


def test_a_timetable_answers_moments_and_intervals_up_to_the_limit(load):
    outcome = asked(
        load,
        "@task\ndef t(config, last, now):\n"
        "    day = datetime(1970, 1, config['day'], tzinfo=UTC)\n"
        "    return [day, (day, now), now]",
        call="t(1, 2, 3)",
        config_json='{"day": 3}',
    )
    first, second = outcome.succeeded.next_runs
    assert (first.logical_time.seconds, first.HasField("data_interval_start_time")) == (2 * DAY_S, False)
    assert (second.data_interval_start_time.seconds, second.data_interval_end_time.seconds) == (2 * DAY_S, 10 * DAY_S)
    assert not asked(load, "@task\ndef t():\n    return None").succeeded.next_runs


@pytest.mark.parametrize("answer", ["5", "[datetime(2026, 1, 1)]", "['tomorrow']"])
def test_a_timetable_that_answers_something_else_has_failed(load, answer: str):
    outcome = asked(load, f"@task\ndef t():\n    return {answer}")
    assert outcome.failed.failure.type == "crosswind.ValueNotEncodable"
