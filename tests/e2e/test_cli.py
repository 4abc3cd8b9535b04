"""The command `crosswind` on a real server and worker."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support.cluster import Cluster, chain, one_task
from tests.e2e.support.dags import DagSpec, Does, TaskSpec
from tests.e2e.support.processes import BIN, Process, run
from tests.e2e.support.workers import PythonKind

QUICK = Does(perform=False)


@pytest.fixture
def cluster(migrated_sqlite_url: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(PythonKind(), migrated_sqlite_url, tmp_path)
    yield cluster
    cluster.close()


def ask(cluster: Cluster, *arguments: str) -> Any:
    """What a command answers as JSON; it must succeed."""
    done = cluster.command(*arguments, "--output", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def start_command(cluster: Cluster, *arguments: str, name: str = "command") -> Process:
    """Start a command beside the server without waiting for its end."""
    process = Process(name, [BIN / "crosswind", *arguments], folder=cluster.server.folder)
    cluster.processes.append(process)
    return process.start()


def test_listings_find_the_server_by_themselves(cluster):
    cluster.write(chain())
    cluster.start_worker(queues=["default", "big"])
    (dag,) = ask(cluster, "dags", "list")
    assert (dag["dag_id"], dag["task_count"], dag["offered"], dag["languages"]) == ("chain", 2, True, ["python"])
    shown = ask(cluster, "dags", "show", "chain")
    assert [task["task_id"] for task in shown["manifest"]["tasks"]] == ["first", "second"]
    (worker,) = ask(cluster, "workers", "list")
    assert (worker["name"], worker["state"], worker["queues"]) == ("worker", "active", ["big", "default"])
    (bundle,) = ask(cluster, "bundles", "list")
    assert [one["dag_id"] for one in bundle["current_version"]["dags"]] == ["chain"]
    info = ask(cluster, "server", "info")
    assert (info["address"], info["counts"]["live_workers"]) == (cluster.server.address, 1)
    assert info["database_kind"] == "sqlite"
    for group in ("dags", "runs", "workers", "bundles", "tokens", "variables", "connections"):
        table = cluster.command(group, "list")
        assert table.returncode == 0, table.stderr


def test_triggered_run_is_watched_to_its_end(cluster):
    cluster.write(chain())
    cluster.start_worker()
    watching = start_command(cluster, "dags", "trigger", "chain", "--run-id", "r1", "--wait")
    first = cluster.stage.enter("first")
    watching.wait_for("first running")
    first.succeed(1)
    second = cluster.stage.enter("second")
    watching.wait_for("second running")
    second.succeed(2)
    assert watching.wait() == 0
    assert "chain/r1 succeeded after" in watching.log
    (listed,) = ask(cluster, "runs", "list", "chain", "--state", "succeeded")
    assert listed["run_id"] == "r1"
    tasks = ask(cluster, "tasks", "list", "latest")
    assert [(task["task_id"], task["state"], task["map_index"]) for task in tasks] == [
        ("first", "succeeded", None),
        ("second", "succeeded", None),
    ]


def test_failed_run_fails_the_command_and_says_why(cluster):
    cluster.write(DagSpec("wide", (TaskSpec("work", over=(0, 1)),)))
    cluster.start_worker()
    watching = start_command(cluster, "dags", "trigger", "wide", "--run-id", "r1", "--wait")
    puppets = [cluster.stage.enter("work"), cluster.stage.enter("work")]
    (bad,) = (puppet for puppet in puppets if puppet.value == [1])
    (good,) = (puppet for puppet in puppets if puppet is not bad)
    bad.order("print", text="the last words")
    bad.fail("no such flight")
    good.succeed()
    assert watching.wait() == 1
    assert "work[1] failed: RuntimeError: no such flight" in watching.log
    hint = re.search(r"its log: crosswind (tasks logs .*)", watching.log)
    assert hint is not None
    log = cluster.command(*hint[1].split())
    assert "the last words" in log.stdout
    assert "no such flight" in log.stdout + log.stderr
    unclear = cluster.command("tasks", "logs", "wide/r1", "work")
    assert unclear.returncode == 1
    assert "--map-index, 0 to 1" in unclear.stderr


def test_interrupted_watch_leaves_the_run_to_be_cancelled(cluster):
    cluster.write(one_task())
    cluster.start_worker()
    watching = start_command(cluster, "dags", "trigger", "one", "--run-id", "r1", "--wait")
    puppet = cluster.stage.enter("work")
    watching.wait_for("work running")
    watching.send(signal.SIGINT)
    assert watching.wait() == 130
    assert "Traceback" not in watching.log
    hint = re.search(r"crosswind (runs cancel \S+)`", watching.log)
    assert hint is not None
    assert ask(cluster, "runs", "show", "one/r1")["state"] == "running"
    assert ask(cluster, *hint[1].split())["state"] == "cancelling"
    puppet.wait_gone()
    ended = cluster.command("runs", "show", "one/r1", "--watch")
    assert ended.returncode == 1
    assert "one/r1 cancelled" in ended.stdout
    again = cluster.command("runs", "cancel", "one/r1")
    assert again.returncode == 1
    assert len(again.stderr.splitlines()) == 1


def test_log_is_followed_while_the_task_runs(cluster):
    cluster.write(one_task())
    cluster.start_worker()
    ask(cluster, "dags", "pause", "one")
    ask(cluster, "dags", "unpause", "one")
    cluster.control.trigger("one", run_id="r1")
    puppet = cluster.stage.enter("work")
    following = start_command(cluster, "tasks", "logs", "one/r1", "work", "--follow", name="following")
    puppet.order("print", text="step 1")
    following.wait_for("step 1")
    puppet.order("print", text="step 2")
    following.wait_for("step 2")
    puppet.succeed()
    assert following.wait() == 0
    rows = cluster.command("tasks", "logs", "one/r1", "work", "--output", "json").stdout.splitlines()
    records = [json.loads(row) for row in rows]
    assert [record["sequence"] for record in records] == list(range(len(records)))
    assert [record["message"] for record in records if record["source"] == "stdout"] == ["step 1", "step 2"]


def test_followed_log_goes_on_with_the_next_tries_until_the_task_has_ended(cluster):
    cluster.write(one_task(retries=2, retry_delay=0.3))
    cluster.start_worker()
    cluster.control.trigger("one", run_id="r1")
    first = cluster.stage.enter("work")
    following = start_command(cluster, "tasks", "logs", "one/r1", "work", "--follow", name="following")
    only_first = start_command(cluster, "tasks", "logs", "one/r1", "work", "--follow", "--try", "1", name="only-first")
    for number in (1, 2, 3):
        puppet = first if number == 1 else cluster.stage.enter("work")
        puppet.order("print", text=f"this is try {number}")
        following.wait_for(f"this is try {number}")
        if number == 3:
            puppet.succeed()
        elif number == 2:
            puppet.kill9()
        else:
            puppet.fail("try 1 is not enough")
            assert only_first.wait() == 0
    assert following.wait() == 0
    assert re.findall(r"this is try \d|\.\.\. try \d \.\.\.", following.log) == [
        "this is try 1",
        "... try 2 ...",
        "this is try 2",
        "... try 3 ...",
        "this is try 3",
    ]
    assert "try 1 is not enough" in following.log
    assert "this is try 2" not in only_first.log


def test_waiting_task_says_why(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker()
    worker.terminate()
    assert worker.wait() == 0
    cluster.control.trigger("one", run_id="r1")
    (task,) = ask(cluster, "tasks", "list", "r1")
    assert (task["state"], task["waiting_reason"], task["worker"]) == ("queued", "no_worker", None)
    assert task["waiting_detail"]
    assert ask(cluster, "dags", "pause", "one")["paused"] is True
    (task,) = ask(cluster, "tasks", "list", "r1")
    assert task["waiting_reason"] == "paused"
    refused = cluster.command("dags", "trigger", "one")
    assert refused.returncode == 1
    assert "paused" in refused.stderr


def test_variables_and_connections(cluster, tmp_path):
    (tmp_path / "password").write_text("hunter2\n")
    assert cluster.command("variables", "set", "city", "Oslo", "--public", "--description", "where").returncode == 0
    assert cluster.command("variables", "set", "key", "s3cret").returncode == 0
    city, key = ask(cluster, "variables", "list")
    assert (city["key"], city["value"], city["description"]) == ("city", "Oslo", "where")
    assert (key["key"], key["value"], key["public"]) == ("key", None, False)
    assert cluster.command("variables", "get", "key").stdout == "s3cret\n"
    assert cluster.command("variables", "delete", "key").returncode == 0
    gone = cluster.command("variables", "get", "key")
    assert (gone.returncode, len(gone.stderr.splitlines())) == (1, 1)
    assert "`key`" in gone.stderr or "'key'" in gone.stderr or " key" in gone.stderr

    uri = "postgres://ann@db.example:5433/sales?ssl=1"
    password = str(tmp_path / "password")
    assert cluster.command("connections", "set", "db", uri, "--password-file", password).returncode == 0
    (listed,) = ask(cluster, "connections", "list")
    assert (listed["host"], listed["port"], listed["has_password"], listed["has_extra"]) == (
        "db.example",
        5433,
        True,
        True,
    )
    assert listed["password"] is None
    assert ask(cluster, "connections", "get", "db")["password"] == "***"
    assert cluster.command("connections", "set", "db", "--type", "postgres", "--host", "other").returncode == 0
    shown = ask(cluster, "connections", "get", "db", "--show-secrets")
    assert (shown["host"], shown["password"], shown["extra_json"]) == ("other", "hunter2", '{"ssl": "1"}')
    assert cluster.command("connections", "delete", "db").returncode == 0
    assert ask(cluster, "connections", "list") == []


def test_token_is_made_used_and_revoked(cluster, tmp_path):
    file = tmp_path / "viewer"
    made = cluster.command("tokens", "create", "ann", "--role", "viewer", "--to-file", str(file))
    assert made.returncode == 0, made.stderr
    with_it = ("--token-file", str(file))
    assert cluster.command("dags", "list", *with_it).returncode == 0
    forbidden = cluster.command("variables", "set", "a", "b", *with_it)
    assert (forbidden.returncode, len(forbidden.stderr.splitlines())) == (3, 1)
    (info,) = (token for token in ask(cluster, "tokens", "list") if token["subject"] == "ann")
    assert (info["kind"], info["role"]) == ("access", "viewer")
    assert cluster.command("tokens", "revoke", info["token_id"]).returncode == 0
    refused = cluster.command("dags", "list", *with_it)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (3, 1)
    assert "revoked" in refused.stderr
    ended = [token for token in ask(cluster, "tokens", "list", "--all") if token["subject"] == "ann"]
    assert ended[0]["revoke_time"] is not None


def test_wrong_token_and_absent_server(cluster, tmp_path):
    (tmp_path / "token").write_text("not-a-token")
    wrong = cluster.command("dags", "list", "--token-file", str(tmp_path / "token"))
    assert (wrong.returncode, len(wrong.stderr.splitlines()), wrong.stdout) == (3, 1, "")
    address = cluster.server.address
    cluster.server.terminate()
    assert cluster.server.wait() == 0
    named = ("--server", address, "--token-file", str(cluster.server.access_token_file))
    down = cluster.command("dags", "list", *named)
    assert down.returncode == 3
    assert down.stderr.startswith(f"No Crosswind server answers at {address}")
    unnamed = cluster.command("dags", "list")
    assert unnamed.returncode == 3
    assert "No Crosswind server was found" in unnamed.stderr


def test_watch_outlives_a_restart_of_the_server(cluster):
    cluster.write(one_task())
    cluster.start_worker()
    watching = start_command(cluster, "dags", "trigger", "one", "--wait")
    puppet = cluster.stage.enter("work")
    watching.wait_for("work running")
    cluster.server.kill9()
    cluster.server.start()
    puppet.succeed()
    assert watching.wait() == 0, watching.log


BROKEN = {
    "syntax.py": ("from crosswind import DAG\nwith DAG('a'):\n    broken(\n", 3, "was never closed"),
    "importing.py": ("from crosswind import DAG, Variable\n\nx = Variable.get('x')\n", 3, "Variable.get('x')"),
    "cycle.py": (
        "from crosswind import DAG, task\n\n@task\ndef a(): ...\n\n@task\ndef b(): ...\n\n"
        "with DAG('c'):\n    x = a()\n    y = b()\n    x >> y >> x\n",
        12,
        "a -> b -> a",
    ),
    "twice.py": (
        "from crosswind import DAG, task\n\n@task(task_id='same')\ndef a(): ...\n\n@task(task_id='same')\n"
        "def b(): ...\n\nwith DAG('t'):\n    a()\n    b()\n",
        11,
        "'same' twice",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_check_names_file_and_line(tmp_path, name):
    source, line, says = BROKEN[name]
    (tmp_path / name).write_text(source)
    (tmp_path / "good.py").write_text(
        "from crosswind import DAG, task\n\n@task\ndef one(): ...\n\nwith DAG('good'):\n    one()\n"
    )
    done = run([BIN / "crosswind", "dags", "check", tmp_path], folder=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (found,) = [text for text in done.stdout.splitlines() if "error" in text]
    assert found.startswith(f"{name}:{line}: ")
    assert says in found
    report = json.loads(run([BIN / "crosswind", "dags", "check", tmp_path, "--output", "json"], folder=tmp_path).stdout)
    assert report["dag_ids"] == ["good"]
    assert [finding["source"] for finding in report["findings"] if finding["severity"] == "error"] == [name]


def test_completion_offers_commands(tmp_path):
    words = {"_CROSSWIND_COMPLETE": "complete_bash", "COMP_WORDS": "crosswind ta", "COMP_CWORD": "1"}
    done = run([BIN / "crosswind"], folder=tmp_path, environment=words)
    assert done.stdout.split() == ["tasks"]
