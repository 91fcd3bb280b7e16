"""Statistics as tables for people and as one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dqlitewire.traffic.failures import Failure
from dqlitewire.traffic.ledger import Ledger, Statement
from dqlitewire.traffic.quantiles import Durations
from dqlitewire.traffic.shorten import apart, counted, one_line
from dqlitewire.traffic.sources.transcript import seconds
from dqlitewire.traffic.stats import Statistics, ranked
from dqlitewire.traffic.views.json_object import token
from dqlitewire.traffic.views.line import duration
from dqlitewire.traffic.views.raft_report import raft_json, raft_report
from dqlitewire.traffic.views.table import Row, styled, table, wrapped

BAR = 40
FAILURE_LINES = 4  # of the text of one


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
    for text in _overview(statistics):
        yield from wrapped(text, width, 14)
    yield from _statements(statistics, sort, top, width, colour)
    yield from _loops(statistics, width, colour)
    yield from _unanswered(statistics, width, colour)
    yield from _failures(statistics, width, colour)
    yield from raft_report(statistics.raft, width, colour, statistics.timed)
    if statistics.latency.count:
        yield from ("", styled("latency of all requests", "bold", colour))
        yield from histogram(statistics.latency, width)


def _overview(statistics: Statistics) -> Iterator[str]:
    requests = sum(count for (way, _), count in statistics.messages.items() if way == "request")
    answers = sum(count for (way, _), count in statistics.messages.items() if way == "response")
    yield f"connections   {statistics.connections}"
    yield f"requests      {requests} ({size(statistics.request_bytes)})"
    yield f"answers       {answers} ({size(statistics.answer_bytes)})"
    if statistics.timed and statistics.last > statistics.first:
        taken = statistics.last - statistics.first
        yield f"time          {taken / 1e9:.3f} s, {requests / (taken / 1e9):.1f} requests/s"
    if statistics.raft.messages:
        between = statistics.raft
        yield f"between nodes {counted(between.messages.total(), 'message')} ({size(between.bytes)})"
    if statistics.leaders:
        named = ", ".join(address for _, address in statistics.leaders)
        changes = f" ({statistics.leader_changes} changes)" if statistics.leader_changes else ""
        yield f"leaders       {one_line(named)}{changes}"
    if statistics.retries:
        yield "retries       " + ", ".join(
            f"{count} after {kind}" for kind, count in sorted(statistics.retries.items())
        )
    if statistics.gaps:
        yield f"lost          {size(statistics.lost_bytes)} in {counted(statistics.gaps, 'place')}"
    if statistics.damaged:
        yield f"no dqlite     {', '.join(damage_words(statistics))}"


def damage_words(statistics: Statistics) -> list[str]:
    """What of some traffic is no dqlite, in words; nothing if all is."""
    places, frames = statistics.garbage_places, statistics.undecoded
    damage = [f"{size(statistics.garbage_bytes)} in {counted(places, 'place')}"] if places else []
    if frames:
        damage.append(f"{counted(frames, 'frame', 'that does', 'that do')} not decode")
    return damage


def _statements(statistics: Statistics, sort: str, top: int, width: int, colour: bool) -> Iterator[str]:
    shown = ranked(statistics, sort, top)
    if not shown:
        return
    timed = statistics.timed
    total = max(1, statistics.latency.total)
    order = sort if timed or sort not in ("total", "p50", "p95", "p99") else "count"
    more = len(statistics.statements) - len(shown)
    title = f"statements by {order}" + (f", {more} more not shown" if more > 0 else "")
    yield ""
    rows = [Row(_cells(one, total, timed), {"statement": one.key}) for one in shown]
    yield from table(title, rows, width, colour)


def _cells(statement: Statement, total: int, timed: bool) -> dict[str, str]:
    latency = statement.latency
    times = {
        "total": duration(latency.total) if latency.count else "-",
        "%": f"{100 * latency.total / total:.0f}",
        **{
            f"p{share}": duration(latency.quantile(share / 100)) if latency.count else "-"
            for share in (50, 95, 99)
        },
    }
    return {
        "count": str(statement.count),
        **(times if timed else {}),
        "rows": _each(statement.rows, statement.count),
        "frames": _each(statement.frames, statement.count),
        "failed": str(statement.failures or ""),
    }


def _each(number: int, count: int) -> str:
    """So many for each query."""
    each = number / max(1, count)
    return (f"{each:.0f}" if each >= 100 else f"{each:.3g}") if number else ""


def _failures(statistics: Statistics, width: int, colour: bool) -> Iterator[str]:
    found = sorted(statistics.failures.values(), key=lambda f: (-f.count, f.code, f.message, f.info.meaning))
    if not found:
        return
    yield from ("", styled("failures", "bold", colour))
    texts = [said(failure) for failure in found]
    for failure, text in zip(found, apart(texts, FAILURE_LINES * (width - 7) - 7), strict=True):
        yield from wrapped(f"{failure.count:>5}  {text}", width, 7)
        meaning = f"{failure.info.meaning}; retry: {failure.info.retry.value}"
        yield from wrapped(f"{'':7}{meaning}", width, 7)


def said(failure: Failure) -> str:
    """A kind of failure on one line: its code, name and message."""
    name = f"{failure.code} {failure.info.name}" if failure.code else "0"
    return f"{name}: {one_line(failure.message)}"


def _loops(statistics: Statistics, width: int, colour: bool) -> Iterator[str]:
    rows = [
        Row(
            {"runs": str(loop.runs), "queries": str(loop.queries), "longest": str(loop.longest)},
            {"statement": loop.key, "after": loop.after or "-"},
        )
        for loop in sorted(statistics.loops.values(), key=lambda entry: -entry.queries)
    ]
    if rows:
        yield ""
        yield from table("queries repeated in a row (N+1)", rows, width, colour)


def _unanswered(statistics: Statistics, width: int, colour: bool) -> Iterator[str]:
    rows = [
        Row({"count": str(count)}, {"statement": key}) for key, count in statistics.unanswered.most_common()
    ]
    if rows:
        yield ""
        yield from table("requests without an answer", rows, width, colour)


def histogram(durations: Durations, width: int = 100) -> Iterator[str]:
    """Yield a bar for each power of two."""
    octaves = list(durations.by_octave())
    most = max((count for _, count in octaves), default=1)
    room = max(10, min(BAR, width - 32))
    for low, count in octaves:
        bar = "█" * round(room * count / most) or ("▏" if count else "")
        yield f"{duration(low):>8} - {duration(2 * low):<8} {count:>8}  {bar}".rstrip()


def report_json(
    statistics: Statistics,
    sort: str = "total",
    top: int | None = None,
    notes: list[str] | None = None,
    now: float | None = None,
    skipped: int = 0,
) -> str:
    """Return the report as one JSON object; docs/guides/traffic.md describes the keys.

    Args:
        statistics: of the traffic.
        sort: what statements are ranked by, one of stats.SORTS.
        top: how many statements are given; None for all.
        notes: of the sources that were read.
        now: when it was made, in seconds since 1970; None to leave that out.
        skipped: lines and records that a source could not read.
    """
    timed = statistics.timed
    out: dict[str, Any] = {
        **({} if now is None else {"time": round(now, 3)}),
        "connections": statistics.connections,
        "messages": {
            way: {name: count for (side, name), count in sorted(statistics.messages.items()) if side == way}
            for way in ("request", "response")
        },
        "request_bytes": statistics.request_bytes,
        "response_bytes": statistics.answer_bytes,
        "first_time": float(seconds(statistics.first)) if timed and statistics.first else None,
        "last_time": float(seconds(statistics.last)) if timed and statistics.last else None,
        "latency_ms": latency_json(statistics.latency),
        "statements": [statement_json(statement) for statement in ranked(statistics, sort, top)],
        "failures": [failure_json(failure) for failure in statistics.failures.values()],
        "repeated": [vars(loop) for loop in statistics.loops.values()],
        "raft": raft_json(statistics.raft, timed),
        **common_json(statistics, statistics.ledger, skipped, notes),
    }
    return json.dumps(out, ensure_ascii=False)


def common_json(
    statistics: Statistics, ledger: Ledger, skipped: int = 0, notes: list[str] | None = None
) -> dict[str, Any]:
    """Return the keys that a report shares with what a window shows.

    Args:
        statistics: of all traffic.
        ledger: what retries and requests without an answer are told of.
        skipped: lines and records that a source could not read.
        notes: of the sources that were read.
    """
    return {
        "retries": {token(after): count for after, count in ledger.failures.retries.items()},
        "leaders": [
            {"time": float(seconds(time)) if statistics.timed else None, "address": address}
            for time, address in statistics.leaders
        ],
        "leader_changes": statistics.leader_changes,
        "unanswered": dict(ledger.unanswered),
        "garbage": {"bytes": statistics.garbage_bytes, "places": statistics.garbage_places},
        "undecoded": statistics.undecoded,
        "lost": {"bytes": statistics.lost_bytes, "places": statistics.gaps},
        "skipped": skipped,
        "notes": notes or [],
    }


def latency_json(durations: Durations) -> dict[str, Any] | None:
    """Return durations as they stand in a JSON object, in milliseconds; None if there are none."""
    if not durations.count:
        return None
    shares = {f"p{share}": durations.quantile(share / 100) / 1e6 for share in (50, 95, 99)}
    return {
        "count": durations.count,
        "total": durations.total / 1e6,
        **shares,
        "max": durations.highest / 1e6,
    }


def statement_json(statement: Statement) -> dict[str, Any]:
    """Return what a statement cost as a JSON object."""
    return {
        "statement": statement.key,
        "type": statement.type,
        "count": statement.count,
        "latency_ms": latency_json(statement.latency),
        "rows": statement.rows,
        "frames": statement.frames,
        "request_bytes": statement.request_bytes,
        "response_bytes": statement.answer_bytes,
        "failures": statement.failures,
    }


def failure_json(failure: Failure) -> dict[str, Any]:
    """Return a kind of failure as a JSON object."""
    info = failure.info
    return {
        "code": failure.code,
        "name": info.name,
        "message": failure.message,
        "meaning": info.meaning,
        "outcome": token(info.outcome.name),
        "retry": token(info.retry.name),
        "count": failure.count,
        "statements": dict(failure.statements.most_common(10)),
    }
