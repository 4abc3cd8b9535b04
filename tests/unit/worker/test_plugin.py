"""Packed bundles in the Python worker, on processes of a bundle that is written with bare gRPC and no SDK."""

import asyncio
import gc
import json
import logging
import os
import signal
import struct
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from crosswind.execution.v1 import lease_pb2
from crosswind.manifest.v1 import task_pb2
from crosswind.runtime import plugin_process
from crosswind.runtime.executor import ExecutorGone, TaskEnd
from crosswind.runtime.packed_bundle import copy_packed
from crosswind.runtime.plugin_executor import PluginExecutor, PluginTask, is_isolated
from crosswind.runtime.verdicts import Ending, judge
from tests.unit.worker.hosts import RecordingHost, make_request, outcome_of
from tests.unit.worker.plugin_files import pack, pack_kit, script
from tests.unit.worker.test_zygote import is_alive, only_child_of, wait_gone

Open = Callable[..., PluginExecutor]


@pytest_asyncio.fixture
async def open_packed(tmp_path: Path, sockets: Path) -> AsyncIterator[Open]:
    """Makes executors of a packed file, and closes them."""
    opened: list[PluginExecutor] = []

    def open_one(path: Path, *, start_timeout: float = 30.0) -> PluginExecutor:
        opened.append(PluginExecutor(copy_packed(path, tmp_path / "copies"), start_timeout=start_timeout))
        return opened[-1]

    yield open_one
    for executor in opened:
        async with asyncio.timeout(20):
            await executor.close()
    assert list((tmp_path / "copies").iterdir()) == []


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where folders for sockets are made."""
    with tempfile.TemporaryDirectory(prefix="kit-", dir="/tmp") as folder:  # pytest's own have long paths
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest_asyncio.fixture
async def kit(open_packed: Open, tmp_path: Path, sockets: Path) -> PluginExecutor:
    pack_kit(tmp_path / "kit")
    return open_packed(tmp_path / "kit")


def begin(
    executor: PluginExecutor, name: str, host: RecordingHost | None = None, *, attempt: str = "", **context: Any
) -> PluginTask:
    request = make_request(name)
    request.context.entry_point = name
    request.context.attempt_id = attempt or name
    request.context.MergeFrom(lease_pb2.TaskContext(**context))
    return executor.start(request, host or RecordingHost())


async def within(work: Awaitable[TaskEnd]) -> TaskEnd:
    async with asyncio.timeout(30):
        return await work


async def run(executor: PluginExecutor, name: str, host: RecordingHost | None = None, **options: Any) -> TaskEnd:
    return await within(begin(executor, name, host, **options).wait())


def result_of(end: TaskEnd) -> Any:
    outcome = outcome_of(end)
    assert outcome.HasField("succeeded"), outcome
    return json.loads(outcome.succeeded.result.data)


def failure_of(end: TaskEnd, *, ending: Ending = Ending.NONE) -> Any:
    outcome = judge(end, ending, context=lease_pb2.TaskContext(), killed=False, stderr_tail=end.stderr_tail)
    assert outcome is not None
    return outcome.failed.failure


async def waiting(executor: PluginExecutor, name: str, **options: Any) -> tuple[PluginTask, RecordingHost]:
    """A task that has begun and waits."""
    host = RecordingHost()
    task = begin(executor, name, host, **options)
    await host.wait_until(lambda: bool(host.records))
    return task, host


async def test_tasks_share_a_process_and_call_back(kit):
    host = RecordingHost()
    first, second = await asyncio.gather(run(kit, "succeed", host, attempt="a"), run(kit, "succeed", attempt="b"))
    assert result_of(first)["pid"] == result_of(second)["pid"]
    assert result_of(first)["value"] == "value of v0"
    assert [record.message for record in host.records] == ["logged"]
    assert host.calls == ["/crosswind.execution.v1.TaskService/GetVariable"]
    assert kit.child_count == 0


async def test_an_isolated_task_has_a_process_of_its_own_which_ends_with_it(kit):
    shared = result_of(await run(kit, "succeed"))["pid"]
    own = await run(kit, "succeed", isolation=task_pb2.ISOLATION_PROCESS)
    pid = result_of(own)["pid"]
    assert pid != shared
    assert not is_alive(pid)
    assert own.cpu_seconds > 0
    assert own.max_memory_bytes > 1 << 20
    assert result_of(await run(kit, "succeed"))["pid"] == shared


@pytest.mark.parametrize(
    ("context", "isolated"),
    [
        ({}, False),
        ({"isolation": task_pb2.ISOLATION_SHARED}, False),
        ({"isolation": task_pb2.ISOLATION_PROCESS}, True),
        # It is to be killed in time, whatever else runs beside it.
        ({"on_partition": task_pb2.PARTITION_POLICY_KILL}, True),
        ({"on_partition": task_pb2.PARTITION_POLICY_CONTINUE}, False),
    ],
)
def test_which_tasks_are_isolated(context, isolated):
    assert is_isolated(lease_pb2.TaskContext(**context)) is isolated


async def test_a_process_is_told_no_token_and_lives_behind_a_closed_door(kit, sockets, monkeypatch):
    monkeypatch.setenv("CROSSWIND_TOKEN", "s3cret")
    monkeypatch.setenv("CROSSWIND_TOKEN_FILE", "s3cret")
    monkeypatch.setenv("PLUGIN_CLIENT_CERT", "s3cret")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    found = result_of(await run(kit, "look_around"))
    environment = found["environment"]
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["LC_ALL"] == "C.UTF-8"
    assert environment["PLUGIN_PROTOCOL_VERSIONS"] == "1"
    assert found["folder"] == os.getcwd()
    assert "s3cret" not in str(environment)
    assert "CROSSWIND_BUNDLE_COOKIE" in environment
    (folder,) = sockets.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert environment["PLUGIN_UNIX_SOCKET_DIR"] == str(folder)
    assert found["address"] == f"unix://{folder}/worker"
    assert len(found["address"].removeprefix("unix://")) < 104


async def test_a_folder_with_a_long_path_is_no_place_for_sockets(kit, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert result_of(await run(kit, "look_around"))["address"].startswith("unix:///tmp/crosswind-")


async def test_a_call_is_refused_with_all_that_the_server_said(kit):
    found = result_of(await run(kit, "ask"))
    assert found["missing"] == {
        "code": "NOT_FOUND",
        "reason": "VARIABLE_NOT_FOUND",
        "message": "There is no variable missing.",
    }
    for wrong in ("no key", "wrong key"):
        assert found[wrong]["code"] == "UNAUTHENTICATED"
        assert "crosswind-attempt-key" in found[wrong]["message"]
    assert found["late"]["code"] == "DEADLINE_EXCEEDED"
    assert found["other service"]["code"] == "UNIMPLEMENTED"


async def test_a_call_ends_with_the_task_that_made_it(kit, caplog):
    caplog.set_level(logging.INFO, "crosswind.bundle")
    said = said_in(caplog, "the call that was left behind: CANCELLED")
    host = RecordingHost()
    task = begin(kit, "leave_a_call_behind", host)
    await host.wait_until(lambda: bool(host.calls))
    task.terminate()
    await within(task.wait())
    async with asyncio.timeout(20):
        await said.wait()


def task_ended(task: PluginTask) -> bool:
    return task._work.done()


def said_in(caplog: pytest.LogCaptureFixture, text: str) -> asyncio.Event:
    """Set when the bundle's log has a line with a text."""
    event = asyncio.Event()

    def look(record: logging.LogRecord) -> bool:
        if text in record.getMessage():
            event.set()
        return True

    caplog.handler.addFilter(look)
    return event


async def test_output_of_a_shared_process_goes_to_the_bundles_log(kit, caplog):
    caplog.set_level(logging.INFO, "crosswind.bundle")
    host = RecordingHost()
    assert outcome_of(await run(kit, "print", host)).HasField("succeeded")
    await kit.close()
    lines = [record.getMessage() for record in caplog.records if record.name == "crosswind.bundle"]
    assert sorted(lines) == [
        "kit: an error, streamed",
        "kit: error to the descriptor, without an end",
        "kit: streamed, in two pieces",
        "kit: to the descriptor",
    ]
    assert host.stdout + host.stderr == ""


async def test_output_of_an_isolated_process_is_the_tasks(kit, caplog):
    caplog.set_level(logging.INFO, "crosswind.bundle")
    host = RecordingHost()
    end = await run(kit, "print", host, isolation=task_pb2.ISOLATION_PROCESS)
    assert outcome_of(end).HasField("succeeded")
    assert sorted(host.stdout.splitlines()) == ["streamed, in two pieces", "to the descriptor"]
    assert sorted(host.stderr.splitlines()) == ["an error, streamed", "error to the descriptor, without an end"]
    assert "crosswind.bundle" not in {record.name for record in caplog.records}


async def test_secrets_are_masked_in_the_bundles_log(kit, caplog):
    caplog.set_level(logging.INFO, "crosswind.bundle")
    said = said_in(caplog, "the secret is ***")
    await run(kit, "print_secret")
    async with asyncio.timeout(20):
        await said.wait()
    assert "value of secret" not in caplog.text
    end = await run(kit, "exit")
    assert end.stderr_tail == "the secret is ***\nlast words"


async def test_a_bundle_that_serves_no_service_of_go_plugin_is_one_too(open_packed, tmp_path):
    pack_kit(tmp_path / "kit", "bare")
    executor = open_packed(tmp_path / "kit")
    assert result_of(await run(executor, "succeed"))["value"] == "value of v0"
    assert result_of(await run(executor, "succeed", isolation=task_pb2.ISOLATION_PROCESS))["value"] == "value of v0"


async def test_what_a_bundle_refuses_is_the_tasks_failure(kit):
    missing = failure_of(await run(kit, "no_such_task"))
    assert missing.type == "crosswind.EntryPointMissing"
    assert "no_such_task" in missing.message
    odd = failure_of(await run(kit, "odd"))
    assert odd.type == "crosswind.BundleBroken"
    assert odd.message == "The bundle's process could not run the task: It likes it not."
    assert failure_of(await run(kit, "too_large")).type == "crosswind.ValueTooLarge"
    assert len(result_of(await run(kit, "large"))) == 5 << 20


async def test_a_crash_fails_the_tasks_in_the_process_and_no_others(kit, caplog):
    first, _ = await waiting(kit, "wait")
    lonely, lonely_host = await waiting(kit, "wait", attempt="lonely", isolation=task_pb2.ISOLATION_PROCESS)
    crashed = await run(kit, "exit")
    failure = failure_of(crashed)
    assert failure.type == "crosswind.ProcessDied"
    assert "exited with code 7" in failure.message
    assert (failure.exit.code, failure.exit.stderr_tail) == (7, "last words")
    assert failure_of(await within(first.wait())).exit.code == 7
    assert "its process exited with code 7" in caplog.text
    assert not task_ended(lonely)
    assert result_of(await run(kit, "succeed"))["value"] == "value of v0"
    lonely.terminate()
    assert outcome_of(await within(lonely.wait())).HasField("cancelled")
    assert len(lonely_host.records) == 1


async def test_a_panic_is_named_and_a_signal_too(kit):
    panic = failure_of(await run(kit, "panic"))
    assert panic.type == "crosswind.ProcessDied"
    assert panic.message == (
        "The task's process exited with code 2 before the task had ended. "
        "Its last words: panic: runtime error: index out of range [3] with length 3."
    )
    assert "goroutine 7" in panic.exit.stderr_tail
    died = failure_of(await run(kit, "die"))
    assert died.type == "crosswind.ProcessDied"
    assert died.exit.signal == "SIGKILL"


async def test_standard_error_of_an_isolated_process_that_dies_is_in_the_tasks_log(kit):
    host = RecordingHost()
    end = await run(kit, "exit", host, isolation=task_pb2.ISOLATION_PROCESS)
    assert (end.exit_code, end.stderr_tail) == (7, "")
    assert host.stderr == "last words\n"


async def test_a_process_that_closes_itself_is_replaced_but_not_for_ever(kit):
    pid = result_of(await run(kit, "succeed"))["pid"]
    failure = failure_of(await run(kit, "close"))
    assert failure.type == "crosswind.BundleBroken"
    assert "was started 3 times and took no task" in failure.message
    assert result_of(await run(kit, "succeed"))["pid"] != pid


async def test_cancelled_task_ends_and_leaves_the_process(kit):
    task, _ = await waiting(kit, "wait")
    other, _ = await waiting(kit, "wait", attempt="other")
    task.terminate()
    assert outcome_of(await within(task.wait())).HasField("cancelled")
    assert not task_ended(other)
    other.terminate()
    assert outcome_of(await within(other.wait())).HasField("cancelled")


async def test_a_task_that_ignores_cancel_closes_its_process_which_is_killed_when_the_others_have_ended(kit):
    stubborn, _ = await waiting(kit, "ignore")
    other, _ = await waiting(kit, "wait", attempt="other")
    (process,) = kit._processes
    old = only_child_of(process.process_id)
    stubborn.terminate()
    stubborn.kill()
    # New tasks begin elsewhere, and what was there goes on.
    assert result_of(await run(kit, "succeed"))["pid"] != old
    assert is_alive(old)
    assert not task_ended(stubborn)
    assert not task_ended(other)
    other.terminate()
    assert outcome_of(await within(other.wait())).HasField("cancelled")
    end = await within(stubborn.wait())
    assert end.signal_name == "SIGKILL"
    assert not is_alive(old)


async def test_two_tasks_that_ignore_cancel_do_not_wait_for_each_other(kit):
    tasks = [(await waiting(kit, "ignore", attempt=name))[0] for name in ("a", "b")]
    for task in tasks:
        task.kill()
    for task in tasks:
        assert (await within(task.wait())).signal_name == "SIGKILL"


async def test_an_isolated_task_is_killed_at_once(kit):
    task, _ = await waiting(kit, "ignore", isolation=task_pb2.ISOLATION_PROCESS)
    task.kill()
    assert (await within(task.wait())).signal_name == "SIGKILL"


@pytest.mark.parametrize("isolation", [task_pb2.ISOLATION_SHARED, task_pb2.ISOLATION_PROCESS])
async def test_a_task_that_is_ended_before_its_process_serves_does_not_begin(open_packed, tmp_path, isolation):
    pack(tmp_path / "slow", script(f"echo $$ > {tmp_path}/pid; exec sleep 600"))
    executor = open_packed(tmp_path / "slow")
    task = begin(executor, "succeed", isolation=isolation)
    await asyncio.sleep(0)
    task.terminate()
    end = await within(task.wait())
    assert end.response is None
    assert end.detail == "The task had not begun."
    assert executor.child_count == 0


async def test_nothing_is_left_of_a_process_whose_start_is_given_up_at_any_moment(open_packed, tmp_path, sockets):
    pack(tmp_path / "slow", script("exec sleep 600"))
    executor = open_packed(tmp_path / "slow")
    for steps in range(40):
        task = begin(executor, "succeed", isolation=task_pb2.ISOLATION_PROCESS)
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        task.terminate()
        await within(task.wait())
    await executor.close()
    assert list(sockets.iterdir()) == []
    gc.collect()  # a server that was not stopped says so now


async def test_processes_of_tasks_end_with_the_process(kit):
    task, host = await waiting(kit, "leave_processes_behind", isolation=task_pb2.ISOLATION_PROCESS)
    pids = [int(word) for word in host.records[0].message.split()]
    assert all(is_alive(pid) for pid in pids)
    task.terminate()
    assert outcome_of(await within(task.wait())).HasField("cancelled")
    await wait_gone(pids)


async def test_closing_ends_everything_and_refuses_more(kit, sockets):
    task, host = await waiting(kit, "leave_processes_behind")
    pids = [int(word) for word in host.records[0].message.split()]
    await kit.close()
    await within(task.wait())
    await wait_gone(pids)
    assert list(sockets.iterdir()) == []
    with pytest.raises(ExecutorGone, match="not on offer"):
        begin(kit, "succeed")
    assert kit.ended.done()


async def test_the_shared_process_rests_while_no_task_needs_it(kit):
    task, _ = await waiting(kit, "wait")
    (process,) = kit._processes
    kit.rest()
    assert process.accepts
    task.terminate()
    await within(task.wait())
    kit.rest()
    async with asyncio.timeout(20):
        await asyncio.shield(process.ended)
    assert result_of(await run(kit, "succeed"))["value"] == "value of v0"


async def test_a_guard_ends_all_when_the_worker_is_killed(tmp_path, sockets):
    """Another process is the worker, and killed."""
    pack_kit(tmp_path / "kit")
    program = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(Path.cwd())!r})
from crosswind.runtime.packed_bundle import copy_packed
from crosswind.runtime.plugin_executor import PluginExecutor
from tests.unit.worker.hosts import RecordingHost
from tests.unit.worker.test_plugin import waiting

async def main():
    copy = copy_packed(Path({str(tmp_path / "kit")!r}), Path({str(tmp_path / "copies")!r}))
    executor = PluginExecutor(copy, start_timeout=30)
    _, host = await waiting(executor, "leave_processes_behind")
    (process,) = executor._processes
    print(process.process_id, host.records[0].message, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(sockets)},
    )
    assert worker.stdout is not None
    async with asyncio.timeout(30):
        pids = [int(word) for word in (await worker.stdout.readline()).split()]
    assert len(pids) == 5
    assert all(is_alive(pid) for pid in pids)
    worker.send_signal(signal.SIGKILL)
    await worker.wait()
    await wait_gone(pids)
    assert list(sockets.iterdir()) == []


HERE = 62 if os.uname().machine == "x86_64" else 183
THERE = 183 if HERE == 62 else 62
OTHER_MACHINE = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, THERE, 1) + bytes(1000)


@pytest.mark.parametrize(
    ("program", "sentence", "code", "tail"),
    [
        (script("echo no good >&2; exit 3"), "its process exited with code 3 before its handshake", 3, "no good"),
        (script("exit 0"), "its process exited with code 0 before its handshake", 0, ""),
        (script("kill -SEGV $$"), "its process was ended by SIGSEGV before its handshake", None, ""),
        (script("echo hello; sleep 600"), "it printed 'hello' to standard output before its handshake", None, ""),
        (script("yes | tr -d '\\n'"), "it printed 'yyyyyyyyyy", None, ""),
        (script("echo '2|1|unix|/x|grpc|'; sleep 600"), "it speaks version 2 of go-plugin's handshake", None, ""),
        (
            script("echo '1|7|unix|/x|grpc|'; sleep 600"),
            "it serves version 7 of the plugin, and this worker speaks 1: upg",
            None,
            "",
        ),
        (script("echo '1|1|unix|/x|netrpc|'; sleep 600"), "it speaks netrpc, and this worker gRPC", None, ""),
        (script("echo '1|1|unix|/x'; sleep 600"), "it speaks netrpc, and this worker gRPC", None, ""),
        (script("echo '1|1|tcp|127.0.0.1:1|grpc|'; sleep 600"), "and must on a Unix socket", None, ""),
        (script("echo '1|1|unix|/x|grpc|MIIB'; sleep 600"), "it serves TLS", None, ""),
        (script("echo '1|1|unix|/tmp/x|grpc|'; sleep 600"), "is not in the folder that it was given", None, ""),
        (OTHER_MACHINE, "its program could not be executed: it was built for", None, ""),
        (b"MZ" + bytes(1000), "it was built for Windows, and this machine runs Linux", None, ""),
        (b"#!/no/such/interpreter\n", "its program could not be executed: it is no program for Linux", None, ""),
    ],
)
async def test_a_bundle_that_does_not_start_is_broken(open_packed, tmp_path, sockets, program, sentence, code, tail):
    pack(tmp_path / "bad", program)
    executor = open_packed(tmp_path / "bad")
    end = await run(executor, "succeed")
    failure = failure_of(end)
    assert failure.type == "crosswind.BundleBroken"
    assert failure.message.startswith("Bundle kit, version ")
    assert "could not be started: " in failure.message
    assert sentence in failure.message
    assert (failure.exit.code if failure.exit.HasField("code") else None) == code
    assert failure.exit.stderr_tail == tail
    assert list(sockets.iterdir()) == []


async def test_a_bundle_that_never_shakes_hands_is_broken(open_packed, tmp_path):
    pack(tmp_path / "bad", script("echo still thinking >&2; exec sleep 600"))
    failure = failure_of(await run(open_packed(tmp_path / "bad", start_timeout=1.0), "succeed"))
    assert "it did not shake hands within 1 s (--import-timeout)" in failure.message
    assert failure.exit.stderr_tail == "still thinking"
    assert not failure.exit.signal


async def test_a_copy_that_was_tampered_with_is_not_run(open_packed, tmp_path):
    pack_kit(tmp_path / "kit")
    executor = open_packed(tmp_path / "kit")
    (copy,) = (tmp_path / "copies").iterdir()
    copy.chmod(0o700)
    copy.write_bytes(copy.read_bytes().replace(b"exec ", b"echo "))
    failure = failure_of(await run(executor, "succeed"))
    assert failure.type == "crosswind.BundleBroken"
    assert "its checksum differs" in failure.message


async def test_a_bundle_that_falls_silent_after_the_handshake_is_broken_off(open_packed, tmp_path, monkeypatch):
    """The socket is there, and nobody listens any more."""
    monkeypatch.setattr(plugin_process, "_END_SECONDS", 0.1)
    line = "import os,socket,time;p=os.environ['PLUGIN_UNIX_SOCKET_DIR']+'/s';s=socket.socket(1);s.bind(p);s.listen();"
    pack(
        tmp_path / "silent",
        script(
            f"exec {sys.executable} -c \"{line}print(f'1|1|unix|{{p}}|grpc|',flush=True);s.close();time.sleep(600)\""
        ),
    )
    failure = failure_of(await run(open_packed(tmp_path / "silent"), "succeed"))
    assert failure.type == "crosswind.ProcessDied"
    assert failure.exit.signal == "SIGKILL"
