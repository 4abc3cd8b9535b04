import pytest
from google.protobuf.duration_pb2 import Duration

from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.client.errors import INVALID_ARGUMENT, NOT_FOUND, CallError
from crosswind.execution.v1 import failure_pb2, lease_pb2, outcome_pb2
from crosswind.runtime.executor import TaskEnd
from crosswind.runtime.verdicts import Ending, judge

SUCCEEDED = outcome_pb2.Outcome(succeeded=outcome_pb2.Succeeded())
FAILED = outcome_pb2.Outcome(failed=outcome_pb2.Failed(failure=failure_pb2.Failure(type="ValueError")))
CONTEXT = lease_pb2.TaskContext(execution_timeout=Duration(seconds=5))


def ended(outcome: outcome_pb2.Outcome | None = None, **how) -> TaskEnd:
    response = None if outcome is None else bundle_service_pb2.RunTaskResponse(outcome=outcome).SerializeToString()
    return TaskEnd(response=response, **how)


def decide(end: TaskEnd, ending: Ending = Ending.NONE, *, killed: bool = False) -> outcome_pb2.Outcome | None:
    return judge(end, ending, context=CONTEXT, killed=killed, stderr_tail="the tail")


def test_an_outcome_stands():
    assert decide(ended(SUCCEEDED, exit_code=0)) == SUCCEEDED
    assert decide(ended(FAILED, exit_code=0)) == FAILED


def test_an_outcome_of_a_kind_that_only_a_newer_bundle_knows_is_passed_on_as_it_is():
    newer = outcome_pb2.Outcome.FromString(b"\xa2\x06\x02hi")  # field 100
    outcome = decide(ended(newer, exit_code=0))
    assert outcome is not None
    assert outcome.SerializeToString() == b"\xa2\x06\x02hi"


def test_an_outcome_stands_even_where_the_process_died_afterwards():
    assert decide(ended(SUCCEEDED, signal_name="SIGSEGV")) == SUCCEEDED


@pytest.mark.parametrize(
    ("end", "code", "signal_name", "words"),
    [
        (ended(exit_code=7), 7, "", "exited with code 7"),
        (ended(exit_code=0), 0, "", "exited with code 0"),
        (ended(signal_name="SIGKILL"), None, "SIGKILL", "memory"),
        (ended(signal_name="SIGSEGV"), None, "SIGSEGV", "SIGSEGV"),
        (ended(detail="Nobody knows."), None, "", "Nobody knows."),
        (TaskEnd(response=b"\xff\xff", exit_code=0), 0, "", "exited"),
        (TaskEnd(response=b"", exit_code=0), 0, "", "exited"),
    ],
)
def test_an_end_without_an_outcome_is_a_death(end, code, signal_name, words):
    outcome = decide(end)
    assert outcome is not None
    failure = outcome.failed.failure
    assert failure.type == "crosswind.ProcessDied"
    assert words in failure.message
    assert (failure.exit.code if failure.exit.HasField("code") else None) == code
    assert failure.exit.signal == signal_name
    assert failure.exit.stderr_tail == "the tail"


@pytest.mark.parametrize(
    ("end", "killed", "how"),
    [
        (ended(FAILED, exit_code=0), False, "exited"),
        (ended(SUCCEEDED, exit_code=0), False, "exited"),
        (ended(signal_name="SIGTERM"), False, "terminated"),
        (ended(signal_name="SIGKILL"), True, "killed"),
    ],
)
def test_a_cancelled_attempt_ends_as_cancelled(end, killed, how):
    outcome = decide(end, Ending.CANCEL, killed=killed)
    assert outcome is not None
    assert outcome.cancelled.how == how


def test_a_timeout_is_a_failure_unless_the_task_had_succeeded():
    assert decide(ended(SUCCEEDED, exit_code=0), Ending.TIMEOUT) == SUCCEEDED
    for end in (ended(FAILED, exit_code=0), ended(signal_name="SIGKILL")):
        outcome = decide(end, Ending.TIMEOUT)
        assert outcome is not None
        assert outcome.failed.failure.type == "crosswind.ExecutionTimeout"
        assert "5 s" in outcome.failed.failure.message


def test_a_stopping_worker_gives_unfinished_attempts_back():
    assert decide(ended(SUCCEEDED, exit_code=0), Ending.STOP) == SUCCEEDED
    assert decide(ended(FAILED, exit_code=0), Ending.STOP) is None
    assert decide(ended(signal_name="SIGTERM"), Ending.STOP) is None


@pytest.mark.parametrize("ending", [Ending.LOST, Ending.PARTITION])
def test_what_is_lost_has_no_outcome(ending):
    assert ending.is_immediate
    assert decide(ended(SUCCEEDED, exit_code=0), ending) is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (CallError(INVALID_ARGUMENT, "VALUE_TOO_LARGE", "too large"), "crosswind.ValueTooLarge"),
        (CallError(NOT_FOUND, "TASK_NOT_FOUND", "no such task"), "crosswind.EntryPointMissing"),
        (CallError(NOT_FOUND, "", "something else"), "crosswind.BundleBroken"),
    ],
)
def test_a_task_that_could_not_be_run_is_not_tried_again(error, kind):
    outcome = decide(ended(refusal=error, exit_code=0))
    assert outcome is not None
    assert outcome.failed.failure.type == kind
    assert outcome.failed.failure.message == error.message
    assert not outcome.failed.failure.retryable
