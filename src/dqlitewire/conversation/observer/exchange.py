"""A request and its answers, as an observer has seen them."""

from __future__ import annotations

from ...constants import RequestType, ResponseType
from ...messages import FailureResponse
from ...servers.failures import Outcome, changes_something, explain_failure
from ...sql.survey import survey
from ..events import Event
from ..table import FIRST, UNKNOWN_REQUEST, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .overheard import Frame

__all__ = ["Exchange"]

MAX_KEPT = 32 << 20  # bytes of an answer, after which only its last frame is kept besides
_BY_ID = frozenset({RequestType.EXEC, RequestType.QUERY})


class Exchange(Event):
    """A request, its answers, and when and how they passed.

    Attributes:
        request: the request frame, None for an answer to nothing that was seen.
        answers: the answer frames; of a long answer the first ones and the last.
        answer_count: how many answer frames there were.
        answer_bytes: bytes of them all.
        row_count: rows of them all, None where they were not counted.
        first_byte: when the answer began, None without one.
        last_byte: when the last byte of the answer came, None without one.
        ending: "open" until it is over, then "done", "failure", "interrupted", "unanswered", "raft", "orphan"
            (an answer nobody asked for) or "wrong" (an answer that the request cannot get).
        sql: the text behind a prepared statement, where its PREPARE was seen.
        place: where the request stands in the table.
    """

    __slots__ = (
        "_sql",
        "answer_bytes",
        "answer_count",
        "answers",
        "ending",
        "first_byte",
        "last_byte",
        "place",
        "request",
        "row_count",
    )
    __match_args__ = ("request", "answers", "ending")

    def __init__(self, request: Frame | None) -> None:
        self.request = request
        self.place: Place = (
            UNKNOWN_REQUEST if request is None else FIRST.get(request.data[4], UNKNOWN_REQUEST)
        )
        self.answers: list[Frame] = []
        self.answer_count = 0
        self.answer_bytes = 0
        self.row_count: int | None = 0
        self.first_byte: float | None = None
        self.last_byte: float | None = None
        self.ending = "open"
        self._sql: str | None = None

    def __eq__(self, other: object) -> bool:
        return self is other  # whatever others say the same

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Exchange {self.label}: {self.answer_count} answers, {self.ending}>"

    @property
    def label(self) -> str:
        """The name of the request's type, or of the answer's if nobody asked."""
        if self.request is not None:
            return self.request.type_name
        return self.answers[0].type_name if self.answers else "nothing"

    @property
    def sql(self) -> str | None:
        """The SQL text of the request, None where there is none or it was not seen."""
        if self._sql is not None or self.request is None:
            return self._sql
        return getattr(self.request.message, "sql", None)

    @sql.setter
    def sql(self, text: str | None) -> None:
        self._sql = text

    @property
    def runs_statement(self) -> int | None:
        """The id of the prepared statement that the request runs, None for any other request."""
        if self.request is None or self.request.data[4] not in _BY_ID or self.request.size < 16:
            return None
        return int.from_bytes(self.request.data[12:16], "little")

    @property
    def request_bytes(self) -> int:
        """Size of the request, header included; 0 if none was seen."""
        return 0 if self.request is None else self.request.size

    @property
    def started(self) -> float | None:
        """When the first byte of the request came."""
        return None if self.request is None else self.request.start

    @property
    def sent(self) -> float | None:
        """When the last byte of the request came."""
        return None if self.request is None else self.request.end

    @property
    def duration(self) -> float | None:
        """From the request's first byte to the answer's last, None if either was not seen."""
        if self.request is None or self.last_byte is None:
            return None
        return self.last_byte - self.request.start

    @property
    def failure(self) -> FailureResponse | None:
        """The FAILURE that ended it, None if none did."""
        if self.answers and self.answers[-1].data[4] == ResponseType.FAILURE:
            message = self.answers[-1].message
            return message if isinstance(message, FailureResponse) else None
        return None

    @property
    def outcome(self) -> Outcome:
        """What became of the request."""
        kind = self._kind
        failure = self.failure
        if failure is not None:
            return explain_failure(failure.code, failure.message, request=kind, sql=self.sql).outcome
        if self.ending in ("done", "raft", "orphan"):
            return Outcome.DONE
        text = self.sql
        seen = None if text is None else survey(text)
        return Outcome.UNKNOWN if changes_something(kind, seen) else Outcome.NOT_EXECUTED

    @property
    def _kind(self) -> RequestType | None:
        if self.request is None or self.request.data[4] not in FIRST:
            return None
        return RequestType(self.request.data[4])

    def add(self, frame: Frame, keep: int | None) -> None:
        """Take one more frame of the answer.

        Args:
            keep: how many frames stay in `answers`, the last one always among them; None for all.
        """
        frame.exchange = self
        if self.first_byte is None:
            self.first_byte = frame.start
        self.last_byte = frame.end
        self.answer_count += 1
        if keep is not None and (len(self.answers) >= keep or self.answer_bytes > MAX_KEPT):
            del self.answers[-1:]
        self.answer_bytes += len(frame.data)
        self.answers.append(frame)
