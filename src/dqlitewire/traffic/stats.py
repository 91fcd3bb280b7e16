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

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from zlib import crc32

from dqlitewire import RequestType, ResponseType
from dqlitewire.checks import checked_number, checked_option
from dqlitewire.conversation import Exchange
from dqlitewire.header import type_name
from dqlitewire.messages import REGISTRY, LeaderResponse
from dqlitewire.sql.survey import normalise
from dqlitewire.traffic.failures import KEY_LENGTH, OTHERS, Failure, Failures
from dqlitewire.traffic.item import NO_FRAMES, Item
from dqlitewire.traffic.quantiles import Durations
from dqlitewire.traffic.raft_stats import RaftStatistics
from dqlitewire.traffic.repeats import Loop, Repeats, Run
from dqlitewire.traffic.shorten import elide, middle
from dqlitewire.traffic.sources.pieces import Connection

MAX_STATEMENTS = 5000
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
        latency: of all requests that were answered.
        statements: by normalised text, or by type.
        leaders: (time, address) for each leader that was named and is not the one before.
        leader_changes: how often one was named after another.
        unanswered: requests without an answer, by statement.
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
    latency: Durations = field(default_factory=Durations)
    statements: dict[str, Statement] = field(default_factory=dict[str, Statement])
    leaders: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    leader_changes: int = 0
    unanswered: Counter[str] = field(default_factory=Counter[str])
    garbage_bytes: int = 0
    garbage_places: int = 0
    undecoded: int = 0
    lost_bytes: int = 0
    gaps: int = 0
    raft: RaftStatistics = field(default_factory=RaftStatistics)
    _failures: Failures = field(default_factory=Failures)
    _repeats: Repeats = field(default_factory=Repeats)
    _connection: Connection | None = None
    _run: Run = field(default_factory=Run)

    @property
    def failures(self) -> dict[tuple[int, str, str], Failure]:
        """Kinds of failures, by code, message and meaning."""
        return self._failures.kinds

    @property
    def retries(self) -> Counter[str]:
        """Statements sent again after a failure, by "busy" or "not leader"."""
        return self._failures.retries

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
            self._exchange(exchange, item, connection)

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

    def _exchange(self, exchange: Exchange, item: Item, connection: Connection) -> None:
        request = exchange.request
        if request is None:
            return
        statement = self._statement(exchange, item, request.type_name)
        statement.count += 1
        statement.request_bytes += exchange.request_bytes
        statement.answer_bytes += exchange.answer_bytes
        statement.frames += exchange.answer_count
        statement.rows += exchange.row_count or 0
        if connection.timed and (latency := exchange.latency) is not None:
            taken = int(latency)
            statement.latency.add(taken)
            self.latency.add(taken)
        self._failures.watch(connection, statement.key, int(exchange.started or 0))
        if statement.type not in _AROUND_QUERIES:
            self._repeats.add(self._run, statement.key, statement.type in _QUERIES)
        if item.probe and (exchange.failure is not None or exchange.ending == "unanswered"):
            return  # which is how most servers tell their generation
        if exchange.ending == "unanswered":
            self.unanswered[statement.key] += 1
        elif exchange.failure is not None:
            statement.failures += 1
            self._failures.add(exchange, item, statement.key)
        elif request.type_name == _LEADER:
            self._leader(exchange)

    def _statement(self, exchange: Exchange, item: Item, type: str) -> Statement:
        sql = item.sql_of(exchange) if type in _STATEMENTS else None
        if item.probe:
            key = PROBE
        else:
            key = type if sql is None else _key(sql)
        found = self.statements.get(key)
        if found is None:
            if len(self.statements) >= MAX_STATEMENTS:
                key = OTHERS
                if key in self.statements:
                    return self.statements[key]
            found = self.statements[key] = Statement(key, type)
        return found

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


def _key(sql: str) -> str:
    """The name of a statement. Of a long one the middle is left out, and a number tells it from others."""
    text = normalise(sql[:MAX_SQL])
    if len(text) > KEY_LENGTH:
        mark = f" #{crc32(text.encode('utf-8', 'surrogatepass')):08x}"
        return middle(text, KEY_LENGTH - len(mark)) + mark
    return text or EMPTY


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
    found = sorted(statistics.statements.values(), key=lambda s: (-SORTS[by](s), -s.count, s.key))
    return found[:top]
