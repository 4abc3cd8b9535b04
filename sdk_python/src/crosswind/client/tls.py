"""TLS towards a server: what a client trusts, and what is wrong where a handshake fails, as a clause with the way out.

Where the certificates come from belongs to settings and to `discovery.py`; the calls belong to the clients.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROBE_SECONDS: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Tls:
    """What a client trusts.

    Args:
        root_certificates: PEM text of the authorities to trust. Empty: the system's.
        server_name: what the server's certificate is to name. Empty: the host that is dialled.
    """

    root_certificates: bytes = b""
    server_name: str = ""

    @property
    def options(self) -> list[tuple[str, str]]:
        """Options for a gRPC channel."""
        return [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []


def read_tls(authorities: Path | None, *, server_name: str = "") -> Tls:
    """What to trust, from a PEM file; the system's authorities without one.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no certificate; the message is a clause about the file.
    """
    if authorities is None:
        return Tls()
    text = authorities.expanduser().read_bytes()
    try:
        ssl.create_default_context().load_verify_locations(cadata=text.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise ValueError("holds no certificates in PEM") from None
    return Tls(root_certificates=text, server_name=server_name)


def explain_handshake(address: str, details: str, *, tls: bool) -> str | None:
    """Why a call that did not reach its server failed, where TLS is the cause. Blocks for some seconds at most.

    Args:
        address: `host:port`.
        details: what gRPC says about the failure.
        tls: whether the client speaks TLS.

    Returns:
        A clause about the server, with the way out; None where TLS is not the cause.
    """
    if not tls:
        if "refused" in details or not _speaks_tls(address):
            return None
        return "speaks TLS only: give --tls, or --tls-ca with the authorities to trust"
    if "WRONG_VERSION_NUMBER" in details:
        return "does not speak TLS: leave out --tls and --tls-ca"
    if "Hostname Verification" in details:
        return "has a certificate for another name: give --server a name that its certificate holds"
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return "has a certificate that is not trusted here: name the authorities that made it with --tls-ca"
    return None


def _speaks_tls(address: str) -> bool:
    host, _, port = address.rpartition(":")
    # Only whether it does is asked, so the certificate is of no interest; nothing is sent.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS) as connection,
            context.wrap_socket(connection),
        ):
            return True
    except (OSError, ValueError):
        return False
