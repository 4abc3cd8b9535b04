"""Structures that hold outputs of tasks: as the JSON template of a composite, and put together again.

Here belongs the template's grammar: `{"$input": n}` stands for part n, and an object that has a key of the grammar is
written as `{"$literal": {...}}`. Where the parts come from is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from crosswind.author.codec import decode_json

INPUT_KEY: Final = "$input"
LITERAL_KEY: Final = "$literal"


def fill_template(template_json: str, part: Callable[[int], Any]) -> Any:
    """The structure of a template with its parts in place.

    Raises:
        UnreadableValue: the template is not JSON.
    """
    return _fill(decode_json(template_json.encode()), part)


def make_template(value: object, take: Callable[[Any], int | None]) -> str:
    """A structure as a template.

    Args:
        value: lists, tuples, dicts and JSON values, with outputs among them.
        take: answers the number of a part for an output, None for anything else. It is not asked about what is
            inside an object that has a key of the grammar: no output can be there.
    """
    return json.dumps(_shape(value, take), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _shape(value: object, take: Callable[[Any], int | None]) -> object:
    number = take(value)
    if number is not None:
        return {INPUT_KEY: number}
    if isinstance(value, dict):
        if INPUT_KEY in value or LITERAL_KEY in value:
            return {LITERAL_KEY: value}  # as it is, to its innermost value
        return {key: _shape(item, take) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shape(item, take) for item in value]
    return value


def _fill(shape: Any, part: Callable[[int], Any]) -> Any:
    if isinstance(shape, dict):
        if len(shape) == 1:
            if isinstance(shape.get(INPUT_KEY), int):
                return part(shape[INPUT_KEY])
            if LITERAL_KEY in shape:
                return shape[LITERAL_KEY]
        return {key: _fill(item, part) for key, item in shape.items()}
    if isinstance(shape, list):
        return [_fill(item, part) for item in shape]
    return shape
