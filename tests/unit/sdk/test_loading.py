import os
import subprocess
import sys
from pathlib import Path

import pytest

from crosswind.author.bundle import bundle_digest, load_bundle
from crosswind.author.checking import check_path

GOOD = "from crosswind import DAG, task\n@task\ndef t(): return 1\nwith DAG('{}'):\n    t()\n"
TASKS = "from crosswind import DAG, task\n@task\ndef a(): ...\n@task\ndef b(): ...\n"


@pytest.mark.parametrize(
    ("source", "line", "sentence"),
    [
        ("import crosswind\n\n    def (:\n", 3, "The file has a syntax error: unexpected indent: def (:"),
        ("def (:\n", 1, "The file has a syntax error: "),
        (
            "import crosswind\n\ndef f():\n    return {}['x']\nf()\n",
            4,
            "The file raised KeyError while it was read: 'x'",
        ),
        (
            "import crosswind\nimport nowhere_to_be_found\n",
            2,
            "The file raised ModuleNotFoundError while it was read: No module named 'nowhere_to_be_found'; install it "
            "where the worker runs, or correct the name",
        ),
        (
            TASKS + "with DAG('d'):\n    x, y = a(), b()\n    x >> y\n    y >> x\n",
            9,
            "DAG 'd' has a cycle: ",
        ),
        (
            TASKS + "with DAG('d'):\n    a.override(task_id='same')()\n    b.override(task_id='same')()\n",
            8,
            "DAG 'd' has the task id 'same' twice, at bad.py:7 and bad.py:8; give one of them another task_id",
        ),
        (
            "from crosswind import Variable\nKEY = Variable.get('api_key')\n",
            2,
            "Variable.get('api_key') was called while the DAG file was being read, where there is no server to ask; "
            "call it inside a task",
        ),
        (TASKS + "with DAG('d'):\n    a(1)\n", 7, "Task 'a': too many positional arguments; its parameters are ()"),
        ("from crosswind import DAG\nDAG('d')\n", 2, "DAG 'd' has no tasks; call at least one inside it"),
        ("import crosswind, sys\nsys.exit(3)\n", 2, "The file called sys.exit() while it was read"),
        (
            TASKS + "with DAG('good'):\n    a()\n",
            6,
            "DAG 'good' is defined twice in this bundle, at a_good.py:4 and bad.py:6",
        ),
    ],
)  # fmt: skip
def test_a_file_that_fails_is_told_in_a_sentence_and_the_rest_stands(load, source, line, sentence):
    loaded = load({"a_good.py": GOOD.format("good"), "bad.py": source, "c_good.py": GOOD.format("better")})
    assert list(loaded.dags) == ["good", "better"]
    (problem,) = loaded.problems
    assert problem.message.startswith(sentence)
    assert (problem.source, problem.line) == ("bad.py", line)
    assert "\n" not in problem.message
    (stored,) = loaded.manifest("v").source_errors
    assert (stored.source, stored.line, stored.message) == ("bad.py", line, problem.message)


def test_modules_of_a_bundle_import_each_other_once(load):
    loaded = load(
        {
            "one.py": "from crosswind import DAG, task\nfrom lib.shared import VALUE, twice\n"
            "with DAG('one'):\n    twice(1)\n",
            "lib/__init__.py": "",
            "lib/shared.py": "from crosswind import task\nVALUE = object()\n@task\ndef twice(x): return 2 * x\n",
            "two.py": "from crosswind import DAG\nimport one\nfrom lib.shared import VALUE, twice\n"
            "assert one.VALUE is VALUE\nwith DAG('two'):\n    twice(2)\n",
            "json.py": GOOD.format("named_like_the_standard_library"),
        }
    )
    assert loaded.problems == ()
    assert sorted(loaded.dags) == ["named_like_the_standard_library", "one", "two"]
    assert loaded.offered == ("json:t", "lib.shared:twice")
    assert set(loaded.entry_points) >= {"one.twice", "two.twice", "lib.shared:twice"}
    import json

    assert json.loads("1") == 1


def test_a_dag_that_a_failing_file_imported_stands(load):
    loaded = load({"a.py": "import crosswind\nimport z\nboom\n", "z.py": GOOD.format("z")})
    assert list(loaded.dags) == ["z"]
    assert [problem.source for problem in loaded.problems] == ["a.py"]


def test_a_file_that_imports_a_broken_one_names_it(load):
    loaded = load({"a.py": "import crosswind\nimport z\n", "z.py": "import crosswind\n\nx = (\n"})
    assert [(problem.source, problem.message.split(":")[0]) for problem in loaded.problems] == [
        ("a.py", "It imports z.py, which has a syntax error at line 3"),
        ("z.py", "The file has a syntax error"),
    ]


def test_tests_hidden_files_and_environments_are_not_read(load):
    loaded = load(
        {
            "dags.py": GOOD.format("d"),
            "test_dags.py": "import crosswind\nboom\n",
            "conftest.py": "import crosswind\nboom\n",
            ".hidden.py": "import crosswind\nboom\n",
            "env/pyvenv.cfg": "",
            "env/lib.py": "import crosswind\nboom\n",
        }
    )
    assert loaded.problems == ()


def test_a_single_file_is_a_bundle(tmp_path, load):
    load({})
    file = tmp_path / "alone.py"
    file.write_text(GOOD.format("alone"))
    (tmp_path / "other.py").write_text("boom\n")
    loaded = load_bundle(file, "alone")
    assert list(loaded.dags) == ["alone"]
    assert loaded.manifest().bundle_version == bundle_digest(file)
    with pytest.raises(FileNotFoundError, match="There is no DAG file or folder at"):
        load_bundle(tmp_path / "nowhere", "x")


def test_the_digest_follows_names_and_contents_of_sources(tmp_path):
    seen = []

    def note(change):
        change()
        seen.append(bundle_digest(tmp_path))

    (tmp_path / "a.py").write_text("1")
    note(lambda: None)
    note(lambda: (tmp_path / "a.py").write_text("2"))
    note(lambda: (tmp_path / "a.py").rename(tmp_path / "b.py"))
    note(lambda: (tmp_path / "settings.yaml").write_text("x: 1"))
    note(lambda: (tmp_path / "c.py").write_text(""))
    assert len(set(seen)) == 5
    assert all(len(version) == 32 for version in seen)
    before = seen[-1]
    note(lambda: (tmp_path / "notes.txt").write_text("x"))
    note(lambda: (tmp_path / "__pycache__").mkdir())
    note(lambda: (tmp_path / "__pycache__" / "x.py").write_text("x"))
    note(lambda: os.utime(tmp_path / "b.py", (0, 0)))
    assert seen[-4:] == [before] * 4


def test_the_digest_imports_nothing(tmp_path):
    (tmp_path / "a.py").write_text("import crosswind\nraise SystemExit('imported')\n")
    assert len(bundle_digest(tmp_path)) == 32


def test_checking_says_what_is_wrong_and_what_is_odd(load, tmp_path):
    load({})
    folder = tmp_path / "checked"
    folder.mkdir()
    (folder / "bad.py").write_text("import crosswind\nx = (\n")
    (folder / "odd.py").write_text(
        "from crosswind import DAG, task\n"
        "with DAG('odd', schedule='@daily', catchup=True):\n"
        "    @task(retry_delay=5)\n    def used(): ...\n"
        "    @task\n    def forgotten(): ...\n"
        "    used()\n"
    )
    report = check_path(folder)
    assert (report.ok, report.dag_ids) == (False, ("odd",))
    assert [str(finding).split("; ")[0] for finding in report.findings] == [
        "bad.py:2: error: The file has a syntax error: '(' was never closed: x = (",
        "odd.py:2: warning: DAG 'odd' has catchup=True, but no start_date to catch up from",
        "odd.py:7: warning: Task 'used' says how to wait before a retry, but has no retries",
        "odd.py:5: warning: Task 'forgotten' of DAG 'odd' is written inside it, but never called",
    ]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "There is no DAG and no task here" in str(check_path(empty).findings[0])


def test_importing_crosswind_imports_neither_grpc_nor_protobuf():
    code = (
        "import sys, crosswind\n"
        "assert not {m.partition('.')[0] for m in sys.modules} & {'grpc', 'google', 'asyncio', 'inspect'}\n"
        "from crosswind import *\n"
        "with DAG('d'):\n    task(task_id='t')(lambda: 1)()\n"
        "assert not {m.partition('.')[0] for m in sys.modules} & {'grpc', 'google'}\n"
        "import crosswind.author.bundle, crosswind.runtime.execution, crosswind.client.task_client\n"
        "assert 'grpc' not in sys.modules\n"
        "print('clean')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("clean\n", "")


def test_every_public_name_is_there():
    import crosswind

    for name in crosswind.__all__:
        assert getattr(crosswind, name) is not None
    assert set(crosswind.__all__) <= set(dir(crosswind))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = crosswind.nothing
    assert Path(crosswind.__file__).name == "__init__.py"
