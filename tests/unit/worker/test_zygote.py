import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from crosswind.execution.v1 import logs_pb2
from crosswind.runtime.executor import ExecutorGone
from crosswind.runtime.zygote_process import ZygoteBroken, ZygoteProcess
from tests.unit.worker.hosts import DAG_FILE, RecordingHost, make_request, outcome_of, spawn_kit


@pytest_asyncio.fixture
async def zygote(tmp_path: Path) -> AsyncIterator[ZygoteProcess]:
    process = await spawn_kit(tmp_path)
    yield process
    await process.close()


async def run(zygote: ZygoteProcess, task_id: str, host: RecordingHost | None = None):
    async with asyncio.timeout(30):
        return await zygote.start(make_request(task_id), host or RecordingHost()).wait()


def result_of(end):
    outcome = outcome_of(end)
    assert outcome.HasField("succeeded"), outcome
    payload = outcome.succeeded.result
    if payload.HasField("items"):
        return [json.loads(item.data) for item in payload.items.items]
    return json.loads(payload.data)


def is_alive(process_id: int) -> bool:
    try:
        with open(f"/proc/{process_id}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def only_child_of(process_id: int) -> int:
    with open(f"/proc/{process_id}/task/{process_id}/children") as children:
        return int(children.read())


async def wait_gone(process_ids: list[int]) -> None:
    async with asyncio.timeout(10):
        for process_id in process_ids:
            try:
                descriptor = os.pidfd_open(process_id)
            except ProcessLookupError:
                continue
            gone = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(descriptor, gone.set)
            await gone.wait()
            loop.remove_reader(descriptor)
            os.close(descriptor)


async def test_a_task_runs_in_a_process_of_its_own(zygote):
    host = RecordingHost()
    first, second = await run(zygote, "succeed", host), await run(zygote, "succeed")
    assert first.exit_code == 0
    assert result_of(first)["pid"] != result_of(second)["pid"]
    assert result_of(first)["parent"] == result_of(second)["parent"]
    assert host.stdout == "on stdout\n"
    assert host.stderr == "on stderr\n"
    (record,) = [record for record in host.records if record.logger == "kit"]
    assert record.message == "logged"
    assert json.loads(record.attributes_json) == {"answer": 42}
    assert record.level == logs_pb2.LogRecord.LEVEL_INFO
    assert first.cpu_seconds > 0
    assert first.max_memory_bytes > 0


async def test_the_manifest_comes_from_the_zygote(zygote):
    assert [dag.dag_id for dag in zygote.manifest.dags] == ["kit"]
    assert zygote.manifest.bundle == "kit"
    assert zygote.manifest.bundle_version


async def test_tasks_run_at_the_same_time(zygote):
    ends = await asyncio.gather(*(run(zygote, "succeed") for _ in range(20)))
    assert len({result_of(end)["pid"] for end in ends}) == 20


async def test_neither_zygote_nor_child_imports_grpc(zygote):
    assert result_of(await run(zygote, "look_at_modules")) == []


async def test_a_forked_task_takes_little_memory_of_its_own(zygote):
    assert result_of(await run(zygote, "measure_memory")) < 25 * 1024 * 1024


async def test_threads_of_a_task_ask_at_the_same_time(zygote):
    host = RecordingHost()
    assert result_of(await run(zygote, "ask_variables", host)) == [f"value of v{i}" for i in range(8)]
    assert host.calls == ["/crosswind.execution.v1.TaskService/GetVariable"] * 8


async def test_a_defect_of_the_worker_is_told_to_the_task_and_in_the_worker_s_log(zygote, caplog):
    class DefectiveHost(RecordingHost):
        async def forward(self, method: str, request: bytes, timeout: float | None) -> bytes:
            raise RuntimeError("a defect")

    outcome = outcome_of(await run(zygote, "wait_for_an_answer", DefectiveHost()))
    assert "The worker failed: RuntimeError('a defect')" in outcome.failed.failure.message
    (record,) = [record for record in caplog.records if record.name == "crosswind.worker"]
    assert "TaskService/GetVariable by a task met a defect" in record.message
    assert record.exc_info is not None


async def test_a_process_forked_by_a_task_is_told_that_it_cannot_ask(zygote):
    assert "forked from the task's process" in result_of(await run(zygote, "ask_from_a_fork"))


async def test_an_exit_without_an_outcome_tells_its_code(zygote):
    host = RecordingHost()
    end = await run(zygote, "exit_at_once", host)
    assert (end.response, end.exit_code, end.signal_name) == (None, 7, "")
    assert host.stderr == "last words\n"


@pytest.mark.parametrize(("task_id", "signal_name"), [("kill_itself", "SIGKILL"), ("crash", "SIGSEGV")])
async def test_a_death_tells_its_signal(zygote, task_id, signal_name):
    end = await run(zygote, task_id)
    assert (end.response, end.exit_code, end.signal_name) == (None, None, signal_name)
    assert (await run(zygote, "succeed")).exit_code == 0


async def test_terminating_lets_a_task_clean_up(zygote):
    host = RecordingHost()
    task = zygote.start(make_request("wait_and_clean_up"), host)
    await host.wait_until(lambda: "ready" in host.stdout)
    task.terminate()
    end = await task.wait()
    assert outcome_of(end).HasField("cancelled")
    assert "cleaned up" in host.stdout
    assert end.exit_code == 0


async def test_terminating_reaches_a_task_whose_main_thread_missed_the_signal(zygote):
    host = RecordingHost()
    task = zygote.start(make_request("wait_while_another_thread_takes_the_signal"), host)
    await host.wait_until(lambda: "ready" in host.stdout)
    task.terminate()
    async with asyncio.timeout(30):
        assert outcome_of(await task.wait()).HasField("cancelled")


async def test_terminating_reaches_a_task_that_waits_for_the_server(zygote):
    host = RecordingHost()
    task = zygote.start(make_request("wait_for_an_answer"), host)
    await host.wait_until(lambda: bool(host.calls))
    task.terminate()
    assert outcome_of(await task.wait()).HasField("cancelled")
    assert "cleaned up" in host.stdout


async def test_killing_ends_a_task_that_ignores_everything(zygote):
    host = RecordingHost()
    task = zygote.start(make_request("ignore_everything"), host)
    await host.wait_until(lambda: "ready" in host.stdout)
    task.terminate()
    task.kill()
    end = await task.wait()
    assert (end.response, end.signal_name) == (None, "SIGKILL")


async def test_what_a_task_leaves_behind_ends_with_it(zygote):
    left = result_of(await run(zygote, "leave_processes_behind"))
    await wait_gone(left)
    assert not any(map(is_alive, left))


async def test_an_orphan_of_a_running_task_is_left_alone(zygote):
    host = RecordingHost()
    task = zygote.start(make_request("stay_with_children"), host)
    await host.wait_until(lambda: "started" in host.stdout)
    await run(zygote, "succeed")
    started = [int(word) for word in host.stdout.split()[1:]]
    assert all(map(is_alive, started))
    task.kill()
    await task.wait()
    await wait_gone(started)


async def test_closing_ends_every_process(zygote):
    host = RecordingHost()
    task = zygote.start(make_request("stay_with_children"), host)
    await host.wait_until(lambda: "started" in host.stdout)
    started = [int(word) for word in host.stdout.split()[1:]]
    await zygote.close()
    assert not any(map(is_alive, started))
    assert (await task.wait()).response is None
    with pytest.raises(ExecutorGone):
        zygote.start(make_request("succeed"), RecordingHost())


@pytest.mark.parametrize("victim", ["guard", "zygote"])
async def test_nothing_outlives_a_killed_zygote(zygote, victim):
    host = RecordingHost()
    task = zygote.start(make_request("stay_with_children"), host)
    await host.wait_until(lambda: "started" in host.stdout)
    child, *grandchildren = [int(word) for word in host.stdout.split()[1:]]
    if victim == "guard":
        os.kill(zygote.process_id, signal.SIGKILL)
        await wait_gone([child])  # who kills the guard itself has to look after grandchildren
        for grandchild in grandchildren:
            os.kill(grandchild, signal.SIGKILL)
    else:
        os.kill(only_child_of(zygote.process_id), signal.SIGKILL)
        await wait_gone([child, *grandchildren])
    end = await task.wait()
    assert end.response is None
    assert "exit code" in end.detail
    assert "exit code" in await zygote.ended


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("import os\nimport crosswind\nos._exit(9)", "exit code 9"),
        ("import os, signal\nimport crosswind\nos.kill(os.getpid(), signal.SIGSEGV)", "exit code 139"),
    ],
)
async def test_a_bundle_that_ends_its_process_is_told(tmp_path, source, sentence):
    path = tmp_path / "bad.py"
    path.write_text(source)
    with pytest.raises(ZygoteBroken, match=sentence):
        await ZygoteProcess.spawn(path, "bad", timeout=30, write_line=lambda line: None)


async def test_an_exit_while_importing_is_a_defect_of_that_file(tmp_path):
    (tmp_path / "bad.py").write_text("import sys\nimport crosswind\nsys.exit(3)\n")
    (tmp_path / "good.py").write_text(DAG_FILE)
    zygote = await ZygoteProcess.spawn(tmp_path, "mixed", timeout=30, write_line=lambda line: None)
    assert [problem.source for problem in zygote.manifest.source_errors] == ["bad.py"]
    assert (await run(zygote, "succeed")).exit_code == 0
    await zygote.close()


async def test_an_import_that_hangs_is_given_up(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text("import threading\nimport crosswind\nthreading.Event().wait()\n")
    with pytest.raises(ZygoteBroken, match=r"took longer than 0\.5 s"):
        await ZygoteProcess.spawn(path, "slow", timeout=0.5, write_line=lambda line: None)


async def test_what_an_import_prints_goes_to_the_worker(tmp_path):
    lines: list[str] = []
    path = tmp_path / "loud.py"
    path.write_text("import sys\nimport crosswind\nprint('hear me')\nprint('and me', file=sys.stderr)\n")
    zygote = await ZygoteProcess.spawn(path, "loud", timeout=30, write_line=lines.append)
    await zygote.close()
    assert sorted(lines) == ["and me", "hear me"]
