"""Manifests that tests write by hand for code that real workers run: what an SDK cannot say yet.

The first manifest of a bundle's version is the one that counts, and the version is a digest of the source. So a test
publishes its own under the version that the worker will find, and the worker offers it as one that is known.
"""

import os
import select
import time
from pathlib import Path
from typing import Self

from crosswind.author.bundle import bundle_digest
from crosswind.manifest.v1 import dag_pb2
from crosswind.runtime.packed_bundle import read_packed
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.processes import PATIENCE
from tests.e2e.support.protocol_worker import manifest_of
from tests.lifecycle.scene.dag_text import read_dag
from tests.lifecycle.scene.text import cut_braces


def source_version(cluster: Cluster, name: str, source: str) -> tuple[str, str]:
    """Write the one Python file of the folder of DAGs; returns the names of its bundle and of its version."""
    (cluster.dags / f"{name}.py").write_text(source)
    return cluster.dags.name, bundle_digest(cluster.dags)


def packed_version(bundle: Path) -> tuple[str, str]:
    """The names of a packed bundle and of its version."""
    manifest = read_packed(bundle).manifest
    return manifest.bundle, manifest.bundle_version


def publish(cluster: Cluster, version: tuple[str, str], *dags: str | dag_pb2.Dag) -> None:
    """Publish DAGs, as messages or as transcripts write them, by somebody who leaves at once."""
    author = cluster.protocol_worker("author")
    author.register(manifests=[manifest_of(*version, *map(_message, dags))])
    author.deregister()


def _message(dag: str | dag_pb2.Dag) -> dag_pb2.Dag:
    if isinstance(dag, dag_pb2.Dag):
        return dag
    return read_dag(*cut_braces(dag.removeprefix("dag ")), now_us=time.time_ns() // 1_000)


class Pipe:
    """Where an author's code writes lines for a test: a context manager.

    Args:
        file: the pipe, which is made. Code appends to it as to a file, a line in one write.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._rest = b""
        os.mkfifo(file)

    def __enter__(self) -> Self:
        # Opened for both, it is never at its end.
        self._descriptor = os.open(self.file, os.O_RDWR)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def line(self, *, seconds: float = PATIENCE) -> str:
        """Wait for the next line."""
        while b"\n" not in self._rest:
            readable, _, _ = select.select([self._descriptor], [], [], seconds)
            assert readable, f"Nobody wrote a line to {self.file} within {seconds:g} s."
            self._rest += os.read(self._descriptor, 65536)
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()
