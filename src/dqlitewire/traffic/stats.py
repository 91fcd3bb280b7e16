"""Statistics of traffic, in one pass and bounded memory.

What a peer can choose without end (statements, failures, clients) is distinguished up to a number; what comes
after that is counted in a row of its own, `OTHERS` or `OTHER_FAILURES`. Connections are remembered
while they are among the last `repeats.MAX_CONNECTIONS` that said something.

A statement is known by its normalised text (literals folded), a request without SQL by its type, a probe as
one (`Item.probe`: what the server answers to it is neither failure nor damage). Of a text longer than
`failures.KEY_LENGTH` the middle is left out, and a checksum of all of it tells it from others. Latency runs
from the last byte of the request to the last byte of the answer, as the capture saw them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from zlib import crc32

from dqlitewire import RequestType, ResponseType
from dqlitewire.checks import checked_number, checked_option
from dqlitewire.conversation import Exchange
from dqlitewire.header import type_name
from dqlitewire.messages import REGISTRY, LeaderResponse
from dqlitewire.sql.survey import normalise
from dqlitewire.traffic.failures import KEY_LENGTH, Failure
from dqlitewire.traffic.item import NO_FRAMES, Item
from dqlitewire.traffic.ledger import SORTS, Ledger, Statement, sorted_statements
from dqlitewire.traffic.quantiles import Durations
from dqlitewire.traffic.raft_stats import RaftStatistics
from dqlitewire.traffic.repeats import Loop, Repeats, Run
from dqlitewire.traffic.shorten import elide, middle
from dqlitewire.traffic.sources.pieces import Connection

EMPTY = "(empty statement)"
PROBE = "(probe of the generation)"
MAX_SQL = 1 << 20  # characters of a statement that are looked at
MAX_LEADERS = 20  # changes of the leader that are kept


def _answered_by(*answers: ResponseType) -> frozenset[str]:
    """The names of the requests that are answered by one of these."""
    return frozenset(
        type_name(code, is_request)
        for (is_request, code), message in REGISTRY.items()
        if is_request and not set(answers).isdisjoint(message.ANSWERS)
    )


_QUERIES = _answered_by(ResponseType.ROWS)
_STATEMENTS = _answered_by(ResponseType.ROWS, ResponseType.RESULT)  # known by their SQL
_AROUND_QUERIES = frozenset({RequestType.PREPARE.name, RequestType.FINALIZE.name})
_LEADER, _ROWS = RequestType.LEADER.name, ResponseType.ROWS.name


@dataclass
class Statistics:
    """Counts of everything that `add` was given.

    Attributes:
        first: when the first byte came, in nanoseconds since 1970; 0 if unknown.
        last: when the last byte came.
        timed: whether some of the traffic carries times.
        connections: how many there were.
        request_bytes: of all requests, preambles and garbage included.
        answer_bytes: of all answers.
        messages: how many, by direction ("request", "response") and type.
        ledger: what exchanges cost, and how they failed.
        leaders: (time, address) for each leader that was named and is not the one before.
        leader_changes: how often one was named after another.
        garbage_bytes: bytes that are no frame.
        garbage_places: stretches of them.
        undecoded: frames that do not decode.
        lost_bytes: bytes that were not captured, as far as their number is known.
        gaps: places where bytes were not captured.
        raft: what nodes said to each other, which is in no other count but those of connections and damage.
    """

    first: int = 0
    last: int = 0
    timed: bool = False
    connections: int = 0
    request_bytes: int = 0
    answer_bytes: int = 0
    messages: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    ledger: Ledger = field(default_factory=Ledger)
    leaders: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    leader_changes: int = 0
    garbage_bytes: int = 0
    garbage_places: int = 0
    undecoded: int = 0
    lost_bytes: int = 0
    gaps: int = 0
    raft: RaftStatistics = field(default_factory=RaftStatistics)
    _repeats: Repeats = field(default_factory=Repeats)
    _connection: Connection | None = None
    _run: Run = field(default_factory=Run)

    @property
    def latency(self) -> Durations:
        """Of all requests that were answered."""
        return self.ledger.latency

    @property
    def statements(self) -> dict[str, Statement]:
        """What each cost, by normalised text, or by type."""
        return self.ledger.statements

    @property
    def unanswered(self) -> Counter[str]:
        """Requests without an answer, by statement."""
        return self.ledger.unanswered

    @property
    def failures(self) -> dict[tuple[int, str, str], Failure]:
        """Kinds of failures, by code, message and meaning."""
        return self.ledger.failures.kinds

    @property
    def retries(self) -> Counter[str]:
        """Statements sent again after a failure, by "busy" or "not leader"."""
        return self.ledger.failures.retries

    @property
    def loops(self) -> dict[str, Loop]:
        """Statements that were repeated in a row."""
        return self._repeats.loops

    @property
    def damaged(self) -> bool:
        """Whether some bytes were no dqlite."""
        return bool(self.garbage_places or self.undecoded)

    def add(self, item: Item) -> None:
        """Count one item."""
        connection = item.connection
        if connection is not self._connection:
            self._turn_to(connection)
        if item.time:
            if item.time < self.first or not self.first:
                self.first = item.time
            if item.last > self.last:
                self.last = item.last
        if item.raft is not None:
            self.raft.add(item)
            self.undecoded += item.strange
            return
        if item.is_request:
            self.request_bytes += len(item.data) if item.code is None else item.size
            way = "request"
        else:
            self.answer_bytes += len(item.data) if item.code is None else item.size
            way = "response"
        if item.code is not None:
            self.messages[way, item.type] += 1
            # rows were counted already, which decodes them; anything else is decoded here
            if not (item.type == _ROWS and item.rows) and item.error is not None:
                self.undecoded += item.strange
        elif item.type in NO_FRAMES:
            self.garbage_bytes += item.size
            self.garbage_places += 1
        elif item.type == "GAP":
            self.lost_bytes += item.size
            self.gaps += 1
        number, size = item.left_out
        if number:  # only of rows are there so many
            self.messages["response", _ROWS] += number
            self.answer_bytes += size
        for exchange in item.over:
            self._exchange(exchange, item)

    def add_all(self, items: Iterable[Item]) -> Statistics:
        """Count all items and what was open at the end."""
        for item in items:
            self.add(item)
        self.next_source()
        return self

    def next_source(self) -> None:
        """Close what is open at the end of a source; the next one numbers its connections anew."""
        self._repeats.end_all()
        self._connection = None

    def _turn_to(self, connection: Connection) -> None:
        self._connection = connection
        self._run, is_new = self._repeats.turn_to(connection.number)
        if is_new:
            self.connections += 1
            self.timed = self.timed or connection.timed

    def _exchange(self, exchange: Exchange, item: Item) -> None:
        request = exchange.request
        if request is None:
            return
        type = request.type_name
        statement = self.ledger.add(exchange, item, statement_of(exchange, item), type)
        if type not in _AROUND_QUERIES:
            self._repeats.add(self._run, statement.key, type in _QUERIES)
        if type == _LEADER and exchange.ending != "unanswered" and exchange.failure is None:
            self._leader(exchange)

    def _leader(self, exchange: Exchange) -> None:
        message = exchange.answers[-1].message if exchange.answers else None
        if not isinstance(message, LeaderResponse) or not message.address:
            return
        address = elide(message.address, KEY_LENGTH)
        if not self.leaders or self.leaders[-1][1] != address:
            self.leader_changes += bool(self.leaders)
            if len(self.leaders) >= MAX_LEADERS:
                self.leaders.pop()
            self.leaders.append((int(exchange.last_byte or 0), address))


def statement_of(exchange: Exchange, item: Item) -> str:
    """Return what statistics call the statement of an exchange: its normalised text, or the request's type.

    Args:
        exchange: with its request.
        item: which tells what of it is hidden, and whether it is a probe.
    """
    if item.probe:
        return PROBE
    type = exchange.label
    sql = item.sql_of(exchange) if type in _STATEMENTS else None
    return type if sql is None else _key(sql)


_LITERAL = re.compile(r"(\w'[^']*')|'[^']*'|(?<![\w.$@:#?'])[0-9]+(?![\w.'])")
_QUOTING = ('"', "`", "[", "--", "/*", "\0")  # what may make a quote or a digit something else


def without_literals(sql: str) -> str:
    """Return SQL text with the same normal form, in which plain numbers and strings are all the same.

    Statements that differ in those only become one text, whose normal form is known already: to find it takes
    ten times as long as this does. Text in which a quote may not be one comes back as it is.

    Args:
        sql: any text.
    """
    if not sql.isascii() or sql.count("'") % 2 or any(mark in sql for mark in _QUOTING):
        return sql
    return _LITERAL.sub(_replaced, sql)


def _replaced(found: re.Match[str]) -> str:
    return found[1] or ("''" if found[0][0] == "'" else "0")


def _key(sql: str) -> str:
    """The name of a statement. Of a long one the middle is left out, and a number tells it from others."""
    text = normalise(without_literals(sql[:MAX_SQL]))
    if len(text) > KEY_LENGTH:
        mark = f" #{crc32(text.encode('utf-8', 'surrogatepass')):08x}"
        return middle(text, KEY_LENGTH - len(mark)) + mark
    return text or EMPTY


def ranked(statistics: Statistics, by: str = "total", top: int | None = None) -> list[Statement]:
    """Statements, the most expensive first; without times, by count.

    Args:
        statistics: of the traffic.
        by: one of SORTS.
        top: how many; None for all.

    Raises:
        ValueError: `by` is not one of SORTS, or `top` is below 0.
        TypeError: `top` is neither an integer nor None.
    """
    checked_option("by", by, tuple(SORTS))
    if top is not None:
        checked_number("top", top, 0, kind="an integer or None")
    if not statistics.timed and by in ("total", "p50", "p95", "p99"):
        by = "count"
    return sorted_statements(statistics.ledger, by)[:top]
