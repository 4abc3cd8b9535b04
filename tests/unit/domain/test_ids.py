from __future__ import annotations

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.ids import (
    UuidSource,
    decode_page_token,
    encode_page_token,
    make_lease,
    make_run_id,
    time_text,
    uuid7,
)

NOW = 1_795_428_900_123_456  # 2026-11-23T10:15:00.123456Z


def test_layout_of_rfc_9562():
    made = UuidSource(lambda bits: (1 << bits) - 1).make(NOW)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == NOW // 1000
    assert made.int >> 64 & 0xFFF == 456 * 4096 // 1000
    assert made.int & (1 << 62) - 1 == (1 << 62) - 1


@given(st.lists(st.integers(0, 2000), min_size=2, max_size=50))
def test_ids_rise_whatever_the_clock_does(offsets):
    source = UuidSource()
    made = [source.make(NOW + offset) for offset in offsets]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {u.version for u in made} == {7}


def test_ids_are_unique_among_threads():
    made: list[list[str]] = [[] for _ in range(4)]
    threads = [
        threading.Thread(target=lambda mine=mine: mine.extend(str(uuid7(NOW)) for _ in range(500))) for mine in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({u for mine in made for u in mine}) == 2000
    assert all(mine == sorted(mine) for mine in made)


def test_a_time_before_1970_has_no_id():
    with pytest.raises(ValueError, match="1970"):
        uuid7(-1)


def test_leases_are_128_random_bits():
    assert make_lease(lambda bits: bits) == f"{128:032x}"
    leases = {make_lease() for _ in range(100)}
    assert len(leases) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", lease) for lease in leases)


def test_run_ids_are_readable():
    assert make_run_id("manual", NOW) == "manual__2026-11-23T10:15:00.123456Z"
    assert time_text(NOW // 1_000_000 * 1_000_000) == "2026-11-23T10:15:00.000000Z"


SCOPE = {"dag": "flights", "states": ["running"], "team": "default"}


@given(st.lists(st.none() | st.integers() | st.text(), max_size=5))
def test_page_tokens_come_back(keys):
    token = encode_page_token(keys, scope=SCOPE)
    assert re.fullmatch("[A-Za-z0-9_-]+", token)
    assert decode_page_token(token, scope=dict(reversed(SCOPE.items()))) == tuple(keys)


def test_a_token_belongs_to_its_filter():
    token = encode_page_token(["a", 1], scope=SCOPE)
    with pytest.raises(Refused) as refused:
        decode_page_token(token, scope={**SCOPE, "dag": "other"})
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID


@given(st.data())
def test_a_changed_token_is_refused(data):
    token = encode_page_token(["a", 1], scope=SCOPE)
    where = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABab01-_= é"))
    changed = token[:where] + letter + token[where + 1 :]
    if changed != token:
        with pytest.raises(Refused, match="page token"):
            decode_page_token(changed, scope=SCOPE)


@pytest.mark.parametrize("junk", ["", "x", "!!!!", "AAAA", "A" * 200, "ééé"])
def test_junk_is_refused(junk):
    with pytest.raises(Refused, match="page token"):
        decode_page_token(junk, scope=SCOPE)
