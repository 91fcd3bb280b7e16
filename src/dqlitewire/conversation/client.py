"""The client's side: requests in, bytes out; bytes in, events out, each answer with the request it belongs
to.

The contract: the k-th answer belongs to the k-th request. `send` may be called while answers are open, as
long as somebody goes on receiving. A frame that the table does not allow ends the conversation with an error
that carries both frames; so does one that does not decode. After that, and after the end of the stream, the
connection is of no use. One owner at a time, as for the decoder.
"""

from __future__ import annotations

from collections import deque

from ..codec import MessageDecoder, MessageEncoder
from ..constants import HEADER_SIZE, PROTOCOL_VERSION, RequestType, ResponseType
from ..exceptions import ConcurrentUseError, DecodeError, ServerFailure, StreamError
from ..messages import FailureResponse
from .errors import wrong_answer
from .events import Answered, Ended, Ending, Failed, Interrupted, Lost, Phase, Probed, Rows, SessionLost
from .failures import Outcome, changes_something, explain_failure
from .framelog import frame_log as frame_logger
from .frames import STRICT, RawRequest
from .generation import Generation, judge_generation, probe_generation
from .hazards import CHECKED_BODIES, MAX_SAFE_BODY, Hazard, body_hazards, check_statement, refuse
from .session import Session, loses_session
from .table import DONE, FIRST, PART, UNKNOWN_REQUEST, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..limits import Limits
    from .events import Event
    from .sql import Survey

__all__ = ["ClientConversation"]

_FAILURE, _EMPTY = int(ResponseType.FAILURE), int(ResponseType.EMPTY)


class _Decoder(MessageDecoder):
    # also shows the bytes that wait, so that the table is asked before a frame is decoded
    __slots__ = ("waiting",)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.waiting = self._data


class _Open:
    # a request that was sent and has not ended; `discarded` is set when an INTERRUPT follows
    __slots__ = ("discarded", "frame", "place", "request", "seen")

    is_probe = False
    roleless = False  # a CLUSTER that is answered by nodes without roles
    if TYPE_CHECKING:
        discarded: int

    def __init__(self, request: Any, frame: bytes, place: Place, seen: Survey | None) -> None:
        self.request = request
        self.frame = frame
        self.place = place
        self.seen = seen


class _Probe(_Open):
    __slots__ = ()
    is_probe = True


class _Roleless(_Open):
    __slots__ = ()
    roleless = True


class ClientConversation:
    """One connection to a server, without the socket.

    Args:
        version: of the protocol; the legacy one only changes the answer to LEADER.
        generation: of the server, if it is known; a probe may find out.
        limits: caps for what is sent and received.
        frame_log: whether to log frames; None does if the logger "dqlitewire.conversation" is at DEBUG now.
        decoder_options: more keywords for `MessageDecoder`, such as `text_errors`.

    Attributes:
        generation: the oldest server that the other end can be; decides what is refused.
        session: what the server keeps for this connection, as far as answered.
        phase: where the connection stands.
        error: what broke the conversation, or None.
    """

    def __init__(
        self,
        version: int = PROTOCOL_VERSION,
        *,
        generation: Generation = Generation.UNKNOWN,
        limits: Limits | None = None,
        frame_log: bool | None = None,
        **decoder_options: Any,
    ) -> None:
        self.version = version
        self.generation = generation
        self.session = Session()
        self.phase = Phase.NEW
        self.error: BaseException | None = None
        self._encoder = MessageEncoder(version, limits=limits)
        self._encode = self._encoder.encode
        self._decoder = _Decoder(version=version, limits=limits, **decoder_options)
        self._queue: deque[_Open] = deque()
        self._in_run = False  # the decoder is between two ROWS frames of a run
        self._log = frame_logger("client", True, frame_log)

    @property
    def unanswered(self) -> tuple[Any, ...]:
        """The requests that have not ended, in order."""
        return tuple(entry.request for entry in self._queue)

    @property
    def idle(self) -> bool:
        """Whether no request is open."""
        return not self._queue

    # ------------------------------------------------------------------ sending

    def send(self, request: Any, *, allow: Hazard = Hazard.NONE) -> bytes:
        """Return the bytes of a request, behind those of the handshake if it is the first, and expect its
        answer.

        Args:
            allow: hazards to take knowingly.

        Raises:
            EncodeError: the request cannot be encoded; nothing was sent.
            HazardError: it would harm the server; nothing was sent.
            StreamError: the conversation is over.
        """
        if self.phase is not Phase.OPEN:
            self._check_phase()
        kind = request.MSG_TYPE
        seen = check_statement(kind, request, self.session, self.generation, allow)
        frame = self._encode(request)
        if kind in CHECKED_BODIES or len(frame) > MAX_SAFE_BODY:
            refuse(body_hazards(kind, memoryview(frame)[HEADER_SIZE:], self.generation), allow, request)
        entry = _Open(request, frame, FIRST[kind], seen)
        if self._log is not None or self.phase is not Phase.OPEN or kind in _SENT_SPECIALLY:
            return self._sent(entry, kind)
        self._queue.append(entry)
        return frame

    def send_frame(self, frame: bytes, *, allow: Hazard = Hazard.NONE) -> bytes:
        """Return the bytes to send for one whole request frame, checked as a message is as far as it
        decodes."""
        self._check_phase()
        kind = frame[4]
        refuse(body_hazards(kind, memoryview(frame)[HEADER_SIZE:], self.generation), allow, frame)
        roleless = kind == RequestType.CLUSTER and not any(frame[8:16])
        entry_type = _Roleless if roleless else _Open
        try:
            request: Any = STRICT.read(frame, is_request=True)
        except DecodeError:
            place = FIRST.get(kind, UNKNOWN_REQUEST)
            return self._sent(entry_type(RawRequest(frame), frame, place, None), kind)
        seen = check_statement(kind, request, self.session, self.generation, allow)
        return self._sent(entry_type(request, frame, FIRST[kind], seen), kind)

    def send_probe(self, db_id: int | None = None) -> bytes:
        """Return the bytes that ask for the server's generation; the answer comes as Probed and sets it."""
        self._check_phase()
        frame = probe_generation(db_id)
        return self._sent(_Probe(RawRequest(frame), frame, FIRST[frame[4]], None), frame[4])

    def _sent(self, entry: _Open, kind: int) -> bytes:
        frame = entry.frame
        if self._log is not None:
            self._log(True, kind, len(frame), entry.request)
        if kind == RequestType.INTERRUPT and self._queue:
            last = self._queue[-1]
            if last.place.draining is not None and last.place is not last.place.draining:
                last.place = last.place.draining
                last.discarded = 0
        elif kind in _CHANGES_SESSION:
            self.session.sent(entry.request)
        if self.phase is Phase.NEW:
            frame = self._encoder.encode_handshake() + frame
            self.phase = Phase.OPEN
        if kind == RequestType.CONNECT:
            self.phase = Phase.RAFT
        else:
            self._queue.append(entry)
        return frame

    def _check_phase(self) -> None:
        if self.phase is Phase.BROKEN:
            raise StreamError("the conversation is broken") from self.error
        if self.phase is not Phase.NEW and self.phase is not Phase.OPEN:
            raise StreamError(f"the conversation is over: {self.phase.value}")

    # ------------------------------------------------------------------ receiving

    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take bytes of the server and return what they say.

        Raises:
            WrongAnswerError: a frame that its request cannot get.
            DecodeError: a frame that does not decode, or above a cap.
            StreamError: the conversation is over.
        """
        if self.phase is not Phase.OPEN:
            self._check_phase()
        events: list[Event] = []
        try:
            self._decoder.feed(data)
            self._read_frames(events)
        except ConcurrentUseError:
            raise
        except BaseException as error:
            self._break(error)
            raise
        return events

    def _break(self, error: BaseException) -> None:
        self.error = error
        self.phase = Phase.BROKEN

    def _read_frames(self, events: list[Event]) -> None:
        decoder, queue = self._decoder, self._queue
        waiting = decoder.waiting
        while len(waiting) >= HEADER_SIZE:
            kind = waiting[4] | waiting[5] << 8
            if not queue or kind not in queue[0].place.after:
                if not decoder.has_message():
                    return
                kind = self._checked(kind & 0xFF, kind >> 8)
            entry = queue[0]
            size = decoder.pending_frame_size() if self._log is not None else 0
            message: Any
            if self._in_run or entry.roleless:
                message = self._decode_specially(entry)
            else:
                message = decoder.decode()
            if message is None:
                return
            if self._log is not None:
                self._log(False, kind, size, message)
            place = entry.place
            if kind == DONE:
                self._in_run = more = message.has_more
                then = place.after[PART if more else DONE]
            else:
                self._in_run = more = False
                then = place.after[kind]
            entry.place = then
            if then.ended:
                queue.popleft()
            seen = entry.seen
            if place is place.draining:
                self._drained(entry, kind, message, events)
            elif kind == _FAILURE:
                self._failed(entry, message, events)
            elif seen is None:
                self._answered(entry, message, events)
            else:
                if not (more or seen.plain):
                    self.session.ran(seen)
                if kind == DONE:
                    events.append(Rows(entry.request, message, not more))
                else:
                    events.append(Answered(entry.request, message))

    def _decode_specially(self, entry: _Open) -> Any:
        if entry.roleless:
            frame = self._decoder.take_frame()
            return None if frame is None else STRICT.read(frame, is_request=False, servers_format=0)
        try:
            return self._decoder.decode_continuation()
        except ServerFailure as failure:
            return FailureResponse(failure.code, failure.message)

    def _checked(self, kind: int, schema: int) -> int:
        # off the hot path: the one answer that has schemas, or a wrong one
        entry = self._queue[0] if self._queue else None
        if entry is not None and kind in entry.place.after and schema <= getattr(entry.request, "schema", 0):
            return kind
        place = entry.place if entry else None
        raise wrong_answer(
            self._decoder.take_frame() or b"", place, entry and entry.request, entry.frame if entry else None
        )

    # ------------------------------------------------------------------ what an answer means

    def _answered(self, entry: _Open, message: Any, events: list[Event]) -> None:
        # the answer to a request of which no SQL text is known
        if entry.is_probe:
            self._probed(entry, message, events)
        elif message.MSG_TYPE == DONE:
            events.append(Rows(entry.request, message, not message.has_more))
        else:
            self.session.answered(entry.request, message)
            events.append(Answered(entry.request, message))

    def _probed(self, entry: _Open, message: Any, events: list[Event]) -> None:
        self.generation = max(self.generation, judge_generation(message))
        events.append(Probed(self.generation, message, entry.request))

    def _failed(self, entry: _Open, failure: FailureResponse, events: list[Event]) -> None:
        if entry.is_probe:
            self._probed(entry, failure, events)
            return
        outcome = self._outcome(entry, failure)
        events.append(
            Failed(entry.request, failure, outcome, self.session.text(entry.request), self.generation)
        )
        self._after_failure(entry, failure, events)

    def _outcome(self, entry: _Open, failure: FailureResponse) -> Outcome:
        return explain_failure(
            failure.code,
            failure.message,
            request=entry.request,
            sql=self.session.text(entry.request),
            generation=self.generation,
        ).outcome

    def _after_failure(self, entry: _Open, failure: FailureResponse, events: list[Event]) -> None:
        session = self.session
        session.answered(entry.request, failure)
        if loses_session(failure):
            if session.database is not None:
                statements = tuple(session.statements)
                events.append(SessionLost(session.database, statements, session.in_transaction))
            session.clear()
        else:
            session.failed(entry.seen, failure.code)

    def _drained(self, entry: _Open, kind: int, message: Any, events: list[Event]) -> None:
        if kind != _EMPTY:
            entry.discarded += 1
        if not entry.place.ended:
            return
        if kind == DONE:
            outcome = Outcome.DONE
            if entry.seen is not None:
                self.session.ran(entry.seen)
        elif kind == _FAILURE:
            outcome = self._outcome(entry, message)
        else:
            outcome = self._outcome_unseen(entry)
            if entry.seen is None or not entry.seen.plain:
                self.session.unknown()
        events.append(Interrupted(entry.request, entry.discarded, outcome))
        if kind == _FAILURE:
            self._after_failure(entry, message, events)
        elif kind == _EMPTY:
            events.append(Answered(self._queue.popleft().request, message))

    def _outcome_unseen(self, entry: _Open) -> Outcome:
        kind = entry.request.MSG_TYPE
        return Outcome.UNKNOWN if changes_something(kind, entry.seen) else Outcome.NOT_EXECUTED

    # ------------------------------------------------------------------ the end

    def receive_eof(self) -> list[Event]:
        """Take the end of the stream: what was open is lost, and the last event says where the stream
        ended."""
        self._check_phase()
        leftover = len(self._decoder.waiting)
        head = self._queue[0] if self._queue else None
        if leftover:
            ending = Ending.MID_FRAME
        elif head is not None and self._in_run:
            ending = Ending.MID_ANSWER
        else:
            ending = Ending.CLEAN if head is None else Ending.UNANSWERED
        events: list[Event] = [Lost(entry.request, self._outcome_unseen(entry)) for entry in self._queue]
        events.append(Ended(ending, leftover))
        self._queue.clear()
        self.session.clear()
        self.phase = Phase.ENDED
        return events


_CHANGES_SESSION = frozenset({RequestType.OPEN, RequestType.PREPARE, RequestType.FINALIZE})
_SENT_SPECIALLY = _CHANGES_SESSION | {RequestType.INTERRUPT, RequestType.CONNECT}
