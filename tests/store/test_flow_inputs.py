"""Questions of tasks to people: asked, answered once, by whom they are for, or not in time."""

import json
from typing import Any

import pytest

from crosswind.execution.v1.failure_pb2 import Failure
from crosswind_server.domain.errors import Refused
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.flow.waiting import Question, Wait
from crosswind_server.services.interventions.answers import AnswerInput, answer
from crosswind_server.services.listing import input_listing
from crosswind_server.store.group_commit import each
from tests.store.dags import dag_of, json_payload, task
from tests.store.flow import TEAM, Flow, Worker, brought, refused, resumed

MINUTE_US = 60_000_000
NOBODY = "00000000-0000-7000-8000-000000000000"


class Asking:
    """A run whose only task asks people."""

    def __init__(self, flow: Flow, *, timeout_us: int | None = None, retries: int = 0, **question: Any) -> None:
        self.flow = flow
        self.worker = flow.register()
        question.setdefault("options", ("yes", "no"))
        self.question = Question(subject="Really?", **question)
        flow.publish(dag_of("d", task("a", retries=retries, delay=0)), to=self.worker)
        self.run = flow.trigger("d")
        self.ask(timeout_us=timeout_us)

    def ask(self, **fields: Any) -> None:
        """Take the task, and let it ask."""
        (lease,) = self.flow.take(self.worker)
        self.flow.defer(lease, self.worker, Wait(question=self.question), method="go_on", **fields)

    def requests(self, *states: str) -> list[Any]:
        """The questions in some states; open ones by default."""
        return list(
            self.flow.store.read_blocking(
                lambda uow: input_listing.list_requests(
                    uow, TEAM, states=states or ("open",), dag_id="d", run_id="", after_id=None, limit=10
                )
            )
        )

    def answer(self, *chosen: str, fields: Any = None, who: str = "ann", request_id: str | None = None) -> Any:
        """A person answers."""
        command = AnswerInput(
            team=TEAM,
            request_id=request_id or self.requests("open", "answered", "expired", "cancelled")[-1].id,
            respondent=who,
            chosen_options=chosen,
            fields=None if fields is None else json_payload(fields).SerializeToString(),
        )
        plans = self.flow.heart.plans
        return self.flow.store.write_blocking(each(lambda uow, _: answer(uow, plans, command)), None)

    def go_on(self) -> tuple[Lease, Any]:
        """The next attempt of the task, and what it goes on with."""
        (lease,) = self.flow.take(self.worker)
        context = self.flow.start(lease, self.worker)
        return lease, context


def test_a_task_goes_on_with_the_answer(flow: Flow):
    asking = Asking(flow, body="It costs.", options=("yes", "no"), timeout_us=MINUTE_US)
    assert flow.states(asking.run) == {"a": "awaiting_input"}
    assert flow.take(asking.worker) == []
    (asked,) = asking.requests()
    assert (asked.subject, asked.body, asked.dag_id, asked.task_id, asked.map_index) == (
        "Really?",
        "It costs.",
        "d",
        "a",
        -1,
    )
    assert asked.expire_time is not None
    answered = asking.answer("yes")
    assert (answered.state, answered.respondent, json.loads(answered.chosen_options_json)) == (
        "answered",
        "ann",
        ["yes"],
    )
    assert asking.requests() == []
    lease, context = asking.go_on()
    assert lease.try_number == 1
    assert brought(context) == {"chosen_options": ["yes"], "fields": None, "respondent": "ann"}
    assert (resumed(context).method, resumed(context).timed_out) == ("go_on", False)
    instance_id = flow.instance(asking.run, "a").id
    known = flow.store.read_blocking(lambda uow: input_listing.newest_answer(uow, instance_id))
    assert known is not None
    assert known.respondent == "ann"
    flow.finish(lease)
    assert flow.run_state(asking.run) == "succeeded"


def test_the_first_answer_stands(flow: Flow):
    asking = Asking(flow)
    asking.answer("yes", who="ann")
    assert refused(lambda: asking.answer("no", who="bob")) == "INPUT_REQUEST_CLOSED"
    _, context = asking.go_on()
    assert brought(context)["respondent"] == "ann"


def test_only_respondents_answer(flow: Flow):
    asking = Asking(flow, respondents=("ann",))
    assert refused(lambda: asking.answer("yes", who="bob")) == "PERMISSION_DENIED"
    assert refused(lambda: asking.answer("yes", request_id=NOBODY)) == "INPUT_REQUEST_NOT_FOUND"
    assert asking.answer("yes", who="ann").state == "answered"


def test_fields_are_handed_on_as_they_are(flow: Flow):
    asking = Asking(flow, options=(), fields_schema_json='{"type": "object"}')
    assert refused(lambda: asking.answer()) == "INVALID_ARGUMENT"
    assert refused(lambda: asking.answer(fields=[1])) == "INVALID_ARGUMENT"
    asking.answer(fields={"amount": 12345678901234567890})
    _, context = asking.go_on()
    assert brought(context)["fields"] == {"amount": 12345678901234567890}


AMOUNTS = json.dumps(
    {
        "type": "object",
        "required": ["amounts"],
        "additionalProperties": False,
        "properties": {"amounts": {"items": {"type": "integer", "minimum": 1}}, "code": {"pattern": "^[a-z]+$"}},
    }
)


@pytest.mark.parametrize(
    ("fields", "where", "says"),
    [
        ({}, "fields", "`fields` lacks 'amounts'"),
        ({"amounts": [1, 0]}, "fields.amounts[1]", "`fields.amounts[1]` must be at least 1"),
        ({"amounts": [1], "code": "A SECRET"}, "fields.code", '`fields.code` must match "^[a-z]+$"'),
        ({"amounts": [1], "more": 1}, "fields", "`fields` has 'more', which it may not have"),
    ],
)
def test_fields_that_do_not_fit_are_refused_and_the_question_stays_open(flow: Flow, fields: Any, where: str, says: str):
    asking = Asking(flow, options=(), fields_schema_json=AMOUNTS)
    with pytest.raises(Refused) as caught:
        asking.answer(fields=fields)
    assert (caught.value.reason, dict(caught.value.metadata)) == ("INVALID_ARGUMENT", {"field": where})
    assert caught.value.message == f"{says}, as the question's schema wants it; mend it and answer again."
    assert len(asking.requests()) == 1
    assert flow.states(asking.run) == {"a": "awaiting_input"}
    asking.answer(fields={"amounts": [2], "code": "a"})
    _, context = asking.go_on()
    assert brought(context)["fields"] == {"amounts": [2], "code": "a"}


BRANCHING = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(60)} | {"a60": {}}


def test_a_schema_whose_parts_multiply_holds_no_answer_for_long(flow: Flow):
    schema = json.dumps({"$ref": "#/$defs/a0", "$defs": BRANCHING})
    asking = Asking(flow, options=("yes",), fields_schema_json=schema)
    with pytest.raises(Refused, match="takes more steps to be checked"):
        asking.answer("yes", fields={"amount": 1})
    flow.cancel(asking.run)
    assert flow.run_state(asking.run) == "cancelled"


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("no schema", "Expecting value"),
        ("[1]", "neither an object"),
        ('{"type": "number of things"}', "'number of things' is not valid"),
        ('{"pattern": "(a+)+(?=b)"}', "none that RE2 can match"),
        ('{"$ref": "http://169.254.169.254/"}', "nothing is fetched"),
        ('{"$ref": "#/$defs/amount"}', "a part that it does not have"),
        ('{"title": "' + "a" * 65_536 + '"}', "more than 65,536 characters"),
        ('{"not": ' * 5_000 + "{}" + "}" * 5_000, "recursion"),
    ],
    ids=["no JSON", "no object", "no type", "looks around", "elsewhere", "nowhere", "long", "deep"],
)
def test_who_asks_by_what_is_no_schema_fails_and_is_not_tried_again(flow: Flow, schema: str, says: str):
    asking = Asking(flow, options=(), fields_schema_json=schema, retries=3)
    assert asking.requests() == []
    row = flow.instance(asking.run, "a")
    failure = Failure.FromString(row.failure_message)
    assert (row.state, row.try_number, failure.type) == ("failed", 1, "crosswind.QuestionInvalid")
    assert failure.message.startswith("The schema of the fields that the task asks for is no JSON Schema of draft")
    assert says in failure.message
    assert flow.run_state(asking.run) == "failed"


@pytest.mark.parametrize(
    ("question", "chosen", "fields"),
    [
        ({}, (), None),
        ({}, ("maybe",), None),
        ({}, ("yes", "no"), None),
        ({"multiple": True}, ("yes", "yes"), None),
        ({"multiple": True}, (), None),
        ({"options": ()}, ("yes",), None),
        ({}, ("yes",), {"amount": 1}),
    ],
    ids=["none", "unknown", "two", "twice", "none of several", "no options", "no fields"],
)
def test_an_answer_that_does_not_fit_changes_nothing(
    sqlite_flow: Flow, question: dict[str, Any], chosen: tuple[str, ...], fields: Any
):
    asking = Asking(sqlite_flow, **question)
    assert refused(lambda: asking.answer(*chosen, fields=fields)) == "INVALID_ARGUMENT"
    assert len(asking.requests()) == 1
    assert sqlite_flow.states(asking.run) == {"a": "awaiting_input"}


def test_several_options_may_be_chosen(flow: Flow):
    asking = Asking(flow, multiple=True)
    asking.answer("no", "yes")
    _, context = asking.go_on()
    assert brought(context)["chosen_options"] == ["no", "yes"]


def test_the_default_options_are_chosen_when_its_time_passes(flow: Flow):
    asking = Asking(flow, default_options=("no",), timeout_us=MINUTE_US)
    assert flow.wake() == 1
    assert refused(lambda: asking.answer("yes")) == "INPUT_REQUEST_CLOSED"
    (asked,) = asking.requests("expired")
    assert (json.loads(asked.chosen_options_json), asked.respondent) == (["no"], None)
    _, context = asking.go_on()
    assert resumed(context).timed_out
    assert brought(context) == {"chosen_options": ["no"], "fields": None, "respondent": ""}


def test_without_default_options_the_try_fails_when_its_time_passes(flow: Flow):
    asking = Asking(flow, timeout_us=MINUTE_US, retries=1)
    flow.wake()
    row = flow.instance(asking.run, "a")
    assert (row.state, Failure.FromString(row.failure_message).type) == ("up_for_retry", "crosswind.InputTimedOut")
    flow.wake()
    asking.ask(timeout_us=MINUTE_US)
    assert flow.instance(asking.run, "a").try_number == 2
    assert len(asking.requests()) == 1
    flow.wake()
    assert flow.states(asking.run) == {"a": "failed"}
    assert flow.run_state(asking.run) == "failed"
    assert [row.state for row in asking.requests("open", "expired")] == ["expired", "expired"]


def test_an_answer_comes_before_the_timeout_and_drops_it(flow: Flow):
    asking = Asking(flow, timeout_us=MINUTE_US)
    asking.answer("yes")
    assert flow.wake() == 0
    _, context = asking.go_on()
    assert not resumed(context).timed_out


def test_a_cancel_closes_the_question(flow: Flow):
    asking = Asking(flow)
    flow.cancel(asking.run)
    assert asking.requests() == []
    assert [row.state for row in asking.requests("cancelled")] == ["cancelled"]
    assert refused(lambda: asking.answer("yes")) == "INPUT_REQUEST_CLOSED"
    assert flow.run_state(asking.run) == "cancelled"


def test_a_worker_that_asks_is_free_for_others(flow: Flow):
    worker = flow.register(slots=1)
    flow.publish(dag_of("d", task("a"), task("b")), to=worker)
    flow.trigger("d")
    (lease,) = flow.take(worker)
    ask: Worker = worker
    flow.defer(lease, ask, Wait(question=Question(subject="Really?")))
    assert len(flow.take(worker)) == 1
