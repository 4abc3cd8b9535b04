"""The API versions of manifests, which are kept as their bundles sent them. [VER-1]

Here belongs what the services ask of the room that knows the versions; what the versions are, nobody here knows.
"""

from __future__ import annotations

from typing import Any, Protocol


class ManifestVersions(Protocol):
    """Knows in which API versions manifests may be written, and reads those of older ones."""

    def check(self, bundle: str, api_version: str) -> None:
        """Check that a bundle is written in a version that is served.

        Raises:
            Refused: API_VERSION_MISSING, API_VERSION_MALFORMED, API_VERSION_UNKNOWN, CLIENT_TOO_OLD or CLIENT_TOO_NEW,
                each with the bundle in its metadata.
        """

    def upgrade(self, api_version: str, dag: bytes) -> bytes:
        """A serialized `manifest.v1.Dag` as the newest version has it."""


class OneVersion:
    """For a server without API versions, such as that of a test of the rules: every manifest is the newest."""

    def check(self, bundle: str, api_version: str) -> None:
        """See `ManifestVersions`."""

    def upgrade(self, api_version: str, dag: bytes) -> bytes:
        """See `ManifestVersions`."""
        return dag


def newest_message(versions: ManifestVersions, row: Any) -> bytes:
    """The message of a stored DAG version as the newest API version has it. `row`: `api_version` and `dag_message`."""
    return versions.upgrade(row.api_version or "", bytes(row.dag_message))
