"""Ordered faults (`ordered.FaultList`) applied to the frames of one connection (`ConnectionFaults`).

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

from dqlitewire.constants import SQLITE_IOERR_LEADERSHIP_LOST, RequestType, ResponseType
from dqlitewire.faults.checks import check_frame
from dqlitewire.faults.fault import REQUEST, RESPONSE, Direction, Fault
from dqlitewire.faults.kinds import FAILURE_TEXTS
from dqlitewire.faults.ordered import FaultList
from dqlitewire.faults.strike import WITH_STATEMENT, Effects, RequestRecord, Strike
from dqlitewire.servers.releases import DEFAULT_RELEASE, RELEASES

__all__ = ["ConnectionFaults", "Delivery"]

_STMT = bytes([ResponseType.STMT])
_PREPARE, _FINALIZE = int(RequestType.PREPARE), int(RequestType.FINALIZE)
_TEXTS = FAILURE_TEXTS | {SQLITE_IOERR_LEADERSHIP_LOST: RELEASES[DEFAULT_RELEASE].lost_text}


class Delivery(Effects):
    """One direction of one connection: what becomes of its frames.

    Args:
        faults: Those that are ordered.
        direction: "request" or "response".
        texts: The texts of the node's FAILUREs, by code.

    Attributes:
        touched: Something has struck since nothing went on.
        struck: Those that struck when the last request, or its answer, began, with their ids.
    """

    def __init__(self, faults: FaultList, direction: Direction, texts: dict[int, str]) -> None:
        super().__init__()
        self._faults = faults
        self._direction: Direction = direction
        self._texts = texts
        self._active: list[tuple[Fault, Strike]] = []
        self.touched = False
        self.struck: list[tuple[int, Fault]] = []

    @property
    def goes_on(self) -> bool:
        """Whether something that has struck goes on over further requests."""
        return self.held or self.closed or bool(self._active)

    def begin(self, request: RequestRecord, beside: Delivery | None = None) -> None:
        """Begin a request, or its answer: find out what strikes it, and let that begin.

        Args:
            request: The request.
            beside: Another delivery of the connection, in which faults may go on too.
        """
        self.end()
        self.pause, self.write_size, self.executed, self.replacement = 0.0, None, True, None
        self.touched = self.goes_on
        going_on = [fault for way in (self, beside) if way is not None for fault, _ in way._active]
        struck = self._faults.strike(request, self._direction, going_on)
        self.struck = [(fault._id, fault) for fault in struck]
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

    def take_over(self, beside: Delivery) -> None:
        """Let what goes on in another delivery of the connection go on in this one.

        Args:
            beside: The other one, ended.
        """
        self._active += beside._active
        for _, strike in beside._active:
            strike._effects = self
        beside._active = []
        self.held |= beside.held
        self.closed |= beside.closed
        self.reset |= beside.reset
        beside.held = False

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
        self.requests = Delivery(faults, REQUEST, self._texts)
        self.responses = Delivery(faults, RESPONSE, self._texts)
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

    def passed(self, type_code: int, schema: int) -> None:
        """Take the next request, of which only the header is known: nothing may strike it.

        Args:
            type_code: The type byte of its header.
            schema: The schema byte.
        """
        self._count += 1
        if self._faults.ordered:  # those that are never hit say what came instead
            self._faults.note(RequestRecord(self._connection, type_code, schema, b"", self._count))

    def beside(self) -> Delivery:
        """Return a direction of its own, for the answer to an INTERRUPT in the middle of another."""
        return Delivery(self._faults, RESPONSE, self._texts)

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
        if self._preparing is not None and self.learn(self._preparing, data):
            self._preparing = None
        return self.responses.frame(data)

    def learn(self, request: RequestRecord, data: bytes) -> bool:
        """Learn the SQL text of a prepared statement; `answer` does it for the answer that was begun.

        Args:
            request: The PREPARE.
            data: The frame that answers it.

        Returns:
            Whether it is the answer that names the statement.
        """
        if data[4:5] != _STMT:
            return False
        self._prepared[_statement_id(data[8:16])] = request.sql
        return True

    def leave(self) -> None:
        """End the connection."""
        self.requests.leave()
        self.responses.leave()


def _statement_id(body: bytes) -> int:
    # requests with a statement and STMT begin alike: u32 of the database, u32 of the statement
    return int.from_bytes(body[4:8], "little")
