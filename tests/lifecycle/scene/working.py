"""Commands of workers: publish, worker, poll, start, finish, run, on, work, silent, heard, drain and the like."""

from __future__ import annotations

from collections.abc import Iterable

from crosswind.execution.v1 import lease_pb2, worker_service_pb2
from crosswind.manifest.v1 import bundle_pb2
from tests.lifecycle.scene.command import command
from tests.lifecycle.scene.dag_text import value_named
from tests.lifecycle.scene.outcomes import read_outcome
from tests.lifecycle.scene.scene import Scene
from tests.lifecycle.scene.server import CallRefused
from tests.lifecycle.scene.text import Arguments, Unreadable, show_payload
from tests.lifecycle.scene.worker import Held, PlayedWorker

BUNDLE = "flows"
MOST_ROUNDS = 10_000


@command("worker")
def worker(scene: Scene, a: Arguments) -> Iterable[str]:
    """A worker registers, or another instance of it: `worker w1 slots=4 queues=.. labels=k:v roles=tasks,triggers`.

    `with-state` says that it holds the state folder of the instance before. It offers what was published last, unless
    `bundles=none`.
    """
    name = a.word("worker's name")
    made = PlayedWorker(
        scene,
        name,
        slots=a.number("slots") or 16,
        queues=a.names("queues"),
        labels=dict(label.split(":", 1) for label in a.names("labels")),
        roles=[value_named(worker_service_pb2.WorkerRole, "WORKER_ROLE", role) for role in a.names("roles")],
    )
    before = scene.workers.get(name)
    offers = [] if a.get("bundles") == "none" else list(scene.published.values())
    made.register(offers, before if a.flag("with-state") else None)
    if before is not None:
        before.gone = True
    scene.workers[name] = made
    return ()


@command("publish")
def publish(scene: Scene, a: Arguments) -> Iterable[str]:
    """A worker publishes all DAGs as the next version of its bundle: `publish w1 bundle=flows dags=d,e offers=entry`.

    A worker is made where there is none.
    """
    name = a.words.pop(0) if a.words else None
    if name is None and not scene.workers:
        worker(scene, Arguments(["w1"], {}))
    who = scene.worker(name) if name or len(scene.workers) == 1 else next(iter(scene.workers.values()))
    bundle = a.get("bundle", BUNDLE)
    chosen = a.names("dags") or list(scene.dags)
    number = 1 + int(scene.published[bundle].bundle_version[1:]) if bundle in scene.published else 1
    manifest = bundle_pb2.Manifest(
        bundle=bundle,
        bundle_version=f"v{number}",
        api_version=str(scene.server.services.served.newest),
        sdk=bundle_pb2.Sdk(language="python", language_version="3.11", version="0.1.0"),
        dags=[
            bundle_pb2.SerializedDag(dag_id=dag_id, dag=scene.dags[dag_id].SerializeToString(deterministic=True))
            for dag_id in chosen
        ],
        offered_tasks=[bundle_pb2.OfferedTask(entry_point=entry) for entry in a.names("offers")],
    )
    scene.published[bundle] = manifest
    result = who.publish(manifest)
    for other in scene.workers.values():
        if other is not who and not other.gone:
            other.publish(manifest)
    for refused in result.refused:
        yield f"refused {refused.dag_id} {refused.reason} {refused.message}"


@command("poll")
def poll(scene: Scene, a: Arguments) -> Iterable[str]:
    """A worker asks for work once: `poll w1 most=2`. With `lost` the answer does not arrive."""
    lost, most = a.flag("lost"), a.number("most")
    who = scene.worker(a.words.pop(0) if a.words else None)
    known = who.digest
    answer = who.poll(lost=lost, most=most)
    for lease in answer.leases:
        held = Held(lease)
        again = f" delivery={lease.delivery}" if lease.delivery > 1 else ""
        yield f"{who.name} {who.label(held)} try={lease.try_number}{again}"
    if answer.directives_digest != known:
        for directive in answer.directives:
            kind = directive.WhichOneof("kind")
            yield f"{who.name} told {kind}{_object_of(who, directive)}"
    if not answer.leases and answer.directives_digest == known:
        yield f"{who.name} nothing"


def _object_of(who: PlayedWorker, directive: worker_service_pb2.Directive) -> str:
    for name in ("cancel", "lost"):
        if directive.HasField(name):
            held = who.held.get(getattr(directive, name).attempt_id)
            return f" {who.label(held)}" if held is not None else ""
    if directive.HasField("retire_bundle"):
        return f" {directive.retire_bundle.bundle} {directive.retire_bundle.bundle_version}"
    return ""


@command("start")
def start(scene: Scene, a: Arguments) -> Iterable[str]:
    """A worker starts an attempt that it holds: `start a` or `start w1 a`. `show` prints what it is given."""
    shown = a.flag("show")
    who, held = _held(scene, a)
    who.start(held)
    if shown:
        yield from context_lines(held)


def context_lines(held: Held) -> Iterable[str]:
    """What an attempt was given, as far as it says something."""
    context = held.started
    assert context is not None
    for each in context.inputs:
        kind = each.WhichOneof("value")
        if kind == "payload":
            value = show_payload(each.payload)
        elif kind == "list":
            value = "[" + ",".join(map(show_payload, each.list.payloads)) + "]"
        else:
            value = kind or "nothing"
        yield f"{each.name or each.position} = {value}"
    if context.HasField("resumption"):
        yield from (f"resumption {line}" for line in str(context.resumption).strip().splitlines())
    if context.HasField("previous_failure"):
        yield f"previous failure {context.previous_failure.type}"
    if context.map_index_name:
        yield f"named {context.map_index_name}"
    if context.HasField("callback"):
        yield from (f"callback {line}" for line in str(context.callback).strip().splitlines())
    if context.HasField("timetable"):
        yield from (f"timetable {line}" for line in str(context.timetable).strip().splitlines())


@command("finish")
def finish(scene: Scene, a: Arguments) -> Iterable[str]:
    """A worker finishes an attempt: `finish a failed type=ValueError`. `id=o1` names the outcome's id.

    With `keep` the worker goes on holding the attempt, as one that did not get the answer.
    """
    outcome_id, keep = a.get("id") or None, a.flag("keep")
    who, held = _held(scene, a)
    answer = who.finish(held, read_outcome(a, scene.now_us), outcome_id=outcome_id, keep=keep)
    return ["recorded as cancelled"] if answer.recorded_as_cancelled else ()


@command("run")
def run(scene: Scene, a: Arguments) -> Iterable[str]:
    """Start and finish an attempt: `run a result=[1,2]`. One that no worker holds is polled for first."""
    name = a.words[1] if a.words and a.words[0] in scene.workers else a.words[0]
    if not any(each.find(name) for each in scene.workers.values()):
        for each in scene.workers.values():
            if not (each.gone or each.silent):
                each.poll()
    who, held = _held(scene, a)
    who.start(held)
    answer = who.finish(held, read_outcome(a, scene.now_us))
    return ["recorded as cancelled"] if answer.recorded_as_cancelled else ()


def _held(scene: Scene, a: Arguments) -> tuple[PlayedWorker, Held]:
    candidates = [scene.workers[a.words.pop(0)]] if a.words and a.words[0] in scene.workers else scene.workers.values()
    name = a.word("task")
    for who in candidates:
        held = who.find(name)
        if held is not None:
            return who, held
    holding = [who.label(held) for who in scene.workers.values() for held in who.held.values()]
    raise Unreadable(f"Nobody holds an attempt of {name}; there are {', '.join(holding) or 'none'}.")


@command("on")
def on(scene: Scene, a: Arguments) -> Iterable[str]:
    """What `work` shall do with a task, or with code beside tasks by its entry point: `on a failed times=2`,
    `on a[1] result=5`, `on mod:watch result=1`, `on a forget`."""
    name = a.word("task")
    if a.flag("forget"):
        scene.plays.forget(name)
        return ()
    times = a.number("times")
    text = a.raw.strip().removeprefix(name).strip().replace(f"times={times}", "")
    read_outcome(a, scene.now_us)  # it can be read, and leaves nothing over
    scene.plays.add(name, text, times)
    return ()


@command("work")
def work(scene: Scene, a: Arguments) -> Iterable[str]:
    """The workers take, start and finish until there is nothing to do: `work`, `work w1`, `work most=3`."""
    most = a.number("most")
    names = [a.words.pop(0) for _ in list(a.words)]
    for _ in range(MOST_ROUNDS):
        did = 0
        for who in [scene.workers[name] for name in names] or list(scene.workers.values()):
            if who.gone or who.silent:
                continue
            who.poll(most=None if most is None else most)
            for held in [each for each in who.held.values() if each.started is None][:most]:
                yield _play(scene, who, held)
                did += 1
                if most is not None:
                    most -= 1
            scene.server.settle()
        if did == 0 or most == 0:
            return
    raise AssertionError("There is no end of work.")


def _play(scene: Scene, who: PlayedWorker, held: Held) -> str:
    key = held.lease.task_instance
    name = who.label(held)
    # What is no task goes by its entry point.
    is_task = held.lease.workload == lease_pb2.WORKLOAD_TASK
    played = key.task_id if is_task else held.lease.entry_point
    words = scene.plays.next_for(played, held.map_index if is_task else None)
    outcome = read_outcome(words, scene.now_us)
    try:
        who.start(held)
        answer = who.finish(held, outcome)
    except CallRefused as refused:
        return f"{name} error {refused.code}/{refused.reason}"
    kind = outcome.WhichOneof("kind")
    return f"{name} {'cancelled' if answer.recorded_as_cancelled else kind}"


@command("beat")
def beat(scene: Scene, a: Arguments) -> Iterable[str]:
    """A worker sends a heartbeat now; what the server says of its attempts is printed."""
    return scene.worker(a.words.pop(0) if a.words else None).beat()


@command("silent")
def silent(scene: Scene, a: Arguments) -> Iterable[str]:
    """A worker sends no heartbeats, and does no work."""
    scene.worker(a.words.pop(0) if a.words else None).silent = True
    return ()


@command("heard")
def heard(scene: Scene, a: Arguments) -> Iterable[str]:
    """A silent worker is there again."""
    who = scene.worker(a.words.pop(0) if a.words else None)
    who.silent = False
    return who.beat()


@command("deregister")
def deregister(scene: Scene, a: Arguments) -> Iterable[str]:
    """A worker leaves."""
    scene.worker(a.words.pop(0) if a.words else None).deregister()
    return ()


@command("drain")
def drain(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody has a worker drained."""
    scene.call("WorkerAdminService.DrainWorker", name=a.word("worker"))
    return ()


@command("pause-worker")
def pause_worker(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody pauses a worker, or lets it go on: `pause-worker w1`, `pause-worker w1 off`."""
    scene.call("WorkerAdminService.PauseWorker", name=a.word("worker"), paused=not a.flag("off"))
    return ()


@command("move")
def move(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody moves a worker away."""
    scene.call("WorkerAdminService.MoveWorker", name=a.word("worker"))
    return ()
