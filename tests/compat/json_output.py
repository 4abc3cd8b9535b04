"""What the commands print with `--output json` today, and the shape of it: which keys there are, and of which types.

The shapes of each release are files in `json/<API version>/`, which `python -m tests.compat.freeze` writes and which
are kept for good. A shape is a type's name, several divided by `|`, `[shape]` for a list, or an object of shapes. A key
that a release printed stays, with one of its types; keys may be added.
"""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crosswind.cli.application import run as run_command
from tests.e2e.support.callbacks import write_calls
from tests.e2e.support.control import Control
from tests.e2e.support.processes import BIN, run
from tests.e2e.support.scripted_process import ScriptedProcess
from tests.e2e.support.versions import serving
from tests.e2e.support.workers import PythonKind, WorkerProcess

FOLDER = Path(__file__).with_name("json")
_MAPS = ("labels", "conf", "params", "metadata", "extra", "fields")
"""Keys under which an object has keys of the user's own."""
_DAG = '''
"""For people."""
from datetime import datetime

from crosswind import DAG, task

@task
def numbers() -> list[int]:
    """Some numbers."""
    print("hello")
    return [1, 2]

@task(retries=0)
def fail(number: int) -> int:
    raise ValueError(f"no {number}")

with DAG("shapes", description="What it does", tags=["a"], params={"day": "monday"}):
    fail.expand(number=numbers())

with DAG("idle"):
    numbers.override(queue="nobody serves it")()

with DAG("nightly", schedule="@daily", start_date=datetime(2999, 1, 1)):
    numbers.override(queue="nobody serves it")()
'''

_ASKING = """
dag asks { person }
on person awaiting_input subject="Really?" body="Why" options=yes,no default=no fields={"type":"object"} timeout=1h
"""


def print_everything(folder: Path) -> Iterator[tuple[str, Any]]:
    """The answers of the commands, each with its name, from a server with a worker, on a run that failed."""
    dags = folder / "dags"
    dags.mkdir()
    (dags / "shapes.py").write_text(_DAG)
    write_calls(dags)
    (folder / "secret").write_text("s3cret")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(None, folder))
        worker = WorkerProcess(
            PythonKind(), server.address, folder / "enrolment-token", dags=dags, folder=folder / "worker"
        )
        stack.callback(worker.close)
        worker.start()
        worker.wait_on_offer()
        control = Control(server.address, server.access_token)
        stack.callback(control.close)
        run_id = control.trigger("shapes", conf=b'{"day": "friday"}')
        assert control.wait_run("shapes", run_id) == "FAILED"
        control.read_log("shapes", run_id, "numbers")
        name = f"shapes/{run_id}"
        options = ["--server", server.address, "--token-file", str(folder / "access-token"), "--output", "json"]
        (listed,) = _ask(["workers", "list", *options])
        worker_name = listed["name"]
        calls = control.trigger("calls")
        assert control.wait_run("calls", calls) == "FAILED"
        (alarm,) = _ask(["workloads", "list", "calls", *options])
        # Until its last record, so that its end is shown.
        called = _ask(["workloads", "logs", alarm["workload_id"], "--follow", *options])
        asking = ScriptedProcess(
            server.address, folder / "enrolment-token", script=_ASKING, name="asking", folder=folder / "asking"
        )
        stack.callback(asking.close)
        asking.start()
        asking.wait_for("^published")
        control.trigger("asks")
        asking.wait_for("^ended person awaiting_input")
        (asked,) = _ask(["inputs", "list", *options])
        yield "inputs-list", [asked]
        yield "workloads-logs", called
        connection = "postgres://ann@db:5432/sales"
        for title, arguments in {
            "variables-set": ["variables", "set", "key", "value", "--public", "--description", "what for"],
            "variables-list": ["variables", "list"],
            "variables-get": ["variables", "get", "key"],
            "variables-delete": ["variables", "delete", "key"],
            "connections-set": ["connections", "set", "db", connection, "--description", "what for"],
            "connections-list": ["connections", "list"],
            "connections-get": ["connections", "get", "db"],
            "connections-delete": ["connections", "delete", "db"],
            "dags-list": ["dags", "list"],
            "dags-show": ["dags", "show", "shapes"],
            "dags-versions": ["dags", "versions", "shapes"],
            "dags-check": ["dags", "check", str(dags)],
            "dags-pause": ["dags", "pause", "shapes"],
            "dags-unpause": ["dags", "unpause", "shapes"],
            "dags-trigger": ["dags", "trigger", "idle", "--run-id", "idle", "--note", "a note", "--conf", '{"a": 1}'],
            "runs-list": ["runs", "list"],
            "runs-note": ["runs", "note", "idle/idle", "another note"],
            "runs-show": ["runs", "show", name],
            "tasks-list-waiting": ["tasks", "list", "idle/idle"],
            "runs-cancel": ["runs", "cancel", "idle/idle"],
            "tasks-list": ["tasks", "list", name],
            "tasks-logs": ["tasks", "logs", name, "numbers"],
            "tasks-attempts": ["tasks", "attempts", name, "numbers"],
            "tasks-clear": ["tasks", "clear", "idle/idle", "numbers", "--downstream", "--upstream"],
            "tasks-cancel": ["tasks", "cancel", "idle/idle", "numbers"],
            "tasks-mark": ["tasks", "mark", "idle/idle", "numbers", "skipped"],
            "runs-clear": ["runs", "clear", "idle/idle", "--only-failed", "--dry-run"],
            "runs-mark": ["runs", "mark", "idle/idle", "failed"],
            "backfills-create": ["backfills", "create", "nightly", "--from", "2026-03-01", "--to", "2026-03-03"],
            "backfills-list": ["backfills", "list"],
            "events-deliver": ["events", "deliver", "file-came", "--payload", '{"path": "/a"}'],
            "inputs-answer": [
                *("inputs", "answer", asked["input_request_id"], "--option", "yes", "--fields", '{"day": "friday"}')
            ],
            "workloads-list": ["workloads", "list"],
            "workloads-show": ["workloads", "show", alarm["workload_id"]],
            "assets-list": ["assets", "list"],
            "assets-events": ["assets", "events"],
            "pools-set": ["pools", "set", "warehouse", "8", "--description", "what for"],
            "pools-list": ["pools", "list"],
            "pools-get": ["pools", "get", "warehouse"],
            "pools-delete": ["pools", "delete", "warehouse"],
            "workers-list": ["workers", "list"],
            "workers-pause": ["workers", "pause", worker_name],
            "workers-unpause": ["workers", "unpause", worker_name],
            "workers-move": ["workers", "move", worker_name],
            "bundles-list": ["bundles", "list"],
            "bundles-versions": ["bundles", "versions", listed["bundles"][0]["bundle"]],
            "bundles-use": ["bundles", "use", listed["bundles"][0]["bundle"], listed["bundles"][0]["bundle_version"]],
            "server-info": ["server", "info"],
            "tokens-create": ["tokens", "create", "ann", "--role", "viewer"],
            "tokens-list": ["tokens", "list"],
            "workers-drain": ["workers", "drain", worker_name],
        }.items():
            yield title, _ask([*arguments, *options])
        yield "version", _ask(["version", "--output", "json"])
        database = f"sqlite:///{folder / 'crosswind.db'}"
        done = run([BIN / "crosswind-server", "versions", "--db", database, "-o", "json"], folder=folder)
        yield "server-versions", json.loads(done.stdout)


def _ask(arguments: Sequence[str]) -> Any:
    """What a command prints; in this process, since two dozen of them would take as many seconds to start."""
    output = io.StringIO()
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("CROSSWIND_")}
    try:
        with contextlib.redirect_stdout(output):
            code = run_command(arguments)
    finally:
        os.environ.update(kept)
    text = output.getvalue()
    assert text, f"crosswind {' '.join(arguments)} ended with {code} and printed nothing"
    if arguments[1] == "logs":
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text)


# --- shapes -----------------------------------------------------------------------------------------------------------


def shape_of(value: Any, *, key: str = "") -> Any:
    """The shape of a value."""
    if isinstance(value, Mapping):
        return "map" if key in _MAPS else {name: shape_of(each, key=name) for name, each in value.items()}
    if isinstance(value, list):
        shape: Any = None
        for each in value:
            shape = shape_of(each) if shape is None else join(shape, shape_of(each))
        return [shape] if shape is not None else []
    return _NAMES[type(value)]


_NAMES = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}


def join(one: Any, other: Any) -> Any:
    """The shape of both of two values."""
    if one == other or other in ([], "null"):
        return one if not (other == "null" and isinstance(one, str)) else _types(one, other)
    if one in ([], "null"):
        return other if not (one == "null" and isinstance(other, str)) else _types(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        names = [*one, *(name for name in other if name not in one)]
        return {
            name: join(one[name], other[name]) if name in one and name in other else one.get(name, other.get(name))
            for name in names
        }
    if isinstance(one, list) and isinstance(other, list):
        return [join(one[0], other[0])]
    if isinstance(one, str) and isinstance(other, str):
        return _types(one, other)
    raise TypeError(f"{one} and {other} are of different kinds")


def _types(*shapes: str) -> str:
    return "|".join(sorted({name for shape in shapes for name in shape.split("|")}))


def differences(promised: Any, found: Any, where: str = "") -> Iterator[str]:
    """What a shape lacks of one that was promised, in sentences. Nothing: who reads what was promised can read it."""
    if promised in ("null", []) or found in ("null", []):
        return  # nothing was seen of it
    if isinstance(promised, dict) and isinstance(found, dict):
        for name, shape in promised.items():
            if name not in found:
                yield f"{where}.{name} is gone"
            else:
                yield from differences(shape, found[name], f"{where}.{name}")
    elif isinstance(promised, list) and isinstance(found, list):
        yield from differences(promised[0], found[0], f"{where}[]")
    elif isinstance(promised, str) and isinstance(found, str):
        new = set(found.split("|")) - {*promised.split("|"), "null"}
        if new:
            yield f"{where} was {promised}, and is {'|'.join(sorted(new))} now"
    else:
        yield f"{where} was {_kind(promised)}, and is {_kind(found)} now"


def _kind(shape: Any) -> str:
    return "an object" if isinstance(shape, dict) else "a list" if isinstance(shape, list) else str(shape)


def read_shapes(version: str) -> dict[str, Any]:
    """The shapes that an API version promised, by the command's name."""
    return {file.stem: json.loads(file.read_text()) for file in sorted((FOLDER / version).glob("*.json"))}


def write_shapes(version: str, folder: Path) -> None:
    """Write the shapes of what the commands print now, as those of an API version."""
    target = FOLDER / version
    target.mkdir(parents=True, exist_ok=True)
    for title, answer in print_everything(folder):
        (target / f"{title}.json").write_text(json.dumps(shape_of(answer), indent=2) + "\n")
        print(f"{target / title}.json", file=sys.stderr)
