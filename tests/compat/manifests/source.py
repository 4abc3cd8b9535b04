"""What `python.binpb` beside this was made of: DAGs that use every part of a manifest that the server reads."""

from datetime import timedelta

from crosswind import DAG, Access, Param, RetryRule, TriggerRule, chain, task, task_group


@task
def numbers(count: int = 3) -> list[int]:
    """Some numbers."""
    return list(range(count))


@task(
    retries=2,
    retry_delay=timedelta(seconds=5),
    retry_exponential_backoff=2.5,
    max_retry_delay=timedelta(minutes=2),
    retry_jitter=0.25,
    retry_rules=[RetryRule(failure_types=["KeyError"], retry=False)],
    max_lost=1,
    execution_timeout=timedelta(minutes=1),
    cancel_grace=timedelta(seconds=3),
)
def scale(number: int, *, factor: float, month: str) -> float:
    """One of them, made larger."""
    return number * factor


@task(queue="heavy", slots=2, priority_weight=7, isolation="shared", on_partition="kill", variables=["my_variable"])
def total(parts: list[float]) -> float:
    """All of them."""
    return sum(parts)


@task(trigger_rule=TriggerRule.ALL_DONE, connections=["warehouse"], multiple_outputs=True)
def tell(result: float, word: str = "total") -> dict[str, float]:
    """What it came to."""
    return {word: result}


chart = task.ref(bundle="charts", entry_point="draw")

with DAG(
    "every_option",
    description="What a manifest can say",
    tags=["frozen", "plain"],
    params={"month": Param("may", description="Which month"), "year": 2026},
    access=Access(mode="strict", variables=["my_*"], connections=["warehouse"], dags=["plain"]),
    owner="ann",
):
    with task_group("inner"):
        scaled = scale.partial(factor=1.5, month="may").expand(number=numbers())
    chart(tell(total(scaled)))

with DAG("plain"):
    chain(numbers(), numbers.override(task_id="again")())
