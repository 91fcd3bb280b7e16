"""The printed table, the JSON behind it, and the same table as Markdown for the docs."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.candidates import NATIVE, OURS
from bench.go_dqlite import DATABASE_SQL, KEEPING, ONE_ROW
from bench.goals import Goal

HEADINGS = ("work", "ours", "against", "measured", "floor", "stretch", "met")
LAYOUT = "{:<30} {:>14}  {:<21} {:>9} {:>7} {:>7}  {}"


@dataclass(frozen=True)
class Line:
    """One goal and how it went; the middle half of the rounds lies in ``low`` .. ``high``."""

    goal: Goal
    measured: float
    low: float
    high: float
    seconds: dict[str, float]
    unit: str

    @property
    def met(self) -> bool:
        return self.goal.met(self.measured)

    @property
    def verdict(self) -> str:
        if self.goal.floor is None:
            return ""
        if not self.met:
            return "NO"
        return "stretch" if self.goal.stretch is not None and self.goal.met_stretch(self.measured) else "yes"

    def cells(self) -> tuple[str, ...]:
        goal = self.goal
        sign = "<= " if goal.at_most else ""
        return (
            goal.work,
            f"{amount(self.seconds[OURS], self.unit)}",
            goal.against,
            f"{self.measured:.2f}{goal.unit}",
            "" if goal.floor is None else f"{sign}{goal.floor:.4g}",
            "" if goal.stretch is None else f"{goal.stretch:.4g}",
            self.verdict,
        )

    def record(self) -> dict[str, Any]:
        goal = self.goal
        return {
            "work": goal.work,
            "against": goal.against,
            "measured": round(self.measured, 4),
            "middle_half": [round(self.low, 4), round(self.high, 4)],
            "floor": goal.floor,
            "stretch": goal.stretch,
            "at_most": goal.at_most,
            "met": self.met,
            "unit": goal.unit,
            "per": self.unit,
            "seconds": {name: float(f"{value:.4g}") for name, value in self.seconds.items()},
        }


def amount(value: float, unit: str) -> str:
    if unit == "B":
        return f"{value / (1 << 20):.0f} MiB"
    for factor, prefix in ((1e9, "ns"), (1e6, "us"), (1e3, "ms")):
        if value * factor < 1000:
            return f"{value * factor:.3g} {prefix}/{unit}"
    return f"{value:.3g} s/{unit}"


def heading() -> str:
    return LAYOUT.format(*HEADINGS)


def text(lines: list[Line]) -> Iterator[str]:
    """The rows of one work; its name and our own time stand in the first only."""
    for number, line in enumerate(lines):
        cells = line.cells()
        yield LAYOUT.format(*(cells if not number else ("", "", *cells[2:]))).rstrip()


def machine() -> dict[str, str]:
    """What was measured on, on which day, and how busy it was."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1] for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0].strip() if names else model
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": model,
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        "load": f"{os.getloadavg()[2]:.1f} on {os.cpu_count()} cores",  # of the last 15 minutes
    }


def write_json(path: Path, lines: list[Line], settings: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    records = ",\n".join(json.dumps(line.record()) for line in lines)  # a line each
    head = json.dumps({"machine": machine(), "settings": settings}).removesuffix("}")
    path.write_text(f'{head}, "lines": [\n{records}\n]}}\n')


COLUMNS = ("0.2.2", "0.8.0", "sqlite3", "msgpack")
GO_COLUMNS = (KEEPING, ONE_ROW, DATABASE_SQL)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Tables as Markdown: the ratios to packages, native beside pure, both beside Go, and what has a bound.

    Each figure is shown as measured (floor; stretch).
    """
    lines = document["lines"]
    found = {
        "packages": _packages([line for line in lines if line["against"] in COLUMNS]),
        "native": _native([line for line in lines if line["against"] == NATIVE]),
        "go": _go([line for line in lines if line["against"].startswith(GO_COLUMNS)]),
        "bounds": _bounds(
            [line for line in lines if not line["against"].startswith((*COLUMNS, NATIVE, *GO_COLUMNS))]
        ),
    }
    return {name: "\n".join(table) for name, table in found.items()}


def _table(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _by_work(lines: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Lines by work, by what they compare with."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for line in lines:
        found.setdefault(line["work"], {})[line["against"]] = line
    return found


def _seconds(line: dict[str, Any], *names: str) -> list[str]:
    spent = line["seconds"]
    return [amount(spent[name], line["per"]) if name in spent else "" for name in names]


def _packages(lines: list[dict[str, Any]]) -> Iterator[str]:
    yield _table("work", "ours", *COLUMNS)
    yield "|---" * 6 + "|"
    for work, found in _by_work(lines).items():
        figures = [_figure(found[name]) if name in found else "" for name in COLUMNS]
        yield _table(work, *_seconds(next(iter(found.values())), OURS), *figures)


def _native(lines: list[dict[str, Any]]) -> Iterator[str]:
    yield _table("work", "pure Python", "native", "native / pure")
    yield "|---" * 4 + "|"
    for line in lines:
        yield _table(line["work"].removeprefix("native "), *_seconds(line, OURS, NATIVE), _figure(line))


def _go(lines: list[dict[str, Any]]) -> Iterator[str]:
    """For each work and program in Go: both times of ours, Go's, and the ratios."""
    yield _table("work", "pure Python", "native", "beside", "", "native / Go", "pure / Go")
    yield "|---" * 7 + "|"
    for work, found in _by_work(lines).items():
        for name in GO_COLUMNS:
            shown = [found.get(name), found.get(f"{name}, pure")]
            if line := next(filter(None, shown), None):
                figures = [_figure(one) if one else "" for one in shown]
                ours, native, go = _seconds(line, OURS, NATIVE, name)
                yield _table(work, ours, native, name, go, *figures)


def _bounds(lines: list[dict[str, Any]]) -> Iterator[str]:
    yield _table("work", "against", "measured")
    yield "|---" * 3 + "|"
    for line in lines:
        yield _table(line["work"], line["against"], _figure(line))


def _figure(line: dict[str, Any]) -> str:
    goals = [f"{goal:.4g}" for goal in (line["floor"], line["stretch"]) if goal is not None]
    sign = "at most " if line["at_most"] else ""
    wanted = f" ({sign}{'; '.join(goals)})" if goals else ""
    shown = f"{line['measured']:.2f}{line['unit'].removeprefix('x')}"
    return (shown if line["met"] else f"**{shown}**") + wanted


if __name__ == "__main__":
    print("\n\n".join(tables(json.loads(Path(sys.argv[1]).read_text())).values()))
