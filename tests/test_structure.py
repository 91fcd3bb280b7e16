"""The shape of the package: parts in order, functions that fit a screen, documented names in their places."""

from __future__ import annotations

import ast
import importlib
import io
import re
import tokenize
from pathlib import Path

import pytest

from tools.drawn import architecture

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "dqlitewire"
MOST_LINES = 60  # of code in a function, without its docstring, comments and blank lines
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_no_part_imports_another_in_a_circle() -> None:
    edges = architecture.graph()
    rank = architecture.ranks(edges)
    assert {"constants", "codec", "conversation", "cli"} <= set(rank)
    assert all(rank[below] < rank[part] for part in edges for below in edges[part])


def test_the_drawing_has_every_part_in_one_band_and_above_what_it_imports() -> None:
    edges, bands = architecture.graph(), architecture.bands()
    assert sorted(part for parts in bands.values() for part in parts) == sorted(edges)
    architecture.check_stacked(edges, bands)
    for parts in bands.values():
        rows = architecture.rows_of(parts, edges)
        level = {part: -number for number, row in enumerate(rows) for part in row}
        assert all(level[other] < level[part] for part in parts for other in edges[part] & {*parts})
    drawn = architecture.svg()
    assert all(f">{architecture.shown(part)}</text>" in drawn for part in edges)


def test_a_part_that_imports_one_of_a_band_above_is_an_error() -> None:
    bands = {"tools": ["a"], "order": ["b"], "core": ["c"]}
    with pytest.raises(SystemExit, match="c imports a, which is of the band above"):
        architecture.check_stacked({"a": frozenset(), "b": frozenset(), "c": frozenset("a")}, bands)


def test_a_circle_is_an_error_that_names_its_parts() -> None:
    edges = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("b")}
    with pytest.raises(SystemExit, match="b -> c -> b"):
        architecture.ranks(edges)


def code_lines(source: str) -> dict[str, int]:
    """Return the lines of code of each function of a module, those of its inner functions included."""
    code = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type
        not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    }
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = set(range(node.lineno, (node.end_lineno or node.lineno) + 1)) & code
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                lines -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
            found[f"{node.name}, line {node.lineno}"] = len(lines)
    return found


def test_lines_of_code_are_counted() -> None:
    source = (
        '@a\ndef f(\n    x,\n):\n    """Doc\n\n    more."""\n\n    # why\n    return g(\n        x\n    )\n'
    )
    assert code_lines(source) == {"f, line 2": 6}


def test_every_function_fits_a_screen() -> None:
    long = {
        f"{path.relative_to(PACKAGE)}: {name}": count
        for path in sorted(PACKAGE.rglob("*.py"))
        for name, count in code_lines(path.read_text(encoding="utf-8")).items()
        if count > MOST_LINES
    }
    assert long == {}


def documented() -> set[tuple[str, str]]:
    """Return (module, name) for every name that a page imports, (module, "") for one that it mentions."""
    found: set[tuple[str, str]] = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for module, plain, inside in re.findall(
            r"from (dqlitewire[\w.]*) import (?:([\w, ]+)|\(([^)]*)\))", text
        ):
            names = re.findall(r"\w+", re.sub(r"\w+ as |#.*", "", plain or inside))
            found.update((module, name) for name in names)
        found.update((dotted, "") for dotted in re.findall(r"`(dqlitewire(?:\.[a-zA-Z_]\w*)+)`", text))
    return found


@pytest.mark.parametrize(("module", "name"), sorted(documented()))
def test_documented_names_are_where_the_documentation_says(module: str, name: str) -> None:
    if name:
        assert hasattr(importlib.import_module(module), name)
        return
    if module == "dqlitewire._speedups":  # is there where it was built; its stub always is
        assert (ROOT / "src" / "dqlitewire" / "_speedups.pyi").is_file()
        return
    first, *attributes = module.split(".")
    at: object = importlib.import_module(first)
    for number, attribute in enumerate(attributes):
        if not hasattr(at, attribute):
            importlib.import_module(".".join([first, *attributes[: number + 1]]))
        at = getattr(at, attribute)


def test_names_were_found() -> None:
    assert len(documented()) >= 30
