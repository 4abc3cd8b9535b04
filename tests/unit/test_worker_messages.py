"""What a worker's messages become, and which are refused before anything is asked of the database."""

import uuid

import pytest
from google.protobuf.duration_pb2 import Duration

from crosswind.execution.v1 import outcome_pb2, worker_service_pb2
from crosswind.execution.v1.failure_pb2 import Failure
from crosswind.execution.v1.lease_pb2 import AttemptRef, Resumption
from crosswind.execution.v1.worker_service_pb2 import ResourceUsage as Usage
from crosswind.value.v1.value_pb2 import BlobReference, Item, Items, Payload
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.lifecycle import Event
from crosswind_server.rpc.worker_messages import read_finish, read_ref
from crosswind_server.timing import LIMITS

JSON = "json/utf-8"


def finish(**outcome: object) -> worker_service_pb2.FinishAttemptRequest:
    return worker_service_pb2.FinishAttemptRequest(
        attempt=AttemptRef(attempt_id="a", lease=b"x" * 16),
        outcome_id=str(uuid.uuid4()),
        outcome=outcome_pb2.Outcome(**outcome),  # type: ignore[arg-type]  # as given
    )


def succeeded(result: Payload) -> outcome_pb2.Succeeded:
    return outcome_pb2.Succeeded(result=result)


def test_a_result_is_the_xcom_of_its_key_and_a_list_stays_a_list():
    command = read_finish(finish(succeeded=succeeded(Payload(encoding=JSON, items=Items(items=[Item(data=b"1")])))))
    assert command.event is Event.FINISH_SUCCEEDED
    ((key, value),) = command.values
    assert (key, value.items, value.data) == ("return_value", (b"1",), None)
    (empty,) = read_finish(finish(succeeded=succeeded(Payload(encoding=JSON, items=Items())))).values
    assert empty[1].items == ()


def test_a_branch_that_follows_nothing_is_not_one_that_is_absent():
    nothing = outcome_pb2.Succeeded(branch=outcome_pb2.BranchChoice())
    chosen = outcome_pb2.Succeeded(branch=outcome_pb2.BranchChoice(follow_ids=["a", "b"]), skip_all_downstream=False)
    read = [read_finish(finish(succeeded=each)) for each in (outcome_pb2.Succeeded(), nothing, chosen)]
    assert [each.follow_ids for each in read] == [None, (), ("a", "b")]
    assert [each.skip_all_downstream for each in read] == [None, None, False]


@pytest.mark.parametrize(
    "outcome",
    [
        {"succeeded": succeeded(Payload(encoding=JSON, blob=BlobReference(blob_id="b")))},
    ],
    ids=["blob"],
)
def test_what_the_server_cannot_do_yet_is_refused_as_not_supported(outcome: dict[str, object]):
    with pytest.raises(Refused) as refusal:
        read_finish(finish(**outcome))
    assert refusal.value.reason is Reason.NOT_SUPPORTED


def test_a_value_over_the_limit_is_refused_with_both_sizes():
    with pytest.raises(Refused) as refusal:
        read_finish(
            finish(succeeded=succeeded(Payload(encoding=JSON, data=b"x" * (LIMITS.max_inline_value_bytes + 1))))
        )
    assert refusal.value.reason is Reason.VALUE_TOO_LARGE
    assert refusal.value.metadata["limit_bytes"] == str(LIMITS.max_inline_value_bytes)


@pytest.mark.parametrize(
    "request_",
    [
        finish(),
        finish(deferred=outcome_pb2.Deferred()),
        finish(deferred=outcome_pb2.Deferred(event=outcome_pb2.NamedEvent())),
        finish(deferred=outcome_pb2.Deferred(event=outcome_pb2.NamedEvent(name="x" * 501))),
        finish(deferred=outcome_pb2.Deferred(trigger=outcome_pb2.Trigger())),
        finish(awaiting_input=outcome_pb2.AwaitingInput()),
        finish(awaiting_input=outcome_pb2.AwaitingInput(subject="Really?", default_options=["yes"])),
        finish(awaiting_input=outcome_pb2.AwaitingInput(subject="Really?", options=["yes", "yes"])),
        finish(succeeded=succeeded(Payload(encoding=JSON))),
        finish(succeeded=succeeded(Payload(data=b"1"))),
        finish(failed=outcome_pb2.Failed(failure=Failure(message="no type"))),
        worker_service_pb2.FinishAttemptRequest(attempt=AttemptRef(attempt_id="a", lease=b"short")),
    ],
    ids=[
        "no kind",
        "no moment",
        "no event",
        "long event",
        "no trigger",
        "no question",
        "wrong default",
        "one option twice",
        "no content",
        "no encoding",
        "no type",
        "no lease",
    ],
)
def test_a_message_that_says_too_little_is_refused(request_: worker_service_pb2.FinishAttemptRequest):
    with pytest.raises(Refused) as refusal:
        read_finish(request_)
    assert refusal.value.reason is Reason.INVALID_ARGUMENT


def test_a_deferral_carries_what_its_next_attempt_gets():
    deferred = outcome_pb2.Deferred(delay=Duration(seconds=60), timeout=Duration(seconds=5), method="resume")
    wake = read_finish(finish(deferred=deferred)).wake
    assert wake is not None
    assert (wake.delay_us, wake.timeout_us) == (60_000_000, 5_000_000)
    assert wake.resumption is not None
    assert wake.resumption_timed_out is not None
    assert Resumption.FromString(wake.resumption) == Resumption(method="resume")
    assert Resumption.FromString(wake.resumption_timed_out) == Resumption(method="resume", timed_out=True)


def test_a_long_failure_message_is_cut_and_the_rest_is_kept():
    failure = Failure(type="E", base_types=["B"], message="x" * 100_000, retryable=False)
    facts = read_finish(finish(failed=outcome_pb2.Failed(failure=failure))).failure
    assert facts is not None
    assert (facts.types, facts.retryable) == (("E", "B"), False)
    assert len(Failure.FromString(facts.message).message) <= 16 * 1024


@pytest.mark.parametrize(
    ("usage", "cpu_time_us", "max_memory_bytes"),
    [
        (None, None, None),
        (Usage(), None, None),
        (Usage(cpu_time=Duration(), max_memory_bytes=-1), 0, None),
        (Usage(cpu_time=Duration(seconds=2, nanos=5_999), max_memory_bytes=2**63 - 1), 2_000_005, 2**63 - 1),
        (Usage(cpu_time=Duration(seconds=-1)), 0, None),
        (Usage(cpu_time=Duration(seconds=2**63 - 1)), 315_576_000_000_000_000, None),
    ],
    ids=["none", "empty", "zero", "both", "below zero", "more than a database holds"],
)
def test_no_usage_is_worth_refusing_an_outcome(
    usage: Usage | None, cpu_time_us: int | None, max_memory_bytes: int | None
):
    request = finish(skipped=outcome_pb2.Skipped())
    if usage is not None:
        request.usage.CopyFrom(usage)
    command = read_finish(request)
    assert (command.cpu_time_us, command.max_memory_bytes) == (cpu_time_us, max_memory_bytes)


def test_an_attempt_is_named_by_its_id_and_sixteen_bytes():
    assert read_ref(AttemptRef(attempt_id="a", lease=b"y" * 16)) == ("a", b"y" * 16)
