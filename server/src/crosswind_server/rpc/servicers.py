"""All servicers of the server but the worker's, made in one place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from crosswind.control.v1 import (
    assets_pb2_grpc,
    backfills_pb2_grpc,
    bundles_pb2_grpc,
    connections_pb2_grpc,
    dag_runs_pb2_grpc,
    dags_pb2_grpc,
    events_pb2_grpc,
    input_requests_pb2_grpc,
    logs_pb2_grpc,
    pools_pb2_grpc,
    server_pb2_grpc,
    task_instances_pb2_grpc,
    tokens_pb2_grpc,
    variables_pb2_grpc,
    workers_pb2_grpc,
    workloads_pb2_grpc,
    xcoms_pb2_grpc,
)
from crosswind.execution.v1 import task_service_pb2_grpc
from crosswind_server.rpc.control_assets import AssetServicer
from crosswind_server.rpc.control_backfills import BackfillServicer
from crosswind_server.rpc.control_dags import DagServicer
from crosswind_server.rpc.control_logs import LogServicer
from crosswind_server.rpc.control_pools import PoolServicer
from crosswind_server.rpc.control_runs import DagRunServicer
from crosswind_server.rpc.control_server import ServerServicer
from crosswind_server.rpc.control_tasks import TaskInstanceServicer
from crosswind_server.rpc.control_tokens import TokenServicer
from crosswind_server.rpc.control_variables import ConnectionServicer, VariableServicer
from crosswind_server.rpc.control_waiting import EventServicer, InputRequestServicer
from crosswind_server.rpc.control_workers import BundleCatalogServicer, WorkerAdminServicer
from crosswind_server.rpc.control_workloads import WorkloadServicer
from crosswind_server.rpc.control_xcoms import XComServicer
from crosswind_server.rpc.server import Register
from crosswind_server.rpc.task_service import TaskServicer
from crosswind_server.services.dependencies import Services

# As Any, because the generated classes ask for every method, and those in the table of `unsupported` are not written.
_SERVICERS: Final[Sequence[tuple[Any, Any]]] = (
    (task_service_pb2_grpc.add_TaskServiceServicer_to_server, TaskServicer),
    (backfills_pb2_grpc.add_BackfillServiceServicer_to_server, BackfillServicer),
    (assets_pb2_grpc.add_AssetServiceServicer_to_server, AssetServicer),
    (bundles_pb2_grpc.add_BundleCatalogServiceServicer_to_server, BundleCatalogServicer),
    (connections_pb2_grpc.add_ConnectionServiceServicer_to_server, ConnectionServicer),
    (dag_runs_pb2_grpc.add_DagRunServiceServicer_to_server, DagRunServicer),
    (dags_pb2_grpc.add_DagServiceServicer_to_server, DagServicer),
    (events_pb2_grpc.add_EventServiceServicer_to_server, EventServicer),
    (input_requests_pb2_grpc.add_InputRequestServiceServicer_to_server, InputRequestServicer),
    (logs_pb2_grpc.add_LogServiceServicer_to_server, LogServicer),
    (pools_pb2_grpc.add_PoolServiceServicer_to_server, PoolServicer),
    (server_pb2_grpc.add_ServerServiceServicer_to_server, ServerServicer),
    (task_instances_pb2_grpc.add_TaskInstanceServiceServicer_to_server, TaskInstanceServicer),
    (tokens_pb2_grpc.add_TokenServiceServicer_to_server, TokenServicer),
    (variables_pb2_grpc.add_VariableServiceServicer_to_server, VariableServicer),
    (workers_pb2_grpc.add_WorkerAdminServiceServicer_to_server, WorkerAdminServicer),
    (workloads_pb2_grpc.add_WorkloadServiceServicer_to_server, WorkloadServicer),
    (xcoms_pb2_grpc.add_XComServiceServicer_to_server, XComServicer),
)


def registers(services: Services) -> Sequence[Register]:
    """What adds the servicers to a server."""
    return [partial(add, servicer(services)) for add, servicer in _SERVICERS]
