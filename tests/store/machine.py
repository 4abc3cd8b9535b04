"""Random stories told to real servers over a real database, with an audit of the whole database after every step.

On PostgreSQL two servers share the work, on SQLite there is one. Workers call any of them, several at the same time;
servers die and come back, heartbeats are forgotten, people cancel, clear, mark and pause. At the end of a story
everybody behaves, and every run has to end.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.lifecycle.graph_twin import Node
from tests.lifecycle.scene import controlling, passing, showing, working  # noqa: F401  # they register the commands
from tests.lifecycle.scene.outcomes import read_outcome
from tests.lifecycle.scene.scene import Scene
from tests.lifecycle.scene.server import CallRefused, PlayedServer
from tests.lifecycle.scene.text import SECOND, Arguments
from tests.lifecycle.scene.worker import Held, PlayedWorker
from tests.store.audit import Audit

DAGS: Final = {
    "chain": [Node("a"), Node("b", ("a",)), Node("c", ("b",), "all_done")],
    "diamond": [
        Node("a"),
        Node("b", ("a",)),
        Node("c", ("a",)),
        Node("d", ("b", "c"), "one_success"),
        Node("e", ("b", "c"), "none_failed_min_one_success"),
        Node("f", ("d", "e"), "all_done"),
    ],
    "mapped": [
        Node("a"),
        Node("m", ("a",), over="a"),
        Node("n", ("m",), "none_failed", items=2),
        Node("z", ("m", "n"), "one_failed"),
    ],
}
EXTRAS: Final = {"b": "retries=1 delay=5s", "m": "retries=1 delay=20s", "a": "retries=1 delay=0s"}
WORKERS: Final = ("w1", "w2", "w3")
OUTCOMES: Final = (
    "succeeded result=[1,2]",
    "succeeded result=[1,2]",
    "succeeded result=[1,2]",
    "failed",
    "failed retryable=no",
    "skipped",
    "rescheduled for=5s",
    "deferred for=20s",
    "cancelled",
)
INTERVENTIONS: Final = (
    "cancel {dag} {run}",
    "cancel {dag} {run} {task}",
    "clear {dag} {run} {task} downstream",
    "clear {dag} {run} {task}",
    "clear {dag} {run} only_failed",
    "mark {dag} {run} {task} succeeded",
    "mark {dag} {run} {task} failed",
    "mark {dag} {run} failed",
    "pause {dag}",
    "unpause {dag}",
)
MOST_RUNS: Final = 4
LONGEST_END: Final = 40
# What is drawn never depends on how the servers answered, which differs where calls race.
_NUMBERS = st.integers(0, 99)
_DEEDS = st.tuples(st.sampled_from(("poll", "finish", "beat")), st.sampled_from(OUTCOMES))
_TEXTS = st.lists(st.sampled_from(("", *OUTCOMES)), min_size=3, max_size=3)


class World(Scene):
    """Servers over one database, for all stories of a test."""

    def __init__(self, url: str, *, servers: int) -> None:
        super().__init__(url)
        first = PlayedServer(url, self._start_us)
        self.servers = [first, *(PlayedServer(url, self._start_us, beside=first) for _ in range(servers - 1))]
        self._turn = threading.local()
        self.alone = servers == 1
        self.audit = Audit(DAGS)
        self.stories = 0
        for dag_id, nodes in DAGS.items():
            tasks = "\n".join(f"{node.text()} {EXTRAS.get(node.name, '')}" for node in nodes)
            self.execute(f"dag {dag_id} max_active_runs=1000 {{\n{tasks}\n}}")
        for name in WORKERS:
            self.execute(f"worker {name} slots=3")
        self.execute("publish w1")

    @property
    def server(self) -> PlayedServer:
        """The server to which this thread speaks now."""
        return self.servers[getattr(self._turn, "number", 0)]

    def speak_to(self, number: int) -> None:
        """Let this thread speak to a server from now on."""
        self._turn.number = number % len(self.servers)

    def close(self) -> None:
        """End all servers."""
        for server in reversed(self.servers):
            server.close()


def attempt(call: Callable[[], Any]) -> Any:
    """Make a call that may be refused: any refusal that has a reason is an answer."""
    with contextlib.suppress(CallRefused):
        return call()
    return None


class StoreMachine(RuleBasedStateMachine):
    """One story. `world` is set by the test."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        world = self.world
        world.stories += 1
        world.servers[0].journal.clear()
        self.run_ids: list[tuple[str, str]] = []
        self.delivered: list[tuple[PlayedWorker, Held, str, str]] = []

    # What there is

    def _workers(self) -> Iterator[PlayedWorker]:
        return (worker for worker in self.world.workers.values() if not worker.gone)

    def _held(self) -> list[tuple[PlayedWorker, Held]]:
        return [(worker, held) for worker in self._workers() for held in worker.held.values()]

    def _pick_held(self, number: int) -> tuple[PlayedWorker, Held] | None:
        held = self._held()
        return held[number % len(held)] if held else None

    def _finish(self, worker: PlayedWorker, held: Held, text: str) -> None:
        outcome_id = f"00000000-0000-4000-8000-{id(held) % 10**12:012d}"
        outcome = read_outcome(Arguments.parse(text), self.world.now_us)
        if attempt(lambda: worker.finish(held, outcome, outcome_id=outcome_id)) is not None:
            self.delivered.append((worker, held, text, outcome_id))

    # People

    @rule(dag_id=st.sampled_from(sorted(DAGS)), server=st.integers(0, 1))
    def trigger(self, dag_id, server):
        if len(self.run_ids) == MOST_RUNS:
            return
        self.world.speak_to(server)
        run_id = f"s{self.world.stories}r{len(self.run_ids)}"
        if attempt(lambda: self.world.call("DagRunService.TriggerDagRun", dag_id=dag_id, run_id=run_id)) is not None:
            self.run_ids.append((dag_id, run_id))

    @rule(number=_NUMBERS, task=_NUMBERS, what=st.sampled_from(INTERVENTIONS), server=st.integers(0, 1))
    def intervene(self, number, task, what, server):
        self.world.speak_to(server)
        for run in self.run_ids:
            self.world.note_run(*run)
        if self.run_ids:
            dag_id, run_id = self.run_ids[number % len(self.run_ids)]
            nodes = DAGS[dag_id]
            self._execute(what.format(dag=dag_id, run=run_id, task=nodes[task % len(nodes)].name))

    def _execute(self, text: str) -> None:
        """A command without the settling that follows in transcripts."""
        from tests.lifecycle.scene.command import COMMANDS

        verb, _, rest = text.partition(" ")
        attempt(lambda: list(COMMANDS[verb](self.world, Arguments.parse(rest))))

    # Workers

    @initialize(dag_ids=st.lists(st.sampled_from(sorted(DAGS)), min_size=1, max_size=3))
    def begin(self, dag_ids):
        for dag_id in dag_ids:
            self.trigger(dag_id, 0)

    @rule(name=st.sampled_from(WORKERS), server=st.integers(0, 1), texts=_TEXTS)
    def labour(self, name, server, texts):
        """A worker does what workers do: it polls, starts all, and ends some of it."""
        self.world.speak_to(server)
        worker = self.world.workers[name]
        if worker.gone:
            return
        attempt(worker.poll)
        for held, text in zip(list(worker.held.values()), texts, strict=False):
            attempt(lambda h=held: worker.start(h))  # type: ignore[misc]  # bound now
            if text and held.lease.attempt.attempt_id in worker.held:
                self._finish(worker, held, text)

    @rule(name=st.sampled_from(WORKERS), server=st.integers(0, 1), texts=_TEXTS)
    def labour_more(self, name, server, texts):
        """The same once more, so that runs come further than people let them."""
        self.labour(name, server, texts)
        self.world.server.tick()

    @rule(name=st.sampled_from(WORKERS), server=st.integers(0, 1), lost=st.booleans())
    def poll(self, name, server, lost):
        self.world.speak_to(server)
        worker = self.world.workers[name]
        if not worker.gone:
            attempt(lambda: worker.poll(lost=lost and len(worker.held) == 0))

    @rule(number=_NUMBERS, server=st.integers(0, 1))
    def start(self, number, server):
        self.world.speak_to(server)
        if chosen := self._pick_held(number):
            attempt(lambda: chosen[0].start(chosen[1]))

    @rule(number=_NUMBERS, text=st.sampled_from(OUTCOMES), server=st.integers(0, 1))
    def finish(self, number, text, server):
        self.world.speak_to(server)
        if chosen := self._pick_held(number):
            worker, held = chosen
            attempt(lambda: worker.start(held))
            if held.lease.attempt.attempt_id in worker.held:
                self._finish(worker, held, text)

    @rule(number=_NUMBERS, server=st.integers(0, 1))
    def finish_again(self, number, server):
        """The same outcome again is acknowledged; another one never is. [FIN-1]"""
        self.world.speak_to(server)
        if not self.delivered:
            return
        worker, held, text, outcome_id = self.delivered[number % len(self.delivered)]
        if worker.gone:
            return
        outcome = read_outcome(Arguments.parse(text), self.world.now_us)
        worker.finish(held, outcome, outcome_id=outcome_id, keep=True)
        other = f"1{outcome_id[1:]}"
        with pytest.raises(CallRefused, match="OUTCOME_CONFLICT"):
            worker.finish(held, outcome, outcome_id=other, keep=True)

    @rule(name=st.sampled_from(WORKERS), server=st.integers(0, 1))
    def beat(self, name, server):
        self.world.speak_to(server)
        worker = self.world.workers[name]
        if not worker.gone:
            worker.beat()

    @rule(name=st.sampled_from(WORKERS), state=st.booleans())
    def replace(self, name, state):
        """A worker's process dies, and a new one takes its name, at once if it holds its state folder."""
        self._register(name, with_state=state)

    def _register(self, name: str, *, with_state: bool) -> None:
        old = self.world.workers[name]
        made = PlayedWorker(self.world, name, slots=3)
        offers = list(self.world.published.values())
        with contextlib.suppress(CallRefused):
            made.register(offers, old if with_state else None)
            old.gone = True
            self.world.workers[name] = made

    @rule(name=st.sampled_from(WORKERS))
    def deregister(self, name):
        worker = self.world.workers[name]
        if not worker.gone:
            attempt(worker.deregister)

    @rule(deeds=st.lists(_DEEDS, min_size=len(WORKERS), max_size=len(WORKERS)), cancelled=st.none() | _NUMBERS)
    def at_once(self, deeds, cancelled):
        """Several workers and people call at the same moment, through all servers."""
        calls: list[Callable[[], object]] = []
        for worker, (what, text) in zip(list(self._workers()), deeds, strict=False):
            held = next((each for each in worker.held.values() if each.started), None)
            if what == "finish" and held is not None:
                calls.append(lambda w=worker, h=held, t=text: self._finish(w, h, t))  # type: ignore[misc]  # bound now
            else:
                calls.append(worker.poll if what == "poll" else worker.beat)
        if self.run_ids and cancelled is not None:
            dag_id, run_id = self.run_ids[cancelled % len(self.run_ids)]
            calls.append(lambda: self._execute(f"cancel {dag_id} {run_id}"))
        calls += [server.tick for server in self.world.servers]

        def perform(numbered: tuple[int, Callable[[], object]]) -> None:
            self.world.speak_to(numbered[0])
            attempt(numbered[1])

        with ThreadPoolExecutor(len(calls)) as threads:
            list(threads.map(perform, enumerate(calls)))

    # Time and servers

    @rule(server=st.integers(0, 1))
    def tick(self, server):
        self.world.speak_to(server)
        self.world.server.tick()

    @rule(seconds=st.sampled_from((1, 5, 11, 31)), server=st.integers(0, 1), heard=st.booleans())
    def advance(self, seconds, server, heard):
        self.world.speak_to(server)
        self.world.server.clock.now_us += seconds * SECOND
        if heard:
            for worker in list(self._workers()):
                worker.beat()
        self.world.server.tick()

    @rule(server=st.integers(0, 1))
    def restart(self, server):
        self.world.speak_to(server)
        if self.world.alone:
            self.world.server.begin()  # its database is in memory, and has to live on
        else:
            self.world.server.die()

    # What holds

    @invariant()
    def holds(self):
        try:
            self.world.audit.look(self.world.servers[0].store, prefix=f"s{self.world.stories}r")
        except AssertionError as broken:
            self._tell(broken)
            raise

    def _tell(self, broken: AssertionError) -> None:
        """Say what was called until then: where calls race, a story told again may go another way."""
        lines = [f"--- story {self.world.stories}: {broken}", *self.world.servers[0].journal]
        for dag_id, run_id in self.run_ids:
            self.world.note_run(dag_id, run_id)
            for what in ("states", "why"):
                lines += [f"{run_id} {line}" for line in self.world.execute(f"{what} {dag_id} {run_id}")]
        lines += self.world.execute("show workers fields=name,state,bundles,used_slots,paused")
        print("\n".join(lines), file=sys.stderr)

    def teardown(self):
        """Everybody behaves, and all runs end."""
        world = self.world
        world.speak_to(0)
        for dag_id in DAGS:
            self._execute(f"unpause {dag_id}")
        for name, worker in world.workers.items():
            if worker.gone or attempt(worker.beat) is None or worker.gone:
                world.workers[name].gone = True
                self._register(name, with_state=True)
        for _ in range(LONGEST_END):
            world.server.settle()
            if not self._unfinished():
                break
            for worker in self._workers():
                attempt(worker.poll)
                for held in list(worker.held.values()):
                    attempt(lambda w=worker, h=held: w.start(h))  # type: ignore[misc]  # bound now
                    if held.lease.attempt.attempt_id in worker.held:
                        self._finish(worker, held, "succeeded result=[1]")
            world.server.clock.now_us += 6 * SECOND
            for worker in self._workers():
                worker.beat()
            self.holds()
        if unfinished := self._unfinished():
            endless = AssertionError(f"these runs never end: {unfinished}")
            self._tell(endless)
            raise endless
        self.holds()
        world.servers[0].witness.check()

    def _unfinished(self) -> list[str]:
        wanted = ("RUN_STATE_SUCCEEDED", "RUN_STATE_FAILED", "RUN_STATE_CANCELLED")
        found = []
        for dag_id, run_id in self.run_ids:
            run = self.world.call("DagRunService.GetDagRun", dag_id=dag_id, run_id=run_id).dag_run
            state = run.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[run.state].name
            if state not in wanted:
                found.append(f"{dag_id} {run_id} {state}")
        return found
