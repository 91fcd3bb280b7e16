"""What is public besides names of Python: commands, options, exit codes, words of faults, keys of JSON.

tools/interface.py puts the lines into tests/interface.txt with its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

__all__ = ["formats", "keys"]

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = [ROOT / "docs" / "schema", ROOT / "vectors"]


def formats() -> Iterator[str]:
    """Yield a line for each thing that programs may depend on besides; needs the extra `cli`, and pytest."""
    from dqlitewire.testing import pytest_plugin

    yield from commands()
    yield from exit_codes()
    yield from words_of_faults()
    yield from (f"fixture {name}" for name in pytest_plugin.__all__)
    for folder in SCHEMAS:
        for path in sorted(folder.glob("*schema*.json")):
            title = path.name.split(".")[0]
            yield from (f"json {title} {key}" for key in keys(json.loads(path.read_text("utf-8"))))


def commands() -> Iterator[str]:
    from dqlitewire.cli import app

    group = app._group()
    for name, command in {"": group, **group.commands}.items():
        start = f"dqlite-wire {name}".strip()
        yield start
        kinds = {one: one.param_type_name == "argument" for one in command.params}
        for number, one in enumerate((one for one in kinds if kinds[one]), start=1):
            yield f"{start} argument {number}{'' if one.required else ', optional'}"
        for one in (one for one in kinds if not kinds[one]):
            yield from (f"{start} {option}" for option in (*one.opts, *one.secondary_opts))


def exit_codes() -> Iterator[str]:
    from dqlitewire.cli.exits import Exit, ProbeExit

    yield from (f"exit {code.value} {code.name}" for code in Exit)
    yield from (f"exit of probe {code.value} {code.name}" for code in ProbeExit)


def words_of_faults() -> Iterator[str]:
    from dqlitewire.faults import kinds

    for word, kind in kinds().items():
        if kind.__module__.startswith("dqlitewire."):  # tests have kinds of their own
            yield f"fault {word}"
            yield from (f"fault {word} {field.name}" for field in fields(kind))
            yield f"fault {word} on"


def keys(schema: Any, at: str = "") -> Iterator[str]:
    """Yield the keys that a JSON schema allows, as paths, and the tokens that may stand under each.

    Args:
        schema: as JSON is read.
        at: the path to it.
    """
    if isinstance(schema, list):
        for one in schema:
            yield from keys(one, at)
    if not isinstance(schema, dict):
        return
    tokens = schema.get("enum", [schema["const"]] if "const" in schema else [])
    yield from (f"{at} = {json.dumps(token)}" for token in tokens if token is not None)
    for name, one in schema.get("properties", {}).items():
        path = f"{at}.{name}" if at else name
        yield path
        yield from keys(one, path)
    for name, one in schema.get("$defs", {}).items():
        yield from keys(one, f"{at}<{name}>")
    for word in ("items", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf", "then", "else"):
        yield from keys(schema.get(word), f"{at}[]" if word in ("items", "prefixItems") else at)
