"""What a worker and its server agree on: the API version of its own calls, and that of each bundle. [VER-1]

Which versions this SDK speaks is in `crosswind.api_versions`; when to ask the server belongs to `registration.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crosswind import api_versions
from crosswind.client.errors import CallError
from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.manifest.v1 import bundle_pb2

VERSION_REASONS: Final = (
    "CLIENT_TOO_OLD",
    "CLIENT_TOO_NEW",
    "API_VERSION_UNKNOWN",
    "API_VERSION_MISSING",
    "API_VERSION_MALFORMED",
)


class NoCommonVersion(Exception):
    """A server serves none of the API versions that this SDK speaks; the message says which of the two to upgrade."""


@dataclass(frozen=True)
class Agreement:
    """What was agreed on.

    Args:
        api_version: of the worker's own calls.
        served: the versions that the server serves. Empty: it was not asked yet.
    """

    api_version: str
    served: frozenset[str] = frozenset()

    def version_of(self, spoken: Sequence[str]) -> str:
        """The version under which a bundle is offered and its tasks' calls are forwarded.

        Args:
            spoken: those of the bundle, its own first, as `spoken_by` has them.

        Returns:
            The first one that the server serves. Its own where the server serves none, for the server to refuse it.
        """
        return next((version for version in spoken if version in self.served), spoken[0])


def unasked() -> Agreement:
    """What holds before the server was asked."""
    return Agreement(api_versions.newest())


def agree(answer: service.NegotiateResponse, address: str) -> Agreement:
    """Reads what a server answered to `api_versions.API_VERSIONS`.

    Raises:
        NoCommonVersion: there is nothing to agree on.
    """
    spoken = api_versions.API_VERSIONS
    chosen = answer.chosen_api_version
    if chosen in spoken:
        return Agreement(chosen, frozenset((chosen, *answer.api_versions)))
    oldest, newest = answer.oldest_api_version, answer.newest_api_version
    served = api_versions.range_text((oldest, newest))
    if newest < min(spoken):
        way_out = "upgrade the server, or install an older crosswind-sdk"
    elif oldest > max(spoken):
        way_out = "upgrade crosswind-sdk"
    else:
        served = ", ".join(answer.api_versions) or served
        way_out = "install a crosswind-sdk that speaks one of the server's versions"
    raise NoCommonVersion(
        f"The server at {address} serves API version {served}, this worker speaks {api_versions.range_text(spoken)}: "
        f"{way_out}."
    )


def spoken_by(manifest: bundle_pb2.Manifest) -> tuple[str, ...]:
    """The API versions that a bundle speaks, its own first."""
    return (manifest.api_version, *manifest.further_api_versions)


def concerns_own_version(error: CallError) -> bool:
    """Whether a call was refused for the version in which the worker itself speaks, not for a bundle's."""
    return error.reason in VERSION_REASONS and "bundle" not in error.metadata
