"""How the instances of a mapped task are named for people: by a template and the items that they are given."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from crosswind_server.domain.arguments import StoredValue

LONGEST_NAME: Final = 250
"""Characters; what is longer is cut."""
_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
_JSON: Final = "json/utf-8"


def render_name(
    template: str, map_index: int, items: Mapping[str, tuple[StoredValue | None, int]], *, keywords: bool = False
) -> str:
    """The name of an instance.

    Args:
        template: `{index}` stands for the map index and `{name}` for the item of that mapped input; any other text in
            braces stays as it is.
        map_index: the instance's.
        items: by the name of the mapped input, the item, None where it is not there, and its position in its list.
        keywords: the only item is an object of named arguments, and its members are what `{name}` stands for.

    Returns:
        At most 250 characters. An item stands as people write it where it is a JSON text, number, truth value or null;
        any other as its position.
    """
    words = {"index": str(map_index)}
    for name, (item, position) in items.items():
        if keywords:
            members = _decoded(item)
            if isinstance(members, dict):
                words |= {key: _shown(value) or str(position) for key, value in members.items()}
        else:
            words[name] = _shown(_decoded(item)) or str(position)
    return _PLACEHOLDER.sub(lambda match: words.get(match[1], match[0]), template)[:LONGEST_NAME]


class _Closed:
    """A value that is not JSON, or no longer there."""


def _decoded(item: StoredValue | None) -> object:
    if item is None or item.encoding != _JSON or item.data is None:
        return _Closed()
    try:
        return json.loads(item.data, parse_int=str, parse_float=str)
    except ValueError:
        return _Closed()


def _shown(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return None
