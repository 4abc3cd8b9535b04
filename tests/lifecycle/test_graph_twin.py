"""Random DAGs, outcomes and interleavings: the server and its slow twin agree after every step, and at the end.

What fails is printed as a transcript, which can be put into `tests/lifecycle/runs` as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.lifecycle.graph_twin import ENDS, READY, SUCCEEDED, End, Node, Twin
from tests.lifecycle.scene import controlling, passing, showing, working  # noqa: F401  # they register the commands
from tests.lifecycle.scene.scene import Scene
from tests.lifecycle.scene.showing import instance_states
from tests.lifecycle.test_graph_rules import RULES

LARGEST = 12
_READY = {"queued": READY, "assigned": READY, "running": READY}


@st.composite
def dags(draw: st.DrawFn) -> list[Node]:
    """A DAG of up to twelve tasks, some of them mapped, with any trigger rules."""
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, LARGEST))):
        names = [node.name for node in nodes]
        after: list[str] = draw(st.lists(st.sampled_from(names), unique=True, max_size=4)) if names else []
        items: int | None = None
        over: str | None = None
        if draw(st.integers(0, 3)) == 0:
            over = draw(st.sampled_from([None, *after]))
            items = draw(st.integers(0, 3)) if over is None else None
        rule = draw(st.sampled_from(RULES)) if after else "all_success"
        name, kind = f"t{number}", "normal"
        if items is None and over is None:
            kind = draw(st.sampled_from(("normal", "normal", "branch", "short_circuit", "setup", "teardown")))
        made = [node.name for node in nodes if node.kind == "setup"]
        setups = draw(st.lists(st.sampled_from(made), unique=True, max_size=2)) if made and kind == "teardown" else []
        after = sorted({*after, *setups})
        decisive = kind == "teardown" and draw(st.booleans())
        nodes.append(Node(name, tuple(after), rule, items, over, kind, tuple(setups), decisive))
    return nodes


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    made = Scene("sqlite://")
    made.execute("worker w1 slots=1000")
    yield made
    made.close()


_numbers = itertools.count(1)


def agree(scene: Scene, dag_id: str, twin: Twin) -> None:
    shown = {name: _READY.get(state, state) for name, state in instance_states(scene, dag_id, "r1").items()}
    assert shown == twin.states()
    run = scene.call("DagRunService.GetDagRun", dag_id=dag_id, run_id="r1").dag_run
    assert run.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[run.state].name == (
        f"RUN_STATE_{twin.run_state().upper()}"
    )


def say(scene: Scene, text: str) -> None:
    note(text)
    for line in scene.execute(text):
        assert not line.startswith(("error", "refused")), line


def choose(nodes: list[Node], name: str, data: st.DataObject) -> tuple[tuple[str, ...] | None, str | None]:
    """What a branch follows, or how a short circuit cuts."""
    kind = next(node.kind for node in nodes if node.name == name)
    after = [node.name for node in nodes if name in node.after]
    if kind == "branch" and after:
        return tuple(sorted(data.draw(st.lists(st.sampled_from(after), unique=True)))), None
    if kind == "short_circuit":
        return None, data.draw(st.sampled_from((None, "direct", "all")))
    return None, None


def play(scene: Scene, nodes: list[Node], data: st.DataObject) -> None:
    """One run of a DAG from its trigger to its end."""
    dag_id = f"d{next(_numbers)}"
    scene.dags.clear()
    lists = {node.over for node in nodes}
    say(scene, f"dag {dag_id} {{\n" + "\n".join(f"  {node.text()}" for node in nodes) + "\n}")
    say(scene, "publish w1")
    say(scene, f"trigger {dag_id} r1")
    scene.runs.clear()
    scene.note_run(dag_id, "r1")
    twin = Twin(nodes)
    agree(scene, dag_id, twin)
    while ready := sorted(name for name, state in twin.states().items() if state == READY):
        name = data.draw(st.sampled_from(ready))
        task, _, index = name.removesuffix("]").partition("[")
        how = data.draw(st.sampled_from(("succeeded", "succeeded", "failed", "skipped")))
        length = data.draw(st.sampled_from((0, 1, 2, 3, None))) if task in lists and how == SUCCEEDED else None
        result = "" if how != SUCCEEDED else " result=" + ("1" if length is None or index else str([0] * length))
        follow, cut = choose(nodes, task, data) if how == SUCCEEDED else (None, None)
        words = result.replace(", ", ",")
        if follow is not None:
            words += f" branch={','.join(follow) or 'none'}"
        if cut is not None:
            words += f" skip_all={'yes' if cut == 'all' else 'no'}"
        say(scene, f"run {dag_id}/r1/{name} {how}{words}")
        twin.history.append(End(task, int(index) if index else None, how, None if index else length, follow, cut))
        agree(scene, dag_id, twin)
    assert all(state in ENDS for state in twin.states().values())


def compare(scene: Scene, *, runs: int) -> None:
    """Play so many random runs."""

    @given(nodes=dags(), data=st.data())
    @settings(max_examples=runs, deadline=None, suppress_health_check=list(HealthCheck))
    def plays(nodes: list[Node], data: st.DataObject) -> None:
        play(scene, nodes, data)

    plays()


def test_the_server_agrees_with_its_slow_twin(scene: Scene):
    compare(scene, runs=40)
