"""API versions: dates that every call names. [VER-1]

Here belong what a version is and which ones this server serves. Carrying a message from one version to another
belongs to `crosswind_server.versions`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from crosswind_server.domain.errors import Reason, Refused

METADATA_KEY: Final = "crosswind-api-version"
"""The metadata key under which a call names its version."""

_SHAPE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class ApiVersion:
    """A version, printed as `YYYY-MM-DD`."""

    day: date

    @classmethod
    def parse(cls, text: str) -> ApiVersion:
        """Reads `YYYY-MM-DD`.

        Raises:
            Refused: API_VERSION_MALFORMED.
        """
        try:
            if not _SHAPE.fullmatch(text):
                raise ValueError(text)
            return cls(date.fromisoformat(text))
        except ValueError:
            raise Refused(
                Reason.API_VERSION_MALFORMED,
                f"The API version {text[:40]!r} is not a date; send metadata '{METADATA_KEY}: {CURRENT}'.",
                metadata={"api_version": text[:40], **_served_metadata(SERVED)},
            ) from None

    def __str__(self) -> str:
        return self.day.isoformat()


@dataclass(frozen=True, slots=True)
class VersionRange:
    """All versions from `oldest` to `newest`, both included."""

    oldest: ApiVersion
    newest: ApiVersion

    def __post_init__(self) -> None:
        if self.oldest > self.newest:
            raise ValueError(f"an empty range of API versions: {self}")

    def __str__(self) -> str:
        return str(self.oldest) if self.oldest == self.newest else f"{self.oldest} to {self.newest}"


CURRENT: Final = ApiVersion(date(2026, 12, 1))
"""The newest version, in which handlers are written."""
OLDEST: Final = ApiVersion(date(2026, 12, 1))
"""The oldest version that is still served."""
SERVED: Final = VersionRange(OLDEST, CURRENT)


def check_version(text: str | None, *, served: VersionRange = SERVED) -> ApiVersion:
    """The version that a call names in its metadata.

    Raises:
        Refused: API_VERSION_MISSING, API_VERSION_MALFORMED, CLIENT_TOO_OLD or CLIENT_TOO_NEW.
    """
    if not text:
        raise Refused(
            Reason.API_VERSION_MISSING,
            f"The call names no API version; send metadata '{METADATA_KEY}: {served.newest}'."
            f" This server serves {served}.",
            metadata=_served_metadata(served),
        )
    version = ApiVersion.parse(text)
    return negotiate(VersionRange(version, version), served=served)


def negotiate(client: VersionRange, *, served: VersionRange = SERVED) -> ApiVersion:
    """The newest version that both sides speak.

    Raises:
        Refused: CLIENT_TOO_OLD, all the client speaks is no longer served; CLIENT_TOO_NEW, none of it is served yet.
    """
    metadata = {"client_oldest": str(client.oldest), "client_newest": str(client.newest), **_served_metadata(served)}
    both = f"it speaks API version {client}, this server serves {served}"
    if client.newest < served.oldest:
        raise Refused(
            Reason.CLIENT_TOO_OLD,
            f"The client is too old: {both}. Upgrade the client, or use a server that still serves its version.",
            metadata=metadata,
        )
    if client.oldest > served.newest:
        raise Refused(
            Reason.CLIENT_TOO_NEW,
            f"The client is too new: {both}. Upgrade the server, or use a client of the server's version.",
            metadata=metadata,
        )
    return min(client.newest, served.newest)


def _served_metadata(served: VersionRange) -> dict[str, str]:
    return {"server_oldest": str(served.oldest), "server_newest": str(served.newest)}
