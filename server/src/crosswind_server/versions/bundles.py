"""Bundles across API versions: which manifests are taken, and how a DAG of an older version is read. [VER-1]

Here belongs what holds for manifests, which are no messages of a call and outlive it. How a message is carried across
belongs to `gates`.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from crosswind_server.domain.errors import Refused
from crosswind_server.versions.gates import Gates

DAG: Final = "crosswind.manifest.v1.Dag"


class BundleVersions:
    """It implements `crosswind_server.services.catalog.manifest_versions.ManifestVersions`.

    Args:
        gates: those of the server.
    """

    def __init__(self, gates: Gates) -> None:
        self._gates = gates

    def check(self, bundle: str, api_version: str) -> None:
        """See `ManifestVersions`."""
        self._gates.served.check_bundle(bundle, api_version)

    def upgrade(self, api_version: str, dag: bytes) -> bytes:
        """See `ManifestVersions`. What cannot be carried stays as it is.

        It is for the reader to refuse, or of a version that is not served any more. No worker may offer that; what can
        be read of it as the newest version is what lists show, and what ends its runs, or lets them go on with another
        version of the DAG.
        """
        try:
            return self._gates.upgrade(DAG, api_version, dag)
        except (DecodeError, Refused):
            return dag
