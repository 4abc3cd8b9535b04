"""Bundle versions: which is current, who runs what, what becomes of runs whose version is gone. On both databases."""

import pytest
from sqlalchemy import func, select

from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind_server.services.catalog import dag_listing
from crosswind_server.services.catalog.bundles import Manifest, Offer, PublishBundle, SourceProblem
from crosswind_server.services.catalog.manifest_versions import OneVersion
from crosswind_server.services.execution.directives import DirectiveKind
from crosswind_server.services.interventions import version_policy
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import bundle, bundle_version, dag, dag_run, source_error
from tests.store.dags import dag_of, task
from tests.store.flow import TEAM, Flow, Worker, refused


def current(flow: Flow, name: str = "flows") -> str:
    query = select(bundle.c.current_version).where(bundle.c.name == name)
    version: str = flow.store.read_blocking(lambda uow: uow.execute(query).scalar_one())
    return version


def active(flow: Flow) -> dict[str, bool]:
    rows = flow.store.read_blocking(lambda uow: uow.execute(select(dag.c.dag_id, dag.c.active)).all())
    return {row.dag_id: row.active for row in rows}


def test_a_version_seen_first_becomes_current_and_a_known_one_never_again(flow: Flow):
    worker = flow.register()
    first, second = dag_of("d", task("a")), dag_of("d", task("b"))
    assert flow.publish(first, dag_of("gone", task("a")), to=worker, version="v1").current
    assert flow.publish(second, to=worker, version="v2").current
    assert active(flow) == {"d": True, "gone": False}
    again = flow.publish(first, to=worker, version="v1")
    assert (again.known, again.current) == (True, False)
    assert current(flow) == "v2"
    assert refused(lambda: flow.trigger("gone")) == "DAG_NOT_FOUND"
    assert flow.states(flow.trigger("d")) == {"b": "queued"}

    def set_current(version: str) -> None:
        flow.store.write_blocking(
            each(lambda uow, _: flow.heart.bundles.set_current(uow, team=TEAM, bundle="flows", version=version)), None
        )

    set_current("v1")
    assert active(flow) == {"d": True, "gone": True}
    assert flow.states(flow.trigger("d")) == {"a": "queued"}
    assert refused(lambda: set_current("v9")) == "BUNDLE_VERSION_NOT_FOUND"


def test_a_known_version_becomes_current_where_its_worker_saw_the_change(flow: Flow):
    worker = flow.register()
    first, second = dag_of("d", task("a")), dag_of("d", task("b"))
    flow.publish(first, dag_of("gone", task("a")), to=worker, version="v1")
    flow.publish(second, to=worker, version="v2")
    old = flow.trigger("d")
    bare = PublishBundle(
        caller=worker.caller,
        instance_id=worker.instance_id,
        offer=Offer(bundle="flows", version="v1"),
        observed_change=True,
    )
    result = flow.store.write_blocking(flow.heart.publish, bare)
    assert (result.known, result.current, result.refused) == (True, True, ())
    assert active(flow) == {"d": True, "gone": True}
    assert (flow.states(old), flow.states(flow.trigger("d"))) == ({"b": "queued"}, {"a": "queued"})
    # Who only starts with one does not bring it back.
    flow.register("other", offers=[Offer(bundle="flows", version="v2")])
    assert current(flow) == "v1"


def test_a_version_whose_dag_is_another_bundles_by_now_does_not_come_back(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), dag_of("moved", task("a")), to=worker, version="v1")
    flow.publish(dag_of("d", task("b")), to=worker, version="v2")
    flow.publish(dag_of("moved", task("a")), to=worker, bundle="elsewhere")
    back = flow.publish(dag_of("d", task("a")), to=worker, version="v1", observed_change=True)
    assert (back.known, back.current) == (True, False)
    ((dag_id, reason),) = ((each_dag.dag_id, each_dag.reason.name) for each_dag in back.refused)
    assert (dag_id, reason) == ("moved", "DAG_OWNED_BY_OTHER_BUNDLE")
    assert current(flow) == "v2"


def test_a_version_comes_in_parts(flow: Flow):
    worker = flow.register()
    assert flow.publish(dag_of("d", task("a")), to=worker, version="v1", more=True).known
    assert refused(lambda: flow.trigger("d")) == "DAG_NOT_FOUND"
    assert flow.publish(dag_of("e", task("a")), to=worker, version="v1").current
    assert active(flow) == {"d": True, "e": True}
    run = flow.trigger("d")
    assert len(flow.take(worker)) == 1
    assert flow.states(run) == {"a": "assigned"}


def test_an_unknown_version_without_manifest_is_asked_for(flow: Flow):
    worker = flow.register(offers=[Offer(bundle="flows", version="v1")])
    command = PublishBundle(
        caller=worker.caller, instance_id=worker.instance_id, offer=Offer(bundle="flows", version="v1")
    )
    assert not flow.store.write_blocking(flow.heart.publish, command).known
    rows = flow.store.read_blocking(lambda uow: uow.execute(select(bundle_version)).all())
    assert rows == []


def test_source_errors_and_refusals_are_kept_with_the_version(flow: Flow):
    worker = flow.register()
    manifest = Manifest(
        api_version="2026-12-01",
        language="python",
        language_version="3.11",
        sdk_version="0.1.0",
        dags=(("bad", dag_of("bad").SerializeToString()),),
        offered_entry_points=(),
        source_errors=(SourceProblem(source="broken.py", line=3, message="It has a syntax error."),),
    )
    offer = Offer(bundle="flows", version="v1", manifest=manifest)
    command = PublishBundle(caller=worker.caller, instance_id=worker.instance_id, offer=offer)
    flow.store.write_blocking(flow.heart.publish, command)
    rows = flow.store.read_blocking(lambda uow: uow.execute(select(source_error)).all())
    told = {(row.dag_id, row.source, row.line, row.reason) for row in rows}
    assert told == {("", "broken.py", 3, None), ("bad", "", 0, "DAG_INVALID")}


def bundle_versions(flow: Flow) -> dict[str, str]:
    """The bundle version that a list of DAGs shows for each."""
    listed = flow.store.read_blocking(
        lambda uow: dag_listing.list_dags(
            uow,
            TEAM,
            dag_listing.DagFilter(include_removed=True),
            versions=OneVersion(),
            keep=None,
            after_id=None,
            limit=100,
        )
    )
    return {shown.dag_id: shown.bundle_version for shown in listed}


def test_what_a_version_could_not_read_stays_current_as_it_was_last(flow: Flow):
    """[WORKER-1]"""
    worker = flow.register()
    kept, other = dag_of("d", task("a")), dag_of("e", task("a"))
    flow.publish(kept, other, to=worker, version="v1")
    flow.publish(dag_of("e", task("b")), to=worker, version="v2", broken=["d.py"])
    assert (current(flow), active(flow)) == ("v2", {"d": True, "e": True})
    assert bundle_versions(flow) == {"d": "v1", "e": "v2"}
    # Until it is mended, however often the rest changes.
    flow.publish(dag_of("e", task("c")), to=worker, version="v3", broken=["d.py", "more.py"])
    (old,) = flow.poll(worker, max_leases=0).directives
    assert (old.kind, old.bundle_version) == (DirectiveKind.RETIRE_BUNDLE, "v2")
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    assert (lease.task_id, lease.bundle_version) == ("a", "v1")
    flow.run(lease, worker)
    assert flow.run_state(run) == "succeeded"
    flow.publish(dag_of("d", task("z")), other, to=worker, version="v4")
    assert bundle_versions(flow) == {"d": "v4", "e": "v4"}
    assert flow.states(flow.trigger("d")) == {"z": "queued"}
    retired = {directive.bundle_version for directive in flow.poll(worker, max_leases=0).directives}
    assert retired == {"v1", "v2", "v3"}


def test_what_is_missing_is_gone_once_nothing_is_broken(flow: Flow):
    worker = flow.register()
    other = dag_of("e", task("a"))
    flow.publish(dag_of("d", task("a")), other, to=worker, version="v1")
    flow.publish(other, to=worker, version="v2", broken=["d.py"])
    assert flow.poll(worker, max_leases=0).directives == ()
    flow.publish(other, to=worker, version="v3")
    assert active(flow) == {"d": False, "e": True}
    assert refused(lambda: flow.trigger("d")) == "DAG_NOT_FOUND"
    assert bundle_versions(flow) == {"d": "v1", "e": "v3"}
    retired = {directive.bundle_version for directive in flow.poll(worker, max_leases=0).directives}
    assert retired == {"v1", "v2"}


def test_errors_of_any_part_of_a_version_count(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), dag_of("e", task("a")), to=worker, version="v1")
    flow.publish(to=worker, version="v2", broken=["d.py"], more=True)
    flow.publish(dag_of("e", task("a")), to=worker, version="v2")
    assert active(flow) == {"d": True, "e": True}


def test_a_dag_that_the_server_refuses_stays_as_it_was_last_and_a_missing_one_is_gone(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), dag_of("gone", task("a")), to=worker, version="v1")
    (refusal,) = flow.publish(dag_of("d"), to=worker, version="v2").refused
    assert (refusal.dag_id, refusal.reason.name) == ("d", "DAG_INVALID")
    assert active(flow) == {"d": True, "gone": False}
    assert flow.states(flow.trigger("d")) == {"a": "queued"}
    assert flow.take(worker)[0].bundle_version == "v1"


def test_only_a_worker_that_offers_the_version_gets_the_task(flow: Flow):
    old, new = flow.register("old"), flow.register("new")
    flow.publish(dag_of("d", task("a")), to=old, version="v1")
    run = flow.trigger("d")
    flow.publish(dag_of("d", task("a"), task("b")), to=new, version="v2")
    assert flow.take(new) == []
    (lease,) = flow.take(old)
    assert lease.bundle_version == "v1"
    flow.run(lease, old)
    assert flow.run_state(run) == "succeeded"


def test_an_unchanged_dag_runs_in_the_newest_version_that_a_worker_offers(flow: Flow):
    worker = flow.register()
    made = dag_of("d", task("a"))
    flow.publish(made, to=worker, version="v1")
    flow.trigger("d")
    flow.publish(made, dag_of("e", task("a")), to=worker, version="v2")
    (lease,) = flow.take(worker)
    assert lease.bundle_version == "v2"


def test_an_unchanged_dag_runs_in_the_current_version_though_it_is_not_the_newest(flow: Flow):
    worker = flow.register()
    made = dag_of("d", task("a"))
    flow.publish(made, to=worker, version="v1")
    flow.publish(made, dag_of("e", task("a")), to=worker, version="v2")
    flow.publish(made, to=worker, version="v1", observed_change=True)
    flow.trigger("d")
    (lease,) = flow.take(worker)
    assert lease.bundle_version == "v1"


def withdraw(flow: Flow, worker: Worker, version: str) -> None:
    flow.publish(to=worker, version="v2", withdrawn=[("flows", version)])


def test_a_stranded_run_goes_on_with_the_newest_version(flow: Flow):
    """[SCHED-3]"""
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a"), task("old", "a")), to=worker, version="v1")
    run = flow.trigger("d")
    changed = task("b")
    changed.entry_point = "mod:renamed"
    flow.publish(dag_of("d", task("a"), changed), to=worker, version="v2")
    flow.run(flow.take(worker)[0], worker)
    withdraw(flow, worker, "v1")
    assert flow.states(run) == {"a": "succeeded", "b": "queued", "old": "failed"}
    (lease,) = flow.take(worker)
    assert (lease.bundle_version, lease.entry_point) == ("v2", "mod:renamed")
    flow.run(lease, worker)
    assert flow.run_state(run) == "failed"


def test_an_attempt_that_ends_after_the_change_is_tried_again_in_the_newest_version(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", retries=1)), to=worker, version="v1")
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    flow.publish(dag_of("d", task("a", retries=1), task("new")), to=worker, version="v2")
    withdraw(flow, worker, "v1")
    flow.finish(lease, "failed")
    flow.wake()
    (lease,) = flow.take(worker)
    assert (lease.bundle_version, lease.try_number) == ("v2", 2)
    flow.run(lease, worker)
    assert flow.run_state(run) == "succeeded"


def test_a_dag_may_say_that_its_stranded_runs_fail(flow: Flow):
    worker = flow.register()
    fail = dag_pb2.VERSION_POLICY_FAIL
    flow.publish(dag_of("d", task("a"), task("b", "a"), version_policy=fail), to=worker, version="v1")
    run = flow.trigger("d")
    flow.publish(dag_of("d", task("c"), version_policy=fail), to=worker, version="v2")
    withdraw(flow, worker, "v1")
    assert set(flow.states(run).values()) == {"failed"}
    assert flow.run_state(run) == "failed"


@pytest.mark.parametrize("fails", [False, True], ids=["follow", "fail"])
def test_many_stranded_runs_follow_or_fail_in_pieces(flow: Flow, fails: bool):
    """[SCHED-3]"""
    policy = {"version_policy": dag_pb2.VERSION_POLICY_FAIL} if fails else {}
    count = 2 * version_policy.MOST + 50
    worker = flow.register(slots=1_000)
    flow.publish(dag_of("d", task("a"), max_active_runs=count, **policy), to=worker, version="v1")
    runs = [flow.trigger("d") for _ in range(count)]
    flow.publish(dag_of("d", task("a"), task("new"), max_active_runs=count, **policy), to=worker, version="v2")
    withdraw(flow, worker, "v1")
    left = [count - version_policy.MOST]
    assert (moved_or_failed(flow), flow.left_behind()) == (version_policy.MOST, 1)
    while flow.continue_one():
        left.append(count - moved_or_failed(flow))
    assert left[:3] == [count - version_policy.MOST, count - 2 * version_policy.MOST, 0]
    assert flow.left_behind() == 0
    if fails:
        assert {flow.run_state(run) for run in runs} == {"failed"}
    else:
        assert {lease.bundle_version for lease in flow.take(worker)} == {"v2"}
        flow.work_off(worker)
        assert {flow.run_state(run) for run in runs} == {"succeeded"}


def moved_or_failed(flow: Flow) -> int:
    """How many runs have the code of their DAG's current version."""
    query = select(func.count()).select_from(dag_run).join(dag, dag.c.current_version_id == dag_run.c.code_version_id)
    found: int = flow.store.read_blocking(lambda uow: uow.execute(query).scalar_one())
    return found


def test_a_run_waits_while_no_worker_offers_the_bundle_at_all(flow: Flow):
    """[SCHED-3]"""
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker, version="v1")
    run = flow.trigger("d")
    flow.store.write_blocking(flow.heart.deregister, (TEAM, worker.instance_id))
    assert flow.states(run) == {"a": "queued"}
    again = flow.register(offers=[Offer(bundle="flows", version="v1")])
    assert len(flow.take(again)) == 1


def refer(task_id: str, entry_point: str, *upstream: str) -> task_pb2.Task:
    made = task(task_id, *upstream)
    made.reference.bundle = "go"
    made.reference.entry_point = entry_point
    return made


def test_a_reference_waits_for_a_worker_and_is_pinned_for_the_run(flow: Flow):
    mine, theirs = flow.register("mine"), flow.register("theirs")
    flow.publish(dag_of("d", refer("a", "Load"), refer("b", "Load", "a")), to=mine)
    run = flow.trigger("d")
    assert flow.take(mine) == []
    flow.publish(to=theirs, bundle="go", version="g1", offers=["Load"])
    (lease,) = flow.take(theirs)
    assert (lease.bundle, lease.bundle_version, lease.entry_point) == ("go", "g1", "Load")
    flow.publish(to=theirs, bundle="go", version="g2", offers=["Load"])
    flow.run(lease, theirs)
    (lease,) = flow.take(theirs)
    assert (lease.task_id, lease.bundle_version) == ("b", "g1")
    flow.run(lease, theirs)
    assert flow.run_state(run) == "succeeded"
    flow.trigger("d")
    (lease,) = flow.take(theirs)
    assert lease.bundle_version == "g2"


def test_a_version_that_no_run_needs_is_retired(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker, version="v1")
    run = flow.trigger("d")
    flow.publish(dag_of("d", task("b")), to=worker, version="v2")
    assert flow.poll(worker, max_leases=0).directives == ()
    flow.run(flow.take(worker)[0], worker)
    assert flow.run_state(run) == "succeeded"
    (directive,) = flow.poll(worker).directives
    assert (directive.kind, directive.bundle_version) == (DirectiveKind.RETIRE_BUNDLE, "v1")
    withdraw(flow, worker, "v1")
    assert flow.poll(worker).directives == ()
