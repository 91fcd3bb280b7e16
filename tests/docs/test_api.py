"""docs/reference/api describes every public name once, and nothing else."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.docs.blocks import blocks
from tools.public import API, PUBLIC, described, exported, homes, words


def test_every_public_name_is_described_once() -> None:
    public, named, found = exported(), described(), homes()
    assert [path for path, count in Counter(named).items() if count > 1] == []
    assert [path for path in named if path not in public] == []
    assert [path for path in public if path not in found] == []
    assert {path: found[path] for path in named if found[path] != path} == {}, "described twice"


def test_every_public_module_has_a_place() -> None:
    text = "".join(page.read_text() for page in API.glob("*.md"))
    assert [
        module for module in PUBLIC if f"`{module}`" not in text and f"}} {module}\n" not in text
    ] == MERGED


# what they export is described where users import it from
MERGED = [
    "dqlitewire.buffer",
    "dqlitewire.messages.base",
    "dqlitewire.messages.requests",
    "dqlitewire.messages.responses",
]


def test_data_is_told_of() -> None:
    public, told = exported(), words()
    data = [path for path in described() if not callable(public[path])]
    assert [path for path in data if path not in told and not CODE.search(path)] == []
    assert [path for path in told if path not in data and not hasattr(public[path], "__origin__")] == []


CODE = re.compile(r"\.(?:SQLITE|DQLITE)_(?!PRIMARY_CODE)")  # which conversation.explain_failure has words for


def test_a_name_that_is_described_nowhere_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    import dqlitewire.explain as module

    monkeypatch.setattr(module, "extra", lambda: None, raising=False)
    monkeypatch.setattr(module, "__all__", [*module.__all__, "extra"])
    assert "dqlitewire.explain.extra" in exported()
    assert "dqlitewire.explain.extra" not in homes()


def test_every_page_begins_with_what_it_is_for_and_is_linked() -> None:
    index = (API / "index.md").read_text()
    (tree,) = blocks(API / "index.md", "{toctree}")
    for page in API.glob("*.md"):
        first = page.read_text().split("\n\n")[1]
        assert first.endswith((".", ".\n")), page
        assert len(first.split(". ")) >= 2, page
        if page.stem != "index":
            assert f"({page.name})" in index
            assert page.stem in tree.text.split()
