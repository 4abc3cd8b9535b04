"""All servicers of the server, made in one place. A service that is not supported yet has none of its own: its methods
are in `unsupported`."""

from __future__ import annotations

from collections.abc import Sequence

from crosswind.control.v1 import (
    assets_pb2_grpc,
    backfills_pb2_grpc,
    connections_pb2_grpc,
    events_pb2_grpc,
    input_requests_pb2_grpc,
    pools_pb2_grpc,
    server_pb2_grpc,
    tokens_pb2_grpc,
    variables_pb2_grpc,
)
from crosswind_server.rpc.control_server import ServerServicer
from crosswind_server.rpc.control_tokens import TokenServicer
from crosswind_server.rpc.control_variables import ConnectionServicer, VariableServicer
from crosswind_server.rpc.server import Register
from crosswind_server.services.dependencies import Services


def registers(services: Services) -> Sequence[Register]:
    """What adds the servicers to a server."""
    return [
        lambda s: connections_pb2_grpc.add_ConnectionServiceServicer_to_server(ConnectionServicer(services), s),
        lambda s: server_pb2_grpc.add_ServerServiceServicer_to_server(ServerServicer(services), s),
        lambda s: tokens_pb2_grpc.add_TokenServiceServicer_to_server(TokenServicer(services), s),
        lambda s: variables_pb2_grpc.add_VariableServiceServicer_to_server(VariableServicer(services), s),
        # Only NOT_SUPPORTED answers.
        lambda s: assets_pb2_grpc.add_AssetServiceServicer_to_server(assets_pb2_grpc.AssetServiceServicer(), s),
        lambda s: backfills_pb2_grpc.add_BackfillServiceServicer_to_server(
            backfills_pb2_grpc.BackfillServiceServicer(), s
        ),
        lambda s: events_pb2_grpc.add_EventServiceServicer_to_server(events_pb2_grpc.EventServiceServicer(), s),
        lambda s: input_requests_pb2_grpc.add_InputRequestServiceServicer_to_server(
            input_requests_pb2_grpc.InputRequestServiceServicer(), s
        ),
        lambda s: pools_pb2_grpc.add_PoolServiceServicer_to_server(pools_pb2_grpc.PoolServiceServicer(), s),
    ]
