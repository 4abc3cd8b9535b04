"""What lands with an outcome, in its transaction: XComs, state for the next try, and events of assets. [SCHED-1]"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crosswind_server.domain.ids import uuid7
from crosswind_server.domain.lifecycle import Event
from crosswind_server.services.execution import state_store
from crosswind_server.services.execution.state_store import StateWrite
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Instance
from crosswind_server.services.runs import asset_events
from crosswind_server.services.runs.asset_events import Emission, Source
from crosswind_server.store import xcoms

if TYPE_CHECKING:
    from crosswind_server.services.execution.attempts import FinishAttempt


@dataclass(slots=True)
class Landing:
    """Gathers what the outcomes of one transaction bring, and writes it together."""

    board: Board
    _xcoms: list[xcoms.XComRow] = field(default_factory=list)
    _states: list[tuple[str, StateWrite]] = field(default_factory=list)
    _events: dict[str, list[tuple[Emission, Source]]] = field(default_factory=dict)

    def add(self, instance: Instance, command: FinishAttempt) -> None:
        """Take what an accepted outcome of a task brings. Events of assets count only where it succeeded.

        An asset that the task declares as outlet has an event then, though the outcome names none.
        """
        self._xcoms += [
            xcoms.XComRow(
                id=str(uuid7(self.board.uow.now)),
                run_key=instance.run_key,
                task_id=instance.task_id,
                map_index=instance.map_index,
                key=key,
                encoding=value.encoding,
                metadata=value.metadata,
                data=value.data,
                items=value.items,
            )
            for key, value in dict(command.values).items()
        ]
        self._states += [(instance.id, each) for each in command.checkpoints]
        if command.event is Event.FINISH_SUCCEEDED:
            self._add_events(instance, command)

    def _add_events(self, instance: Instance, command: FinishAttempt) -> None:
        named = {each.asset.name for each in command.emissions}
        outlets = self.board.task_of(instance).outlets
        implied = [Emission(asset=each) for each in outlets if not each.alias and each.name not in named]
        source = Source(
            run_key=instance.run_key,
            task_id=instance.task_id,
            map_index=instance.map_index if instance.map_index >= 0 else None,
        )
        if implied or command.emissions:
            team = self._events.setdefault(instance.team, [])
            team += [(each, source) for each in (*command.emissions, *implied)]

    def write(self) -> None:
        """Write it."""
        uow = self.board.uow
        xcoms.write(uow, self._xcoms)
        if self._states:
            state_store.write_all(uow, self._states)
        for team, emissions in sorted(self._events.items()):
            asset_events.emit(uow, team, emissions)
