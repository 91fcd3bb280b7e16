"""What exchanges cost and how they failed, over a stretch of traffic, in bounded memory.

`Statistics` counts into a ledger. A ledger can be put aside and the next one begun (`next`), which still
knows what waits for a retry; ledgers of neighbouring stretches add up (`merge`) to that of the whole:

    ledger of 0..1 s  +  ledger of 1..2 s  =  ledger of 0..2 s

so a sliding window (`window`) is a row of ledgers, of which the oldest is dropped. Counts, rows, bytes,
failures and retries add up exactly, quantiles as exactly as `Durations` has them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappush, heapreplace
from typing import NamedTuple

from dqlitewire.conversation import Exchange
from dqlitewire.traffic.failures import OTHERS, Failures
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.quantiles import Durations

MAX_STATEMENTS = 5000
MAX_SLOWEST = 20


@dataclass
class Statement:
    """What one statement, or one type of request, cost."""

    key: str
    type: str
    latency: Durations = field(default_factory=Durations)
    count: int = 0
    rows: int = 0
    frames: int = 0
    request_bytes: int = 0
    answer_bytes: int = 0
    failures: int = 0

    def merge(self, other: Statement) -> None:
        """Add what the same statement cost in another stretch."""
        self.latency.merge(other.latency)
        self.count += other.count
        self.rows += other.rows
        self.frames += other.frames
        self.request_bytes += other.request_bytes
        self.answer_bytes += other.answer_bytes
        self.failures += other.failures


class Slow(NamedTuple):
    """One exchange that took long.

    Attributes:
        latency: how long, in nanoseconds.
        time: of the answer's last byte, in nanoseconds since 1970.
        connection: its number.
        key: the statement.
    """

    latency: int
    time: int
    connection: int
    key: str


@dataclass
class Ledger:
    """Exchanges that are over.

    Attributes:
        most: how many statements are told apart; the rest is one.
        count: how many exchanges there were.
        rows: of all of them.
        latency: of all requests that were answered.
        statements: by normalised text, or by type.
        unanswered: requests without an answer, by statement.
        failures: kinds of failures, and retries.
        slowest: those that took longest, in no order.
    """

    most: int = field(default_factory=lambda: MAX_STATEMENTS)
    count: int = 0
    rows: int = 0
    latency: Durations = field(default_factory=Durations)
    statements: dict[str, Statement] = field(default_factory=dict[str, Statement])
    unanswered: Counter[str] = field(default_factory=Counter[str])
    failures: Failures = field(default_factory=Failures)
    slowest: list[Slow] = field(default_factory=list[Slow])

    def next(self) -> Ledger:
        """Return the ledger of what comes next, for which failures before still wait for a retry."""
        return Ledger(self.most, failures=self.failures.next())

    def add(self, exchange: Exchange, item: Item, key: str, type: str) -> Statement:
        """Count an exchange that is over.

        Args:
            exchange: with its request.
            item: one of whose `over` it is.
            key: its statement.
            type: of its request.

        Returns:
            What it was counted as: its statement, or that of all that are not told apart.
        """
        statement = self._statement(key, type)
        key = statement.key
        rows, connection = exchange.row_count or 0, item.connection
        self.count += 1
        self.rows += rows
        statement.count += 1
        statement.request_bytes += exchange.request_bytes
        statement.answer_bytes += exchange.answer_bytes
        statement.frames += exchange.answer_count
        statement.rows += rows
        if connection.timed and (latency := exchange.latency) is not None:
            self._taken(statement, int(latency), item)
        self.failures.watch(connection, key, int(exchange.started or 0))
        failed, unanswered = exchange.failure is not None, exchange.ending == "unanswered"
        if not (failed or unanswered) or item.probe:  # failures are how most servers answer a probe
            return statement
        if unanswered:
            self.unanswered[key] += 1
        else:
            statement.failures += 1
            self.failures.add(exchange, item, key)
        return statement

    def _taken(self, statement: Statement, taken: int, item: Item) -> None:
        statement.latency.add(taken)
        self.latency.add(taken)
        slowest = self.slowest
        if len(slowest) < MAX_SLOWEST:
            heappush(slowest, Slow(taken, item.last, item.connection.number, statement.key))
        elif taken > slowest[0].latency:
            heapreplace(slowest, Slow(taken, item.last, item.connection.number, statement.key))

    def _statement(self, key: str, type: str) -> Statement:
        found = self.statements.get(key)
        if found is None:
            if len(self.statements) >= self.most:
                key = OTHERS
                if key in self.statements:
                    return self.statements[key]
            found = self.statements[key] = Statement(key, type)
        return found

    def merge(self, other: Ledger) -> None:
        """Add another stretch; statements of both are told apart, however many there are.

        Args:
            other: stays as it is.
        """
        self.count += other.count
        self.rows += other.rows
        self.latency.merge(other.latency)
        for key, statement in other.statements.items():
            self.statements.setdefault(key, Statement(key, statement.type)).merge(statement)
        self.unanswered.update(other.unanswered)
        self.failures.merge(other.failures)
        self.slowest = sorted([*self.slowest, *other.slowest])[-MAX_SLOWEST:]


SORTS: dict[str, Callable[[Statement], int]] = {
    "total": lambda s: s.latency.total,
    "count": lambda s: s.count,
    "p50": lambda s: s.latency.quantile(0.5),
    "p95": lambda s: s.latency.quantile(0.95),
    "p99": lambda s: s.latency.quantile(0.99),
    "rows": lambda s: s.rows,
    "bytes": lambda s: s.request_bytes + s.answer_bytes,
    "failures": lambda s: s.failures,
}


def sorted_statements(ledger: Ledger, by: str) -> list[Statement]:
    """Return statements, the most expensive first; those that are equal in that, by count.

    Args:
        ledger: which has them.
        by: one of SORTS.
    """
    value = SORTS[by]
    return sorted(ledger.statements.values(), key=lambda s: (-value(s), -s.count, s.key))
