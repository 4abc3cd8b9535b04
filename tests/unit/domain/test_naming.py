"""Names of mapped instances."""

from typing import Any

import pytest

from crosswind_server.domain.arguments import StoredValue
from crosswind_server.domain.naming import render_name


def item(data: str, encoding: str = "json/utf-8") -> StoredValue:
    return StoredValue(encoding=encoding, data=data.encode())


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ('"Rome"', "Rome"),
        ("12", "12"),
        ("1.50", "1.50"),
        ("true", "true"),
        ("null", "null"),
        ('{"a":1}', "7"),
        ("x", "7"),
    ],
)
def test_scalars_stand_as_people_write_them_and_others_as_their_position(data: str, shown: str):
    assert render_name("<{x}>", 3, {"x": (item(data), 7)}) == f"<{shown}>"


def test_values_that_are_no_json_or_not_there_stay_closed():
    assert render_name("{x} {y}", 0, {"x": (item('"a"', "binary"), 1), "y": (None, 2)}) == "1 2"


def test_the_index_and_what_is_no_input():
    assert render_name("{index}: {other} {{x}", 4, {"x": (item("5"), 0)}) == "4: {other} {5"


def test_the_members_of_a_keyword_item():
    items: dict[str, Any] = {"": (item('{"city":"Oslo","tags":[1]}'), 2)}
    assert render_name("{city} {tags} {index}", 2, items, keywords=True) == "Oslo 2 2"
    assert render_name("{city}", 2, {"": (item("[1]"), 2)}, keywords=True) == "{city}"


def test_a_name_is_cut():
    assert len(render_name("{x}", 0, {"x": (item('"' + "a" * 400 + '"'), 0)})) == 250
