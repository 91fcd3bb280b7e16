"""Which items to show: by type and connection at once, by what became of a request when it is over.

Until then its items are held: `MAX_HELD` of one request, `MAX_OPEN` requests and `MAX_BYTES` at most; above
that the request that is open for longest is not shown.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from dqlitewire import ResponseType
from dqlitewire.checks import checked_number
from dqlitewire.traffic.item import Item

MAX_HELD = 256  # items of one exchange; of a longer one the middle is left out
MAX_OPEN = 1 << 14
MAX_BYTES = 64 << 20
ITEM = 1024  # what an item takes beside its bytes
_FAILED = (ResponseType.FAILURE.name, "UNANSWERED")


@dataclass(frozen=True)
class Selection:
    """What is wanted; an empty one wants everything.

    Attributes:
        types: names of message types, either direction.
        connections: their numbers.
        sql: part of the statement's text; as in SQL, the case of letters makes no difference.
        pattern: found in the statement's text; its own flags say what case means.
        min_latency: nanoseconds from the end of a request to the end of its answer.
        failures: only what failed, or was never answered; a probe does neither.
        whole: `types` select requests with all their answers, by the type of any of them.

    Raises:
        ValueError: `min_latency` is below 0.
    """

    types: frozenset[str] = frozenset()
    connections: frozenset[int] = frozenset()
    sql: str | None = None
    pattern: re.Pattern[str] | None = None
    min_latency: int | None = None
    failures: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if self.min_latency is not None:
            checked_number("min_latency", self.min_latency, 0)

    @property
    def is_empty(self) -> bool:
        """Whether everything is wanted."""
        return self == Selection(whole=self.whole)

    @property
    def by_connection(self) -> bool:
        """Whether of a connection everything is wanted, or nothing."""
        return replace(self, connections=frozenset()).is_empty

    @property
    def by_exchange(self) -> bool:
        """Whether a request must be over before it is known to be wanted."""
        return self.min_latency is not None or self.failures or (self.whole and bool(self.types))

    def __call__(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items that are wanted; requests are held until it is known whether they are."""
        shown: Iterator[Item] = iter(items)
        if self.connections:
            shown = (item for item in shown if item.connection.number in self.connections)
        if self.sql is not None or self.pattern is not None:
            shown = (item for item in shown if self._has_sql(item))
        if self.by_exchange:
            shown = self._whole(shown)
        if self.types and not self.whole:
            shown = (item for item in shown if item.type in self.types)
        return shown

    def _has_sql(self, item: Item) -> bool:
        text = item.sql
        if text is None:
            return False
        if self.sql is not None and re.search(re.escape(self.sql), text, re.IGNORECASE) is None:
            return False
        return self.pattern is None or self.pattern.search(text) is not None

    def _whole(self, items: Iterable[Item]) -> Iterator[Item]:
        groups: OrderedDict[tuple[int, int], list[Item]] = OrderedDict()
        cut: dict[tuple[int, int], tuple[int, int]] = {}
        held = 0
        for item in items:
            if item.exchange is None:
                if item.type in self.types and not (self.failures or self.min_latency is not None):
                    yield item
                continue
            key = item.connection.number, item.exchange
            group = groups.setdefault(key, [])
            group.append(item)
            held += len(item.data) + ITEM
            if len(group) > MAX_HELD:
                size = len(group.pop(MAX_HELD // 2).data)
                held -= size + ITEM
                number, before = cut.get(key, (0, 0))
                cut[key] = number + 1, before + size
            if item.over:
                held -= _size(groups.pop(key))
                item.left_out = cut.pop(key, (0, 0))
                if self._wanted(group):
                    yield from group
            while groups and (len(groups) > MAX_OPEN or held > MAX_BYTES):
                key, group = groups.popitem(last=False)
                held -= _size(group)
                cut.pop(key, None)

    def _wanted(self, group: list[Item]) -> bool:
        last = group[-1]
        if self.whole and self.types and self.types.isdisjoint(item.type for item in group):
            return False
        if self.failures and (last.probe or last.type not in _FAILED):
            return False
        return self.min_latency is None or (last.latency is not None and last.latency >= self.min_latency)


def _size(group: list[Item]) -> int:
    return sum(len(item.data) + ITEM for item in group)
