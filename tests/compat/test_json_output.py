"""`--output json` is a promise: what a release printed under a key, every later one prints there. docs/operating.md."""

import json
from typing import Any

import pytest

from codegen.release.records import frozen_versions
from crosswind_server.versions.releases import CURRENT
from tests.compat.json_output import FOLDER, differences, join, print_everything, read_shapes, shape_of

PROMISED = sorted(folder.name for folder in FOLDER.iterdir())


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every command prints today, by its name."""
    return dict(print_everything(tmp_path_factory.mktemp("json")))


@pytest.mark.parametrize("version", PROMISED)
def test_what_a_release_printed_is_printed_still(printed: dict[str, Any], version: str) -> None:
    promised = read_shapes(version)
    assert promised
    lost = [f"{title} is gone" for title in promised if title not in printed]
    lost += [
        difference
        for title, shape in promised.items()
        if title in printed
        for difference in differences(shape, shape_of(printed[title]), title)
    ]
    assert lost == []


def test_every_frozen_version_has_promises_and_every_command_one_of_the_last(printed: dict[str, Any]) -> None:
    """`python -m tests.compat.freeze` writes them, on the day of a release."""
    frozen = frozen_versions() or [str(CURRENT)]
    assert set(PROMISED) >= set(frozen)
    if frozen[-1] == str(CURRENT):
        assert set(read_shapes(frozen[-1])) == set(printed)


# --- what is compared -------------------------------------------------------------------------------------------------

ROWS: list[dict[str, Any]] = [
    {"id": "a", "tries": 1, "tags": [], "run": None},
    {"id": "b", "tries": None, "tags": ["x"], "run": {"id": "r"}},
]
SHAPE = [{"id": "string", "tries": "null|number", "tags": ["string"], "run": {"id": "string"}}]


def test_the_shape_of_rows_is_that_of_all_of_them() -> None:
    assert shape_of(ROWS) == SHAPE
    assert shape_of(list(reversed(ROWS))) == SHAPE
    assert shape_of([]) == []
    assert shape_of({"labels": {"gpu": "yes"}}) == {"labels": "map"}
    assert join("null", "string") == "null|string"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ROWS, []),
        ([{**ROWS[0], "new": 1}, ROWS[1]], []),
        ([{"id": "a", "tries": 1, "tags": []}], [".run is gone"]),
        ([{"id": 7, "tries": 1, "tags": [], "run": None}], [".id was string, and is number now"]),
        ([{"id": "a", "tries": "1", "tags": [], "run": None}], [".tries was null|number, and is string now"]),
        ([{"id": "a", "tries": 1, "tags": "x", "run": None}], [".tags was a list, and is string now"]),
        ([{"id": "a", "tries": 1, "tags": [], "run": {"name": "r"}}], [".run.id is gone"]),
        ([{"id": "a", "tries": 1, "tags": [], "run": "r"}], [".run was an object, and is string now"]),
        ([], []),
    ],
)
def test_a_key_may_be_added_and_none_may_go_or_change(rows: list[Any], said: list[str]) -> None:
    assert list(differences(SHAPE, shape_of(rows))) == [f"[]{sentence}" for sentence in said]


def test_shapes_are_kept_as_they_are_written() -> None:
    for version in PROMISED:
        for title, shape in read_shapes(version).items():
            assert json.loads(json.dumps(shape)) == shape, f"{version}/{title}"
