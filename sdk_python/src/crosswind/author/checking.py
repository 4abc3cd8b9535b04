"""What `crosswind dags check` finds in DAG files, without a server.

Here belongs what is worth a warning though it can be published. What cannot is found by `bundle.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from crosswind.author.bundle import LoadedBundle, load_bundle
from crosswind.author.dag import DAG
from crosswind.author.manifest import relative_source
from crosswind.author.schedules import Cron
from crosswind.author.tasks import TaskFunction

_SLOW_IMPORT_SECONDS: Final = 3.0
_LARGE_MANIFEST_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class Finding:
    """Something found in a DAG file.

    Args:
        severity: an error keeps something from being published, a warning does not.
        source: the file, relative to what was checked.
        line: from 1; 0 where unknown.
        message: one sentence that names the thing and the way out.
    """

    severity: Literal["error", "warning"]
    source: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        return f"{place}: {self.severity}: {self.message}"


@dataclass(frozen=True)
class Report:
    """What was found.

    Args:
        dag_ids: the DAGs that can be published.
        findings: errors first, then warnings, each in the order of the files.
    """

    dag_ids: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return all(finding.severity != "error" for finding in self.findings)


def check_path(path: Path) -> Report:
    """Reads a DAG file or folder into this process and says what is wrong with it.

    Raises:
        FileNotFoundError: there is nothing at `path`.
    """
    loaded = load_bundle(path, "checked")
    errors = [Finding("error", problem.source, problem.line, problem.message) for problem in loaded.problems]
    warnings = [finding for dag in loaded.dags.values() for finding in _check_dag(dag, loaded)]
    warnings += [
        Finding("warning", source, 0, f"It took {seconds:.1f} s to import; move slow work into tasks")
        for source, seconds in loaded.import_seconds.items()
        if seconds > _SLOW_IMPORT_SECONDS
    ]
    if not loaded.dags and not loaded.offered and not errors:
        errors.append(
            Finding("error", path.name, 0, "There is no DAG and no task here; define one with `with DAG(...):`")
        )
    return Report(tuple(loaded.dags), (*errors, *warnings))


def _check_dag(dag: DAG, loaded: LoadedBundle) -> list[Finding]:
    source = relative_source(dag.location.file, loaded.root)

    def warn(message: str, line: int = dag.location.line) -> Finding:
        return Finding("warning", source, line, message)

    findings: list[Finding] = []
    if isinstance(dag.schedule, Cron) and dag.catchup and dag.start_date is None:
        findings.append(warn(f"DAG '{dag.dag_id}' has catchup=True, but no start_date to catch up from; give it one"))
    if dag.start_date is not None and dag.end_date is not None and dag.end_date < dag.start_date:
        findings.append(warn(f"DAG '{dag.dag_id}' ends before it starts; correct start_date or end_date"))
    size = len(loaded.messages[dag.dag_id])
    if size > _LARGE_MANIFEST_BYTES:
        findings.append(
            warn(f"DAG '{dag.dag_id}' takes {size / 2**20:.1f} MiB of manifest; read large data inside tasks instead")
        )
    for node in dag.tasks.values():
        backoff = any(name in node.settings for name in ("retry_delay", "retry_exponential_backoff", "retry_jitter"))
        if backoff and not node.settings.get("retries") and "retries" not in dag.default_args:
            findings.append(
                warn(f"Task '{node.task_id}' says how to wait before a retry, but has no retries", node.location.line)
            )
    called: set[object] = {node.task.definition.function for node in dag.tasks.values()}
    findings += [
        warn(f"Task '{name}' of DAG '{dag.dag_id}' is written inside it, but never called", line)
        for name, line in _written_inside(dag, called)
    ]
    return findings


def _written_inside(dag: DAG, called: set[object]) -> list[tuple[str, int]]:
    """Tasks whose functions stand between the DAG's first line and its last call, and are not among `called`."""
    import sys

    last = max(node.location.line for node in dag.tasks.values())
    modules = [
        module for module in list(sys.modules.values()) if getattr(module, "__file__", None) == dag.location.file
    ]
    found: list[tuple[str, int]] = []
    for module in modules:
        for value in vars(module).values():
            function = value.definition.function if isinstance(value, TaskFunction) else None
            code = getattr(function, "__code__", None)
            if code is not None and function not in called and dag.location.line < code.co_firstlineno < last:
                found.append((value.task_id, code.co_firstlineno))
    return sorted(set(found), key=lambda item: item[1])
