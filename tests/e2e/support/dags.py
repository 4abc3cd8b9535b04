"""DAGs for tests, said in terms of what a task does; each language's writer turns them into its source.

A test says `TaskSpec("load", after=("extract",), retries=1)` and never in which language. `python_source` is the writer
for Python; a worker kind (see `workers`) brings its own.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Does:
    """What a task does.

    Args:
        perform: come to the stage and obey (see `puppets`); else return at once.
        value: what it returns without performing.
        note: append a line `<task> <map_index> <try>` to this file first.
    """

    perform: bool = True
    value: int | list[int] = 0
    note: Path | None = None


PERFORM = Does()


@dataclass(frozen=True)
class TaskSpec:
    """A task.

    Args:
        name: its id.
        after: tasks whose results it takes as arguments, in order.
        does: what it does.
        retries: further tries after a failure.
        retry_delay: between tries, in seconds.
        cancel_grace: between TERM and KILL, in seconds.
        over: a task, or numbers, that it is mapped over; the item is its first argument.
    """

    name: str
    after: tuple[str, ...] = ()
    does: Does = PERFORM
    retries: int = 0
    retry_delay: float = 0.05
    cancel_grace: float = 10.0
    over: str | tuple[int, ...] | None = None


@dataclass(frozen=True)
class DagSpec:
    """A DAG. `version` does nothing but change its source."""

    dag_id: str
    tasks: tuple[TaskSpec, ...]
    version: int = 1


_PYTHON_HEAD = '''"""Written by the tests."""
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta

from crosswind import DAG, Connection, Variable, get_current_context, task

STAGE = {stage!r}
VERSION = {version}
log = logging.getLogger("puppet")


def note(file, role):
    context = get_current_context()
    index = "-" if context.map_index is None else context.map_index
    with open(file, "a") as notes:
        notes.write(f"{{role}} {{index}} {{context.try_number}}\\n")


def perform(role, arguments):
    """Come to the stage and obey."""
    context = get_current_context()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(STAGE)
        stream = connection.makefile("r")

        def say(message):
            # Not through a buffer: one that a signal interrupts may send its content again.
            connection.sendall(json.dumps(message).encode() + b"\\n")

        who = {{"dag": context.dag_id, "role": role, "try": context.try_number}}
        say({{**who, "pid": os.getpid(), "value": arguments}})
        for line in stream:
            order = json.loads(line)
            do = order.pop("do")
            if do == "return":
                return order["value"]
            if do == "return_text":
                text = "x" * order["length"]
                return text if order["times"] is None else [text] * order["times"]
            if do == "exit":
                os._exit(order["code"])
            if do == "fail":
                raise RuntimeError(order["message"])
            try:
                say({{"value": ORDERS[do](**order)}})
            except Exception as error:
                say({{"error": f"{{type(error).__name__}}: {{error}}"}})
    raise RuntimeError("The stage is gone.")


def ignore_term():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def print_line(text, error=False):
    print(text, file=sys.stderr if error else sys.stdout, flush=True)


def spawn():
    """Start a grandchild that would outlive this process; it ignores TERM and a hang-up too."""
    code = "import signal; signal.signal(15, 1); signal.signal(1, 1); print(flush=True); signal.pause()"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    child.stdout.readline()
    return child.pid


def reach(host, port):
    """Say whether a TCP port answers, and if not why."""
    try:
        socket.create_connection((host, port), 2).close()
    except OSError as error:
        return f"{{type(error).__name__}}: {{error}}"
    return "connected"


def get_connection(connection_id):
    connection = Connection.get(connection_id)
    return {{"host": connection.host, "password": connection.password}}


ORDERS = {{
    "ignore_term": ignore_term,
    "print": print_line,
    "log": lambda text: log.info(text),
    "spawn": spawn,
    "reach": reach,
    "parent": os.getppid,
    "version": lambda: VERSION,
    "environment": lambda: dict(os.environ),
    "read_file": lambda path: open(path).read(),
    "get_variable": lambda key: Variable.get(key),
    "set_variable": lambda key, value: Variable.set(key, value),
    "get_connection": get_connection,
}}
'''


def python_source(dag: DagSpec, stage: Path) -> str:
    """Write a DAG file."""
    lines = [_PYTHON_HEAD.format(stage=str(stage), version=dag.version)]
    for spec in dag.tasks:
        parameters = (["item"] if spec.over is not None else []) + [f"from_{name}" for name in spec.after]
        lines += [
            "",
            f"@task(task_id={spec.name!r}, retries={spec.retries},",
            f"      retry_delay=timedelta(seconds={spec.retry_delay}),",
            f"      cancel_grace=timedelta(seconds={spec.cancel_grace}))",
            f"def run_{spec.name}({', '.join(parameters)}):",
            *([f"    note({str(spec.does.note)!r}, {spec.name!r})"] if spec.does.note else []),
            f"    return perform({spec.name!r}, [{', '.join(parameters)}])"
            if spec.does.perform
            else f"    return {spec.does.value!r}",
            "",
        ]
    lines += ["", f"with DAG({dag.dag_id!r}):"]
    for spec in dag.tasks:
        arguments = ", ".join(f"from_{name}=result_{name}" for name in spec.after)
        call = f"run_{spec.name}({arguments})"
        if spec.over is not None:
            items = f"result_{spec.over}" if isinstance(spec.over, str) else repr(list(spec.over))
            call = f"run_{spec.name}{f'.partial({arguments})' if arguments else ''}.expand(item={items})"
        lines.append(f"    result_{spec.name} = {call}")
    return "\n".join(lines) + "\n"
