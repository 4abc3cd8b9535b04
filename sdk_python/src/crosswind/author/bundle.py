"""Bundles: a DAG file, or a folder of them, read into DAGs.

Here belong which files count, the digest of the sources, importing, and turning what goes wrong into sentences. A file
that cannot be read becomes a `SourceError`, and the rest of the bundle stands. Two bundles never share a process: the
bundle's folder goes on `sys.path`, so that its modules can import each other.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import inspect
import os
import platform
import re
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from crosswind import __version__, api_versions
from crosswind.author import manifest as manifests
from crosswind.author.dag import DAG, TaskNode
from crosswind.author.errors import CrosswindError, DagError, DuplicateDag, NoTaskError
from crosswind.author.locations import is_ours
from crosswind.author.registry import collect_dags
from crosswind.author.tasks import TaskFunction
from crosswind.manifest.v1.bundle_pb2 import Manifest, OfferedTask, Sdk, SerializedDag, SourceError

_DIGESTED: Final = frozenset({".py", ".toml", ".json", ".yaml", ".yml", ".sql"})
_MAX_DATA_BYTES: Final = 10 * 1024 * 1024
_IMPORTS_CROSSWIND: Final = re.compile(rb"^[ \t]*(?:from|import)[ \t]+crosswind\b", re.MULTILINE)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a source.

    Args:
        source: the file, relative to the bundle.
        line: from 1; 0 where unknown.
        message: one sentence.
    """

    source: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.message}" if self.line else f"{self.source}: {self.message}"


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle in memory.

    Args:
        name: the bundle's.
        root: its folder.
        version: the digest of its sources, see `bundle_digest`.
        dags: its DAGs by id, in the order of their files.
        entry_points: what may be called: `dag_id.task_id` for each step, and `module:function` for the tasks that are
            offered to other bundles.
        nodes: the steps behind the entry points of the first kind.
        offered: the names of the second kind.
        problems: files and DAGs that could not be read.
        import_seconds: how long each file took.
    """

    name: str
    root: Path
    version: str
    dags: Mapping[str, DAG] = field(default_factory=dict)
    entry_points: Mapping[str, TaskFunction[..., Any]] = field(default_factory=dict)
    nodes: Mapping[str, TaskNode] = field(default_factory=dict)
    offered: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    import_seconds: Mapping[str, float] = field(default_factory=dict)
    messages: Mapping[str, bytes] = field(default_factory=dict)
    """The DAGs as serialized `manifest.v1.Dag`, by id."""

    def manifest(self, version: str | None = None) -> Manifest:
        """The manifest, the same for the same sources.

        Args:
            version: the bundle's version. None: the digest of its sources.
        """
        return Manifest(
            bundle=self.name,
            bundle_version=version or self.version,
            api_version=api_versions.newest(),
            further_api_versions=api_versions.API_VERSIONS[1:],
            sdk=Sdk(language="python", language_version=platform.python_version(), version=__version__),
            dags=[SerializedDag(dag_id=dag_id, dag=data) for dag_id, data in self.messages.items()],
            offered_tasks=[_offer(name, self.entry_points[name]) for name in self.offered],
            source_errors=[
                SourceError(source=problem.source, message=problem.message, line=problem.line)
                for problem in self.problems
            ],
        )


def bundle_digest(path: Path) -> str:
    """The version of a bundle: a digest of its sources, made without importing them.

    A DAG file alone counts as it is. In a folder count the names and contents of all Python, TOML, JSON, YAML and SQL
    files; of one that is not Python and larger than 10 MiB, its size and time of change. Hidden files and folders,
    `__pycache__` and virtual environments do not count. A link counts as what it leads to.

    Returns:
        32 hexadecimal digits.

    Raises:
        FileNotFoundError: there is nothing at `path`.
    """
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else _walk(path, _DIGESTED):
        name = file.name if file == path else file.relative_to(path).as_posix()
        state = file.stat()
        if file.suffix != ".py" and state.st_size > _MAX_DATA_BYTES:
            content = f"{state.st_size} {state.st_mtime_ns}".encode()
        else:
            content = file.read_bytes()
        for part in (name.encode("utf-8", "surrogateescape"), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


def find_dag_files(path: Path) -> list[Path]:
    """The Python files of a bundle, in order: the file itself, or those of a folder but its tests.

    Raises:
        FileNotFoundError: there is nothing at `path`.
    """
    if path.is_file():
        return [path]
    return [file for file in _walk(path, {".py"}) if not (file.name.startswith("test_") or file.name == "conftest.py")]


def load_bundle(path: Path, name: str) -> LoadedBundle:
    """Reads a bundle into this process, which it then belongs to.

    Of a folder, the files that import crosswind are imported; the others are modules for these to import, and only
    their syntax is checked.

    Args:
        path: a DAG file, or a folder.
        name: the bundle's name.

    Raises:
        FileNotFoundError: there is nothing at `path`.
    """
    path = Path(os.path.abspath(path))
    root = path.parent if path.is_file() else path
    version = bundle_digest(path)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    reading = _Reading(root)
    for file in find_dag_files(path):
        reading.read(file, always=file == path)
    return LoadedBundle(
        name=name,
        root=root,
        version=version,
        dags=reading.dags,
        entry_points=reading.entry_points,
        nodes=reading.nodes,
        offered=tuple(sorted(reading.offered)),
        problems=tuple(reading.problems),
        import_seconds=reading.import_seconds,
        messages=reading.messages,
    )


class _Reading:
    """What has been read so far of one bundle."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dags: dict[str, DAG] = {}
        self.messages: dict[str, bytes] = {}
        self.entry_points: dict[str, TaskFunction[..., Any]] = {}
        self.nodes: dict[str, TaskNode] = {}
        self.offered: set[str] = set()
        self.problems: list[Problem] = []
        self.import_seconds: dict[str, float] = {}

    def read(self, file: Path, *, always: bool) -> None:
        source = file.relative_to(self.root).as_posix()
        began = time.monotonic()
        with collect_dags() as dags:
            try:
                text = file.read_bytes()
                if not always and not _IMPORTS_CROSSWIND.search(text):
                    compile(text, str(file), "exec", dont_inherit=True)
                    return
                module = self._import(file)
            except (Exception, SystemExit) as error:
                self.problems.append(_explain(error, file, self.root))
                # Files that it imported before stand; they are not imported again.
                self._add_dags([dag for dag in dags if dag.location.file in _imported_files()], file)
                return
        self.import_seconds[source] = time.monotonic() - began
        self._add_dags(dags, file)
        self._add_offers(module, source)

    def _add_dags(self, dags: list[DAG], file: Path) -> None:
        for dag in dags:
            try:
                self._add_dag(dag)
            except Exception as error:
                self.problems.append(_explain(error, file, self.root, line=dag.location.line))

    def _import(self, file: Path) -> ModuleType:
        module_name = _module_name(file, self.root)
        present = sys.modules.get(module_name)
        if present is not None and _is_same_file(getattr(present, "__file__", None), file):
            # Another DAG file imported it, or its import failed half-way there.
            return present
        if present is not None or module_name.partition(".")[0] in sys.stdlib_module_names:
            digest = hashlib.sha256(str(file).encode(errors="surrogateescape")).hexdigest()[:8]
            module_name = f"crosswind_dags_{digest}_{module_name.rpartition('.')[2]}"
        spec = importlib.util.spec_from_file_location(module_name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(module_name, None)
            raise
        return module

    def _add_dag(self, dag: DAG) -> None:
        other = self.dags.get(dag.dag_id)
        if other is not None:
            places = [
                f"{manifests.relative_source(place.file, self.root)}:{place.line}"
                for place in (other.location, dag.location)
            ]
            raise DuplicateDag(
                f"DAG '{dag.dag_id}' is defined twice in this bundle, at {places[0]} and {places[1]}; the first one "
                "counts: rename the other",
                file=dag.location.file,
                line=dag.location.line,
            )
        self.messages[dag.dag_id] = manifests.make_dag(dag, root=self.root).SerializeToString(deterministic=True)
        self.dags[dag.dag_id] = dag
        for node in dag.tasks.values():
            if node.task.definition.function is not None:
                self.entry_points[manifests.entry_point(node)] = node.task
                self.nodes[manifests.entry_point(node)] = node

    def _add_offers(self, module: ModuleType, source: str) -> None:
        stem = source.removesuffix(".py").replace("/", ".")
        for value in list(vars(module).values()):
            if not isinstance(value, TaskFunction) or value.definition.function is None:
                continue
            function = value.definition.function
            if getattr(function, "__module__", None) == module.__name__:
                name = f"{stem}:{value.definition.name}"
                self.entry_points[name] = value
                self.offered.add(name)


def _offer(name: str, task: TaskFunction[..., Any]) -> OfferedTask:
    signature = task.definition.signature
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [] if signature is None else [p.name for p in signature.parameters.values() if p.kind not in variadic]
    doc = task.settings.get("doc_md") or inspect.getdoc(task.definition.function) or ""
    return OfferedTask(entry_point=name, parameter_names=names, doc=doc)


def _explain(error: BaseException, file: Path, root: Path, *, line: int = 0) -> Problem:
    """An error as one sentence, with the line of the author's that caused it."""
    source = file.relative_to(root).as_posix()
    if isinstance(error, SyntaxError) and error.filename is not None:
        place = manifests.relative_source(error.filename, root)
        shown = f": {error.text.strip()}" if error.text and error.text.strip() else ""
        if place != source:
            return Problem(
                source, line, f"It imports {place}, which has a syntax error at line {error.lineno}: {error.msg}"
            )
        return Problem(source, error.lineno or 0, f"The file has a syntax error: {error.msg}{shown}")
    if isinstance(error, DagError) and error.file:
        place = manifests.relative_source(error.file, root)
        message = _sentence(str(error))
        return Problem(source, error.line, message) if place == source else Problem(place, error.line, message)
    line = _line_in(error, file) or line
    if isinstance(error, NoTaskError):
        return Problem(source, line, _sentence(str(error)))
    if isinstance(error, SystemExit):
        return Problem(source, line, "The file called sys.exit() while it was read; drop the call, or guard it")
    if isinstance(error, CrosswindError | TypeError | ValueError) and _is_from_us(error):
        return Problem(source, line, _sentence(str(error)))
    said = str(error).strip() or "it says no more"
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = "; install it where the worker runs, or correct the name"
    return Problem(source, line, f"The file raised {type(error).__qualname__} while it was read: {said}{hint}")


def _is_from_us(error: BaseException) -> bool:
    """Whether this package raised it: its sentence needs no introduction."""
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and is_ours(frames[-1][0].f_code.co_filename)


def _line_in(error: BaseException, file: Path) -> int:
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(file)]
    return lines[-1] if lines else 0


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _module_name(file: Path, root: Path) -> str:
    """The name under which other modules of the bundle import the file."""
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _is_same_file(one: str | None, other: Path) -> bool:
    return one is not None and os.path.realpath(one) == os.path.realpath(other)


def _imported_files() -> set[str | None]:
    return {getattr(module, "__file__", None) for module in list(sys.modules.values())}


def _walk(folder: Path, suffixes: frozenset[str] | set[str]) -> Iterator[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no DAG file or folder at {folder}")
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name != "__pycache__"
            and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
        )
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix in suffixes and not name.startswith(".") and path.is_file():
                yield path
