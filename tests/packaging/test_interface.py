"""What is public is one list, and nothing leaves it by accident."""

from __future__ import annotations

import importlib
import re
import types
from pathlib import Path

import pytest

from tests.test_interface import MODULES
from tests.test_structure import documented
from tools.formats import formats, keys
from tools.interface import HELD, changes, surface
from tools.public import PUBLIC

ROOT = Path(__file__).resolve().parent.parent.parent
# pages that tell how the inside is made, and name its modules
INSIDE = {"dqlitewire._speedups"}


def test_nothing_public_is_gone_and_what_is_new_is_written_down() -> None:
    gone, new = changes(HELD.read_text(encoding="utf-8").splitlines(), [*surface(), *formats()])
    assert gone == [], "what is removed was deprecated first: docs/explanation/versions.md"
    assert new == [], "python tools/interface.py --add"


def test_every_name_of_every_public_module_is_held() -> None:
    held = set(HELD.read_text(encoding="utf-8").splitlines())
    for module in PUBLIC:
        names = importlib.import_module(module).__all__
        assert names
        assert {f"{module}.{name}" for name in names} <= held


def test_a_removal_of_any_kind_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("dqlitewire.made_up")

    class Thing:
        __module__ = "dqlitewire.made_up"

        def method(self, given: int, other: int = 0, *, named: int = 0) -> None: ...

    module.__dict__.update(Thing=Thing, __all__=["Thing"])
    monkeypatch.setitem(__import__("sys").modules, "dqlitewire.made_up", module)
    monkeypatch.setattr("tools.interface.PUBLIC", {"dqlitewire.made_up": ""})
    before = surface()
    assert before == [
        "dqlitewire.made_up.Thing",
        "dqlitewire.made_up.Thing.method",
        "dqlitewire.made_up.Thing.method(*, named=)",
        "dqlitewire.made_up.Thing.method(given)",
        "dqlitewire.made_up.Thing.method(other=)",
    ]
    Thing.method = lambda self, given, other: None  # type: ignore[method-assign]
    gone, new = changes(before, surface())
    assert [line.rpartition(".")[2] for line in gone] == ["method(*, named=)", "method(other=)"]
    assert [line.rpartition(".")[2] for line in new] == ["method(other)"]
    module.__all__ = []
    assert changes(before, surface()) == (before, [])


def test_formats_are_held() -> None:
    found = list(formats())
    assert {"dqlite-wire decode --json", "exit 2 USAGE", "exit of probe 4 NO_LEADER"} <= set(found)
    assert {
        "fault fail code",
        "fault hold on",
        "fixture dqlite_server",
        "json probe status",
        'json probe status = "silent"',
    } <= set(found)
    assert {line.split()[1] for line in found if line.startswith("json ")} >= {
        "decode",
        "transcript",
        "query",
    }
    assert not [line for line in found if "\n" in line]


def test_keys_of_a_schema_are_paths() -> None:
    schema = {
        "properties": {"a": {"enum": ["x", None]}, "b": {"type": "array", "items": {"$ref": "#/$defs/n"}}},
        "$defs": {"n": {"anyOf": [{"properties": {"c": {"const": 1}}}, {"type": "null"}]}},
        "additionalProperties": False,
    }
    assert list(keys(schema)) == ["a", 'a = "x"', "b", "<n>.c", "<n>.c = 1"]


def test_what_pages_and_examples_import_is_public() -> None:
    imported = {module for module, name in documented() if name}
    for path in [*(ROOT / "examples").glob("*.py"), *(ROOT / "tests" / "consumer").glob("*.py")]:
        imported.update(re.findall(r"^\s*from (dqlitewire[\w.]*) import", path.read_text(), re.MULTILINE))
    assert imported - INSIDE <= PUBLIC.keys()
    assert len(imported) >= 20


def test_the_older_list_is_part_of_it() -> None:
    assert {f"dqlitewire.{module}" for module in MODULES} <= PUBLIC.keys()


# the names of files that the page speaks of
@pytest.mark.parametrize("name", ["tests/interface.txt", "CHANGELOG.md", "SECURITY.md"])
def test_what_the_page_names_is_there(name: str) -> None:
    assert name.rpartition("/")[2] in (ROOT / "docs" / "explanation" / "versions.md").read_text()
    assert (ROOT / name).is_file()
