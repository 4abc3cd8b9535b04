"""What tasks ask of the server while they run: the state store, results of other runs, and the events of their run."""

import time
import uuid
from datetime import UTC, datetime
from typing import Any

from crosswind.control.v1 import dag_runs_pb2
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.processes import PATIENCE
from tests.e2e.support.scripted_process import ScriptedProcess
from tests.e2e.support.workers import NO_WORKER
from tests.e2e.test_control import crosswind

VALUE = 'value{encoding:"json/utf-8" data:"%s"}'
KEPT = f"""
dag d {{ a retries=1 delay=50ms }}
on a failed times=1 call.write=SetState{{write{{key:"page" {VALUE % 7}}}}}
on a call.read=GetState{{key:"page"}}
"""


@NO_WORKER
def test_a_retry_reads_what_the_try_before_wrote_and_another_run_does_not(each_cluster: Cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(KEPT)
    first = cluster.control.trigger("d")
    assert cluster.control.wait_run("d", first) == "SUCCEEDED"
    assert cluster.control.attempt_states("d", first, "a") == ["FAILED", "SUCCEEDED"]
    written = worker.answer_of("a", "write")["revision"]
    assert worker.answer_of("a", "read") == {"value": 7, "revision": written}
    mark = worker.mark()
    assert cluster.control.wait_run("d", cluster.control.trigger("d")) == "SUCCEEDED"
    assert worker.answer_of("a", "read", since=mark) == {}


ASSET = 'owner{asset{name:"orders"}}'
TIME_TO_LIVE = 1.0
SHARED = f"""
dag writer {{ w }}
dag reader {{ r }}
on w call.kept=SetState{{{ASSET} write{{key:"cursor" {VALUE % 9}}}}} \
call.brief=SetState{{{ASSET} write{{key:"brief" {VALUE % 1} time_to_live{{seconds:{TIME_TO_LIVE:g}}}}}}} \
call.again=SetState{{{ASSET} write{{key:"cursor" {VALUE % 8}}} expected_revision:0}}
on r call.kept=GetState{{{ASSET} key:"cursor"}} call.brief=GetState{{{ASSET} key:"brief"}} \
call.own=GetState{{key:"cursor"}}
"""


@NO_WORKER
def test_the_state_of_an_asset_is_read_by_another_dag_until_it_expires(each_cluster: Cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(SHARED)
    began = time.time()
    assert cluster.control.wait_run("writer", cluster.control.trigger("writer")) == "SUCCEEDED"
    kept, brief = (worker.answer_of("w", call)["revision"] for call in ("kept", "brief"))
    assert worker.answer_of("w", "again") == "STATE_CHANGED"
    # However slow the machine is: what can be read is what was written, and it is not gone before its time.
    while (found := read_brief(cluster, worker, kept)) != {}:
        assert found == {"value": 1, "revision": brief}
        assert time.time() - began < PATIENCE, "It is kept for longer than was said."
    assert time.time() - began >= TIME_TO_LIVE


def read_brief(cluster: Cluster, worker: ScriptedProcess, kept: int) -> Any:
    """What a run that reads it now is answered; what has no time to live is there in any case."""
    mark = worker.mark()
    assert cluster.control.wait_run("reader", cluster.control.trigger("reader")) == "SUCCEEDED"
    assert worker.answer_of("r", "kept", since=mark) == {"value": 9, "revision": kept}
    assert worker.answer_of("r", "own", since=mark) == {}
    return worker.answer_of("r", "brief", since=mark)


DATES = """
dag d { load; report after=load rule=all_done }
on load result=[1,2] times=1
on load skipped
on report call.now=GetXCom{key{task_id:"load"}} call.past=GetXCom{key{task_id:"load"} include_prior_dates:true}
"""


@NO_WORKER
def test_a_task_reads_the_result_of_the_run_before_that_has_one(each_cluster: Cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(DATES)

    def read(day: int) -> list[Any]:
        mark = worker.mark()
        run_on(cluster, day)
        return [worker.answer_of("report", call, since=mark) for call in ("now", "past")]

    own = {"value": [1, 2]}
    assert read(3) == [own, own]
    assert read(4) == ["XCOM_NOT_FOUND", own]
    assert read(6) == ["XCOM_NOT_FOUND", own]
    # What stands for an earlier day does not see it, though it runs later.
    assert read(2) == ["XCOM_NOT_FOUND", "XCOM_NOT_FOUND"]


def run_on(cluster: Cluster, day: int) -> None:
    """A run for a day, to its end."""
    request = dag_runs_pb2.TriggerDagRunRequest(dag_id="d", run_id=f"day-{day}", request_id=str(uuid.uuid4()))
    request.logical_time.FromDatetime(datetime(2026, 3, day, tzinfo=UTC))
    cluster.control.call(cluster.control.runs.TriggerDagRun, request)
    assert cluster.control.wait_run("d", f"day-{day}") == "SUCCEEDED"


SLICES = """
dag d { m map=[0,1,2,3]; tail after=m }
on m[0] result="a"
on m[1] result="b"
on m[2] result={"c":3}
on m[3] result="d"
on tail call.slice=SliceXCom{key{task_id:"m"} start:1 limit:2} call.rest=SliceXCom{key{task_id:"m"} start:3} \
call.beyond=SliceXCom{key{task_id:"m"} start:4} call.whole=GetXCom{key{task_id:"m"}} \
call.one=GetXCom{key{task_id:"m" map_index:2}} call.unknown=SliceXCom{key{task_id:"n"}}
"""


@NO_WORKER
def test_a_task_reads_a_range_of_the_results_of_a_mapped_task(each_cluster: Cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(SLICES)
    assert cluster.control.wait_run("d", cluster.control.trigger("d")) == "SUCCEEDED"
    calls = ("slice", "rest", "beyond", "whole", "one", "unknown")
    assert {call: worker.answer_of("tail", call) for call in calls} == {
        "slice": {"values": ["b", {"c": 3}], "total_size": 4},
        "rest": {"values": ["d"], "total_size": 4},
        "beyond": {"total_size": 4},
        "whole": {"list": {"payloads": ["a", "b", {"c": 3}, "d"]}},
        "one": {"value": {"c": 3}},
        "unknown": "XCOM_NOT_FOUND",
    }


EVENTS = """
dag load { l }
dag report assets="orders & users" { sum }
dag witness assets=orders { seen }
on l emit=orders extra.orders={"rows":3}
on sum call.mine=ListAssetEvents{of_run:true} call.orders=ListAssetEvents{of_run:true asset{name:"orders"}} \
call.every=ListAssetEvents{asset{name:"orders"}}
"""


@NO_WORKER
def test_a_task_asks_for_the_events_that_its_run_was_created_for(each_cluster: Cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(EVENTS)

    def load() -> list[Any]:
        """An event of `orders`, as a task is told of it; DAGs that wait for it have it when the witness runs."""
        mark = worker.mark()
        run = cluster.control.trigger("load")
        worker.wait_for("^ended seen", since=mark)
        return ["orders", {"rows": 3}, {"dag_id": "load", "run_id": run, "task_id": "l"}]

    def read(call: str, mark: int) -> list[Any]:
        answer = worker.answer_of("sum", call, since=mark)
        events = [(each["event"], each.get("source")) for each in answer.get("events", [])]
        return [[event["asset"]["name"], event["extra"], source] for event, source in events]

    users = ["users", {"by": "hand"}, None]
    older, old = load(), load()
    mark = worker.mark()
    crosswind(cluster, "assets", "emit", "users", "--extra", '{"by": "hand"}')
    assert read("mine", mark) == [users, old, older]
    assert read("orders", mark) == read("every", mark) == [old, older]
    # What a run was created for is not what the next one is created for.
    new = load()
    mark = worker.mark()
    crosswind(cluster, "assets", "emit", "users", "--extra", '{"by": "hand"}')
    assert read("mine", mark) == [users, new]
    assert (read("orders", mark), read("every", mark)) == ([new], [new, old, older])
    # And nothing created a run that a person triggered.
    mark = worker.mark()
    cluster.control.trigger("report")
    assert (read("mine", mark), read("orders", mark)) == ([], [])
