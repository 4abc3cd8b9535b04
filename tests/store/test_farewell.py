"""How a server takes leave of its workers, on a real event loop and both databases. [STOP-1]"""

import asyncio

import pytest

from crosswind_server.domain.errors import Refused
from crosswind_server.services.execution.directives import DirectiveKind
from crosswind_server.services.execution.polling import PollWork, Work
from crosswind_server.timing import Timing
from tests.store.dags import dag_of, task
from tests.store.flow import Flow, Worker

PATIENCE = 20.0


def poll(flow: Flow, worker: Worker, *held: str, known: str = "", wait: float | None = None) -> asyncio.Task[Work]:
    command = PollWork(
        caller=worker.caller,
        instance_id=worker.instance_id,
        poll_number=next(worker.polls),
        held_attempt_ids=held,
        known_directives=known,
    )
    return asyncio.create_task(flow.heart.farewell.poll(command, wait=wait))


def taking_leave(flow: Flow, grace: float = PATIENCE) -> Flow:
    return Flow(flow.store, Timing(move_away_grace=grace))


async def told_to_move(waiting: asyncio.Task[Work]) -> str:
    """The digest with which a poll is sent away."""
    work = await asyncio.wait_for(waiting, PATIENCE)
    assert (work.leases, [directive.kind for directive in work.directives]) == ((), [DirectiveKind.MOVE_AWAY])
    return work.digest


async def test_a_server_whose_workers_hold_nothing_stops_at_once(flow: Flow):
    flow = taking_leave(flow)
    polls = [poll(flow, flow.register(f"w{number}")) for number in range(3)]
    await asyncio.sleep(0)  # they begin
    async with asyncio.timeout(PATIENCE / 2):
        await flow.heart.farewell.take()
    for each in polls:
        await told_to_move(each)


async def test_a_worker_that_holds_an_attempt_is_served_until_it_has_ended(flow: Flow):
    flow = taking_leave(flow)
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    waiting = poll(flow, worker, lease.attempt_id)
    await asyncio.sleep(0)  # it begins
    leaving = asyncio.create_task(flow.heart.farewell.take())
    digest = await told_to_move(waiting)
    assert flow.heart.farewell.is_news_for(worker.instance_id)
    asked_again = await asyncio.wait_for(poll(flow, worker, lease.attempt_id, known=digest, wait=0.05), PATIENCE)
    assert asked_again.digest == digest
    held = poll(flow, worker, lease.attempt_id, known=digest)
    await asyncio.sleep(0)  # it begins
    assert not flow.heart.farewell.is_news_for(worker.instance_id)
    assert not leaving.done()
    flow.finish(lease)
    flow.heart.farewell.note_end()
    await asyncio.wait_for(leaving, PATIENCE)
    with pytest.raises(Refused) as refused:
        await asyncio.wait_for(held, PATIENCE)
    assert refused.value.reason.name == "SERVER_STOPPING"
    assert flow.run_state(run) == "succeeded"


async def test_a_worker_that_does_not_end_is_not_waited_for_longer_than_it_was_told(flow: Flow):
    flow = taking_leave(flow, grace=0.1)
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    waiting = poll(flow, worker, lease.attempt_id)
    await asyncio.sleep(0)  # it begins
    async with asyncio.timeout(PATIENCE):
        await flow.heart.farewell.take()
    await told_to_move(waiting)
    assert flow.states(run) == {"a": "running"}
