"""Statistics of traffic, in one pass and bounded memory.

Whatever a peer can choose without end (statements, failures, who asks) is told apart up to a number; what
comes after that is counted in a row of its own, `OTHERS` or `OTHER_FAILURES`. Connections are remembered
while they are among the last `MAX_CONNECTIONS` that said something.

A statement is known by its normalised text (literals folded), a request without SQL by its type. Latency runs
from the last byte of the request to the last byte of the answer, as the capture saw them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dqlitewire import primary_sqlite_code
from dqlitewire.checks import checked_number, checked_option
from dqlitewire.constants import LEADER_ERROR_CODES, SQLITE_BUSY
from dqlitewire.conversation import Exchange, FailureInfo, Outcome, Retry
from dqlitewire.messages import LeaderResponse
from dqlitewire.sql.survey import normalise
from dqlitewire.traffic.items import Item
from dqlitewire.traffic.quantiles import Durations
from dqlitewire.traffic.sources.pieces import Connection
from dqlitewire.traffic.views.lookup import explain_answer
from dqlitewire.traffic.views.summary import elide

MAX_STATEMENTS = 5000
MAX_FAILURES = 1000
MAX_OF_FAILURE = 100  # statements that are counted for one kind of failure
MAX_FAILED = 10_000  # failures that wait for a retry
MAX_CONNECTIONS = 20_000
OTHERS = "(other statements)"
OTHER_FAILURES = "(other failures)"
EMPTY = "(empty statement)"
KEY_LENGTH = 500
MAX_SQL = 1 << 20  # characters of a statement that are looked at
SECOND = 1_000_000_000
RETRY_WITHIN = 10 * SECOND
RUN = 10  # equal queries in a row on one connection that look like a loop in the application
MAX_EXAMPLES = 20
SQL_TYPES = frozenset({"EXEC", "QUERY", "EXEC_SQL", "QUERY_SQL"})
_BETWEEN = frozenset({"PREPARE", "FINALIZE"})  # what drivers put between equal queries


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
class Failure:
    """One kind of failure: the same code, message and meaning for what was asked."""

    code: int
    message: str
    info: FailureInfo
    count: int = 0
    statements: Counter[str] = field(default_factory=Counter[str])


@dataclass
class Loop:
    """A statement that is asked again and again in a row: an N+1 pattern."""

    key: str
    after: str  # the statement before the first run
    runs: int = 0
    queries: int = 0
    longest: int = 0


@dataclass
class _Run:
    key: str = ""
    before: str = ""
    length: int = 0


@dataclass
class Statistics:
    """Counts of everything that `add` was given.

    Attributes:
        messages: by direction and type.
        retries: statements sent again after a failure, by "busy" or "not leader".
        leaders: (time, address) for each leader that was named and is not the one before.
        unanswered: requests without an answer, by statement.
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
    failures: dict[tuple[int, str, str], Failure] = field(default_factory=dict[tuple[int, str, str], Failure])
    retries: Counter[str] = field(default_factory=Counter[str])
    leaders: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    leader_changes: int = 0
    unanswered: Counter[str] = field(default_factory=Counter[str])
    loops: dict[str, Loop] = field(default_factory=dict[str, Loop])
    garbage_bytes: int = 0
    garbage_places: int = 0
    undecoded: int = 0
    lost_bytes: int = 0
    gaps: int = 0
    _connection: Connection | None = None
    _runs: OrderedDict[int, _Run] = field(default_factory=OrderedDict[int, _Run])
    _run: _Run = field(default_factory=lambda: _Run())
    _failed: OrderedDict[tuple[str, str], tuple[str, int]] = field(
        default_factory=OrderedDict[tuple[str, str], tuple[str, int]]
    )

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
        if item.is_request:
            self.request_bytes += len(item.data)
            way = "request"
        else:
            self.answer_bytes += len(item.data)
            way = "response"
        if item.code is not None:
            self.messages[way, item.type] += 1
            if item.message is None if item.type != "ROWS" else not item.rows and item.error is not None:
                self.undecoded += 1
        else:
            self._other(item)
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
        while self._runs:
            self._end_run(self._runs.popitem()[1])
        self._connection = None

    @property
    def damaged(self) -> bool:
        """Whether some bytes were no dqlite."""
        return bool(self.garbage_places or self.undecoded)

    def _turn_to(self, connection: Connection) -> None:
        self._connection = connection
        run = self._runs.get(connection.number)
        if run is None:
            self.connections += 1
            self.timed = self.timed or connection.timed
            run = self._runs[connection.number] = _Run()
            if len(self._runs) > MAX_CONNECTIONS:
                self._end_run(self._runs.popitem(last=False)[1])
        self._runs.move_to_end(connection.number)
        self._run = run

    def _other(self, item: Item) -> None:
        if item.type in ("GARBAGE", "INCOMPLETE"):
            self.garbage_bytes += item.size
            self.garbage_places += 1
        elif item.type == "GAP":
            self.lost_bytes += item.size
            self.gaps += 1

    def _exchange(self, exchange: Exchange, item: Item, connection: Connection) -> None:
        request = exchange.request
        if request is None:
            return
        statement = self._statement(exchange, item)
        statement.count += 1
        statement.request_bytes += exchange.request_bytes
        statement.answer_bytes += exchange.answer_bytes
        statement.frames += exchange.answer_count
        statement.rows += exchange.row_count or 0
        if connection.timed and exchange.last_byte is not None and exchange.sent is not None:
            taken = int(exchange.last_byte) - int(exchange.sent)
            statement.latency.add(taken)
            self.latency.add(taken)
        self._watch_retries(statement, connection, int(exchange.started or 0))
        self._watch_runs(statement)
        if exchange.ending == "unanswered":
            self.unanswered[statement.key] += 1
        elif exchange.failure is not None:
            self._failure(exchange, statement, item)
        elif request.type_name == "LEADER":
            self._leader(exchange)

    def _statement(self, exchange: Exchange, item: Item) -> Statement:
        request = exchange.request
        assert request is not None
        type = request.type_name
        sql = item.sql_of(exchange)
        key = normalise(sql[:MAX_SQL], KEY_LENGTH) or EMPTY if sql is not None and type in SQL_TYPES else type
        found = self.statements.get(key)
        if found is None:
            if len(self.statements) >= MAX_STATEMENTS:
                key = OTHERS
                if key in self.statements:
                    return self.statements[key]
            found = self.statements[key] = Statement(key, type)
        return found

    def _failure(self, exchange: Exchange, statement: Statement, item: Item) -> None:
        statement.failures += 1
        code = item.failure_code(exchange)
        message = elide(item.failure_text(exchange), KEY_LENGTH)
        info = explain_answer(exchange, code, message)
        key = code, message, f"{info.meaning}; {info.retry.value}"
        found = self.failures.get(key)
        if found is None and len(self.failures) >= MAX_FAILURES:
            key, info = (0, OTHER_FAILURES, ""), _OTHER_INFO
            found = self.failures.get(key)
        if found is None:
            found = self.failures[key] = Failure(key[0], key[1], info)
        found.count += 1
        many = statement.key not in found.statements and len(found.statements) >= MAX_OF_FAILURE
        found.statements[OTHERS if many else statement.key] += 1
        kind = _retryable(code)
        if kind is not None:
            self._failed[_who(item.connection), statement.key] = kind, int(exchange.last_byte or 0)
            if len(self._failed) > MAX_FAILED:
                self._failed.popitem(last=False)

    def _watch_retries(self, statement: Statement, connection: Connection, started: int) -> None:
        if not self._failed:
            return
        failed = self._failed.pop((_who(connection), statement.key), None)
        if failed is not None and started - failed[1] <= RETRY_WITHIN:
            self.retries[failed[0]] += 1

    def _watch_runs(self, statement: Statement) -> None:
        if statement.type in _BETWEEN:
            return
        run = self._run
        if run.key == statement.key:
            run.length += 1
            return
        self._end_run(run)
        run.before, run.key, run.length = run.key, statement.key, 1

    def _end_run(self, run: _Run) -> None:
        if run.length < RUN or not self.statements[run.key].type.startswith("QUERY"):
            return
        loop = self.loops.setdefault(run.key, Loop(run.key, run.before))
        loop.runs += 1
        loop.queries += run.length
        loop.longest = max(loop.longest, run.length)

    def _leader(self, exchange: Exchange) -> None:
        message = exchange.answers[-1].message if exchange.answers else None
        if not isinstance(message, LeaderResponse) or not message.address:
            return
        address = elide(message.address, KEY_LENGTH)
        if not self.leaders or self.leaders[-1][1] != address:
            self.leader_changes += bool(self.leaders)
            if len(self.leaders) >= MAX_EXAMPLES:
                self.leaders.pop()
            self.leaders.append((int(exchange.last_byte or 0), address))


_OTHER_INFO = FailureInfo(
    0, "", OTHER_FAILURES, "of more kinds than are told apart", Retry.CHECK, Outcome.UNKNOWN
)


def _retryable(code: int) -> str | None:
    if code in LEADER_ERROR_CODES:
        return "not leader"
    return "busy" if primary_sqlite_code(code) == SQLITE_BUSY else None


def _who(connection: Connection) -> str:
    """The client host: a retry may come on another connection."""
    return connection.client.rpartition(":")[0] or str(connection.number)


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
