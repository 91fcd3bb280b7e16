"""Draw which part of the package imports which, from the imports themselves.

`tools/redraw.py` writes the drawing.

A part is a module or a package right below `dqlitewire`. Every part stands above all that it imports, imports
for type checkers included. An arrow that other arrows say already (A to C, where A imports B and B imports C)
is left out. A circle has no such order: it is an error that names the parts in it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "dqlitewire"
DRAWING = ROOT / "docs" / "drawings" / "architecture.svg"

Graph = Mapping[str, frozenset[str]]

# the three bands of the drawing; a part that is not named here belongs to the core
BANDS = {
    "core": ("what every user imports: no I/O, nothing slow", "#e8f0fa", "#3a6ea5"),
    "order": ("the protocol's order and what servers do: no I/O", "#e9f5ea", "#3f7f4a"),
    "tools": ("tools: sockets, files, terminals", "#fbf0e2", "#a86a1d"),
}
BAND_OF = {
    **dict.fromkeys(("sql", "servers", "conversation", "faults"), "order"),
    **dict.fromkeys(("traffic", "dial", "testing", "cli"), "tools"),
}

WIDTH, ROW, BOX, GAP = 980, 64, 34, 14
FONT = 'font-family="ui-monospace, DejaVu Sans Mono, monospace" font-size="12"'
TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="#888"/></marker>'
)
LETTER = 7.3  # of 12 px monospace, on the safe side


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


def reachable(edges: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        part = waiting.pop()
        if part not in found:
            found.add(part)
            waiting += edges[part]
    return found


def reduced(edges: Graph) -> Graph:
    """Leave out every arrow that others say already."""
    far = {part: reachable(edges, part) for part in edges}
    return {
        part: frozenset(b for b in below if not any(b in far[other] for other in below))
        for part, below in edges.items()
    }


# ---------------------------------------------------------------- the drawing


def width_of(part: str) -> float:
    return LETTER * len(part) + 22


def placed(edges: Graph) -> tuple[dict[str, tuple[float, float]], int]:
    """Return the middle of each box, and the height of all."""
    rank = ranks(edges)
    rows: list[list[str]] = [[] for _ in range(max(rank.values()) + 1)]
    for part in sorted(rank):
        rows[rank[part]].append(part)
    middle: dict[str, float] = dict.fromkeys(rank, WIDTH / 2)
    above: dict[str, list[str]] = {part: [p for p in edges if part in edges[p]] for part in edges}

    def spread(row: list[str]) -> None:
        free = (WIDTH - sum(map(width_of, row))) / (len(row) + 1)
        at = 0.0
        for part in row:
            middle[part] = at + free + width_of(part) / 2
            at += free + width_of(part)

    for row in rows:
        spread(row)
    for turn in range(12):  # boxes move towards what they are tied to, from above and from below in turn
        ties = above if turn % 2 else edges
        for row in reversed(rows) if turn % 2 else rows:
            pull = {p: sum(middle[t] for t in ties[p]) / len(ties[p]) if ties[p] else middle[p] for p in row}
            row.sort(key=lambda part: (round(pull[part]), part))
            spread(row)
    height = ROW * len(rows) + 60
    return {p: (middle[p], height - 60 - ROW * rank[p] - BOX / 2) for p in rank}, height


def first_sentence(part: str) -> str:
    path = PACKAGE / part / "__init__.py" if (PACKAGE / part).is_dir() else PACKAGE / f"{part}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def svg() -> str:
    """Return the drawing."""
    edges = graph()
    arrows = reduced(edges)
    at, height = placed(arrows)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT}>',
        "<title>Which part of dqlitewire imports which</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f"<defs>{TIP}</defs>",
    ]
    for part in sorted(arrows):
        for below in sorted(arrows[part]):
            (x, y), (to, end) = at[part], at[below]
            y, end = y + BOX / 2, end - BOX / 2
            bend = (end - y) / 2
            lines.append(
                f'<path d="M{x:.0f} {y:.0f}C{x:.0f} {y + bend:.0f} {to:.0f} {end - bend:.0f} {to:.0f} '
                f'{end:.0f}" fill="none" stroke="#999" marker-end="url(#tip)"/>'
            )
    for part in sorted(at):
        x, y = at[part]
        _, fill, stroke = BANDS[BAND_OF.get(part, "core")]
        wide = width_of(part)
        is_package = (PACKAGE / part).is_dir()
        lines.append(
            f'<g><title>{escape(first_sentence(part))}</title><rect x="{x - wide / 2:.0f}" '
            f'y="{y - BOX / 2:.0f}" width="{wide:.0f}" height="{BOX}" rx="5" fill="{fill}" '
            f'stroke="{stroke}" stroke-width="{2 if is_package else 1}"/>'
            f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle">{part}{"/" if is_package else ""}'
            "</text></g>"
        )
    x = 14.0
    for words, fill, stroke in BANDS.values():
        lines.append(
            f'<rect x="{x:.0f}" y="{height - 30}" width="14" height="14" rx="3" fill="{fill}" '
            f'stroke="{stroke}"/><text x="{x + 20:.0f}" y="{height - 19}" font-size="11">{words}</text>'
        )
        x += 44 + 6.7 * len(words)
    return "\n".join([*lines, "</svg>", ""])


def files() -> dict[Path, str]:
    """Return the drawing's file with its text."""
    return {DRAWING: svg()}
