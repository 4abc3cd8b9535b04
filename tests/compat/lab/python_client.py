"""Makes calls that a test asks for, through the generated stubs of one API version.

A program of its own, started with the stubs' folder on Python's path and the server's address as its argument, because
two versions of one package cannot live in one process. It reads one JSON object a line and writes one for each, as
`go_client` does.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from lab.v1 import service_pb2, service_pb2_grpc  # type: ignore[import-not-found]  # generated for a test

DEADLINE_S = 20.0


def perform(channel: grpc.Channel, call: dict[str, Any]) -> dict[str, Any]:
    """Make one call."""
    service, _, name = call["method"].rpartition("/")
    method = service_pb2.DESCRIPTOR.services_by_name[service.rpartition(".")[2]].methods_by_name[name]
    stub = getattr(service_pb2_grpc, f"{method.containing_service.name}Stub")(channel)
    request = json_format.ParseDict(call["request"], getattr(service_pb2, method.input_type.name)())
    try:
        response = getattr(stub, name)(request, metadata=tuple(call["metadata"].items()), timeout=DEADLINE_S)
    except grpc.RpcError as error:
        return refusal(error)
    return {"code": "OK", "response": json_format.MessageToDict(response, preserving_proto_field_name=True)}


def refusal(error: Any) -> dict[str, Any]:
    """A status with the reason and the metadata of its ErrorInfo."""
    answer = {"code": error.code().name, "message": error.details()}
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    answer |= {"reason": info.reason, "metadata": dict(info.metadata)}
    return answer


def main() -> None:
    """Make calls until standard input ends."""
    with grpc.insecure_channel(sys.argv[1]) as channel:
        for line in sys.stdin:
            print(json.dumps(perform(channel, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
