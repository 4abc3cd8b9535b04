"""Assets: events land with outcomes, and create the runs whose conditions they complete. On both databases."""

import json
import uuid
from typing import Any

import pytest
from sqlalchemy import select

from crosswind.manifest.v1 import dag_pb2, schedule_pb2
from crosswind_server.domain.assets import AssetRef
from crosswind_server.domain.lifecycle import Event
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.execution.attempts import FinishAttempt, Wake
from crosswind_server.services.runs import asset_events
from crosswind_server.services.runs.asset_events import Emission, Source
from crosswind_server.store import assets
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import asset_pending, asset_relation, dag_run
from tests.store.dags import dag_of, failed, json_payload, task
from tests.store.flow import TEAM, Flow


def reference(name: str, *, alias: bool = False) -> schedule_pb2.AssetReference:
    return schedule_pb2.AssetReference(name=name, alias=alias)


def one(name: str, *, alias: bool = False) -> schedule_pb2.AssetCondition:
    return schedule_pb2.AssetCondition(asset=reference(name, alias=alias))


def every(*conditions: schedule_pb2.AssetCondition) -> schedule_pb2.AssetCondition:
    return schedule_pb2.AssetCondition(all=schedule_pb2.AssetConditions(conditions=conditions))


def some(*conditions: schedule_pb2.AssetCondition) -> schedule_pb2.AssetCondition:
    return schedule_pb2.AssetCondition(any=schedule_pb2.AssetConditions(conditions=conditions))


def on(dag_id: str, condition: schedule_pb2.AssetCondition, **fields: Any) -> dag_pb2.Dag:
    """A DAG that runs when a condition is met."""
    made = dag_of(dag_id, task("a"), **fields)
    made.schedule.assets.condition.CopyFrom(condition)
    return made


def finish(flow: Flow, lease: Lease, *emissions: Emission, event: Event = Event.FINISH_SUCCEEDED) -> None:
    """Finish an attempt with events of assets."""
    flow.store.write_blocking(
        flow.heart.attempts.finish,
        FinishAttempt(
            attempt_id=lease.attempt_id,
            lease=lease.lease,
            outcome_id=str(uuid.uuid4()),
            event=event,
            emissions=emissions,
            failure=failed() if event is Event.FINISH_FAILED else None,
            wake=Wake(delay_us=60_000_000) if event is Event.FINISH_DEFERRED else None,
        ),
    )


def emit(flow: Flow, *names: str, **fields: Any) -> None:
    """A person records events."""
    emissions = [(Emission(asset=AssetRef(name), **fields), Source(subject="ann")) for name in names]
    flow.store.write_blocking(each(lambda uow, _: asset_events.emit(uow, TEAM, emissions)), None)
    flow.continue_all()


def runs_of(flow: Flow, dag_id: str) -> list[Any]:
    query = select(dag_run).where(dag_run.c.dag_id == dag_id).order_by(dag_run.c.id)
    return list(flow.store.read_blocking(lambda uow: uow.execute(query).all()))


def events_of(flow: Flow, **wanted: Any) -> list[Any]:
    return list(flow.store.read_blocking(lambda uow: assets.list_events(uow, TEAM, limit=1_000, **wanted)))


def pending(flow: Flow) -> int:
    return len(flow.store.read_blocking(lambda uow: uow.execute(select(asset_pending)).all()))


def test_an_event_lands_with_the_outcome_and_creates_a_run(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register()
    flow.publish(dag_of("producer", task("p")), on("consumer", one("orders")), to=worker)
    run = flow.trigger("producer")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    extra = json_payload({"rows": 3}).SerializeToString()
    finish(flow, lease, Emission(asset=AssetRef("orders", "s3://orders"), extra=extra))
    flow.continue_all()
    (created,) = runs_of(flow, "consumer")
    assert (created.run_type, created.triggered_by, created.state) == ("asset", "asset orders", "running")
    (event,) = events_of(flow, of_run=created.id)
    assert (event.asset_name, event.task_id, event.run_key, event.dag_id) == ("orders", "p", run, "producer")
    assert json.loads(b"{" + event.extra_message.split(b"{", 1)[1]) == {"rows": 3}
    assert (created.data_interval_start, created.data_interval_end) == (event.event_time, event.event_time)
    assert pending(flow) == 0
    flow.work_off(worker)
    assert flow.run_state(created.id) == "succeeded"


@pytest.mark.parametrize("how", ["failed", "skipped", "deferred", "cancelled"])
def test_only_a_success_counts(flow: Flow, how: str):
    worker = flow.register()
    flow.publish(dag_of("producer", task("p", outlets=[reference("orders")])), to=worker)
    run = flow.trigger("producer")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    if how == "cancelled":
        flow.cancel(run)
        finish(flow, lease, Emission(asset=AssetRef("orders")))
    else:
        finish(flow, lease, Emission(asset=AssetRef("orders")), event=Event[f"FINISH_{how.upper()}"])
    assert events_of(flow) == []


def test_a_declared_outlet_has_an_event_when_its_task_succeeds(flow: Flow):
    worker = flow.register()
    outlets = [reference("orders"), reference("items"), reference("any", alias=True)]
    flow.publish(dag_of("producer", task("p", outlets=outlets)), to=worker)
    flow.trigger("producer")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    finish(flow, lease, Emission(asset=AssetRef("items"), partition_key="2026"))
    assert {(event.asset_name, event.partition_key) for event in events_of(flow)} == {("orders", ""), ("items", "2026")}


def test_conditions_of_all_and_any_and_what_they_nest(flow: Flow):
    worker = flow.register()
    flow.publish(
        on("both", every(one("a"), one("b"))),
        on("either", some(one("a"), one("b"))),
        on("nested", every(one("c"), some(one("a"), one("b")))),
        to=worker,
    )
    emit(flow, "a")
    assert [len(runs_of(flow, dag)) for dag in ("both", "either", "nested")] == [0, 1, 0]
    emit(flow, "a")
    emit(flow, "c")
    assert [len(runs_of(flow, dag)) for dag in ("both", "either", "nested")] == [0, 2, 1]
    emit(flow, "b")
    assert [len(runs_of(flow, dag)) for dag in ("both", "either", "nested")] == [1, 3, 1]
    (both,) = runs_of(flow, "both")
    assert [event.asset_name for event in events_of(flow, of_run=both.id)] == ["b", "a", "a"]
    (nested,) = runs_of(flow, "nested")
    assert both.triggered_by == "asset b"
    assert nested.triggered_by == "asset c"
    # What was taken is not taken again: the next run needs new events.
    emit(flow, "b")
    assert [len(runs_of(flow, dag)) for dag in ("both", "nested")] == [1, 1]


def test_an_alias_is_resolved_by_the_task_that_emits(flow: Flow):
    worker = flow.register()
    flow.publish(on("consumer", one("latest", alias=True)), on("other", one("orders-7")), to=worker)
    emit(flow, "orders-7", aliases=("latest",))
    (created,) = runs_of(flow, "consumer")
    assert created.triggered_by == "asset orders-7"
    assert len(runs_of(flow, "other")) == 1
    emit(flow, "orders-8")
    assert len(runs_of(flow, "consumer")) == 1


def test_a_run_is_about_one_partition(flow: Flow):
    worker = flow.register()
    flow.publish(on("both", every(one("a"), one("b"))), to=worker)
    emit(flow, "a", partition_key="monday")
    emit(flow, "b", partition_key="tuesday")
    emit(flow, "b")
    assert runs_of(flow, "both") == []
    emit(flow, "b", partition_key="monday")
    (created,) = runs_of(flow, "both")
    assert created.partition_key == "monday"
    assert {event.partition_key for event in events_of(flow, of_run=created.id)} == {"monday"}
    assert pending(flow) == 2


def test_events_of_a_paused_dag_wait_and_are_taken_together(flow: Flow):
    worker = flow.register()
    flow.publish(on("consumer", one("a")), to=worker)
    flow.pause("consumer", True)
    emit(flow, "a")
    emit(flow, "a")
    assert runs_of(flow, "consumer") == []
    flow.pause("consumer", False)
    flow.continue_all()
    (created,) = runs_of(flow, "consumer")
    assert len(events_of(flow, of_run=created.id)) == 2
    assert pending(flow) == 0


def test_a_run_takes_a_bounded_number_of_events_and_the_next_run_the_rest(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register()
    flow.publish(on("consumer", every(one("a"), one("b"))), to=worker)
    flow.pause("consumer", True)
    emit(flow, *["a"] * 700, "b", "b")
    flow.pause("consumer", False)
    flow.continue_all()
    (first,) = runs_of(flow, "consumer")
    taken = [event.asset_name for event in events_of(flow, of_run=first.id)]
    # Of each asset the oldest, so that every part of the condition is there; the rest waits for the next `b`.
    assert (taken.count("a"), taken.count("b")) == (498, 2)
    assert pending(flow) == 202
    emit(flow, "b")
    (_, second) = runs_of(flow, "consumer")
    assert len(events_of(flow, of_run=second.id)) == 203
    assert pending(flow) == 0


def test_a_new_version_forgets_events_of_assets_that_it_does_not_name(flow: Flow):
    worker = flow.register()
    flow.publish(on("d", every(one("a"), one("b"))), to=worker)
    emit(flow, "a")
    assert pending(flow) == 1
    flow.publish(on("d", every(one("b"), one("c"))), to=worker)
    assert pending(flow) == 0
    rows = flow.store.read_blocking(lambda uow: uow.execute(select(asset_relation)).all())
    assert len(rows) == 2
    emit(flow, "b", "c")
    assert len(runs_of(flow, "d")) == 1


def test_many_dags_on_one_asset_are_told_in_pieces(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register()
    flow.publish(*(on(f"d{n:02}", one("a")) for n in range(45)), to=worker)
    emissions = [(Emission(asset=AssetRef("a")), Source(subject="ann"))]
    flow.store.write_blocking(each(lambda uow, _: asset_events.emit(uow, TEAM, emissions)), None)
    assert flow.continue_all() >= 3
    assert all(len(runs_of(flow, f"d{n:02}")) == 1 for n in range(45))


def test_a_dag_that_no_bundle_holds_any_more_gets_no_run(flow: Flow):
    worker = flow.register()
    flow.publish(on("gone", one("a")), dag_of("d", task("x")), to=worker)
    flow.publish(dag_of("d", task("x")), to=worker)
    emit(flow, "a")
    assert runs_of(flow, "gone") == []


@pytest.mark.parametrize(
    "made",
    [
        on("d", schedule_pb2.AssetCondition()),
        on("d", every()),
        on("d", one("")),
        on("d", one("x" * 501)),
        dag_of("d", task("a", outlets=[reference("")])),
    ],
)
def test_a_condition_that_says_nothing_is_refused(sqlite_flow: Flow, made: dag_pb2.Dag):
    worker = sqlite_flow.register()
    (refusal,) = sqlite_flow.publish(made, to=worker).refused
    assert refusal.reason.name == "DAG_INVALID"
    assert refusal.message.endswith(".")
