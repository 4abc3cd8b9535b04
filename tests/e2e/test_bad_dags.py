"""DAG sources with defects: one clear sentence that names file and defect, and the rest keeps running."""

import re

import pytest

from tests.e2e.support.cluster import one_task
from tests.e2e.support.processes import BIN, run

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
