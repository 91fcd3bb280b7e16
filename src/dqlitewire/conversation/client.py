"""The client's side: requests in, bytes out; bytes in, events out, each with the request it answers.

The contract: the k-th answer belongs to the k-th request. `send` may be called while answers are open, as
long as the answers are received meanwhile (a server that cannot write stops reading). A frame that the table
does not allow ends the conversation with an error that carries both frames; so does one that does not decode,
and an interrupt (`guard.py`). After that, and after the end of the stream, the connection cannot be used;
`receive_eof` then returns what became of the requests that have had no event. One owner at a time, as for the
decoder.

The queue. A request that was sent is one entry `(request, frame, place, seen)` until it has ended: the object
that was given, the frame, where it stands in the table, and what its SQL does (None if it has none, or one
that is not known). The head of the queue is the request that the next frame answers.

The fast path. Most traffic is one request whose SQL neither begins nor ends a transaction (`seen.plain`), and
one frame that answers it. Neither changes anything but the queue, so what the general path asks of each
request and each frame is asked once, when it may have changed, and kept in two flags that `_settle` computes:

    _sends_fast      the handshake was sent, nothing is logged, no frame can be dangerously large, and the
                     database is not one that kills the node
    _receives_fast   the same of phase and log, no row stream is open, no answer to CLUSTER is expected that
                     is decoded in a format of its own, and the session knows that the node leads

    send      general: _send -> check_request, encode, check_frame, _sent -> log, session, handshake, queue
              fast:    survey from the cache, encode, queue
    receive   general: feed -> table -> decode -> _ended -> session, events
              fast:    table -> the reader of the frame on the caller's bytes -> Answered

What changes the phase, the log, the session, `_in_row_stream` or `_roleless` must call `_settle` afterwards;
a flag that is wrongly False costs a microsecond, one that is wrongly True loses a check. The fast path of
`receive` takes only bytes that are exactly one frame, while none wait, and only answers that are one frame
and change nothing but the queue (`Place.alone`): no ROWS, no FAILURE, nothing behind an INTERRUPT. It never
touches the decoder's buffer, and leaves queue and events as the general path does, so that the two mix
freely.

Interrupts. A frame is taken from the stream before its event is in the list, and the list is lost if an
interrupt strikes before the caller has it. `_undelivered` is therefore the list that `receive` is about to
return, and `_open_before` the length of the queue before; the event is appended first and the entry taken off
the queue afterwards. So a broken conversation knows which events were never handed over, and `receive_eof`
returns these first; a request is found in the list or in the queue, and one that is in both is counted once.
"""

from __future__ import annotations

from ..checks import readable
from ..codec import MessageDecoder
from ..constants import HEADER_SIZE, PROTOCOL_VERSION, RequestType, ResponseType
from ..dispatch import words_and_key
from ..exceptions import ServerFailure
from ..guard import ORDINARY, bare, even_broken, frame_of, guarded, has_returned, unguarded
from ..messages import FailureResponse
from ..servers.failures import Outcome
from ..servers.generation import Generation, judge_generation
from .errors import wrong_answer
from .events import Answered, Ended, Ending, Interrupted, Lost, Phase, Probed, Rows, SessionLost
from .frames import STRICT, is_roleless
from .outcomes import RUNS, failed, lost, outcome_without_answer
from .sending import Probe, SendingHalf
from .table import DONE, FAILURE, PART

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..limits import Limits
    from .events import Event
    from .outcomes import Open

__all__ = ["ClientConversation"]

_EMPTY = int(ResponseType.EMPTY)


class ClientConversation(SendingHalf):
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
        super().__init__(version, generation, limits, frame_log)
        decoder = MessageDecoder(version=version, limits=limits, **decoder_options)
        self._decoder = decoder
        self._feed = bare(decoder.feed)
        self._waiting = decoder._data  # the table is asked before a frame is decoded
        self._decode_first: Callable[[], Any] = bare(decoder.decode)
        self._decode_continuation: Callable[[], Any] = bare(decoder.decode_continuation)
        self._readers, self._read_options = decoder._readers, decoder._options
        self._discarded = 0  # frames of the request at the head, since an INTERRUPT was sent behind it
        self._undelivered: list[Event] = []  # what `receive` is to return, or was when interrupted
        self._open_before = 0  # requests that were open when it began
        self._over = False  # `receive_eof` has accounted for all requests

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

    def _left(self, error: BaseException, method: Callable[..., Any]) -> None:
        """As `Guarded._left`; besides, forget `_undelivered` unless this error keeps it from the caller."""
        if self._error is None and not (method is _RECEIVE and self._is_undelivered(error)):
            self._undelivered = []
        super()._left(error, method)
        if method in (_RECEIVE, _RECEIVE_EOF) and not isinstance(error, ORDINARY):
            self._over = False  # `receive_eof` must account again: what it returned was lost

    def _is_undelivered(self, error: BaseException) -> bool:
        frame = frame_of(_RECEIVE, error)
        return has_returned(error) if frame is None else frame.f_locals.get("events") is self._undelivered

    # ------------------------------------------------------------------ receiving

    @guarded
    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take bytes of the server and return what they say; no bytes are the end of the stream.

        That is what a socket returns at its end; see `receive_eof` for what it means.

        Args:
            data: the bytes, cut anywhere.

        Returns:
            The events of the frames that are complete, in order.

        Raises:
            WrongAnswerError: a frame that its request cannot get.
            DecodeError: a frame that does not decode, or above a cap.
            StreamError: the conversation is over.
        """
        queue, waiting = self._queue, self._waiting
        events: list[Event] = []
        self._open_before, self._undelivered = len(queue), events
        if self._receives_fast:
            if type(data) is bytes and queue and not waiting and self._receive_alone(data, events):
                return events
        elif self._phase is not Phase.OPEN:
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
                else:
                    self._ended(kind, message, events)
        except BaseException as error:
            self._break(error)
            raise
        return events

    def _receive_alone(self, data: bytes, events: list[Event]) -> bool:
        """Take bytes that are the whole answer of the request at the head, and nothing else; else False."""
        size = len(data)
        if size < HEADER_SIZE or size > self._read_options.max_message_size:
            return False
        words, key = words_and_key(data)
        request, _, place, seen = self._queue[0]
        # frame_size, without the call
        if size != 8 + 8 * words or key not in place.alone or seen is None or not seen.plain:
            return False
        try:
            message = self._readers[key](data, size, self._read_options)
            events.append(Answered(request, message))
            self._queue.popleft()
        except BaseException as error:
            self._break(error)
            raise
        return True

    def _ended(self, kind: int, message: Any, events: list[Event]) -> None:
        """Add the events of a frame that ends an answer, and take its request off the queue."""
        queue = self._queue
        entry = queue[0]
        request, _, place, seen = entry
        if self._in_row_stream:
            self._in_row_stream = False
            self._settle()
        odd = seen is None or not seen.plain or kind == FAILURE or place.is_draining
        if odd or not self.session.leads:
            self._add_events(entry, kind, message, events)
            self._settle()
        elif kind == DONE:
            events.append(Rows(request, message, True))
        else:
            events.append(Answered(request, message))
        queue.popleft()  # after the event is in the list, see the head of the module

    def _part(self, message: Any, events: list[Event]) -> None:
        """Add the event of a ROWS frame with more to come; none if the query was interrupted."""
        request, frame, place, seen = self._queue[0]
        if not self._in_row_stream:
            self._in_row_stream = True
            self._queue[0] = (request, frame, place.after[PART], seen)
            self._settle()
        if place.is_draining:
            self._discarded += 1
        else:
            events.append(Rows(request, message, False))

    def _decode(self) -> Any:
        """Decode the next frame, None while it is incomplete."""
        if self._log is not None or self._roleless:
            return self._decode_specially()
        return self._decode_next() if self._in_row_stream else self._decode_first()

    def _decode_specially(self) -> Any:
        kind, size = self._waiting[4], self._decoder.pending_frame_size()
        message: Any
        if kind == ResponseType.SERVERS and is_roleless(self._queue[0][1]):
            frame = self._decoder.take_frame()
            message = None if frame is None else STRICT.read(frame, is_request=False, servers_format=0)
        else:
            message = self._decode_next() if self._in_row_stream else self._decode_first()
        if self._log is not None and message is not None:
            self._log(False, kind, size, message)
        return message

    def _decode_next(self) -> Any:
        try:
            return self._decode_continuation()
        except ServerFailure as failure:
            return FailureResponse(failure.code, failure.message)

    def _check_answer(self, kind: int, schema: int) -> bool:
        """Raise unless a frame with a schema, or of a type that the table does not list, is an answer all the
        same.

        STMT is the one answer with schemas. False until the frame is whole, which the error shows.
        """
        if not self._decoder.has_message():
            return False
        if not self._queue:
            raise wrong_answer(self._decoder.take_frame() or b"", None, None, None)
        request, frame, place, _ = self._queue[0]
        if kind not in place.after or schema > getattr(request, "schema", 0):
            raise wrong_answer(self._decoder.take_frame() or b"", place, request, frame)
        return True

    # ------------------------------------------------------------------ what an answer means

    def _add_events(self, entry: Open, kind: int, message: Any, events: list[Event]) -> None:
        request, _, place, seen = entry
        if place.is_draining:
            self._drained(entry, kind, message, events)
        elif type(request) is Probe:
            self.generation: Generation = max(self.generation, judge_generation(message))
            events.append(Probed(self.generation, message, request))
        elif kind == FAILURE:
            events += failed(entry, message, self.session, self.generation)
        else:
            asked = entry[1][4]
            if asked in RUNS:
                self.session.ran(seen or self.session.what_ran(request), asked)
            else:
                self.session.answered(request, message)
            event = Rows(request, message, True) if kind == DONE else Answered(request, message)
            events.append(event)
            if asked == RequestType.TRANSFER:  # this node led until it answered
                events += lost(self.session)

    def _drained(self, entry: Open, kind: int, message: Any, events: list[Event]) -> None:
        """Add the events of a frame that ends a query with an INTERRUPT behind it."""
        request, frame, _, seen = entry
        session = self.session
        seen = seen or session.what_ran(request)
        discarded, self._discarded = self._discarded, 0
        if kind == _EMPTY:
            events.append(Interrupted(request, discarded, outcome_without_answer(entry)))
            events.append(Answered(self._queue[1][0], message))  # the INTERRUPT itself
            self._queue.popleft()
            if seen is None or not (seen.reads_only or (seen.plain and session.in_transaction is False)):
                session.unknown()
        elif kind == FAILURE:
            (failure, *others) = failed(entry, message, session, self.generation)
            events += [Interrupted(request, discarded + 1, failure.outcome), *others]
        else:
            events.append(Interrupted(request, discarded + 1, Outcome.DONE))
            session.ran(seen, frame[4])

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
        events = [] if self._error is None else self._undelivered.copy()
        taken = self._open_before - len(self._queue)
        # An interrupt between the event of a request and its end in the queue leaves one event more than were
        # taken: that request does not come out as Lost as well.
        ended = sum(map(_ends_request, events))
        left = [*self._queue][ended - taken if events else 0 :]
        if leftover:
            ending = Ending.MID_FRAME
        elif self._in_row_stream:
            ending = Ending.MID_ANSWER
        else:
            ending = Ending.UNANSWERED if left else Ending.CLEAN
        events += [Lost(entry[0], outcome_without_answer(entry)) for entry in left]
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
