"""What tasks that give their slots away wait for, from the messages of their outcomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from crosswind.execution.v1 import lease_pb2, outcome_pb2
from crosswind_server import manifests
from crosswind_server.domain.inputs import check_question
from crosswind_server.domain.schedule import ScheduledRun
from crosswind_server.rpc.messages import invalid, microseconds, required, span_us
from crosswind_server.services.execution.attempts import Wake
from crosswind_server.services.flow.timetables import MOST_DATES
from crosswind_server.services.flow.waiting import Question, Wait
from crosswind_server.services.interventions.deliveries import check_name

_LONGEST_ENTRY_POINT: Final = 500


def read_wake(outcome: outcome_pb2.Outcome) -> Wake | None:
    """What wakes a deferred, rescheduled or asking task; None: it is none. Raises `Refused`: INVALID_ARGUMENT."""
    match outcome.WhichOneof("kind"):
        case "rescheduled":
            return _read_moment(outcome.rescheduled, "outcome.rescheduled")
        case "deferred":
            return _complete(_read_deferral(outcome.deferred), outcome.deferred)
        case "awaiting_input":
            question = _read_question(outcome.awaiting_input)
            return _complete(Wake(wait=Wait(question=question)), outcome.awaiting_input)
        case _:
            return None


def read_next_runs(outcome: outcome_pb2.Outcome) -> tuple[ScheduledRun, ...]:
    """The runs that a timetable wants next. Raises `Refused`: INVALID_ARGUMENT."""
    wanted = outcome.succeeded.next_runs
    field = "outcome.succeeded.next_runs"
    if len(wanted) > MOST_DATES:
        raise invalid(field, f"A timetable names at most {MOST_DATES} runs at once; name fewer.")
    return tuple(_read_next_run(each, field) for each in wanted)


def _read_next_run(run: lease_pb2.NextRun, field: str) -> ScheduledRun:
    if not run.HasField("logical_time"):
        raise invalid(f"{field}.logical_time", f"`{field}` says what each run stands for; set `logical_time`.")
    if run.HasField("data_interval_start_time") is not run.HasField("data_interval_end_time"):
        raise invalid(f"{field}.data_interval_end_time", f"`{field}` has half a data interval; set both of its ends.")
    logical = microseconds(run.logical_time, f"{field}.logical_time")
    start = end = None
    if run.HasField("data_interval_start_time"):
        start = microseconds(run.data_interval_start_time, f"{field}.data_interval_start_time")
        end = microseconds(run.data_interval_end_time, f"{field}.data_interval_end_time")
    due = logical if end is None else end
    if run.HasField("run_after_time"):
        due = microseconds(run.run_after_time, f"{field}.run_after_time")
    return ScheduledRun(logical, start, end, due)


def _read_deferral(deferred: outcome_pb2.Deferred) -> Wake:
    match deferred.WhichOneof("wake"):
        case "event":
            return Wake(wait=Wait(event=check_name(deferred.event.name, "outcome.deferred.event.name")))
        case "trigger":
            field = "outcome.deferred.trigger.entry_point"
            if not 1 <= len(deferred.trigger.entry_point) <= _LONGEST_ENTRY_POINT:
                raise invalid(field, f"`{field}` has 1 to {_LONGEST_ENTRY_POINT} characters.")
            arguments = None
            if deferred.trigger.HasField("arguments"):
                manifests.value_of(deferred.trigger.arguments, what="The arguments of a trigger")
                arguments = deferred.trigger.arguments.SerializeToString(deterministic=True)
            return Wake(wait=Wait(trigger=deferred.trigger.entry_point, arguments=arguments))
        case _:
            return _read_moment(deferred, "outcome.deferred")


def _read_moment(wake: outcome_pb2.Deferred | outcome_pb2.Rescheduled, field: str) -> Wake:
    match wake.WhichOneof("wake"):
        case "time":
            return Wake(time_us=microseconds(wake.time, f"{field}.time"))
        case "delay":
            return Wake(delay_us=max(0, span_us(wake.delay)))
        case _:
            raise invalid(field, f"`{field}` says when the task goes on; set one of its kinds of `wake`.")


def _complete(wake: Wake, outcome: outcome_pb2.Deferred | outcome_pb2.AwaitingInput) -> Wake:
    """The same with what the task goes on with, and how long it waits at most."""
    resumption = lease_pb2.Resumption(method=outcome.method)
    if outcome.HasField("state"):
        manifests.value_of(outcome.state)
        resumption.state.CopyFrom(outcome.state)
    wake = replace(wake, resumption=resumption.SerializeToString())
    if not outcome.HasField("timeout"):
        return wake
    resumption.timed_out = True
    timeout_us = max(0, span_us(outcome.timeout))
    return replace(wake, timeout_us=timeout_us, resumption_timed_out=resumption.SerializeToString())


def _read_question(asked: outcome_pb2.AwaitingInput) -> Question:
    field = "outcome.awaiting_input"
    wrong = check_question(asked.options, asked.default_options, multiple=asked.multiple)
    if wrong is not None:
        raise invalid(field, f"The question of the task is not valid: {wrong}; ask it otherwise.")
    return Question(
        subject=required(asked.subject, f"{field}.subject"),
        body=asked.body,
        options=tuple(asked.options),
        default_options=tuple(asked.default_options),
        multiple=asked.multiple,
        fields_schema_json=asked.fields_schema_json,
        respondents=tuple(asked.respondents),
    )
