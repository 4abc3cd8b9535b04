"""Random DAGs with their runs, as the slow twin knows them and as transcripts write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from crosswind_server.domain.readiness import TriggerRule
from tests.lifecycle.graph_twin import Group, Node, Twin

LARGEST = 12
RULES = [rule.value for rule in TriggerRule]
WAYS = ("alone", "alone", "alone", "mapped", "grouped", "grouped")
"""How a task may be; what is named more often is drawn more often."""
_KINDS = ("normal", "normal", "normal", "branch", "short_circuit", "setup", "teardown", "latest_only")
_DAYS = ("2026-05-29", "2026-05-30", "2026-05-31")
"""The logical times of runs: of a daily schedule, the last is the latest when the transcripts' clock begins."""


@dataclass(frozen=True)
class Drawn:
    """A DAG and its runs: so many, of its schedule or each triggered for a day."""

    nodes: list[Node]
    scheduled: bool
    runs: int

    def text(self, dag_id: str) -> str:
        """The DAG as transcripts write it."""
        groups = {node.group.name: node.group for node in self.nodes if node.group is not None}
        head = f'{dag_id} cron="0 0 * * *" start={self.days[0]}T00:00Z catchup' if self.scheduled else dag_id
        lines = [*(each.text() for each in groups.values()), *(each.text() for each in self.nodes)]
        return f"dag {head} {{\n" + "\n".join(f"  {line}" for line in lines) + "\n}"

    @property
    def days(self) -> tuple[str, ...]:
        """The logical times of its runs."""
        return _DAYS[-self.runs :]

    def run_id(self, day: str) -> str:
        """The name of a run."""
        return f"scheduled__{day}T00:00:00.000000Z" if self.scheduled else f"r{day[-2:]}"

    def twins(self) -> dict[str, Twin]:
        """Its runs, by name."""
        made: dict[str, Twin] = {}
        before = None
        for day in self.days:
            before = Twin(self.nodes, before, outdated=self.scheduled and day != self.days[-1])
            made[self.run_id(day)] = before
        return made


@st.composite
def dags(draw: st.DrawFn, ways: Sequence[str] = WAYS, most_runs: int = 3) -> Drawn:
    """A DAG of up to twelve tasks, some of them mapped, some in mapped groups, with any trigger rules.

    Args:
        ways: how its tasks may be: among `WAYS`.
        most_runs: of it there are so many, or fewer.
    """
    nodes: list[Node] = []
    groups: dict[str, Group] = {}
    runs = draw(st.sampled_from([1, *range(1, most_runs + 1)]))
    for number in range(draw(st.integers(1, LARGEST))):
        names = [node.name for node in nodes]
        after: list[str] = draw(st.lists(st.sampled_from(names), unique=True, max_size=4)) if names else []
        items: int | None = None
        over: str | None = None
        group: Group | None = None
        how = draw(st.sampled_from(ways))
        if how == "mapped":
            over = draw(st.sampled_from([None, *after]))
            items = draw(st.integers(0, 3)) if over is None else None
        elif how == "grouped":
            group_id = draw(st.sampled_from(("g", "g", "h")))
            if group_id not in groups:
                source = draw(st.sampled_from([None, *names]))
                groups[group_id] = Group(group_id, draw(st.integers(0, 3)) if source is None else None, source)
            group = groups[group_id]
            after += [group.over] if group.over is not None else []
        # What the server decides cannot be mapped by itself.
        kind = draw(st.sampled_from(_KINDS[:-1] if how == "mapped" else _KINDS))
        made = [node.name for node in nodes if node.kind == "setup"]
        setups = draw(st.lists(st.sampled_from(made), unique=True, max_size=2)) if made and kind == "teardown" else []
        after = sorted({*after, *setups})
        rule = draw(st.sampled_from(RULES)) if after else "all_success"
        decisive = kind == "teardown" and draw(st.booleans())
        past = draw(st.sampled_from((None, None, None, "self", "downstream"))) if runs > 1 else None
        made_node = Node(f"t{number}", tuple(after), rule, items, over, kind, tuple(setups), decisive, group, past)
        nodes.append(made_node)
    return Drawn(nodes, draw(st.booleans()), runs)
