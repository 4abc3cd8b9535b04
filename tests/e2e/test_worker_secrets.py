"""No secret where it does not belong: not about a task's processes, not in what people are shown. [BYTES-1]"""

import base64
import json
import re
import urllib.parse
from pathlib import Path

from tests.e2e.support.cluster import one_task
from tests.e2e.support.proxy import FaultProxy

SECRET = "c0rrect-h0rse/battery+staple"
KEY = "-----BEGIN KEY-----\nMIIBVgIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----"
FORMS = {
    "plain": SECRET,
    "in a URL": urllib.parse.quote(SECRET, safe=""),
    "in base64": base64.b64encode(SECRET.encode()).decode(),
    "in a header": "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode(),
    "all lines": KEY,
    "as repr": repr(KEY),
    "as JSON": json.dumps({"key": KEY}),
    "one line": KEY.splitlines()[1],
    "indented": KEY.replace("\n", "\n    "),
    "with carriage returns": KEY.replace("\n", "\r\n"),
}
# What must be seen nowhere: the secret, its encodings, and every line of the one with lines that says anything.
TRACES = [SECRET, FORMS["in a URL"], FORMS["in base64"], FORMS["in a header"].removeprefix("Basic ")[4:-4]]
TRACES += [line for line in KEY.splitlines() if not line.startswith("-")]


def test_neither_a_task_nor_the_process_above_it_shows_a_token_or_a_lease(cluster):
    cluster.write(one_task())
    proxy = cluster.proxy()
    leases: list[bytes] = []
    note_leases(proxy, leases)
    worker = cluster.start_worker(through=proxy, environment={"CROSSWIND_TOKEN_FILE": "unused"})
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    tokens = cluster.tokens_of(worker)
    assert len(tokens) == 2
    assert [len(lease) for lease in leases] == [16]
    secrets = [*tokens, *(form for lease in leases for form in (lease.hex(), base64.b64encode(lease).decode()[:-2]))]
    shown = puppet.order("look_around")
    assert shown["parent cmdline"]
    assert shown["parent environ"]
    assert "PATH=" in shown["child environ"]
    for name, text in {**shown, "own": json.dumps(puppet.order("environment"))}.items():
        for secret in secrets:
            assert secret not in text, name
        assert "TOKEN" not in text, name
        assert "-token" not in text, name
        assert "instance.json" not in text, name
        # Nothing that the worker holds open is inherited: neither its lock nor its outcomes.
        assert str(worker.state) not in text, name
    # Neither has a connection to the server: their sockets are all local ones.
    inodes = {found for text in shown.values() for found in re.findall(r"^socket:\[(\d+)\]$", text)}
    assert inodes
    network = "".join(Path(f"/proc/net/{family}").read_text() for family in ("tcp", "tcp6", "udp", "udp6"))
    assert not inodes & set(network.split())
    puppet.succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"


def note_leases(proxy: FaultProxy, leases: list[bytes]) -> None:
    """Take down the lease of the first start that passes."""
    from crosswind.execution.v1 import worker_service_pb2

    def read(message: bytes) -> bool:
        leases.append(worker_service_pb2.StartAttemptRequest.FromString(message).attempt.lease)
        return True

    proxy.hold_request("StartAttempt", which=read).release()


def test_files_of_a_worker_are_its_users_alone(cluster):
    cluster.write(one_task())
    proxy = cluster.proxy()
    worker = cluster.start_worker(through=proxy)
    run = cluster.control.trigger("one")
    finish = proxy.hold_request("FinishAttempt")
    cluster.stage.enter("work").succeed(6)
    finish.wait_reached()
    modes = {path.relative_to(worker.state): path.stat().st_mode & 0o777 for path in worker.state.rglob("*")}
    assert worker.state.stat().st_mode & 0o777 == 0o700
    assert modes.pop(Path("outcomes")) == 0o700
    if cluster.kind.copies is not None:
        assert modes.pop(cluster.kind.copies) == 0o700
        (copy,) = [path for path in modes if path.parent == cluster.kind.copies]
        assert modes.pop(copy) == 0o500
    assert {path.suffix for path in modes} == {".json", ".finish", ""}
    assert set(modes.values()) == {0o600}
    finish.release()
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"


def test_secrets_are_masked_in_every_form_wherever_people_look(cluster):
    cluster.write(one_task())
    cluster.start_worker()
    cluster.control.set_variable("password", SECRET)
    cluster.control.set_variable("key", KEY)
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    assert (puppet.order("get_variable", key="password"), puppet.order("get_variable", key="key")) == (SECRET, KEY)
    for form in FORMS.values():
        for where in ("stdout", "stderr", "logging", "exception"):
            puppet.order("many_lines", text=form, where=where)
    puppet.begin("fail_in_task", text=f"{SECRET} and {KEY}")
    assert cluster.control.wait_run("one", run) == "FAILED"
    logs = cluster.command("tasks", "logs", run, "work")
    as_json = cluster.command("tasks", "logs", run, "work", "--output", "json")
    tasks = cluster.command("tasks", "list", run, "--output", "json")
    shown = cluster.command("runs", "show", run)
    for seen in (logs, as_json, tasks, shown):
        assert seen.returncode == 0, seen.stderr
        for trace in TRACES:
            assert trace not in seen.stdout + seen.stderr
    assert logs.stdout.count("***") >= 4 * len(FORMS)
    (task,) = json.loads(tasks.stdout)
    assert "***" in task["failure"]["message"]
    full = cluster.control.task("one", run, "work").failure
    assert "***" in full.cause.message
    for trace in TRACES:
        assert trace not in str(full)
        guilty = [path for path in cluster.folder.rglob("*.log") if trace in path.read_text()]
        assert guilty == []
