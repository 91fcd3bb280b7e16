"""Draw the figures of docs/explanation/performance.md from the run that is kept in bench/measured.json.

    make bench && cp bench/results/latest.json bench/measured.json && make redraw

A bar is a speed: how many of something are done in a second. Not all of what is compared runs in one work of
the bench, and absolute times depend on who else uses the machine; ratios, measured side by side, do not. So a
bar is the speed of pure Python in its own work, times the ratios to it:

    pure                the work itself
    native              by the work "native NAME", beside pure
    go-dqlite           by the work "go NAME", beside pure
    0.8.0, 0.2.2, ...   by the work NAME, beside pure
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench import report
from bench.candidates import NATIVE, OURS, PUBLISHED
from bench.go_dqlite import KEEPING
from tools.drawn import DOCS, ROOT
from tools.drawn.drawing import Drawing

__all__ = ["MEASURED", "PARTS", "files"]

MEASURED = ROOT / "bench" / "measured.json"
DRAWINGS = DOCS / "drawings"

WIDTH, NAME, FIGURE = 420, 108, 62  # pixels: of all, of the names at the left, of the figures behind the bars
BAR, STEP, GROUP = 13, 18, 30
OTHERS = {"0.8.0": "published 0.8.0", "0.2.2": "published 0.2.2", "sqlite3": "sqlite3 module"}
SHADES = {"native": 0.9, "pure Python": 0.55}


SHORT = """
* Pure Python reads streams of rows {streams} times as fast as the published dqlite-wire 0.2.2 and 0.8.0,
  and small messages {small} times (an empty answer {empty}).
* The [native module](../installing.md) reads and writes rows in {rows} of pure Python's time: most is won
  where there are texts, NULLs and types that keep changing. Its time is {go} of that of go-dqlite's decoder,
  where both keep all rows.
* Small messages (RESULT, OPEN, FAILURE) are the same with the native module and without.
""".strip()


class Chart(NamedTuple):
    """One drawing.

    Attributes:
        title: what it shows.
        unit: what is done in a second.
        groups: the name of a work, with what it is called.
        others: what is shown besides ours.
    """

    title: str
    unit: str
    groups: dict[str, str]
    others: tuple[str, ...]


CHARTS = {
    "performance-rows": Chart(
        "Values of rows read in a second, from pages of 4 KiB as servers send them",
        "values",
        {
            "stream int1": "one INTEGER a row",
            "stream itf3": "INTEGER, TEXT, FLOAT",
            "stream mix10": "ten columns, NULLs that vary",
        },
        ("sqlite3", "0.8.0", "0.2.2"),
    ),
    "performance-writing": Chart(
        "Values written in a second: rows of a server, parameters of a client",
        "values",
        {
            "write itf3": "rows: INTEGER, TEXT, FLOAT",
            "write mix10": "rows: ten columns, NULLs that vary",
        },
        ("0.8.0", "0.2.2"),
    ),
    "performance-messages": Chart(
        "Messages in a second",
        "messages",
        {
            "decode RESULT": "decode RESULT, what a write is answered by",
            "encode OPEN": "encode OPEN",
            "decode FAILURE": "decode FAILURE",
            "params 5": "build and encode EXEC_SQL with 5 parameters",
            "params 50": "the same with 50 parameters",
        },
        ("0.8.0", "0.2.2"),
    ),
}


def _ratios(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(line["work"], line["against"]): line for line in document["lines"]}


def speeds(work: str, others: tuple[str, ...], document: dict[str, Any]) -> dict[str, float]:
    """Return for each candidate how many are done in a second.

    Args:
        work: the name of a work.
        others: the candidates besides ours.
        document: as `report.write_json` writes it.
    """
    lines = _ratios(document)
    pure = 1 / lines[work, others[0]]["seconds"][OURS]
    found = {}
    if native := lines.get((f"native {work}", NATIVE)):
        found["native"] = pure / native["measured"]
    found["pure Python"] = pure
    if go := lines.get((f"go {work.removeprefix('stream ')}", f"{KEEPING}, pure")):
        found["go-dqlite"] = pure * go["measured"]
    for other in others:
        found[OTHERS[other]] = pure / lines[work, other]["measured"]
    return found


def amount(speed: float) -> str:
    """Return a speed in words."""
    number, unit = (speed / 1e6, "M") if speed >= 1e6 else (speed / 1e3, "k")
    return f"{number:#.3g}".removesuffix(".") + f" {unit}"


def drawn(chart: Chart, document: dict[str, Any]) -> str:
    """Return a drawing: bars from the left, one group under the other, all on one scale a group."""
    drawing = Drawing(WIDTH, chart.title)
    y = 4.0
    for work, words in chart.groups.items():
        y += GROUP
        drawing.text(0, y - 8, words, size=12, bold=True)
        bars = speeds(work, chart.others, document)
        most = max(bars.values())
        for name, speed in bars.items():
            ours = name in SHADES
            long = (WIDTH - NAME - FIGURE) * speed / most
            drawing.text(NAME - 6, y + BAR - 3, name, size=11, anchor="end", faint=not ours)
            drawing.box(
                *(NAME, y, max(long, 1), BAR), accent=ours, shade=SHADES.get(name, 0.3), line=False, radius=1
            )
            drawing.text(NAME + max(long, 1) + 5, y + BAR - 3, amount(speed), size=11, faint=not ours)
            y += STEP
    drawing.text(
        0, y + 16, f"{chart.unit} in a second; k thousand, M million; longer is faster", size=11, faint=True
    )
    return drawing.svg(y + 24)


def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return document


def _table(name: str) -> Callable[[], str]:
    return lambda: report.tables(_document())[name]


def run() -> str:
    """Return what the figures were measured on, as a sentence."""
    document = _document()
    on = document["machine"]
    judged = [line for line in document["lines"] if line["floor"] is not None]
    missed = [f"`{line['work']}` against {line['against']}" for line in judged if not line["met"]]
    met = f"{len(judged) - len(missed)} of {len(judged)}"
    return (
        f"Measured on {on['date']}: {on['python']} ({on['compiler']}), {on['processor']}, {on['system']}, "
        f"{document['settings']['rounds']} rounds, load {on['load']}. "
        f"{met} floors were met; missed: {', '.join(missed) or 'none'}."
    )


def _range(lines: list[dict[str, Any]], digits: str = ".0f") -> str:
    found = sorted(line["measured"] for line in lines)
    return f"{found[0]:{digits}} to {found[-1]:{digits}}"


def short() -> str:
    """Return what the run says in three sentences."""
    lines = _document()["lines"]
    published = [line for line in lines if line["against"] in PUBLISHED]
    streams = [line for line in published if line["work"].startswith("stream ")]
    small = [line for line in published if line["work"].startswith(("encode ", "decode "))]
    empty = [line for line in small if line["work"] == "encode EMPTY"]
    small = [line for line in small if line not in empty]
    rows = [
        line for line in lines if line["work"].startswith(("native stream", "native frame", "native write"))
    ]
    go = [line for line in lines if line["work"].startswith("go ") and line["against"] == KEEPING]
    return SHORT.format(
        streams=_range(streams),
        small=_range(small),
        empty=_range(empty),
        rows=_range(rows, ".2f"),
        go=_range(go, ".2f"),
    )


#: parts of pages, for tools/drawn/reference.py
PARTS: dict[str, Callable[[], str]] = {
    "performance-short": short,
    "performance-run": run,
    **{f"performance-{name}": _table(name) for name in ("packages", "native", "go", "bounds")},
}


def files() -> dict[Path, str]:
    """Return the drawings with their texts."""
    document = _document()
    return {DRAWINGS / f"{name}.svg": drawn(chart, document) for name, chart in CHARTS.items()}
