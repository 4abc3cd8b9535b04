"""Writes what the newest API version promises where no gate stands: the commands' JSON, and what SDKs put in manifests.

Run once a release: `python -m tests.compat.freeze`. What is written of a released version is never written again: the
code has to change, and not the promise.
"""

import tempfile
from pathlib import Path

from crosswind_server.versions.bundles import BundleVersions
from crosswind_server.versions.gates import Gates
from crosswind_server.versions.releases import CURRENT, server_history
from tests.compat import frozen_manifests, json_output


def main() -> None:
    """Write both, for the newest API version."""
    with tempfile.TemporaryDirectory(prefix="crosswind-") as folder:
        frozen_manifests.write_manifests(str(CURRENT), Path(folder), BundleVersions(Gates(server_history())))
    with tempfile.TemporaryDirectory(prefix="crosswind-") as folder:
        json_output.write_shapes(str(CURRENT), Path(folder))


if __name__ == "__main__":
    main()
