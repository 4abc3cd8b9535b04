"""What `work` does with tasks: everything succeeds with nothing, unless a transcript said otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.lifecycle.scene.text import Arguments


@dataclass
class _Play:
    text: str
    left: int | None


@dataclass
class Plays:
    """By task, or by instance (`a[1]`), what is to happen next."""

    _by_name: dict[str, list[_Play]] = field(default_factory=dict)

    def add(self, name: str, text: str, times: int | None) -> None:
        """What happens to a task, so many times; several follow each other."""
        self._by_name.setdefault(name, []).append(_Play(text, times))

    def forget(self, name: str) -> None:
        """Let a task succeed again."""
        self._by_name.pop(name, None)

    def next_for(self, task_id: str, map_index: int | None) -> Arguments:
        """The words of the next outcome."""
        for name in (f"{task_id}[{map_index}]", task_id):
            plays = self._by_name.get(name, [])
            while plays and plays[0].left == 0:
                plays.pop(0)
            if plays:
                if (left := plays[0].left) is not None:
                    plays[0].left = left - 1
                return Arguments.parse(plays[0].text)
        return Arguments.parse("succeeded")
