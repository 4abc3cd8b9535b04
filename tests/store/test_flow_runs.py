"""Runs from trigger to end: chains, trigger rules, skips, failures, retries. On both databases."""

import pytest
from sqlalchemy import select

from crosswind.manifest.v1 import task_pb2
from crosswind_server.domain.readiness import TriggerRule
from crosswind_server.services.execution.attempts import Wake
from crosswind_server.store.schema import dag, dag_run
from tests.store.dags import dag_of, failed, json_payload, reading, task
from tests.store.flow import Flow, arguments, counted, refused


def test_a_chain_goes_on_by_itself(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register()
    flow.publish(dag_of("chain", task("a"), reading(task("b"), "a"), reading(task("c"), "b")), to=worker)
    run = flow.trigger("chain")
    assert flow.run_state(run) == "running"
    assert flow.states(run) == {"a": "queued", "b": "waiting", "c": "waiting"}

    (lease,) = flow.take(worker)
    assert (lease.task_id, lease.try_number, lease.entry_point, lease.delivery) == ("a", 1, "mod:a", 1)
    assert flow.states(run)["a"] == "assigned"
    flow.start(lease, worker)
    assert flow.states(run)["a"] == "running"
    flow.finish(lease, result={"n": 1})
    assert flow.states(run) == {"a": "succeeded", "b": "queued", "c": "waiting"}

    seen = flow.work_off(worker, results={"b": lambda arg0: arg0["n"] + 1})
    assert arguments(seen["b", -1]) == {"arg0": {"n": 1}}
    assert arguments(seen["c", -1]) == {"arg0": 2}
    assert flow.run_state(run) == "succeeded"
    assert flow.row(dag_run, run).unfinished == 0


def test_finishing_hints_whoever_waits_for_work_and_for_the_run(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("chain", task("a"), task("b", "a")), to=worker)
    run = flow.trigger("chain")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    before = flow.row(dag_run, run).revision
    published: list[str] = []
    flow.store.hints.publish = lambda topics: published.extend(topics)  # type: ignore[method-assign]  # a spy
    flow.finish(lease)
    assert {"work:default", f"run:{run}", f"worker:{worker.instance_id}"} <= set(published)
    assert flow.row(dag_run, run).revision > before


RULES = [
    # rule, how the two upstream tasks end, what becomes of the task
    (TriggerRule.ALL_SUCCESS, ("succeeded", "succeeded"), "queued"),
    (TriggerRule.ALL_SUCCESS, ("succeeded", "failed"), "upstream_failed"),
    (TriggerRule.ALL_SUCCESS, ("succeeded", "skipped"), "skipped"),
    (TriggerRule.ALL_FAILED, ("failed", "failed"), "queued"),
    (TriggerRule.ALL_FAILED, ("failed", "succeeded"), "skipped"),
    (TriggerRule.ALL_DONE, ("failed", "skipped"), "queued"),
    (TriggerRule.ALL_DONE_MIN_ONE_SUCCESS, ("failed", "succeeded"), "queued"),
    (TriggerRule.ALL_DONE_MIN_ONE_SUCCESS, ("failed", "failed"), "upstream_failed"),
    (TriggerRule.ALL_SKIPPED, ("skipped", "skipped"), "queued"),
    (TriggerRule.ALL_SKIPPED, ("skipped", "failed"), "skipped"),
    (TriggerRule.ONE_SUCCESS, ("failed", "succeeded"), "queued"),
    (TriggerRule.ONE_SUCCESS, ("failed", "failed"), "upstream_failed"),
    (TriggerRule.ONE_FAILED, ("failed", "succeeded"), "queued"),
    (TriggerRule.ONE_FAILED, ("succeeded", "succeeded"), "skipped"),
    (TriggerRule.ONE_DONE, ("skipped", "failed"), "queued"),
    (TriggerRule.ONE_DONE, ("skipped", "skipped"), "skipped"),
    (TriggerRule.NONE_FAILED, ("skipped", "succeeded"), "queued"),
    (TriggerRule.NONE_FAILED, ("skipped", "failed"), "upstream_failed"),
    (TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, ("skipped", "succeeded"), "queued"),
    (TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, ("skipped", "skipped"), "skipped"),
    (TriggerRule.NONE_SKIPPED, ("failed", "succeeded"), "queued"),
    (TriggerRule.NONE_SKIPPED, ("failed", "skipped"), "skipped"),
]


def test_every_trigger_rule_decides_by_how_the_upstream_ended(flow: Flow):
    worker = flow.register(slots=100)
    tasks, expected = [], {}
    for number, (rule, ends, state) in enumerate(RULES):
        left, right, join = f"left{number}", f"right{number}", f"join{number}"
        value = getattr(task_pb2, f"TRIGGER_RULE_{rule.name}")
        tasks += [task(left), task(right), task(join, left, right, trigger_rule=value)]
        expected[join] = state
        expected[left], expected[right] = ends
    flow.publish(dag_of("rules", *tasks), to=worker)
    run = flow.trigger("rules")
    for lease in flow.take(worker):
        flow.run(lease, worker, expected[lease.task_id])
    assert flow.states(run) == expected
    assert {rule for rule, _, _ in RULES} | {TriggerRule.ALWAYS} == set(TriggerRule)


def test_one_done_is_not_met_by_a_task_that_never_ran(flow: Flow):
    worker = flow.register()
    value = task_pb2.TRIGGER_RULE_ONE_DONE
    flow.publish(dag_of("d", task("a"), task("b", "a"), task("c", "b", trigger_rule=value)), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"a": "failed"})
    assert flow.states(run) == {"a": "failed", "b": "upstream_failed", "c": "skipped"}


def test_always_runs_beside_its_upstream(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a", trigger_rule=task_pb2.TRIGGER_RULE_ALWAYS)), to=worker)
    run = flow.trigger("d")
    assert flow.states(run) == {"a": "queued", "b": "queued"}
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"


def test_a_diamond_waits_for_both_sides(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("top"), task("l", "top"), task("r", "top"), task("end", "l", "r")), to=worker)
    run = flow.trigger("d")
    flow.run(flow.take(worker)[0], worker)
    left, right = flow.take(worker)
    flow.run(left, worker)
    assert flow.states(run)["end"] == "waiting"
    flow.run(right, worker)
    assert flow.states(run)["end"] == "queued"


def test_a_failure_fails_what_follows_and_the_run(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a"), task("c", "b"), task("free")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"a": "failed"})
    states = {"a": "failed", "b": "upstream_failed", "c": "upstream_failed", "free": "succeeded"}
    assert flow.states(run) == states
    assert flow.run_state(run) == "failed"
    assert flow.instance(run, "a").failure_message is not None


def test_a_failure_that_is_made_good_does_not_fail_the_run(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("mend", "a", trigger_rule=task_pb2.TRIGGER_RULE_ALL_DONE)), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"a": "failed"})
    assert flow.run_state(run) == "succeeded"


def test_a_skip_goes_on_through_the_dag(flow: Flow):
    worker = flow.register()
    chain = [task("t0"), *(task(f"t{n}", f"t{n - 1}") for n in range(1, 30))]
    flow.publish(dag_of("d", *chain), to=worker)
    run = flow.trigger("d")
    flow.run(flow.take(worker)[0], worker, "skipped")
    assert set(flow.states(run).values()) == {"skipped"}
    assert flow.run_state(run) == "succeeded"


def test_a_failed_task_is_tried_again_after_its_delay(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", retries=2, delay=60.0)), to=worker)
    run = flow.trigger("d")
    for number in (1, 2):
        (lease,) = flow.take(worker)
        assert lease.try_number == number
        context = flow.run(lease, worker, "failed")
        assert (context.previous_failure is None) == (number == 1)
        assert context.max_tries == 3
        row = flow.instance(run, "a")
        assert row.state == "up_for_retry"
        assert row.not_before > row.queued_time
        assert flow.take(worker) == []
        assert flow.wake() == 1
        assert flow.instance(run, "a").state == "queued"
    (lease,) = flow.take(worker)
    flow.run(lease, worker, "failed")
    assert flow.states(run) == {"a": "failed"}
    assert flow.run_state(run) == "failed"


def test_the_first_retry_rule_that_names_the_failure_decides(flow: Flow):
    worker = flow.register()
    made = task("a", retries=5, delay=60.0)
    made.retry.rules.add(failure_types=["Fatal"], retry=False)
    made.retry.rules.add(failure_types=["OSError"]).delay.FromSeconds(3600)
    flow.publish(dag_of("d", made), to=worker)
    first, second, third = (flow.trigger("d") for _ in range(3))
    by_run = {flow.row(dag_run, run).run_id: run for run in (first, second, third)}
    kinds = {first: failed("Fatal"), second: failed("OSError"), third: failed("Other", retryable=False)}
    for lease in flow.take(worker):
        flow.start(lease, worker)
        flow.finish(lease, "failed", failure=kinds[by_run[lease.run_id]])
    assert flow.states(first) == {"a": "failed"}
    row = flow.instance(second, "a")
    assert row.state == "up_for_retry"
    assert row.not_before - flow.attempt_end(row) == 3600 * 1_000_000
    assert flow.states(third) == {"a": "failed"}


def test_a_failure_may_say_when_to_try_again(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", retries=1, delay=60.0)), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    flow.finish(lease, "failed", failure=failed(retry_after_us=7_000_000))
    row = flow.instance(run, "a")
    assert row.not_before - flow.attempt_end(row) == 7_000_000


@pytest.mark.parametrize(("outcome", "state"), [("rescheduled", "up_for_reschedule"), ("deferred", "deferred")])
def test_a_task_may_ask_to_go_on_later_at_no_cost_of_a_try(flow: Flow, outcome: str, state: str):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    first = flow.start(lease, worker)
    flow.finish(lease, outcome, wake=Wake(delay_us=60_000_000, resumption=b"\x0a\x04next"))
    row = flow.instance(run, "a")
    assert row.state == state
    assert row.not_before - flow.attempt_end(row) == 60_000_000
    assert flow.wake() == 1
    (lease,) = flow.take(worker)
    assert lease.try_number == 1
    again = flow.start(lease, worker)
    assert again.resumption == b"\x0a\x04next"
    assert again.first_start_time == first.first_start_time
    flow.finish(lease)
    assert flow.run_state(run) == "succeeded"


def test_a_deferral_is_bounded_by_its_timeout(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    wake = Wake(delay_us=60_000_000, timeout_us=1_000_000, resumption=b"\x0a\x01a", resumption_timed_out=b"\x20\x01")
    flow.finish(lease, "deferred", wake=wake)
    row = flow.instance(run, "a")
    assert row.not_before - flow.attempt_end(row) == 1_000_000
    flow.wake()
    assert flow.start(flow.take(worker)[0], worker).resumption == b"\x20\x01"


def test_a_run_is_refused_without_what_it_needs(flow: Flow):
    worker = flow.register()
    needy = dag_of("needy", task("a"))
    needy.params.add(name="month")
    flow.publish(needy, dag_of("d", task("a")), to=worker)
    assert refused(lambda: flow.trigger("nothing")) == "DAG_NOT_FOUND"
    assert refused(lambda: flow.trigger("needy")) == "CONF_INVALID"
    no_object = json_payload("no object").SerializeToString()
    assert refused(lambda: flow.trigger("d", conf=no_object)) == "INVALID_ARGUMENT"
    flow.trigger("needy", conf=json_payload({"month": 1}).SerializeToString())
    flow.trigger("d", run_id="mine")
    assert refused(lambda: flow.trigger("d", run_id="mine")) == "RUN_EXISTS"


def test_a_paused_dag_keeps_its_runs_waiting(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), dag_of("p", task("a"), paused_upon_creation=True), to=worker)
    run = flow.trigger("p")
    assert flow.run_state(run) == "queued"
    assert flow.take(worker) == []
    flow.pause("p", False)
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    assert flow.run_state(run) == "running"
    flow.finish(lease)
    rows = flow.store.read_blocking(lambda uow: uow.execute(select(dag.c.dag_id, dag.c.paused)).all())
    assert dict(tuple(row) for row in rows) == {"d": False, "p": False}


def test_greater_priority_goes_first_and_queues_are_kept_apart(flow: Flow):
    flow.publish(
        dag_of("d", task("low"), task("high", priority=5), task("other", queue="gpu"), task("big", slots=4)),
        to=flow.register("w0", slots=1, queues=["none"]),
        version="v",
    )
    worker = flow.register("w1", slots=2)
    flow.publish(dag_of("d", task("low"), task("high", priority=5)), to=worker, version="v")
    run = flow.trigger("d")
    first = flow.take(worker, max_leases=1)
    assert [lease.task_id for lease in first] == ["high"]
    second = flow.take(worker, held=[first[0].attempt_id])
    assert [lease.task_id for lease in second] == ["low"]
    assert flow.take(worker, held=[lease.attempt_id for lease in first + second]) == []
    gpu = flow.register("w2", slots=4, queues=["gpu", "default"])
    flow.publish(to=gpu, version="v")
    assert [lease.task_id for lease in flow.take(gpu)] == ["other"]
    assert flow.states(run)["big"] == "queued"


def test_finishing_costs_the_out_degree_whatever_the_size_of_the_dag(flow: Flow):
    """[SCHED-2]"""
    costs = {}
    for size in (10, 1_000):
        worker = flow.register(f"w{size}", slots=1)
        tasks = [task("t0"), task("t1", "t0"), *(task(f"t{n}") for n in range(2, size))]
        flow.publish(dag_of(f"d{size}", *tasks), to=worker, bundle=f"b{size}")
        run = flow.trigger(f"d{size}")
        flow.continue_all()
        lease = flow.poll(worker, max_leases=1).leases[0]
        assert lease.task_id == "t0"
        flow.start(lease, worker)
        with counted(flow.store) as statements:
            flow.finish(lease, result=1)
        costs[size] = len(statements)
        assert flow.states(run)["t1"] == "queued"
    assert costs[10] == costs[1_000]
    assert 5 <= costs[10] <= 8
