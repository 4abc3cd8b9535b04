import json
import logging
import signal
from datetime import UTC, datetime
from typing import Any

import pytest

from crosswind import TaskCancelled
from crosswind.author.bundle import LoadedBundle
from crosswind.author.codec import encode, encode_result
from crosswind.author.payloads import from_payload, to_payload
from crosswind.bundle.v1.bundle_service_pb2 import RunTaskRequest
from crosswind.client.task_client import TaskClient
from crosswind.execution.v1.lease_pb2 import CompositeValue, Connection, InputValue, PayloadList, TaskContext, Variable
from crosswind.execution.v1.outcome_pb2 import Outcome
from crosswind.execution.v1.xcom_pb2 import XComKey
from crosswind.manifest.v1.task_pb2 import Output
from crosswind.runtime.execution import run_attempt
from crosswind.value.v1.value_pb2 import Payload
from tests.unit.sdk.worker import MemoryChannel

HEAD = """
import asyncio, logging, os, signal, sys, threading
from datetime import timedelta
from crosswind import *
"""


def attempt(
    load: Any,
    function: str,
    *inputs: InputValue,
    channel: MemoryChannel | None = None,
    logs: logging.Handler | None = None,
    decorator: str = "@task",
    call: str = "t()",
    limit: int = 0,
    conf: dict[str, Any] | None = None,
    **context: Any,
) -> Outcome:
    """Runs the function `t` of a DAG `d` in this process, as a child of the worker would.

    Which arguments the `call` in the DAG gives does not matter: they come with the request.
    """
    source = f"{HEAD}\n{decorator}\n{function}\nwith DAG('d', params={{'month': 1, 'year': 2026}}):\n    {call}\n"
    loaded: LoadedBundle = load(source)
    assert loaded.problems == ()
    request = RunTaskRequest(max_inline_value_bytes=limit)
    request.context.entry_point = context.pop("entry_point", "d.t")
    request.context.bundle = "tested"
    request.context.attempt_id = "attempt-1"
    request.context.try_number = 2
    request.context.max_tries = 3
    key = request.context.task_instance
    key.dag_id, key.run_id, key.task_id = context.pop("dag_id", "d"), "run-1", "t"
    if "map_index" in context:
        key.map_index = context.pop("map_index")
    run = request.context.run
    run.dag_id, run.run_id, run.run_type = "d", "run-1", "manual"
    run.logical_time.FromDatetime(datetime(2026, 1, 2, tzinfo=UTC))
    if conf is not None:
        run.conf.CopyFrom(payload(conf))
    request.context.inputs.extend(inputs)
    request.context.variables.extend(context.pop("variables", []))
    request.context.connections.extend(context.pop("connections", []))
    request.context.MergeFrom(TaskContext(**context))
    # Through bytes, as it comes.
    request = RunTaskRequest.FromString(request.SerializeToString())
    return run_attempt(loaded, request, TaskClient(channel or MemoryChannel(), request), logs).outcome


def payload(value: object) -> Payload:
    return to_payload(encode(value, what="it"))


def given(name: str, value: object, **more: Any) -> InputValue:
    return InputValue(name=name, payload=payload(value), **more)


def result(outcome: Outcome) -> Any:
    assert outcome.WhichOneof("kind") == "succeeded", outcome
    return from_payload(outcome.succeeded.result)


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[str, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record.name, record.levelname, record.getMessage()))


def test_inputs_by_name_position_and_default(load):
    function = "def t(a, /, b, *rest, c=3, **more): return [a, b, rest, c, more]"
    decorator = "@task"
    source = f"{HEAD}\n{decorator}\n{function}\nwith DAG('d'):\n    t(1, 2)\n"
    loaded = load(source)
    request = RunTaskRequest()
    request.context.entry_point = "d.t"
    request.context.inputs.extend(
        [
            given("a", 1, position=0),
            InputValue(position=1, payload=payload(2)),  # as a language without names sends it
            InputValue(position=2, payload=payload(3)),
            given("c", 4),
            given("d", 5),
        ]
    )
    outcome = run_attempt(loaded, request, TaskClient(MemoryChannel())).outcome
    assert result(outcome) == [1, 2, [3], 4, {"d": 5}]


def test_inputs_of_every_kind(load):
    channel = MemoryChannel(xcoms={("up", "return_value"): to_payload(encode_result([1, 2, 3], what="it"))})
    channel.too_large = {"up"}
    function = "def t(one, two, three, four, five): return [one, two, three, four, five]"
    outcome = attempt(
        load,
        function,
        InputValue(name="one", payload=payload({"rows": [1, 2]}), path=[
            Output.PathStep(name="rows"), Output.PathStep(index=-1)]),
        InputValue(name="two", list=PayloadList(payloads=[payload("x"), Payload()])),
        InputValue(name="three", reference=XComKey(task_id="up", key="return_value")),
        InputValue(name="four"),
        InputValue(name="five", composite=CompositeValue(
            template_json='{"a":[{"$input":1},{"$input":0},{"$literal":{"$input":9}}]}',
            parts=[given("", 5), given("", [6, 7], path=[Output.PathStep(index=1)])])),
        channel=channel,
        call="t(1, 2, 3, 4, 5)",
    )  # fmt: skip
    assert result(outcome) == [2, ["x", None], [1, 2, 3], None, {"a": [7, 5, {"$input": 9}]}]


def test_a_list_is_sent_as_items_and_nothing_as_nothing(load):
    outcome = attempt(load, "def t(): return [1, [2], 'x']")
    assert [item.data for item in outcome.succeeded.result.items.items] == [b"1", b"[2]", b'"x"']
    assert not attempt(load, "def t(): pass").succeeded.HasField("result")
    assert result(attempt(load, "async def t():\n    await asyncio.sleep(0)\n    return {'n': 2 ** 80}")) == {
        "n": 2**80
    }


def test_the_context(load):
    function = """
def t():
    c = get_current_context()
    return [c.dag_id, c["run_id"], c.task_id, c.map_index, c.try_number, c.max_tries, c.attempt_id,
            c.logical_date.isoformat(), c.ds, c.data_interval_start, c.run_type, dict(c.conf), dict(c.params)]
"""
    assert result(attempt(load, function, map_index=0, conf={"month": 7, "extra": True})) == [
        "d", "run-1", "t", 0, 2, 3, "attempt-1", "2026-01-02T00:00:00+00:00", "2026-01-02", None, "manual",
        {"month": 7, "extra": True}, {"month": 7, "year": 2026, "extra": True},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "function",
    [
        "def t(context): return context.run_id",
        "def t(c: Context): return c['run_id']",
        "def t(*, c: 'Context | None' = None): return c.run_id",
        "def t():\n    found = []\n"
        "    thread = threading.Thread(target=lambda: found.append(get_current_context().run_id))\n"
        "    thread.start(); thread.join()\n    return found[0]",
        "async def t():\n    return get_current_context().run_id",
    ],
)
def test_the_context_is_found_by_parameter_thread_and_coroutine(load, function):
    assert result(attempt(load, function)) == "run-1"


def test_variables_that_came_with_the_start_cost_no_call(load):
    channel = MemoryChannel(variables={"far": '{"x": 1}'})
    function = """
def t():
    read = [Variable.get("near"), Variable.get("far", deserialize_json=True), Variable.get("none", "default")]
    Variable.set("near", {"y": 2}, serialize_json=True)
    read += [Variable.get("near"), Variable.delete("near"), Variable.delete("near")]
    try:
        Variable.get("near")
    except KeyError as error:
        read.append(str(error))
    return read
"""
    outcome = attempt(load, function, channel=channel, variables=[Variable(key="near", value="here")])
    assert result(outcome) == [
        "here", {"x": 1}, "default", '{"y":2}', True, False,
        "There is no variable 'near'; set it with `crosswind variables set near VALUE`, or give Variable.get a default",
    ]  # fmt: skip
    assert [type(request).__name__ for request in channel.requests] == [
        "GetVariableRequest", "GetVariableRequest", "SetVariableRequest", "DeleteVariableRequest",
        "DeleteVariableRequest", "GetVariableRequest",
    ]  # fmt: skip


def test_connections(load):
    channel = MemoryChannel(connections={"far": Connection(connection_id="far", conn_type="http", extra_json="[]")})
    function = """
def t():
    near, far = Connection.get("near"), Connection.get("far")
    Connection.get("far")
    try:
        far.extra_dejson
    except ValueError as error:
        told = str(error)
    try:
        Connection.get("none")
    except ConnectionNotFound as error:
        return [near.get_uri(), near.port, far.port, told, str(error)]
"""
    near = Connection(connection_id="near", conn_type="ftp", host="h", port=21)
    assert result(attempt(load, function, channel=channel, connections=[near])) == [
        "ftp://h:21", 21, None, "The extra of connection 'far' is not a JSON object",
        "There is no connection 'none'; make it with `crosswind connections set none ...`",
    ]  # fmt: skip
    assert len(channel.requests) == 2


def test_xcoms(load):
    channel = MemoryChannel(xcoms={("up", "k"): to_payload(encode_result([1, 2, 3, 4, 5], what="it"))})
    function = """
def t():
    ti = get_current_context().ti
    ti.xcom_push("mine", {"a": [1]})
    told = []
    for ask in (lambda: ti.xcom_item("up", 9, "k"), lambda: list(ti.xcom_items("none"))):
        try:
            ask()
        except XComNotFound as error:
            told.append(str(error))
    return [ti.xcom_pull("up", "k"), ti.xcom_pull(["up", "none"], "k", default=0), ti.xcom_item("up", -1, "k"),
            list(ti.xcom_items("up", "k")), ti.xcom_pull(), told]
"""
    assert result(attempt(load, function, channel=channel)) == [
        [1, 2, 3, 4, 5], [[1, 2, 3, 4, 5], 0], 5, [1, 2, 3, 4, 5], None,
        ["Task 'up' has written no item 9 under 'k' in this run",
         "Task 'none' has written no list under 'return_value' in this run"],
    ]  # fmt: skip
    assert from_payload(channel.xcoms["", "mine"]) == {"a": [1]}


def test_runs(load):
    channel = MemoryChannel()
    function = """
def t():
    return [trigger_dag_run("other", conf={"a": 1}), trigger_dag_run("other", run_id="mine"),
            get_dag_run_state("d", "r1"), get_dag_run_state("d", "none"), get_task_states()]
"""
    assert result(attempt(load, function, channel=channel)) == [
        "made", "mine", "running", None, {"t": ["succeeded", "failed"]}
    ]  # fmt: skip
    first: Any = channel.requests[0]
    assert first.conf.data == b'{"a":1}'
    assert first.request_id != channel.requests[1].request_id  # type: ignore[attr-defined]  # of that message


def test_the_rest_of_the_client():
    channel = MemoryChannel(xcoms={("a", "k"): payload(1), ("b", "k"): payload(2)})
    client = TaskClient(channel, RunTaskRequest(max_inline_value_bytes=10))
    assert [info.key.task_id for info in client.list_xcoms(XComKey())] == ["a", "b"]
    assert client.delete_xcom("k") is False
    assert client.get_state("k") is None
    assert client.get_previous_dag_run() is None
    client.set_state("k", payload(1))
    client.set_state("k", None)
    assert not channel.requests[-1].write.HasField("value")  # type: ignore[attr-defined]  # of that message
    with pytest.raises(Exception, match=r"The XCom 'k' takes [0-9,]+ bytes, and at most 10 travel inline"):
        client.set_xcom("k", payload("x" * 2000))


def test_outputs_become_xcoms_of_their_own(load):
    outcome = attempt(load, "def t(): return {'a': [1, 2], 'b': None}", decorator="@task(multiple_outputs=True)")
    assert {write.key: from_payload(write.value) for write in outcome.xcoms} == {"a": [1, 2], "b": None}
    assert result(outcome) == {"a": [1, 2], "b": None}
    failed = attempt(load, "def t(): return [1]", decorator="@task(multiple_outputs=True)").failed.failure
    assert (failed.type, failed.message) == (
        "crosswind.ValueNotEncodable",
        "Task 't' has multiple_outputs, so it must return a dict with texts as keys, not list.",
    )


def test_an_exception_is_a_failure_with_the_authors_frames(load):
    function = """
class Bad(ValueError): ...
def deep(): raise Bad("deep \\udc80 down")
def t():
    try:
        deep()
    except Bad as error:
        raise FileNotFoundError(2, "gone") from error
"""
    records = Records()
    failure = attempt(load, function.replace("\ndef t", "\n@task\ndef t"), decorator="", logs=records).failed.failure
    assert failure.type == "FileNotFoundError"
    assert list(failure.base_types) == ["OSError", "Exception", "BaseException"]
    assert failure.message == "[Errno 2] gone"
    assert [(frame.function.partition(".")[2], frame.code) for frame in failure.frames] == [
        ("t", 'raise FileNotFoundError(2, "gone") from error')
    ]
    assert failure.frames[0].line > 0
    assert failure.cause.type.endswith(".Bad")
    assert failure.cause.base_types[0] == "ValueError"
    assert failure.cause.message == "deep ? down"
    assert [frame.function.partition(".")[2] for frame in failure.cause.frames] == ["t", "deep"]
    assert not failure.HasField("retryable")
    (record,) = records.records
    assert record[:2] == ("crosswind.task", "ERROR")
    assert "FileNotFoundError: [Errno 2] gone" in record[2]
    assert "execution.py" not in record[2]


@pytest.mark.parametrize(
    ("body", "retryable", "retry_after"),
    [
        ("raise TaskFailed('x', retryable=False)", False, None),
        ("raise TaskFailed('x', retry_after=timedelta(minutes=1))", True, 60),
        ("raise Retry('x', after=1.5)", True, 1.5),
        ("raise Retry('x')", True, None),
    ],
)
def test_authors_say_more_than_the_policy(load, body, retryable, retry_after):
    failure = attempt(load, f"def t(): {body}").failed.failure
    assert failure.type in ("TaskFailed", "Retry")
    assert failure.message == "x"
    assert failure.retryable is retryable
    assert (
        failure.retry_after.ToTimedelta().total_seconds() if failure.HasField("retry_after") else None
    ) == retry_after


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("sys.exit(3)", "SystemExit", "The task called sys.exit(3)"),
        ("sys.exit('bye')", "SystemExit", "bye"),
        ("raise ValueError", "ValueError", "It raised ValueError and said no more"),
        ("raise BaseException('odd')", "BaseException", "odd"),
        ("t.function()", "RecursionError", "maximum recursion depth"),
        (
            "raise ExceptionGroup('several', [KeyError('k'), ValueError()])",
            "ExceptionGroup",
            "several (2 sub-exceptions)",
        ),
        ("Variable.get('none')", "VariableNotFound", "There is no variable 'none'"),
        ("raise type('Odd', (Exception,), {'__str__': lambda s: 1 / 0})()", "Odd", "whose message cannot be read"),
        ("return {1, 2}", "crosswind.ValueNotEncodable", "The result of task 't' is of type set"),
        ("get_current_context().ti.xcom_push('k', 1j)", "UnsupportedValue", "XCom 'k' of task 't' is of type complex"),
    ],
)
def test_whatever_happens_is_a_failure(load, body, kind, words):
    failure = attempt(load, f"def t(): {body}").failed.failure
    assert failure.type.rpartition(".")[2] == kind.rpartition(".")[2]
    assert words in failure.message
    assert len(failure.frames) <= 200
    if kind == "ExceptionGroup":
        assert failure.cause.type == "KeyError"


def test_a_task_may_leave_well_by_exit(load):
    assert attempt(load, "def t(): sys.exit(0)").WhichOneof("kind") == "succeeded"


def test_a_skip_is_no_failure(load):
    outcome = attempt(load, "def t(): raise Skip('nothing new')")
    assert outcome.skipped.reason == "nothing new"
    assert attempt(load, "async def t(): raise SkipTask").WhichOneof("kind") == "skipped"


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_cancelled_task_may_clean_up(load, prefix, tmp_path):
    def cancel(number, frame):
        raise TaskCancelled

    before = signal.signal(signal.SIGTERM, cancel)
    mark = tmp_path / "cleaned"
    try:
        outcome = attempt(
            load,
            f"{prefix}def t():\n    try:\n        os.kill(os.getpid(), signal.SIGTERM)\n"
            f"    finally:\n        open({str(mark)!r}, 'w').close()",
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    assert outcome.cancelled.how == "exited"
    assert mark.exists()


def test_a_result_over_the_limit_says_by_how_much_and_what_to_do(load):
    for body in (
        "return 'x' * 999",
        "return ['x' * 500, 'x' * 498]",
        "get_current_context().ti.xcom_push('k', 'x' * 999)",
    ):
        failure = attempt(load, f"def t(): {body}", limit=1000).failed.failure
        assert failure.type == "crosswind.ValueTooLarge"
        assert "task 't' takes 1,00" in failure.message
        assert "at most 1,000 travel between tasks; write it to a file or an object store" in failure.message
        assert failure.HasField("retryable")
        assert not failure.retryable
    assert attempt(load, "def t(): return 'x' * 998", limit=1000).WhichOneof("kind") == "succeeded"


@pytest.mark.parametrize(
    ("inputs", "kind", "words"),
    [
        ([InputValue(name="a", payload=Payload(encoding="json/utf-8", data=b"{"))],
         "crosswind.InputNotReadable", "is said to be JSON, but is not"),
        ([InputValue(name="a", payload=Payload(encoding="x/y", data=b""))], "crosswind.InputNotReadable", "'x/y'"),
        ([InputValue(name="a", payload=payload([]), path=[Output.PathStep(index=0)])], "crosswind.InputNotReadable",
         "The upstream task returned a list of 0 items, in which there is no [0]"),
        ([InputValue(name="a", composite=CompositeValue(template_json='{"$input":3}'))],
         "crosswind.InputNotReadable", "part 3"),
        ([given("b", 1)], "TypeError", "Task 't': it has no parameter 'b'; its parameters are (a)"),
        ([given("a", 1), InputValue(position=5, payload=payload(1))], "TypeError", "no argument at position 5"),
        ([given("a", 1), InputValue(position=0, payload=payload(1))], "TypeError", "'a' was given two values"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit(load, inputs, kind, words):
    failure = attempt(load, "def t(a): return a", *inputs, call="t(1)").failed.failure
    assert failure.type == kind
    assert words in failure.message


def test_a_missing_entry_point_is_told(load):
    failure = attempt(load, "def t(): pass", entry_point="d.gone").failed.failure
    assert failure.type == "crosswind.EntryPointMissing"
    assert "Bundle 'tested' at version" in failure.message
    assert "has no task 'd.gone'" in failure.message


def test_an_offered_task_runs_for_another_bundles_dag(load):
    loaded = load({"lib.py": "from crosswind import task\n@task\ndef add(a, b=1): return a + b\n"})
    assert loaded.manifest("v").offered_tasks[0].entry_point == "lib:add"
    request = RunTaskRequest()
    request.context.entry_point = "lib:add"
    request.context.task_instance.dag_id = "theirs"
    request.context.inputs.extend([InputValue(position=0, payload=payload(4))])
    assert result(run_attempt(loaded, request, TaskClient(MemoryChannel())).outcome) == 5


def test_a_task_called_inside_a_task_is_a_call(load):
    function = "def t(): return inner(1)\n@task\ndef inner(x): return x + 1"
    assert result(attempt(load, function)) == 2


def test_logging_reaches_the_handler_for_the_time_of_the_task(load):
    records = Records()
    level = logging.getLogger().level
    attempt(
        load,
        "def t():\n    logging.getLogger('crosswind.task').info('from %s', 'task')\n"
        "    logging.getLogger('mine').debug('too fine')\n    logging.warning('root')",
        logs=records,
    )
    assert records.records == [("crosswind.task", "INFO", "from task"), ("root", "WARNING", "root")]
    assert records not in logging.getLogger().handlers
    assert logging.getLogger().level == level


def test_results_are_plain_json_for_every_other_language(load):
    outcome = attempt(load, "def t(): return {'n': 10 ** 30, 'ü': [None, True, 1.5]}")
    assert json.loads(outcome.succeeded.result.data) == {"n": 10**30, "ü": [None, True, 1.5]}
    assert outcome.succeeded.result.data == '{"n":1000000000000000000000000000000,"ü":[null,true,1.5]}'.encode()


def test_an_object_of_named_arguments_gives_each_of_them(load: Any) -> None:
    function = "def t(a, b=2, *, c):\n    return [a, b, c]"
    outcome = attempt(load, function, given("", {"c": 3, "b": 5}), given("a", 1, position=0), call="t(1, c=1)")
    assert result(outcome) == [1, 5, 3]
    refused = attempt(load, function, given("", [1]), call="t(1, c=1)")
    assert refused.failed.failure.type == "crosswind.InputNotReadable"
    assert "expand_kwargs" in refused.failed.failure.message
