"""Adapters on every vector: ours passes all, those of published packages differ exactly as is known."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.downstream.published import GENERATIONS, wire
from tests.vectors.runner import ADAPTER, lines, run
from tests.wire_data import HERE, VECTORS_FOLDER
from tools.drawn.vectors import DRAWN

DIVERGENCES = HERE.parent / "docs" / "explanation" / "divergences.md"


def known_file(generation: str) -> Path:
    return VECTORS_FOLDER / "known" / f"dqlite-wire-{generation}.json"


def known(generation: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(known_file(generation).read_text("utf-8"))["known"]
    return found


def validator(name: str) -> Draft202012Validator:
    schema: dict[str, Any] = DRAWN[name]()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture(scope="module")
def answer() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What our adapter answers to a line."""
    spec = importlib.util.spec_from_file_location("adapter", ADAPTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[dict[str, Any]], dict[str, Any]] = module.answer
    return found


def test_ours_passes_all() -> None:
    done = run("--encode", "--json", sys.executable, ADAPTER)
    report = json.loads(done.stdout)
    assert (report["failed"], report["faults"], done.returncode) == ([], [], 0)
    assert report["passed"] == report["vectors"] == len(lines("--encode"))
    validator("report").validate(report)


def by_type() -> dict[str, Draft202012Validator]:
    """A validator of the messages of each name, which is faster than one of all messages."""
    schema = DRAWN["message"]()
    Draft202012Validator.check_schema(schema)
    shapes: dict[str, list[Any]] = {}
    for shape in schema["anyOf"]:
        shapes.setdefault(shape["properties"]["type"]["const"], []).append(shape)
    return {
        name: Draft202012Validator({"anyOf": some, "$defs": schema["$defs"]}) for name, some in shapes.items()
    }


def test_lines_and_answers_are_as_their_schemas_say(
    answer: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    messages = by_type()
    line_schema = DRAWN["lines"]()
    for shape in line_schema["oneOf"]:  # the message has a schema of its own, and is held against that
        if "message" in shape["properties"]:
            shape["properties"]["message"] = {"type": "object"}
    line = Draft202012Validator(line_schema)
    for asked in lines("--encode"):
        for one in (asked, answer(asked)):
            line.validate(one)
            if "message" in one:
                messages[one["message"]["type"]].validate(one["message"])


@pytest.mark.parametrize("generation", GENERATIONS)
def test_published_packages_differ_as_is_known_and_not_otherwise(generation: str) -> None:
    python, environment = wire(generation)
    done = run("--json", "--known", known_file(generation), *python, ADAPTER, env=environment)
    report = json.loads(done.stdout)
    assert (report["failed"], report["gone"], report["faults"]) == ([], {}, [])
    assert done.returncode == 0
    assert report["known"] == len(known(generation))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_known_difference_is_told_in_the_page_on_divergences(generation: str) -> None:
    page = " ".join(DIVERGENCES.read_text("utf-8").split())
    for one in known(generation):
        assert one["why"]
        assert one.get("divergence", "") in page, one


def test_a_difference_that_goes_away_or_changes_fails(tmp_path: Path) -> None:
    listed = [
        {"id": "requests/client", "outcome": "refused", "why": "-"},
        {"id": "requests/elsewhere", "outcome": "refused", "why": "-"},  # not asked
    ]
    file = tmp_path / "known.json"
    file.write_text(json.dumps({"known": listed}))
    done = run("--only", "requests/client", "--known", file, sys.executable, ADAPTER)
    assert done.returncode == 1
    assert done.stdout.startswith("requests/client: known as 'refused', and is not so\n")


@pytest.mark.parametrize("name", ["handshake", "requests", "responses", "malformed"])
def test_files_of_vectors_are_as_their_schema_says(name: str) -> None:
    validator("vectors").validate(json.loads((VECTORS_FOLDER / f"{name}.json").read_text("utf-8")))
