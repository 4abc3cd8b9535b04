"""What a worker and a zygote say to each other over their control socket (SOCK_SEQPACKET: a message is a packet).

Here belong the messages as bytes. What is done about them belongs to `zygote.py` and `zygote_process.py`.

    worker -> zygote   START number + the three descriptors of a child: frames, stdout, stderr
                       SIGNAL number, signal            to the process group of a child
                       NUDGE number                     see `cancellation.NUDGE`; to the child alone
    zygote -> worker   MANIFEST part..., MANIFEST_END        once, when the code is imported
                       BROKEN sentence                       instead, when it could not be
                       EXIT number, process id, wait status, CPU seconds, most memory
                       REFUSED number, errno                 the child could not be forked
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

# Well below the default send buffer, so that a packet always fits.
PACKET_BYTES: Final = 64 * 1024

START: Final = b"S"
SIGNAL: Final = b"K"
NUDGE: Final = b"N"
MANIFEST: Final = b"M"
MANIFEST_END: Final = b"m"
BROKEN: Final = b"B"
EXIT: Final = b"X"
REFUSED: Final = b"R"

_START: Final = struct.Struct("=cQ")
_SIGNAL: Final = struct.Struct("=cQi")
_NUDGE: Final = struct.Struct("=cQ")
_EXIT: Final = struct.Struct("=cQiidq")
_REFUSED: Final = struct.Struct("=cQi")


@dataclass(frozen=True, slots=True)
class ChildExit:
    """How a child ended.

    Args:
        number: the worker's number of it.
        process_id: what it was.
        status: as `os.waitpid` gives it.
        cpu_seconds: user and system time of it and of the processes that it waited for.
        max_memory_bytes: the most resident memory.
    """

    number: int
    process_id: int
    status: int
    cpu_seconds: float
    max_memory_bytes: int


def encode_start(number: int) -> bytes:
    """Asks for a child; its descriptors ride along."""
    return _START.pack(START, number)


def decode_start(packet: bytes) -> int:
    """The number of the child to fork."""
    number: int = _START.unpack(packet)[1]
    return number


def encode_signal(number: int, signal_number: int) -> bytes:
    """Asks to signal a child's process group."""
    return _SIGNAL.pack(SIGNAL, number, signal_number)


def decode_signal(packet: bytes) -> tuple[int, int]:
    """The child's number and the signal."""
    _, number, signal_number = _SIGNAL.unpack(packet)
    return number, signal_number


def encode_nudge(number: int) -> bytes:
    """Asks to nudge a child."""
    return _NUDGE.pack(NUDGE, number)


def decode_nudge(packet: bytes) -> int:
    """The child's number."""
    number: int = _NUDGE.unpack(packet)[1]
    return number


def encode_exit(ended: ChildExit) -> bytes:
    """Tells that a child ended."""
    return _EXIT.pack(EXIT, ended.number, ended.process_id, ended.status, ended.cpu_seconds, ended.max_memory_bytes)


def decode_exit(packet: bytes) -> ChildExit:
    """How a child ended."""
    return ChildExit(*_EXIT.unpack(packet)[1:])


def encode_refused(number: int, error: int) -> bytes:
    """Tells that a child could not be forked, with the errno."""
    return _REFUSED.pack(REFUSED, number, error)


def decode_refused(packet: bytes) -> tuple[int, int]:
    """The number of the child that could not be forked, and the errno."""
    _, number, error = _REFUSED.unpack(packet)
    return number, error
