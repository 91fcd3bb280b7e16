"""What a window over traffic shows (`traffic.window`), on a screen of any size and as one JSON object.

    top: tap.dqt                                    10:31:22Z, 10 s      where, and until when
    requests  5021/s, 512 rows/s, 2 waiting, ..                          what came
    latency   p50 210 us, p95 1.3 ms, max 13 ms
    failures  3, 1 retry, 5 and 2 in all                                 where there are any
    leader    10.0.0.1:9001, 1 change
    raft      20 messages between nodes

    [rate/s]   p50   p95   max  statement, 7 of 40                       as many as fit; [sorted by]
    slowest                                                              from about 20 lines on
    failures

The most important comes first, and what does not fit is left out: a screen of 40 by 10 has figures and the
first statements.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from dqlitewire.traffic.failures import Failure
from dqlitewire.traffic.ledger import Statement, sorted_statements
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.sources.transcript import seconds
from dqlitewire.traffic.views.line import duration
from dqlitewire.traffic.views.report import (
    common_json,
    damage_words,
    failure_json,
    latency_json,
    said,
    statement_json,
)
from dqlitewire.traffic.views.screen import BAD, DIM, Column, Piece, grid, head, number, screenful, title
from dqlitewire.traffic.window import Snapshot

#: what statements are sorted by: the word for it, and the one of `ledger.SORTS`
ORDERS = {"rate": "count", "time": "total", "latency": "p95", "rows": "rows", "failures": "failures"}
STATEMENTS = 20  # that are shown where there is room for any number of lines
DETAILS = 5  # slowest and failures, then
OLD = 60_000_000_000  # nanoseconds, after which a window is said to be old


@dataclass(frozen=True)
class Look:
    """How a window is shown.

    Attributes:
        name: what is watched.
        order: one of ORDERS.
        keys: what the last line says of keys; none for no such line.
        state: what else is to be said of the source, such as "ended".
        now: the time, in nanoseconds since 1970; 0 not to say how old the traffic is.
    """

    name: str
    order: str = "rate"
    keys: tuple[str, ...] = ()
    state: str = ""
    now: int = 0


def traffic_lines(snapshot: Snapshot, look: Look, width: int, height: int | None = None) -> list[Text]:
    """Return the lines that show a window; at most `height`, none wider than `width`.

    Args:
        snapshot: of the window.
        look: how it is shown.
        width: columns.
        height: rows; None for as many as it takes.
    """
    lines = [title(f"top: {look.name}", ", ".join(_when(snapshot, look)), width, height is not None)]
    lines += _heads(snapshot, width)
    below = [head("", [Piece(key, DIM) for key in look.keys], width, 0)] if look.keys else []
    statements = sorted_statements(snapshot.ledger, ORDERS[look.order])
    slowest, failures = _slowest(snapshot), _failures(snapshot)
    if height is None:
        shown, each = STATEMENTS, DETAILS
    else:
        left = height - len(lines) - len(below)
        each = min(max((left - 6) // 4, 0), 8)
        extra = sum(2 + min(each, len(found)) for found in (slowest, failures) if found) if each else 0
        shown = left - extra - 1 - (each > 0)
    if statements and shown > 0:
        lines += [Text()] * (height is None or each > 0)
        lines += _statements(snapshot, statements, look.order, shown, width)
    if slowest and each:
        lines += [Text(), *_slowest_lines(slowest[:each], width)]
    if failures and each:
        lines += [Text(), *_failure_lines(failures[:each], width)]
    return screenful(lines, below, width, height)


def _when(snapshot: Snapshot, look: Look) -> list[str]:
    told = [look.state] if look.state else []
    if not (told or snapshot.whole.messages or snapshot.whole.raft.messages):
        return ["nothing yet"]
    if snapshot.at:
        old = look.now - snapshot.at > OLD
        at = datetime.fromtimestamp(snapshot.at / 1e9, UTC)
        told.append(f"{at:%Y-%m-%d %H:%M:%S}Z" if old else f"{at:%H:%M:%S}Z")
    if snapshot.covered is not None:
        told.append(f"{snapshot.covered / 1e9:.0f} s")
    return told


def _heads(snapshot: Snapshot, width: int) -> list[Text]:
    ledger, totals, whole = snapshot.ledger, snapshot.totals, snapshot.whole
    rate, rows = snapshot.rate(ledger.count), snapshot.rate(ledger.rows)
    requests = [Piece(str(ledger.count) if rate is None else f"{number(rate)}/s")]
    requests += [Piece(f"{number(rows)} rows/s" if rows is not None else counted(ledger.rows, "row"))]
    requests += [Piece(f"{snapshot.open} waiting")] * bool(snapshot.open)
    requests += [Piece(counted(whole.connections, "connection"))]
    requests += [Piece(f"{totals.requests} in all")] * (totals.requests != ledger.count)
    lines = [head("requests", requests, width)]
    if ledger.latency.count:
        shares = [
            Piece(f"p{share} {duration(ledger.latency.quantile(share / 100))}") for share in (50, 95, 99)
        ]
        lines.append(head("latency", [*shares, Piece(f"max {duration(ledger.latency.highest)}")], width))
    if totals.failures or totals.unanswered or totals.retries:
        lines.append(head("failures", _failed(snapshot), width))
    if (leader := _leader(snapshot)) is not None:
        address, changes = leader
        lines.append(head("leader", [Piece(address), *[Piece(changes)] * bool(changes)], width))
    if between := whole.raft.messages.total():
        lines.append(head("raft", [Piece(f"{counted(between, 'message')} between nodes")], width))
    if damage := damage_words(whole):
        lines.append(head("no dqlite", [Piece(", ".join(damage), BAD)], width))
    return lines


def _failed(snapshot: Snapshot) -> list[Piece]:
    ledger, totals = snapshot.ledger, snapshot.totals
    failures, retries, unanswered = (
        ledger.failures.count,
        ledger.failures.retries.total(),
        ledger.unanswered.total(),
    )
    found = [Piece(str(failures), BAD if failures else "")]
    found += [Piece(f"{unanswered} unanswered", BAD)] * bool(unanswered)
    found += [Piece(f"{retries} retried")] * bool(retries)
    if (totals.failures, totals.retries, totals.unanswered) != (failures, retries, unanswered):
        found.append(Piece(f"{totals.failures} in all"))
    return found


def _leader(snapshot: Snapshot) -> tuple[str, str] | None:
    """The leader as messages between nodes or answers to LEADER told it last; and how often it changed.

    Where the handshake between nodes was not seen, they tell only the port that the leader dials from.
    """
    whole = snapshot.whole
    told: list[tuple[int, str, int]] = []
    if whole.raft.leaders:
        time, _, address = whole.raft.leaders[-1]
        told.append((time, address, len(whole.raft.leaders) - 1))
    if whole.leaders:
        told.append((*whole.leaders[-1], whole.leader_changes))
    if not told:
        return None
    _, address, changes = max(told, key=lambda each: each[0])
    return address, counted(changes, "change") if changes else ""


def _statements(
    snapshot: Snapshot, statements: list[Statement], order: str, most: int, width: int
) -> list[Text]:
    shown = statements[:most]
    total = max(1, snapshot.ledger.latency.total)
    timed = snapshot.covered is not None
    if not timed and order in ("rate", "time", "latency"):
        order = "rate"  # which is the count
    rates = [number(snapshot.rate(one.count)) if timed else str(one.count) for one in shown]
    rows = [number(snapshot.rate(one.rows)) if timed else str(one.rows) for one in shown]
    columns = {
        "rate": Column("rate/s" if timed else "count", rates, 1),
        "time": Column("time %", [_share(one.latency.total, total) for one in shown], 6),
        "p50": Column("p50", [_quantile(one, 0.5) for one in shown], 5),
        "latency": Column("p95", [_quantile(one, 0.95) for one in shown], 2),
        "max": Column("max", [_quantile(one, 1) for one in shown], 4),
        "rows": Column("rows/s" if timed else "rows", _empty_if_none(rows, [one.rows for one in shown]), 3),
        "failures": Column("failed", [str(one.failures or "") for one in shown], 3, BAD),
    }
    sorted_by = columns[order]
    columns[order] = sorted_by._replace(name=f"[{sorted_by.name}]", rank=0)
    of = f", {len(shown)} of {len(statements)}" if len(shown) < len(statements) else ""
    return grid([*columns.values()], f"statement{of}", [one.key for one in shown], width)


def _share(part: int, total: int) -> str:
    return f"{100 * part / total:.0f}" if part else ""


def _empty_if_none(texts: list[str], values: list[int]) -> list[str]:
    return [text if value else "" for text, value in zip(texts, values, strict=True)]


def _quantile(statement: Statement, share: float) -> str:
    return duration(statement.latency.quantile(share)) if statement.latency.count else ""


def _slowest(snapshot: Snapshot) -> list[tuple[int, bool, int, str]]:
    """How long, whether it still waits, the connection and the statement of the slowest requests."""
    waiting = [(one.age, True, one.connection, one.key) for one in snapshot.waiting if snapshot.covered]
    over = [(one.latency, False, one.connection, one.key) for one in snapshot.ledger.slowest]
    return sorted([*waiting, *over], key=lambda one: (-one[0], one[2], one[3]))


def _slowest_lines(found: list[tuple[int, bool, int, str]], width: int) -> list[Text]:
    columns = [
        Column("took", [duration(took) for took, *_ in found], 0),
        Column("", ["waiting" if waiting else "" for _, waiting, *_ in found], 1, BAD),
        Column("conn", [str(connection) for *_, connection, _ in found], 2),
    ]
    return grid(columns, "slowest", [key for *_, key in found], width)


def _failures(snapshot: Snapshot) -> list[Failure]:
    kinds = snapshot.ledger.failures.kinds.values()
    return sorted(kinds, key=lambda f: (-f.count, f.code, f.message, f.info.meaning))


def _failure_lines(found: list[Failure], width: int) -> list[Text]:
    columns = [Column("count", [str(failure.count) for failure in found], 0, BAD)]
    return grid(columns, "failure", [said(failure) for failure in found], width)


def traffic_json(
    snapshot: Snapshot, order: str, now: float, notes: list[str] | None = None, skipped: int = 0
) -> str:
    """Return a window as one JSON object; docs/guides/top.md describes the keys.

    Args:
        snapshot: of the window.
        order: what statements are sorted by, one of ORDERS.
        now: when it was made, in seconds since 1970.
        notes: of the source.
        skipped: lines and records that the source could not read.
    """
    ledger = snapshot.ledger
    statements = sorted_statements(ledger, ORDERS[order])
    out: dict[str, Any] = {
        "watched": "traffic",
        "time": round(now, 3),
        "at": float(seconds(snapshot.at)) if snapshot.at else None,
        "window_s": None if snapshot.covered is None else snapshot.covered / 1e9,
        "connections": snapshot.whole.connections,
        "requests": ledger.count,
        "requests_per_s": snapshot.rate(ledger.count),
        "rows": ledger.rows,
        "rows_per_s": snapshot.rate(ledger.rows),
        "latency_ms": latency_json(ledger.latency),
        "statements": [
            {**statement_json(one), "per_s": snapshot.rate(one.count)} for one in statements[:STATEMENTS]
        ],
        "statements_in_all": len(statements),
        "slowest": [
            {
                "latency_ms": one.latency / 1e6,
                "time": float(seconds(one.time)) if one.time else None,
                "connection": one.connection,
                "statement": one.key,
            }
            for one in sorted(ledger.slowest, reverse=True)
        ],
        "waiting": [
            {"age_ms": one.age / 1e6, "connection": one.connection, "statement": one.key}
            for one in snapshot.waiting
        ],
        "open": snapshot.open,
        "failures": [failure_json(failure) for failure in _failures(snapshot)],
        "totals": vars(snapshot.totals),
        "raft_messages": snapshot.whole.raft.messages.total(),
        **common_json(snapshot.whole, ledger, skipped, notes),
    }
    return json.dumps(out, ensure_ascii=False)
