"""Statistics of the last seconds of traffic: a window that slides with the traffic's own time.

There is no clock here. The end of the window is where the traffic is, by the times of its packets, so that a
capture from last week is counted as one that is being made, whatever the speed it is read at:

    ledgers      | 1 s | 1 s | 1 s | 1 s | .. |       a row of ledgers, the last one is being filled
    window               |<----- length ----->|
                                              ^ `Timeline.now`, the newest time so far

While nothing comes, the traffic tells no time. Whoever watches something live says how long nothing has come
(`idle`), and the end of the window stands so much later: rates fall, and come to 0.

Clocks jump, and captures have packets with impossible times. `Timeline` counts steps, not times, and goes
forward only: a large step empties the window, as a pause does. A step back of up to the window's length is an
item that came out of order; of more than that, a clock that was set: the window begins anew.

Memory: `SLOTS` ledgers of at most `MAX_STATEMENTS` statements, one more counts all others, and `MAX_OPEN`
requests without an answer yet.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from dqlitewire.conversation import Exchange
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.ledger import MAX_SLOWEST, Ledger
from dqlitewire.traffic.stats import Statistics, statement_of

SLOTS = 10
MAX_STATEMENTS = 1000  # told apart in each slot
MAX_OPEN = 10_000
_JUMP = 60_000_000_000  # nanoseconds, for a window without an end
SHORTEST = 1_000_000_000  # nanoseconds: what was counted in less is divided by this


class Timeline:
    """Time as the steps between the times of items that follow each other.

    Args:
        jump: nanoseconds; a step back by more is a clock that was set.

    Attributes:
        now: nanoseconds since the first item; never less than before.
        began: when the clock was set for the last time, as `now` was then.
        last: the newest time, in nanoseconds since 1970; 0 if none is known.
    """

    def __init__(self, jump: int) -> None:
        self._jump = jump
        self.now: int = 0
        self.began: int = 0
        self.last: int = 0

    def to(self, time: int) -> int:
        """Go on to the time of the next item; return `now`."""
        step = time - self.last if self.last else 0
        if step >= 0:
            self.now += step
        elif -step <= self._jump:
            return self.now
        else:
            self.now = self.began = self.now + self._jump
        self.last = time
        return self.now


@dataclass
class Totals:
    """What was counted since the beginning."""

    requests: int = 0
    rows: int = 0
    failures: int = 0
    unanswered: int = 0
    retries: int = 0

    def add(self, ledger: Ledger) -> None:
        """Add a ledger that is put aside."""
        self.requests += ledger.count
        self.rows += ledger.rows
        self.failures += ledger.failures.count
        self.unanswered += ledger.unanswered.total()
        self.retries += ledger.failures.retries.total()


class Waiting(NamedTuple):
    """A request that has no whole answer yet.

    Attributes:
        age: since its last byte, in nanoseconds.
        connection: its number.
        key: the statement.
    """

    age: int
    connection: int
    key: str


@dataclass(frozen=True)
class Snapshot:
    """What a window shows at some time.

    Attributes:
        at: the time of its end, in nanoseconds since 1970; 0 if nobody knows.
        covered: nanoseconds that it covers, at least `SHORTEST`; None where times are not known.
        ledger: the exchanges that ended in it.
        totals: since the beginning.
        whole: counts since the beginning of what is no exchange; its ledger is that of the newest slot.
        open: how many requests have no whole answer yet.
        waiting: those of them that are oldest, the oldest first.
    """

    at: int
    covered: int | None
    ledger: Ledger
    totals: Totals
    whole: Statistics
    open: int = 0
    waiting: list[Waiting] = field(default_factory=list[Waiting])

    def rate(self, count: int) -> float | None:
        """How often a second something was, of which there were `count`; None where times are not known."""
        return None if self.covered is None else count * 1e9 / self.covered


class Window:
    """Counts traffic, and tells of the last seconds of it.

    Args:
        length: nanoseconds; None for all that comes.

    Attributes:
        statistics: counts of everything; its ledger is that of the newest slot.
        timeline: where the traffic is.
    """

    def __init__(self, length: int | None = None) -> None:
        self._slot = None if length is None else max(1, length // SLOTS)
        self.timeline: Timeline = Timeline(length or _JUMP)
        self.statistics: Statistics = Statistics(ledger=Ledger(MAX_STATEMENTS))
        self._slots: deque[tuple[int, Ledger]] = deque()  # those before, with their numbers
        self._number = 0  # of the newest
        self._past = Totals()  # of those that were dropped
        self._open: dict[int, tuple[Exchange, Item, int]] = {}  # by id(); the oldest first
        self._pairs = True
        self._timed = False

    def next_source(self, one_sided: bool = False) -> None:
        """Forget what is open: what follows is another source.

        Args:
            one_sided: it has one direction only, so that no request is answered.
        """
        self._pairs = not one_sided
        self._open.clear()
        self.statistics.next_source()

    def add(self, item: Item, arrived: int = 0) -> None:
        """Count one item.

        Args:
            item: the item.
            arrived: when it came, in nanoseconds since 1970, for traffic without times; 0 if unknown.
        """
        time = item.last if item.connection.timed else arrived
        if time:
            self._timed = True
            self._turn_to(self.timeline.to(time))
        self.statistics.add(item)
        for exchange in item.over:
            self._open.pop(id(exchange), None)
        asked = item.frame.exchange if item.frame is not None and item.is_request else None
        pairs = self._pairs and not item.connection.alone
        if asked is not None and asked.ending == "open" and pairs and len(self._open) < MAX_OPEN:
            self._open[id(asked)] = asked, item, self.timeline.now

    def _turn_to(self, now: int) -> None:
        number = 0 if self._slot is None else now // self._slot
        if number == self._number:
            return
        ledger = self.statistics.ledger
        self._slots.append((self._number, ledger))
        self.statistics.ledger, self._number = ledger.next(), number
        while self._slots and self._slots[0][0] <= number - SLOTS:
            self._past.add(self._slots.popleft()[1])

    def snapshot(self, idle: int = 0, waiting: int = MAX_SLOWEST) -> Snapshot:
        """Return what the window shows.

        Args:
            idle: nanoseconds since the newest item came.
            waiting: of how many requests without an answer to tell.
        """
        now = self.timeline.now + idle
        first = 0 if self._slot is None else now // self._slot - SLOTS + 1
        ledger, totals = Ledger(), Totals()
        totals.__dict__.update(self._past.__dict__)
        for number, part in (*self._slots, (self._number, self.statistics.ledger)):
            totals.add(part)
            if number >= first:
                ledger.merge(part)
        begin = 0 if self._slot is None else max(self.timeline.began, first * self._slot)
        last = self.timeline.last
        oldest = [
            Waiting(now - since, item.connection.number, statement_of(exchange, item))
            for exchange, item, since in list(self._open.values())[:waiting]
        ]
        return Snapshot(
            last + idle if last else 0,
            max(SHORTEST, now - begin) if self._timed else None,
            ledger,
            totals,
            self.statistics,
            len(self._open),
            oldest,
        )
