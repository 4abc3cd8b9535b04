"""Nothing that the laboratory's versions say is said in vain: whatever is dropped, a named case fails.

Only a rename that keeps its number does nothing at a call: that one the build misses, as it does nearly all others.
"""

from collections.abc import Iterator

import pytest

from codegen.compat.coverage import uncovered, uncovered_without
from crosswind_server.versions.changes import (
    Change,
    EnumValueMapped,
    FieldRenamed,
    MethodMoved,
    MethodRetired,
    ValidationChanged,
)
from crosswind_server.versions.gates import Gates
from crosswind_server.versions.history import HistoryBroken
from tests.compat.lab.case import differences
from tests.compat.lab.cases import CASES
from tests.compat.lab.clients import DirectClients
from tests.compat.lab.history import REASONS, lab_history
from tests.compat.lab.mutations import Dropped, values_with_fallback, with_fallback, without_each_change

HISTORY = lab_history()
DROPPED = list(without_each_change(HISTORY))
FALLBACKS = list(values_with_fallback(HISTORY))


def failing(history, kind: str) -> Iterator[str]:
    """What is not as expected, of the cases that are named for a kind, where a history takes the true one's place."""
    clients = DirectClients(Gates(history))
    for case in CASES:
        if case.name.startswith(f"{kind}/"):
            for version in case.versions:
                yield from differences(case, version, clients)


def does_nothing_at_a_call(change: Change) -> bool:
    return isinstance(change, FieldRenamed) and change.new == "dag_version_id"


@pytest.mark.parametrize("dropped", DROPPED, ids=lambda dropped: dropped.name)
def test_a_case_fails_without_a_change(dropped: Dropped):
    if isinstance(dropped.change, MethodMoved | MethodRetired):
        # Every case fails: no server starts, and it says of which RPC.
        with pytest.raises(HistoryBroken, match=f"The RPC {dropped.change.old.lstrip('/')} of API version"):
            Gates(dropped.history)
        return
    lines = list(failing(dropped.history, type(dropped.change).__name__))
    if does_nothing_at_a_call(dropped.change):
        assert lines == []
    else:
        assert lines != []


@pytest.mark.parametrize("dropped", DROPPED, ids=lambda dropped: dropped.name)
def test_the_build_fails_without_a_change(dropped: Dropped):
    findings = uncovered_without(HISTORY, dropped.change)
    if isinstance(dropped.change, EnumValueMapped | ValidationChanged) and not getattr(dropped.change, "fields", ()):
        assert findings == []  # the protos show nothing of it: only its case does
    else:
        assert findings != []


def test_the_build_finds_nothing_where_nothing_is_dropped():
    assert uncovered(HISTORY) == []


@pytest.mark.parametrize(("enum", "value"), FALLBACKS)
def test_no_server_starts_without_a_fallback(enum: str, value: str):
    broken = with_fallback(HISTORY, enum, value, None)
    with pytest.raises(HistoryBroken, match=rf"{enum}\.{value} .* has no fallback"):
        Gates(broken)
    assert [finding for finding in uncovered(broken) if value in finding.element] != []


@pytest.mark.parametrize(("enum", "value"), FALLBACKS)
def test_a_case_fails_with_another_fallback(enum: str, value: str):
    nothing = "ERROR_REASON_UNSPECIFIED" if enum == REASONS else "STATE_UNSPECIFIED"
    lines = list(failing(with_fallback(HISTORY, enum, value, nothing), "fallback"))
    if value == "ERROR_REASON_VALUE_TOO_LARGE":
        assert lines == []  # everywhere a ReasonChanged says what it was before; only a server's start asks for it
    else:
        assert lines != []
