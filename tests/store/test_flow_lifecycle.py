"""The store against the table: whatever happens in whatever order, services and `domain.lifecycle` say the same."""

import uuid

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from crosswind_server.domain import lifecycle
from crosswind_server.domain.errors import Refused
from crosswind_server.domain.lifecycle import Attempt, Event
from crosswind_server.domain.states import AttemptState, TaskState
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.execution.attempts import Wake
from crosswind_server.store.engine import Store
from crosswind_server.store.schema import attempt, task_instance
from tests.store.dags import dag_of, task
from tests.store.flow import Flow, Worker

OUTCOMES = ["succeeded", "failed", "skipped", "deferred", "rescheduled", "cancelled"]
RUNS = 3


class StoreLikeTable(RuleBasedStateMachine):
    """A model of attempts moved by `lifecycle.transition` alone, beside a store moved by the services."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store.open("sqlite://", refusals=(Refused,))
        self.flow = Flow(self.store)
        self.model: dict[str, Attempt] = {}
        self.leases: dict[str, Lease] = {}
        self.worker: Worker | None = None
        self.generation = 0

    def teardown(self) -> None:
        self.store.close()

    @initialize()
    def begin(self) -> None:
        self.worker = self.flow.register("w0")
        made = task("a", retries=900)
        made.retry.delay.FromSeconds(0)
        made.retry.max_lost = 900
        self.flow.publish(dag_of("d", made), to=self.worker, version="v1")
        self.runs = [self.flow.trigger("d") for _ in range(RUNS)]

    # What happens

    @rule(times=st.integers(1, lifecycle.MAX_DELIVERIES))
    def lose_answers(self, times: int) -> None:
        for _ in range(times):
            self.poll(listed=False)

    @rule(listed=st.booleans())
    def poll(self, listed: bool) -> None:
        live = [key for key, known in self.model.items() if known.state in lifecycle.LIVE]
        work = self.flow.poll(self._worker(), held=live if listed else ())
        again = {lease.attempt_id for lease in work.leases if lease.delivery > 1}
        for key in live:
            if not listed:
                step = self._step(key, Event.REDELIVER)
                assert (key in again) == (step.reply is lifecycle.Reply.LEASE)
        for lease in work.leases:
            if lease.delivery == 1:
                assert lease.attempt_id not in self.model
                self.model[lease.attempt_id] = Attempt(attempt_id=lease.attempt_id)
                self.leases[lease.attempt_id] = lease

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        key = self._any(data)
        self._same(key, Event.START, lambda: self.flow.start(self.leases[key], self._worker()))

    @precondition(lambda self: self.model)
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES), repeated=st.booleans())
    def finish(self, data: st.DataObject, outcome: str, repeated: bool) -> None:
        key = self._any(data)
        outcome_id = self.model[key].outcome_id if repeated else None
        outcome_id = outcome_id or str(uuid.uuid4())
        wake = Wake(delay_us=0, resumption=b"")
        self._same(
            key,
            Event[f"FINISH_{outcome.upper()}"],
            lambda: self.flow.finish(self.leases[key], outcome, outcome_id=outcome_id, wake=wake, result=1),
            outcome_id=outcome_id,
        )

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        key = self._any(data)
        verdict = self.flow.heartbeat(self._worker(), self.leases[key]).verdicts[0]
        if self.flow.attempt(self.leases[key]).instance_id == self._worker().instance_id:
            assert verdict == str(self._step(key, Event.HEARTBEAT).reply)

    @rule()
    def pass_start_deadline(self) -> None:
        self.flow.pass_start_deadline()
        self._step_all(Event.START_DEADLINE)

    @rule()
    def pass_lease(self) -> None:
        self.flow.pass_lease()
        self._step_all(Event.EXPIRE)

    @rule(started=st.booleans())
    def trigger(self, started: bool) -> None:
        """Most of what matters happens to attempts that run, so stories reach them quickly."""
        self.runs.append(self.flow.trigger("d"))
        self.poll(listed=True)
        if started:
            self.start_all()

    @rule()
    def start_all(self) -> None:
        for key, known in list(self.model.items()):
            if known.state is AttemptState.ASSIGNED:
                self._step(key, Event.START)
                self.flow.start(self.leases[key], self._worker())

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self.runs))
        try:
            self.flow.cancel(run)
        except Refused:
            assert self.flow.run_state(run) in ("succeeded", "failed", "cancelled")
            return
        current = self.flow.instance(run, "a").attempt_id
        # What was suspended has no live attempt, and a cancel does not touch how the last one ended.
        if current is not None and self.model[current].state in lifecycle.LIVE:
            self._step(current, Event.CANCEL)

    @rule()
    def wake(self) -> None:
        self.flow.wake()

    @rule(leaving=st.booleans())
    def replace_worker(self, leaving: bool) -> None:
        old = self._worker()
        self.generation += 1
        if leaving:
            self.store.write_blocking(self.flow.heart.deregister, ("default", old.instance_id))
            self._step_all(Event.DEREGISTER)
            self.worker = self.flow.register(f"w{self.generation}")
        else:
            self.worker = self.flow.register(old.name, previous=old)
            self._step_all(Event.SUPERSEDE)
        self.flow.publish(to=self._worker(), version="v1")

    # What must hold

    @invariant()
    def states_agree(self) -> None:
        rows = self.store.read_blocking(lambda uow: uow.execute(select(attempt)).all())
        assert {row.id: (row.state, row.outcome_id, row.deliveries) for row in rows} == {
            key: (known.state.value, known.outcome_id, known.deliveries) for key, known in self.model.items()
        }

    @invariant()
    def a_live_attempt_and_its_task_are_in_one_state(self) -> None:
        live: dict[str, str] = {}
        instances = self.store.read_blocking(lambda uow: uow.execute(select(task_instance)).all())
        for row in self.store.read_blocking(lambda uow: uow.execute(select(attempt)).all()):
            if AttemptState(row.state) in lifecycle.LIVE:
                assert row.task_instance_id not in live
                live[row.task_instance_id] = row.state
        for instance in instances:
            expected = live.get(instance.id)
            if expected is not None:
                assert instance.state == expected
            else:
                assert TaskState(instance.state) not in (TaskState.ASSIGNED, TaskState.RUNNING, TaskState.CANCELLING)

    # Inside

    def _worker(self) -> Worker:
        assert self.worker is not None
        return self.worker

    def _any(self, data: st.DataObject) -> str:
        """One of the attempts, rather one that lives."""
        live = sorted(key for key, known in self.model.items() if known.state in lifecycle.LIVE)
        living: bool = data.draw(st.booleans())
        chosen = live if live and living else sorted(self.model)
        return data.draw(st.sampled_from(chosen))

    def _step(self, key: str, event: Event, outcome_id: str | None = None) -> lifecycle.Step:
        step = lifecycle.transition(self.model[key], event, outcome_id=outcome_id)
        self.model[key] = step.attempt
        return step

    def _step_all(self, event: Event) -> None:
        for key in self.model:
            self._step(key, event)

    def _same(self, key: str, event: Event, call, outcome_id: str | None = None) -> None:
        step = self._step(key, event, outcome_id)
        answer: Refused | None = None
        try:
            call()
        except Refused as refusal:
            answer = refusal
        expected = step.reply.reason if isinstance(step.reply, Refused) else None
        assert (answer.reason if answer is not None else None) is expected, f"{event}: {answer}"


TestStoreLikeTable = StoreLikeTable.TestCase
TestStoreLikeTable.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
