"""What authors write. It is wrong on purpose in places, so `task` and `dag` are untyped here: see `typed_dag.py`."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import crosswind
from crosswind import (
    DAG,
    Connection,
    Cron,
    DagCycle,
    DagError,
    DuplicateTask,
    NoTaskError,
    UnsupportedValue,
    Variable,
    XComArg,
    chain,
    get_current_context,
    task_group,
)
from crosswind.author.codec import Encoded

task: Any = crosswind.task
dag: Any = crosswind.dag


@task
def give(x=1):
    return [x]


@task
def take(x, y=2, *, z=3): ...


@task
def step(): ...


def write_dag(body, dag_id: str = "d") -> DAG:
    with DAG(dag_id) as made:
        body()
    return made


def edges(made: DAG) -> set[tuple[str, str]]:
    return {(up.task_id, down.task_id) for down, ups in made.upstream().items() for up in ups}


def test_a_second_call_gets_a_number():
    with DAG("d") as made:
        for _ in range(3):
            give()
    assert list(made.tasks) == ["give", "give__1", "give__2"]


def test_a_second_call_of_a_task_with_an_id_of_its_own_gets_a_number_too():
    named = task(task_id="named")(lambda: None)
    renamed = step.override(task_id="renamed")
    with DAG("d") as made:
        named()
        named.override(retries=2)()
        renamed()
        renamed()
    assert list(made.tasks) == ["named", "named__1", "renamed", "renamed__1"]


def test_two_functions_of_one_name_get_numbers():
    with DAG("d") as made:
        for number in range(2):

            @task
            def same(number=number): ...

            same()
    assert list(made.tasks) == ["same", "same__1"]


@pytest.mark.parametrize("use", ["decorator", "override"])
def test_two_tasks_that_were_given_one_id_are_refused_with_both_places(use):
    first = task(task_id="same")(lambda: None)
    second = task(task_id="same")(lambda: None) if use == "decorator" else step.override(task_id="same")
    with pytest.raises(
        DuplicateTask, match=r"DAG 'd' has the task id 'same' twice, at test_author.py:\d+ and"
    ) as raised:
        write_dag(lambda: [first(), second()])
    assert raised.value.file == __file__
    assert raised.value.line > 0


def test_arguments_bind_when_the_dag_is_written():
    with DAG("d"):
        result = take(give(), z=5)
        assert isinstance(result, XComArg)
    bound = [(item.name, item.position) for item in result.node.inputs]
    assert bound == [("x", 0), ("z", None)]
    assert result.node.inputs[1].source == Encoded("json/utf-8", b"5")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: take(), "Task 'take': missing a required argument: 'x'"),
        (lambda: take(1, w=2), "Task 'take': got an unexpected keyword argument 'w'; its parameters are"),
        (lambda: give(1, 2), "Task 'give': too many positional arguments"),
        (lambda: take.partial(q=1), "Task 'take': got an unexpected keyword argument 'q'"),
        (lambda: take.partial(x=1).expand(x=[1]), "'x' stands in both partial"),
        (lambda: take.expand(y=[1]), "missing a required argument: 'x'"),
        (lambda: take.expand(), "needs at least one list"),
        (lambda: take.expand(x=5), "argument 'x' of task 'take' is mapped, so it needs a list"),
        (lambda: take.expand(x=[give()]), "let a task return that list"),
        (lambda: take.expand_kwargs([{"x": 1, "nope": 1}]), "unexpected keyword argument 'nope'"),
        (lambda: give.override(retrys=1), "task 'give' has no setting 'retrys'; did you mean 'retries'"),
        (lambda: give.override(retries="2"), "retries of task 'give' is '2', not a number"),
        (lambda: give() >> step, "call it first"),
        (lambda: task(give), "is a task already"),
        (lambda: task("name"), "settings are given by name"),
        (lambda: give({"a": {1, 2}}), "at ['a'], is of type set, which is not JSON; return sorted(value)"),
    ],
)
def test_a_mistake_names_the_task_and_the_way_out(call, sentence):
    with pytest.raises(TypeError) as raised:
        write_dag(call)
    assert sentence in str(raised.value)


def test_settings_come_from_the_dag_the_group_the_task_and_its_use_in_this_order():
    own = task(queue="own", pool="own")(lambda: None).override(task_id="own", pool="use")
    with DAG("d", default_args={"retries": 1, "queue": "dag", "pool": "dag", "slots": 2, "owner": "me"}) as made:
        with task_group("g", default_args={"queue": "group", "slots": 3}):
            own()
        step()
    assert made.owner == "me"
    settings = made.tasks["g.own"].settings
    assert (settings["retries"], settings["slots"], settings["queue"], settings["pool"]) == (1, 3, "own", "use")
    assert made.tasks["step"].settings["queue"] == "dag"


def test_order_by_arrows_lists_and_chain():
    with DAG("d") as made:
        a, b, c, d, e, f = (step.override(task_id=name)() for name in "abcdef")
        a >> [b, c] >> d
        f << e
        chain(d, [e, f])
    assert edges(made) == {
        ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("e", "f"), ("d", "e"), ("d", "f"),
    }  # fmt: skip
    with pytest.raises(ValueError, match="cannot pair a list of 2 with a list of 1"):
        chain([a, b], [c])


def test_results_are_dependencies_wherever_they_stand():
    with DAG("d") as made:
        one, two, three = (give.override(task_id=name)() for name in ("one", "two", "three"))
        take(one[0], {"deep": [two, ({"er": three},)]})
    assert edges(made) == {("one", "take"), ("two", "take"), ("three", "take")}


def test_groups_name_their_tasks_and_stand_beside_arrows():
    @task_group
    def pair(x):
        return take(give(x))

    @task_group(group_id="named")
    def nothing():
        step() >> step()

    with DAG("d") as made:
        first, last = step.override(task_id="first")(), step.override(task_id="last")()
        with task_group("outer") as outer:
            inner = nothing()
            alone = step()
            alone >> inner
        first >> outer >> last
        pair(1)
        pair(2)
    assert list(made.groups) == ["outer", "outer.named", "pair", "pair__1"]
    assert "pair__1.take" in made.tasks
    assert edges(made) == {
        ("first", "outer.step"), ("outer.step", "outer.named.step"), ("outer.named.step", "outer.named.step__1"),
        ("outer.named.step__1", "last"), ("pair.give", "pair.take"), ("pair__1.give", "pair__1.take"),
    }  # fmt: skip


def test_a_group_without_tasks_cannot_stand_in_an_order():
    def body():
        with task_group("empty") as empty:
            pass
        step() >> empty

    with pytest.raises(DagError, match="Task group 'empty' of DAG 'd' has no tasks"):
        write_dag(body)


def test_a_cycle_is_named_with_the_line_that_closes_it():
    def body():
        a, b, c = (step.override(task_id=name)() for name in "abc")
        a >> b >> c
        c >> a

    with pytest.raises(DagCycle) as raised:
        write_dag(body)
    assert "DAG 'd' has a cycle: " in str(raised.value)
    assert {"a", "b", "c"} <= set(str(raised.value).split(": ")[1].split(";")[0].split(" -> "))
    assert raised.value.line > 0


def test_a_task_cannot_wait_for_itself_or_for_another_dag():
    def wait_for_itself():
        a = step()
        a >> a

    with pytest.raises(DagCycle, match="step -> step"):
        write_dag(wait_for_itself)
    with DAG("one"):
        other = give()
    with pytest.raises(DagError, match="'give' is in DAG 'one' and 'step' in DAG 'two'"):
        write_dag(lambda: other >> step(), "two")
    with pytest.raises(DagError, match="takes the result of task 'give' of DAG 'one'"):
        write_dag(lambda: take(other), "two")


@pytest.mark.parametrize(
    "use",
    [bool, len, list, lambda result: f"{result}", lambda result: 1 in result, lambda result: {**result}],
)
def test_a_result_is_not_known_while_the_dag_is_written(use):
    with DAG("d"):
        result = give()
    with pytest.raises(TypeError):
        use(result)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DAG("no spaces"), "The DAG id 'no spaces' is not valid"),
        (lambda: DAG("d", schedule="every day"), "a cron expression has five fields"),
        (lambda: DAG("d", schedule="@fortnightly"), "use one of @hourly"),
        (lambda: DAG("d", schedule=timedelta(milliseconds=5)), "the shortest interval is one second"),
        (lambda: DAG("d", max_active_runs=0), "max_active_runs=0; it must be at least 1"),
        (lambda: DAG("d").check(), "DAG 'd' has no tasks"),
        (lambda: step(), "Task 'step' was called outside a DAG"),
        (lambda: task_group("g").__enter__(), "Task group 'g' is outside a DAG"),
    ],
)
def test_a_wrong_dag_is_refused_with_its_place(make, sentence):
    with pytest.raises(DagError) as raised:
        make()
    assert sentence in str(raised.value)
    assert (raised.value.file, raised.value.line > 0) == (__file__, True)


def test_schedules_in_their_plain_forms():
    berlin = ZoneInfo("Europe/Berlin")
    assert DAG("d", schedule="0 6 * * *", start_date=datetime(2026, 1, 1, tzinfo=berlin)).schedule == Cron(
        "0 6 * * *", "Europe/Berlin"
    )
    assert DAG("d", schedule=[datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1)]).schedule == (  # noqa: DTZ001 - as authors write it
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 2, tzinfo=UTC),
    )
    assert DAG("d").schedule is None


def test_parameters_of_a_dag_function_are_arguments():
    @dag(schedule="@daily")
    def monthly(month: int, year: int = 2026):
        """Counts."""
        give(month)
        give([year, 1][0])

    made = monthly()
    assert made.dag_id == "monthly"
    assert made.doc_md == "Counts."
    assert list(made.params) == ["month", "year"]
    assert repr(made.tasks["give"].inputs[0].source) == "<parameter 'month' of the run>"
    with pytest.raises(KeyError, match="did you mean 'month'"):
        made.params["mouth"]


def test_a_parameter_cannot_be_looked_at_or_put_into_a_structure():
    with DAG("d", params={"x": 1}) as made:
        with pytest.raises(TypeError):
            bool(made.params["x"])
        with pytest.raises(UnsupportedValue, match="pass it to a task as an argument"):
            give([made.params["x"]])
        step()


def test_outputs_by_key_are_xcoms_of_their_own_only_where_the_task_writes_them():
    many = task(multiple_outputs=True)(lambda: {"a": 1}).override(task_id="many")
    with DAG("d"):
        plain, split = give(), many()
        assert (plain["a"].key, plain["a"].path) == ("return_value", ("a",))
        assert (split["a"].key, split["a"]["b"].path) == ("a", ("b",))
        assert split.node.output_names == {"a": None}


def test_a_reference_binds_by_position_or_by_name():
    loose = task.ref(bundle="go_stats", entry_point="stats")
    strict = task.ref(bundle="go_stats", entry_point="pkg.Stats", parameters=["rows", "weight"], retries=3)
    with DAG("d") as made:
        loose(1, weight=2)
        strict(weight=2, rows=give())
        loose.partial(weight=2).expand([1, 2])
        with pytest.raises(TypeError, match=r"Task 'Stats': got an unexpected keyword argument 'w'"):
            strict(1, weight=2, w=2)
    places = {name: [(i.name, i.position) for i in node.inputs] for name, node in made.tasks.items()}
    assert places == {
        "stats": [("", 0), ("weight", None)],
        "Stats": [("rows", 0), ("weight", 1)],
        "give": [],
        "stats__1": [("weight", None)],
    }
    assert made.tasks["stats__1"].mapping is not None
    assert made.tasks["stats__1"].mapping.inputs[0].position == 0
    with pytest.raises(TypeError, match="no function to call here"):
        loose.function()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: Variable.get("x"),
        lambda: Variable.get("x", "default"),
        lambda: Variable.set("x", "y"),
        lambda: Variable.delete("x"),
        lambda: Connection.get("x"),
        get_current_context,
    ],
)
def test_nothing_can_be_asked_outside_a_task(ask):
    with pytest.raises(NoTaskError, match="call it inside a task"):
        ask()


def test_a_function_can_be_called_as_it_is():
    assert give.function(5) == [5]
    assert give.__name__ == "give"


@pytest.mark.parametrize(
    ("connection", "uri"),
    [
        (Connection(conn_id="c", conn_type="postgres", host="h", port=5432, schema="db", login="u", password="p@/"),
         "postgres://u:p%40%2F@h:5432/db"),
        (Connection(conn_id="c", conn_type="google_cloud", extra='{"a": "b c"}'), "google-cloud:///?a=b+c"),
        (Connection(conn_id="c", conn_type="http", host="::1", schema="s", extra='{"a": 1}'),
         "http://[::1]/s?__extra__=%7B%22a%22%3A+1%7D"),
    ],
)  # fmt: skip
def test_a_connection_as_uri(connection, uri):
    assert connection.get_uri() == uri
    assert "p@" not in repr(connection)
