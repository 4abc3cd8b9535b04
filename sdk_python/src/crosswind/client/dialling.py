"""How a gRPC channel dials its server: how long a connection may take to stand, and when the next one is tried.

When a call is repeated belongs to the clients. gRPC is not imported here.
"""

from __future__ import annotations

from typing import Final

CONNECT_SECONDS: Final = 5.0
"""A connection stands when TCP, TLS and HTTP/2 have each been round the world, and a busy server has answered."""


def dialling_options(*, first: float, longest: float) -> list[tuple[str, int]]:
    """Options for a gRPC channel.

    Args:
        first: the pause after the first connection that failed, in seconds.
        longest: the longest such pause, in seconds.
    """
    return [
        ("grpc.initial_reconnect_backoff_ms", int(first * 1000)),
        ("grpc.max_reconnect_backoff_ms", int(longest * 1000)),
        # In spite of its name no pause: the least time that gRPC gives a connection to stand. The most is the pause
        # before the next one, so that with less a server that is far away, or busy, could never be reached.
        ("grpc.min_reconnect_backoff_ms", int(CONNECT_SECONDS * 1000)),
    ]
