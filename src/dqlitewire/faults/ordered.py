"""The list of the faults that are ordered: filled by one thread, asked by the one that serves."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Iterable
from operator import itemgetter

from dqlitewire.faults.checks import shown
from dqlitewire.faults.fault import RESPONSE, Direction, Fault
from dqlitewire.faults.strike import RequestRecord

__all__ = ["FaultList", "UnusedFaultError"]

_KEPT = 1024  # faults that are over and still listed
_MOST_UNUSED = 1 << 16  # faults that have not hit, of which `check_used` would tell


class UnusedFaultError(AssertionError):
    """Faults were ordered and never hit: the test did not try what it was written for."""


class FaultList:
    """The faults that are ordered; filled by the test's thread, asked by the one that serves.

    Args:
        seed: Of the draws of faults that have a `probability`.

    Attributes:
        ordered: Those that are not over yet; changed under a lock.
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self.ordered: list[Fault] = []
        self._over: deque[Fault] = deque(maxlen=_KEPT)
        self._unused: dict[int, Fault] = {}  # by their ids; cancelled ones included
        self._seed = seed
        self._count = 0

    def order(self, fault: Fault) -> int:
        """Add a fault; those that were ordered before go first.

        Args:
            fault: The fault.

        Returns:
            Its id, counted from 1.
        """
        with self._lock:
            self._count += 1
            # a generator of its own: what one fault draws does not depend on which others are ordered
            fault._random = random.Random(f"{self._seed} {self._count}")
            fault._id = self._count
            self.ordered.append(fault)
            self._unused[fault._id] = fault
            if len(self._unused) > _MOST_UNUSED:
                del self._unused[next(iter(self._unused))]
            return self._count

    def listed(self) -> list[tuple[int, Fault]]:
        """Return the faults with their ids, in order: those to come, and the last 1024 that are over."""
        with self._lock:
            return sorted(((fault._id, fault) for fault in (*self._over, *self.ordered)), key=itemgetter(0))

    def remove(self, fault_id: int) -> Fault:
        """Cancel one, and list it no more.

        Args:
            fault_id: Its id, as `order` returned it.

        Returns:
            The fault.

        Raises:
            LookupError: None that is listed has this id.
        """
        with self._lock:
            for faults in (self.ordered, self._over):
                for fault in faults:
                    if fault._id == fault_id:
                        fault.cancel()
                        faults.remove(fault)
                        return fault
        raise LookupError(f"fault {shown(fault_id)}, must be the id of one that is listed")

    def clear(self) -> None:
        """Cancel all, and list none of them any more."""
        with self._lock:
            for fault in self.ordered:
                fault.cancel()
            self.ordered.clear()
            self._over.clear()

    def check_used(self) -> None:
        """Raise UnusedFaultError if one that was ordered has never hit, cancelled ones included."""
        with self._lock:
            unused = [fault for fault in self._unused.values() if not fault.hits]
            self._unused.clear()
        if unused:
            lines = [f"\n  {fault!r}, {fault.came()}" for fault in unused]
            raise UnusedFaultError(f"faults that never hit: {len(lines)}{''.join(lines)}")

    def may_strike(self, type_code: int, connection: int) -> bool:
        """Tell by a header alone whether a fault may strike a request or its answer.

        Args:
            type_code: The type of the request.
            connection: Number of its connection.
        """
        return any(fault._may_select(type_code, connection) for fault in self.ordered)

    def note(self, request: RequestRecord) -> None:
        """Let a request pass that none may strike; those that were never hit tell that it came.

        Args:
            request: The request.
        """
        with self._lock:
            for fault in self.ordered:
                if not fault.hits:
                    fault._note(request)

    def strike(
        self, request: RequestRecord, direction: Direction = RESPONSE, going_on: Iterable[Fault] = ()
    ) -> list[Fault]:
        """Return the faults that strike a request, and count them.

        Args:
            request: The request.
            direction: "request" or "response": what is to be spoiled.
            going_on: Faults that have struck this connection and go on there.
        """
        if not self.ordered:
            return []
        struck: list[Fault] = []
        with self._lock:
            replaced = False
            for fault in self.ordered:
                barred = replaced and fault.replaces_answer
                if any(fault is other for other in going_on):
                    continue
                if fault._strikes(request, direction, barred=barred):
                    struck.append(fault)
                    replaced = replaced or fault.replaces_answer
            for fault in struck:
                self._unused.pop(fault._id, None)
            self._over.extend(fault for fault in self.ordered if fault.over)
            self.ordered = [fault for fault in self.ordered if not fault.over]
        return struck
