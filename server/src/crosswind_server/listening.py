"""Where a server listens: the address and what secures it. The listening itself is in `rpc.server`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


class StartRefused(Exception):
    """The server cannot listen as it was told; the message names the way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where to listen.

    Args:
        address: HOST:PORT; port 0 lets the system choose.
        tls_certificate: PEM chain; None for no TLS.
        tls_key: PEM private key.
        insecure: True lets an address off loopback be served without TLS.
        min_ping_interval: HTTP/2 pings of idle clients may come this often, in seconds.
        keepalive: the server pings an idle client this often, in seconds.
    """

    address: str
    tls_certificate: bytes | None = None
    tls_key: bytes | None = None
    insecure: bool = False
    min_ping_interval: float = 5.0
    keepalive: float = 60.0


def split_address(address: str) -> tuple[str, int]:
    """Host and port of an address. Raises `StartRefused`."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise StartRefused(f"The address {address!r} is not HOST:PORT; give one such as 127.0.0.1:8090.")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
