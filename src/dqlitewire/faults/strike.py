"""What a fault sees of the request that it strikes, and what it may do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dqlitewire.faults.checks import check_frame, check_number, check_seconds
from dqlitewire.messages import REGISTRY

__all__ = ["WITH_STATEMENT", "Effects", "RequestRecord", "Strike"]


def _that_begin_with(*names: str) -> frozenset[int]:
    """The codes of the requests whose bodies begin with these fields."""
    declared: dict[int, Any] = {code: message for (asks, code), message in REGISTRY.items() if asks}
    return frozenset(
        code
        for code, message in declared.items()
        if names == tuple(field.name for field in message.FIELDS[: len(names)])
    )


_WITH_SQL = _that_begin_with("db_id", "sql")  # u64, text
WITH_STATEMENT = _that_begin_with("db_id", "stmt_id")  # u32 both


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it came: for faults, and for assertions about what a driver sends.

    Attributes:
        connection: Number of the connection, counted from 1.
        type: Type code of the request, equal to its `RequestType` where the protocol has one.
        schema: Schema byte.
        body: The bytes behind the header.
        index: Number of the request on its connection, counted from 1.
        prepared_sql: The SQL text behind the statement's id, of EXEC and QUERY; None if it is not known.
        node: Raft id of the node that it came to; 0 if that is not known.
    """

    connection: int
    type: int
    schema: int
    body: bytes
    index: int = 0
    prepared_sql: str | None = field(default=None, repr=False)
    node: int = 0

    @property
    def sql(self) -> str | None:
        """The SQL text, of requests that carry one."""
        if self.type not in _WITH_SQL:
            return None
        end = self.body.find(0, 8)
        return self.body[8:end].decode("utf-8", "replace") if end >= 0 else None


@dataclass(slots=True)
class Effects:
    """What the faults ask of the owner of the sockets: the server's thread, or a proxy's task.

    Faults never wait, write or close themselves; they leave a note here.

    Attributes:
        pause: Seconds to wait before the bytes that were returned last go out.
        write_size: Bytes to write at a time, None for as many as fit.
        write_pause: Seconds between two such pieces.
        closed: The connection ends behind the bytes that were returned last.
        reset: It ends by RST, not FIN.
        held: Nothing goes out in this direction any more, though the connection stays open.
        executed: The request is carried out.
        replacement: A frame to send instead of the answer, None to send the answer.
    """

    pause: float = 0.0
    write_size: int | None = None
    write_pause: float = 0.0
    closed: bool = False
    reset: bool = False
    held: bool = False
    executed: bool = True
    replacement: bytes | None = None


class Strike:
    """One fault, striking one request or its answer; handed to each of the fault's hooks.

    Args:
        request: The request that is answered.
        effects: Where its calls leave what they want.
        texts: The texts of the node's FAILUREs, by code.

    Attributes:
        request: The request that is answered.
        sql: Its SQL text; for EXEC and QUERY the one that was prepared. None if it has none.
        frames: How many frames were spoiled before this one.
        state: For the fault's own use, None at first; each strike has its own.
    """

    __slots__ = ("_effects", "_texts", "frames", "request", "sql", "state")

    def __init__(self, request: RequestRecord, effects: Effects, texts: dict[int, str]) -> None:
        self.request: RequestRecord = request
        self.sql: str | None = request.prepared_sql or request.sql
        self.frames: int = 0
        self.state: Any = None
        self._effects = effects
        self._texts = texts

    def wait(self, seconds: float) -> None:
        """Let this frame go out later; in `frame`.

        Args:
            seconds: How much later, at most a day; added to what was asked for before.

        Raises:
            TypeError: It is no number.
            ValueError: It is negative, longer than a day, or NaN.
        """
        check_seconds("seconds", seconds)
        self._effects.pause += seconds

    def split(self, size: int, pause: float = 0.0) -> None:
        """Let this frame go out in pieces; in `frame`.

        Args:
            size: Bytes of a piece, at least 1.
            pause: Seconds between two pieces, at most a day.

        Raises:
            TypeError: One is no number.
            ValueError: One is too small or too big.
        """
        check_number("size", size, 1)
        check_seconds("pause", pause)
        self._effects.write_size, self._effects.write_pause = size, pause

    def close(self, *, reset: bool = False) -> None:
        """End the connection: in `begin` at once, in `frame` behind what it returns.

        Args:
            reset: Close with RST, not FIN.
        """
        self._effects.closed, self._effects.reset = True, reset

    def hold(self) -> None:
        """Let nothing go out any more, and the connection stay open."""
        self._effects.held = True

    def skip(self) -> None:
        """Do not carry the request out; in `begin`."""
        self._effects.executed = False

    def answer(self, frame: bytes) -> None:
        """Send other bytes instead of the answer; in `begin`, by faults that have `replaces_answer`.

        Args:
            frame: The bytes, a whole frame or not.

        Raises:
            TypeError: They are no bytes.
        """
        self._effects.replacement = check_frame("frame", frame)

    def failure_text(self, code: int) -> str:
        """Return the text that a node sends with a FAILURE.

        Args:
            code: The code of the FAILURE.
        """
        return self._texts.get(code, "failed on order")
