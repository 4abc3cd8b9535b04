"""The settings of a task and of a DAG, as authors write them.

Here belong their names, types and checks. How they look in a manifest is `manifest.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal, TypedDict, cast

Span = timedelta | float
"""A span of time: a timedelta, or seconds."""


class TriggerRule(StrEnum):
    """When a task runs, given how its direct upstream tasks ended. The values are Airflow's names."""

    ALL_SUCCESS = "all_success"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALL_DONE_MIN_ONE_SUCCESS = "all_done_min_one_success"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ONE_DONE = "one_done"
    NONE_FAILED = "none_failed"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"
    NONE_SKIPPED = "none_skipped"
    ALWAYS = "always"
    ALL_SKIPPED = "all_skipped"


@dataclass(frozen=True)
class RetryRule:
    """What to do with failures of some types; the first rule that matches decides.

    Args:
        failure_types: names of exceptions, such as "requests.exceptions.HTTPError"; a base type matches too.
        retry: False: fail at once.
        delay: before the next try. None: as the task says.
    """

    failure_types: Sequence[str]
    retry: bool = True
    delay: Span | None = None


class TaskSettings(TypedDict, total=False):
    """The settings of a task. Each may stand in `@task(...)`, `.override(...)` and `default_args`.

    Spans are timedeltas, or seconds.
    """

    task_id: str
    """Name in the DAG. By default the function's."""
    display_name: str
    """What people see instead of the id."""
    doc_md: str
    """Documentation, Markdown. By default the function's docstring."""
    retries: int
    """Further tries after the first, 0 to 1,000. By default 0."""
    retry_delay: Span
    """Delay before the second try. By default 5 minutes."""
    retry_exponential_backoff: bool | float
    """Growth of the delay from try to try: True for 2, or a factor of at least 1. By default constant."""
    max_retry_delay: Span
    """The longest delay. By default 24 hours."""
    retry_jitter: float
    """Part of the delay that is random, 0 to 1. By default 0."""
    retry_rules: Sequence[RetryRule]
    """Rules by the type of the failure."""
    max_lost: int
    """Attempts that may be lost with their worker before the task fails; they are not tries. By default 3."""
    execution_timeout: Span
    """A started attempt that lasts longer fails."""
    cancel_grace: Span
    """Between TERM and KILL when an attempt is cancelled. By default 10 seconds."""
    queue: str
    """Queue whose workers may run it. By default "default"."""
    slots: int
    """Slots that it takes of its worker. By default 1."""
    pool: str
    """Pool that bounds it beside others."""
    pool_slots: int
    """Slots that it takes of the pool. By default 1."""
    priority_weight: int
    """Greater goes first. By default 0."""
    trigger_rule: TriggerRule | str
    """When the task runs, given how its upstream tasks ended. By default "all_success"."""
    multiple_outputs: bool
    """Whether each key of the returned dict also becomes an XCom of its own."""
    map_index_template: str
    """A template for the names of mapped instances."""
    variables: Sequence[str]
    """Names of variables that it reads; they ride with its start, which saves a call each."""
    connections: Sequence[str]
    """Ids of connections that it reads; they ride with its start."""
    on_partition: Literal["continue", "kill"]
    """What happens to an attempt whose worker cannot reach the server: it runs on, or it is ended before another
    could start, for a task that must never run beside itself."""
    isolation: Literal["process", "shared"]
    """Whether tasks may share a process. By default each has one of its own."""
    worker_labels: Mapping[str, str]
    """Labels that a worker must have to run it."""
    depends_on_past: bool
    """Whether an instance waits for this task's success in the run before."""
    max_active_tis_per_dag: int
    """Instances in slots at the same time, over all runs."""
    max_active_tis_per_dagrun: int
    """Instances in slots at the same time, in one run."""


NAMES = frozenset(TaskSettings.__annotations__)
_SPANS = frozenset({"retry_delay", "max_retry_delay", "execution_timeout", "cancel_grace"})
_LEAST = {
    "retries": 0, "max_lost": 0, "slots": 1, "pool_slots": 1, "max_active_tis_per_dag": 1,
    "max_active_tis_per_dagrun": 1, "retry_jitter": 0,
}  # fmt: skip
_MOST = {"retries": 1000, "retry_jitter": 1}
_CHOICES: Mapping[str, Sequence[str]] = {"on_partition": ("continue", "kill"), "isolation": ("process", "shared")}
_TEXTS = frozenset({"task_id", "display_name", "doc_md", "queue", "pool", "map_index_template"})
_NAME_LISTS = frozenset({"variables", "connections"})


def check_settings(settings: Mapping[str, Any], *, owner: str) -> TaskSettings:
    """Returns the settings with spans and trigger rule in one form.

    Args:
        settings: as the author wrote them. A None counts as not given.
        owner: whose they are, for the sentence, such as "task 'load'".

    Raises:
        TypeError: a name or type is wrong.
        ValueError: a value is out of range.
    """
    checked: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in NAMES:
            raise TypeError(f"{owner} has no setting {name!r}{suggest(name, NAMES)}")
        if value is not None:
            checked[name] = _check(name, value, owner)
    return cast(TaskSettings, checked)


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: what was meant, or nothing."""
    import difflib  # only mistakes need it

    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _check(name: str, value: Any, owner: str) -> Any:
    if name in _SPANS:
        return as_span(value, what=f"{name} of {owner}")
    if name == "trigger_rule":
        try:
            return TriggerRule(value)
        except ValueError:
            rules = ", ".join(rule.value for rule in TriggerRule)
            raise ValueError(f"{owner} has no trigger rule {value!r}; use one of {rules}") from None
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ValueError(f"{name} of {owner} is {value!r}; use one of {', '.join(_CHOICES[name])}")
    if name in _TEXTS and not isinstance(value, str):
        raise TypeError(f"{name} of {owner} is {value!r}, not text")
    if name in _NAME_LISTS:
        if isinstance(value, str) or not all(isinstance(item, str) for item in value):
            raise TypeError(f"{name} of {owner} is {value!r}; give a list of names")
        return tuple(value)
    if name in _LEAST:
        kinds = (int, float) if name == "retry_jitter" else (int,)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise TypeError(f"{name} of {owner} is {value!r}, not a number")
        if value < _LEAST[name] or value > _MOST.get(name, value):
            upper = f" and at most {_MOST[name]}" if name in _MOST else ""
            raise ValueError(f"{name} of {owner} is {value}; it must be at least {_LEAST[name]}{upper}")
    if name == "retry_exponential_backoff" and not isinstance(value, bool) and value < 1:
        raise ValueError(f"retry_exponential_backoff of {owner} is {value}; a factor must be at least 1")
    return value


def as_span(value: Span, *, what: str) -> timedelta:
    """A span given as timedelta or seconds.

    Args:
        what: names it in the sentence.

    Raises:
        TypeError: it is neither.
        ValueError: it is negative.
    """
    if isinstance(value, bool) or not isinstance(value, timedelta | int | float):
        raise TypeError(f"{what} is {value!r}; give a timedelta or a number of seconds")
    span = value if isinstance(value, timedelta) else timedelta(seconds=value)
    if span < timedelta(0):
        raise ValueError(f"{what} is {value!r}; it cannot be negative")
    return span


@dataclass(frozen=True, kw_only=True)
class Access:
    """What the tasks of a DAG may reach beyond their own data.

    Args:
        mode: "open": everything of the DAG's team; "strict": only what is named here.
        variables: names of variables, or prefixes that end in `*`.
        connections: ids of connections, or prefixes that end in `*`.
        dags: other DAGs that may be triggered or read.
    """

    mode: Literal["open", "strict"] = "strict"
    variables: Sequence[str] = ()
    connections: Sequence[str] = ()
    dags: Sequence[str] = ()
