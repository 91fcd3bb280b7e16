"""What a conversation reports: small objects for `match`, each about one request or about the connection.

On the client's side every request ends in exactly one of Answered, Rows with `last`, Failed, Interrupted,
Probed and Lost, in the order of sending; its `request` is the object that was sent.
"""

from __future__ import annotations

from enum import Enum

from ..record import Record, matched, record
from ..servers.failures import explain_failure
from ..text import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..messages import FailureResponse, Message, RowsResponse
    from ..messages.base import Answer, Request
    from ..servers.failures import FailureInfo, Outcome
    from ..servers.generation import Generation

__all__ = [
    "Answered",
    "Ended",
    "Ending",
    "Event",
    "Failed",
    "Interrupted",
    "Lost",
    "Phase",
    "Probed",
    "Rows",
    "SessionLost",
    "Side",
]


class Side(Enum):
    """Who sent the bytes."""

    CLIENT = "client"
    SERVER = "server"


class Phase(Enum):
    """Where a connection stands as a whole."""

    NEW = "no handshake yet"
    OPEN = "frames both ways"
    RAFT = "handed over to raft"
    MUTE = "nothing more is read, as 1.11 does after a type it does not know"
    ENDED = "the stream ended"
    BROKEN = "an error took the meaning from the stream"


class Ending(Enum):
    """Where in the conversation the stream ended."""

    CLEAN = "nothing was open"
    UNANSWERED = "requests were waiting"
    MID_ANSWER = "in the middle of an answer"
    MID_FRAME = "in the middle of a frame"


class Event(Record):
    """Base of all events: compared and shown by their arguments."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return matched(self) == matched(other)


def answer_to(request: Request[Answer], event: Answered | Rows) -> Answer:
    """Return the message of an event, if it answers a request.

    Args:
        request: the one that was sent.
        event: with the answer.

    Raises:
        ValueError: another request is answered here.
    """
    if event.request is not request:
        raise ValueError(f"got {shown(request)}, this answers {shown(event.request)}")
    message: Any = event.message  # the conversation has refused what the table does not allow
    answer: Answer = message
    return answer


@record
class Answered(Event):
    """The whole answer of a request that is answered by one frame.

    Attributes:
        request: what was sent.
        message: the answer.
    """

    request: Message
    message: Message

    def answer(self, request: Request[Answer]) -> Answer:
        """Return the answer to a request, of the type that this request is answered by.

        Args:
            request: the one that was sent.

        Raises:
            ValueError: another request is answered here.
        """
        return answer_to(request, self)


@record
class Rows(Event):
    """One ROWS frame.

    Attributes:
        request: what was sent.
        message: the frame.
        last: whether the answer is complete.
    """

    request: Message
    message: RowsResponse
    last: bool

    def answer(self, request: Request[Answer]) -> Answer:
        """Return this frame of the answer to a request, of the type that this request is answered by.

        Args:
            request: the one that was sent.

        Raises:
            ValueError: another request is answered here.
        """
        return answer_to(request, self)


@record
class Failed(Event):
    """A FAILURE, in place of an answer or of the rest of one, and what became of the request.

    Attributes:
        request: what was sent.
        failure: the answer.
        outcome: whether the request was executed.
        sql: the text of the statement that ran, where the request names one by its id.
        generation: the oldest server that can have sent it.
        in_transaction: whether a transaction was open before the request, None if that was not known.
    """

    request: Message
    failure: FailureResponse
    outcome: Outcome
    sql: str | None = None
    generation: Generation | None = None
    in_transaction: bool | None = None

    __match_args__ = ("request", "failure", "outcome")

    @property
    def explanation(self) -> FailureInfo:
        """The failure in words."""
        from ..servers.generation import Generation

        return explain_failure(
            self.failure.code,
            self.failure.message,
            request=self.request,
            sql=self.sql,
            generation=self.generation or Generation.UNKNOWN,
            in_transaction=self.in_transaction,
        )


@record
class Interrupted(Event):
    """A query given up by an INTERRUPT.

    Attributes:
        request: the query.
        discarded: how many frames of its answer came behind the INTERRUPT and were dropped.
        outcome: whether it was executed.
    """

    request: Message
    discarded: int
    outcome: Outcome


@record
class Lost(Event):
    """A request that was open when the connection ended.

    Attributes:
        request: what was sent.
        outcome: whether it was executed.
    """

    request: Message
    outcome: Outcome


@record
class Probed(Event):
    """The answer to a probe.

    Attributes:
        generation: the oldest server that the other end can be.
        message: the answer.
        request: the probe.
    """

    generation: Generation
    message: Message
    request: object

    __match_args__ = ("generation", "message")


@record
class SessionLost(Event):
    """The server has dropped what it kept for the connection.

    Attributes:
        database: the name that was open.
        statements: the ids that were prepared.
        in_transaction: whether a transaction was open, None if that was not known.
    """

    database: str | None
    statements: tuple[int, ...]
    in_transaction: bool | None


@record
class Ended(Event):
    """The end of the stream.

    Attributes:
        ending: where in the conversation it came.
        leftover: bytes of a frame that was never completed.
    """

    ending: Ending
    leftover: int = 0
