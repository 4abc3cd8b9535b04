"""API versions: dates that every call names. [VER-1]

Here belong what a version is and what is answered to a call that names none, or one that is not served. Which versions
there are, and carrying a message from one to another, belong to `crosswind_server.versions`: nothing else names a date.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from crosswind_server.domain.errors import Reason, Refused

METADATA_KEY: Final = "crosswind-api-version"
"""The metadata key under which a call names its version."""

REASONS: Final = (
    Reason.API_VERSION_MISSING,
    Reason.API_VERSION_MALFORMED,
    Reason.API_VERSION_UNKNOWN,
    Reason.CLIENT_TOO_OLD,
    Reason.CLIENT_TOO_NEW,
)
"""Why a version is refused."""

_SHAPE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class ApiVersion:
    """A version, printed as `YYYY-MM-DD`."""

    day: date

    @classmethod
    def parse(cls, text: str) -> ApiVersion:
        """Reads `YYYY-MM-DD`.

        Raises:
            ValueError: it is no such date.
        """
        if not _SHAPE.fullmatch(text):
            raise ValueError(text)
        return cls(date.fromisoformat(text))

    def __str__(self) -> str:
        return self.day.isoformat()


class ServedVersions:
    """The versions that a server speaks.

    Args:
        versions: oldest first; at least one.
    """

    def __init__(self, versions: Iterable[ApiVersion]) -> None:
        self.versions: Final[Sequence[ApiVersion]] = tuple(versions)
        if not self.versions or list(self.versions) != sorted(set(self.versions)):
            raise ValueError(f"not in order, or none: {', '.join(map(str, self.versions))}")
        self._texts: Final = {str(version): version for version in self.versions}

    @property
    def oldest(self) -> ApiVersion:
        """The oldest one that is still served."""
        return self.versions[0]

    @property
    def newest(self) -> ApiVersion:
        """The one in which handlers are written."""
        return self.versions[-1]

    def __str__(self) -> str:
        return str(self.oldest) if self.oldest == self.newest else f"{self.oldest} to {self.newest}"

    def check(self, text: str | None) -> ApiVersion:
        """The version that a call names.

        Raises:
            Refused: API_VERSION_MISSING, API_VERSION_MALFORMED, CLIENT_TOO_OLD, CLIENT_TOO_NEW, or
                API_VERSION_UNKNOWN for a date between two versions.
        """
        if not text:
            raise Refused(
                Reason.API_VERSION_MISSING,
                f"The call names no API version; send metadata '{METADATA_KEY}: {self.newest}'."
                f" This server serves {self}.",
                metadata=self._metadata(),
            )
        known = self._texts.get(text)
        if known is not None:
            return known
        try:
            version = ApiVersion.parse(text)
        except ValueError:
            raise Refused(
                Reason.API_VERSION_MALFORMED,
                f"The API version {text[:40]!r} is not a date; send metadata '{METADATA_KEY}: {self.newest}'.",
                metadata={"api_version": text[:40], **self._metadata()},
            ) from None
        raise self._refusal([version])

    def check_bundle(self, bundle: str, text: str) -> ApiVersion:
        """The version that the manifest of a bundle names.

        Raises:
            Refused: as `check`, but about the bundle, which is in its metadata.
        """
        try:
            return self.check(text)
        except Refused as why:
            named, whose = text[:40], f"bundle '{bundle[:250]}'"
            ranges = f"its manifest is written in API version {named}, this server serves {self}"
            again = "Build the bundle again with an SDK of"
            sentences = {
                Reason.API_VERSION_MISSING: f"The manifest of the {whose} names no API version, this server serves"
                f" {self}. {again} such a version.",
                Reason.API_VERSION_MALFORMED: f"The API version {named!r} of the {whose} is not a date, this server"
                f" serves {self}. {again} such a version.",
                Reason.API_VERSION_UNKNOWN: f"There is no API version {named}, in which the manifest of the {whose} is"
                f" written: this server serves {', '.join(map(str, self.versions))}. {again} one of these.",
                Reason.CLIENT_TOO_OLD: f"The {whose} is too old: {ranges}. {again} a newer version.",
                Reason.CLIENT_TOO_NEW: f"The {whose} is too new: {ranges}. Upgrade the server, or build the bundle"
                " again with an older SDK.",
            }
            raise Refused(why.reason, sentences[why.reason], metadata={**why.metadata, "bundle": bundle}) from None

    def choose(self, spoken: Sequence[str]) -> ApiVersion | None:
        """The first of a client's versions that is served; None where there is none.

        Args:
            spoken: what the client names, in its own order. What is no date is none of them.
        """
        return next((self._texts[text] for text in spoken if text in self._texts), None)

    def _refusal(self, spoken: Sequence[ApiVersion]) -> Refused:
        client = ServedVersions(spoken)
        metadata = {"client_oldest": str(client.oldest), "client_newest": str(client.newest), **self._metadata()}
        both = f"it speaks API version {client}, this server serves {self}"
        if client.newest < self.oldest:
            return Refused(
                Reason.CLIENT_TOO_OLD,
                f"The client is too old: {both}. Upgrade the client, or use a server that still serves its version.",
                metadata=metadata,
            )
        if client.oldest > self.newest:
            return Refused(
                Reason.CLIENT_TOO_NEW,
                f"The client is too new: {both}. Upgrade the server, or use a client of the server's version.",
                metadata=metadata,
            )
        return Refused(
            Reason.API_VERSION_UNKNOWN,
            f"There is no API version {client}: this server serves {', '.join(map(str, self.versions))}.",
            metadata=metadata,
        )

    def _metadata(self) -> dict[str, str]:
        return {"server_oldest": str(self.oldest), "server_newest": str(self.newest)}
