"""What a test asks as a person would: the control API, waiting by long polls through restarts of the server."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from crosswind.client.dialling import dialling_options
from crosswind.control.v1 import (
    connections_pb2,
    connections_pb2_grpc,
    dag_runs_pb2,
    dag_runs_pb2_grpc,
    dags_pb2,
    dags_pb2_grpc,
    logs_pb2,
    logs_pb2_grpc,
    states_pb2,
    task_instances_pb2,
    task_instances_pb2_grpc,
    tokens_pb2,
    tokens_pb2_grpc,
    variables_pb2,
    variables_pb2_grpc,
    workers_pb2,
    workers_pb2_grpc,
    xcoms_pb2,
    xcoms_pb2_grpc,
)
from crosswind.value.v1 import value_pb2
from tests.e2e.support.processes import PATIENCE

API_VERSION = "2026-12-01"
FINAL_RUN_STATES = ("SUCCEEDED", "FAILED", "CANCELLED")
_OPTIONS = [
    # A server that comes back is found at once, not after gRPC's own back-off of seconds.
    *dialling_options(first=0.05, longest=0.2),
    ("grpc.enable_http_proxy", 0),
]


def metadata_of(token: str) -> list[tuple[str, str]]:
    """The metadata of every call."""
    return [("authorization", f"Bearer {token}"), ("crosswind-api-version", API_VERSION)]


def open_channel(address: str) -> grpc.Channel:
    """Open a channel that waits for a server which is down."""
    return grpc.insecure_channel(address, options=_OPTIONS)


def reason_of(error: grpc.RpcError) -> str:
    """The `ErrorReason` of a refused call, or an empty string."""
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return str(info.reason)
    return ""


class Control:
    """A client of the control API. Calls wait for a server that is down."""

    def __init__(self, address: str, token: str) -> None:
        self.channel = open_channel(address)
        self.metadata = metadata_of(token)
        self.runs = dag_runs_pb2_grpc.DagRunServiceStub(self.channel)
        self.tasks = task_instances_pb2_grpc.TaskInstanceServiceStub(self.channel)
        self.dags = dags_pb2_grpc.DagServiceStub(self.channel)
        self.logs = logs_pb2_grpc.LogServiceStub(self.channel)
        self.variables = variables_pb2_grpc.VariableServiceStub(self.channel)
        self.connections = connections_pb2_grpc.ConnectionServiceStub(self.channel)
        self.workers = workers_pb2_grpc.WorkerAdminServiceStub(self.channel)
        self.tokens = tokens_pb2_grpc.TokenServiceStub(self.channel)
        self.xcoms = xcoms_pb2_grpc.XComServiceStub(self.channel)

    @classmethod
    def with_token_file(cls, address: str, token_file: Path) -> Self:
        """A client with the token of a file."""
        return cls(address, token_file.read_text().strip())

    def close(self) -> None:
        """Close the connection."""
        self.channel.close()

    def call(self, rpc: Callable[..., Any], request: Any, *, seconds: float = PATIENCE) -> Any:
        """Call; while the server is down or its database unavailable, repeat the same message until it answers."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            try:
                return rpc(request, metadata=self.metadata, timeout=max(left, 0.1), wait_for_ready=True)
            except grpc.RpcError as error:
                # CANCELLED: it came to a server that was just stopping.
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED) or left <= 0:
                    raise

    def refused(self, rpc: Callable[..., Any], request: Any) -> tuple[grpc.StatusCode, str, str]:
        """Make a call that is to be refused; returns its code, reason and sentence."""
        try:
            answer = rpc(request, metadata=self.metadata, timeout=PATIENCE)
        except grpc.RpcError as error:
            return error.code(), reason_of(error), error.details() or ""
        raise AssertionError(f"The call was answered: {answer}")

    def trigger(self, dag_id: str, *, run_id: str = "", conf: bytes | None = None) -> str:
        """Start a run and return its id."""
        payload = None if conf is None else value_pb2.Payload(encoding="json/utf-8", data=conf)
        request = dag_runs_pb2.TriggerDagRunRequest(
            dag_id=dag_id, run_id=run_id, conf=payload, request_id=str(uuid.uuid4())
        )
        return str(self.call(self.runs.TriggerDagRun, request).dag_run.run_id)

    def cancel(self, dag_id: str, run_id: str) -> None:
        """Cancel a run."""
        request = dag_runs_pb2.CancelDagRunRequest(dag_id=dag_id, run_id=run_id, request_id=str(uuid.uuid4()))
        self.call(self.runs.CancelDagRun, request)

    def run(self, dag_id: str, run_id: str) -> dag_runs_pb2.DagRun:
        """Read a run as it is."""
        request = dag_runs_pb2.GetDagRunRequest(dag_id=dag_id, run_id=run_id)
        answer: dag_runs_pb2.DagRun = self.call(self.runs.GetDagRun, request).dag_run
        return answer

    def wait_run(
        self,
        dag_id: str,
        run_id: str,
        until: Callable[[dag_runs_pb2.DagRun], bool] | None = None,
        *,
        seconds: float = PATIENCE,
    ) -> str:
        """Wait until a run fits, by default until it has ended; returns its state's name, such as `SUCCEEDED`."""
        deadline = time.monotonic() + seconds
        known: int | None = None
        while True:
            left = deadline - time.monotonic()
            request = dag_runs_pb2.GetDagRunRequest(
                dag_id=dag_id,
                run_id=run_id,
                wait=duration_pb2.Duration(seconds=max(1, min(20, int(left)))),
                known_revision=known,
            )
            run = self.call(self.runs.GetDagRun, request, seconds=max(left, 1.0)).dag_run
            state = run_state(run)
            if until(run) if until is not None else state in FINAL_RUN_STATES:
                return state
            if left <= 0:
                raise AssertionError(f"The run {dag_id}/{run_id} did not come there in {seconds:g} s.\n{run}")
            known = run.revision

    def wait_task(self, dag_id: str, run_id: str, task_id: str, states: str, *, seconds: float = PATIENCE) -> None:
        """Wait until a task instance that is not mapped is in one of some states, divided by spaces."""
        wanted = states.split()
        self.wait_run(
            dag_id, run_id, lambda _: task_state(self.task(dag_id, run_id, task_id)) in wanted, seconds=seconds
        )

    def task(
        self, dag_id: str, run_id: str, task_id: str, map_index: int | None = None
    ) -> task_instances_pb2.TaskInstance:
        """Read a task instance."""
        request = task_instances_pb2.GetTaskInstanceRequest(
            dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index
        )
        answer: task_instances_pb2.TaskInstance = self.call(self.tasks.GetTaskInstance, request).task_instance
        return answer

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The state of every task instance, by `task_id` or `task_id[map_index]`."""
        found: dict[str, str] = {}
        token = ""
        while True:
            request = task_instances_pb2.ListTaskInstancesRequest(
                dag_id=dag_id, run_id=run_id, page_size=1000, page_token=token
            )
            page = self.call(self.tasks.ListTaskInstances, request)
            for instance in page.task_instances:
                index = f"[{instance.map_index}]" if instance.HasField("map_index") else ""
                found[instance.task_id + index] = task_state(instance)
            token = page.next_page_token
            if not token:
                return found

    def attempts(
        self, dag_id: str, run_id: str, task_id: str, map_index: int | None = None
    ) -> list[task_instances_pb2.Attempt]:
        """The attempts of a task instance, the oldest first."""
        request = task_instances_pb2.ListAttemptsRequest(
            dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index, page_size=1000
        )
        return list(reversed(self.call(self.tasks.ListAttempts, request).attempts))

    def attempt_states(self, dag_id: str, run_id: str, task_id: str, map_index: int | None = None) -> list[str]:
        """The states of its attempts, the oldest first, such as `["LOST", "SUCCEEDED"]`."""
        return [attempt_state(attempt) for attempt in self.attempts(dag_id, run_id, task_id, map_index)]

    def read_log(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        *,
        until: str | None = None,
        seconds: float = PATIENCE,
        **which: Any,
    ) -> list[str]:
        """Follow a task's log until it is complete, or has a line with a text; returns its messages."""
        deadline = time.monotonic() + seconds
        lines: list[str] = []
        request = logs_pb2.ReadLogsRequest(
            dag_id=dag_id, run_id=run_id, task_id=task_id, wait=duration_pb2.Duration(seconds=5), **which
        )
        while True:
            page = self.call(self.logs.ReadLogs, request)
            lines += [numbered.record.message for numbered in page.records]
            if page.complete or (until is not None and any(until in line for line in lines)):
                return lines
            assert time.monotonic() < deadline, f"The log did not come there: {lines}"
            request.attempt_id = page.attempt_id
            request.from_sequence = page.next_sequence

    def xcom(self, dag_id: str, run_id: str, task_id: str) -> bytes:
        """The bytes of a task's result."""
        request = xcoms_pb2.GetXComRequest(dag_id=dag_id, run_id=run_id, task_id=task_id, key="return_value")
        return bytes(self.call(self.xcoms.GetXCom, request).value.data)

    def set_variable(self, key: str, value: str, *, public: bool = False) -> None:
        """Write a variable."""
        request = variables_pb2.SetVariableRequest(key=key, value=value, public=public, request_id=str(uuid.uuid4()))
        self.call(self.variables.SetVariable, request)

    def set_connection(self, connection_id: str, **fields: Any) -> None:
        """Write a connection."""
        connection = connections_pb2.Connection(connection_id=connection_id, conn_type="generic", **fields)
        request = connections_pb2.SetConnectionRequest(connection=connection, request_id=str(uuid.uuid4()))
        self.call(self.connections.SetConnection, request)

    def drain(self, worker: str) -> None:
        """Drain a worker."""
        request = workers_pb2.DrainWorkerRequest(name=worker, request_id=str(uuid.uuid4()))
        self.call(self.workers.DrainWorker, request)

    def enrolment_token(self, *, seconds: int) -> str:
        """Make a token for workers that lasts so long."""
        request = tokens_pb2.CreateEnrolmentTokenRequest(
            subject="tests", bundles=["*"], ttl=duration_pb2.Duration(seconds=seconds), request_id=str(uuid.uuid4())
        )
        return str(self.call(self.tokens.CreateEnrolmentToken, request).token)

    def access_token(self, *, seconds: int, role: str = "VIEWER") -> str:
        """Make a token for a person that lasts so long."""
        request = tokens_pb2.CreateAccessTokenRequest(
            subject="tests",
            role=f"ROLE_{role}",
            ttl=duration_pb2.Duration(seconds=seconds),
            request_id=str(uuid.uuid4()),
        )
        return str(self.call(self.tokens.CreateAccessToken, request).token)

    def dag(self, dag_id: str) -> dags_pb2.Dag:
        """Read a DAG."""
        answer: dags_pb2.Dag = self.call(self.dags.GetDag, dags_pb2.GetDagRequest(dag_id=dag_id)).dag
        return answer

    def instance_id(self, worker: str) -> str:
        """The newest instance of a worker."""
        return str(self.call(self.workers.GetWorker, workers_pb2.GetWorkerRequest(name=worker)).worker.instance_id)

    def worker_states(self) -> dict[str, str]:
        """Every instance of every worker: instance id to state."""
        every = [name for name, value in states_pb2.WorkerState.items() if value]
        answer = self.call(self.workers.ListWorkers, workers_pb2.ListWorkersRequest(states=every))
        return {
            worker.instance_id: states_pb2.WorkerState.Name(worker.state).removeprefix("WORKER_STATE_")
            for worker in answer.workers
        }

    def dag_ids(self) -> list[str]:
        """The DAGs."""
        return [dag.dag_id for dag in self.call(self.dags.ListDags, dags_pb2.ListDagsRequest()).dags]


def run_state(run: dag_runs_pb2.DagRun) -> str:
    """The name of a run's state."""
    return states_pb2.RunState.Name(run.state).removeprefix("RUN_STATE_")


def task_state(instance: task_instances_pb2.TaskInstance) -> str:
    """The name of a task instance's state."""
    return states_pb2.TaskState.Name(instance.state).removeprefix("TASK_STATE_")


def attempt_state(attempt: task_instances_pb2.Attempt) -> str:
    """The name of an attempt's state."""
    return states_pb2.AttemptState.Name(attempt.state).removeprefix("ATTEMPT_STATE_")
