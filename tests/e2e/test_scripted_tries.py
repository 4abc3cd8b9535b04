"""Tries, mapped tasks, aliases and setups from a hand-written manifest, with real processes."""

from tests.e2e.support.cluster import Cluster
from tests.e2e.support.workers import NO_WORKER
from tests.e2e.test_control import crosswind

TRIES = """
dag tries {
  grows retries=2 delay=100ms multiplier=2 max_delay=150ms jitter=0.5
  by_type retries=5 delay=1h retry=OSError:50ms,KeyError:no
  later retries=1 delay=1h
  never retries=5
  sensor kind=sensor
  nap
}
on grows failed times=2
on by_type failed type=FileNotFoundError base=OSError times=1
on by_type failed type=KeyError
on later failed retry_after=50ms times=1
on never failed retryable=no
on sensor rescheduled for=50ms times=2
on nap deferred for=50ms method=wake state={"n":1} times=1
"""


@NO_WORKER
def test_each_failure_is_tried_again_as_it_and_its_policy_say(each_cluster: Cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(TRIES)
    run = cluster.control.trigger("tries")
    assert cluster.control.wait_run("tries", run) == "FAILED"
    names = cluster.control.task_states("tries", run)
    assert {name: cluster.control.attempt_states("tries", run, name) for name in names} == {
        "grows": ["FAILED", "FAILED", "SUCCEEDED"],
        "by_type": ["FAILED", "FAILED"],
        "later": ["FAILED", "SUCCEEDED"],
        "never": ["FAILED"],
        "sensor": ["RESCHEDULED", "RESCHEDULED", "SUCCEEDED"],
        "nap": ["DEFERRED", "SUCCEEDED"],
    }
    assert [each.try_number for each in cluster.control.attempts("tries", run, "sensor")] == [1, 1, 1]
    worker.wait_for("^started nap .*resumption.*wake.*state")


MAPS = """
dag maps {
  list; pairs map=x:[1,2],y:list combine=zip map_name="{x} of {index}"
  all map=x:[1,2],y:[3,4]; words map=k:[{"a":1},{"a":2}] combine=keywords
  none map=[]; end after=pairs,all,words,none rule=none_failed
}
on list result=["a","b"]
"""


@NO_WORKER
def test_a_task_is_mapped_in_each_way(cluster: Cluster):
    worker = cluster.start_scripted_worker(MAPS)
    run = cluster.control.trigger("maps")
    assert cluster.control.wait_run("maps", run) == "SUCCEEDED"
    assert worker.arguments_of("pairs[1]") == {"x": 2, "y": "b", "map_index_name": "2 of 1"}
    assert [worker.arguments_of(f"all[{index}]") for index in range(4)] == [
        {"x": 1, "y": 3},
        {"x": 1, "y": 4},
        {"x": 2, "y": 3},
        {"x": 2, "y": 4},
    ]
    assert {"a": 2} in worker.arguments_of("words[1]").values()
    assert cluster.control.task_states("maps", run)["none"] == "SKIPPED"
    assert cluster.control.task("maps", run, "pairs", 0).map_label == "1 of 0"


SCOPES = """
dag scope {
  make kind=setup; work after=make; tell after=work rule=all_done
  clean after=tell kind=teardown setups=make
}
on make failed times=1
dag load { a }
on a emit=orders@monday via=todays
dag by_alias assets=alias:todays { b }
dag by_both assets="orders & users" { c }
dag by_time assets=users or_cron="* * * * *" start=2999-01-01T00:00Z { d }
"""


@NO_WORKER
def test_scopes_of_setups_and_schedules_on_aliases_all_of_several_or_a_time(cluster: Cluster):
    worker = cluster.start_scripted_worker(SCOPES)
    run = cluster.control.trigger("scope")
    assert cluster.control.wait_run("scope", run) == "FAILED"
    kept = {name: state for name, state in cluster.control.task_states("scope", run).items() if name != "make"}
    assert set(kept.values()) == {"UPSTREAM_FAILED"}
    run = cluster.control.trigger("scope")
    assert cluster.control.wait_run("scope", run) == "SUCCEEDED"

    cluster.control.trigger("load")
    worker.wait_for("^ended b succeeded")
    crosswind(cluster, "assets", "emit", "users", "--partition", "monday")
    worker.wait_for("^ended c succeeded")
    worker.wait_for("^ended d succeeded")
