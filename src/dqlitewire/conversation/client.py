"""The client's side: requests in, bytes out; bytes in, events out, each answer with the request it belongs
to.

The contract: the k-th answer belongs to the k-th request. `send` may be called while answers are open, as
long as somebody goes on receiving. A frame that the table does not allow ends the conversation with an error
that carries both frames; so does one that does not decode, and an interrupt (`guard.py`). After that, and
after the end of the stream, the connection is of no use; `receive_eof` then says what became of the requests
that nothing was said of. One owner at a time, as for the decoder.
"""

from __future__ import annotations

from collections import deque

from ..checks import readable
from ..codec import MessageDecoder, MessageEncoder, encoded
from ..constants import HEADER_SIZE, PROTOCOL_VERSION, SQLITE_NOTFOUND, RequestType, ResponseType
from ..exceptions import DecodeError, EncodeError, ServerFailure, StreamError
from ..guard import ORDINARY, Guarded, bare, even_broken, frame_of, guarded, has_returned, unguarded
from ..messages import FailureResponse
from ..servers.failures import Outcome, changes_something, explain_failure
from ..servers.generation import Generation, checked_generation, judge_generation, probe_generation
from ..servers.hazards import (
    CHECKED_FIELDS,
    MAX_SAFE_BODY,
    RUNS_SQL,
    RUNS_STATEMENT,
    Hazard,
    check_frame,
    check_request,
)
from ..sql.survey import SURVEYS, survey
from ..text import shown
from .errors import wrong_answer
from .events import Answered, Ended, Ending, Failed, Interrupted, Lost, Phase, Probed, Rows, SessionLost
from .frame_log import frame_log as frame_logger
from .frames import STRICT, RawRequest, whole_frame
from .session import Session, loses_session
from .table import DONE, FIRST, PART, UNKNOWN_REQUEST, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from ..limits import Limits
    from ..sql.survey import Survey
    from .events import Event

    _Open = tuple[Any, bytes, Place, Survey | None]

__all__ = ["ClientConversation"]

_FAILURE, _EMPTY = int(ResponseType.FAILURE), int(ResponseType.EMPTY)


class _Decoder(MessageDecoder):
    # also shows the bytes that wait, so that the table is asked before a frame is decoded
    __slots__ = ("waiting",)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.waiting = self._data


class _Probe(RawRequest):
    # its answer tells the server's generation
    __slots__ = ()


def _no_request(message: object) -> EncodeError:
    return EncodeError(f"got {shown(message, 60)}, a request is needed")


class ClientConversation(Guarded):
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
        super().__init__()
        self.version = version
        self.generation = checked_generation(generation)
        self.session = Session()
        self._phase = Phase.NEW
        self._encoder = MessageEncoder(version, limits=limits)
        self._options = self._encoder._options
        self._decoder = _Decoder(version=version, limits=limits, **decoder_options)
        self._feed = bare(self._decoder.feed)
        self._waiting = self._decoder.waiting
        self._decode_first: Callable[[], Any] = bare(self._decoder.decode)
        self._decode_next: Callable[[], Any] = bare(self._decoder.decode_continuation)
        self._decode: Callable[[], Any] = self._decode_first  # reads the next frame, see `_settle`
        # what was sent and has not ended: the request, its frame, where it stands, what its SQL does
        self._queue: deque[_Open] = deque()
        self._in_run = False  # the decoder is between two ROWS frames of a run
        self._unlimited = (
            limits is not None and (limits.max_message_size or MAX_SAFE_BODY + 1) > MAX_SAFE_BODY
        )
        self._roleless = False  # a CLUSTER was sent that is answered by nodes without roles
        self._usual = False  # a request can be sent when it is harmless itself, see `_settle`
        self._discarded = 0  # frames of the request at the head, since an INTERRUPT was sent behind it
        self._log = frame_logger("client", True, frame_log)
        # what `receive` was about to hand over when it broke, and how many requests were open before
        self._unsaid: list[Event] = []
        self._were_open = 0
        self._over = False  # what was open has been said to be lost

    @property
    def phase(self) -> Phase:
        """Where the connection stands."""
        return self._phase if self._broken_by is None else Phase.BROKEN

    @property
    def error(self) -> BaseException | None:
        """What broke the conversation, or None."""
        return self._broken_by

    @property
    def unanswered(self) -> tuple[Any, ...]:
        """The requests that have not ended, in order."""
        return () if self._over else tuple(entry[0] for entry in self._queue)

    @property
    def idle(self) -> bool:
        """Whether no request is open."""
        return self._over or not self._queue

    # ------------------------------------------------------------------ sending

    @guarded
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
        session, seen = self.session, None
        # the requests that matter, with a text that is no hazard, go without another call
        try:
            kind = request.MSG_TYPE
            if kind in RUNS_SQL:
                seen = SURVEYS.get(request.sql) or survey(request.sql)
            elif (
                kind in RUNS_STATEMENT
                and request.IS_REQUEST
                and request.stmt_id in session.statements
                and not session.closing
            ):
                seen = session.statements[request.stmt_id].seen
        except AttributeError:
            raise _no_request(request) from None
        if seen is None or not (seen.plain and self._usual):
            return self._send(kind, request, allow)
        frame = encoded(request, self._options)
        if frame[5]:
            check_frame(kind, frame, self.generation, allow, request)
        self._queue.append((request, frame, FIRST[kind], seen))
        return frame

    def _send(self, kind: int, request: Any, allow: Hazard) -> bytes:
        self._check_phase()
        if not getattr(request, "IS_REQUEST", False):
            raise _no_request(request)
        seen = check_request(kind, request, self.session, self.generation, allow)
        frame = encoded(request, self._options)
        if kind in CHECKED_FIELDS or frame[5] or len(frame) > MAX_SAFE_BODY:
            check_frame(kind, frame, self.generation, allow, request)
        return self._sent((request, frame, FIRST.get(kind, UNKNOWN_REQUEST), seen))

    @guarded
    def send_frame(self, frame: bytes | bytearray | memoryview, *, allow: Hazard = Hazard.NONE) -> bytes:
        """Return the bytes to send for a request frame, checked like a message as far as it decodes.

        Raises:
            EncodeError: it is not exactly one whole frame; nothing was sent.
            HazardError: it would harm the server; nothing was sent.
            StreamError: the conversation is over.
        """
        self._check_phase()
        frame = whole_frame(frame, "request")
        kind = frame[4]
        check_frame(kind, frame, self.generation, allow, frame)
        try:
            request: Any = STRICT.read(frame, is_request=True)
        except DecodeError:
            return self._sent((RawRequest(frame), frame, FIRST.get(kind, UNKNOWN_REQUEST), None))
        seen = check_request(kind, request, self.session, self.generation, allow)
        return self._sent((request, frame, FIRST[kind], seen))

    @guarded
    def send_probe(self, db_id: int | None = None) -> bytes:
        """Return the bytes that ask for the server's generation; the answer comes as Probed and sets it."""
        self._check_phase()
        frame = probe_generation(db_id)
        return self._sent((_Probe(frame), frame, FIRST[frame[4]], None))

    def _sent(self, entry: _Open) -> bytes:
        request, frame = entry[:2]
        kind = frame[4]
        if self._log is not None:
            self._log(True, kind, len(frame), request)
        if kind == RequestType.INTERRUPT and self._queue:
            last, last_frame, place, seen = self._queue[-1]
            self._queue[-1] = (last, last_frame, place.draining or place, seen)
        elif kind in _CHANGES_SESSION:
            self.session.sent(request)
        elif kind == RequestType.CLUSTER:
            self._roleless = self._roleless or _is_roleless(frame)
        if self._phase is Phase.NEW:
            frame = self._encoder.encode_handshake() + frame
            self._phase = Phase.OPEN
        if kind == RequestType.CONNECT:
            self._phase = Phase.RAFT
        else:
            self._queue.append(entry)
        self._settle()
        return frame

    def _settle(self) -> None:
        # to be called after whatever may change one of these
        log = self._log is not None
        self._usual = not (log or self._unlimited or self.session.in_memory) and self._phase is Phase.OPEN
        if log or self._roleless:
            self._decode = self._decode_specially
        else:
            self._decode = self._decode_continuation if self._in_run else self._decode_first

    def _check_phase(self) -> None:
        if self._phase is not Phase.NEW and self._phase is not Phase.OPEN:
            raise StreamError(f"the conversation is over: {self._phase.value}")

    def _refuse(self, broken_by: BaseException) -> NoReturn:
        raise StreamError("the conversation is broken") from broken_by

    def _left(self, error: BaseException, method: Callable[..., Any]) -> None:
        if self._error is None and not (method is _RECEIVE and self._is_unsaid(error)):
            self._unsaid = []  # it has been handed over
        super()._left(error, method)
        if method in (_RECEIVE, _RECEIVE_EOF) and not isinstance(error, ORDINARY):
            self._over = False  # if it was about to say so, that has not arrived

    def _is_unsaid(self, error: BaseException) -> bool:
        frame = frame_of(_RECEIVE, error)
        return has_returned(error) if frame is None else frame.f_locals.get("events") is self._unsaid

    # ------------------------------------------------------------------ receiving

    @guarded
    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take bytes of the server and return what they say; no bytes are the end of the stream.

        That is what a socket returns at its end; see `receive_eof` for what it means.

        Raises:
            WrongAnswerError: a frame that its request cannot get.
            DecodeError: a frame that does not decode, or above a cap.
            StreamError: the conversation is over.
        """
        queue, waiting = self._queue, self._waiting
        events: list[Event] = []
        self._were_open, self._unsaid = len(queue), events
        if not self._usual:
            self._check_phase()
        if type(data) is not bytes:
            data = readable(data)
        if not data:
            return self._end()
        self._feed(data)
        try:
            while len(waiting) >= HEADER_SIZE:
                kind = waiting[4]
                odd = waiting[5] or not queue or kind not in queue[0][2].after
                if odd and not self._check_answer(kind, waiting[5]):
                    break
                message = self._decode()
                if message is None:
                    break
                if kind == DONE and message.has_more:
                    self._part(message, events)
                    continue
                if self._in_run:
                    self._in_run = False
                    self._settle()
                request, _, place, seen = queue[0]
                if seen is None or not seen.plain or kind == _FAILURE or place.is_draining:
                    self._ended(queue[0], kind, message, events)
                elif kind == DONE:
                    events.append(Rows(request, message, True))
                else:
                    events.append(Answered(request, message))
                queue.popleft()  # behind its event: a request without one is always found in here
        except BaseException as error:
            self._break(error)
            raise
        return events

    def _part(self, message: Any, events: list[Event]) -> None:
        request, frame, place, seen = self._queue[0]
        if not self._in_run:
            self._in_run = True
            self._queue[0] = (request, frame, place.after[PART], seen)
            self._settle()
        if place.is_draining:
            self._discarded += 1
        else:
            events.append(Rows(request, message, False))

    def _decode_continuation(self) -> Any:
        try:
            return self._decode_next()
        except ServerFailure as failure:
            return FailureResponse(failure.code, failure.message)

    def _decode_specially(self) -> Any:
        kind, size = self._waiting[4], self._decoder.pending_frame_size()
        message: Any
        if kind == ResponseType.SERVERS and _is_roleless(self._queue[0][1]):
            frame = self._decoder.take_frame()
            message = None if frame is None else STRICT.read(frame, is_request=False, servers_format=0)
        else:
            message = self._decode_continuation() if self._in_run else self._decode_first()
        if self._log is not None and message is not None:
            self._log(False, kind, size, message)
        return message

    def _check_answer(self, kind: int, schema: int) -> bool:
        # off the hot path: the one answer that has schemas, or a wrong one; False until the frame is whole
        if not self._decoder.has_message():
            return False
        if not self._queue:
            raise wrong_answer(self._decoder.take_frame() or b"", None, None, None)
        request, frame, place, _ = self._queue[0]
        if kind not in place.after or schema > getattr(request, "schema", 0):
            raise wrong_answer(self._decoder.take_frame() or b"", place, request, frame)
        return True

    # ------------------------------------------------------------------ what an answer means

    def _ended(self, entry: _Open, kind: int, message: Any, events: list[Event]) -> None:
        # the last frame of an answer that says more than itself
        self._tell(entry, kind, message, events)
        self._settle()

    def _tell(self, entry: _Open, kind: int, message: Any, events: list[Event]) -> None:
        request, _, place, seen = entry
        if place.is_draining:
            self._drained(entry, kind, message, events)
        elif type(request) is _Probe:
            self.generation = max(self.generation, judge_generation(message))
            events.append(Probed(self.generation, message, request))
        elif kind == _FAILURE:
            outcome = self._outcome(request, message)
            text = self.session.text(request)
            events.append(Failed(request, message, outcome, text, self.generation))
            self._after_failure(entry, message, events)
        else:
            if seen is not None:
                self.session.ran(seen)
            else:
                self.session.answered(request, message)
            event = Rows(request, message, True) if kind == DONE else Answered(request, message)
            events.append(event)

    def _drained(self, entry: _Open, kind: int, message: Any, events: list[Event]) -> None:
        request, _, _, seen = entry
        discarded, self._discarded = self._discarded, 0
        if kind == _EMPTY:
            events.append(Interrupted(request, discarded, self._outcome_unseen(entry)))
            events.append(Answered(self._queue[1][0], message))  # the INTERRUPT itself
            self._queue.popleft()
            if seen is None or not seen.plain:
                self.session.unknown()
        elif kind == _FAILURE:
            events.append(Interrupted(request, discarded + 1, self._outcome(request, message)))
            self._after_failure(entry, message, events)
        else:
            events.append(Interrupted(request, discarded + 1, Outcome.DONE))
            if seen is not None:
                self.session.ran(seen)

    def _outcome(self, request: Any, failure: FailureResponse) -> Outcome:
        sql = self.session.text(request)
        code, message = failure.code, failure.message
        return explain_failure(code, message, request=request, sql=sql, generation=self.generation).outcome

    def _outcome_unseen(self, entry: _Open) -> Outcome:
        kind = entry[0].MSG_TYPE
        return Outcome.UNKNOWN if changes_something(kind, entry[3]) else Outcome.NOT_EXECUTED

    def _after_failure(self, entry: _Open, failure: FailureResponse, events: list[Event]) -> None:
        session = self.session
        session.answered(entry[0], failure)
        if not loses_session(failure, entry[0]):
            if failure.code != SQLITE_NOTFOUND and entry[1][4] in _RUNS:  # else nothing has run
                session.failed(entry[3], failure.code, failure.message)
        elif session.database is not None:  # else there is nothing to lose
            events.append(SessionLost(session.database, tuple(session.statements), session.in_transaction))
            session.clear()

    # ------------------------------------------------------------------ the end

    @even_broken
    def receive_eof(self) -> list[Event]:
        """Take the end of the stream, or give up a broken conversation: say what became of each request.

        Returns:
            Of a broken conversation, first what `receive` would have returned but for the error; then Lost
            for each request that is open, and Ended.

        Raises:
            StreamError: it has been called before, or `receive` was given the end.
        """
        if self._over:
            self._check_whole()
            self._check_phase()
        return self._end()

    def _end(self) -> list[Event]:
        leftover = len(self._waiting)
        events = [] if self._error is None else self._unsaid.copy()
        ended = self._were_open - len(self._queue)  # an interrupt may have come between event and queue
        left = [*self._queue][sum(map(_ends_request, events)) - ended if events else 0 :]
        if leftover:
            ending = Ending.MID_FRAME
        elif self._in_run:
            ending = Ending.MID_ANSWER
        else:
            ending = Ending.UNANSWERED if left else Ending.CLEAN
        events += [Lost(entry[0], self._outcome_unseen(entry)) for entry in left]
        events.append(Ended(ending, leftover))
        self.session.clear()
        self._phase = Phase.ENDED
        self._over = True
        self._settle()
        return events


def _ends_request(event: Event) -> bool:
    return not isinstance(event, SessionLost) and (not isinstance(event, Rows) or event.last)


_RECEIVE: Any = unguarded(ClientConversation.receive)
_RECEIVE_EOF: Any = unguarded(ClientConversation.receive_eof)


def _is_roleless(request_frame: bytes) -> bool:
    return request_frame[4] == RequestType.CLUSTER and not any(request_frame[HEADER_SIZE:])


_RUNS = RUNS_SQL | RUNS_STATEMENT
_CHANGES_SESSION = frozenset({RequestType.OPEN, RequestType.PREPARE, RequestType.FINALIZE})
