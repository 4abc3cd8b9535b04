"""The flights example on real processes, its figures against an independent computation in SQL."""

import csv
import gzip
import json
import re
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crosswind.cli.rows import decode_payload
from crosswind.control.v1.xcoms_pb2 import GetXComRequest
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.processes import Process, run
from tests.e2e.support.workers import PythonKind

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
def cluster(database_url: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(PythonKind(), database_url, tmp_path)
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


def test_figures_and_report(cluster, tmp_path):
    cluster.start_worker(dags=EXAMPLE / "dags")
    conf = json.dumps({"workdir": str(tmp_path / "work")})
    done = cluster.command(
        "dags", "trigger", "flights", "--conf", conf, "--run-id", "january", "--wait", "--output", "json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "succeeded"

    expected = compute_figures()
    assert sum(one["flights"] for one in expected) == 27004
    request = GetXComRequest(dag_id="flights", run_id="january", task_id="report")
    ranking = decode_payload(cluster.control.call(cluster.control.xcoms.GetXCom, request).value)
    assert [one["carrier"] for one in ranking] == [one["carrier"] for one in expected]
    for found, wanted in zip(ranking, expected, strict=True):
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert found[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value), found

    folder = tmp_path / "work" / "january"
    report = (folder / "report.md").read_text()
    assert all(f"| {one['name']} | {one['flights']:,} | {one['cancelled']:,} |" in report for one in expected)
    assert "![" in report
    assert "](delays.png)" in report
    assert (folder / "delays.png").read_bytes().startswith(b"\x89PNG\r\n")

    listed = cluster.command("tasks", "list", "flights/january", "--output", "json")
    rows = json.loads(listed.stdout)
    assert [row["map_index"] for row in rows if row["task_id"] == "carrier_stats"] == list(range(len(expected)))
    assert {row["state"] for row in rows} == {"succeeded"}
    assert {(row["worker"], row["language"], row["try_number"]) for row in rows} == {("worker", "python", 1)}
    assert all(row["queued_time"] <= row["start_time"] <= row["end_time"] for row in rows)


def test_demo_shows_the_table_and_stops_what_it_started(tmp_path):
    done = run([sys.executable, EXAMPLE / "demo.py"], folder=tmp_path, seconds=90)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [one["name"] for one in compute_figures()] == re.findall(r"^ ?\d+ (\S.*?\S) {2,}", done.stdout, re.MULTILINE)
    report = re.search(r"^The report is (.*)$", done.stdout, re.MULTILINE)
    assert report is not None
    folder = Path(report[1]).parents[2]
    assert Path(report[1]).read_text().startswith("# Departures from New York")
    assert_stopped(folder)


def test_interrupted_demo_stops_what_it_started(tmp_path):
    demo = Process("demo", [sys.executable, EXAMPLE / "demo.py"], folder=tmp_path)
    with demo:
        demo.wait_for("extract running")
        demo.send(signal.SIGINT)
        assert demo.wait() == 130
        assert "Traceback" not in demo.log


def assert_stopped(folder: Path) -> None:
    """Whether server and worker said goodbye, in the logs that the demo kept."""
    assert "stopped" in (folder / "server.log").read_text()
    assert "Stopped" in (folder / "worker.log").read_text()
    assert not (folder / ".crosswind" / "server.json").exists()
