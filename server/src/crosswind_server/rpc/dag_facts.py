"""What a DAG's message tells people and the scheduler does not need: descriptions, tags, groups, the schedule."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from crosswind.manifest.v1 import dag_pb2, schedule_pb2

_CAPACITY: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """What people see of a task."""

    group_id: str
    description: str
    language: str
    pool: str
    pool_slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DagFacts:
    """What people see of a DAG."""

    description: str
    tags: tuple[str, ...]
    owner: str
    schedule: str
    languages: tuple[str, ...]
    tasks: Mapping[str, TaskFacts]


NO_FACTS: Final = DagFacts(description="", tags=(), owner="", schedule="", languages=(), tasks={})

_known: OrderedDict[str, DagFacts] = OrderedDict()


def facts_of(dag_version_id: str, message: bytes) -> DagFacts:
    """The facts in the message of a DAG version, remembered by the version's id."""
    known = _known.get(dag_version_id)
    if known is None:
        known = _read(message)
        _known[dag_version_id] = known
        if len(_known) > _CAPACITY:
            _known.popitem(last=False)
    return known


def _read(message: bytes) -> DagFacts:
    try:
        dag = dag_pb2.Dag.FromString(message)
    except DecodeError:
        return NO_FACTS
    return DagFacts(
        description=dag.description,
        tags=tuple(sorted(dag.tags)),
        owner=dag.owner,
        schedule=_schedule(dag.schedule) if dag.HasField("schedule") else "",
        languages=tuple(sorted({task.language for task in dag.tasks if task.language})),
        tasks={
            task.task_id: TaskFacts(
                group_id=task.group_id,
                description=task.doc_md,
                language=task.language,
                pool=task.pool,
                pool_slots=(task.pool_slots if task.HasField("pool_slots") else 1) if task.pool else 0,
            )
            for task in dag.tasks
        },
    )


def _schedule(schedule: schedule_pb2.Schedule) -> str:
    match schedule.WhichOneof("kind"):
        case "cron":
            return _cron(schedule.cron)
        case "interval":
            return f"every {schedule.interval.interval.ToTimedelta()}"
        case "once":
            return "once"
        case "events":
            return f"{len(schedule.events.times)} listed times"
        case "assets":
            or_cron = f", or at {_cron(schedule.assets.or_cron)}" if schedule.assets.HasField("or_cron") else ""
            return f"assets: {_assets(schedule.assets.condition)}{or_cron}"
        case "timetable":
            return f"timetable: {schedule.timetable.entry_point}"
        case _:
            return ""


def _cron(cron: schedule_pb2.CronSchedule) -> str:
    return f"{cron.expression} {cron.time_zone}" if cron.time_zone else cron.expression


def _assets(condition: schedule_pb2.AssetCondition, *, within: bool = False) -> str:
    kind = condition.WhichOneof("kind")
    if kind is None:
        return ""
    if kind == "asset":
        return condition.asset.name
    conditions = (condition.all if kind == "all" else condition.any).conditions
    text = (" and " if kind == "all" else " or ").join(_assets(each, within=True) for each in conditions)
    return f"({text})" if within and len(conditions) > 1 else text
