"""Questions of tasks to people: asking them, and what becomes of those that nobody answers in time.

Answering one is a call of its own, see `answers`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from crosswind_server import manifests
from crosswind_server.domain.ids import uuid7
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.failing import fail_wait
from crosswind_server.services.flow.rows import Instance
from crosswind_server.services.flow.waiting import Question
from crosswind_server.store import input_requests

TIMED_OUT: Final = "crosswind.InputTimedOut"


def ask(board: Board, asked: Sequence[tuple[Instance, Question]]) -> None:
    """Ask people what task instances want to know."""
    rows = [
        {
            "id": str(uuid7(board.uow.now)),
            "team": instance.team,
            "run_key": instance.run_key,
            "task_instance_id": instance.id,
            "state": "open",
            "subject": question.subject,
            "body": question.body,
            "options_json": json.dumps(question.options),
            "default_options_json": json.dumps(question.default_options),
            "multiple": question.multiple,
            "fields_schema_json": question.fields_schema_json,
            "respondents_json": json.dumps(question.respondents),
            "created_time": board.uow.now,
            "expire_time": instance.not_before,
        }
        for instance, question in asked
    ]
    input_requests.add(board.uow, rows)
    for instance, _ in asked:
        board.uow.hint(input_requests.topic(instance.team))


def expire(board: Board, waiting: Sequence[Instance]) -> None:
    """Let the time pass in which people could answer: the default options are chosen, or the try fails."""
    asked = {row.task_instance_id: row for row in input_requests.open_of(board.uow, [each.id for each in waiting])}
    closed = []
    for instance in waiting:
        row = asked[instance.id]
        chosen = json.loads(row.default_options_json)
        closed.append(
            {
                "id": row.id,
                "state": "expired",
                "chosen_options_json": row.default_options_json if chosen else None,
                "answer_time": board.uow.now if chosen else None,
            }
        )
        board.uow.hint(input_requests.topic(instance.team))
        if not chosen:
            text = "Nobody answered the question in time, and it has no default options."
            fail_wait(board, instance, TIMED_OUT, text)
            continue
        answer = manifests.answer_payload(chosen, None, "")
        instance.resumption_message = manifests.timed_out(instance.resumption_message, answer)
        board.queue(instance)
    input_requests.close(board.uow, closed)
