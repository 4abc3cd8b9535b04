"""go-plugin's stream of what a bundle in Go writes to os.Stdout and os.Stderr once it serves.

Lines are made of it in `bundle_output.py`; what is written to the descriptors themselves comes by `guarded_process.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from crosswind.runtime.bundle_output import BundleOutput

_METHOD: Final = "/plugin.GRPCStdio/StreamStdio"
_STDERR: Final = 2
# The stream has no end before the process has; it is taken to be complete when it pauses for so long.
_PAUSE_SECONDS: Final = 0.02


def _message_class() -> Any:
    """`plugin.StdioData`, in a pool of its own, as others may have generated it in this process."""
    file = descriptor_pb2.FileDescriptorProto(name="grpc_stdio.proto", package="plugin", syntax="proto3")
    message = file.message_type.add(name="StdioData")
    field = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="channel", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    message.field.add(name="data", number=2, type=field.TYPE_BYTES, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("plugin.StdioData"))


_StdioData: Final = _message_class()


class StreamedOutput:
    """Takes the stream from its beginning: a bundle blocks where nobody does.

    Args:
        channel: to the process.
        output: takes the bytes.
    """

    def __init__(self, channel: grpc.aio.Channel, output: BundleOutput) -> None:
        self._channel = channel
        self._streams = {is_error: output.stream(is_error=is_error) for is_error in (False, True)}
        self._moved = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def wait_for_pause(self) -> None:
        """Waits until nothing has come for a moment: the process is about to be asked to end."""
        with suppress(TimeoutError):
            while not self._reader.done():
                self._moved.clear()
                async with asyncio.timeout(_PAUSE_SECONDS):
                    await self._moved.wait()

    async def end(self, *, timeout: float) -> None:
        """Takes what has come from a process that has ended.

        Args:
            timeout: how long that may take, in seconds.
        """
        await asyncio.wait([self._reader], timeout=timeout)
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(_METHOD)
        with suppress(grpc.aio.AioRpcError):  # a bundle without this service writes to its descriptors alone
            async for message in method(b""):
                found = _StdioData.FromString(message)
                self._streams[found.channel == _STDERR].write(found.data)
                self._moved.set()
