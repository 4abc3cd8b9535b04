"""`crosswind inputs`: questions that tasks ask people."""

import json
import sys
from typing import Annotated

import typer

from crosswind.cli.failures import usage_error
from crosswind.cli.output import Output, print_json, print_line, print_rows
from crosswind.cli.rows import to_object
from crosswind.cli.session import Session, command
from crosswind.client.control_client import ControlClient, new_request_id
from crosswind.control.v1.input_requests_pb2 import (
    AnswerInputRequestRequest,
    InputRequest,
    InputRequestState,
    ListInputRequestsRequest,
)
from crosswind.value.v1.value_pb2 import Payload

app = typer.Typer(help="Questions that tasks ask people.", no_args_is_help=True)

COLUMNS = ("input_request_id", "state", "dag_id", "run_id", "task_id", "subject", "options", "expire_time")
SPARE = ("expire_time", "run_id", "options", "state")
_PREFIX = "INPUT_REQUEST_STATE_"
_STATES = {name.removeprefix(_PREFIX).lower(): number for name, number in InputRequestState.items() if number}


@command(app, "list")
def list_inputs(
    session: Session,
    dag_id: Annotated[str, typer.Argument(metavar="[DAG]", help="Only questions of this DAG.")] = "",
    state: Annotated[
        list[str] | None, typer.Option(help="Only those in this state, else open ones. May be repeated.")
    ] = None,
) -> None:
    """Lists questions, the oldest first."""
    unknown = [word for word in state or [] if word not in _STATES]
    if unknown:
        raise usage_error(f"'{unknown[0]}' is no state of a question; use one of {', '.join(sorted(_STATES))}.")
    client = session.client
    request = ListInputRequestsRequest(dag_id=dag_id, states=[InputRequestState.Name(_STATES[w]) for w in state or []])
    found = client.list_rows(client.input_requests.ListInputRequests, request, "input_requests")
    print_rows(map(to_object, found), COLUMNS, output=session.output, spare=SPARE, empty="Nobody is asked anything.")


@command(app, "answer")
def answer_input(
    session: Session,
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The question, as `inputs list` shows it.")],
    option: Annotated[list[str] | None, typer.Option(help="The option to choose. May be repeated.")] = None,
    fields: Annotated[str, typer.Option(help="The fields to fill in: a JSON object.")] = "",
) -> None:
    """Answers a question; its task goes on. On a terminal it asks for what was not given."""
    client = session.client
    chosen = list(option or [])
    if not chosen and not fields and sys.stdin.isatty():
        chosen, fields = _ask(_find(client, request_id))
    request = AnswerInputRequestRequest(
        input_request_id=request_id, chosen_options=chosen, fields=_read_fields(fields), request_id=new_request_id()
    )
    answered = client.call(client.input_requests.AnswerInputRequest, request).input_request
    if session.output is Output.JSON:
        print_json(to_object(answered))
        return
    print_line(f"Answered '{answered.subject}'; {answered.dag_id} {answered.run_id} {answered.task_id} goes on.")


def _find(client: ControlClient, request_id: str) -> InputRequest:
    request = ListInputRequestsRequest()
    for found in client.list_rows(client.input_requests.ListInputRequests, request, "input_requests"):
        if isinstance(found, InputRequest) and found.input_request_id == request_id:
            return found
    raise usage_error(f"There is no open question '{request_id}'; `crosswind inputs list` shows those that wait.")


def _ask(question: InputRequest) -> tuple[list[str], str]:
    """What the person at the terminal answers."""
    print_line(question.subject)
    if question.body:
        print_line(question.body)
    chosen: list[str] = []
    if question.options:
        words = ", ".join(question.options)
        text = typer.prompt(f"Choose {'some' if question.multiple else 'one'} of {words}")
        chosen = [word.strip() for word in text.split(",")] if question.multiple else [text]
    if not question.fields_schema_json:
        return chosen, ""
    print_line(f"Fields: {question.fields_schema_json}")
    return chosen, typer.prompt("The fields as a JSON object")


def _read_fields(text: str) -> Payload | None:
    if not text:
        return None
    try:
        if not isinstance(json.loads(text), dict):
            raise ValueError
    except ValueError:
        raise usage_error("--fields is a JSON object, such as '{\"amount\": 3}'.") from None
    return Payload(encoding="json/utf-8", data=text.encode())
