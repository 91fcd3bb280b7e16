"""Statistics as tables for people and as one JSON object for programs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dqlitewire.text import Shown, printable
from dqlitewire.traffic.failures import Failure
from dqlitewire.traffic.quantiles import Durations
from dqlitewire.traffic.shorten import counted, elide, one_line
from dqlitewire.traffic.sources.transcript import seconds
from dqlitewire.traffic.stats import Statement, Statistics, ranked
from dqlitewire.traffic.views.line import duration

BAR = 40


def size(number: int) -> str:
    """Bytes in the unit that suits them."""
    for unit in ("B", "KB", "MB"):
        if number < 10_000:
            return f"{number} {unit}"
        number = round(number / 1000)
    return f"{number} GB"


def report(
    statistics: Statistics, sort: str = "total", top: int = 20, width: int = 100, colour: bool = False
) -> Iterator[str]:
    """Yield the lines of the whole report.

    Args:
        statistics: of the traffic.
        sort: what statements are ranked by, one of stats.SORTS.
        top: how many statements are shown.
        width: columns that lines fit into.
        colour: whether titles are bold, and so on, as a terminal shows them.
    """
    yield from _overview(statistics, width)
    for table in (_statements(statistics, sort, top, width), _loops(statistics), _unanswered(statistics)):
        if table.row_count:
            yield ""
            yield from _lines(table, width, colour)
    yield from _failures(statistics, width)
    if statistics.latency.count:
        yield ""
        yield "latency of all requests"
        yield from histogram(statistics.latency, width)


def _overview(statistics: Statistics, width: int) -> Iterator[str]:
    requests = sum(count for (way, _), count in statistics.messages.items() if way == "request")
    answers = sum(count for (way, _), count in statistics.messages.items() if way == "response")
    yield f"connections   {statistics.connections}"
    yield f"requests      {requests} ({size(statistics.request_bytes)})"
    yield f"answers       {answers} ({size(statistics.answer_bytes)})"
    if statistics.timed and statistics.last > statistics.first:
        taken = statistics.last - statistics.first
        yield f"time          {taken / 1e9:.3f} s, {requests / (taken / 1e9):.1f} requests/s"
    if statistics.leaders:
        named = ", ".join(address for _, address in statistics.leaders)
        changes = f" ({statistics.leader_changes} changes)" if statistics.leader_changes else ""
        yield elide(f"leaders       {named}{changes}", width)
    if statistics.retries:
        yield "retries       " + ", ".join(
            f"{count} after {kind}" for kind, count in sorted(statistics.retries.items())
        )
    if statistics.gaps:
        yield f"lost          {size(statistics.lost_bytes)} in {counted(statistics.gaps, 'place')}"
    if statistics.damaged:
        places, frames = statistics.garbage_places, statistics.undecoded
        damage = [f"{size(statistics.garbage_bytes)} in {counted(places, 'place')}"] if places else []
        if frames:
            damage.append(f"{counted(frames, 'frame', 'that does', 'that do')} not decode")
        yield f"no dqlite     {', '.join(damage)}"


def _cell(text: str) -> Text:
    # a Text, since a str would be read for markup; printable, since what rich has drawn is taken as it is
    return Text(printable(one_line(text)))


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        expand=True,
    )


def _statements(statistics: Statistics, sort: str, top: int, width: int) -> Table:
    timed = statistics.timed
    total = max(1, statistics.latency.total)
    order = sort if timed or sort not in ("total", "p50", "p95", "p99") else "count"
    shown = ranked(statistics, sort, top)
    more = len(statistics.statements) - len(shown)
    table = _table(f"statements by {order}" + (f", {more} more not shown" if more > 0 else ""))
    numbers = ["count", *(["total", "%", "p50", "p95", "p99"] if timed else []), "rows", "frames", "failed"]
    if width < 110:
        numbers.remove("frames")
    if width < 110 and timed:
        numbers.remove("p99")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("statement", no_wrap=True, overflow="ellipsis", ratio=1)
    for statement in shown:
        cells = _cells(statement, total)
        table.add_row(*(cells[name] for name in numbers), _cell(statement.key))
    return table


def _cells(statement: Statement, total: int) -> dict[str, str]:
    latency = statement.latency
    quantiles = {
        f"p{share}": duration(latency.quantile(share / 100)) if latency.count else "-"
        for share in (50, 95, 99)
    }
    return {
        "count": str(statement.count),
        "total": duration(latency.total) if latency.count else "-",
        "%": f"{100 * latency.total / total:.0f}",
        **quantiles,
        "rows": _each(statement.rows, statement.count),
        "frames": _each(statement.frames, statement.count),
        "failed": str(statement.failures or ""),
    }


def _each(number: int, count: int) -> str:
    """So many for each query."""
    each = number / max(1, count)
    return (f"{each:.0f}" if each >= 100 else f"{each:.3g}") if number else ""


def _failures(statistics: Statistics, width: int) -> Iterator[str]:
    found = sorted(statistics.failures.values(), key=lambda f: (-f.count, f.code, f.message, f.info.meaning))
    if found:
        yield from ("", "failures")
    for failure in found:
        info = failure.info
        name = f"{failure.code} {info.name}" if failure.code else "0"
        yield elide(f"{failure.count:>5}  {name}: {one_line(failure.message)}", width)
        yield elide(f"       {info.meaning}; retry: {info.retry.value}", width)


def _loops(statistics: Statistics) -> Table:
    table = _table("queries repeated in a row (N+1)")
    for name in ("runs", "queries", "longest"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("statement", ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column("after", ratio=2, no_wrap=True, overflow="ellipsis")
    for loop in sorted(statistics.loops.values(), key=lambda entry: -entry.queries):
        numbers = (str(loop.runs), str(loop.queries), str(loop.longest))
        table.add_row(*numbers, _cell(loop.key), _cell(loop.after))
    return table


def _unanswered(statistics: Statistics) -> Table:
    table = _table("requests without an answer")
    table.add_column("count", justify="right")
    table.add_column("statement", ratio=1, no_wrap=True, overflow="ellipsis")
    for key, count in statistics.unanswered.most_common():
        table.add_row(str(count), _cell(key))
    return table


def _lines(table: Table, width: int, colour: bool) -> Iterator[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colour, no_color=not colour, highlight=False)
    console.print(table)
    yield from (Shown(text.rstrip()) for text in out.getvalue().splitlines())


def histogram(durations: Durations, width: int = 100) -> Iterator[str]:
    """Yield a bar for each power of two."""
    octaves = list(durations.by_octave())
    most = max((count for _, count in octaves), default=1)
    room = max(10, min(BAR, width - 32))
    for low, count in octaves:
        bar = "█" * round(room * count / most) or ("▏" if count else "")
        yield f"{duration(low):>8} - {duration(2 * low):<8} {count:>8}  {bar}".rstrip()


def report_json(
    statistics: Statistics, sort: str = "total", top: int | None = None, notes: list[str] | None = None
) -> str:
    """Return the report as one JSON object; docs/traffic.md describes the keys.

    Args:
        statistics: of the traffic.
        sort: what statements are ranked by, one of stats.SORTS.
        top: how many statements are given; None for all.
        notes: of the sources that were read.
    """
    timed = statistics.timed
    out: dict[str, Any] = {
        "connections": statistics.connections,
        "messages": {
            way: {name: count for (side, name), count in sorted(statistics.messages.items()) if side == way}
            for way in ("request", "response")
        },
        "request_bytes": statistics.request_bytes,
        "response_bytes": statistics.answer_bytes,
        "first_time": float(seconds(statistics.first)) if timed and statistics.first else None,
        "last_time": float(seconds(statistics.last)) if timed and statistics.last else None,
        "latency_ms": _latency(statistics.latency),
        "statements": [_statement(statement) for statement in ranked(statistics, sort, top)],
        "failures": [_failure(failure) for failure in statistics.failures.values()],
        "retries": dict(statistics.retries),
        "leaders": [
            {"time": float(seconds(time)) if timed else None, "address": address}
            for time, address in statistics.leaders
        ],
        "leader_changes": statistics.leader_changes,
        "unanswered": dict(statistics.unanswered),
        "repeated": [vars(loop) for loop in statistics.loops.values()],
        "garbage": {"bytes": statistics.garbage_bytes, "places": statistics.garbage_places},
        "undecoded": statistics.undecoded,
        "lost": {"bytes": statistics.lost_bytes, "places": statistics.gaps},
        "notes": notes or [],
    }
    return json.dumps(out, ensure_ascii=False)


def _latency(durations: Durations) -> dict[str, Any] | None:
    if not durations.count:
        return None
    shares = {f"p{share}": durations.quantile(share / 100) / 1e6 for share in (50, 95, 99)}
    return {
        "count": durations.count,
        "total": durations.total / 1e6,
        **shares,
        "max": durations.highest / 1e6,
    }


def _statement(statement: Statement) -> dict[str, Any]:
    return {
        "statement": statement.key,
        "type": statement.type,
        "count": statement.count,
        "latency_ms": _latency(statement.latency),
        "rows": statement.rows,
        "frames": statement.frames,
        "request_bytes": statement.request_bytes,
        "response_bytes": statement.answer_bytes,
        "failures": statement.failures,
    }


def _failure(failure: Failure) -> dict[str, Any]:
    info = failure.info
    return {
        "code": failure.code,
        "name": info.name,
        "message": failure.message,
        "meaning": info.meaning,
        "retry": info.retry.value,
        "count": failure.count,
        "statements": dict(failure.statements.most_common(10)),
    }
