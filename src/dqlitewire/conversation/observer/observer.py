"""Follow a connection between a client and a server: bytes of both sides in, frames and exchanges out.

The contract: the k-th answer belongs to the k-th request, as the table says. An answer that its request
cannot get ends the request as "wrong"; an answer to no request is an exchange of its own, an "orphan". Only
after bytes were lost may an answer skip requests that cannot have got it; those come out "unanswered".
Nothing that the bytes say raises an error.

Lost bytes may have been whole frames, so which request an answer belongs to may be unknown behind them:

    request 1   request 2      (lost: answer 1)   an answer   is it that of 1 or of 2?

A client that has never been seen to send a request before the last one was answered is taken not to do so:
its next request tells that those before it were answered, unseen; they come out unanswered. Of any other
client the pairing is in doubt (`Exchange.doubtful`): after lost answers until an answer leaves no request
open, for then none was missing; after lost requests for good.

A Frame comes out before the Exchange it ends. Bytes of both sides may come in any interleaving in which no
answer precedes its request. No bytes (b"") are not the end of a stream: `receive_eof` says that.

What is held is bounded, whatever is sent and whichever side is silent:

* of each side, one frame that is not complete; of a frame above 64 MiB, the first bytes: it comes out when it
  has passed, with its header and its size (with `limits` of the caller, larger frames are garbage);
* `MAX_OPEN` requests without an answer, or twice `MAX_OPEN_BYTES` of them; then the oldest comes out
  unanswered;
* `prepared.MAX_STATEMENTS` texts of prepared statements, or `prepared.MAX_TEXTS` characters of them; then the
  oldest is forgotten;
* of an answer, what `keep_answers` and `exchange.MAX_KEPT` say.

An interrupt inside a method leaves the observer poisoned (`guard.py`): what it knew of the connection is
lost.
"""

from __future__ import annotations

from collections import deque

from ...checks import checked_number, checked_option, whole_bytes
from ...constants import PROTOCOL_VERSION_LEGACY, RequestType, ResponseType
from ...guard import Guarded, guarded
from ...limits import checked_cap
from ...text import shown
from ..events import Ending, Side
from ..first_bytes import is_interim
from ..frames import FrameReader, answer_key, is_roleless
from ..table import DONE, PART, Turn
from .exchange import Exchange, Frame
from .prepared import PreparedTexts
from .stream import State
from .stream_events import CUT_KINDS, End, Gap, Garbage, Preamble
from .stream_reader import StreamReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...exceptions import DecodeError
    from ...limits import Limits
    from ..events import Event

__all__ = ["Observer"]

MAX_OPEN = 1 << 14
MAX_OPEN_BYTES = 32 << 20
_OBJECT = 1024  # bytes that an exchange with its request, or a statement, takes besides its data
_EMPTY, _FAILURE = int(ResponseType.EMPTY), int(ResponseType.FAILURE)


class Observer(Guarded):
    """Both directions of one connection.

    Args:
        limits: caps for decoding; that of a frame also bounds what a header may announce.
        count_rows: whether to count the rows of ROWS frames; without, `Exchange.row_count` is None and a
            frame costs a few microseconds.
        keep_answers: answer frames kept in one exchange, at least 1; None for all.
        handshake: whether the client's stream begins with the handshake; without, both streams begin with a
            frame, as when they were cut behind it.
        midstream: whether the connection was joined at an unknown place, so that frames are looked for, or
            messages between nodes.
        raft: whether the client's stream has messages between nodes from its beginning on, as when it was cut
            behind CONNECT.

    Raises:
        ValueError: `keep_answers` is below 1.
        TypeError: it is neither an integer nor None.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        count_rows: bool = True,
        keep_answers: int | None = 64,
        handshake: bool = True,
        midstream: bool = False,
        raft: bool = False,
    ) -> None:
        super().__init__()
        self._count_rows = count_rows
        self._keep = checked_cap("keep_answers", keep_answers)
        self._events: list[Event] = []
        reader = FrameReader(limits, tolerant=True)
        begin = State.LOST if midstream else State.START if handshake else State.FRAMES
        self._streams = {side: StreamReader(side, self._take, reader, limits, begin) for side in Side}
        self._client = self._streams[Side.CLIENT]
        if raft:
            for stream in self._streams.values():
                stream.follow_raft(in_step=not midstream)
        self._queue: deque[Exchange] = deque()
        self._orphan: Exchange | None = None  # an answer of several frames to no request
        self._request_bytes = 0  # bytes of requests that came since the open ones were counted
        self._prepared = PreparedTexts()
        self._pipelines = False  # a request came while another was open
        self._answers_lost = False  # while requests were open
        self._requests_lost = False

    @property
    def version(self) -> int | None:
        """The version in the client's handshake; None before it or if it was not seen."""
        return self._client.version

    @property
    def unanswered(self) -> tuple[Exchange, ...]:
        """The exchanges that are open, in order."""
        return tuple(self._queue)

    def offset(self, side: Side) -> int:
        """Return how many bytes of one side's stream have come out in events.

        Args:
            side: who sent them.
        """
        return self._stream(side).offset

    def received(self, side: Side) -> int:
        """Return how many bytes of one side's stream came, lost ones included where their number is known.

        Args:
            side: who sent them.
        """
        return self._stream(side).received

    @property
    def error(self) -> BaseException | None:
        """What poisoned the observer, or None."""
        return self._broken_by

    @property
    def held(self) -> int:
        """About how many bytes of memory are held for what is not over."""
        waiting = sum(stream.held for stream in self._streams.values())
        objects = len(self._queue) + len(self._prepared)
        return waiting + self._open_bytes + self._prepared.size + _OBJECT * objects

    @property
    def _open_bytes(self) -> int:
        return sum(exchange.request_bytes for exchange in self._queue)

    @guarded
    def receive(self, side: Side, data: bytes | bytearray | memoryview, time: float = 0.0) -> list[Event]:
        """Take bytes that one side sent, and return what they complete.

        Args:
            side: who sent them.
            data: the bytes, cut anywhere; none add nothing.
            time: when they came, in the unit that the times of the events shall have.

        Returns:
            Events in the order of the bytes: Preamble, Frame, RaftFrame, Garbage and Opaque of this side,
            and each Exchange behind the frame that ends it.

        Raises:
            PoisonedError: an earlier call was interrupted.
        """
        self._stream(side).receive(whole_bytes(data), time)
        return self._drained()

    @guarded
    def receive_cut(
        self,
        side: Side,
        kind: str,
        data: bytes | bytearray | memoryview,
        start: float = 0.0,
        end: float = 0.0,
        *,
        refusal: DecodeError | None = None,
    ) -> list[Event]:
        """Take bytes that an observer has cut before, as a recording has them.

        A frame that is none, and bytes behind others that wait, are read as `receive` reads them.

        Args:
            side: who sent them.
            kind: what they are: one of `stream_events.CUT_KINDS`.
            data: the bytes of one event.
            start: when the first of them came, in the unit that the times of the events shall have.
            end: when the last of them came.
            refusal: why a frame does not decode, whatever its bytes are; None if they tell.

        Returns:
            As `receive`.

        Raises:
            ValueError: there is no such kind.
            PoisonedError: an earlier call was interrupted.
        """
        checked_option("kind", kind, CUT_KINDS)
        self._stream(side).receive_cut(kind, whole_bytes(data), start, end, refusal)
        return self._drained()

    @guarded
    def receive_gap(
        self,
        side: Side,
        size: int | None = None,
        time: float = 0.0,
        *,
        whole_frames: bool = False,
        unkept: bytes = b"",
    ) -> list[Event]:
        """Note that bytes of one side were lost before they could be received.

        Args:
            side: who sent them.
            size: how many, None if that is not known.
            time: when that was noticed.
            whole_frames: the next byte begins what it would begin without the loss.
            unkept: the last eight bytes of a large frame, if its rest is what is missing here, and another
                reader saw it pass: then nothing was lost.

        Returns:
            A Gap, and whatever it ends.

        Raises:
            ValueError: `size` is below 0.
            TypeError: it is neither an integer nor None.
        """
        stream = self._stream(side)
        if size is not None:
            size = checked_number("size", size, 0, kind="an integer or None")
        stream.receive_gap(size, time, whole_frames, unkept)
        return self._drained()

    @guarded
    def receive_eof(self, side: Side, time: float = 0.0) -> list[Event]:
        """Take the end of one side's stream; the server's leaves open requests unanswered.

        Args:
            side: whose stream ended.
            time: when it ended.

        Returns:
            What was waiting, each open Exchange if it is the server's end, and End.
        """
        self._end_side(side, time)
        return self._drained()

    @guarded
    def finish(self, time: float = 0.0) -> list[Event]:
        """Take the end of the capture: both sides end, and everything that is open comes out.

        Args:
            time: when it ended.

        Returns:
            As `receive_eof`, for the client and then for the server.
        """
        for side in (Side.CLIENT, Side.SERVER):
            self._end_side(side, time)
        return self._drained()

    def _stream(self, side: Side) -> StreamReader:
        if not isinstance(side, Side):
            raise TypeError(f"got {shown(side)}, a Side is needed")
        return self._streams[side]

    def _end_side(self, side: Side, time: float) -> None:
        stream = self._stream(side)
        if not stream.ended:
            left = stream.finish()
            ending = Ending.MID_FRAME if stream.cut_short else self._ending(side, left)
            self._events.append(End(side, ending, left, stream.offset - len(left), time))
        if self._streams[Side.SERVER].ended:
            self._close_all()

    def _drained(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _ending(self, side: Side, left: bytes) -> Ending:
        if left:
            return Ending.MID_FRAME
        if side is Side.SERVER and (
            self._orphan is not None or (self._queue and self._queue[0].answer_count)
        ):
            return Ending.MID_ANSWER
        return Ending.UNANSWERED if self._queue else Ending.CLEAN

    # ------------------------------------------------------------------ what the stream readers emit

    def _take(self, event: Event) -> None:
        self._events.append(event)
        if isinstance(event, Frame):
            if event.is_request:
                self._request(event)
            else:
                self._answer(event)
        elif isinstance(event, Preamble):
            self._preamble(event)
        elif isinstance(event, (Gap, Garbage)):
            self._lost(event.side)

    def _lost(self, side: Side) -> None:
        if side is Side.CLIENT:
            self._requests_lost = True
        self._answers_lost = self._answers_lost or bool(self._queue)

    @property
    def _in_doubt(self) -> bool:
        """Whether an answer may be that of another request than the next one in the queue."""
        return self._answers_lost or (self._requests_lost and self._pipelines)

    def _preamble(self, preamble: Preamble) -> None:
        if preamble.kind == "http response" and not (preamble.upgrades or is_interim(preamble.data)):
            self._client.make_opaque("http")
        elif preamble.kind == "tls":
            self._streams[Side.SERVER].make_opaque("tls")

    def _request(self, frame: Frame) -> None:
        exchange = Exchange(frame)
        frame.exchange = exchange
        kind = frame.data[4]
        if not self._count_rows:
            exchange.row_count = None
        if exchange.place.turn is Turn.RAFT:
            for stream in self._streams.values():
                stream.follow_raft()
            self._end(exchange, "raft")
            return
        if kind == RequestType.INTERRUPT and self._queue:
            last = self._queue[-1]
            last.place = last.place.draining or last.place
        elif self._queue:
            self._sent_ahead()
        statement = exchange.runs_statement
        if statement is not None:
            exchange.sql = self._prepared.get(statement)
        self._queue.append(exchange)
        self._request_bytes += len(frame.data)
        if self._request_bytes > MAX_OPEN_BYTES or len(self._queue) > MAX_OPEN:
            self._drop_oldest()

    def _sent_ahead(self) -> None:
        """Take note that a request comes while others are open."""
        if self._answers_lost and not self._pipelines:
            self._answers_lost = False
            while self._queue:
                self._end(self._queue.popleft(), "unanswered")
        else:
            self._pipelines = True

    def _drop_oldest(self) -> None:
        """End the oldest requests unanswered until what is open is within its bounds.

        The open requests are counted each MAX_OPEN_BYTES, or each eighth of MAX_OPEN, so that no answer has
        to be subtracted.
        """
        self._request_bytes = 0
        held, most = self._open_bytes, MAX_OPEN if len(self._queue) <= MAX_OPEN else MAX_OPEN * 7 // 8
        while len(self._queue) > most or (held > MAX_OPEN_BYTES and len(self._queue) > 1):
            self._client.lossy = True  # an answer may belong to a request that has been given up
            self._requests_lost = True
            held -= self._queue[0].request_bytes
            self._end(self._queue.popleft(), "unanswered")

    def _answer(self, frame: Frame) -> None:
        key = frame.key if frame.left_out else answer_key(frame.data)
        if self._orphan is not None:
            self._continue_orphan(frame, key)
            return
        if not self._queue or key not in self._queue[0].place.after:
            self._unexpected(frame, key)
            return
        exchange = self._queue[0]
        self._add(exchange, frame, key)
        place = exchange.place
        exchange.place = then = place.after[key]
        if not then.ended:
            return
        self._queue.popleft()
        if key == _EMPTY and place is place.draining:
            self._end(exchange, "interrupted")
            interrupt = self._queue.popleft()
            interrupt.add(frame, self._keep)
            self._end(interrupt, "done")
        else:
            self._end(exchange, "failure" if key == _FAILURE else "done")
        if not self._queue:
            self._answers_lost = False

    def _add(self, exchange: Exchange, frame: Frame, key: int) -> None:
        kind = frame.data[4]
        if kind == ResponseType.LEADER and self.version == PROTOCOL_VERSION_LEGACY:
            frame.version = PROTOCOL_VERSION_LEGACY
        elif kind == ResponseType.SERVERS:
            request = exchange.request
            roleless = request is None or (is_roleless(request.data) and not request.damaged)
            # of a request that was not seen, does not decode, or is hidden, the answer tells more
            unsure = request is None or request.error is not None
            frame.servers_format = int(not roleless or (unsure and frame.decodes()))
        elif kind == ResponseType.ROWS and self._count_rows and exchange.row_count is not None:
            exchange.row_count += frame.rows
        if self._answers_lost or self._requests_lost:
            exchange.doubtful = exchange.doubtful or self._in_doubt
        exchange.add(frame, self._keep)
        if key == _EMPTY and exchange.place is exchange.place.draining:
            # One EMPTY ends the query and the INTERRUPT behind it; it is counted as the INTERRUPT's answer.
            exchange.answers.pop()
            exchange.answer_count -= 1
            exchange.answer_bytes -= frame.size

    def _unexpected(self, frame: Frame, key: int) -> None:
        """Take an answer that the request at the head cannot get.

        If bytes were lost it belongs to the first request behind that can get it; else it ends the request at
        the head as "wrong". What fits nowhere begins an orphan.
        """
        if any(stream.lossy for stream in self._streams.values()):
            for skipped, exchange in enumerate(self._queue):
                if key in exchange.place.after:
                    for _ in range(skipped):
                        self._end(self._queue.popleft(), "unanswered")
                    self._answer(frame)
                    return
        elif self._queue:
            exchange = self._queue.popleft()
            exchange.add(frame, self._keep)
            self._end(exchange, "wrong")
            return
        self._orphan = Exchange(None)
        self._continue_orphan(frame, key)

    def _continue_orphan(self, frame: Frame, key: int) -> None:
        """Take a frame while an answer to no request is open: its next frame, or the end of it."""
        orphan = self._orphan
        assert orphan is not None
        if orphan.answers and key not in (PART, DONE, _FAILURE, _EMPTY):
            self._end(orphan, "orphan")
            self._orphan = None
            self._answer(frame)
            return
        self._add(orphan, frame, key)
        if key != PART:
            self._orphan = None
            self._end(orphan, "orphan")

    def _end(self, exchange: Exchange, ending: str) -> None:
        exchange.ending = ending
        request = exchange.request
        if request is not None:
            statement = exchange.runs_statement
            if statement is None:
                self._prepared.follow(exchange, request)
            else:  # looked up again: a PREPARE sent ahead of the request has been answered since
                exchange.sql = self._prepared.get(statement)
        self._events.append(exchange)

    def _close_all(self) -> None:
        if self._orphan is not None:
            self._end(self._orphan, "orphan")
            self._orphan = None
        while self._queue:
            self._end(self._queue.popleft(), "unanswered")
