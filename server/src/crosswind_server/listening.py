"""Where a server listens: the address and what secures it. The listening itself is in `rpc.server`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from cryptography import x509


class StartRefused(Exception):
    """The server cannot listen as it was told; the message names the way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where to listen.

    Args:
        address: HOST:PORT; port 0 lets the system choose.
        tls_certificate: PEM chain; None for no TLS.
        tls_key: PEM private key.
        min_ping_interval: HTTP/2 pings of idle clients may come this often, in seconds.
        keepalive: the server pings an idle client this often, in seconds.
    """

    address: str
    tls_certificate: bytes | None = None
    tls_key: bytes | None = None
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


def dialable(address: str) -> str:
    """Where this machine itself reaches an address that was listened on: a wildcard is no place to dial."""
    host, port = split_address(address)
    return {"0.0.0.0": f"127.0.0.1:{port}", "::": f"[::1]:{port}"}.get(host, address)


def certified_name(certificate: bytes, host: str) -> str:
    """A name that a certificate holds; empty where it holds the host itself. Raises `ValueError`: it is none in PEM."""
    leaf = x509.load_pem_x509_certificates(certificate)[0]
    try:
        held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = leaf.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
        names = [str(name.value) for name in common]
    else:
        names = held.get_values_for_type(x509.DNSName)
        names += [str(address) for address in held.get_values_for_type(x509.IPAddress)]
    if host in names or not names:
        return ""
    # Any name below a wildcard serves to check it.
    return names[0].replace("*", "server", 1)
