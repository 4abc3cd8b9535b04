"""What to write for a difference that nothing covers: the sentence of a finding.

Here belong words only; they name the declarative form that fits, with the names filled in.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from codegen.compat.correspondence import Neighbours
from codegen.compat.differences import oneof_of
from codegen.compat.explanations import WIDER
from codegen.compat.facts import Difference, Kind
from crosswind_server.versions.changes import Change

FREE: Final = "or, if that cannot say it, a FreeChange that names it in covers"


def describe(change: Change) -> str:
    """A change by its kind and its names, such as `FieldRenamed("lab.v1.Ask", "version_id", "dag_version_id")`."""
    shown = [getattr(change, each.name) for each in fields(change) if each.name != "why"]
    texts = [f'"{each}"' for each in shown if isinstance(each, str)]
    return f"{type(change).__name__}({', '.join(texts)})"


def advise(difference: Difference, pair: Neighbours) -> str:
    """What is wrong with an uncovered difference, and what to write."""
    version = pair.new.version
    words = _WORDS.get(difference.kind)
    scope, _, name = difference.element.rpartition(".")
    what = f"{difference.element} {_said(difference)} in API version {version}"
    if words is None:
        return f"{what}, and no kind of change says this. Take it back, {FREE}."
    advice = words.format(
        scope=scope,
        name=name,
        former=difference.former.rpartition(".")[2],
        element=difference.element,
        path=difference.element.split(" ")[0],
        reason=difference.element.rpartition(" ")[2],
        missing=difference.now,
        was=difference.was,
        since=version,
        now=difference.now,
    )
    if difference.kind is Kind.FIELD_REMOVED:
        advice = _removal(difference, pair, advice)
    if difference.kind is Kind.FIELD_ADDED:
        advice = _addition(difference, pair, advice)
    if difference.kind is Kind.FIELD_RETYPED and (difference.was, difference.now) not in WIDER:
        advice = (
            f"Give the field of the new type a number of its own and write FieldConverted({scope!r}, {name!r}, ...)"
            " into CHANGES; where it is a message that was renamed, MessageRenamed"
        )
    return f"{what}, and nothing covers it. {advice.replace(chr(39), chr(34))}."


def _said(difference: Difference) -> str:
    if difference.kind is Kind.FIELD_RENAMED or difference.kind is Kind.VALUE_RENAMED:
        return f"was renamed from {difference.was}"
    if difference.kind in (Kind.REASON_ADDED, Kind.FIELD_NOT_RESERVED, Kind.VALUE_NOT_RESERVED):
        return str(difference.kind)
    if difference.was or difference.now:
        return f"{difference.kind} ({difference.was or 'none'} before, {difference.now or 'none'} now)"
    return str(difference.kind)


def _addition(difference: Difference, pair: Neighbours, advice: str) -> str:
    """An arm of a oneof may need more than its date, and a field may be made of one that is gone."""
    scope, _, name = difference.element.rpartition(".")
    message, former = pair.new.messages[scope].proto, pair.pair.old_message(scope).proto
    arm = next(oneof_of(message, each) for each in message.field if each.number == difference.number)
    if arm and arm in {oneof_of(former, each) for each in former.field}:
        return (
            f"{advice} and, where it is answered, ArmAdded({scope!r}, {name!r}, instead=...) into CHANGES: older"
            f" clients would find nothing set in {arm}"
        )
    known = {each.number for each in message.field}
    gone = [each.name for each in former.field if each.number not in known]
    return f"{advice}, or name it in the change that makes it of {' or '.join(gone)}" if gone else advice


def _removal(difference: Difference, pair: Neighbours, advice: str) -> str:
    """Where the message has new fields too, the field may have become one of them."""
    message = pair.messages.get(difference.scope, difference.scope)
    known = {field.number for field in pair.old.messages[difference.scope].proto.field}
    new = [each.name for each in pair.new.messages[message].proto.field if each.number not in known]
    if not new:
        return advice
    name = difference.element.rpartition(".")[2]
    return (
        f"{advice}; or, where it became {' or '.join(new)}, FieldRenamed({message!r}, {name!r}, {new[0]!r}),"
        " FieldConverted, FieldSplit, FieldsMerged or FieldMoved"
    )


_WORDS: Final = {
    Kind.MESSAGE_REMOVED: "Keep it, or write MessageRenamed('{element}', ...) into CHANGES",
    Kind.FIELD_ADDED: "Write (crosswind.options.v1.since) = '{since}' on it",
    Kind.FIELD_REMOVED: "Write FieldRemoved('{scope}', '{name}') into CHANGES",
    Kind.FIELD_NOT_RESERVED: "Write `reserved` for {missing} into the message, so that nobody uses it again",
    Kind.VALUE_NOT_RESERVED: "Write `reserved` for {missing} into the enum, so that nobody uses it again",
    Kind.FIELD_RENAMED: "Write FieldRenamed('{scope}', '{former}', '{name}') into CHANGES",
    Kind.FIELD_RETYPED: "Write FieldWidened('{scope}', '{name}') into CHANGES",
    Kind.FIELD_REQUIRED: (
        "Write FieldRequired('{scope}', '{name}', default=...) into CHANGES, or"
        " ValidationChanged((...), 'name_of_the_leniency', ('{element}',))"
    ),
    Kind.DEFAULT_CHANGED: "Write DefaultChanged('{scope}', '{name}') into CHANGES",
    Kind.RANGE_NARROWED: "Write ValidationChanged((...), 'name_of_the_leniency', ('{element}',)) into CHANGES",
    Kind.ORIGIN_CHANGED: "Write '{was}' again: since and fallback never change",
    Kind.STATUS_CODE_CHANGED: "Write ReasonChanged(None, ..., ..., '{was}') into CHANGES",
    Kind.VALUE_REMOVED: (
        "Keep it; of a reason, write ReasonChanged(None, ..., ...) with this one as the old reason into CHANGES"
    ),
    Kind.REQUEST_CHANGED: "Where it is the same message, write MessageRenamed('{was}', '{now}') into CHANGES",
    Kind.RESPONSE_CHANGED: "Where it is the same message, write MessageRenamed('{was}', '{now}') into CHANGES",
    Kind.VALUE_RENAMED: (
        "Keep the old name; of a reason, write ReasonChanged(None, '{name}', '{former}', ...) into CHANGES"
    ),
    Kind.METHOD_REMOVED: "Write MethodRetired('{path}', ...) or MethodMoved('{path}', ...) into CHANGES",
    Kind.REASON_ADDED: "Write ReasonChanged('{path}', '{reason}', ...) into CHANGES, or ValidationChanged for the RPC",
}
