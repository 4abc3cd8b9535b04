"""From `manifest.v1` messages to the plans that the server works with, and between payloads and stored values.

The one room between rpc and domain that knows these messages: rpc and services use it, nothing below them. What is not
valid is refused with DAG_INVALID, what is valid but cannot be run yet with NOT_SUPPORTED, each in one sentence that
names the task.
"""

from crosswind_server.domain.assets import AssetRef
from crosswind_server.manifests.assets import check_extra, check_partition, check_reference
from crosswind_server.manifests.dags import check_bundle_name, read_dag
from crosswind_server.manifests.params import check_conf
from crosswind_server.manifests.schemas import SchemaInvalid, check_schema
from crosswind_server.manifests.values import failure_message, param_value, payload_of, read_conf, value_of
from crosswind_server.manifests.workloads import (
    answer_payload,
    arguments_of,
    callback_event,
    callback_message,
    caused_failure,
    check_fields,
    failure_types,
    resumed,
    timed_out,
    timetable_message,
)

__all__ = [
    "AssetRef",
    "SchemaInvalid",
    "answer_payload",
    "arguments_of",
    "callback_event",
    "callback_message",
    "caused_failure",
    "check_bundle_name",
    "check_conf",
    "check_extra",
    "check_fields",
    "check_partition",
    "check_reference",
    "check_schema",
    "failure_message",
    "failure_types",
    "param_value",
    "payload_of",
    "read_conf",
    "read_dag",
    "resumed",
    "timed_out",
    "timetable_message",
    "value_of",
]
