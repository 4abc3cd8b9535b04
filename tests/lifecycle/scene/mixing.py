"""The command `mixes`: what becomes of tasks under every mix of outcomes of those before them, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations_with_replacement

from tests.lifecycle.scene.command import command
from tests.lifecycle.scene.outcomes import read_outcome
from tests.lifecycle.scene.scene import Scene
from tests.lifecycle.scene.showing import instance_states
from tests.lifecycle.scene.text import Arguments

_LETTERS = {"s": "succeeded", "f": "failed", "k": "skipped", "u": "failed"}
_SHOWN = {"succeeded": "s", "failed": "f", "skipped": "k", "upstream_failed": "u", "waiting": ".", "removed": "x"}


@command("mixes")
def mixes(scene: Scene, a: Arguments) -> Iterable[str]:
    """A row for each other task of a DAG, a column for each mix: `mixes d of=a,b,c before=x,y,z`.

    The tasks `of` end one after the other: s succeeded, f failed, k skipped, u upstream failed, for which the task
    `before` it fails. A cell shows how the task ended (`R`: it ran), and after how many of the ends that was decided.
    """
    dag_id, of, before = a.word("DAG"), a.names("of"), a.names("before")
    columns = ["".join(mix) for mix in combinations_with_replacement("sfku" if before else "sfk", len(of))]
    cells = [_play(scene, dag_id, mix, of, before) for mix in columns]
    names = [name for name in cells[0] if name not in {*of, *before}]
    width = max(map(len, names))
    yield " ".join([" " * width, *columns]).rstrip()
    for name in names:
        row = [each[name].ljust(len(of)) for each in cells]
        yield " ".join([name.ljust(width), *row]).rstrip()


def _play(scene: Scene, dag_id: str, mix: str, of: list[str], before: list[str]) -> dict[str, str]:
    scene.call("DagRunService.TriggerDagRun", dag_id=dag_id, run_id=mix)
    scene.note_run(dag_id, mix)
    for name, letter in zip(before, mix, strict=False):
        if letter != "u":
            _end(scene, mix, name, "succeeded")
    decided: dict[str, int] = {}
    _decide(scene, dag_id, mix, 0, decided)
    for position, letter in enumerate(mix):
        _end(scene, mix, before[position] if letter == "u" else of[position], _LETTERS[letter])
        _decide(scene, dag_id, mix, position + 1, decided)
    for worker in scene.workers.values():
        while worker.poll().leases or any(each.started is None for each in worker.held.values()):
            for held in list(worker.held.values()):
                worker.start(held)
                worker.finish(held, read_outcome(Arguments.parse("succeeded"), scene.now_us))
            scene.server.settle()
    ended = instance_states(scene, dag_id, mix)
    return {
        name: ("R" if state == "succeeded" else _SHOWN.get(state, state)) + str(decided.get(name, ""))
        for name, state in ended.items()
    }


def _end(scene: Scene, run_id: str, name: str, outcome: str) -> None:
    for worker in scene.workers.values():
        worker.poll()
        held = worker.find(f"{run_id}/{name}")
        if held is not None:
            worker.start(held)
            worker.finish(held, read_outcome(Arguments.parse(outcome), scene.now_us))
    scene.server.settle()


def _decide(scene: Scene, dag_id: str, run_id: str, ends: int, decided: dict[str, int]) -> None:
    for name, state in instance_states(scene, dag_id, run_id).items():
        if state != "waiting":
            decided.setdefault(name, ends)
