"""Draw the parts of the package in layers, from the imports themselves and from the import contracts.

`tools/redraw.py` writes the drawing.

A part is a module or a package right below `dqlitewire`. Every part stands above all that it imports, imports
for type checkers included. The three bands are those that import-linter holds in pyproject.toml, so a part
that nobody has put into one of them is a tool. A circle has no such order: it is an error that names the
parts in it.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping
from math import fsum
from pathlib import Path
from typing import NamedTuple

from tools.drawn import DOCS, ROOT
from tools.drawn.drawing import Drawing
from tools.drawn.drawing import width_of as width_of_text

__all__ = ["bands", "check_stacked", "files", "graph", "ranks", "rows_of", "shown", "svg"]

PACKAGE = ROOT / "src" / "dqlitewire"
DRAWING = DOCS / "drawings" / "architecture.svg"

Graph = Mapping[str, frozenset[str]]

WIDTH, BOX, GAP, ROW, SIDE = (
    440,
    22,
    6,
    12,
    12,
)  # pixels: of all, a box, between boxes, between rows, a band's margin
SIZE = 11.5


class Band(NamedTuple):
    """A band of the drawing.

    Attributes:
        title: its name.
        words: what holds for its parts.
        contract: the name of the import contract in pyproject.toml that lists them; "" for all others.
    """

    title: str
    words: str
    contract: str


# from the top; who moves a part moves it in the contract
BANDS = (
    Band("tools", "files, sockets, SQLite, terminals", ""),
    Band("order", "who may say what when, what servers do: no I/O", "order, servers and faults do no I/O"),
    Band(
        "core",
        "what every user imports: no I/O, nothing slow",
        "the core does no I/O, imports nothing slow and knows no tool",
    ),
)


# ---------------------------------------------------------------- the imports


def modules() -> dict[str, Path]:
    """Return the file of each module, `__init__` of a package under the package's name."""
    found: dict[str, Path] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path) -> Iterator[str]:
    """Yield what a module imports, absolute names, attributes of modules included."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def part_of(name: str) -> str:
    """Return the part that a module belongs to, an empty text for the package itself."""
    return name.partition(".")[2].partition(".")[0]


def graph() -> Graph:
    """Return for each part the other parts that it imports."""
    files = modules()
    parts = {part_of(name) for name in files} - {"", "__main__"}
    edges: dict[str, set[str]] = {part: set() for part in parts}
    for name, path in files.items():
        part = part_of(name)
        if part in edges:
            below = (part_of(n) for n in imported(name, path) if n.startswith("dqlitewire."))
            edges[part].update(other for other in below if other in parts and other != part)
    return {part: frozenset(below) for part, below in edges.items()}


# ---------------------------------------------------------------- the order


def ranks(edges: Graph) -> dict[str, int]:
    """Return how many parts stand below each other under a part, on the longest way down."""
    rank: dict[str, int] = {}

    def visit(part: str, way: tuple[str, ...]) -> int:
        if part in way:
            raise SystemExit("imports in a circle: " + " -> ".join((*way[way.index(part) :], part)))
        if part not in rank:
            rank[part] = 1 + max((visit(below, (*way, part)) for below in sorted(edges[part])), default=-1)
        return rank[part]

    for part in sorted(edges):
        visit(part, ())
    return rank


def bands() -> dict[str, list[str]]:
    """Return the parts of each band, as the import contracts list them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {one["name"]: one for one in settings["tool"]["importlinter"]["contracts"]}
    left = set(graph())
    found: dict[str, list[str]] = {}
    for band in reversed(BANDS):
        if band.contract:
            listed = {part_of(name) for name in contracts[band.contract]["source_modules"]}
            if listed - left:
                raise SystemExit(f"{band.contract}: no part is called {', '.join(sorted(listed - left))}")
        else:
            listed = left
        found[band.title] = sorted(listed)
        left = left - listed
    return found


def check_stacked(edges: Graph, parts: Mapping[str, list[str]]) -> None:
    """Check that no part imports one of a band above its own."""
    order = [band.title for band in BANDS]
    level = {part: order.index(title) for title, listed in parts.items() for part in listed}
    for part, below in edges.items():
        for other in below:
            if level[other] < level[part]:
                raise SystemExit(f"{part} imports {other}, which is of the band above")


# ---------------------------------------------------------------- the drawing


def rows_of(parts: list[str], edges: Graph) -> list[list[str]]:
    """Return the parts of a band in rows, the top one first: each stands above all that it imports there."""
    rank = ranks({part: edges[part] & {*parts} for part in parts})
    levels = sorted({*rank.values()}, reverse=True)
    return [[part for part in parts if rank[part] == level] for level in levels]


def shown(part: str) -> str:
    return f"{part}/" if (PACKAGE / part).is_dir() else part


def width_of(part: str) -> float:
    return width_of_text(shown(part), SIZE, mono=True) + 12


def lines_of(row: list[str]) -> Iterator[list[str]]:
    """Yield a row in as many lines as its boxes need."""
    line: list[str] = []
    for part in row:
        if line and fsum(map(width_of, [*line, part])) + GAP * len(line) > WIDTH - 2 * SIDE:
            yield line
            line = []
        line.append(part)
    yield line


def draw_row(drawing: Drawing, row: list[str], y: float) -> float:
    """Draw the boxes of a row; return where the next row begins."""
    for line in lines_of(row):
        x = (WIDTH - fsum(map(width_of, line)) - GAP * (len(line) - 1)) / 2
        for part in line:
            wide = width_of(part)
            package = (PACKAGE / part).is_dir()
            drawing.box(x, y, wide, BOX, radius=4, accent=package, shade=0.12 if package else 0.04)
            drawing.text(x + wide / 2, y + BOX - 7, shown(part), size=SIZE, anchor="middle", mono=True)
            x += wide + GAP
        y += BOX + GAP
    return y + ROW - GAP


def svg() -> str:
    """Return the drawing."""
    edges, parts = graph(), bands()
    check_stacked(edges, parts)
    drawing = Drawing(WIDTH, "The parts of dqlitewire: each imports only what stands below it")
    y = 1.0
    for band in BANDS:
        top, y = y, y + 18
        drawing.text(SIDE, y, band.title, size=12.5, bold=True)
        drawing.text(SIDE + 48, y, band.words, size=11, faint=True)
        y += 10
        for row in rows_of(parts[band.title], edges):
            y = draw_row(drawing, row, y)
        drawing.box(0.5, top, WIDTH - 1, y - top, radius=6, dashed=True)
        y += 10
    return drawing.svg(y - 8)


def files() -> dict[Path, str]:
    """Return the drawing's file with its text."""
    return {DRAWING: svg()}
