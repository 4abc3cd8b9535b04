"""Folders and files of DAGs, and packed bundles, that a worker watches: an executor a version, a new one a change.

How tasks are run belongs to `zygote_process.py` and `plugin_executor.py`; what the server is told to `publishing.py`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from crosswind.author.bundle import bundle_digest
from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime.executor import Executor, ExecutorGone
from crosswind.runtime.packed_bundle import PackedBundleDamaged, copy_packed, read_packed
from crosswind.runtime.plugin_executor import PluginExecutor
from crosswind.runtime.zygote_process import ZygoteBroken, ZygoteProcess

_WATCH_SECONDS: Final = 0.5
_RESPAWN_SECONDS: Final = (0.5, 2.0, 10.0, 30.0)
# How long a task waits for a zygote that is being started again.
_EXECUTOR_SECONDS: Final = 60.0
_log = logging.getLogger("crosswind.worker")
_import_log = logging.getLogger("crosswind.bundle")


@dataclass(frozen=True, kw_only=True)
class BundleSource:
    """Where a bundle's code is.

    Args:
        name: of the bundle.
        path: its folder, or its only file.
        packed: whether it is a file that `packed_bundle.py` reads, and no Python.
    """

    name: str
    path: Path
    packed: bool = False


class BundleExecutor(Executor, Protocol):
    """Runs tasks of one version until it is closed."""

    manifest: bundle_pb2.Manifest
    ended: asyncio.Future[str]
    """Done when it can run no more tasks; its result is a sentence."""

    @property
    def child_count(self) -> int:
        """Tasks that have not ended."""

    def rest(self) -> None:
        """Gives back what it can do without while no task runs and none is likely."""

    async def close(self) -> None:
        """Ends it, and whatever still runs below it; returns when all of it is gone."""


@dataclass
class _Version:
    name: str
    version: str
    executor: BundleExecutor
    retired: bool = False
    closing: bool = False


@dataclass
class _Watched:
    source: BundleSource
    signature: int | None = None
    """Of the files that the current version, or the failed attempt at one, was made of."""
    seen: str | None = None
    """The version that its files were at the last look that could tell."""
    current: _Version | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    deaths: int = 0
    failures: int = 0
    """How often in a row its code could not be read for reasons that may pass."""


class WatchedBundles:
    """Bundles on this machine's disk. `Offerings`.

    Args:
        sources: where they are; names are unique.
        import_timeout: how long an import may take, or a packed bundle's process until it serves, in seconds.
        copies: a folder for the copies of packed bundles that run, nobody else's. None: a temporary one.
    """

    def __init__(self, sources: Sequence[BundleSource], *, import_timeout: float, copies: Path | None = None) -> None:
        self._watched = {source.name: _Watched(source) for source in sources}
        self._import_timeout = import_timeout
        self._copies = copies
        self._temporary: Path | None = None
        self._versions: dict[tuple[str, str], _Version] = {}
        self._changed = asyncio.Event()
        self._observed: dict[str, str] = {}
        self._background: set[asyncio.Task[None]] = set()

    def manifests(self) -> list[bundle_pb2.Manifest]:
        """See `Offerings.manifests`."""
        return [version.executor.manifest for version in self._versions.values() if not version.closing]

    def take_observed(self) -> dict[str, str]:
        """See `Offerings.take_observed`."""
        observed, self._observed = self._observed, {}
        return observed

    async def find_executor(self, bundle: str, version: str) -> Executor:
        """See `Offerings.find_executor`. Waits for a zygote that is being started again."""
        found = self._versions.get((bundle, version))
        watched = self._watched.get(bundle)
        if found is None and watched is not None and not watched.ready.is_set():
            try:
                async with asyncio.timeout(_EXECUTOR_SECONDS):
                    await watched.ready.wait()
            except TimeoutError:
                pass
            found = self._versions.get((bundle, version))
        if found is None or found.closing:
            raise ExecutorGone(f"This worker does not have version {version} of the bundle {bundle} any more.")
        return found.executor

    def retire(self, bundle: str, version: str) -> None:
        """See `Offerings.retire`."""
        found = self._versions.get((bundle, version))
        watched = self._watched.get(bundle)
        if found is not None and (watched is None or watched.current is not found):
            found.retired = True
            self.sweep()

    def sweep(self) -> None:
        """See `Offerings.sweep`."""
        for found in list(self._versions.values()):
            if found.closing or found.executor.child_count:
                continue
            if found.retired:
                found.closing = True
                self._spawn(self._close_version(found))
            elif self._watched[found.name].current is not found:
                found.executor.rest()

    async def wait_for_change(self) -> None:
        """See `Offerings.wait_for_change`."""
        await self._changed.wait()
        self._changed.clear()

    async def run(self) -> None:
        """See `Offerings.run`."""
        if self._copies is not None:
            # What a worker that was killed left behind.
            await asyncio.to_thread(shutil.rmtree, self._copies, ignore_errors=True)
        async with asyncio.TaskGroup() as group:
            for watched in self._watched.values():
                group.create_task(self._watch(watched))

    async def close(self) -> None:
        """See `Offerings.close`."""
        for found in self._versions.values():
            found.closing = True
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*(found.executor.close() for found in self._versions.values()))
        self._versions.clear()
        if self._temporary is not None:
            await asyncio.to_thread(shutil.rmtree, self._temporary, ignore_errors=True)

    async def _watch(self, watched: _Watched) -> None:
        pending: int | None = None
        while True:
            signature = await asyncio.to_thread(_signature, watched.source.path)
            if watched.signature is None:
                await self._load(watched, signature)
            elif signature == watched.signature:
                pending = None
            elif signature == pending:
                # Twice the same: whoever saves several files is done.
                pending = None
                await self._load(watched, signature)
            else:
                pending = signature
            await asyncio.sleep(_WATCH_SECONDS)

    async def _load(self, watched: _Watched, signature: int) -> None:
        """Brings a bundle up to date. What cannot be read is told, and the version before stays."""
        source = watched.source
        watched.signature = signature
        try:
            version = await asyncio.to_thread(_read_version, source)
            changed = watched.seen not in (None, version)
            watched.seen = version
            if watched.current is not None and watched.current.version == version:
                return
            known = self._versions.get((source.name, version))
            if known is not None and not known.closing:
                self._take(watched, known, observed=changed)
                return
            executor = await self._open(source)
        except (ZygoteBroken, PackedBundleDamaged, OSError) as error:
            kept = "" if watched.current is None else f"; version {_short(watched.current.version)} stays on offer"
            _log.error("The bundle %s (%s) could not be read: %s%s.", source.name, source.path, error, kept)
            if _may_pass(error):
                # The files may never change, and the machine may only have been short of something.
                self._spawn(self._read_again(watched, signature))
            return
        watched.failures = 0
        found = _Version(source.name, executor.manifest.bundle_version, executor)
        replaced = self._versions.get((found.name, found.version))
        self._versions[found.name, found.version] = found
        if replaced is not None:
            self._spawn(replaced.executor.close())
        self._take(watched, found, observed=changed)
        self._spawn(self._await_end(watched, found))
        self._report(source, executor.manifest)
        self.sweep()

    async def _read_again(self, watched: _Watched, signature: int) -> None:
        watched.failures += 1
        await asyncio.sleep(_RESPAWN_SECONDS[min(watched.failures, len(_RESPAWN_SECONDS)) - 1])
        if watched.signature == signature:
            watched.signature = None

    async def _open(self, source: BundleSource) -> BundleExecutor:
        """Makes ready to run what a source holds now."""
        if source.packed:
            bundle = await asyncio.to_thread(copy_packed, source.path, self._copies_folder())
            return PluginExecutor(bundle, start_timeout=self._import_timeout)
        return await ZygoteProcess.spawn(
            source.path,
            source.name,
            timeout=self._import_timeout,
            write_line=lambda line: _import_log.info("%s: %s", source.name, line),
        )

    def _copies_folder(self) -> Path:
        if self._copies is not None:
            return self._copies
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="crosswind-bundles-"))
        return self._temporary

    def _take(self, watched: _Watched, found: _Version, *, observed: bool) -> None:
        if observed:
            self._observed[found.name] = found.version
        # The newest stands last.
        self._versions[found.name, found.version] = self._versions.pop((found.name, found.version))
        found.retired = False
        watched.current = found
        watched.ready.set()
        self._changed.set()

    async def _await_end(self, watched: _Watched, found: _Version) -> None:
        """Starts a zygote again that ended by itself, as long as its sources are what they were."""
        began = asyncio.get_running_loop().time()
        sentence = await asyncio.shield(found.executor.ended)
        if found.closing or self._versions.get((found.name, found.version)) is not found:
            return
        del self._versions[found.name, found.version]
        self._changed.set()
        _log.error("Bundle %s, version %s: %s", found.name, _short(found.version), sentence)
        if watched.current is not found:
            return
        watched.current = None
        watched.ready.clear()
        watched.deaths = watched.deaths + 1 if asyncio.get_running_loop().time() - began < 60 else 1
        await asyncio.sleep(_RESPAWN_SECONDS[min(watched.deaths, len(_RESPAWN_SECONDS)) - 1])
        watched.signature = None  # read again at the next look

    async def _close_version(self, found: _Version) -> None:
        await found.executor.close()
        self._versions.pop((found.name, found.version), None)
        self._changed.set()
        _log.info(
            "Bundle %s, version %s: no run needs it any more, its process has ended.", found.name, _short(found.version)
        )

    def _report(self, source: BundleSource, manifest: bundle_pb2.Manifest) -> None:
        dags = ", ".join(dag.dag_id for dag in manifest.dags) or "no DAGs"
        _log.info("Bundle %s, version %s: %s.", source.name, _short(manifest.bundle_version), dags)
        for problem in manifest.source_errors:
            line = f":{problem.line}" if problem.line else ""
            _log.error("Bundle %s, %s%s: %s", source.name, problem.source, line, problem.message)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _read_version(source: BundleSource) -> str:
    """The version that a source is now.

    Raises:
        PackedBundleDamaged: it is none that could be run.
        OSError: it cannot be read.
    """
    if not source.packed:
        return bundle_digest(source.path)
    manifest = read_packed(source.path).manifest
    if manifest.bundle != source.name:
        raise PackedBundleDamaged(f"it is the bundle {manifest.bundle} now: start the worker again to offer that")
    return manifest.bundle_version


def _short(version: str) -> str:
    return version[:8]


def _may_pass(error: Exception) -> bool:
    """Whether the same files may be read better another time."""
    if isinstance(error, ZygoteBroken):
        return not error.by_code
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)


def _signature(path: Path) -> int:
    """A digest of what `stat` says of every file that may matter; it changes whenever one is saved."""
    return hash(tuple(sorted(_states(str(path)))))


def _states(path: str) -> Iterator[tuple[str, int, int, int]]:
    try:
        if not os.path.isdir(path):
            state = os.stat(path)
            yield path, state.st_mtime_ns, state.st_size, state.st_ino
            return
        with os.scandir(path) as entries:
            found = list(entries)
    except OSError:
        return  # gone meanwhile, or not ours to read
    for entry in found:
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        try:
            if entry.is_dir():
                if not os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
                    yield from _states(entry.path)
            else:
                state = entry.stat()
                yield entry.path, state.st_mtime_ns, state.st_size, state.st_ino
        except OSError:
            continue
