"""Whatever JSON the suite makes is held against the schemas of docs/schema.

Importing this module lets the views that write JSON check each object against its schema, as
tools/drawn/schema draws it; an object that does not fit raises where it was made. Objects are many and
validation is slow, so it is done once for all objects that differ in free text and in numbers alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from dqlitewire.cli import answers, probe, rounds
from dqlitewire.traffic.views import json_object, live, report
from tools.drawn.schema import SCHEMAS

#: keys whose text, wherever it stands, has no rule
WORDS = "sql error meaning message address detail statement key after source name server"
FREE = frozenset(WORDS.split())
#: keys of lists of values and names
LISTS = frozenset(("rows", "column_names", "params", ""))
#: keys of objects whose keys are part of the traffic
OPEN = frozenset(("unanswered", "statements", "request", "response"))

seen: dict[str, set[str]] = {name: set() for name in SCHEMAS}


@cache
def validator(name: str) -> Validator:
    """The validator of a schema."""
    schema = SCHEMAS[name]()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def check(name: str, made: Mapping[str, Any]) -> None:
    """Hold an object against a schema.

    Args:
        name: of the schema.
        made: the object, as `json.loads` gives it.

    Raises:
        AssertionError: it does not fit.
    """
    shape = json.dumps(skeleton(made))
    if shape in seen[name]:
        return
    errors = [f"{error.json_path}: {error.message:.300}" for error in validator(name).iter_errors(made)]
    assert not errors, f"{name}.schema.json: {'; '.join(errors)}"
    seen[name].add(shape)


def skeleton(value: Any, key: str = "") -> Any:
    """Return an object without what no rule of a schema looks at."""
    match value:
        case int() if type(value) is int:
            return value if key == "code" else min(max(value, -1), 1)
        case float():
            return 0.5
        case str():
            return "" if key in FREE else value
        case dict() if key == "fields":  # any text is allowed, but in lists of enum members
            return {key: skeleton(held, "name" if type(held) is str else key) for key, held in value.items()}
        case dict():
            return {name: skeleton(held, "count" if key in OPEN else name) for name, held in value.items()}
        case list():
            keys = ["" if type(item) is list else "name" if key in LISTS else key for item in value]
            return sorted({json.dumps(skeleton(*item)) for item in zip(value, keys, strict=True)})
        case _:
            return value


class Checked:
    """The module `json` of a view, whose objects are checked before they are written."""

    def __init__(self, name: str) -> None:
        self._name = name

    def dumps(self, made: Any, **options: Any) -> str:
        """Write an object, if it fits its schema."""
        text = json.dumps(made, **options)
        check(self._name, json.loads(text))
        return text


def _checked_line(time: int | None, fields: Mapping[str, Any]) -> str:
    text = json_line(time, fields)
    check("decode", json.loads(text))
    return text


class CheckedLines:
    """What writes JSON in parts, whose lines are checked as soon as they are whole."""

    def __init__(self, name: str, written: Callable[..., None]) -> None:
        self._name, self._written = name, written
        self._parts: list[str] = []

    def __call__(self, text: str, at_once: bool = False, end: str = "\n") -> None:
        """Write a part; check the line if it ends with it."""
        self._parts.append(text)
        if end:
            line, self._parts = "".join(self._parts), []
            check(self._name, json.loads(line))
        self._written(text, at_once, end)


# by name: for type checkers these are names that the modules import, or modules
json_line: Callable[..., str] = vars(json_object)["json_line"]
vars(json_object)["json_line"] = _checked_line
for module, name in ((report, "stats"), (live, "top"), (rounds, "top"), (probe, "probe")):
    vars(module)["json"] = Checked(name)
vars(answers)["emit_json"] = CheckedLines("query", vars(answers)["emit_json"])
