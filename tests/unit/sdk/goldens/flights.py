"""A DAG of everyday things; `flights.txtpb` is its manifest."""

from datetime import UTC, datetime, timedelta

from crosswind import DAG, RetryRule, task, task_group


@task(retries=2, retry_delay=timedelta(seconds=30), retry_exponential_backoff=True, retry_jitter=0.5)
def extract(month: int) -> list[str]:
    """Splits the month by carrier."""
    return [str(month)]


@task(queue="large", pool="files", slots=2, variables=["folder"], connections=["store"], on_partition="kill")
def stats(carrier: str, /, factor: float = 1.0, *, labels: tuple[str, ...] = ()) -> dict[str, float]:
    return {carrier: factor}


@task(trigger_rule="none_failed_min_one_success", execution_timeout=90, multiple_outputs=True)
def report(rows: list[dict[str, float]], first: str, title: dict[str, list[str]]) -> dict[str, str]:
    return {"path": title["of"][0] + first}


@task(retry_rules=[RetryRule(["requests.exceptions.HTTPError"], delay=5), RetryRule(["ValueError"], retry=False)])
def publish(path: str, *copies: str, **more: object) -> None: ...


with DAG(
    "flights",
    description="Delays",
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    tags=["b", "a"],
    params={"month": 1},
    default_args={"owner": "team", "retries": 1},
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
) as flights:
    carriers = extract(flights.params["month"])
    rows = stats.partial(factor=2, labels=("x",)).expand([carriers, ["never"]][0])
    with task_group("out", description="What people see"):
        written = report(rows, carriers[0], {"of": [carriers[-1], "title"]})
        publish(written["path"], "copy", to={"$input": "literal"})
    task.ref(bundle="go_stats", entry_point="stats", parameters=["rows"]).expand_kwargs([{"rows": 1}, {"rows": 2}])
