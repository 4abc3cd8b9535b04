from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosswind_server.domain.errors import Code, Reason, Refused
from crosswind_server.domain.graph import Node, check_id, check_shape


def test_depths_downstream_and_leaves():
    shape = check_shape("d", [Node("d", ("b", "c")), Node("b", ("a",)), Node("c", ("b", "b")), Node("a"), Node("e")])
    assert shape.depths == {"a": 0, "e": 0, "b": 1, "c": 2, "d": 3}
    assert shape.downstream == {"d": (), "b": ("d", "c"), "c": ("d",), "a": ("b",), "e": ()}
    assert shape.leaves == {"d", "e"}


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        ([Node("a"), Node("a")], "DAG 'd' has two tasks with the id 'a'; rename one of them."),
        ([Node("a", ("b",))], "DAG 'd' has no task 'b' for task 'a' to wait for; add it or drop the dependency."),
        ([Node("a", ("a",))], "DAG 'd' has a cycle: a -> a; remove one of these dependencies."),
        (
            [Node("x"), Node("a", ("c", "x")), Node("b", ("a",)), Node("c", ("b",))],
            "DAG 'd' has a cycle: a -> b -> c -> a; remove one of these dependencies.",
        ),
        (
            [Node("a b")],
            "DAG 'd': The task id 'a b' is not valid; use 1 to 250 letters, digits, '_', '-' and '.'.",
        ),
    ],
)
def test_faults_are_named(nodes, sentence):
    with pytest.raises(Refused) as refused:
        check_shape("d", nodes)
    assert (refused.value.code, refused.value.reason) == (Code.INVALID_ARGUMENT, Reason.DAG_INVALID)
    assert refused.value.message == sentence
    assert refused.value.metadata == {"dag_id": "d"}


@pytest.mark.parametrize("good", ["a", "A.b-c_9", "x" * 250])
def test_ids(good):
    assert check_id("task id", good) == good


@pytest.mark.parametrize("bad", ["", "x" * 251, "a/b", "é", "a\n", "a b"])
def test_bad_ids(bad):
    with pytest.raises(Refused, match="task id") as refused:
        check_id("task id", bad)
    assert refused.value.reason is Reason.INVALID_ARGUMENT
    assert len(refused.value.message) < 250


@given(
    st.integers(1, 12).flatmap(lambda n: st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=30))
)
def test_every_edge_leads_deeper_or_a_cycle_is_named(edges):
    upstream: dict[int, list[str]] = {k: [] for edge in edges for k in edge}
    for before, after in edges:
        upstream[after].append(f"t{before}")
    try:
        shape = check_shape("d", [Node(f"t{k}", tuple(needs)) for k, needs in upstream.items()])
    except Refused as refused:
        path = refused.message.split("a cycle: ")[1].split(";")[0].split(" -> ")
        assert path[0] == path[-1]
        assert {(int(a[1:]), int(b[1:])) for a, b in pairwise(path)} <= set(edges)
    else:
        assert all(shape.depths[f"t{before}"] < shape.depths[f"t{after}"] for before, after in edges)
        assert all(f"t{after}" in shape.downstream[f"t{before}"] for before, after in edges)
