"""Answering a question of a task: the first answer that is committed stands. [SCHED-1]"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from crosswind_server import manifests
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.inputs import check_answer
from crosswind_server.domain.states import TaskState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import progress
from crosswind_server.services.flow.board import Board
from crosswind_server.store import input_requests
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerInput:
    """A person answers.

    Args:
        respondent: the subject of the person's token.
        fields: a serialized payload with a JSON object; None: none are given.
    """

    team: str
    request_id: str
    respondent: str
    chosen_options: tuple[str, ...] = ()
    fields: bytes | None = None


def answer(uow: UnitOfWork, plans: PlanCache, command: AnswerInput) -> Row[Any]:
    """Answer a question and make its task instance ready; answers the request afterwards.

    Raises:
        Refused: INPUT_REQUEST_NOT_FOUND, INPUT_REQUEST_CLOSED, PERMISSION_DENIED, INVALID_ARGUMENT or
            VALUE_TOO_LARGE.
    """
    found = find(uow, command.team, command.request_id)
    board = Board(uow, plans)
    board.lock_runs({found.run_key})
    asked = find(uow, command.team, command.request_id)
    if asked.state != "open":
        raise Refused(
            Reason.INPUT_REQUEST_CLOSED,
            f"The question '{command.request_id}' is {asked.state} and takes no answer any more.",
            metadata={"input_request_id": command.request_id, "state": asked.state.upper()},
        )
    respondents = json.loads(asked.respondents_json)
    if respondents and command.respondent not in respondents:
        raise Refused(
            Reason.PERMISSION_DENIED,
            f"The question is for others to answer, and not for '{command.respondent}'; ask one of them.",
            metadata={"input_request_id": command.request_id, "subject": command.respondent},
        )
    check_answer(
        json.loads(asked.options_json),
        command.chosen_options,
        multiple=asked.multiple,
        wants_fields=bool(asked.fields_schema_json),
        has_fields=command.fields is not None,
    )
    if command.fields is not None:
        manifests.check_fields(command.fields, asked.fields_schema_json)
    input_requests.close(
        uow,
        [
            {
                "id": asked.id,
                "state": "answered",
                "chosen_options_json": json.dumps(command.chosen_options),
                "fields_message": command.fields,
                "respondent": command.respondent,
                "answer_time": uow.now,
            }
        ],
    )
    board.load_instances({asked.task_instance_id})
    instance = board.instances[asked.task_instance_id]
    if instance.state != TaskState.AWAITING_INPUT:
        raise RuntimeError("A question is open although its task instance does not wait for it.")
    payload = manifests.answer_payload(command.chosen_options, command.fields, command.respondent)
    board.resume(instance, payload)
    uow.hint(input_requests.topic(command.team))
    progress.advance(board)
    return find(uow, command.team, command.request_id)


def find(uow: UnitOfWork, team: str, request_id: str) -> Row[Any]:
    """A question. Raises `Refused`: INPUT_REQUEST_NOT_FOUND."""
    row = input_requests.get(uow, request_id, team)
    if row is None:
        raise Refused(
            Reason.INPUT_REQUEST_NOT_FOUND,
            f"There is no question '{request_id[:80]}'; `crosswind inputs list` shows those that wait.",
            metadata={"input_request_id": request_id[:80]},
        )
    return row
