"""Writes DAGs of tests in Python. What the tasks do there, beside their orders, is said in `dags`."""

from pathlib import Path

from tests.e2e.support.dags import DagSpec

_HEAD = '''"""Written by the tests."""
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
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
            if do == "fail_in_task":
                raise RuntimeError(f"it was {{order['text']}}") from KeyError(order["text"])
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


def burn(megabytes, seconds):
    """Hold memory and use processor time."""
    held = b"x" * (megabytes << 20)
    began = time.process_time()
    while time.process_time() - began < seconds:
        sum(range(1000))
    return len(held)


def flood(lines, length):
    """Print lines that hardly compress."""
    for _ in range(lines):
        print(os.urandom(length // 2).hex())
    sys.stdout.flush()


def look_around():
    """Everything that this process and the one that it was forked from show of themselves."""
    shown = {{}}
    for name, pid in (("child", os.getpid()), ("parent", os.getppid())):
        for part in ("environ", "cmdline"):
            with open(f"/proc/{{pid}}/{{part}}", "rb") as file:
                shown[f"{{name}} {{part}}"] = file.read().decode(errors="replace")
        for number in os.listdir(f"/proc/{{pid}}/fd"):
            try:
                shown[f"{{name}} fd {{number}}"] = os.readlink(f"/proc/{{pid}}/fd/{{number}}")
            except FileNotFoundError:
                continue  # the one that listed them
    return shown


def many_lines(text, where):
    """Say a text in every form that a careless task might."""
    if where == "stdout":
        print(text)
    elif where == "stderr":
        print(text, file=sys.stderr)
    elif where == "logging":
        log.warning("it is %s", text, extra={{"secret": text, "nested": {{"in": [text]}}}})
    elif where == "exception":
        try:
            raise ValueError(text)
        except ValueError:
            log.exception("caught")
    sys.stdout.flush()


ORDERS = {{
    "ignore_term": ignore_term,
    "print": print_line,
    "log": lambda text: log.info(text),
    "spawn": spawn,
    "reach": reach,
    "bundle_process": os.getppid,
    "version": lambda: VERSION,
    "environment": lambda: dict(os.environ),
    "look_around": look_around,
    "many_lines": many_lines,
    "flood": flood,
    "burn": burn,
    "read_file": lambda path: open(path).read(),
    "get_variable": lambda key: Variable.get(key),
    "set_variable": lambda key, value: Variable.set(key, value),
    "get_connection": get_connection,
}}
'''


def python_source(dag: DagSpec, stage: Path) -> str:
    """Write a DAG file."""
    lines = [_HEAD.format(stage=str(stage), version=dag.version)]
    for spec in dag.tasks:
        parameters = (["item"] if spec.over is not None else []) + [f"from_{name}" for name in spec.after]
        lines += [
            "",
            f"@task(task_id={spec.name!r}, retries={spec.retries},",
            f"      retry_delay=timedelta(seconds={spec.retry_delay}),",
            f"      cancel_grace=timedelta(seconds={spec.cancel_grace}),",
            f"      on_partition={spec.on_partition!r}, execution_timeout={spec.timeout!r})",
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
