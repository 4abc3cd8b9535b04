"""DAG sources with defects: one clear sentence that names file and defect, and the rest keeps running."""

import re
import uuid
from dataclasses import replace

import pytest

from crosswind.control.v1 import dag_runs_pb2, states_pb2
from tests.e2e.support.cluster import chain, one_task
from tests.e2e.support.processes import BIN, run
from tests.e2e.support.workers import PYTHON_SOURCE

PYTHON_DEFECTS = {
    "syntax": ("from crosswind import DAG\nwith DAG('d'):\n    def (:\n", [r"line 3|:3", r"(?i)syntax"]),
    "cycle": (
        "from crosswind import DAG, task\n"
        "@task\ndef a(): ...\n@task\ndef b(): ...\n"
        "with DAG('d'):\n    x, y = a(), b()\n    x >> y >> x\n",
        [r"(?i)cycle", r"\ba\b", r"\bb\b"],
    ),
    "duplicate-task": (
        "from crosswind import DAG, task\n"
        "@task(task_id='same')\ndef a(): ...\n@task(task_id='same')\ndef b(): ...\n"
        "with DAG('d'):\n    a()\n    b()\n",
        [r"same", r"(?i)twice|duplicate|already"],
    ),
    "variable-at-import": (
        "from crosswind import DAG, Variable, task\n"
        "KEY = Variable.get('api_key')\n"
        "@task\ndef a(): ...\nwith DAG('d'):\n    a()\n",
        [r"api_key", r"(?i)inside a task|in a task"],
    ),
}


@PYTHON_SOURCE
@pytest.mark.parametrize("defect", list(PYTHON_DEFECTS))
def test_defect_is_told_and_the_other_dags_run(cluster, defect):
    source, patterns = PYTHON_DEFECTS[defect]
    cluster.write(one_task("good"))
    bad = cluster.dags / "bad.py"
    bad.write_text(source)
    worker = cluster.start_worker()
    line = worker.wait_for(r".*bad\.py.*").group(0)
    for pattern in patterns:
        assert re.search(pattern, line), line
    assert "Traceback" not in worker.log
    assert cluster.control.dag_ids() == ["good"]
    running = cluster.control.trigger("good")
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("good", running) == "SUCCEEDED"


@PYTHON_SOURCE
def test_what_a_broken_file_held_stays_until_it_is_mended_or_deleted(each_cluster):
    cluster = each_cluster
    cluster.write(chain(), one_task("good"))
    worker = cluster.start_worker()
    first = cluster.control.dag("chain")
    file = cluster.dags / "chain.py"

    def lose(source: str | None) -> None:
        """Write something that is no Python, or delete the file, and wait until the server knows."""
        since = worker.mark()
        half = cluster.dags / ".half"
        if source is None:
            file.unlink()
        else:
            half.write_text(source)
            half.replace(file)
        version = worker.wait_for(r"version (\w+): good\.", since=since).group(1)
        worker.wait_for(f"On offer: .*{version}", since=since)

    lose("def broken(:\n")
    kept = cluster.control.dag("chain")
    assert (kept.removed, kept.offered, kept.bundle_version) == (False, True, first.bundle_version)
    assert cluster.control.dag_ids() == ["chain", "good"]
    listed = cluster.command("dags", "list")
    assert re.search(r"^chain .* yes", listed.stdout, re.MULTILINE), listed.stdout
    assert re.search(r"chain\.py:1: The file has a syntax error", listed.stderr), listed.stderr
    assert f"chain stays as it was last, in version {first.bundle_version[:12]}" in listed.stderr
    assert "chain.py:1" in cluster.command("bundles", "list").stderr
    run_id = cluster.control.trigger("chain")
    began = cluster.stage.enter("first")
    assert began.order("version") == 1
    began.succeed(1)
    cluster.stage.enter("second").succeed(2)
    assert cluster.control.wait_run("chain", run_id) == "SUCCEEDED"

    # A worker that starts while the file is broken does not have what it held: the run waits for it to be mended.
    worker.terminate()
    assert worker.wait() == 0
    worker = cluster.start_worker("second")
    assert not cluster.control.dag("chain").offered
    run_id = cluster.control.trigger("chain")
    cluster.control.wait_task("chain", run_id, "first", "QUEUED")
    waiting = cluster.control.task("chain", run_id, "first")
    assert waiting.waiting_reason == states_pb2.WAITING_REASON_NO_WORKER
    cluster.rewrite(worker, replace(chain(), version=2))
    began = cluster.stage.enter("first")
    assert began.order("version") == 2
    began.succeed(1)
    cluster.stage.enter("second").succeed(2)
    assert cluster.control.wait_run("chain", run_id) == "SUCCEEDED"

    lose("def broken(again:\n")
    assert cluster.control.dag_ids() == ["chain", "good"]
    lose(None)
    assert cluster.control.dag_ids() == ["good"]
    request = dag_runs_pb2.TriggerDagRunRequest(dag_id="chain", request_id=str(uuid.uuid4()))
    _, reason, _ = cluster.control.refused(cluster.control.runs.TriggerDagRun, request)
    assert reason == "DAG_NOT_FOUND"


@pytest.mark.parametrize("defect", list(PYTHON_DEFECTS))
def test_check_finds_the_defect_without_a_server(tmp_path, defect):
    source, patterns = PYTHON_DEFECTS[defect]
    bad = tmp_path / "bad.py"
    bad.write_text(source)
    checked = run([BIN / "crosswind", "dags", "check", bad], folder=tmp_path)
    told = checked.stdout + checked.stderr
    assert checked.returncode in (1, 2), told
    assert "Traceback" not in told
    assert "bad.py" in told
    for pattern in patterns:
        assert re.search(pattern, told), told


def test_folder_that_is_not_there_is_told(cluster):
    worker = cluster.worker(dags=cluster.folder / "nowhere")
    worker.start()
    assert worker.wait() == 2
    assert str(cluster.folder / "nowhere") in worker.log
    assert "Traceback" not in worker.log
