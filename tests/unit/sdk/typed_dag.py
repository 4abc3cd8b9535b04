"""A typed author's file. mypy checks it with the rest: each ignored error must be one, or it is reported as unused."""

from typing import TypedDict

from crosswind import DAG, Context, Variable, XComArg, chain, dag, get_current_context, task, task_group


class Row(TypedDict):
    name: str
    count: int


@task
def numbers() -> list[int]:
    return [1, 2]


@task(retries=2, trigger_rule="all_done")
def double(x: int, factor: int = 2) -> int:
    return x * factor


@task
async def total(values: list[int], context: Context | None = None) -> Row:
    assert context is not None
    return {"name": context.run_id, "count": sum(values)}


@task
def show(name: str) -> None:
    print(name, get_current_context().try_number, Variable.get("greeting", "hello"))


@task_group
def shown(row: Row) -> XComArg:
    return show(row["name"])


with DAG("typed", params={"month": 1}) as typed:
    row = total(double.partial(factor=3).expand(x=numbers()))
    end = shown(row) >> show("end")
    chain(numbers(), [show("a"), show("b")], end)
    numbers() >> end
    double(typed.params["month"])
    double.override(retries=5, queue="large")(x=1)
    # What a task of another bundle returns may be passed where any type is taken.
    elsewhere = task.ref(bundle="go_stats", entry_point="stats")
    double(elsewhere(row, weight=2))
    total(elsewhere.override(task_id="each").expand(rows=numbers()))
    total(elsewhere.override(task_id="partly").partial(weight=1).expand(rows=numbers()))

    double("one")  # type: ignore[arg-type]  # text is no int
    double(numbers())  # type: ignore[arg-type]  # a list is no int
    double()  # type: ignore[call-arg]  # x is missing
    double.override(retrys=5)  # type: ignore[call-arg]  # no such setting
    task(retries="5")  # type: ignore[call-overload]  # text is no int


@dag(schedule="@daily")
def typed_too(month: int, year: int = 2026) -> None:
    double(month, factor=year)


typed_too()
typed_too(month=3)
