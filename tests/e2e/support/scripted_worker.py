"""A worker in a process of its own that plays a script: the protocol as a third party would speak it.

It is started by `Cluster.start_scripted_worker`, speaks nothing but the generated stubs over gRPC, and runs no code of
tasks; what happens to them is in a `Script`. What it does it says on its output, for `wait_for`: `registered NAME`,
`published VERSION DAGS`, `refused DAG REASON sentence`, `took NAME try=1`, `started NAME {..arguments..}`,
`answered NAME CALL {..}`, `denied NAME CALL REASON`, `waits NAME`, `ended NAME KIND`, `dropped NAME REASON`,
`told KIND`, `left`. To its input tests say `go WORD`, `publish` (it reads its script again) and `leave`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from crosswind.execution.v1 import lease_pb2, task_service_pb2_grpc, worker_service_pb2, worker_service_pb2_grpc
from crosswind.execution.v1.outcome_pb2 import Cancelled, Outcome
from crosswind.manifest.v1 import bundle_pb2
from tests.e2e.support.control import API_VERSION, metadata_of, open_channel, reason_of
from tests.e2e.support.protocol_worker import poll_request
from tests.e2e.support.script import Script, now_us
from tests.e2e.support.task_calls import described, metadata_under, read_call, shown
from tests.lifecycle.scene.dag_text import value_named
from tests.lifecycle.scene.outcomes import read_outcome

_SAYING = threading.Lock()
_REFUSALS = ("STALE_LEASE", "ATTEMPT_CANCELLING", "UNKNOWN_ATTEMPT", "OUTCOME_CONFLICT")
_CANCEL = worker_service_pb2.HeartbeatResponse.VERDICT_CANCEL
_LOST = worker_service_pb2.HeartbeatResponse.VERDICT_LOST


class Attempt:
    """One attempt that the worker holds."""

    def __init__(self, lease: lease_pb2.Lease) -> None:
        self.lease = lease
        self.cancelled = threading.Event()
        key = lease.task_instance
        index = f"[{key.map_index}]" if key.HasField("map_index") else ""
        kind = lease_pb2.Workload.Name(lease.workload).removeprefix("WORKLOAD_").lower()
        self.task = key.task_id + index
        self.name = self.task if kind in ("task", "unspecified") else f"{kind}:{lease.entry_point}"


class ScriptedWorker:
    """The worker inside of its process."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._token = Path(options.token_file).read_text().strip()
        self._channel = open_channel(options.server)
        self._calls = worker_service_pb2_grpc.WorkerServiceStub(self._channel)
        self._task_calls = task_service_pb2_grpc.TaskServiceStub(self._channel)
        self._instance_id = str(uuid.uuid4())
        self._held: dict[str, Attempt] = {}
        self._lock = threading.RLock()
        self._words: set[str] = set()
        self._spoken = threading.Condition()
        self._digest = ""
        self._polls = itertools.count(1)
        first = int(options.version)
        exact = [options.exact_version] if options.exact_version else []
        self._versions = itertools.chain(exact, (f"v{number}" for number in itertools.count(first)))
        self._heartbeat_s = 1.0
        self._left = threading.Event()
        self._threads = ThreadPoolExecutor(options.slots)
        self._script = Script("")

    def run(self) -> None:
        """Work until it is told to leave."""
        self._register()
        self._publish()
        for target in (self._beat, self._listen):
            threading.Thread(target=target, daemon=True).start()
        while not self._left.is_set():
            self._poll()
        self._threads.shutdown()
        self._call(
            self._calls.DeregisterWorker, worker_service_pb2.DeregisterWorkerRequest(instance_id=self._instance_id)
        )
        say("left")

    # What it says to the server

    def _register(self) -> None:
        options = self._options
        request = worker_service_pb2.RegisterWorkerRequest(
            name=options.name,
            instance_id=self._instance_id,
            sdk=bundle_pb2.Sdk(language="test", language_version="1", version="1"),
            runtimes=["test"],
            slots=options.slots,
            queues=options.queue,
            labels=dict(label.split("=", 1) for label in options.label),
            roles=[value_named(worker_service_pb2.WorkerRole, "WORKER_ROLE", role) for role in options.role],
            process_id=os.getpid(),
            host="here",
        )
        answer = self._call(self._calls.RegisterWorker, request)
        self._token = answer.worker_token
        self._heartbeat_s = answer.timing.heartbeat_interval.ToMicroseconds() / 1e6
        say(f"registered {options.name}")

    def _publish(self) -> None:
        self._script = Script(Path(self._options.script).read_text())
        dags = self._script.dags
        version = next(self._versions)
        manifest = bundle_pb2.Manifest(
            bundle=self._options.bundle,
            bundle_version=version,
            api_version=API_VERSION,
            sdk=bundle_pb2.Sdk(language="test", language_version="1", version="1"),
            dags=[
                bundle_pb2.SerializedDag(dag_id=dag_id, dag=dag.SerializeToString(deterministic=True))
                for dag_id, dag in dags.items()
            ],
        )
        offer = worker_service_pb2.BundleOffer(
            bundle=manifest.bundle, bundle_version=manifest.bundle_version, manifest=manifest
        )
        request = worker_service_pb2.PublishBundleRequest(instance_id=self._instance_id, offer=offer)
        for refused in self._call(self._calls.PublishBundle, request).result.refused:
            say(f"refused {refused.dag_id} {refused.reason} {refused.message}")
        say(f"published {version} {' '.join(dags)}")

    def _poll(self) -> None:
        with self._lock:
            fields = {"known_directives": self._digest, "wait": Duration(seconds=1)}
            request = poll_request(self._instance_id, next(self._polls), held=self._held, **fields)
        answer = self._call(self._calls.PollWork, request)
        self._digest = answer.directives_digest
        for directive in answer.directives:
            kind = directive.WhichOneof("kind")
            if kind in ("cancel", "lost"):
                self._cancel(getattr(directive, kind).attempt_id)
            else:
                say(f"told {kind}")
        for lease in answer.leases:
            attempt = Attempt(lease)
            with self._lock:
                if lease.attempt.attempt_id in self._held:
                    continue
                self._held[lease.attempt.attempt_id] = attempt
            say(f"took {attempt.name} try={lease.try_number}")
            self._threads.submit(self._guarded, attempt)

    def _guarded(self, attempt: Attempt) -> None:
        try:
            self._perform(attempt)
        except Exception as error:
            say(f"defect {attempt.name} {error!r}")
            raise
        finally:
            with self._lock:
                self._held.pop(attempt.lease.attempt.attempt_id, None)

    def _perform(self, attempt: Attempt) -> None:
        names = (attempt.task, attempt.task.partition("[")[0]) if attempt.name == attempt.task else ()
        with self._lock:
            words = self._script.take(*names, attempt.name, attempt.lease.entry_point)
        ref = attempt.lease.attempt
        start = worker_service_pb2.StartAttemptRequest(attempt=ref, instance_id=self._instance_id)
        try:
            context = self._call(self._calls.StartAttempt, start).context
        except grpc.RpcError as error:
            say(f"dropped {attempt.name} {reason_of(error)}")
            return
        say(f"started {attempt.name} {json.dumps(described(context))}")
        for name, text in words.below("call"):
            self._ask(attempt, name, text)
        word, deaf = words.get("wait"), words.flag("deaf")
        if word:
            say(f"waits {attempt.name}")
            self._wait(word, attempt, deaf=deaf)
        outcome = read_outcome(words, now_us())
        words.done()
        if attempt.cancelled.is_set() and not deaf:
            outcome = Outcome(cancelled=Cancelled(how="exited"))
        finish = worker_service_pb2.FinishAttemptRequest(attempt=ref, outcome_id=str(uuid.uuid4()), outcome=outcome)
        try:
            self._call(self._calls.FinishAttempt, finish)
        except grpc.RpcError as error:
            say(f"dropped {attempt.name} {reason_of(error)}")
        else:
            say(f"ended {attempt.name} {outcome.WhichOneof('kind')}")

    def _ask(self, attempt: Attempt, name: str, text: str) -> None:
        """Make a call of the task's."""
        method, request = read_call(text)
        try:
            answer = self._call(getattr(self._task_calls, method), request, *metadata_under(attempt.lease))
        except grpc.RpcError as error:
            say(f"denied {attempt.name} {name} {reason_of(error)}")
        else:
            say(f"answered {attempt.name} {name} {json.dumps(shown(answer))}")

    def _beat(self) -> None:
        while not self._left.wait(self._heartbeat_s):
            with self._lock:
                refs = [attempt.lease.attempt for attempt in self._held.values()]
            request = worker_service_pb2.HeartbeatRequest(instance_id=self._instance_id, attempts=refs)
            answer = self._call(self._calls.Heartbeat, request)
            if answer.worker_token:
                self._token = answer.worker_token
            for ref, verdict in zip(refs, answer.verdicts, strict=True):
                if verdict in (_CANCEL, _LOST):
                    self._cancel(ref.attempt_id)

    def _cancel(self, attempt_id: str) -> None:
        with self._lock:
            attempt = self._held.get(attempt_id)
        if attempt is not None and not attempt.cancelled.is_set():
            say(f"told cancel {attempt.name}")
            attempt.cancelled.set()
            with self._spoken:
                self._spoken.notify_all()

    # What tests say to it

    def _listen(self) -> None:
        for line in sys.stdin:
            verb, _, word = line.strip().partition(" ")
            if verb == "go":
                with self._spoken:
                    self._words.add(word)
                    self._spoken.notify_all()
            elif verb == "publish":
                self._publish()
            elif verb == "leave":
                self._left.set()

    def _wait(self, word: str, attempt: Attempt, *, deaf: bool) -> None:
        with self._spoken:
            self._spoken.wait_for(lambda: word in self._words or (attempt.cancelled.is_set() and not deaf))

    def _call(self, rpc: Callable[..., Any], request: Any, *metadata: tuple[str, str | bytes]) -> Any:
        """Call, and repeat the same message until the server answers."""
        while True:
            try:
                every = [*metadata_of(self._token), *metadata]
                return rpc(request, metadata=every, timeout=30, wait_for_ready=True)
            except grpc.RpcError as error:
                again = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)
                if error.code() not in again:
                    if reason_of(error) not in _REFUSALS:
                        say(f"error {error.code().name}/{reason_of(error)} {error.details()}")
                    raise
                time.sleep(0.05)  # the back-off of a client, not a wait of a test


def say(line: str) -> None:
    """Tell the test, a whole line at once whichever thread says it."""
    with _SAYING:
        print(line, flush=True)


def main() -> None:
    """Run the worker."""
    parser = argparse.ArgumentParser()
    for option in ("server", "token-file", "script", "name", "bundle"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--version", default="1")
    parser.add_argument("--exact-version", default="")
    for option in ("role", "queue", "label"):
        parser.add_argument(f"--{option}", action="append", default=[])
    ScriptedWorker(parser.parse_args()).run()


if __name__ == "__main__":
    main()
