"""EventService and InputRequestService: what comes from outside and what people answer, for tasks that wait for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crosswind.control.v1 import events_pb2, events_pb2_grpc, input_requests_pb2, input_requests_pb2_grpc
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server import manifests
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.messages import change, invalid, read_or_wait, read_page, required, span_us, timestamp
from crosswind_server.rpc.messages import wait_seconds as read_wait
from crosswind_server.services.dependencies import Services, UnitOfWork
from crosswind_server.services.interventions import answers, deliveries
from crosswind_server.services.listing import input_listing

_I = input_requests_pb2
_PREFIX = "INPUT_REQUEST_STATE_"
_STATES: Mapping[str, Any] = {
    state: _I.InputRequestState.Value(_PREFIX + state.upper()) for state in input_listing.STATES
}
_NAMES = {number: name for name, number in _STATES.items()}


class EventServicer(events_pb2_grpc.EventServiceServicer):
    """Named events from outside."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def DeliverEvent(
        self, request: events_pb2.DeliverEventRequest, context: ServicerContext
    ) -> events_pb2.DeliverEventResponse:
        payload = None
        if request.HasField("payload"):
            manifests.value_of(request.payload, what="The payload of an event")
            payload = request.payload.SerializeToString(deterministic=True)
        command = deliveries.DeliverEvent(
            team=caller().team,
            name=required(request.name, "name"),
            payload=payload,
            dag_id=request.dag_id,
            run_id=request.run_id,
            keep_us=span_us(request.keep),
        )
        plans = self._services.heart.plans

        def act(uow: UnitOfWork) -> events_pb2.DeliverEventResponse:
            return events_pb2.DeliverEventResponse(delivered_count=deliveries.deliver(uow, plans, command))

        return await change(self._services, request, events_pb2.DeliverEventResponse, act)


class InputRequestServicer(input_requests_pb2_grpc.InputRequestServiceServicer):
    """Questions of tasks, for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListInputRequests(
        self, request: _I.ListInputRequestsRequest, context: ServicerContext
    ) -> _I.ListInputRequestsResponse:
        team = caller().team
        wait = read_wait(request.wait)
        if wait > 0 and request.page_token:
            raise invalid("wait", "`wait` is for the first page; leave it or `page_token` out.")
        if request.run_id and not request.dag_id:
            raise invalid("dag_id", "`run_id` names a run of a DAG; give `dag_id` too.")
        states = [_state_name(state) for state in request.states] or ["open"]
        page = read_page(request, team)
        rows = await read_or_wait(
            self._services,
            lambda _: [input_listing.topic(team)],
            lambda uow: input_listing.list_requests(
                uow,
                team,
                states=states,
                dag_id=request.dag_id,
                run_id=request.run_id,
                after_id=str(page.after[0]) if page.after else None,
                limit=page.limit,
            ),
            done=bool,
            wait=wait,
        )
        shown, token = page.split(rows, lambda row: [row.id])
        return _I.ListInputRequestsResponse(input_requests=map(request_message, shown), next_page_token=token)

    async def AnswerInputRequest(
        self, request: _I.AnswerInputRequestRequest, context: ServicerContext
    ) -> _I.AnswerInputRequestResponse:
        who = caller()
        command = answers.AnswerInput(
            team=who.team,
            request_id=required(request.input_request_id, "input_request_id"),
            respondent=who.subject,
            chosen_options=tuple(request.chosen_options),
            fields=request.fields.SerializeToString(deterministic=True) if request.HasField("fields") else None,
        )
        plans = self._services.heart.plans

        def act(uow: UnitOfWork) -> _I.AnswerInputRequestResponse:
            return _I.AnswerInputRequestResponse(input_request=request_message(answers.answer(uow, plans, command)))

        return await change(self._services, request, _I.AnswerInputRequestResponse, act)


def _state_name(state: int) -> str:
    name = _NAMES.get(state)
    if name is None:
        raise invalid("states", "`states` names states of input requests; UNSPECIFIED is none.")
    return name


def request_message(row: Any) -> _I.InputRequest:
    """A question as people see it."""
    message = _I.InputRequest(
        input_request_id=row.id,
        state=_STATES[row.state],
        dag_id=row.dag_id,
        run_id=row.run_id,
        task_id=row.task_id,
        map_index=row.map_index if row.map_index >= 0 else None,
        subject=row.subject,
        body=row.body,
        options=json.loads(row.options_json),
        default_options=json.loads(row.default_options_json),
        multiple=row.multiple,
        fields_schema_json=row.fields_schema_json,
        respondents=json.loads(row.respondents_json),
        create_time=timestamp(row.created_time),
        expire_time=timestamp(row.expire_time),
    )
    if row.answer_time is not None:
        message.answer.CopyFrom(
            _I.InputAnswer(
                chosen_options=json.loads(row.chosen_options_json),
                fields=Payload.FromString(row.fields_message) if row.fields_message is not None else None,
                respondent=row.respondent or "",
                answer_time=timestamp(row.answer_time),
            )
        )
    return message
