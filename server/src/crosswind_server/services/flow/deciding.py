"""What becomes of instances that wait: by their trigger rules they run, are skipped, fail or wait on. [SCHED-2]

Here belongs judging one after another what the end of others, or the beginning of the run, may have made ready. Judging
an instance that is not ready changes nothing, so it may be judged as often as anybody likes.
"""

from __future__ import annotations

from collections.abc import Sequence

from crosswind_server.domain.plan import TaskKind
from crosswind_server.domain.readiness import Counts, Readiness, judge
from crosswind_server.domain.scopes import judge_teardown
from crosswind_server.domain.skipping import read_skips
from crosswind_server.domain.states import TaskState
from crosswind_server.services.flow import groups, latest, past
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.expansion import expand
from crosswind_server.services.flow.rows import Instance


def decide(board: Board, budget: int) -> int:
    """Judge what is to be judged on a board; answers what is left of the budget of rows."""
    waiting = [each for each in board.unjudged.values() if each.state == TaskState.WAITING]
    board.unjudged = {}
    board.load_tasks((each.run_key, each.task_index) for each in waiting if each.map_index >= 0)
    ready: list[Instance] = []
    closing: list[tuple[Instance, Counts]] = []
    for instance in waiting:
        if board.runs[instance.run_key].final_state is not None:
            continue  # Its run is being stopped.
        if instance.id in board.stale or _is_skipped_with_its_task(board, instance):
            continue
        task = board.task_of(instance)
        counts = counts_of(board, instance)
        if not task.is_teardown:
            _settle(board, instance, judge(task.trigger_rule, counts), ready)
        elif counts.done == counts.total:
            closing.append((instance, counts))
        elif groups.is_whole(task, instance):
            ready.append(instance)
    for instance, counts, setups in _setups_of(board, closing):
        _settle(board, instance, judge_teardown(counts, setups), ready)
    return _release(board, ready, budget)


def counts_of(board: Board, instance: Instance) -> Counts:
    """How the upstream tasks of an instance ended; one in a mapped group shares what its task has counted outside."""
    rows = [instance]
    if instance.map_index >= 0:
        rows.append(board.tasks[instance.run_key, instance.task_index])
    return Counts(
        total=len(board.task_of(instance).upstream),
        succeeded=sum(row.upstream_succeeded for row in rows),
        failed=sum(row.upstream_failed for row in rows),
        skipped=sum(row.upstream_skipped for row in rows),
    )


def _settle(board: Board, instance: Instance, readiness: Readiness, ready: list[Instance]) -> None:
    match readiness:
        case Readiness.RUN:
            ready.append(instance)
        case Readiness.SKIP:
            board.end(instance, TaskState.SKIPPED)
        case Readiness.UPSTREAM_FAILED:
            board.end(instance, TaskState.UPSTREAM_FAILED)
        case Readiness.WAIT if groups.is_whole(board.task_of(instance), instance):
            # Its instances may be made while it waits for tasks that they wait for too.
            ready.append(instance)
        case Readiness.WAIT:
            pass


def _is_skipped_with_its_task(board: Board, instance: Instance) -> bool:
    """Skip an instance in a mapped group whose whole task was skipped from outside after it had been expanded."""
    if instance.map_index < 0:
        return False
    whole = board.tasks[instance.run_key, instance.task_index]
    skips = read_skips(whole.skips)
    if skips is None or not skips.itself:
        return False
    board.end(instance, TaskState.SKIPPED, skips=skips.onward)
    return True


def _setups_of(board: Board, closing: Sequence[tuple[Instance, Counts]]) -> list[tuple[Instance, Counts, Counts]]:
    """How the setups of teardowns ended whose upstream tasks all have: read once, when that is so."""
    keys = [(each, _setup_keys(board, each)) for each, _ in closing]
    board.load_all([key for _, named in keys for key in named])
    found = []
    for (instance, counts), (_, named) in zip(closing, keys, strict=True):
        rows = [board.at(*key) for key in named]
        states = [TaskState(row.state) for row in rows if row is not None]
        good, skipped = states.count(TaskState.SUCCEEDED), states.count(TaskState.SKIPPED)
        bad = len(states) - good - skipped
        found.append((instance, counts, Counts(total=len(states), succeeded=good, skipped=skipped, failed=bad)))
    return found


def _setup_keys(board: Board, instance: Instance) -> list[tuple[str, int, int]]:
    task = board.task_of(instance)
    inside = frozenset(task.inner_upstream) if instance.map_index >= 0 else frozenset[int]()
    return [(instance.run_key, index, instance.map_index if index in inside else -1) for index in task.setups]


def _release(board: Board, ready: Sequence[Instance], budget: int) -> int:
    """Let go on what is ready: into the queue, or as what its task is."""
    mapped: list[Instance] = []
    wholes: list[Instance] = []
    decided: list[Instance] = []
    for instance in past.let_go(board, groups.let_go(board, ready)):
        task = board.task_of(instance)
        if groups.is_whole(task, instance):
            wholes.append(instance)
        elif task.mapping is not None and instance.map_index < 0:
            mapped.append(instance)
        elif task.kind is TaskKind.LATEST_ONLY:
            decided.append(instance)
        else:
            board.queue(instance)
    latest.decide(board, decided)
    if mapped:
        budget = expand(board, mapped, budget=budget)
    return groups.expand(board, wholes, budget=budget)
