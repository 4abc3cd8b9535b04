"""What a scripted worker publishes and plays, as text:

    dag d max_active_runs=2 {          the DAGs that it publishes, as transcripts write them: see tests/lifecycle/scene
      a; b after=a rule=one_failed
    }
    manifest <textproto>               or the text form of `manifest.v1.Dag`
    on a failed type=ValueError times=2
    on b branch=c wait=go              waits until the test says `go`, then succeeds
    on mod:notify ...                  by entry point: callbacks, triggers, timetables
    on b deaf wait=never               goes on although it is to be cancelled
    on b call.read=GetState{key:"k"}   asks the server under its lease, before it waits: see task_calls

Without `on`, everything succeeds with nothing. The first of `a[1]`, `a`, `mod:a` that is in the script counts.
"""

from __future__ import annotations

import time

from google.protobuf import text_format

from crosswind.manifest.v1 import dag_pb2
from tests.lifecycle.scene.dag_text import read_dag
from tests.lifecycle.scene.text import Arguments, cut_braces, split


class Script:
    """What a file says: DAGs, and what happens to their tasks."""

    def __init__(self, text: str) -> None:
        self.dags: dict[str, dag_pb2.Dag] = {}
        self._plays: dict[str, list[tuple[str, float]]] = {}
        for part in split(text, "\n"):
            verb, _, rest = part.partition(" ")
            if verb == "dag":
                head, body = cut_braces(rest)
                dag = read_dag(head, body, now_us=now_us())
                self.dags[dag.dag_id] = dag
            elif verb == "manifest":
                dag = text_format.Parse(rest, dag_pb2.Dag())
                self.dags[dag.dag_id] = dag
            elif verb == "on":
                arguments = Arguments.parse(rest)
                times = arguments.number("times")
                name = arguments.word("task")
                play = rest.removeprefix(name).replace(f"times={times}", "")
                self._plays.setdefault(name, []).append((play, float("inf") if times is None else times))
            elif not verb.startswith("#"):
                raise ValueError(f"A script has no {verb!r}.")

    def take(self, *names: str) -> Arguments:
        """The next thing that happens to what has these names."""
        for name in names:
            plays = self._plays.get(name, [])
            for position, (text, left) in enumerate(plays):
                if left > 0:
                    plays[position] = (text, left - 1)
                    return Arguments.parse(text)
        return Arguments.parse("succeeded")


def now_us() -> int:
    """The time, in microseconds since 1970."""
    return time.time_ns() // 1_000
