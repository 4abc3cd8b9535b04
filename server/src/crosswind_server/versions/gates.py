"""The gates: how messages of older API versions reach handlers that know the newest only. [VER-1]

Here belong the choice of a version for a call and, one small module each, the gates of later releases. A gate rebuilds
an endpoint's codec (`decode` up to the newest request, `encode` down from the newest response); there is none yet,
because there is one version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from crosswind_server.domain.version import SERVED, ApiVersion, VersionRange, check_version
from crosswind_server.rpc.calls import Codec, Endpoint

NEGOTIATE: Final = "/crosswind.execution.v1.WorkerService/Negotiate"
"""Never gated: it is what tells a client which versions there are."""


class Gates:
    """Chooses the codec of a call by the version that it names.

    Args:
        served: the versions that this server speaks.
    """

    def __init__(self, served: VersionRange = SERVED) -> None:
        self._served = served
        self._checked: dict[str, ApiVersion] = {}
        self._codecs: dict[tuple[str, ApiVersion], Codec] = {}

    def choose(self, endpoint: Endpoint, named: str | None) -> Codec:
        """The codec for a call; see `crosswind_server.rpc.calls.Versions`."""
        if endpoint.method == NEGOTIATE:
            return self._codec(endpoint, self._served.newest)
        version = self._checked.get(named or "")
        if version is None:
            version = check_version(named, served=self._served)
            self._checked[named or ""] = version
        return self._codec(endpoint, version)

    def _codec(self, endpoint: Endpoint, version: ApiVersion) -> Codec:
        codec = self._codecs.get((endpoint.method, version))
        if codec is None:
            codec = Codec(decode=endpoint.decode, encode=endpoint.encode)
            for gate in GATES.get(endpoint.method, ()):
                codec = gate(codec, version)
            self._codecs[endpoint.method, version] = codec
        return codec


Gate = Callable[[Codec, ApiVersion], Codec]
"""One step between two neighbouring versions of a method: of the codec after the gate it makes the one for a client of
the given version, and answers it unchanged where that version is not older than the gate."""

GATES: Final[Mapping[str, tuple[Gate, ...]]] = {}
"""The gates of each method, newest first."""
