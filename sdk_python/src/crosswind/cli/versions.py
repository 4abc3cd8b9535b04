"""Versions of DAGs and of bundles as people name them: by their first characters, as tables show them."""

from collections.abc import Iterable

from crosswind.cli.failures import usage_error
from crosswind.client.control_client import ControlClient
from crosswind.control.v1.bundles_pb2 import ListBundleVersionsRequest
from crosswind.control.v1.dags_pb2 import ListDagVersionsRequest


def find_dag_version(client: ControlClient, dag_id: str, beginning: str) -> str:
    """The one version of a DAG that begins so, else what was given: the server knows what to say. Raises as `_only`."""
    versions = client.list_rows(client.dags.ListDagVersions, ListDagVersionsRequest(dag_id=dag_id), "dag_versions")
    return _only((each.dag_version_id for each in versions), beginning)


def find_bundle_version(client: ControlClient, bundle: str, beginning: str) -> str:
    """The same of a bundle."""
    request = ListBundleVersionsRequest(bundle=bundle)
    versions = client.list_rows(client.bundles.ListBundleVersions, request, "bundle_versions")
    return _only((each.bundle_version for each in versions), beginning)


def _only(names: Iterable[str], beginning: str) -> str:
    """Raises `CommandError`: several begin so."""
    found = [name for name in names if name.startswith(beginning)]
    if len(found) > 1 and beginning not in found:
        raise usage_error(f"Several versions begin with `{beginning}`: give more of {', '.join(found[:10])}.")
    return found[0] if len(found) == 1 else beginning
