"""How attempts end, as transcripts write it.

    succeeded result=[1,2] branch=x,y | branch=none  skip_all=yes|no  next=2026-03-28T00:00Z,..
    failed type=ValueError base=Exception message=".." retryable=no retry_after=10s
    skipped reason=".."
    deferred event=NAME | for=5m | until=T | trigger=entry args={..}   timeout= method= state={..}
    rescheduled for=5m | until=T
    awaiting_input subject=".." body=".." options=yes,no default=no multiple fields={..} respondents=..
                   timeout= method= state=
    cancelled
    any of them: xcom.KEY=value  emit=asset,asset@partition  extra.asset={..}  via=alias  checkpoint.KEY=value

`succeeded` may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from crosswind.execution.v1 import outcome_pb2
from crosswind.execution.v1.outcome_pb2 import Outcome
from tests.lifecycle.scene.dag_text import asset
from tests.lifecycle.scene.text import Arguments, duration, payload, timestamp, value_of


def read_outcome(a: Arguments, now_us: int) -> Outcome:
    """The outcome that the words say."""
    kind = a.words.pop(0) if a.words and a.words[0] in _KINDS else "succeeded"
    outcome = Outcome()
    getattr(outcome, kind).SetInParent()
    _KINDS[kind](outcome, a, now_us)
    for key, text in a.below("xcom"):
        outcome.xcoms.add(key=key, value=payload(value_of(text)))
    extras = dict(a.below("extra"))
    aliases = a.names("via")
    for text in a.names("emit"):
        name, _, partition = text.partition("@")
        event = outcome.asset_events.add(asset=asset(name), partition_key=partition, alias_names=aliases)
        if name in extras:
            event.extra.CopyFrom(payload(value_of(extras[name])))
    for key, text in a.below("checkpoint"):
        outcome.checkpoints.add(key=key, value=payload(value_of(text)))
    return outcome


def _succeeded(outcome: Outcome, a: Arguments, now_us: int) -> None:
    if text := a.get("result"):
        outcome.succeeded.result.CopyFrom(payload(value_of(text)))
    if branch := a.get("branch"):
        outcome.succeeded.branch.follow_ids.extend(() if branch == "none" else branch.split(","))
        outcome.succeeded.branch.SetInParent()
    if skip_all := a.get("skip_all"):
        outcome.succeeded.skip_all_downstream = skip_all == "yes"
    for text in a.names("next"):
        outcome.succeeded.next_runs.add(logical_time=timestamp(text, now_us))


def _failed(outcome: Outcome, a: Arguments, _now_us: int) -> None:
    failure = outcome.failed.failure
    failure.type, failure.message = a.get("type", "ValueError"), a.get("message", "it failed")
    failure.base_types.extend(a.names("base"))
    if retryable := a.get("retryable"):
        failure.retryable = retryable == "yes"
    if text := a.get("retry_after"):
        failure.retry_after.CopyFrom(duration(text))


def _skipped(outcome: Outcome, a: Arguments, _now_us: int) -> None:
    outcome.skipped.reason = a.get("reason")


def _deferred(outcome: Outcome, a: Arguments, now_us: int) -> None:
    deferred = outcome.deferred
    if name := a.get("event"):
        deferred.event.name = name
    elif text := a.get("for"):
        deferred.delay.CopyFrom(duration(text))
    elif text := a.get("until"):
        deferred.time.CopyFrom(timestamp(text, now_us))
    elif entry_point := a.get("trigger"):
        deferred.trigger.entry_point = entry_point
        if text := a.get("args"):
            deferred.trigger.arguments.CopyFrom(payload(value_of(text)))
    _resume(deferred, a)


def _rescheduled(outcome: Outcome, a: Arguments, now_us: int) -> None:
    if text := a.get("for"):
        outcome.rescheduled.delay.CopyFrom(duration(text))
    elif text := a.get("until"):
        outcome.rescheduled.time.CopyFrom(timestamp(text, now_us))


def _awaiting(outcome: Outcome, a: Arguments, _now_us: int) -> None:
    asked = outcome.awaiting_input
    asked.subject, asked.body = a.get("subject", "Go on?"), a.get("body")
    asked.options.extend(a.names("options"))
    asked.default_options.extend(a.names("default"))
    asked.multiple = a.flag("multiple")
    asked.fields_schema_json = a.get("fields")
    asked.respondents.extend(a.names("respondents"))
    _resume(asked, a)


def _resume(waiting: outcome_pb2.Deferred | outcome_pb2.AwaitingInput, a: Arguments) -> None:
    if text := a.get("timeout"):
        waiting.timeout.CopyFrom(duration(text))
    waiting.method = a.get("method")
    if text := a.get("state"):
        waiting.state.CopyFrom(payload(value_of(text)))


def _cancelled(outcome: Outcome, a: Arguments, _now_us: int) -> None:
    outcome.cancelled.how = a.get("how", "exited")


_KINDS: Final[Mapping[str, Callable[[Outcome, Arguments, int], None]]] = {
    "succeeded": _succeeded,
    "failed": _failed,
    "skipped": _skipped,
    "deferred": _deferred,
    "rescheduled": _rescheduled,
    "awaiting_input": _awaiting,
    "cancelled": _cancelled,
}
