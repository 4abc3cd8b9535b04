"""Which airline left New York latest in January 2013?

`extract` splits the month by carrier, `carrier_stats` runs once for each carrier, `report` writes a report and a chart.
`carrier_stats` is written in Go, in the bundle `flights_go` (`../go`), which holds the whole pipeline in Go too.

The tasks hand each other small results; the flights themselves travel as files in `workdir`, a parameter of the run.
With workers on several machines, `workdir` is a folder that all of them see.
"""

import csv
import gzip
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from crosswind import DAG, get_current_context, task

EXAMPLE = Path(__file__).resolve().parent.parent
FLIGHTS = EXAMPLE / "data" / "flights-2013-01.csv.gz"
AIRLINES = EXAMPLE / "data" / "airlines.csv"
COLUMNS = ("origin", "dest", "dep_delay")


class CarrierStats(TypedDict):
    """Departure delays of a carrier in minutes, without cancelled flights. None where every flight was cancelled."""

    carrier: str
    flights: int
    cancelled: int
    mean_delay: float | None
    median_delay: float | None
    p95_delay: float | None
    worst_route: str | None
    worst_route_mean_delay: float | None


class RankedCarrier(CarrierStats):
    """A carrier in the ranking, the latest first."""

    rank: int
    name: str


def run_folder() -> Path:
    """The folder of this run's files: every run has its own, so that runs beside each other do not meet."""
    context = get_current_context()
    folder = Path(context.params["workdir"]) / context.run_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@task
def extract() -> list[str]:
    """Writes one file for each carrier and returns the carriers."""
    folder = run_folder()
    by_carrier: dict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(FLIGHTS, "rt", newline="") as source:
        for row in csv.DictReader(source):
            by_carrier[row["carrier"]].append(row)
    for carrier, rows in by_carrier.items():
        with (folder / f"{carrier}.csv").open("w", newline="") as target:
            writer = csv.DictWriter(target, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        print(f"{carrier}: {len(rows)} flights")
    return sorted(by_carrier)


# Runs where a worker offers the bundle: crosswind-go-worker, or crosswind-worker, with --bundle.
carrier_stats = task.ref(bundle="flights_go", entry_point="carrier_stats", parameters=["carrier", "workdir"])


@task
def report(stats: Sequence[CarrierStats]) -> list[RankedCarrier]:
    """Ranks the carriers by mean delay and writes `report.md` with a chart, `delays.png`."""
    with AIRLINES.open(newline="") as source:
        names = {row["carrier"]: row["name"] for row in csv.DictReader(source)}
    latest_first = sorted(
        stats, key=lambda one: (one["mean_delay"] is None, -(one["mean_delay"] or 0.0), one["carrier"])
    )
    ranking: list[RankedCarrier] = [
        {**one, "rank": rank, "name": names.get(one["carrier"], one["carrier"])}
        for rank, one in enumerate(latest_first, start=1)
    ]
    folder = run_folder()
    draw_chart(ranking, folder / "delays.png")
    (folder / "report.md").write_text(render_report(ranking), encoding="utf-8")
    print(f"The report is {folder / 'report.md'}")
    return ranking


def render_report(ranking: Sequence[RankedCarrier]) -> str:
    """The report as Markdown."""
    flights = sum(one["flights"] for one in ranking)
    cancelled = sum(one["cancelled"] for one in ranking)
    lines = [
        "# Departures from New York, January 2013",
        "",
        f"{flights:,} flights of {len(ranking)} airlines, {cancelled:,} of them cancelled. Delays are in minutes.",
        "",
        "![Mean and 95th percentile of the delay by airline](delays.png)",
        "",
        "| | airline | flights | cancelled | mean | median | p95 | worst route |",
        "|--:|---|--:|--:|--:|--:|--:|---|",
    ]
    for one in ranking:
        figures = " | ".join(minutes(one[key]) for key in ("mean_delay", "median_delay", "p95_delay"))
        route = f"{one['worst_route']} ({minutes(one['worst_route_mean_delay'])})" if one["worst_route"] else "-"
        lines.append(
            f"| {one['rank']} | {one['name']} | {one['flights']:,} | {one['cancelled']:,} | {figures} | {route} |"
        )
    return "\n".join(lines) + "\n"


def minutes(delay: float | None) -> str:
    return "-" if delay is None else f"{delay:.1f}"


def draw_chart(ranking: Sequence[RankedCarrier], path: Path) -> None:
    """Draws the mean as a bar and the 95th percentile as a dot for each airline, the latest on top."""
    import matplotlib  # here, because only this task needs it: reading the DAG stays fast

    matplotlib.use("Agg")
    from matplotlib import pyplot

    flown = [one for one in reversed(ranking) if one["mean_delay"] is not None]
    names = [one["name"] for one in flown]
    figure, axes = pyplot.subplots(figsize=(9, 0.42 * len(flown) + 1.6), layout="constrained")
    axes.hlines(names, 0, [one["p95_delay"] or 0.0 for one in flown], color="#d6dee6", linewidth=2, zorder=1)
    axes.barh(names, [one["mean_delay"] or 0.0 for one in flown], height=0.62, color="#2f6f9f", label="mean", zorder=2)
    axes.scatter([one["p95_delay"] or 0.0 for one in flown], names, color="#e07b39", label="95th percentile", zorder=3)
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set_title("Departure delay from New York, January 2013", loc="left", fontweight="bold")
    axes.set_xlabel("minutes")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


with DAG(
    "flights",
    description="Departure delays of New York's airlines in January 2013",
    tags=["example"],
    params={"workdir": str(EXAMPLE / "work")},
) as dag:
    report(carrier_stats.partial(workdir=dag.params["workdir"]).expand(carrier=extract()))
