"""A DAG file in Python with a callback that fails.

The SDK has no words for callbacks yet, so the file adds its own to the manifest that the SDK makes of its DAG.
"""

from pathlib import Path

_FILE = '''
"""A task that fails, and an alarm that fails too."""
import crosswind.author.manifest as manifests
from crosswind import DAG, task

@task
def work() -> None:
    raise ValueError("no such flight")

@task
def alarm(event: str, failure: str) -> None:
    print(f"alarm on {event}: {failure}")
    raise RuntimeError("the pager is off")

with DAG("calls"):
    work()

_make = manifests.make_dag

def make_dag(dag, *, root):
    message = _make(dag, root=root)
    if dag.dag_id == "calls":
        message.tasks[0].callbacks.add(trigger="TRIGGER_FAILURE", entry_point="calls:alarm")
    return message

manifests.make_dag = make_dag
'''


def write_calls(dags: Path) -> None:
    """Write the DAG `calls`, with the task `work`, into a folder of DAGs."""
    (dags / "calls.py").write_text(_FILE)
