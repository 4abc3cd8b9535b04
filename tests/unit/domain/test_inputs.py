"""Which questions may be asked, and which answers fit them."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosswind_server.domain.errors import Refused
from crosswind_server.domain.inputs import check_answer, check_question


def wrong_field(options: Sequence[str], chosen: Sequence[str], **said: bool) -> str:
    """The field of an answer that is refused; empty: it fits."""
    asked = {"multiple": False, "wants_fields": False, "has_fields": False, **said}
    try:
        check_answer(options, chosen, **asked)
    except Refused as error:
        return error.metadata["field"]
    return ""


@pytest.mark.parametrize(
    ("options", "chosen", "said", "field"),
    [
        ("", "", {}, ""),
        ("yn", "y", {}, ""),
        ("yn", "", {}, "chosen_options"),
        ("yn", "x", {}, "chosen_options"),
        ("", "x", {}, "chosen_options"),
        ("yn", "yn", {}, "chosen_options"),
        ("yn", "yn", {"multiple": True}, ""),
        ("yn", "yy", {"multiple": True}, "chosen_options"),
        ("", "", {"wants_fields": True, "has_fields": True}, ""),
        ("", "", {"wants_fields": True}, "fields"),
        ("yn", "y", {"has_fields": True}, "fields"),
    ],
)
def test_an_answer_fits_its_question(options: str, chosen: str, said: dict[str, bool], field: str):
    assert wrong_field(list(options), list(chosen), **said) == field


@given(st.lists(st.sampled_from("abcd"), unique=True), st.lists(st.sampled_from("abcde"), max_size=3), st.booleans())
def test_defaults_of_a_question_are_an_answer_to_it(options: list[str], chosen: list[str], multiple: bool):
    """What is found wrong with default options is what would be wrong with an answer, but for naming one twice."""
    if not chosen or len(set(chosen)) < len(chosen):
        return
    fits = wrong_field(options, chosen, multiple=multiple) == ""
    assert (check_question(options, chosen, multiple=multiple) is None) == fits


@pytest.mark.parametrize(
    ("options", "defaults", "says"),
    [
        (["a", "a"], [], "Its options are not all different texts"),
        (["a", ""], [], "Its options are not all different texts"),
        (["a"], ["b"], "A default option is none of its options"),
        (["a", "b"], ["a", "b"], "It takes one option and has several default ones"),
        (["a", "b"], [], None),
    ],
)
def test_what_is_wrong_with_a_question(options: list[str], defaults: list[str], says: str | None):
    assert check_question(options, defaults, multiple=False) == says
