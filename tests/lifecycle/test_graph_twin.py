"""Random DAGs, outcomes and interleavings: the server and its slow twin agree after every step, and at the end.

What fails is printed as a transcript, which can be put into `tests/lifecycle/runs` as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from crosswind.control.v1 import states_pb2
from tests.lifecycle.graph_twin import ENDS, READY, SUCCEEDED, End, Twin
from tests.lifecycle.graphs import Drawn, dags
from tests.lifecycle.scene import controlling, passing, showing, working  # noqa: F401  # they register the commands
from tests.lifecycle.scene.scene import Scene
from tests.lifecycle.scene.showing import instance_states

_READY = {"queued": READY, "assigned": READY, "running": READY}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    made = Scene("sqlite://")
    made.execute("worker w1 slots=1000")
    yield made
    made.close()


_numbers = itertools.count(1)


def agree(scene: Scene, dag_id: str, twins: Mapping[str, Twin]) -> None:
    for twin in twins.values():
        twin.settle()
    for run_id, twin in twins.items():
        shown = {name: _READY.get(state, state) for name, state in instance_states(scene, dag_id, run_id).items()}
        assert shown == twin.states, run_id
        run = scene.call("DagRunService.GetDagRun", dag_id=dag_id, run_id=run_id).dag_run
        assert states_pb2.RunState.Name(run.state) == f"RUN_STATE_{twin.run_state.upper()}"


def say(scene: Scene, text: str) -> None:
    note(text)
    for line in scene.execute(text):
        assert not line.startswith(("error", "refused")), line


def choose(twin: Twin, name: str, data: st.DataObject) -> tuple[tuple[str, ...] | None, str | None]:
    """What a branch follows, or how a short circuit cuts."""
    kind = twin.nodes[name].kind
    after = [node.name for node in twin.nodes.values() if name in node.after]
    if kind == "branch" and after:
        return tuple(sorted(data.draw(st.lists(st.sampled_from(after), unique=True)))), None
    if kind == "short_circuit":
        return None, data.draw(st.sampled_from((None, "direct", "all")))
    return None, None


def play(scene: Scene, drawn: Drawn, data: st.DataObject) -> None:
    """The runs of a DAG from their beginning until nothing can go on."""
    dag_id = f"d{next(_numbers)}"
    scene.dags.clear()
    lists = {node.over for node in drawn.nodes} | {node.group.over for node in drawn.nodes if node.group is not None}
    twins = drawn.twins()
    say(scene, drawn.text(dag_id))
    say(scene, "publish w1")
    for day, run_id in zip(drawn.days, twins, strict=True):
        if not drawn.scheduled:
            say(scene, f"trigger {dag_id} {run_id} logical={day}T00:00Z")
    scene.runs.clear()
    for run_id in twins:
        scene.note_run(dag_id, run_id)
    agree(scene, dag_id, twins)
    while ready := sorted(
        (run_id, name) for run_id, twin in twins.items() for name, state in twin.states.items() if state == READY
    ):
        run_id, name = data.draw(st.sampled_from(ready))
        task, _, index = name.removesuffix("]").partition("[")
        how = data.draw(st.sampled_from(("succeeded", "succeeded", "failed", "skipped")))
        length = data.draw(st.sampled_from((0, 1, 2, 3, None))) if task in lists and how == SUCCEEDED else None
        result = "" if how != SUCCEEDED else " result=" + ("1" if length is None or index else str([0] * length))
        follow, cut = choose(twins[run_id], task, data) if how == SUCCEEDED else (None, None)
        words = result.replace(", ", ",")
        if follow is not None:
            words += f" branch={','.join(follow) or 'none'}"
        if cut is not None:
            words += f" skip_all={'yes' if cut == 'all' else 'no'}"
        say(scene, f"run {dag_id}/{run_id}/{name} {how}{words}")
        twins[run_id].tell(End(task, int(index) if index else None, how, None if index else length, follow, cut))
        agree(scene, dag_id, twins)
    # Only the run before can hold a task for ever.
    assert all(state in ENDS for state in next(iter(twins.values())).states.values())


def compare(scene: Scene, *, runs: int) -> None:
    """Play so many random DAGs."""

    @given(drawn=dags(), data=st.data())
    @settings(max_examples=runs, deadline=None, suppress_health_check=list(HealthCheck))
    def plays(drawn: Drawn, data: st.DataObject) -> None:
        play(scene, drawn, data)

    plays()


def test_the_server_agrees_with_its_slow_twin(scene: Scene):
    compare(scene, runs=40)
