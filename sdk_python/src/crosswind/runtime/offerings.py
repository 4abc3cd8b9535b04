"""The seam between a worker and the bundles that it offers: folders that are watched, or code of the own process.

Here belongs the protocol. Implementations are `bundles.py` and `inline.py`; telling the server is `publishing.py`.
"""

from __future__ import annotations

from typing import Protocol

from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime.executor import Executor


class Offerings(Protocol):
    """The versions of bundles that a worker can run now."""

    def manifests(self) -> list[bundle_pb2.Manifest]:
        """Of every version that is offered; of one bundle the newest last."""

    def take_observed(self) -> dict[str, str]:
        """The version of each bundle to which its source was seen to change since this was last asked. [WORKER-1]

        What a worker starts with is no change.
        """

    async def find_executor(self, bundle: str, version: str) -> Executor:
        """What runs tasks of a version.

        Raises:
            ExecutorGone: nothing does.
        """

    def retire(self, bundle: str, version: str) -> None:
        """Takes note that no run needs a version any more. The newest version of a bundle is kept all the same."""

    def sweep(self) -> None:
        """Ends what is retired and has no tasks; called when a task has ended."""

    async def wait_for_change(self) -> None:
        """Waits until `manifests` answers something new."""

    async def run(self) -> None:
        """Keeps the offerings up to date until cancelled."""

    async def close(self) -> None:
        """Ends every process of the bundles."""
