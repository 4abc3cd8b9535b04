"""What is known of instances that wait, read from their rows for `domain.decision`, and written there.

Rows are those of a board or of a list: only the columns that are named here matter.
"""

from __future__ import annotations

from typing import Any

from crosswind_server.domain.decision import Facts, Past, Place, place_of
from crosswind_server.domain.hearing import Heard
from crosswind_server.domain.plan import DagPlan, TaskPlan
from crosswind_server.domain.skipping import read_skips
from crosswind_server.services.flow.rows import Instance


def heard_of(row: Any) -> Heard:
    """What an instance has heard of its upstream tasks."""
    return Heard(
        row.upstream_succeeded,
        row.upstream_failed,
        row.upstream_skipped,
        row.sources_ended,
        read_skips(row.skips),
    )


def remember(instance: Instance, heard: Heard) -> None:
    """Write down what an instance has heard."""
    instance.upstream_succeeded = heard.succeeded
    instance.upstream_failed = heard.failed
    instance.upstream_skipped = heard.skipped
    instance.sources_ended = heard.sources
    instance.skips = None if heard.skips is None else heard.skips.to_json()


def facts_of(
    plan: DagPlan,
    task: TaskPlan,
    row: Any,
    *,
    whole: Any = None,
    stopping: bool = False,
    past: Past = Past.UNKNOWN,
    earlier: bool | None = None,
) -> Facts:
    """What is known of an instance that waits.

    Args:
        plan: of its run.
        task: its task.
        row: its row.
        whole: the row of its task as a whole, where it is one of several instances.
        stopping, past, earlier: as in `Facts`.
    """
    place = place_of(task, row.map_index)
    group = plan.groups[task.mapped_group] if task.mapped_group is not None and place is Place.GROUP_TASK else None
    return Facts(
        heard=heard_of(row),
        place=place,
        around=None if whole is None else heard_of(whole),
        sources=0 if group is None else len(group.sources),
        past=past,
        earlier=earlier,
        stopping=stopping,
    )
