"""Ordered faults (`FaultList`) applied to the frames of one connection (`ConnectionFaults`).

The owner of the sockets (the embedded server's session, a proxy) does this for each request, in order:

    faults = ConnectionFaults(ordered, number)            # once a connection

    request = faults.asked(type, schema, body)
    faults.requests.begin(request)                        # direction="request"
    data = faults.requests.frame(data)                    # what reaches the node
    faults.requests.end()
    faults.begin_answer(request)                          # direction="response": `begin` of each fault
    if faults.responses.executed: ...                     # the node carries it out
    data = faults.answer(data)                            # each frame of the answer: `frame`
    faults.responses.end()                                # the answer is complete: `end`

and after each step does what the attributes of `Effects` ask for: wait, write in pieces, close.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable

from dqlitewire.constants import SQLITE_IOERR_LEADERSHIP_LOST, RequestType, ResponseType
from dqlitewire.faults.checks import check_frame
from dqlitewire.faults.fault import REQUEST, RESPONSE, Direction, Fault
from dqlitewire.faults.kinds import FAILURE_TEXTS
from dqlitewire.faults.strike import WITH_STATEMENT, Effects, RequestRecord, Strike
from dqlitewire.servers.releases import DEFAULT_RELEASE, RELEASES

__all__ = ["ConnectionFaults", "Delivery", "FaultList", "UnusedFaultError"]

_STMT = bytes([ResponseType.STMT])
_PREPARE, _FINALIZE = int(RequestType.PREPARE), int(RequestType.FINALIZE)
_TEXTS = FAILURE_TEXTS | {SQLITE_IOERR_LEADERSHIP_LOST: RELEASES[DEFAULT_RELEASE].lost_text}


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
        self._unused: list[Fault] = []
        self._seed = seed
        self._count = 0

    def order(self, fault: Fault) -> None:
        """Add a fault; those that were ordered before go first.

        Args:
            fault: The fault.
        """
        with self._lock:
            self._count += 1
            # a generator of its own: what one fault draws does not depend on which others are ordered
            fault._random = random.Random(f"{self._seed} {self._count}")
            self.ordered.append(fault)
            self._unused.append(fault)

    def clear(self) -> None:
        """Cancel all."""
        with self._lock:
            for fault in self.ordered:
                fault.cancel()
            self.ordered.clear()

    def check_used(self) -> None:
        """Raise UnusedFaultError if one that was ordered has never hit, cancelled ones included."""
        with self._lock:
            unused = [fault for fault in self._unused if not fault.hits]
            self._unused.clear()
        if unused:
            lines = [f"\n  {fault!r}, {fault.came()}" for fault in unused]
            raise UnusedFaultError(f"faults that never hit: {len(lines)}{''.join(lines)}")

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
            self.ordered = [fault for fault in self.ordered if not fault.over]
            self._unused = [fault for fault in self._unused if not fault.hits]
        return struck


class Delivery(Effects):
    """One direction of one connection: what becomes of its frames.

    Args:
        faults: Those that are ordered.
        direction: "request" or "response".
        texts: The texts of the node's FAILUREs, by code.

    Attributes:
        touched: Something has struck since nothing went on.
    """

    def __init__(self, faults: FaultList, direction: Direction, texts: dict[int, str]) -> None:
        super().__init__()
        self._faults = faults
        self._direction: Direction = direction
        self._texts = texts
        self._active: list[tuple[Fault, Strike]] = []
        self.touched: bool = False

    def begin(self, request: RequestRecord) -> None:
        """Begin a request, or its answer: find out what strikes it, and let that begin.

        Args:
            request: The request.
        """
        self.end()
        self.pause, self.write_size, self.executed, self.replacement = 0.0, None, True, None
        self.touched = self.held or self.closed or bool(self._active)
        going_on = [fault for fault, _ in self._active]
        struck = self._faults.strike(request, self._direction, going_on)
        if struck:
            self.touched = True
            begun = [(fault, Strike(request, self, self._texts)) for fault in struck]
            self._active = sorted(self._active + begun, key=lambda one: one[0].runs_last)
            for fault, strike in begun:
                fault.begin(strike)

    def frame(self, data: bytes) -> bytes:
        """Return what goes out instead of a frame.

        Args:
            data: The frame.

        Raises:
            TypeError: A fault made something else than bytes of it.
        """
        self.pause, self.write_size = 0.0, None
        for fault, strike in self._active:
            data = check_frame(f"{type(fault).__name__}.frame returned", fault.frame(strike, data))
            strike.frames += 1
        return b"" if self.held else data

    def end(self) -> None:
        """End what was begun, if it has not ended yet: let what struck it end."""
        if self._active:
            ended = self._active
            self._active = [one for one in ended if one[0].goes_on]
            for fault, strike in ended:
                if not fault.goes_on:
                    fault.end(strike)

    def leave(self) -> None:
        """End the connection: what goes on over several answers ends too."""
        ended, self._active = self._active, []
        for fault, strike in ended:
            fault.end(strike)


class ConnectionFaults:
    """Both directions of one connection, and the SQL texts behind the ids of its prepared statements.

    Args:
        faults: Those that are ordered.
        connection: Number of the connection, counted from 1.
        texts: The texts of the node's FAILUREs, by code, where it differs from `FAILURE_TEXTS`.
        node: Raft id of the node at its other end; 0 if that is not known.

    Attributes:
        requests: The direction of the requests.
        responses: The direction of the answers.
    """

    def __init__(
        self, faults: FaultList, connection: int, texts: dict[int, str] | None = None, node: int = 0
    ) -> None:
        self._texts = _TEXTS if texts is None else _TEXTS | texts
        self._faults = faults
        self.requests: Delivery = Delivery(faults, REQUEST, self._texts)
        self.responses: Delivery = Delivery(faults, RESPONSE, self._texts)
        self._connection = connection
        self._node = node
        self._count = 0
        self._prepared: dict[int, str | None] = {}
        self._preparing: RequestRecord | None = None

    def asked(self, type_code: int, schema: int, body: bytes) -> RequestRecord:
        """Take the next request.

        Args:
            type_code: The type byte of its header.
            schema: The schema byte.
            body: The bytes behind the header.

        Returns:
            What faults are told of it.
        """
        self._count += 1
        prepared = None
        if type_code in WITH_STATEMENT:
            if type_code == _FINALIZE:
                self._prepared.pop(_statement_id(body), None)
            else:
                prepared = self._prepared.get(_statement_id(body))
        return RequestRecord(self._connection, type_code, schema, body, self._count, prepared, self._node)

    def begin_answer(self, request: RequestRecord) -> None:
        """Begin the answer to a request; requests are answered in order, and may come ahead of that.

        Args:
            request: The request, as `asked` returned it.
        """
        self._preparing = request if request.type == _PREPARE else None
        self.responses.begin(request)

    @property
    def idle(self) -> bool:
        """Whether nothing can happen to the next request: nothing is ordered, nothing goes on."""
        return not (self._faults.ordered or self.requests.touched or self.responses.touched)

    def answer(self, data: bytes) -> bytes:
        """Take a frame of the answer, and return what goes out instead.

        Args:
            data: The frame.
        """
        if self._preparing is not None and data[4:5] == _STMT:
            self._prepared[_statement_id(data[8:])] = self._preparing.sql
            self._preparing = None
        return self.responses.frame(data)

    def leave(self) -> None:
        """End the connection."""
        self.requests.leave()
        self.responses.leave()


def _statement_id(body: bytes) -> int:
    # requests with a statement and STMT begin alike: u32 of the database, u32 of the statement
    return int.from_bytes(body[4:8], "little")
