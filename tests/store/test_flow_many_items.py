"""Ten thousand items from their list to what is made of their results, in transactions of bounded size. [SCHED-1]"""

from collections.abc import Sequence
from typing import Any

from crosswind_server.domain.lifecycle import Event
from crosswind_server.services.execution import xcom_reads
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.execution.attempts import FinishAttempt, StartAttempt
from crosswind_server.services.execution.contexts import TaskContext, XComName
from crosswind_server.services.flow.board import PIECE
from crosswind_server.store.schema import dag_run
from tests.store.dags import dag_of, mapped, reading, stored, task
from tests.store.flow import TEAM, Flow, Worker
from tests.store.test_flow_big_runs import BESIDES, touching

ITEMS = 10_000
FILLING = "x" * 500


def run_all(flow: Flow, leases: Sequence[Lease], worker: Worker) -> list[TaskContext]:
    """Start many attempts in one transaction, and end them in another one, each with its index and a filling."""
    starts = [
        StartAttempt(attempt_id=each.attempt_id, lease=each.lease, instance_id=worker.instance_id) for each in leases
    ]
    contexts = flow.act(lambda uow: flow.heart.attempts.start(uow, starts))
    finishes = [
        FinishAttempt(
            attempt_id=each.attempt_id,
            lease=each.lease,
            outcome_id=f"{each.map_index:036}",
            event=Event.FINISH_SUCCEEDED,
            values=(("return_value", stored(f"{each.map_index} {FILLING}")),),
        )
        for each in leases
    ]
    for answer in flow.act(lambda uow: flow.heart.attempts.finish(uow, finishes)):
        assert not isinstance(answer, Exception), answer
    return contexts


def read_slice(flow: Flow, name: xcom_reads.XComName, *, start: int, limit: int) -> Sequence[Any]:
    def read(uow: Any) -> Sequence[Any]:
        found = xcom_reads.find(uow, flow.heart.plans, TEAM, name)
        assert found.size == ITEMS
        return xcom_reads.read_range(uow, found, start=start, limit=limit)

    return flow.store.read_blocking(read)


def test_ten_thousand_items_are_mapped_run_and_reduced_in_pieces(flow: Flow):
    worker = flow.register(slots=ITEMS)
    end = reading(task("end"), "m")
    flow.publish(dag_of("d", task("list"), mapped(task("m"), "list"), end), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    ran: list[int] = []
    with touching() as touched:
        flow.run(lease, worker, result=list(range(ITEMS)))
        assert flow.continue_all() >= ITEMS // PIECE
        assert flow.row(dag_run, run).unfinished == ITEMS + 2
        while (leases := flow.take(worker)) and leases[0].task_id == "m":
            assert len(leases) <= PIECE
            contexts = run_all(flow, leases, worker)
            assert [len(context.inputs) for context in contexts] == [1] * len(leases)
            ran += [each.map_index for each in leases]
            flow.continue_all()
    assert touched.most <= PIECE + BESIDES
    assert sorted(ran) == list(range(ITEMS))
    # What they returned does not ride with the start of the task that takes it, and comes in slices.
    (lease,) = leases
    context = flow.start(lease, worker)
    assert context.inputs[0].value == XComName(task_id="m", key="return_value")
    name = xcom_reads.XComName(dag_id="d", run_id=flow.row(dag_run, run).run_id, task_id="m", map_index=None)
    seen = 0
    while seen < ITEMS:
        values = read_slice(flow, name, start=seen, limit=1_000)
        assert len(values) == 1_000
        assert [value.data.split()[0][1:] for value in values] == [b"%d" % (seen + each) for each in range(1_000)]
        seen += len(values)
    # An answer is no larger than a message, however many are asked for.
    assert 1_000 < len(read_slice(flow, name, start=0, limit=ITEMS)) < ITEMS
    flow.finish(lease)
    assert flow.run_state(run) == "succeeded"
    assert flow.left_behind() == 0
