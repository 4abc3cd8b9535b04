import json
import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from crosswind import DAG, UnreadableValue, UnsupportedValue, register_codec, task
from crosswind.author import codec
from crosswind.author.payloads import from_payload, take_path, to_payload
from crosswind.author.templates import fill_template, make_template
from crosswind.manifest.v1.task_pb2 import Output
from crosswind.value.v1.value_pb2 import BlobReference, Payload

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


@given(values)
def test_what_was_written_is_read(value):
    payload = Payload.FromString(to_payload(codec.encode_result(value, what="it")).SerializeToString())
    read = from_payload(payload)
    assert read == value
    assert json.dumps(read) == json.dumps(value)  # true is not 1, 1.0 is not 1
    assert payload.encoding == "json/utf-8"
    assert (payload.WhichOneof("content") == "items") == isinstance(value, list)


def test_the_result_of_a_task_is_no_value():
    with DAG("d"):
        result = task(task_id="one")(lambda: 1)()
        with pytest.raises(UnsupportedValue, match="pass it to a task as an argument"):
            codec.encode({"inside": [result]}, what="it")


@given(st.integers(min_value=-(10**4000), max_value=10**4000))
def test_integers_of_any_size_survive(number):
    data = codec.encode(number, what="it").data
    assert data == str(number).encode()
    assert codec.decode_json(data) == number


def test_each_item_of_a_list_is_encoded_by_itself():
    encoded = codec.encode_result([1, "zwei", None, {"a": [3]}], what="it")
    assert encoded.data == (b"1", b'"zwei"', b"null", b'{"a":[3]}')
    assert encoded.size == 1 + 6 + 4 + 9
    assert from_payload(to_payload(codec.encode_result([], what="it"))) == []


def test_text_is_utf8_and_tuples_are_lists():
    assert codec.encode("häß", what="it").data == '"häß"'.encode()
    pair = namedtuple("pair", "a b")
    assert codec.encode({"t": (1, pair(2, 3))}, what="it").data == b'{"t":[1,[2,3]]}'
    assert codec.encode(OrderedDict(b=1, a=2), what="it").data == b'{"b":1,"a":2}'


class Colour(Enum):
    RED = 1


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), ("datetime.datetime", "isoformat")),
        (date(2026, 1, 1), ("datetime.date", "isoformat")),
        ({1, 2}, ("set", "sorted(value)")),
        (b"raw", ("bytes", "decode it")),
        (Decimal("1.5"), ("decimal.Decimal", "str(value)")),
        (Point(1), ("Point", "dataclasses.asdict")),
        (Colour.RED, ("Colour", "value.value")),
        (Path("/x"), ("Path", "str(value)")),
        ((number for number in [1]), ("generator", "list(value)")),
        (object(), ("object", "register_codec")),
        (math.nan, ("nan", "None")),
        (-math.inf, ("-inf",)),
        ({1: "a"}, ("key 1 of type int", "str(key)")),
        ("\ud800", ("lone surrogate",)),
        pytest.param(10**5000, ("4,300 digits",), id="huge"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"rows": [0, v]}, lambda v: [v]], ids=["bare", "deep", "item"])
def test_what_is_not_json_is_refused_with_its_place_and_a_way_out(value, words, wrap):
    wrapped = wrap(value)
    with pytest.raises(UnsupportedValue) as raised:
        codec.encode_result(wrapped, what="the result of task 'load'")
    sentence = str(raised.value)
    assert sentence.startswith("The result of task 'load'")
    assert all(word in sentence for word in words), sentence
    if isinstance(wrapped, dict) and "rows" in wrapped:
        assert "at ['rows'][1]," in sentence


def test_a_value_that_contains_itself_is_refused():
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(UnsupportedValue, match="contains itself"):
        codec.encode_result({"loop": loop}, what="it")
    with pytest.raises(UnsupportedValue):
        codec.encode_result(loop, what="it")


@pytest.mark.parametrize("data", [b"", b"{", b"NaN", b"[Infinity]", b"\xff", b"1 2", b'"\x00'])
def test_bytes_that_are_not_json_are_refused(data):
    with pytest.raises(UnreadableValue):
        codec.decode("json/utf-8", data, {})


def test_protobuf_messages_travel_with_their_type():
    moment = Timestamp(seconds=5)
    payload = to_payload(codec.encode_result(moment, what="it"))
    assert payload.encoding == "binary/protobuf"
    assert payload.metadata["type_url"] == "type.googleapis.com/google.protobuf.Timestamp"
    assert from_payload(payload) == moment
    several = to_payload(codec.encode_result([moment, Timestamp(seconds=6)], what="it"))
    assert len(several.items.items) == 2
    assert from_payload(several) == [moment, Timestamp(seconds=6)]
    with pytest.raises(UnsupportedValue, match="Item 1 of it is of type int"):
        codec.encode_result([moment, 5], what="it")
    with pytest.raises(UnreadableValue, match=r"of type no\.Such, which is not known here"):
        codec.decode("binary/protobuf", b"", {"type_url": "x/no.Such"})
    with pytest.raises(UnreadableValue, match="without a type_url"):
        codec.decode("binary/protobuf", b"", {})


def test_a_codec_of_the_author(monkeypatch):
    monkeypatch.setattr(codec, "_codecs", {})
    register_codec("test/point", encode=lambda p: str(p.x).encode(), decode=lambda d: Point(int(d)), types=(Point,))
    assert from_payload(to_payload(codec.encode_result(Point(3), what="it"))) == Point(3)
    assert from_payload(to_payload(codec.encode_result([Point(1), Point(2)], what="it"))) == [Point(1), Point(2)]
    with pytest.raises(UnreadableValue, match="codec of 'test/point' cannot read the value"):
        codec.decode("test/point", b"x", {})
    with pytest.raises(UnreadableValue, match="no codec is registered"):
        codec.decode("test/other", b"x", {})
    with pytest.raises(ValueError, match="is built in"):
        register_codec("json/utf-8", encode=bytes, decode=bytes, types=())
    with pytest.raises(ValueError, match="use major/minor"):
        register_codec("point", encode=bytes, decode=bytes, types=())


def test_payloads_without_content_and_blobs():
    assert from_payload(Payload(encoding="json/utf-8")) is None
    with pytest.raises(UnreadableValue, match="blob"):
        from_payload(Payload(encoding="json/utf-8", blob=BlobReference(blob_id="b")))


def test_steps_into_a_value():
    step = Output.PathStep
    assert take_path({"a": [1, {"b": 2}]}, [step(name="a"), step(index=-1), step(name="b")]) == 2
    for value, path in [
        ([1], step(index=1)),
        ({"a": 1}, step(name="b")),
        ("text", step(index=0)),
        (None, step(name="x")),
    ]:
        with pytest.raises(UnreadableValue, match="in which there is no"):
            take_path(value, [path])


@given(
    st.recursive(
        st.none() | st.integers() | texts | st.builds(complex, st.integers(0, 3)),
        lambda inner: st.lists(inner) | st.dictionaries(texts | st.just("$input") | st.just("$literal"), inner),
    )
)
def test_structures_come_back_with_their_parts_in_place(value):
    def holds_part(shape: object) -> bool:
        inner = list(shape.values()) if isinstance(shape, dict) else shape if isinstance(shape, list) else []
        return isinstance(shape, complex) or any(map(holds_part, inner))

    def take(item: object) -> int | None:
        if isinstance(item, dict) and holds_part(item) and item.keys() & {"$input", "$literal"}:
            raise KeyError  # what binding refuses, since the template cannot say it
        if isinstance(item, complex):
            parts.append(item)
            return len(parts) - 1
        return None

    parts: list[complex] = []
    try:
        template = make_template(value, take)
    except KeyError:
        return
    assert fill_template(template, lambda number: parts[number]) == value
