"""Which items to show: by type and connection at once, by what became of a request when it is over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dqlitewire.traffic.items import Item

MAX_HELD = 256  # items of one exchange; of a longer one the middle is left out


@dataclass(frozen=True)
class Selection:
    """What is wanted; an empty one wants everything.

    Attributes:
        types: names of message types, either direction.
        connections: their numbers.
        sql: part of the statement's text, in any case of letters.
        pattern: found in the statement's text.
        min_latency: nanoseconds from the end of a request to the end of its answer.
        failures: only what failed, or was never answered.
    """

    types: frozenset[str] = frozenset()
    connections: frozenset[int] = frozenset()
    sql: str | None = None
    pattern: re.Pattern[str] | None = None
    min_latency: int | None = None
    failures: bool = False

    @property
    def by_exchange(self) -> bool:
        """Whether a request must be over before it is known to be wanted."""
        return self.min_latency is not None or self.failures

    def __call__(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items that are wanted; requests are held until it is known whether they are."""
        shown: Iterator[Item] = iter(items)
        if self.connections:
            shown = (item for item in shown if item.connection.number in self.connections)
        if self.sql is not None or self.pattern is not None:
            shown = (item for item in shown if self._has_sql(item))
        if self.by_exchange:
            shown = self._whole(shown)
        if self.types:
            shown = (item for item in shown if item.type in self.types)
        return shown

    def _has_sql(self, item: Item) -> bool:
        text = item.sql
        if text is None:
            return False
        if self.sql is not None and self.sql.casefold() not in text.casefold():
            return False
        return self.pattern is None or self.pattern.search(text) is not None

    def _whole(self, items: Iterable[Item]) -> Iterator[Item]:
        held: dict[tuple[int, int], list[Item]] = {}
        for item in items:
            if item.exchange is None:
                continue
            key = item.connection.number, item.exchange
            group = held.setdefault(key, [])
            group.append(item)
            if len(group) > MAX_HELD:
                del group[MAX_HELD // 2]
            if item.over:
                del held[key]
                if self._wanted(group):
                    yield from group

    def _wanted(self, group: list[Item]) -> bool:
        last = group[-1]
        if self.failures and last.type not in ("FAILURE", "UNANSWERED"):
            return False
        return self.min_latency is None or (last.latency is not None and last.latency >= self.min_latency)
