"""What all threads of a process share: bounded caches, and the credit that bounds how much code is generated.

Any number of threads use these without a lock, on free-threaded builds too, because each method does one step
of a dict or list that the interpreter does whole (`get`, setting an item, `pop`, `clear`, `append`), and
nothing is iterated. What a race can cost is work done twice, or an entry forgotten and made again; it never
costs a result.

The bounds are exact but for the threads that add at the same time, which may add one entry each.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generic, TypeVar

    K = TypeVar("K")
    V = TypeVar("V")
else:  # `typing` would double the import

    class Generic:
        def __class_getitem__(cls, _: Any) -> Any:
            return cls

    K = V = None

__all__ = ["Cache", "Credit"]


class Cache(Generic[K, V]):
    """At most `entries` values of at most `size` bytes each; a full cache forgets everything.

    Args:
        entries: values at the most.
        size: bytes of one value and its key at the most, as the caller reckons; a larger one is not kept.
    """

    def __init__(self, entries: int, size: int) -> None:
        self._kept: dict[K, V] = {}
        self.get = self._kept.get
        self.entries = entries
        self.size = size

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, key: K, value: V, size: int = 0) -> V:
        """Keep a value, and return it."""
        if size <= self.size:
            if len(self._kept) >= self.entries:
                self._kept.clear()
            self._kept[key] = value
        return value

    def forget(self, key: K) -> None:
        self._kept.pop(key, None)


class Credit:
    """How many functions may still be generated; earned by work that is done without generated code.

    A peer that sends ever new shapes would otherwise have a function generated for each, which costs as much
    as handling hundreds of rows. A credit that one thread takes no other can take; of work that two threads
    report at once, one report may be lost or counted twice.

    Args:
        most: credits at the beginning, and the most that is saved.
        price: the work, in rows or values, that earns one credit.
    """

    def __init__(self, most: int, price: int) -> None:
        self.most = most
        self.price = price
        self._credits: list[None] = [None] * most  # a list, since `pop` is one step and `-= 1` is not
        self._work = 0

    def __len__(self) -> int:
        return len(self._credits)

    def spend(self) -> bool:
        """Take one credit; False if there is none."""
        try:
            self._credits.pop()
        except IndexError:
            return False
        return True

    def earn(self, work: int) -> None:
        """Count work that was done, up to the most that may be saved."""
        work += self._work
        if work >= self.price:
            earned, work = divmod(work, self.price)
            self._credits += [None] * min(earned, self.most - len(self._credits))
        self._work = work
