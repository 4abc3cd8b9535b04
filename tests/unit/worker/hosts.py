"""What stands in for an attempt when a task's process is tested by itself, and the DAG file that such tests run."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.client.errors import NOT_FOUND, CallError
from crosswind.execution.v1 import lease_pb2, logs_pb2, outcome_pb2
from crosswind.runtime.executor import TaskEnd
from crosswind.runtime.masking import Masker
from crosswind.runtime.zygote_process import ZygoteProcess

DAG_FILE = """
import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

from crosswind import DAG, Variable, task

print("imported by", os.getpid())

with DAG("kit") as dag:

    @task
    def succeed():
        print("on stdout")
        print("on stderr", file=sys.stderr)
        logging.getLogger("kit").info("logged", extra={"answer": 42})
        return {"pid": os.getpid(), "parent": os.getppid()}

    @task
    def look_at_modules():
        return sorted(name for name in sys.modules if name == "grpc" or name.startswith("grpc."))

    @task
    def measure_memory():
        total = 0
        with open("/proc/self/smaps_rollup") as rollup:
            for line in rollup:
                if line.startswith(("Private_Clean", "Private_Dirty")):
                    total += int(line.split()[1]) * 1024
        return total

    @task
    def ask_variables():
        found = {}
        threads = [
            threading.Thread(target=lambda i=i: found.__setitem__(i, Variable.get(f"v{i}"))) for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [found[i] for i in range(8)]

    @task
    def exit_at_once():
        print("last words", file=sys.stderr, flush=True)
        os._exit(7)

    @task
    def kill_itself():
        os.kill(os.getpid(), signal.SIGKILL)

    @task
    def crash():
        ctypes.string_at(0)

    @task
    def wait_and_clean_up():
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            print("cleaned up", flush=True)

    @task
    def wait_while_another_thread_takes_the_signal():
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        print("ready", flush=True)
        time.sleep(60)

    @task
    def wait_for_an_answer():
        try:
            Variable.get("never")
        finally:
            print("cleaned up", flush=True)

    @task
    def ignore_everything():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        while True:
            time.sleep(1)

    @task
    def leave_processes_behind():
        same_group = subprocess.Popen(["sleep", "600"])
        other_session = subprocess.Popen(["sleep", "600"], start_new_session=True)
        # The middle process ends, so that the last one is nobody's child.
        daemon = subprocess.run(
            ["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True, check=True
        )
        print("started", same_group.pid, other_session.pid, int(daemon.stdout), flush=True)
        return [same_group.pid, other_session.pid, int(daemon.stdout)]

    @task
    def stay_with_children():
        children = [subprocess.Popen(["sleep", "600"], start_new_session=flag) for flag in (False, True)]
        print("started", os.getpid(), *(child.pid for child in children), flush=True)
        time.sleep(600)

    @task
    def ask_from_a_fork():
        reading, writing = os.pipe()
        if os.fork() == 0:
            try:
                Variable.get("v0")
                message = "it was answered"
            except BaseException as error:
                message = str(error)
            os.write(writing, message.encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as stream:
            return stream.read()

    for each in (
        succeed, look_at_modules, measure_memory, ask_variables, exit_at_once, kill_itself, crash, wait_and_clean_up,
        wait_while_another_thread_takes_the_signal,
        wait_for_an_answer, ignore_everything, leave_processes_behind, stay_with_children, ask_from_a_fork,
    ):
        each()
"""


class RecordingHost:
    """A `TaskHost` that answers variables by their name and keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[logs_pb2.LogRecord] = []
        self.output: dict[int, bytes] = {logs_pb2.LogRecord.SOURCE_STDOUT: b"", logs_pb2.LogRecord.SOURCE_STDERR: b""}
        self.calls: list[str] = []
        self.maskers: list[Masker] = []
        self._changed = asyncio.Event()

    async def forward(self, method: str, request: bytes, timeout: float | None) -> bytes:
        """Answers `GetVariable`: "never" never, "missing" with a refusal, others with their own name."""
        from crosswind.execution.v1 import task_service_pb2

        self.calls.append(method)
        self._changed.set()
        key = task_service_pb2.GetVariableRequest.FromString(request).key
        if key == "never":
            await asyncio.Event().wait()
        if key == "missing":
            raise CallError(NOT_FOUND, "VARIABLE_NOT_FOUND", "There is no variable missing.")
        variable = lease_pb2.Variable(key=key, value=f"value of {key}")
        for masker in self.maskers if key == "secret" else ():
            masker.add_variable(variable)
        return task_service_pb2.GetVariableResponse(variable=variable).SerializeToString()

    def share_secrets(self, masker: Masker) -> None:
        """Takes note of the masker, with which the value of the variable `secret` is registered."""
        self.maskers.append(masker)

    def write_logs(self, request: bytes) -> None:
        """Keeps records."""
        self.records.extend(bundle_service_pb2.WriteLogsRequest.FromString(request).records)
        self._changed.set()

    def write_output(self, source: logs_pb2.LogRecord.Source, data: bytes) -> None:
        """Keeps output."""
        self.output[source] += data
        self._changed.set()

    @property
    def stdout(self) -> str:
        """What has been written to standard output so far."""
        return self.output[logs_pb2.LogRecord.SOURCE_STDOUT].decode()

    @property
    def stderr(self) -> str:
        """What has been written to standard error so far."""
        return self.output[logs_pb2.LogRecord.SOURCE_STDERR].decode()

    async def wait_until(self, met: Callable[[], bool]) -> None:
        """Waits until something told makes `met` true."""
        async with asyncio.timeout(20):
            while not met():
                self._changed.clear()
                await self._changed.wait()


async def spawn_kit(folder: Path) -> ZygoteProcess:
    """A zygote of `DAG_FILE`."""
    path = folder / "kit.py"
    path.write_text(DAG_FILE)
    return await ZygoteProcess.spawn(path, "kit", timeout=30, write_line=lambda line: None)


def make_request(task_id: str) -> bundle_service_pb2.RunTaskRequest:
    """Asks for a task of `DAG_FILE`."""
    context = lease_pb2.TaskContext(
        task_instance=lease_pb2.TaskInstanceKey(dag_id="kit", run_id="r", task_id=task_id),
        attempt_id="a",
        try_number=1,
        max_tries=1,
        run=lease_pb2.RunContext(dag_id="kit", run_id="r"),
        bundle="kit",
        entry_point=f"kit.{task_id}",
    )
    return bundle_service_pb2.RunTaskRequest(context=context, max_inline_value_bytes=1 << 20)


def outcome_of(end: TaskEnd) -> outcome_pb2.Outcome:
    """The outcome in a task's end."""
    assert end.response is not None, end
    return bundle_service_pb2.RunTaskResponse.FromString(end.response).outcome
