"""The order of the protocol as one table: which answers a request may get in which turn, and what follows.

A connection is a queue of requests. The one at its head is in a turn; each frame from the server is looked up
in `TABLE` and moves it to the next turn, until it has ended and the next request is at the head. The answers
come from the declarations of the requests (`ANSWERS`); what is added here is order alone:

* any request that is answered may get a FAILURE instead, which ends it;
* ROWS end their request when the frame is marked DONE, and keep it open when marked PART;
* a query with an INTERRUPT behind it is DRAINING: one EMPTY in place of its next frame ends the query and the
  INTERRUPT both; if it ended by itself, the EMPTY ends the INTERRUPT alone (dqlite src/gateway.c: interrupt);
* HEARTBEAT has no answer but FAILURE, and from 1.11 none at all; CONNECT gives the connection to raft.

Client, server and observer read `FIRST`, the same table linked by turns.
"""

from __future__ import annotations

from enum import IntEnum

from ..constants import RequestType, ResponseType
from ..messages import REQUESTS
from ..record import Record, record

__all__ = [
    "ANSWER_NAMES",
    "DONE",
    "FAILURE",
    "FIRST",
    "PART",
    "TABLE",
    "UNKNOWN_REQUEST",
    "Place",
    "Step",
    "Turn",
    "follow",
]

DONE = int(ResponseType.ROWS)  # a ROWS frame that ends its answer
PART = DONE | 1 << 16  # a ROWS frame with more to come
FAILURE, _EMPTY = int(ResponseType.FAILURE), int(ResponseType.EMPTY)
_TO_RAFT = RequestType.CONNECT  # the one request that is the last of its connection
ANSWER_NAMES = {int(answer): answer.name for answer in ResponseType} | {DONE: "ROWS done", PART: "ROWS part"}


class Turn(IntEnum):
    """Where the request at the head of the queue stands."""

    WAITING = 0  # nothing of its answer has come
    STREAMING = 1  # ROWS have come, more are announced
    DRAINING = 2  # an INTERRUPT was sent behind it
    ENDED = 3
    RAFT = 4  # the connection is raft's


@record
class Step(Record):
    """One row of the table.

    Attributes:
        request: the type of the request.
        turn: the turn that it is in.
        answer: what comes: the type of the answer, or for ROWS `DONE` or `PART`.
        then: the turn that it is in afterwards.
    """

    request: RequestType
    turn: Turn
    answer: int
    then: Turn

    def __repr__(self) -> str:
        answer = ANSWER_NAMES[self.answer]
        return f"<{self.request.name} {self.turn.name}: {answer} -> {self.then.name}>"


_ROWS_STEPS = (
    (Turn.WAITING, PART, Turn.STREAMING),
    (Turn.WAITING, DONE, Turn.ENDED),
    (Turn.WAITING, FAILURE, Turn.ENDED),
    (Turn.STREAMING, PART, Turn.STREAMING),
    (Turn.STREAMING, DONE, Turn.ENDED),
    (Turn.STREAMING, FAILURE, Turn.ENDED),
    (Turn.DRAINING, PART, Turn.DRAINING),
    (Turn.DRAINING, DONE, Turn.ENDED),
    (Turn.DRAINING, FAILURE, Turn.ENDED),
    (Turn.DRAINING, _EMPTY, Turn.ENDED),
)


def _steps(code: int, answers: tuple[int, ...]) -> list[Step]:
    kind = RequestType(code)
    if DONE in answers:
        return [Step(kind, *step) for step in _ROWS_STEPS]
    if kind is _TO_RAFT:
        return []
    return [Step(kind, Turn.WAITING, int(answer), Turn.ENDED) for answer in (*answers, FAILURE)]


TABLE: tuple[Step, ...] = tuple(
    step for code, request in REQUESTS.items() for step in _steps(code, request.ANSWERS)
)


class Place(Record):
    """A request in a turn: where each allowed answer leads, and where an INTERRUPT sent behind it does.

    Attributes:
        turn: the turn.
        after: answer -> the next place; what is not there is not allowed. Both ROWS are there or none is.
        draining: the place once an INTERRUPT follows, None for requests that it does not touch.
        ended: whether nothing can follow.
        is_draining: whether an INTERRUPT follows.
        alone: the answers that are one frame and end the request without a FAILURE.
    """

    turn: Turn
    after: dict[int, Place]
    draining: Place | None
    ended: bool
    is_draining: bool
    alone: frozenset[int]

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.after = {}
        self.draining = None
        self.ended = turn is Turn.ENDED
        self.is_draining = turn is Turn.DRAINING
        self.alone = frozenset()

    def __repr__(self) -> str:
        return f"<{self.turn.name}: {self.allowed}>"

    @property
    def allowed(self) -> str:
        """The names of the answers that may come."""
        types = sorted({answer & 0xFF for answer in self.after})
        return " or ".join(ResponseType(answer).name for answer in types) or "nothing"


def _linked(code: int) -> Place:
    first = Turn.RAFT if code == _TO_RAFT else Turn.WAITING
    places = {turn: Place(turn) for turn in (first, *Turn)}
    for step in TABLE:
        if step.request == code:
            places[step.turn].after[step.answer] = places[step.then]
    places[first].alone = frozenset(places[first].after) - {DONE, PART, FAILURE}
    if places[Turn.DRAINING].after:
        for turn in (Turn.WAITING, Turn.STREAMING):
            places[turn].draining = places[Turn.DRAINING]
        places[Turn.DRAINING].draining = places[Turn.DRAINING]
    return places[first]


FIRST: dict[int, Place] = {code: _linked(code) for code in REQUESTS}
UNKNOWN_REQUEST = FIRST[RequestType.HEARTBEAT]  # an unknown type is refused, or not answered, as this one is


def follow(request: int, turn: Turn, response: int, more: bool = False) -> Turn | None:
    """Return the turn a request is in after an answer, or None if the answer is not allowed there.

    Args:
        request: type of the request.
        turn: the turn it is in.
        response: type of the answer.
        more: for ROWS, whether the frame is marked PART.
    """
    answer = PART if response == DONE and more else response
    for step in TABLE:
        if step.request == request and step.turn is turn and step.answer == answer:
            return step.then
    return None
