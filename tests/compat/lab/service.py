"""The laboratory's handlers. They know the newest version alone, as those of a server do."""

from __future__ import annotations

import importlib
import sys
from collections import defaultdict
from functools import cache
from types import ModuleType
from typing import Any, Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.rpc.authorisation import Rule
from crosswind_server.rpc.leniency import is_lenient
from crosswind_server.rpc.server import Register
from tests.compat.lab.history import NEWEST
from tests.compat.lab.stubs import python_stubs

SCOPE: Final = "lab-scope"
"""The metadata key that names whose tasks a call is about: every case has some of its own."""

MAX_TITLE: Final = 12
MAX_STEPS: Final = 3
MAX_NOTE: Final = 20
MAX_ENDPOINT: Final = 30
PRIORITY: Final = 8
"""The default that `Task.priority` has in the newest version."""

LAB: Final = "/lab.v1.LabService"
RULES: Final = {
    f"{LAB}/CreateTask": Rule.OPERATOR,
    f"{LAB}/GetTask": Rule.VIEWER,
    f"{LAB}/ListTasks": Rule.VIEWER,
    f"{LAB}/AppendEvent": Rule.OPERATOR,
    f"{LAB}/ListEvents": Rule.VIEWER,
    f"{LAB}/GetStatistics": Rule.VIEWER,
    "/lab.v1.OutcomeService/RecordOutcome": Rule.OPERATOR,
}
"""Which token opens which method; there is none for the methods of older versions."""


@cache
def newest(name: str) -> ModuleType:
    """A module of the stubs that are generated from the newest version, such as `tasks_pb2`."""
    folder = str(python_stubs(NEWEST))
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(f"lab.v1.{name}")


def registers() -> list[Register]:
    """What adds the servicers to a server."""
    stubs = newest("service_pb2_grpc")
    servicer = Laboratory()
    return [
        lambda server: stubs.add_LabServiceServicer_to_server(servicer, server),
        lambda server: stubs.add_OutcomeServiceServicer_to_server(servicer, server),
    ]


class Laboratory:
    """Both services."""

    def __init__(self) -> None:
        self._tasks: dict[str, dict[str, Any]] = defaultdict(dict)
        self._events: dict[str, list[Any]] = defaultdict(list)
        self._pb, self._calls = newest("tasks_pb2"), newest("service_pb2")
        self._finals = (
            self._pb.STATE_SUCCEEDED,
            self._pb.STATE_FAILED,
            self._pb.STATE_SKIPPED,
            self._pb.STATE_ABORTED,
        )

    async def CreateTask(self, request: Any, context: Any) -> Any:
        """Keep a task, which is answered as it is kept."""
        task, tasks = request.task, self._tasks[scope(context)]
        if not task.queue:
            raise invalid("task.queue", "A task names its queue.")
        if len(task.title) > MAX_TITLE and not is_lenient("long_titles"):
            raise invalid("task.title", f"A title has at most {MAX_TITLE} characters.")
        if task.retries.limit < 0:
            raise invalid("task.retries.limit", "A task is tried as often as a number says that is not negative.")
        if len(task.endpoint) > MAX_ENDPOINT:
            raise invalid("task.endpoint", f"An endpoint has at most {MAX_ENDPOINT} characters.")
        for place, step in enumerate(task.steps):
            if step.wait.seconds < 0:
                raise invalid(f"task.steps[{place}].wait", "A step waits for a time that is not negative.")
        if len(task.steps) > MAX_STEPS:
            raise too_large(f"A task has at most {MAX_STEPS} steps.", MAX_STEPS)
        if task.task_id in tasks and tasks[task.task_id].state in self._finals:
            metadata = {"task_id": task.task_id}
            raise Refused(Reason.TASK_FINISHED, f"The task {task.task_id} has ended.", metadata=metadata)
        if task.task_id in tasks:
            raise Refused(Reason.RUN_EXISTS, f"There is a task {task.task_id}.", metadata={"task_id": task.task_id})
        tasks[task.task_id] = task
        return self._calls.CreateTaskResponse(task=task)

    async def GetTask(self, request: Any, context: Any) -> Any:
        """One task; of a queued one also how many are before it."""
        task = self._find(request.task_id, context)
        if task.state != self._pb.STATE_QUEUED:
            return self._calls.GetTaskResponse(task=task, hint="not queued")
        queued = [each for each in self._ordered(context) if each.state == task.state and each.queue == task.queue]
        return self._calls.GetTaskResponse(task=task, queue_position=queued.index(task))

    async def ListTasks(self, request: Any, context: Any) -> Any:
        """All tasks, the most urgent first."""
        return self._calls.ListTasksResponse(tasks=self._ordered(context))

    async def GetStatistics(self, request: Any, context: Any) -> Any:
        """How many tasks are in some states, or in any."""
        tasks = [each for each in self._ordered(context) if not request.states or each.state in request.states]
        failed = sum(each.state == self._pb.STATE_FAILED for each in tasks)
        return self._calls.GetStatisticsResponse(tasks=len(tasks), failed=failed)

    async def RecordOutcome(self, request: Any, context: Any) -> Any:
        """End a task."""
        task, metadata = self._find(request.task_id, context), {"task_id": request.task_id}
        if task.state in self._finals:
            raise Refused(Reason.TASK_FINISHED, f"The task {task.task_id} has ended.", metadata=metadata)
        if task.state == self._pb.STATE_CANCELLING:
            raise Refused(Reason.RUN_CANCELLING, f"The task {task.task_id} is being cancelled.", metadata=metadata)
        if request.outcome not in self._finals and not is_lenient("any_final_state"):
            raise invalid("outcome", "A task ends in a state that is an end.")
        task.state = request.outcome
        return self._calls.RecordOutcomeResponse(finished=task)

    async def AppendEvent(self, request: Any, context: Any) -> Any:
        """Keep an event."""
        if len(request.event.note) > MAX_NOTE:
            raise too_large(f"A note has at most {MAX_NOTE} characters.", MAX_NOTE)
        self._events[scope(context)].append(request.event)
        return self._calls.AppendEventResponse()

    async def ListEvents(self, request: Any, context: Any) -> Any:
        """All events, and the last one once more."""
        events = self._events[scope(context)]
        return self._calls.ListEventsResponse(events=events, last=events[-1] if events else None)

    def _ordered(self, context: Any) -> list[Any]:
        def urgency(task: Any) -> tuple[int, str]:
            return -(task.priority if task.HasField("priority") else PRIORITY), task.task_id

        return sorted(self._tasks[scope(context)].values(), key=urgency)

    def _find(self, task_id: str, context: Any) -> Any:
        task = self._tasks[scope(context)].get(task_id)
        if task is None:
            raise Refused(Reason.TASK_NOT_FOUND, f"There is no task {task_id}.", metadata={"task_id": task_id})
        return task


def scope(context: Any) -> str:
    """Whose tasks a call is about."""
    return str(dict(context.invocation_metadata())[SCOPE])


def invalid(name: str, message: str) -> Refused:
    """A field that is missing or out of range."""
    return Refused(Reason.INVALID_ARGUMENT, message, metadata={"field": name})


def too_large(message: str, limit: int) -> Refused:
    """Something that is beyond a limit."""
    return Refused(Reason.VALUE_TOO_LARGE, message, metadata={"limit": str(limit)})
