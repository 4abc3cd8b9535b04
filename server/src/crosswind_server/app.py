"""The server put together: database, keys, services, gRPC and what runs beside them, started and stopped in order.

Here belongs assembly. What the parts do belongs to them; flags and signals belong to `commands`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Any, Final

import structlog

from crosswind.execution.v1.worker_service_pb2_grpc import add_WorkerServiceServicer_to_server
from crosswind_server.domain.errors import Refused
from crosswind_server.domain.ids import uuid7
from crosswind_server.domain.version import METADATA_KEY
from crosswind_server.home import Home, HomeUnusable, parse_key, read_keys
from crosswind_server.listening import certified_name, dialable, split_address
from crosswind_server.rpc.server import RpcServer
from crosswind_server.rpc.servicers import registers
from crosswind_server.rpc.worker_service import WorkerServicer
from crosswind_server.services.access import tokens
from crosswind_server.services.access.callers import CallerKind, Role
from crosswind_server.services.access.sealing import Sealer, make_key
from crosswind_server.services.access.tokens import IssuedToken, TokenSigner, TokenVerifier
from crosswind_server.services.dependencies import Services, StoreUnavailable
from crosswind_server.services.execution.declared import SealedValues
from crosswind_server.services.heart import Heart
from crosswind_server.settings import PlainSettings, ServerSettings
from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.versions.bundles import BundleVersions
from crosswind_server.versions.gates import Gates
from crosswind_server.versions.history import History
from crosswind_server.versions.releases import server_history

DEFAULT_TEAM: Final = "default"
LOCAL_SUBJECT: Final = "local"
_LOCAL_LIFE_US: Final = 3_650 * tokens.DAY_US

_log: Final = structlog.stdlib.get_logger("crosswind.server")


class Server:
    """One server process.

    Args:
        settings: what the operator set.
        home: the folder for keys and token files; None keeps everything in memory, as `crosswind run` does.
        history: the API versions; None for those that this server has.

    Attributes:
        address: HOST:PORT once started.
        metrics_address: HOST:PORT of the metrics once started; empty where there are none.
        access_token: an administrator's token of the default team, once started.
        enrolment_token: a token for workers of the default team, once started.
        services: what handlers work with, once started.
    """

    def __init__(self, settings: ServerSettings, *, home: Home | None, history: History | None = None) -> None:
        self._settings = settings
        self._history = history
        self._home = home
        self._stack = AsyncExitStack()
        self.address = ""
        self.metrics_address = ""
        self.access_token = ""
        self.enrolment_token = ""
        self.services: Services | None = None

    async def start(self) -> str:
        """Open the database, listen and write the files of the home folder; returns the address.

        Raises:
            StoreError: the database cannot be used.
            CannotOpen: it was sealed with another encryption key.
            StartRefused: the address cannot be used.
            SettingsInvalid, HomeUnusable: a file cannot be used.
        """
        settings = self._settings
        listening = settings.listening()
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(_open_store(settings))
            services, rpc = await assemble(settings, store, make_sealer(settings, self._home), self._history)
            heart = services.heart
            self.access_token, self.enrolment_token = await self._local_tokens(
                store, services.signer, services.verifier
            )
            stack.push_async_callback(self._finish, rpc)
            await heart.timekeeper.start()
            stack.push_async_callback(heart.timekeeper.stop)
            stack.push_async_callback(_cancel, asyncio.create_task(watch_revocations(services)))
            if settings.metrics_address is not None:
                from crosswind_server.metrics import Metrics  # here: a server without them starts faster

                metrics = Metrics(services, months=settings.version_window_months)
                self.metrics_address = metrics.start(settings.metrics_address, open_to_all=settings.metrics_open)
                stack.push_async_callback(asyncio.to_thread, metrics.stop)
            self.address = await rpc.start(listening)
            stack.push_async_callback(self._end_polls, services, rpc)
            store.announce(self.address)
            if self._home is not None:
                self._home.write(self._home.access_token_file, self.access_token + "\n")
                self._home.write(self._home.enrolment_token_file, self.enrolment_token + "\n")
                local = dialable(self.address)
                certificate = listening.tls_certificate
                name = certified_name(certificate, split_address(local)[0]) if certificate is not None else ""
                self._home.announce(local, tls_certificate=settings.tls_cert, tls_server_name=name)
                stack.callback(self._home.withdraw)
            self.services = services
            self._stack = stack.pop_all()
        _log.info("listening on " + self.address, database=store.place, server_id=services.server_id)
        if self.metrics_address:
            _log.info("metrics are at http://" + self.metrics_address + "/metrics")
        return self.address

    async def stop(self) -> None:
        """Say that it stops, answer what waits, let running calls end, and close the database. [STOP-1]"""
        await self._stack.aclose()

    async def _end_polls(self, services: Services, rpc: RpcServer) -> None:
        await rpc.report_stopping()
        await services.heart.farewell.take()
        services.stopping.set()
        services.store.hints.wake_all()

    async def _finish(self, rpc: RpcServer) -> None:
        await rpc.stop(self._settings.stop_grace)

    async def _local_tokens(self, store: Store, signer: TokenSigner, verifier: TokenVerifier) -> tuple[str, str]:
        """The tokens for this machine: those in the home folder if they are still good, else new ones."""

        def reusable(path: Path | None, kind: CallerKind) -> str | None:
            try:
                token = path.read_text().strip() if path is not None else ""
                who = verifier.verify(token)
            except (OSError, UnicodeDecodeError, Refused):
                return None
            return token if who.kind is kind and not tokens.needs_renewal(who, _now_us()) else None

        home = self._home
        access = reusable(home.access_token_file if home else None, CallerKind.ACCESS)
        enrolment = reusable(home.enrolment_token_file if home else None, CallerKind.ENROLMENT)
        if access is None:
            access = (await store.write(_MAKE_ACCESS_TOKEN, signer)).token
        if enrolment is None:
            enrolment = (await store.write(_MAKE_ENROLMENT_TOKEN, signer)).token
        return access, enrolment


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server in a thread of this process, as its user needs it."""

    address: str
    access_token: str
    enrolment_token: str
    metrics_address: str = ""


@contextlib.contextmanager
def serve_in_thread(
    db: str = "sqlite://", *, history: History | None = None, **settings: Any
) -> Iterator[RunningServer]:
    """A real server in a thread, on a free port of this machine, with its database in memory by default.

    Args:
        db: address of the database.
        history: the API versions; None for those that this server has.
        settings: fields of `ServerSettings`; neither the environment nor a file is read.

    Raises:
        What `Server.start` raises.
    """
    plain = PlainSettings(**{"db": db, "address": "127.0.0.1:0", "stop_grace": 1.0, **settings})
    server = Server(plain, home=None, history=history)
    started: Future[Callable[[], object]] = Future()

    async def serve() -> None:
        leave = asyncio.Event()
        try:
            await server.start()
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(partial(asyncio.get_running_loop().call_soon_threadsafe, leave.set))
        await leave.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="crosswind-server", daemon=True)
    thread.start()
    stop = started.result()
    try:
        yield RunningServer(
            address=server.address,
            access_token=server.access_token,
            enrolment_token=server.enrolment_token,
            metrics_address=server.metrics_address,
        )
    finally:
        stop()
        thread.join()


async def assemble(
    settings: ServerSettings, store: Store, sealer: Sealer, history: History | None = None
) -> tuple[Services, RpcServer]:
    """All of a server over a store, as long as nothing listens, and no timekeeper runs.

    Args:
        settings: what the operator set.
        store: open, with its schema.
        sealer: opens and seals secrets.
        history: the API versions; None for those that this server has.

    Raises:
        CannotOpen: the database was sealed with another encryption key.
    """
    signer = await store.write(LOAD_SIGNER, sealer)
    verifier = TokenVerifier(signer, store.clock)
    verifier.replace_revoked(await store.read(tokens.read_revoked))
    gates = Gates(history or server_history())
    heart = Heart(
        store,
        settings.timing(),
        signer=signer,
        declared=SealedValues(sealer),
        versions=BundleVersions(gates),
    )
    services = Services(
        store=store,
        timing=settings.timing(),
        sealer=sealer,
        signer=signer,
        verifier=verifier,
        heart=heart,
        server_id=str(uuid7(_now_us())),
        started_us=_now_us(),
        served=gates.served,
        version=distribution_version("crosswind-server"),
        in_memory=is_in_memory(settings.db),
        database_connections=count_connections(settings, store),
    )
    worker_calls = WorkerServicer(services, heart)
    adders = [*registers(services), lambda s: add_WorkerServiceServicer_to_server(worker_calls, s)]
    return services, RpcServer(services, versions=gates, version_key=METADATA_KEY, registers=adders)


# --- parts ------------------------------------------------------------------------------------------------------------


LOAD_SIGNER: Final = each(tokens.load_signer)
"""Handler: the sealer in, the deployment's signer out."""


def make_sealer(settings: ServerSettings, home: Home | None) -> Sealer:
    """The sealer of the keys that the settings name. Raises `HomeUnusable`."""
    if settings.encryption_key is not None:
        return Sealer([parse_key(settings.encryption_key.get_secret_value(), "CROSSWIND_ENCRYPTION_KEY")])
    if settings.encryption_key_file is not None:
        return Sealer(read_keys(settings.encryption_key_file))
    return Sealer(home.encryption_keys() if home is not None else [make_key()])


def is_in_memory(db: str) -> bool:
    """Whether a database address names one that ends with the process."""
    return db in ("sqlite://", "sqlite:///", "sqlite:///:memory:")


def count_connections(settings: ServerSettings, store: Store) -> int:
    """Connections that a process holds open: one writer, the readers, and on PostgreSQL one listener."""
    if is_in_memory(settings.db):
        return 1
    return 1 + settings.db_readers + (1 if store.kind == "postgresql" else 0)


async def watch_revocations(services: Services) -> None:
    """Keep the verifier's list of revoked tokens fresh: at once by hints, and once a heartbeat if one was missed."""
    async with services.store.hints.subscribe(tokens.TOPIC) as subscription:
        while True:
            await subscription.wait(services.timing.heartbeat_interval)
            try:
                services.verifier.replace_revoked(await services.store.read(tokens.read_revoked))
            except StoreUnavailable:
                continue  # it is asked again, at the latest after a heartbeat
            except Exception:
                _log.exception("The revoked tokens could not be read; those known before stay revoked")


@contextlib.asynccontextmanager
async def _open_store(settings: ServerSettings) -> AsyncIterator[Store]:
    store = await asyncio.to_thread(
        Store.open, settings.db, readers=settings.db_readers, create=True, refusals=(Refused,)
    )
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _make_access_token(uow: UnitOfWork, signer: TokenSigner) -> IssuedToken:
    return tokens.create_access_token(
        uow, signer, team=DEFAULT_TEAM, subject=LOCAL_SUBJECT, role=Role.ADMIN, life_us=_LOCAL_LIFE_US
    )


def _make_enrolment_token(uow: UnitOfWork, signer: TokenSigner) -> IssuedToken:
    return tokens.create_enrolment_token(
        uow, signer, team=DEFAULT_TEAM, subject=LOCAL_SUBJECT, bundles=("*",), queues=("*",), life_us=_LOCAL_LIFE_US
    )


_MAKE_ACCESS_TOKEN: Final = each(_make_access_token)
_MAKE_ENROLMENT_TOKEN: Final = each(_make_enrolment_token)


def _now_us() -> int:
    return time.time_ns() // 1000


__all__: Sequence[str] = ("HomeUnusable", "RunningServer", "Server", "serve_in_thread")
