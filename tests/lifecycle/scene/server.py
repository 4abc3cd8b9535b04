"""A whole server without sockets, over a real database, under a clock that a transcript moves."""

from __future__ import annotations

import asyncio
import re
import threading
import uuid
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar, cast

from google.protobuf import descriptor_pool, text_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from crosswind_server.app import DEFAULT_TEAM, assemble
from crosswind_server.domain.errors import Refused
from crosswind_server.domain.version import METADATA_KEY
from crosswind_server.rpc.errors import DETAILS_KEY
from crosswind_server.rpc.server import RpcServer
from crosswind_server.services.access import tokens
from crosswind_server.services.access.callers import Role
from crosswind_server.services.access.sealing import Sealer, make_key
from crosswind_server.services.dependencies import Services
from crosswind_server.settings import PlainSettings
from crosswind_server.store.clock import Clock
from crosswind_server.store.due import Due, probe
from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.lifecycle.scene.text import SECOND
from tests.store.witness import Witness

T = TypeVar("T")
_PACKAGES: Final = ("crosswind.control.v1", "crosswind.execution.v1")
_LIFE_US: Final = 3_650 * 86_400 * SECOND
_MOST_TICKS: Final = 2_000


class FakeClock(Clock):
    """A clock that stands still until it is moved. All that a server goes by follows it."""

    def __init__(self, start_us: int) -> None:
        self.now_us = self._start_us = start_us

    def of_transaction(self, database_us: int) -> int:
        """The same for every transaction, until time is moved."""
        return self.now_us

    def wall_us(self) -> int:
        """The same moment."""
        return self.now_us

    def monotonic(self) -> float:
        """Seconds since it began, and a thousand."""
        return 1_000 + (self.now_us - self._start_us) / SECOND


class CallRefused(Exception):
    """A call was refused."""

    def __init__(self, code: str, reason: str, message: str) -> None:
        super().__init__(f"{code}/{reason} {message}")
        self.code, self.reason, self.message = code, reason, message


class _Context:
    """What a handler asks of gRPC about its call."""

    def __init__(self, metadata: Mapping[str, str | bytes]) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return tuple(self._metadata.items())

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    async def abort(self, code: Any, details: str, trailing_metadata: Any) -> None:
        status = Status.FromString(dict(trailing_metadata)[DETAILS_KEY])
        info = ErrorInfo()
        status.details[0].Unpack(info)
        raise CallRefused(code.name, info.reason, details)


class PlayedServer:
    """One server process, which a transcript may end and begin again; its database stays.

    Attributes:
        access_token, enrolment_token: an administrator's, and one for all workers.
        witness: sees every change of a state.
        journal: the last calls, and how they were refused.
    """

    clock: FakeClock
    store: Store
    services: Services
    witness: Witness
    access_token: str
    enrolment_token: str
    _rpc: RpcServer
    _sealer: Sealer

    def __init__(self, url: str, start_us: int, *, beside: PlayedServer | None = None) -> None:
        """Args: beside: another server over the same database; they share clock, keys and tokens."""
        self.clock = FakeClock(start_us) if beside is None else beside.clock
        self.journal: deque[str] = deque(maxlen=3_000) if beside is None else beside.journal
        self._sealer = Sealer([make_key()]) if beside is None else beside._sealer
        self._settings = PlainSettings(db=url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="played-server")
        self._thread.start()
        self._open()
        if beside is not None:
            self.witness = beside.witness
            self.access_token, self.enrolment_token = beside.access_token, beside.enrolment_token
            return
        self.witness = Witness(self.store)
        signer = self.services.signer

        def make(uow: UnitOfWork, _: object) -> tuple[str, str]:
            access = tokens.create_access_token(
                uow, signer, team=DEFAULT_TEAM, subject="somebody", role=Role.ADMIN, life_us=_LIFE_US
            )
            enrolment = tokens.create_enrolment_token(
                uow, signer, team=DEFAULT_TEAM, subject="builder", bundles=("*",), queues=("*",), life_us=_LIFE_US
            )
            return access.token, enrolment.token

        self.access_token, self.enrolment_token = self.store.write_blocking(each(make), None)

    def _open(self) -> None:
        self.store = Store.open(self._settings.db, readers=1, refusals=(Refused,), clock=self.clock)
        self.begin()

    def begin(self) -> None:
        """A new process over the same database: it has heard no heartbeat yet."""
        self.services, self._rpc = self._wait(assemble(self._settings, self.store, self._sealer))
        self.store.note_absence()

    def die(self) -> None:
        """The process ends as by SIGKILL, and another begins over the same database, with connections of its own."""
        self.store.close()
        self._open()
        self.witness.follow(self.store)

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's loop; any thread may."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # Calls

    def call(
        self,
        method: str,
        request: Message,
        *,
        token: str | None = None,
        metadata: Mapping[str, str | bytes] | None = None,
    ) -> Any:
        """Make a call, such as `DagRunService.GetDagRun`.

        Raises:
            CallRefused: with what the client reads.
        """
        path, _, answer_type = find_method(method)
        who = {"authorization": f"Bearer {token or self.access_token}"}
        who[METADATA_KEY] = str(self.services.served.newest)
        context = cast(Any, _Context({**who, **(metadata or {})}))
        fields = request.DESCRIPTOR.fields_by_name
        asked: Any = request
        if "request_id" in fields and not asked.request_id:
            asked.request_id = str(uuid.uuid4())
        self.journal.append(f"{self.now_us} {method} {text_format.MessageToString(request, as_one_line=True)}")
        try:
            answer = self._wait(self._answer(path, request.SerializeToString(), context))
        except CallRefused as refused:
            self.journal.append(f"  {refused}")
            if refused.code == "INTERNAL":
                raise AssertionError(f"{method} met a defect of the server; its log says more") from refused
            raise
        return answer_type.FromString(answer)

    async def _answer(self, path: str, request: bytes, context: Any) -> bytes:
        return await self._rpc.answers[path](request, context)

    # Time

    @property
    def now_us(self) -> int:
        """What the clock says."""
        return self.clock.now_us

    def due(self) -> Due:
        """What is due when."""
        return self.store.read_blocking(probe)

    def tick(self) -> None:
        """One look of the timekeeper."""
        self._wait(self.services.heart.timekeeper.tick())

    def settle(self) -> None:
        """Let the timekeeper do all that is due now, and what that leaves behind."""
        for _ in range(_MOST_TICKS):
            self.tick()
            if not self._is_due(self.due()):
                return
        raise AssertionError(f"After {_MOST_TICKS} looks the timekeeper still finds something due: {self.due()}")

    def pass_quietly(self, to_us: int) -> None:
        """Move the clock where nothing is due meanwhile: a timekeeper that looks often would have found nothing."""
        self.clock.now_us = to_us
        self.services.heart.timekeeper._look_at = None

    def _is_due(self, due: Due) -> bool:
        timing, now = self.services.timing, due.now
        heard = self.store.available_since
        moments = [due.timer, due.waiting]
        if heard is not None and self.clock.monotonic() - heard >= timing.lease_duration:
            moments += [_after(due.start), _after(due.expiry)]
            moments.append(None if due.quietest is None else due.quietest + timing.lease_us + 1)
        return due.continuation or any(moment is not None and moment <= now for moment in moments)


def _after(moment: int | None) -> int | None:
    return None if moment is None else moment + 1


def find_method(name: str) -> tuple[str, type[Message], type[Message]]:
    """The path, the request's and the answer's type of `Service.Method`."""
    service_name, _, method_name = name.partition(".")
    for package in _PACKAGES:
        try:
            service = descriptor_pool.Default().FindServiceByName(f"{package}.{service_name}")
        except KeyError:
            continue
        method = service.FindMethodByName(method_name)
        if method is None:
            raise KeyError(f"{service_name} has no method {method_name}")
        path = f"/{service.full_name}/{method.name}"
        return path, GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    raise KeyError(f"There is no service {service_name}")


class Names:
    """Short names for ids that the server makes, so that what is printed is the same in every run."""

    _ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
    _HASH: Final = re.compile(r"\b[0-9a-f]{64}\b")

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._hashes: dict[str, str] = {}

    def of(self, text: str) -> str:
        """The text with names for its ids."""
        text = self._ID.sub(lambda m: self._ids.setdefault(m[0], f"<id{len(self._ids) + 1}>"), text)
        return self._HASH.sub(lambda m: self._hashes.setdefault(m[0], f"<version{len(self._hashes) + 1}>"), text)

    def resolve(self, text: str) -> str:
        """The text with the ids behind such names."""
        for each_id, name in (*self._ids.items(), *self._hashes.items()):
            text = text.replace(name, each_id)
        return text
