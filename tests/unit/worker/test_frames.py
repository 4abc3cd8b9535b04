import asyncio
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosswind.bundle.v1 import frame_pb2
from crosswind.client.errors import DEADLINE_EXCEEDED, NOT_FOUND, RESOURCE_EXHAUSTED, UNAVAILABLE, CallError
from crosswind.client.frame_peer import FramePeer
from crosswind.client.frames import MAX_FRAME_BYTES, FrameChannel, FrameDecoder, FrameError, encode_frame

Frame = frame_pb2.Frame

frames = st.builds(
    Frame,
    stream_id=st.integers(0, 2**32 - 1),
    kind=st.sampled_from([Frame.KIND_REQUEST, Frame.KIND_RESPONSE, Frame.KIND_STATUS, Frame.KIND_NOTICE]),
    method=st.text(max_size=40),
    payload=st.binary(max_size=2000),
)


@given(sent=st.lists(frames, max_size=8), cuts=st.lists(st.integers(1, 700), min_size=1))
def test_frames_arrive_whole_however_they_are_cut(sent, cuts):
    data = b"".join(encode_frame(frame) for frame in sent)
    decoder = FrameDecoder()
    received: list[frame_pb2.Frame] = []
    position = turn = 0
    while position < len(data):
        size = cuts[turn % len(cuts)]
        received += decoder.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    assert received == sent
    assert decoder.pending == 0


@given(st.binary(max_size=200))
def test_nothing_but_frames_and_frame_errors_comes_out_of_garbage(data):
    decoder = FrameDecoder()
    try:
        for frame in decoder.feed(data):
            assert frame.kind != Frame.KIND_UNSPECIFIED
    except FrameError:
        pass


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (struct.pack(">I", MAX_FRAME_BYTES + 1), "announced"),
        (struct.pack(">I", 3) + b"\xff\xff\xff", "parsed"),
        (struct.pack(">I", 0), "unknown kind 0"),
        (struct.pack(">I", 2) + b"\x10\x63", "unknown kind 99"),
    ],
)
def test_what_is_no_frame_is_refused(data, sentence):
    with pytest.raises(FrameError, match=sentence):
        list(FrameDecoder().feed(data))


def test_a_frame_that_is_too_large_is_not_sent():
    with pytest.raises(FrameError, match="larger"):
        encode_frame(Frame(kind=Frame.KIND_NOTICE, payload=bytes(MAX_FRAME_BYTES)))


class Worker(threading.Thread):
    """The other side: answers calls by their method, in an order of its own."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._socket = connection
        self.notices: list[bytes] = []
        self.timeouts: list[float | None] = []

    def run(self) -> None:
        decoder = FrameDecoder()
        held: list[Frame] = []
        while data := self._socket.recv(65536):
            for frame in decoder.feed(data):
                if frame.kind == Frame.KIND_NOTICE:
                    self.notices.append(frame.payload)
                    continue
                self.timeouts.append(frame.timeout.ToNanoseconds() / 1e9 if frame.HasField("timeout") else None)
                if frame.method == "/hold":
                    held.append(frame)
                    if len(held) == 8:
                        for each in reversed(held):
                            self._answer(each)
                elif frame.method == "/refuse":
                    error = CallError(NOT_FOUND, "VARIABLE_NOT_FOUND", "There is no variable x.", {"key": "x"})
                    self._send(Frame(stream_id=frame.stream_id, kind=Frame.KIND_STATUS, payload=error.to_status()))
                elif frame.method == "/garbage":
                    self._socket.sendall(struct.pack(">I", 0))
                elif frame.method == "/leave":
                    self._socket.close()
                    return
                elif frame.method != "/silence":
                    self._answer(frame)

    def _answer(self, frame: Frame) -> None:
        self._send(Frame(stream_id=frame.stream_id, kind=Frame.KIND_RESPONSE, payload=b"re:" + frame.payload))

    def _send(self, frame: Frame) -> None:
        self._socket.sendall(encode_frame(frame))


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    worker = Worker(theirs)
    worker.start()
    channel = FrameChannel(ours)
    yield channel, worker
    channel.close()
    worker.join(10)
    assert not worker.is_alive()
    theirs.close()


def test_a_call_is_answered(pair):
    channel, worker = pair
    assert channel.call("/echo", b"question", None) == b"re:question"
    assert channel.call("/echo", b"x" * 5_000_000, 20.0) == b"re:" + b"x" * 5_000_000
    assert worker.timeouts == [None, 20.0]


def test_calls_of_several_threads_get_their_own_answers(pair):
    channel, _ = pair
    answers: dict[int, bytes] = {}

    def ask(number: int) -> None:
        answers[number] = channel.call("/hold", str(number).encode(), 20.0)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"re:{number}".encode() for number in range(8)}


def test_a_refusal_keeps_code_reason_and_metadata(pair):
    with pytest.raises(CallError) as caught:
        pair[0].call("/refuse", b"", None)
    error = caught.value
    assert (error.code, error.reason, error.message) == (NOT_FOUND, "VARIABLE_NOT_FOUND", "There is no variable x.")
    assert error.metadata == {"key": "x"}


def test_a_call_without_an_answer_ends_with_its_deadline(pair):
    with pytest.raises(CallError) as caught:
        pair[0].call("/silence", b"", 0.05)
    assert caught.value.code == DEADLINE_EXCEEDED
    assert pair[0].call("/echo", b"after", None) == b"re:after"


@pytest.mark.parametrize("method", ["/leave", "/garbage"])
def test_a_call_ends_when_the_other_side_is_gone(pair, method):
    for _ in range(2):
        with pytest.raises(CallError) as caught:
            pair[0].call(method, b"", 20.0)
        assert caught.value.code == UNAVAILABLE
    pair[0].notify("/logs", b"nobody reads this")


def test_a_call_that_does_not_fit_a_frame_is_refused(pair):
    with pytest.raises(CallError) as caught:
        pair[0].call("/echo", bytes(MAX_FRAME_BYTES), None)
    assert (caught.value.code, caught.value.reason) == (RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
    assert pair[0].call("/echo", b"after", None) == b"re:after"


def test_notices_arrive_in_order(pair):
    channel, worker = pair
    for number in range(100):
        channel.notify("/logs", str(number).encode())
    channel.call("/echo", b"", None)
    assert worker.notices == [str(number).encode() for number in range(100)]


async def test_the_asyncio_side_writes_more_than_the_socket_takes_at_once():
    ours, theirs = socket.socketpair()
    received: list[Frame] = []
    complete = asyncio.Event()
    ended: asyncio.Future[FrameError | None] = asyncio.get_running_loop().create_future()

    def take(frame: Frame) -> None:
        received.append(frame)
        if len(received) == 5:
            complete.set()

    reader = FramePeer(theirs, on_frame=take, on_end=ended.set_result)
    writer = FramePeer(ours, on_frame=received.append, on_end=lambda error: None)
    sent = [Frame(stream_id=i, kind=Frame.KIND_RESPONSE, payload=bytes([i]) * 1_000_000) for i in range(1, 6)]
    for frame in sent:
        writer.send(frame)
    async with asyncio.timeout(20):
        await complete.wait()
        writer.close()
        assert await ended is None
    assert received == sent
    reader.close()
    writer.send(sent[0])


async def test_the_asyncio_side_closes_on_what_is_no_frame():
    ours, theirs = socket.socketpair()
    ended: asyncio.Future[FrameError | None] = asyncio.get_running_loop().create_future()
    FramePeer(ours, on_frame=lambda frame: None, on_end=ended.set_result)
    theirs.sendall(struct.pack(">I", 0))
    assert isinstance(await asyncio.wait_for(ended, 10), FrameError)
    theirs.settimeout(10)
    assert theirs.recv(1) == b""
    theirs.close()
