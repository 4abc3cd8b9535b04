"""The flights example on real processes, its figures against an independent computation in SQL."""

import csv
import gzip
import json
import re
import signal
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from crosswind.cli.rows import decode_payload
from crosswind.control.v1.xcoms_pb2 import GetXComRequest
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.processes import Process, run
from tests.e2e.support.workers import GoKind, PythonKind

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
FIGURES = """
WITH flown AS (
    SELECT carrier, origin || '-' || dest AS route, CAST(dep_delay AS REAL) AS delay
    FROM flights WHERE dep_delay <> 'NA'
), ordered AS (
    SELECT carrier, delay,
        row_number() OVER (PARTITION BY carrier ORDER BY delay) - 1 AS place,
        count(*) OVER (PARTITION BY carrier) - 1 AS last
    FROM flown
), delays AS (
    -- A linear quantile is the mean of its two neighbours, each weighted by how near it is.
    SELECT carrier, avg(delay) AS mean_delay,
        sum(delay * max(0, 1 - abs(place - 0.50 * last))) AS median_delay,
        sum(delay * max(0, 1 - abs(place - 0.95 * last))) AS p95_delay
    FROM ordered GROUP BY carrier
), routes AS (
    SELECT carrier, route, avg(delay) AS mean, row_number() OVER (
        PARTITION BY carrier ORDER BY count(*) >= 10 DESC, avg(delay) DESC, route
    ) AS place
    FROM flown GROUP BY carrier, route
), counts AS (
    SELECT carrier, count(*) AS flights, sum(dep_delay = 'NA') AS cancelled FROM flights GROUP BY carrier
)
SELECT row_number() OVER (ORDER BY mean_delay DESC) AS rank, carrier, airlines.name, flights, cancelled,
    mean_delay, median_delay, p95_delay, route AS worst_route, mean AS worst_route_mean_delay
FROM counts JOIN delays USING (carrier) JOIN airlines USING (carrier) JOIN routes USING (carrier)
WHERE routes.place = 1 ORDER BY rank
"""


@pytest.fixture
def cluster(migrated_url: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(PythonKind(), migrated_url, tmp_path)
    yield cluster
    cluster.close()


def compute_figures() -> list[dict[str, Any]]:
    """The ranking, by SQL alone."""
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    try:
        with gzip.open(EXAMPLE / "data" / "flights-2013-01.csv.gz", "rt", newline="") as file:
            load(database, "flights", file)
        with (EXAMPLE / "data" / "airlines.csv").open(newline="") as file:
            load(database, "airlines", file)
        return [dict(row) for row in database.execute(FIGURES)]
    finally:
        database.close()


def load(database: sqlite3.Connection, table: str, lines: Iterator[str] | Any) -> None:
    rows = csv.reader(lines)
    header = next(rows)
    database.execute(f"CREATE TABLE {table} ({', '.join(header)})")
    database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(header))})", rows)


class OneBundle(GoKind):
    """A Go worker that offers the example's bundle, and no folder of DAGs."""

    def command(self, *, dags: Path, options: Sequence[str | Path]) -> list[str | Path]:
        """The command."""
        return [self.bundles.command("crosswind-go-worker"), "--bundle", self.bundles.flights(), *options]


@pytest.mark.timeout(600)  # where nothing of Go has been built yet
def test_figures_and_report_of_the_dag_in_two_languages(cluster, go_bundles, tmp_path):
    cluster.start_worker(dags=EXAMPLE / "dags")
    cluster.start_worker("go-worker", kind=OneBundle(go_bundles))
    rows = check_run(cluster, "flights", {"workdir": str(tmp_path / "work")}, tmp_path / "work")
    done = {(row["task_id"], row["worker"], row["language"]) for row in rows}
    assert done == {
        ("extract", "worker", "python"),
        ("carrier_stats", "go-worker", "go"),
        ("report", "worker", "python"),
    }


@pytest.mark.timeout(600)
def test_figures_and_report_of_the_dag_in_go_without_a_python_worker(cluster, go_bundles, tmp_path):
    cluster.start_worker("go-worker", kind=OneBundle(go_bundles))
    parameters = {"workdir": str(tmp_path / "work"), "data": str(EXAMPLE / "data")}
    rows = check_run(cluster, "flights_go", parameters, tmp_path / "work")
    assert {(row["worker"], row["language"]) for row in rows} == {("go-worker", "go")}


@pytest.mark.timeout(600)
def test_figures_and_report_of_both_on_one_python_worker(cluster, go_bundles, tmp_path):
    worker = cluster.worker(dags=EXAMPLE / "dags", options=["--bundle", go_bundles.flights()])
    worker.start()
    worker.wait_for(r"On offer: dags \w+, flights_go \w+")
    for dag_id in ("flights", "flights_go"):
        work = tmp_path / dag_id
        parameters = {"workdir": str(work)} | ({"data": str(EXAMPLE / "data")} if dag_id == "flights_go" else {})
        rows = check_run(cluster, dag_id, parameters, work)
        assert {row["worker"] for row in rows} == {"worker"}


def check_run(cluster: Cluster, dag_id: str, parameters: dict[str, str], work: Path) -> list[dict[str, Any]]:
    """Run a DAG, hold its ranking and report to the figures, and return what is listed of its tasks."""
    done = cluster.command(
        *("dags", "trigger", dag_id, "--conf", json.dumps(parameters), "--run-id", "january", "--wait"),
        *("--output", "json"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "succeeded"

    expected = compute_figures()
    assert sum(one["flights"] for one in expected) == 27004
    request = GetXComRequest(dag_id=dag_id, run_id="january", task_id="report")
    ranking = decode_payload(cluster.control.call(cluster.control.xcoms.GetXCom, request).value)
    assert [one["carrier"] for one in ranking] == [one["carrier"] for one in expected]
    for found, wanted in zip(ranking, expected, strict=True):
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert found[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value), found

    folder = work / "january"
    report = (folder / "report.md").read_text()
    assert all(f"| {one['name']} | {one['flights']:,} | {one['cancelled']:,} |" in report for one in expected)
    assert "![" in report
    assert "](delays.png)" in report
    assert (folder / "delays.png").read_bytes().startswith(b"\x89PNG\r\n")

    listed = cluster.command("tasks", "list", f"{dag_id}/january", "--output", "json")
    rows: list[dict[str, Any]] = json.loads(listed.stdout)
    assert [row["map_index"] for row in rows if row["task_id"] == "carrier_stats"] == list(range(len(expected)))
    assert {(row["state"], row["try_number"]) for row in rows} == {("succeeded", 1)}
    assert all(row["queued_time"] <= row["start_time"] <= row["end_time"] for row in rows)
    return rows


@pytest.mark.timeout(600)
def test_demo_shows_the_table_and_stops_what_it_started(tmp_path):
    done = run([sys.executable, EXAMPLE / "demo.py"], folder=tmp_path, seconds=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [one["name"] for one in compute_figures()] == re.findall(r"^ ?\d+ (\S.*?\S) {2,}", done.stdout, re.MULTILINE)
    report = re.search(r"^The report is (.*)$", done.stdout, re.MULTILINE)
    assert report is not None
    folder = Path(report[1]).parents[2]
    assert Path(report[1]).read_text().startswith("# Departures from New York")
    assert "The DAG in Go, flights_go, gives the same figures." in done.stdout
    in_go = re.search(r"^That of the DAG in Go is (.*)$", done.stdout, re.MULTILINE)
    assert in_go is not None
    assert Path(in_go[1]).read_text() == Path(report[1]).read_text()
    assert_stopped(folder)


@pytest.mark.timeout(600)
def test_interrupted_demo_stops_what_it_started(tmp_path):
    demo = Process("demo", [sys.executable, EXAMPLE / "demo.py"], folder=tmp_path)
    with demo:
        demo.wait_for("extract running", seconds=500)
        demo.send(signal.SIGINT)
        assert demo.wait() == 130
        assert "Traceback" not in demo.log


def assert_stopped(folder: Path) -> None:
    """Whether server and workers said goodbye, in the logs that the demo kept."""
    assert "stopped" in (folder / "server.log").read_text()
    assert "Stopped" in (folder / "worker.log").read_text()
    assert "Stopped" in (folder / "go-worker.log").read_text()
    assert not (folder / ".crosswind" / "server.json").exists()
