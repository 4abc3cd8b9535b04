"""From `manifest.v1` messages to the plans that the server works with, and between payloads and stored values.

The one room between rpc and domain that knows these messages: rpc and services use it, nothing below them. What is not
valid is refused with DAG_INVALID, what is valid but cannot be run yet with NOT_SUPPORTED, each in one sentence that
names the task.
"""

from crosswind_server.manifests.dags import check_bundle_name, read_dag
from crosswind_server.manifests.values import failure_message, param_value, payload_of, read_conf, value_of

__all__ = [
    "check_bundle_name",
    "failure_message",
    "param_value",
    "payload_of",
    "read_conf",
    "read_dag",
    "value_of",
]
