"""Importing a bundle inside its zygote, so that what is imported is what the version names.

Finding DAGs belongs to `author.bundle`; when to load, to `bundles.py`.
"""

from __future__ import annotations

from pathlib import Path

from crosswind.author.bundle import LoadedBundle, bundle_digest, load_bundle


class BundleChanging(Exception):
    """The sources changed while they were imported."""


def load(path: Path, name: str) -> tuple[LoadedBundle, bytes]:
    """Imports a bundle.

    Returns:
        The bundle and its serialized `Manifest`.

    Raises:
        BundleChanging: the sources changed meanwhile; what has been imported is of no use.
    """
    version = bundle_digest(path)
    loaded = load_bundle(path, name)
    if bundle_digest(path) != version:
        raise BundleChanging("its sources changed while they were imported")
    return loaded, loaded.manifest(version).SerializeToString(deterministic=True)
