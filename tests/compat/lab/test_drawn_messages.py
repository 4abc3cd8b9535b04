"""Messages of every version, drawn: what comes back is what went, and nothing that is sent makes a gate fail."""

import contextlib

import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crosswind_server.versions.gates import Gates
from crosswind_server.versions.history import Release
from tests.compat.lab.carrying import Carrier, meaning, walk
from tests.compat.lab.drawn import LATER_NUMBERS, messages, names_of
from tests.compat.lab.history import NEWEST, VERSIONS, lab_history
from tests.compat.lab.messages import message_type, method_of

CARRIER = Carrier(lab_history())
GATES = Gates(lab_history())
LAST = len(VERSIONS) - 1
drawing = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("since", range(LAST), ids=VERSIONS[:-1])
@drawing
@given(st.data())
def test_what_the_next_version_gives_back(since: int, data: st.DataObject):
    message = data.draw(old_messages(since, since + 1))
    assert meaning(CARRIER.back(message, since, since + 1)) == CARRIER.expected_back(message, since)


@pytest.mark.parametrize("since", range(LAST), ids=VERSIONS[:-1])
@drawing
@given(st.data())
def test_what_the_newest_version_gives_back(since: int, data: st.DataObject):
    message = data.draw(old_messages(since, LAST))
    there = [message]
    for position in range(since, LAST):
        there.append(CARRIER.up(there[-1], position, position + 1))
    assert CARRIER.up(message, since, LAST) == there[-1]  # at once or from version to version

    expected = there[-1]
    kept = True
    for position in range(LAST - 1, since - 1, -1):
        was = there[position - since]
        kept = kept and CARRIER.expected_back(was, position) == meaning(was)
        expected = CARRIER.down(expected, was.DESCRIPTOR.full_name, position, position + 1)
    returned = meaning(CARRIER.back(message, since, LAST))
    assert returned == meaning(expected)
    if kept:  # no change on the way states that it loses something of this message
        assert returned == meaning(message)


@pytest.mark.parametrize("since", range(LAST), ids=VERSIONS[:-1])
@drawing
@given(st.data())
def test_gates_take_whatever_an_old_client_sends(since: int, data: st.DataObject):
    message = data.draw(old_messages(since, LAST, wild=True))
    CARRIER.back(message, since, LAST)


@pytest.mark.parametrize("since", range(LAST), ids=VERSIONS[:-1])
@drawing
@given(st.data())
def test_old_clients_never_receive_a_value_that_they_do_not_know(since: int, data: st.DataObject):
    name = data.draw(st.sampled_from(lasting(since, LAST)))
    message = data.draw(messages(NEWEST, CARRIER.name_in(name, since, LAST), wild=True))
    assert unknown_values(CARRIER.down(message, name, since, LAST)) <= set(LATER_NUMBERS)


@pytest.mark.parametrize("version", VERSIONS[:-1])
@drawing
@given(st.data())
def test_calls_cross_whatever_is_sent_and_answered(version: str, data: st.DataObject):
    path = data.draw(st.sampled_from(sorted(release_of(version).methods)))
    crossing = GATES.choose(path, version)
    here, there = method_of(version, path[1:]), method_of(NEWEST, crossing.method[1:])
    request = data.draw(messages(version, here.input_type.full_name, wild=True)).SerializeToString()
    response = data.draw(messages(NEWEST, there.output_type.full_name, wild=True)).SerializeToString()
    sent = request if crossing.upgrade is None else crossing.upgrade(request)
    message_type(NEWEST, there.input_type.full_name).FromString(sent)
    heard = response if crossing.downgrade is None else crossing.downgrade(response)
    message_type(version, here.output_type.full_name).FromString(heard)


@drawing
@given(st.sampled_from(range(LAST)), st.binary(max_size=40), st.data())
def test_bytes_that_are_no_message(since: int, garbage: bytes, data: st.DataObject):
    name = data.draw(st.sampled_from(lasting(since, LAST)))
    with contextlib.suppress(DecodeError):  # which the guard refuses as INVALID_ARGUMENT
        CARRIER.upgrade(garbage, name, since)


def release_of(version: str) -> Release:
    return lab_history().releases[VERSIONS.index(version)]


def lasting(since: int, until: int) -> list[str]:
    """The messages of a version that a later one still has."""
    return [name for name in names_of(VERSIONS[since]) if CARRIER.exists_in(name, since, until)]


@st.composite
def old_messages(draw: st.DrawFn, since: int, until: int, *, wild: bool = False) -> Message:
    name = draw(st.one_of(st.just("lab.v1.Task"), st.sampled_from(lasting(since, until))))
    return draw(messages(VERSIONS[since], name, wild=wild))


def unknown_values(message: Message) -> set[int]:
    """The numbers in a message's enums that its version does not know."""
    found = set()
    for each in walk(message):
        for field, value in each.ListFields():
            entry = field.message_type is not None and field.message_type.GetOptions().map_entry
            holder = field.message_type.fields_by_name["value"] if entry else field
            if holder.enum_type is not None:
                numbers = value.values() if entry else value if field.is_repeated else [value]
                found |= {number for number in numbers if number not in holder.enum_type.values_by_number}
    return found
