"""The pages of docs/explanation: their code prints what stands under it, and the tests that they name exist.

A page names a test as `tests/FILE.py::NAME`. Where it stands, the page claims something that this test holds;
the name of a test that is gone would be a claim that nobody holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, ROOT, Block, blocks, name_of
from tests.docs.running import run_python
from tools.drawn import architecture, performance
from tools.drawn.bounds import BOUNDS, value_of

PAGES = sorted((DOCS / "explanation").glob("*.md"))
NAMED = re.compile(r"tests/([\w/]+\.py)(?:::(\w+))?")
NEVER_NAMED = re.compile(r"`(?:tests/)?[\w/]+\.py::(?!\w+`)[^`]*`")

# pages whose Python runs here: architecture.md shows a declaration of the package itself
RUN = [
    DOCS / "explanation" / name for name in ("errors.md", "interrupts.md", "security.md", "thread-safety.md")
]


@cache
def found_in(path: Path) -> frozenset[str]:
    """Return the names of the tests in a file; to parse all of them would take seconds."""
    return frozenset(
        re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    )


def named(page: Path) -> Iterator[tuple[str, str | None]]:
    """Yield the files of tests that a page names, each with the test."""
    for found in NAMED.finditer(page.read_text(encoding="utf-8")):
        yield found[1], found[2]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_tests_that_a_page_names_are_there(page: Path) -> None:
    for name, test in named(page):
        path = ROOT / "tests" / name
        assert path.is_file(), name
        if test is not None:
            assert test in found_in(path), f"{name}::{test}"
    assert NEVER_NAMED.findall(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_footnote_is_there_and_meant(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    defined = re.findall(r"^\[\^(\w+)\]: ", text, re.MULTILINE)
    meant = re.findall(r"\[\^(\w+)\](?!:)", text)
    assert len(defined) == len({*defined})
    assert {*defined} == {*meant}


def test_what_is_said_to_be_safe_is_held() -> None:
    claims = list(named(DOCS / "explanation" / "security.md"))
    assert len(claims) > 60
    assert all(test for _, test in claims)


def test_each_bound_is_a_number_of_the_code_and_has_a_test() -> None:
    rows = [row for group in BOUNDS.values() for row in group]
    assert len({row.constant for row in rows}) == len(rows) > 20
    for row in rows:
        assert value_of(row.constant) > 0
        file, _, test = row.test.partition("::")
        assert test in found_in(ROOT / "tests" / file), row.test


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_the_code_runs_and_prints_what_stands_under_it(page: Path) -> None:
    names: dict[str, object] = {}
    waiting: list[Block] = []
    for block in blocks(page):
        if block.language == "python":
            waiting.append(block)
        elif block.language == "text":
            assert run_python(waiting, names) == block.text, block.place
            waiting = []
    assert run_python(waiting, names) == "", "printed, and nothing stands under it"


def test_the_page_on_architecture_says_what_every_part_does() -> None:
    page = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| part | what is in it |")[2].partition("\n\n")[0]
    told = {name.rstrip("/") for name in re.findall(r"`(\w+/?)`", table)}
    assert set(architecture.graph()) <= told


def test_what_the_kept_run_says_is_what_its_drawings_show() -> None:
    document = json.loads(performance.MEASURED.read_text(encoding="utf-8"))
    for chart in performance.CHARTS.values():
        for work in chart.groups:
            speeds = performance.speeds(work, chart.others, document)
            assert list(speeds)[-len(chart.others) :] == [performance.OTHERS[one] for one in chart.others]
            for line in document["lines"]:
                if line["work"] == work and line["against"] in chart.others:
                    ratio = speeds["pure Python"] / speeds[performance.OTHERS[line["against"]]]
                    assert ratio == pytest.approx(line["measured"])
