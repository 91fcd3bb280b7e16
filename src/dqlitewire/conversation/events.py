"""What a conversation reports: small objects for `match`, each about one request or about the connection.

On the client's side every request ends in exactly one of Answered, Rows with `last`, Failed, Interrupted,
Probed and Lost, in the order of sending; its `request` is the object that was sent.
"""

from __future__ import annotations

from enum import Enum

from ..servers.failures import Outcome, explain_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..messages import (
        FailureResponse,
        Message,
        RowsResponse,
    )
    from ..servers.failures import FailureInfo
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


class Event:
    """Base of all events: compared and shown by their arguments."""

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__match_args__)

    def __repr__(self) -> str:
        arguments = ", ".join(repr(getattr(self, name)) for name in self.__match_args__)
        return f"{type(self).__name__}({arguments})"


class Answered(Event):
    """The whole answer of a request that is answered by one frame."""

    __slots__ = ("message", "request")
    __match_args__ = ("request", "message")

    def __init__(self, request: Message, message: Message) -> None:
        self.request = request
        self.message = message


class Rows(Event):
    """One ROWS frame; `last` when the answer is complete."""

    __slots__ = ("last", "message", "request")
    __match_args__ = ("request", "message", "last")

    def __init__(self, request: Message, message: RowsResponse, last: bool) -> None:
        self.request = request
        self.message = message
        self.last = last


class Failed(Event):
    """A FAILURE, in place of an answer or of the rest of one, and what became of the request."""

    __slots__ = ("failure", "generation", "outcome", "request", "sql")
    __match_args__ = ("request", "failure", "outcome")

    def __init__(
        self,
        request: Message,
        failure: FailureResponse,
        outcome: Outcome,
        sql: str | None = None,
        generation: Generation | None = None,
    ) -> None:
        self.request = request
        self.failure = failure
        self.outcome = outcome
        self.sql = sql
        self.generation = generation

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
        )


class Interrupted(Event):
    """A query given up by an INTERRUPT: `discarded` frames of its answer came and were dropped."""

    __slots__ = ("discarded", "outcome", "request")
    __match_args__ = ("request", "discarded", "outcome")

    def __init__(self, request: Message, discarded: int, outcome: Outcome) -> None:
        self.request = request
        self.discarded = discarded
        self.outcome = outcome


class Lost(Event):
    """A request that was open when the connection ended."""

    __slots__ = ("outcome", "request")
    __match_args__ = ("request", "outcome")

    def __init__(self, request: Message, outcome: Outcome) -> None:
        self.request = request
        self.outcome = outcome


class Probed(Event):
    """The answer to a probe, and the generation it tells."""

    __slots__ = ("generation", "message", "request")
    __match_args__ = ("generation", "message")

    def __init__(self, generation: Generation, message: Message, request: object) -> None:
        self.generation = generation
        self.message = message
        self.request = request


class SessionLost(Event):
    """The server no longer keeps what it kept for the connection; the arguments say what that was."""

    __slots__ = ("database", "in_transaction", "statements")
    __match_args__ = ("database", "statements", "in_transaction")

    def __init__(
        self, database: str | None, statements: tuple[int, ...], in_transaction: bool | None
    ) -> None:
        self.database = database
        self.statements = statements
        self.in_transaction = in_transaction


class Ended(Event):
    """The end of the stream; `leftover` bytes of a frame never completed."""

    __slots__ = ("ending", "leftover")
    __match_args__ = ("ending", "leftover")

    def __init__(self, ending: Ending, leftover: int = 0) -> None:
        self.ending = ending
        self.leftover = leftover
