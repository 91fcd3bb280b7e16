"""Failures counted by kind, and what was sent again after one.

A failure is of the same kind as another if code, message and meaning for what was asked are the same. A
failure that may pass (a busy database, a leader lost) is waited for: the same statement from the same host
within `RETRY_WITHIN` is a retry, on whichever connection it comes.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from dqlitewire import RequestType, primary_sqlite_code
from dqlitewire.constants import LEADER_ERROR_CODES, SQLITE_BUSY
from dqlitewire.conversation import Exchange, FailureInfo, Outcome, Retry, explain_failure
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.shorten import elide
from dqlitewire.traffic.sources.pieces import Connection

MAX_FAILURES = 1000
MAX_OF_FAILURE = 100  # statements that are counted for one kind of failure
MAX_FAILED = 10_000  # failures that wait for a retry
OTHERS = "(other statements)"
OTHER_FAILURES = "(other failures)"
KEY_LENGTH = 500
RETRY_WITHIN = 10_000_000_000  # nanoseconds


def explain_answer(exchange: Exchange | None, code: int, message: str) -> FailureInfo:
    """Return what a failure means for the request that it answers.

    Args:
        exchange: of that request; None if it is not known.
        code: of the failure.
        message: of the failure.
    """
    asked = None if exchange is None else exchange.request
    if exchange is None or asked is None:
        return explain_failure(code, message)
    request = asked.message or RequestType.__members__.get(asked.type_name)
    return explain_failure(code, message, request=request, sql=exchange.sql)


@dataclass
class Failure:
    """One kind of failure: the same code, message and meaning for what was asked."""

    code: int
    message: str
    info: FailureInfo
    count: int = 0
    statements: Counter[str] = field(default_factory=Counter[str])


@dataclass
class Failures:
    """All failures of some traffic.

    Attributes:
        kinds: by code, message and meaning; of more than `MAX_FAILURES`, the rest in one.
        retries: statements sent again after a failure, by "busy" or "not leader".
    """

    kinds: dict[tuple[int, str, str], Failure] = field(default_factory=dict[tuple[int, str, str], Failure])
    retries: Counter[str] = field(default_factory=Counter[str])
    _waiting: OrderedDict[tuple[str, str], tuple[str, int]] = field(
        default_factory=OrderedDict[tuple[str, str], tuple[str, int]]
    )

    @property
    def count(self) -> int:
        """How many failures there were."""
        return sum(failure.count for failure in self.kinds.values())

    def next(self) -> Failures:
        """Return what counts the failures that come next; those before still wait for a retry."""
        return Failures(_waiting=self._waiting)

    def merge(self, other: Failures) -> None:
        """Add the failures and retries of another stretch of traffic."""
        for key, failure in other.kinds.items():
            found = self.kinds.setdefault(key, Failure(failure.code, failure.message, failure.info))
            found.count += failure.count
            found.statements.update(failure.statements)
        self.retries.update(other.retries)

    def add(self, exchange: Exchange, item: Item, key: str) -> None:
        """Count the failure that ended an exchange of an item; `key` is the statement."""
        code = item.failure_code(exchange)
        found = self._kind(exchange, code, elide(item.failure_text(exchange), KEY_LENGTH))
        found.count += 1
        many = key not in found.statements and len(found.statements) >= MAX_OF_FAILURE
        found.statements[OTHERS if many else key] += 1
        passing = _passing(code)
        if passing is not None:
            self._waiting[_host(item.connection), key] = passing, int(exchange.last_byte or 0)
            if len(self._waiting) > MAX_FAILED:
                self._waiting.popitem(last=False)

    def _kind(self, exchange: Exchange, code: int, message: str) -> Failure:
        info = explain_answer(exchange, code, message)
        key = code, message, f"{info.meaning}; {info.retry.value}"
        found = self.kinds.get(key)
        if found is None and len(self.kinds) >= MAX_FAILURES:
            key, info = (0, OTHER_FAILURES, ""), _OTHER_INFO
            found = self.kinds.get(key)
        if found is None:
            found = self.kinds[key] = Failure(key[0], key[1], info)
        return found

    def watch(self, connection: Connection, key: str, started: int) -> None:
        """Count a request as a retry, if it is one."""
        if not self._waiting:
            return
        failed = self._waiting.pop((_host(connection), key), None)
        if failed is not None and started - failed[1] <= RETRY_WITHIN:
            self.retries[failed[0]] += 1


_OTHER_INFO = FailureInfo(
    0, "", OTHER_FAILURES, "of more kinds than are told apart", Retry.CHECK, Outcome.UNKNOWN
)


def _passing(code: int) -> str | None:
    """What a failure that may pass is called."""
    if code in LEADER_ERROR_CODES:
        return "not leader"
    return "busy" if primary_sqlite_code(code) == SQLITE_BUSY else None


def _host(connection: Connection) -> str:
    """The client's host: a retry may come on another connection."""
    return connection.client.rpartition(":")[0] or str(connection.number)
