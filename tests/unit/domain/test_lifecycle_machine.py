"""Random stories, told to the world built on the table and to its twin, with the rules as invariants."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crosswind_server.domain.lifecycle import ENDED, LIVE, MAX_DELIVERIES
from crosswind_server.domain.states import LIVE_WORKER_STATES, AttemptState, WorkerState
from tests.lifecycle.commands import SECOND
from tests.lifecycle.lockstep import Lockstep
from tests.lifecycle.world import LEASE_US

KINDS = ("succeeded", "failed", "skipped", "deferred", "rescheduled", "awaiting_input", "cancelled")
TASKS = ("a", "b")
NAMES = ("w1", "w2")


class LifecycleMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.pair = Lockstep()
        self.instances: list[str] = []
        self.outcomes: dict[str, str] = {}
        self.number = 0

    @property
    def world(self):
        return self.pair.world

    def say(self, text: str) -> tuple[str, ...]:
        before = {name: x.attempt for name, x in self.world.leases.items()}
        heard = {name: x.lease_due_us for name, x in self.world.leases.items()}
        replies = self.pair.execute(text)
        self.check_step(text, before, heard)
        return replies

    def check_step(self, text, before, due) -> None:
        """Rules about single steps, said once more in terms of what just changed."""
        verb = text.split()[0]
        for name, old in before.items():
            lease = self.world.leases[name]
            new = lease.attempt
            if old.state in ENDED:
                assert new.state is old.state, f"an end stays: {name} after {text}"
                assert new.outcome_id == old.outcome_id, f"FIN-1: {name} after {text}"
            if old.state in LIVE and new.state is AttemptState.RETURNED:
                assert old.state is AttemptState.ASSIGNED, f"LEASE-2: {name} was started"
            if old.state in LIVE and new.state is AttemptState.LOST and verb == "advance":
                assert self.world.now_us > due[name], f"LEASE-3: {name} was not overdue"
                since = self.world.now_us - (self.world.accepting_since_us or 0)
                assert since >= LEASE_US, f"LEASE-3: {name} expired before the server listened long enough"
            if new.state is AttemptState.LOST and old.state is not AttemptState.LOST:
                assert verb in ("advance", "register", "deregister"), f"LEASE-3: {text} lost {name}"
            if old.state is AttemptState.CANCELLING:
                assert new.state in (AttemptState.CANCELLING, AttemptState.CANCELLED, AttemptState.LOST), "LEASE-4"

    @initialize(retries=st.integers(0, 2), budget=st.integers(0, 2), delay=st.sampled_from(("0s", "10s")))
    def begin(self, retries, budget, delay):
        for name in TASKS:
            self.say(f"task {name} retries={retries} lost_budget={budget} delay={delay}")
        for name in NAMES:
            self.register_instance(name, "")

    def register_instance(self, name, extra):
        self.number += 1
        key = f"{name}.{self.number}"
        if self.say(f"register {key} {extra}")[0] in ("NEW", "SUPERSEDE"):
            self.instances.append(key)

    @rule(name=st.sampled_from(NAMES), folder=st.booleans(), bring=st.sampled_from((*KINDS, "")), data=st.data())
    def newcomer(self, name, folder, bring, data):
        older = [k for k in self.instances if k.startswith(name)]
        extra = f"folder={older[-1]}" if folder and older else ""
        held = [n for n, x in self.world.leases.items() if older and x.worker == older[-1]]
        if bring and held:
            extra += f" brings={data.draw(st.sampled_from(held))}:{bring}:o{data.draw(st.integers(1, 3))}"
        self.register_instance(name, extra)

    @rule(data=st.data())
    def register_again(self, data):
        self.say(f"register {data.draw(st.sampled_from(self.instances))}")

    @rule(data=st.data(), task=st.sampled_from(TASKS))
    def lease(self, data, task):
        self.say(f"lease {data.draw(st.sampled_from(self.instances))} {task}")

    @rule(
        data=st.data(), task=st.sampled_from(TASKS), start=st.booleans(), then=st.sampled_from(("", "cancel", "clear"))
    )
    def get_going(self, data, task, start, then):
        """A story's usual beginning in one step, so that the steps that follow have something to befall."""
        live = [k for k, w in self.world.workers.items() if w.state is WorkerState.ACTIVE]
        if not live:
            self.register_instance(data.draw(st.sampled_from(NAMES)), "")
            return
        self.say(f"clear {task}")
        reply = self.say(f"lease {data.draw(st.sampled_from(live))} {task}")[0]
        if start and reply.startswith("LEASE "):
            self.say(f"start {reply.split()[1]}")
            if then:
                self.say(f"{then} {task}")

    @precondition(lambda self: any(x.attempt.state in LIVE for x in self.world.leases.values()))
    @rule(data=st.data(), outcome=st.integers(1, 3), kind=st.sampled_from(KINDS))
    def work(self, data, outcome, kind):
        """What a worker in good order does next with a live attempt."""
        live = [n for n, x in self.world.leases.items() if x.attempt.state in LIVE]
        name = data.draw(st.sampled_from(live))
        if self.world.leases[name].attempt.state is AttemptState.ASSIGNED:
            self.say(f"start {name}")
        self.say(f"finish {name} {kind} outcome=o{outcome}")

    @precondition(lambda self: self.world.leases)
    @rule(data=st.data(), verb=st.sampled_from(("start", "write", "logs", "close-logs")))
    def call(self, data, verb):
        self.say(f"{verb} {data.draw(st.sampled_from(sorted(self.world.leases)))}")

    @precondition(lambda self: self.world.leases)
    @rule(
        data=st.data(),
        kind=st.sampled_from(KINDS),
        outcome=st.integers(1, 3),
        extra=st.sampled_from(("", "retryable=no", "retry_after=7s", "wake=20s")),
    )
    def finish(self, data, kind, outcome, extra):
        name = data.draw(st.sampled_from(sorted(self.world.leases)))
        self.say(f"finish {name} {kind} outcome=o{outcome} {extra}")

    @rule(data=st.data())
    def heartbeat(self, data):
        worker = data.draw(st.sampled_from(self.instances))
        names = [n for n, x in self.world.leases.items() if x.worker == worker]
        self.say(f"heartbeat {worker} {' '.join(names)} ghost#1")

    @rule(data=st.data(), lists=st.booleans(), times=st.integers(1, 5))
    def poll(self, data, lists, times):
        worker = data.draw(st.sampled_from(self.instances))
        names = [n for n, x in self.world.leases.items() if x.worker == worker and lists]
        for _ in range(times):
            self.say(f"poll {worker} lists={','.join(names)}")

    @rule(verb=st.sampled_from(("cancel", "clear", "answer")), task=st.sampled_from(TASKS))
    def wish(self, verb, task):
        self.say(f"{verb} {task}")

    @rule(seconds=st.sampled_from((1, 5, 10, 11, 29, 30, 31, 60)))
    def advance(self, seconds):
        self.say(f"advance {seconds}s")

    @rule(data=st.data(), verb=st.sampled_from(("drain", "deregister")))
    def leave(self, data, verb):
        live = [k for k, w in self.world.workers.items() if w.state in LIVE_WORKER_STATES]
        self.say(f"{verb} {data.draw(st.sampled_from(live or self.instances))}")

    @rule(seconds=st.sampled_from((1, 40)), data=st.data())
    def outage(self, seconds, data):
        """What is called meanwhile reaches nobody."""
        self.say("stop")
        for name in list(self.world.leases)[:1]:
            self.say(f"{data.draw(st.sampled_from(('start', 'write', 'logs')))} {name}")
        self.say(f"advance {seconds}s")
        self.say("restart")

    @rule()
    def failover(self):
        self.say("failover")

    @invariant()
    def lease_1(self):
        for task in TASKS:
            live = [n for n, x in self.world.leases.items() if x.task == task and x.attempt.state in LIVE]
            assert len(live) <= 1, f"LEASE-1: {live}"

    @invariant()
    def lease_2(self):
        for name, x in self.world.leases.items():
            assert 1 <= x.attempt.deliveries <= MAX_DELIVERIES, f"LEASE-2: {name}"
            if x.attempt.state is AttemptState.ASSIGNED:
                assert x.try_number == self.world.tasks[x.task].counters.tries + 1, f"LEASE-2: {name}"

    @invariant()
    def lease_4(self):
        for name, x in self.world.leases.items():
            if x.attempt.state is AttemptState.CANCELLING:
                assert name == self.world._newest(x.task), f"LEASE-4: {name} has a successor"

    @invariant()
    def fin_1(self):
        for name, x in self.world.leases.items():
            if x.attempt.outcome_id is not None:
                assert self.outcomes.setdefault(name, x.attempt.outcome_id) == x.attempt.outcome_id, f"FIN-1: {name}"

    @invariant()
    def worker_1(self):
        workers = self.world.workers
        for name in NAMES:
            live = [k for k, w in workers.items() if k.startswith(name) and w.state in LIVE_WORKER_STATES]
            assert len(live) <= 1, f"WORKER-1: {live}"
        for name, x in self.world.leases.items():
            if x.attempt.state in LIVE:
                assert workers[x.worker].state in LIVE_WORKER_STATES, f"WORKER-1: {name}"

    @invariant()
    def seconds_are_whole(self):
        assert self.world.now_us % SECOND == 0


LifecycleMachine.TestCase.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLifecycle = LifecycleMachine.TestCase
