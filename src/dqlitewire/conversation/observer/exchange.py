"""Frames of a connection as an observer has seen them, and exchanges: a request with its answers.

The two know each other (`Frame.exchange`, `Exchange.request`), which is why they stand in one module. Both
are compared by identity: two frames with the same bytes are two frames.
"""

from __future__ import annotations

from ...constants import PROTOCOL_VERSION, RequestType, ResponseType
from ...exceptions import DecodeError
from ...limits import DEFAULT_MAX_MESSAGE_SIZE
from ...messages import FailureResponse
from ...rows.count import count_rows
from ...servers.failures import Outcome, changes_something, explain_failure
from ...servers.refusals import RUNS_STATEMENT
from ...sql.survey import survey
from ..events import Event, Side
from ..frames import STRICT, FrameReader, LazyFrame, answer_key, statement_id
from ..table import FIRST, UNKNOWN_REQUEST, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...messages import Message

__all__ = ["Exchange", "Frame"]

LARGE = DEFAULT_MAX_MESSAGE_SIZE  # bytes of a frame, above which only its beginning is kept
MAX_KEPT = 32 << 20  # bytes of an answer, after which only its last frame is kept besides


class Frame(LazyFrame, Event):
    """One frame of a stream, decoded when asked; made by `Observer`.

    Attributes:
        side: who sent it.
        offset: where it begins in the bytes of its side.
        data: header and body.
        start: when its first byte came.
        end: when its last byte came.
        exchange: the exchange it belongs to, None until the observer has found it.
        damaged: bytes of it were lost; `data` is what there is of it.
        left_out: bytes behind `data` that were counted and not kept, for the frame is above `LARGE`.
        tail: of such a frame the last eight bytes.
        version: the handshake of its connection, where that changes how it is read.
        servers_format: for SERVERS, the format that CLUSTER asked for.
        reader: what decodes it.
    """

    side: Side
    offset: int
    start: float
    end: float
    exchange: Exchange | None
    damaged: bool
    left_out: int
    tail: bytes
    version: int
    servers_format: int
    _reader: FrameReader
    _rows: int

    __match_args__ = ("side", "type_name", "message")

    def __init__(
        self, side: Side, offset: int, data: bytes, start: float, end: float, reader: FrameReader = STRICT
    ) -> None:
        self.data = data  # this and the next four as `LazyFrame` does, without the call
        self.is_request = side is Side.CLIENT
        self._read = False
        self._message = None
        self._error = None
        self._reader = reader
        self._rows = -1
        self.side = side
        self.offset = offset
        self.start = start
        self.end = end
        self.exchange = None
        self.damaged = False
        self.left_out = 0
        self.tail = b""
        self.servers_format = 1
        self.version = PROTOCOL_VERSION

    @property
    def size(self) -> int:
        """Bytes, header included."""
        return len(self.data) + self.left_out

    @property
    def end_unseen(self) -> bool:
        """Whether its last bytes may be missing, so that `end` is not when it ended."""
        return self.damaged or (self.left_out > 0 and not self.tail)

    @property
    def key(self) -> int:
        """What the table knows a response frame by: its type, or PART."""
        return answer_key(self.data + self.tail if self.left_out else self.data)

    @property
    def rows(self) -> int:
        """How many rows a ROWS frame has, 0 for any other and for one that cannot be read."""
        if self._rows < 0:
            is_rows = self.data[4] == ResponseType.ROWS and not (self.is_request or self.left_out)
            self._rows = max(count_rows(self.data), 0) if is_rows else 0
        return self._rows

    def decodes(self) -> bool:
        """Tell whether the frame decodes as it would now; nothing of that is kept."""
        try:
            self._decoded()
        except DecodeError:
            return False
        return True

    def _decoded(self) -> Message:
        if self.damaged:
            raise DecodeError("bytes of the frame are missing", path=self.type_name)
        if self.left_out:
            problem = f"got {self.size} bytes, at most {LARGE} are kept"
            raise DecodeError(problem, path=self.type_name, limit=LARGE)
        return self._reader.read(self.data, self.is_request, self.version, self.servers_format)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Frame {self.side.value} {self.type_name} at {self.offset}, {self.size} bytes>"


class Exchange(Event):
    """A request, its answers, and when and how they passed.

    Attributes:
        request: the request frame, None for an answer to nothing that was seen.
        answers: the answer frames; of a long answer the first ones and the last.
        answer_count: how many answer frames there were.
        answer_bytes: bytes of them all, headers included.
        row_count: rows of them all, None where they were not counted.
        first_byte: when the answer began, None without one.
        last_byte: when the last byte of the answer came, None without one, and where it was lost.
        ending: "open" until it is over, then "done", "failure", "interrupted", "unanswered", "raft", "orphan"
            (an answer to no request) or "wrong" (an answer that the request cannot get).
        sql: the SQL text of the request, None where there is none or it was not seen; of a prepared statement
            the text of its PREPARE.
        place: where the request stands in the table.
        doubtful: the times do not tell how long it took: bytes were lost, so that an answer may be that of
            another request, or the answer is seen to come before the request was there.
    """

    request: Frame | None
    place: Place
    answers: list[Frame]
    answer_count: int
    answer_bytes: int
    row_count: int | None
    first_byte: float | None
    last_byte: float | None
    ending: str
    doubtful: bool
    _sql: str | None

    __match_args__ = ("request", "answers", "ending")

    def __init__(self, request: Frame | None) -> None:
        self.request = request
        self.place = UNKNOWN_REQUEST if request is None else FIRST.get(request.data[4], UNKNOWN_REQUEST)
        self.answers = []
        self.answer_count = 0
        self.answer_bytes = 0
        self.row_count = 0
        self.first_byte = None
        self.last_byte = None
        self.ending = "open"
        self.doubtful = False
        self._sql = None

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Exchange {self.label}: {self.answer_count} answers, {self.ending}>"

    @property
    def label(self) -> str:
        """The name of the request's type, or of the answer's if there is no request."""
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
        if self.request is None or self.request.data[4] not in RUNS_STATEMENT:
            return None
        return statement_id(self.request.data)

    @property
    def request_bytes(self) -> int:
        """Size of the request, header included; 0 if none was seen."""
        return 0 if self.request is None else self.request.size

    @property
    def started(self) -> float | None:
        """When the first byte of the request came, None if no request was seen."""
        return None if self.request is None else self.request.start

    @property
    def sent(self) -> float | None:
        """When the last byte of the request came, None if it was not seen."""
        return None if self.request is None or self.request.end_unseen else self.request.end

    @property
    def latency(self) -> float | None:
        """The time between the request's last byte and the answer's last; None if that is not known."""
        return (
            None
            if self.doubtful or self.sent is None or self.last_byte is None
            else self.last_byte - self.sent
        )

    def latency_of(self, answer: Frame) -> float | None:
        """Return the time between the request's last byte and that of an answer, None if it is not known.

        Args:
            answer: a frame of the answer; of the last one it is `latency`.
        """
        request = self.request
        if request is None or self.doubtful:
            return None
        if (request.damaged or request.left_out) and request.end_unseen:
            return None
        if (answer.damaged or answer.left_out) and answer.end_unseen:
            return None
        return answer.end - request.end

    @property
    def duration(self) -> float | None:
        """The time between the request's first byte and the answer's last.

        In the unit of the times that the observer was given: seconds for everything in `dqlitewire.traffic`.
        None if there was no request, or no answer yet, or if it cannot be told.
        """
        if self.request is None or self.last_byte is None or self.doubtful:
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
            frame: the frame.
            keep: how many frames stay in `answers`, the last one always among them; None for all.
        """
        frame.exchange = self
        if self.first_byte is None:
            self.first_byte = frame.start
        # by hand, here and below, what properties of frames tell: this is done for each frame
        self.last_byte = None if frame.damaged or (frame.left_out and not frame.tail) else frame.end
        request = self.request
        if request is not None:
            first = frame.start if frame.start < frame.end else frame.end
            if first < request.start or first < request.end:
                self.doubtful = True
        self.answer_count += 1
        if keep is not None and (len(self.answers) >= keep or self.answer_bytes > MAX_KEPT):
            del self.answers[-1:]
        self.answer_bytes += len(frame.data) + frame.left_out
        self.answers.append(frame)
