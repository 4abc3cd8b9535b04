"""Variables: settings that are kept on the server and read by tasks."""

from __future__ import annotations

import json
from typing import Any, Final

from crosswind.author.context import require_current
from crosswind.author.errors import UnreadableValue, VariableNotFound


class _Missing:
    def __repr__(self) -> str:
        return "<no default>"


_MISSING: Final = _Missing()


class Variable:
    """A setting that is kept on the server. Only running tasks can reach it."""

    @staticmethod
    def get(key: str, default: Any = _MISSING, *, deserialize_json: bool = False) -> Any:
        """The value, text.

        Args:
            key: its name.
            default: stands for a variable that does not exist.
            deserialize_json: whether to read the text as JSON.

        Raises:
            VariableNotFound: it does not exist, and there is no default.
            UnreadableValue: it is not JSON.
            NoTaskError: no task runs.
        """
        task = require_current(f"Variable.get({key!r})")
        value = task.variables.get(key)
        if value is None:
            value = task.runtime.get_variable(key)
        if value is None:
            if default is _MISSING:
                raise VariableNotFound(
                    f"There is no variable '{key}'; set it with `crosswind variables set {key} VALUE`, "
                    "or give Variable.get a default"
                )
            return default
        if not deserialize_json:
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            # The value is a secret until somebody says otherwise: the sentence does not show it.
            at = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            raise UnreadableValue(f"Variable '{key}' is not JSON{at}") from None

    @staticmethod
    def set(
        key: str,
        value: Any,
        *,
        description: str | None = None,
        serialize_json: bool = False,
        public: bool | None = None,
    ) -> None:
        """Writes the value.

        Args:
            key: its name.
            value: text; anything else needs `serialize_json`.
            description: for people. None: as it is.
            serialize_json: whether to write the value as JSON.
            public: True: it is no secret and need not be masked. None: as it is; a new variable is a secret.

        Raises:
            TypeError: the value is not text.
            UnsupportedValue: the value cannot be written as JSON.
            NoTaskError: no task runs.
        """
        task = require_current(f"Variable.set({key!r}, ...)")
        if serialize_json:
            from crosswind.author.codec import encode_json

            value = encode_json(value, what=f"variable '{key}'").decode()
        if not isinstance(value, str):
            raise TypeError(
                f"Variable '{key}' can only be text, not {type(value).__qualname__}; use serialize_json=True"
            )
        task.runtime.set_variable(key, value, description=description, public=public)
        task.variables[key] = value

    @staticmethod
    def delete(key: str) -> bool:
        """Deletes the variable. Returns whether it was there.

        Raises:
            NoTaskError: no task runs.
        """
        task = require_current(f"Variable.delete({key!r})")
        task.variables.pop(key, None)
        return task.runtime.delete_variable(key)
