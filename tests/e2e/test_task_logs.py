"""Logs of tasks: they can be read while the task runs, and no secret is in any of them. [BYTES-1]"""

from tests.e2e.support.cluster import one_task
from tests.e2e.support.processes import BIN, Process

SECRET = "c0rrect-h0rse-battery-staple"
PASSWORD = "pa55-of-the-warehouse"


def test_log_is_readable_while_the_task_runs(each_cluster):
    cluster = each_cluster
    cluster.write(one_task())
    cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    puppet.order("print", text="to standard output")
    puppet.order("print", text="to standard error", error=True)
    puppet.order("log", text="to the logger")
    for text in ("to standard output", "to standard error", "to the logger"):
        cluster.control.read_log("one", run, "work", until=text)
    assert cluster.control.task_states("one", run) == {"work": "RUNNING"}
    puppet.succeed(1)
    lines = cluster.control.read_log("one", run, "work")
    for text in ("to standard output", "to standard error", "to the logger"):
        assert lines.count(text) == 1


def test_command_follows_a_log_to_its_end(cluster):
    cluster.write(one_task())
    cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    command = [BIN / "crosswind", "tasks", "logs", run, "work", "--follow"]
    with Process("follow", command, folder=cluster.server.folder) as follow:
        puppet.order("print", text="the first line")
        follow.wait_for("the first line")
        puppet.order("print", text="the second line")
        follow.wait_for("the second line")
        puppet.succeed(1)
        assert follow.wait() == 0


def test_secrets_are_masked_everywhere(each_cluster):
    cluster = each_cluster
    cluster.write(one_task())
    cluster.start_server(environment={"CROSSWIND_LOG_LEVEL": "debug"})
    cluster.start_worker()
    cluster.control.set_variable("api_key", SECRET)
    cluster.control.set_variable("colour", "turquoise", public=True)
    cluster.control.set_connection("warehouse", host="warehouse.example", password=PASSWORD)
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    assert puppet.order("get_variable", key="api_key") == SECRET
    assert puppet.order("get_variable", key="colour") == "turquoise"
    assert puppet.order("get_connection", connection_id="warehouse")["password"] == PASSWORD
    for secret in (SECRET, PASSWORD):
        puppet.order("print", text=f"out {secret} and turquoise")
        puppet.order("print", text=f"error {secret}", error=True)
        puppet.order("log", text=f"log {secret}")
    puppet.fail(f"the key {SECRET} was refused")
    assert cluster.control.wait_run("one", run) == "FAILED"
    lines = cluster.control.read_log("one", run, "work")
    told = [line for line in lines if line.startswith(("out", "error", "log"))]
    assert len(told) == 6
    assert all("***" in line for line in told)
    assert any("turquoise" in line for line in lines)
    failure = cluster.control.task("one", run, "work").failure
    assert "was refused" in failure.message
    everything = "\n".join([*lines, str(failure), *(process.log for process in cluster.processes)])
    for secret in (SECRET, PASSWORD):
        assert secret not in everything
        # Neither on any disk: the worker's outcomes and logs, the server's home, the database.
        guilty = [path for path in cluster.folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        assert guilty == []


def test_a_task_knows_no_credential(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    tokens = cluster.tokens_of(worker)
    assert len(tokens) == 2
    environment = " ".join(f"{name}={value}" for name, value in puppet.order("environment").items())
    assert not any(token in environment for token in tokens)
    puppet.succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
