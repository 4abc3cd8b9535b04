"""Folders and files of DAGs that a worker watches: a zygote for each version, a new one for each change.

How a zygote works belongs to `zygote_process.py`; what the server is told to `publishing.py`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from crosswind.author.bundle import bundle_digest
from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime.executor import Executor, ExecutorGone
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
    """

    name: str
    path: Path


@dataclass
class _Version:
    name: str
    version: str
    zygote: ZygoteProcess
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


class WatchedBundles:
    """Bundles on this machine's disk. `Offerings`.

    Args:
        sources: where they are; names are unique.
        import_timeout: how long an import may take, in seconds.
    """

    def __init__(self, sources: Sequence[BundleSource], *, import_timeout: float) -> None:
        self._watched = {source.name: _Watched(source) for source in sources}
        self._import_timeout = import_timeout
        self._versions: dict[tuple[str, str], _Version] = {}
        self._changed = asyncio.Event()
        self._observed: dict[str, str] = {}
        self._background: set[asyncio.Task[None]] = set()

    def manifests(self) -> list[bundle_pb2.Manifest]:
        """See `Offerings.manifests`."""
        return [version.zygote.manifest for version in self._versions.values() if not version.closing]

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
        return found.zygote

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
            if found.retired and not found.closing and found.zygote.child_count == 0:
                found.closing = True
                self._spawn(self._close_version(found))

    async def wait_for_change(self) -> None:
        """See `Offerings.wait_for_change`."""
        await self._changed.wait()
        self._changed.clear()

    async def run(self) -> None:
        """See `Offerings.run`."""
        async with asyncio.TaskGroup() as group:
            for watched in self._watched.values():
                group.create_task(self._watch(watched))

    async def close(self) -> None:
        """See `Offerings.close`."""
        for found in self._versions.values():
            found.closing = True
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*(found.zygote.close() for found in self._versions.values()))
        self._versions.clear()

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
            version = await asyncio.to_thread(bundle_digest, source.path)
            changed = watched.seen not in (None, version)
            watched.seen = version
            if watched.current is not None and watched.current.version == version:
                return
            known = self._versions.get((source.name, version))
            if known is not None and not known.closing:
                self._take(watched, known, observed=changed)
                return
            zygote = await ZygoteProcess.spawn(
                source.path,
                source.name,
                timeout=self._import_timeout,
                write_line=lambda line: _import_log.info("%s: %s", source.name, line),
            )
        except (ZygoteBroken, OSError) as error:
            kept = "" if watched.current is None else f"; version {_short(watched.current.version)} stays on offer"
            _log.error("The bundle %s (%s) could not be read: %s%s.", source.name, source.path, error, kept)
            return
        found = _Version(source.name, zygote.manifest.bundle_version, zygote)
        replaced = self._versions.get((found.name, found.version))
        self._versions[found.name, found.version] = found
        if replaced is not None:
            self._spawn(replaced.zygote.close())
        self._take(watched, found, observed=changed)
        self._spawn(self._await_end(watched, found))
        self._report(source, zygote.manifest)

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
        sentence = await asyncio.shield(found.zygote.ended)
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
        await found.zygote.close()
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


def _short(version: str) -> str:
    return version[:8]


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
