"""What the protocol has and this server not yet: the one table, and the handlers made from it.

Here belong the methods that answer NOT_SUPPORTED and the sentence that says what they wait for. The table in
`docs/protocol.md` is checked against this one by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from google.protobuf.message import Message

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.rpc.calls import Answer, ServicerContext

_TABLE: Mapping[str, Mapping[str, str]] = {
    "large values": {
        "crosswind.execution.v1.TaskService": "CreateBlob AppendBlob ReadBlob",
        "crosswind.control.v1.XComService": "ReadXComBlob",
    },
}

UNSUPPORTED: Mapping[str, str] = MappingProxyType(
    {
        f"/{service}/{method}": part
        for part, by_service in _TABLE.items()
        for service, methods in by_service.items()
        for method in methods.split()
    }
)
"""The part of the system that each unsupported method waits for, by the method's full name."""


def refuse_unsupported(method: str) -> Answer:
    """The handler of a method that is in the table."""
    part = UNSUPPORTED[method]

    async def refuse(_request: Message, _context: ServicerContext) -> Message:
        raise Refused(
            Reason.NOT_SUPPORTED,
            f"This server does not have {method.rpartition('/')[2]} yet: it comes with {part}; see section 8 of"
            " docs/protocol.md.",
            metadata={"method": method.lstrip("/"), "part": part},
        )

    return refuse


def describe_unsupported() -> str:
    """The table as Markdown, as it stands in `docs/protocol.md`."""
    lines = ["| comes with | service | RPCs |", "|---|---|---|"]
    for part, by_service in _TABLE.items():
        for service, methods in by_service.items():
            names = ", ".join(f"`{name}`" for name in methods.split())
            lines.append(f"| {part} | `{service.removeprefix('crosswind.')}` | {names} |")
    return "\n".join(lines)
