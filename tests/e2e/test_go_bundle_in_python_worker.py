"""Go bundles in the Python worker, built and packed as users do: what runs, what fails, and what is left behind."""

import json
import os
import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime.packed_bundle import read_packed
from tests.e2e.support.cluster import Cluster, one_task
from tests.e2e.support.control import attempt_state
from tests.e2e.support.go_bundles import GoBundles, install
from tests.e2e.support.processes import wait_until_gone
from tests.e2e.support.puppets import Puppet
from tests.e2e.support.workers import PythonKind, WorkerProcess
from tests.unit.worker.plugin_files import pack


@pytest.fixture
def cluster(migrated_sqlite_url: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(PythonKind(), migrated_sqlite_url, tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def kit(cluster: Cluster, go_bundles: GoBundles) -> Path:
    """The kit, where the worker watches it."""
    return install(go_bundles.kit(), cluster.folder / "kit.bundle")


def start(cluster: Cluster, bundle: Path, *, options: Sequence[str] = (), **environment: str) -> WorkerProcess:
    """A worker that offers a bundle, beside the DAGs of the test's folder."""
    worker = cluster.worker(options=["--bundle", bundle, *options], environment=environment)
    worker.start()
    worker.wait_for(r"On offer: dags \w+, kit \w+")
    return worker


def trigger(cluster: Cluster, dag: str = "kit") -> str:
    return cluster.control.trigger(dag, conf=json.dumps({"stage": str(cluster.stage.path)}).encode())


def perform(cluster: Cluster, dag: str = "kit") -> tuple[str, Puppet]:
    """A run whose task has come to the stage."""
    run = trigger(cluster, dag)
    return run, cluster.stage.enter("work")


def failure_of(cluster: Cluster, run: str, dag: str = "kit"):
    assert cluster.control.wait_run(dag, run) == "FAILED"
    return cluster.control.task(dag, run, "work").failure


def below(pid: int) -> list[int]:
    """A process, the guard above it and everything below."""
    process = psutil.Process(pid)
    guard = process.parent()
    assert guard is not None
    assert "crosswind.runtime.guard" in guard.cmdline()
    return [guard.pid, pid, *(child.pid for child in process.children(recursive=True))]


def test_tasks_run_log_and_ask_and_share_a_process(cluster, kit):
    worker = start(cluster, kit)
    cluster.control.set_variable("my_variable", "the s3cret value")
    run, first = perform(cluster)
    other, second = perform(cluster, "kit_too")
    alone, third = perform(cluster, "kit_alone")
    assert first.pid == second.pid != third.pid
    first.order("log", text="Obtained variable")
    assert first.order("get_variable", key="my_variable") == "the s3cret value"
    first.order("log", text="it is the s3cret value")
    first.order("print", text="it is the s3cret value, on stdout")
    first.order("print", text="it is the s3cret value, on stderr", error=True)
    first.order("write_to_descriptor", text="it is the s3cret value, on descriptor 1")
    third.order("print", text="printed alone")
    first.succeed({"answer": 42})
    second.succeed([1, 2, 3])
    third.succeed()
    for dag, each in (("kit", run), ("kit_too", other), ("kit_alone", alone)):
        assert cluster.control.wait_run(dag, each) == "SUCCEEDED"
    assert json.loads(cluster.control.xcom("kit", run, "work")) == {"answer": 42}
    log = cluster.control.read_log("kit", run, "work")
    assert [line for line in log if "Obtained" in line or "it is" in line] == ["Obtained variable", "it is ***"]
    for where in ("stdout", "stderr", "descriptor 1"):
        worker.wait_for(rf"kit: it is \*\*\*, on {where}")
    assert "s3cret" not in worker.log
    assert "printed alone" in cluster.control.read_log("kit_alone", alone, "work")
    listed = cluster.command("tasks", "list", f"kit/{run}", "--output", "json")
    assert [row["language"] for row in json.loads(listed.stdout)] == ["go"]
    wait_until_gone(third.pid)
    assert psutil.pid_exists(first.pid)


def test_task_of_a_bundle_is_called_by_a_dag_in_python(cluster, kit):
    source = """
from crosswind import DAG, task

double = task.ref(bundle="kit", entry_point="double")

@task
def numbers() -> list[int]:
    return [1, 2**40, -3]

@task
def total(values: list[int]) -> int:
    return sum(values)

with DAG("both"):
    total(double.expand(number=numbers()))
"""
    (cluster.dags / "both.py").write_text(source)
    start(cluster, kit)
    run = cluster.control.trigger("both")
    assert cluster.control.wait_run("both", run) == "SUCCEEDED"
    assert json.loads(cluster.control.xcom("both", run, "total")) == 2 * (1 + 2**40 - 3)


def test_process_of_a_bundle_shows_no_token_and_has_no_connection(cluster, kit):
    worker = start(cluster, kit, CROSSWIND_TOKEN_FILE="unused")
    run, puppet = perform(cluster)
    tokens = [re.sub(r"\s", "", cluster.server.enrolment_token_file.read_text())]
    tokens += re.findall(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", (worker.state / "instance.json").read_text())
    assert len(tokens) == 2
    process = Path(f"/proc/{puppet.pid}")
    shown = [(process / part).read_text(errors="replace") for part in ("environ", "cmdline")]
    descriptors = [os.readlink(each) for each in (process / "fd").iterdir() if each.is_symlink()]
    for text in [*shown, *descriptors, "\n".join(puppet.order("environment"))]:
        assert not [token for token in tokens if token in text]
        assert "TOKEN" not in text
    assert not [link for link in descriptors if str(worker.state) in link]
    assert psutil.Process(puppet.pid).net_connections("inet") == []
    assert {path.stat().st_mode & 0o777 for path in (worker.state / "bundles").iterdir()} == {0o500}
    puppet.succeed()
    assert cluster.control.wait_run("kit", run) == "SUCCEEDED"


def test_error_and_panic_of_a_task_are_its_own_failures(cluster, kit):
    start(cluster, kit)
    calm_run, calm = perform(cluster, "kit_too")
    run, puppet = perform(cluster)
    puppet.fail("no such carrier")
    failure = failure_of(cluster, run)
    assert failure.message == "it was told so: no such carrier"
    assert failure.cause.message == "no such carrier"
    run, puppet = perform(cluster)
    puppet.begin("panic", message="index out of mind")
    failure = failure_of(cluster, run)
    assert "index out of mind" in failure.message
    assert any("perform" in frame.function for frame in failure.frames)
    assert calm.pid == puppet.pid
    calm.succeed()
    assert cluster.control.wait_run("kit_too", calm_run) == "SUCCEEDED"


@pytest.mark.parametrize(
    ("order", "sentence", "tail"),
    [
        (("exit", {"code": 7}), "exited with code 7", "last words"),
        (("crash", {"message": "out of luck"}), "Its last words: panic: out of luck", "goroutine"),
    ],
    ids=["exit", "panic-in-a-goroutine"],
)
def test_process_that_dies_fails_its_tasks_and_nothing_else(cluster, kit, order, sentence, tail):
    cluster.write(one_task())
    worker = start(cluster, kit)
    python_run = cluster.control.trigger("one")
    python_task = cluster.stage.enter("work")
    alone_run, alone = perform(cluster, "kit_alone")
    beside_run, beside = perform(cluster, "kit_too")
    run, puppet = perform(cluster)
    assert puppet.pid == beside.pid
    puppet.begin(order[0], **order[1])
    for dag, each in (("kit", run), ("kit_too", beside_run)):
        failure = failure_of(cluster, each, dag)
        assert failure.type == "crosswind.ProcessDied"
        assert sentence in failure.message
        assert tail in failure.exit.stderr_tail
        assert failure.exit.code in (2, 7)
        assert any(tail in line for line in cluster.control.read_log(dag, each, "work"))
    worker.wait_for(r"Bundle kit, version \w+: its process exited with code \d")
    for dag, each, other in (("one", python_run, python_task), ("kit_alone", alone_run, alone)):
        other.succeed(1)
        assert cluster.control.wait_run(dag, each) == "SUCCEEDED"
    run, again = perform(cluster)
    assert again.pid != puppet.pid
    again.succeed()
    assert cluster.control.wait_run("kit", run) == "SUCCEEDED"


def test_process_that_is_killed_is_named(cluster, kit):
    start(cluster, kit)
    run, puppet = perform(cluster)
    puppet.kill9()
    failure = failure_of(cluster, run)
    assert failure.type == "crosswind.ProcessDied"
    assert failure.exit.signal == "SIGKILL"


@pytest.mark.parametrize(
    ("kind", "sentence", "code", "tail"),
    [
        ("exit", "its process exited with code 3 before its handshake", 3, "there is no reason to go on"),
        ("panic", "its process exited with code 2 before its handshake", 2, "told to panic at the start"),
        ("print", "it printed 'hello from init' to standard output before its handshake", None, ""),
        ("hang", r"it did not shake hands within 1 s (--import-timeout)", None, "still thinking"),
    ],
)
def test_bundle_that_does_not_start_fails_its_tasks_and_nothing_else(cluster, kit, kind, sentence, code, tail):
    cluster.write(one_task())
    options = ["--import-timeout", "1"] if kind == "hang" else []
    start(cluster, kit, options=options, KIT_START=kind)
    check_broken(cluster, sentence, code=code, tail=tail)


def test_file_that_is_no_plugin_fails_its_tasks_and_nothing_else(cluster, kit):
    cluster.write(one_task())
    start(cluster, repack(kit, Path("/bin/true").read_bytes()))
    check_broken(cluster, "its process exited with code 0 before its handshake", code=0)


def test_binary_for_another_machine_fails_its_tasks_and_nothing_else(cluster, kit):
    cluster.write(one_task())
    program = bytearray(kit.read_bytes())
    ours, theirs = (62, 183) if os.uname().machine == "x86_64" else (183, 62)
    assert program[18] == ours
    program[18] = theirs
    start(cluster, repack(kit, bytes(program)))
    check_broken(cluster, "its program could not be executed: it was built for")


def repack(bundle: Path, program: bytes) -> Path:
    """The bundle's DAGs in front of another program."""
    import hashlib

    manifest = bundle_pb2.Manifest()
    manifest.CopyFrom(read_packed(bundle).manifest)
    manifest.bundle_version = hashlib.sha256(program).digest()[:16].hex()
    pack(bundle, program, manifest=manifest)
    return bundle


def check_broken(cluster: Cluster, sentence: str, *, code: int | None = None, tail: str = "") -> None:
    run = trigger(cluster)
    failure = failure_of(cluster, run)
    assert failure.type == "crosswind.BundleBroken"
    assert sentence in failure.message
    assert (failure.exit.code if failure.exit.HasField("code") else None) == code
    assert tail in failure.exit.stderr_tail
    assert any(sentence in line for line in cluster.control.read_log("kit", run, "work"))
    run = cluster.control.trigger("one")
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"


def test_cancelled_task_ends_and_leaves_its_process(cluster, kit):
    start(cluster, kit)
    beside_run, beside = perform(cluster, "kit_too")
    run, puppet = perform(cluster)
    cluster.control.cancel("kit", run)
    puppet.wait_gone()
    assert cluster.control.wait_run("kit", run) == "CANCELLED"
    beside.order("print", text="still here")
    beside.succeed()
    assert cluster.control.wait_run("kit_too", beside_run) == "SUCCEEDED"


def test_task_that_ignores_cancel_closes_its_process_which_is_killed_when_the_others_have_ended(cluster, kit):
    start(cluster, kit)
    beside_run, beside = perform(cluster, "kit_too")
    run, stubborn = perform(cluster)
    stubborn.order("ignore")
    cluster.control.cancel("kit", run)
    # The grace is over once new tasks begin in another process.
    while True:
        newer_run, newer = perform(cluster)
        newer.succeed()
        assert cluster.control.wait_run("kit", newer_run) == "SUCCEEDED"
        if newer.pid != stubborn.pid:
            break
    assert stubborn.order("version") == "1"
    assert [attempt_state(each) for each in cluster.control.attempts("kit", run, "work")] == ["CANCELLING"]
    beside.succeed()
    assert cluster.control.wait_run("kit_too", beside_run) == "SUCCEEDED"
    stubborn.wait_gone()
    assert cluster.control.wait_run("kit", run) == "CANCELLED"
    wait_until_gone(stubborn.pid)
    assert psutil.pid_exists(newer.pid)


def test_isolated_task_that_ignores_cancel_is_killed_after_its_grace(cluster, kit):
    start(cluster, kit)
    beside_run, beside = perform(cluster)
    run, stubborn = perform(cluster, "kit_alone")
    stubborn.order("ignore")
    child = stubborn.order("spawn")
    everything = below(stubborn.pid)
    cluster.control.cancel("kit_alone", run)
    stubborn.wait_gone()
    assert cluster.control.wait_run("kit_alone", run) == "CANCELLED"
    for pid in [*everything, child]:
        wait_until_gone(pid)
    beside.succeed()
    assert cluster.control.wait_run("kit", beside_run) == "SUCCEEDED"


def test_nothing_outlives_a_worker_that_is_killed(cluster, kit):
    worker = start(cluster, kit)
    _, shared = perform(cluster)
    _, alone = perform(cluster, "kit_alone")
    pids = [pid for puppet in (shared, alone) for pid in (puppet.order("spawn"), *below(puppet.pid))]
    folders = [
        line.removeprefix("PLUGIN_UNIX_SOCKET_DIR=")
        for puppet in (shared, alone)
        for line in puppet.order("environment")
        if line.startswith("PLUGIN_UNIX_SOCKET_DIR=")
    ]
    assert len(pids) >= 6
    assert [os.stat(folder).st_mode & 0o777 for folder in folders] == [0o700, 0o700]
    worker.kill9()
    for pid in pids:
        wait_until_gone(pid)
    assert not any(os.path.exists(folder) for folder in folders)
    # Its successor finds the outcome of nobody, and the bundle as it was.
    worker.start()
    puppet = cluster.stage.enter("work")
    assert puppet.try_number == 2 or puppet.pid not in pids
    assert len(list((worker.state / "bundles").iterdir())) == 1


def test_worker_that_drains_lets_tasks_end_and_takes_its_processes_with_it(cluster, kit):
    worker = start(cluster, kit)
    run, puppet = perform(cluster)
    child = puppet.order("spawn")
    worker.terminate()
    worker.wait_for("Draining: no new tasks are taken; 1 running")
    puppet.order("print", text="still at work")
    puppet.succeed(7)
    assert worker.wait() == 0
    wait_until_gone(puppet.pid)
    wait_until_gone(child)
    assert cluster.control.wait_run("kit", run) == "SUCCEEDED"
    assert list((worker.state / "bundles").iterdir()) == []


def test_second_signal_ends_running_tasks_which_are_given_to_others(cluster, kit):
    worker = start(cluster, kit)
    _, puppet = perform(cluster)
    worker.terminate()
    worker.wait_for("1 running")
    worker.send(signal.SIGTERM)
    puppet.wait_gone()
    assert worker.wait() == 0
    worker.start()
    again = cluster.stage.enter("work")
    again.succeed()


def test_replaced_file_is_a_new_version_and_running_tasks_keep_theirs(cluster, kit, go_bundles):
    worker = start(cluster, kit)
    old_run, old = perform(cluster)
    assert old.order("version") == "1"
    since = worker.mark()
    install(go_bundles.kit(2), kit)
    worker.wait_for("Bundle kit: new runs begin with version", since=since)
    run, new = perform(cluster)
    assert new.order("version") == "2"
    assert old.order("version") == "1"
    old.succeed()
    assert cluster.control.wait_run("kit", old_run) == "SUCCEEDED"
    # Nothing runs in its process any more, and hardly anything will.
    wait_until_gone(old.pid)
    new.succeed()
    assert cluster.control.wait_run("kit", run) == "SUCCEEDED"
    worker.wait_for("no run needs it any more", since=since)
    assert len(list((worker.state / "bundles").iterdir())) == 1
    assert psutil.pid_exists(new.pid)


def test_damaged_file_leaves_the_version_before_on_offer(cluster, kit):
    worker = start(cluster, kit)
    since = worker.mark()
    damaged = bytearray(kit.read_bytes())
    damaged[1000] ^= 1
    kit.write_bytes(damaged)
    worker.wait_for(
        r"The bundle kit \(.*\) could not be read: it is damaged.*; version \w+ stays on offer", since=since
    )
    run, puppet = perform(cluster)
    puppet.succeed()
    assert cluster.control.wait_run("kit", run) == "SUCCEEDED"


def test_binary_that_was_not_packed_is_refused_with_a_sentence(cluster, go_bundles):
    worker = cluster.worker(options=["--bundle", go_bundles.command("crosswind-go-pack")])
    worker.start()
    assert worker.wait() == 2
    assert "is neither a Python file (.py) nor a packed bundle" in worker.log
    assert "crosswind-go-pack" in worker.log
