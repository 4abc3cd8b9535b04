import base64
import gzip
import json
import random

from hypothesis import given
from hypothesis import strategies as st

from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.execution.v1 import logs_pb2
from crosswind.runtime.attempt_log import CUT, MESSAGE_CHARACTERS, AttemptLog, LogMemory
from crosswind.runtime.masking import Masker

OUT, ERR = logs_pb2.LogRecord.SOURCE_STDOUT, logs_pb2.LogRecord.SOURCE_STDERR


def make_log(*secrets: str, limit: int = 1 << 22, memory: LogMemory | None = None) -> AttemptLog:
    masker = Masker()
    for secret in secrets:
        masker.add(secret)
    return AttemptLog(masker, memory or LogMemory(), limit=limit)


def records_of(chunks: list[logs_pb2.LogChunk]) -> list[logs_pb2.LogRecord]:
    found: list[logs_pb2.LogRecord] = []
    for chunk in chunks:
        data = chunk.data
        if chunk.compression == logs_pb2.LogChunk.COMPRESSION_GZIP:
            data = gzip.decompress(data)
        records = logs_pb2.LogRecords.FromString(data).records
        assert len(records) == chunk.record_count
        assert chunk.first_sequence == len(found)
        found.extend(records)
    return found


def messages_of(log: AttemptLog) -> list[str]:
    log.end()
    return [record.message for record in records_of(log.chunks())]


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=30)),
    cuts=st.lists(st.integers(1, 40), min_size=1),
)
def test_lines_come_out_as_they_went_in(lines, cuts):
    log = make_log()
    data = "".join(f"{line}\n" for line in lines).encode()
    position = turn = 0
    while position < len(data):
        size = cuts[turn % len(cuts)]
        log.write_output(OUT, data[position : position + size])
        position, turn = position + size, turn + 1
    assert messages_of(log) == lines


def test_a_line_without_an_end_is_kept():
    log = make_log()
    log.write_output(OUT, b"one\ntwo")
    log.write_output(ERR, b"three")
    assert sorted(messages_of(log)) == ["one", "three", "two"]
    assert log.stderr_tail() == "three"


def test_a_long_line_is_cut_and_its_rest_dropped():
    log = make_log()
    log.write_output(OUT, b"x" * 100_000)
    log.write_output(OUT, b"x" * 100_000 + b"\nnext\n")
    first, second = messages_of(log)
    assert len(first) == MESSAGE_CHARACTERS
    assert first.endswith(CUT)
    assert second == "next"


def test_a_secret_across_the_cut_is_not_shown():
    log = make_log("0123456789abcdef")
    log.write_output(OUT, b"x" * (2 * MESSAGE_CHARACTERS - 5) + b"0123456789abcdef")
    assert "0123" not in "".join(messages_of(log))


def test_secrets_are_masked_wherever_they_come_from():
    log = make_log("hunter2")
    log.write_output(OUT, b"out hunt")
    log.write_output(OUT, b"er2\n")
    log.write_output(ERR, b"err hunter2\n")
    record = logs_pb2.LogRecord(message="log hunter2", attributes_json=json.dumps({"a": "hunter2"}))
    log.write_records(bundle_service_pb2.WriteLogsRequest(records=[record]).SerializeToString())
    log.write_worker("worker hunter2")
    log.end()
    text = str(records_of(log.chunks()))
    assert "hunter2" not in text
    assert text.count("***") == 5
    assert log.stderr_tail() == "err ***"


def test_chunks_stay_until_they_are_acknowledged():
    log = make_log()
    log.write_output(OUT, b"a\nb\n")
    (first,) = log.chunks()
    log.write_output(OUT, b"c\n")
    assert [chunk.first_sequence for chunk in log.chunks()] == [0, 2]
    assert log.chunks()[0] == first
    log.acknowledge(1)
    assert len(log.chunks()) == 2
    log.acknowledge(2)
    assert [chunk.first_sequence for chunk in log.chunks()] == [2]
    log.acknowledge(3)
    assert not log.pending


def test_the_last_chunk_says_so_even_when_it_is_empty():
    log = make_log()
    log.write_output(OUT, b"a\n")
    log.chunks()
    log.acknowledge(1)
    log.end()
    (chunk,) = log.chunks()
    assert (chunk.first_sequence, chunk.record_count, chunk.last) == (1, 0, True)


def test_no_chunk_is_larger_than_the_limit():
    log = make_log()
    noise = "".join(chr(33 + (i * 7919) % 90) for i in range(30_000))
    for _ in range(40):
        log.write_output(OUT, noise.encode() + b"\n")
    log.end()
    chunks = log.chunks()
    assert len(chunks) > 1
    assert all(len(chunk.data) <= 256 * 1024 for chunk in chunks)
    assert len(records_of(chunks)) == 40


def noise(size: int) -> str:
    """Text that does not compress to less than half."""
    return base64.b64encode(random.Random(size).randbytes(size)).decode()[:size]


def test_what_does_not_fit_is_dropped_and_counted():
    log = make_log(limit=10_000)
    for number in range(100):
        log.write_output(OUT, f"{number} {noise(500 + number)}\n".encode())
    log.end()
    chunks = log.chunks()
    kept = records_of(chunks)
    assert 0 < len(kept) < 50
    assert sum(chunk.dropped for chunk in chunks) == 100 - len(kept)
    numbers = [int(record.message.split()[0]) for record in kept]
    assert numbers == sorted(numbers)
    # A gap in the numbers stands where a chunk says that something was dropped.
    position = expected = 0
    for chunk in chunks:
        expected += chunk.dropped
        for _ in range(chunk.record_count):
            assert numbers[position] == expected
            position, expected = position + 1, expected + 1


def test_records_fit_again_after_an_acknowledgement():
    log = make_log(limit=2_000)
    for number in range(10):
        log.write_output(OUT, noise(1000 + number).encode() + b"\n")
    before = len(records_of(log.chunks()))
    assert before < 10
    log.acknowledge(before)
    log.write_output(OUT, b"again\n")
    log.end()
    later = log.chunks()
    assert sum(chunk.record_count for chunk in later) == 1


def test_all_logs_together_keep_within_the_memory():
    memory = LogMemory(limit=5_000)
    logs = [make_log(memory=memory) for _ in range(10)]
    for log in logs:
        for _ in range(10):
            log.write_output(OUT, b"x" * 300 + b"\n")
    assert 0 < memory.used <= memory.limit
    for log in logs:
        log.end()
        log.close()
    assert memory.used == 0


def test_records_that_cannot_be_read_are_counted():
    log = make_log()
    log.write_records(b"\xff\xff")
    log.end()
    assert sum(chunk.dropped for chunk in log.chunks()) == 1
