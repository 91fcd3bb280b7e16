"""Quantiles and histograms of durations in bounded memory.

The first `EXACT` values are kept as they are; after that, values are counted in buckets that are 2.2 % wide,
so that a quantile is off by at most 1.1 %. Durations are below 2**63 ns.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator

EXACT = 128
STEPS = 32  # buckets for each power of two
MOST = (1 << 63) - 1
BUCKETS = 63 * STEPS + 2  # the first is for 0


class Durations:
    """Durations in nanoseconds."""

    __slots__ = ("_buckets", "_values", "count", "highest", "lowest", "total")

    def __init__(self) -> None:
        self._values: list[int] | None = []
        self._buckets: array[int] = array("Q")
        self.count: int = 0
        self.total: int = 0
        self.highest: int = 0
        self.lowest: int = 0

    def add(self, value: int) -> None:
        """Take one more; a negative one (clocks that ran back) counts as 0."""
        value = min(max(0, value), MOST)
        if not self.count or value < self.lowest:
            self.lowest = value
        self.highest = max(self.highest, value)
        self.count += 1
        self.total += value
        if self._values is None:
            self._buckets[_bucket(value)] += 1
            return
        self._values.append(value)
        if len(self._values) > EXACT:
            self._count_in_buckets(self._values)

    def _count_in_buckets(self, values: list[int]) -> None:
        self._buckets = array("Q", bytes(8 * BUCKETS))
        for value in values:
            self._buckets[_bucket(value)] += 1
        self._values = None

    def merge(self, other: Durations) -> None:
        """Take all that another has; quantiles are as exact as if each had been added here."""
        if other._values is not None:
            for value in other._values:
                self.add(value)
            return
        if self._values is not None:
            self._count_in_buckets(self._values)
        self._buckets = array("Q", map(int.__add__, self._buckets, other._buckets))
        self.lowest = min(self.lowest, other.lowest) if self.count else other.lowest
        self.highest = max(self.highest, other.highest)
        self.count += other.count
        self.total += other.total

    def quantile(self, share: float) -> int:
        """The value that this share (from 0 to 1) of all values does not exceed; 0 without values."""
        rank = max(1, math.ceil(share * self.count))
        if self._values is not None:
            return sorted(self._values)[rank - 1] if self._values else 0
        for bucket, count in enumerate(self._buckets):
            rank -= count
            if rank <= 0:
                return min(max(_middle(bucket), self.lowest), self.highest)
        return self.highest

    def by_octave(self) -> Iterator[tuple[int, int]]:
        """Yield (lower bound, count) for each power of two from the lowest to the highest, empty ones too."""
        counts: Counter[int] = Counter()
        if self._values is not None:
            counts.update(max(0, value.bit_length() - 1) for value in self._values)
        else:
            for bucket, count in enumerate(self._buckets):
                if count:
                    counts[max(0, (bucket - 1) // STEPS)] += count
        for octave in range(min(counts), max(counts) + 1) if counts else ():
            yield 1 << octave, counts[octave]


def _bucket(value: int) -> int:
    return int(math.log2(value) * STEPS) + 1 if value > 0 else 0


def _middle(bucket: int) -> int:
    return round(2 ** ((bucket - 0.5) / STEPS)) if bucket else 0
