"""Refusals of a DAG: every sentence names the DAG."""

from __future__ import annotations

from typing import NoReturn

from google.protobuf.duration_pb2 import Duration

from crosswind.value.v1.value_pb2 import Payload
from crosswind_server.domain.arguments import StoredValue
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.retry import DAY_US
from crosswind_server.manifests.values import value_of


class Refusals:
    """What the readers of one DAG's parts share: its name, and how it is refused.

    Args:
        dag_id: the DAG.
    """

    def __init__(self, dag_id: str) -> None:
        self._dag_id = dag_id[:80]
        self._name = f"DAG '{self._dag_id}'"

    def invalid(self, what: str) -> NoReturn:
        raise Refused(Reason.DAG_INVALID, f"{self._name} {what}.", metadata={"dag_id": self._dag_id})

    def unsupported(self, what: str, way_out: str) -> NoReturn:
        raise Refused(
            Reason.NOT_SUPPORTED,
            f"{self._name} {what}, which this server does not support yet; {way_out}.",
            metadata={"dag_id": self._dag_id},
        )

    def value(self, payload: Payload, what: str) -> StoredValue:
        try:
            return value_of(payload)
        except Refused as refused:
            reason = Reason.NOT_SUPPORTED if refused.reason is Reason.NOT_SUPPORTED else Reason.DAG_INVALID
            raise Refused(
                reason, f"{self._name}: {what}: {refused.message}", metadata={"dag_id": self._dag_id}
            ) from refused

    def span(self, span: Duration, what: str, *, least: int = 0) -> int:
        microseconds = span.seconds * 1_000_000 + span.nanos // 1000
        if not least <= microseconds <= 3_653 * DAY_US:
            self.invalid(f"sets {what} to {microseconds / 1e6:g} s; it lies between {least / 1e6:g} s and ten years")
        return microseconds
