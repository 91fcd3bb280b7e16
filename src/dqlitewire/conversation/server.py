"""The server's side: bytes in, requests out one at a time; answers in, checked against the table, bytes out.

The contract: a request must be answered whole before the next one comes out; what was sent ahead waits in
order, as it waits in the socket of a dqlite node. Requests can be had on two levels:

* `next_event` hands out frames and judges nothing; it is for servers that judge requests themselves.
* `next_request` hands out decoded requests, and a `Refused` for what a server of `generation` refuses.

Answers are looked up in the table (`table.py`) from the place of the open request, `_place`: an answer that
leads nowhere raises and changes nothing, PART keeps the request open, any other one closes it.

    next_event/next_request       answer(PART)  answer(DONE)
    nothing open ----> WAITING ----> STREAMING ----> nothing open

A query and the INTERRUPT behind it are the exception to one at a time. The INTERRUPT is seen before its turn
(`interrupted`), and one EMPTY then ends both; if the query ends by itself the INTERRUPT comes out next.

`KeyboardInterrupt` and the like break the conversation (`guard.py`). One owner at a time, as for the buffer.
"""

from __future__ import annotations

from ..checks import checked_number, readable
from ..codec import MessageEncoder
from ..constants import PROTOCOL_VERSION_LEGACY, RequestType, ResponseType
from ..exceptions import DecodeError, HandshakeError, StreamError
from ..guard import Guarded, bare, even_broken, guarded, guarded_steps
from ..header import PAGE_SIZE
from ..messages import EmptyResponse, LeaderResponse, ServersResponse
from ..messages.base import framed
from ..servers.generation import Generation, checked_generation
from ..servers.refusals import forgiven, knows_type, refusal, schema_for
from ..servers.releases import rules_of
from .batches import batch_rows
from .errors import wrong_answer
from .events import Ended, Ending, Phase
from .frame_log import frame_log as frame_logger
from .frames import FrameReader, LazyFrame, answer_key, is_roleless, whole_frame
from .incoming import BadHeader, Greeting, Incoming, Refused, RequestStream
from .table import FIRST, UNKNOWN_REQUEST, Place, Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, NoReturn

    from ..limits import Limits
    from ..messages import Message

__all__ = ["ServerConversation"]

_EMPTY = int(ResponseType.EMPTY)


class ServerConversation(Guarded):
    """One connection of a client, without the socket.

    Args:
        generation: the server to be; decides which schemas are known and how others are refused.
        limits: caps for what is received and sent.
        page_size: bytes after which `rows` ends a frame.
        frame_log: whether to log frames; None does if the logger "dqlitewire.conversation" is at DEBUG now.

    Attributes:
        version: of the handshake, None before it.
        current: the request that is open, as it came out.
    """

    def __init__(
        self,
        *,
        generation: Generation = Generation.V1_18_3,
        limits: Limits | None = None,
        page_size: int = PAGE_SIZE,
        frame_log: bool | None = None,
    ) -> None:
        super().__init__()
        self.generation = checked_generation(generation)
        self.page_size = checked_number("page_size", page_size, 1)
        self.version: int | None = None
        self._phase = Phase.NEW
        self._ended = False
        self._fault: Exception | None = None  # what the client did wrong
        self.current: Any = None
        self._encoder = MessageEncoder(limits=limits)
        self._reader = FrameReader(limits)
        self._requests = RequestStream(self._encoder._options)
        self._feed = bare(self._requests.feed)
        self._place: Place | None = None  # of the open request
        self._frame = b""  # the open request
        self._log = frame_logger("server", False, frame_log)

    @property
    def phase(self) -> Phase:
        """Where the connection stands."""
        if self._broken_by is not None:
            return Phase.BROKEN
        return Phase.ENDED if self._ended and self._phase is not Phase.BROKEN else self._phase

    @property
    def error(self) -> BaseException | None:
        """What broke the conversation, None if nothing did or `next_event` has told it."""
        return self._broken_by or self._fault

    @property
    def buffered(self) -> int:
        """Bytes received that are not part of a request handed out."""
        return self._requests.available()

    @property
    def answer_open(self) -> bool:
        """Whether a request waits for its answer, or the rest of it."""
        return self._place is not None

    @property
    def interrupted(self) -> bool:
        """Whether a query is open and the next request is an INTERRUPT."""
        place = self._place
        return place is not None and place.draining is not None and self._requests.has_interrupt

    # ------------------------------------------------------------------ requests

    @guarded
    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes of the client, at any time; no bytes are the end of the stream, as of a socket.

        What came whole before the end still comes out; what comes when nothing more is read is dropped.

        Args:
            data: the bytes, cut anywhere.

        Raises:
            StreamError: the stream has ended, or the conversation is broken.
        """
        if type(data) is not bytes:
            data = readable(data)
        if self._ended:
            raise StreamError(f"the conversation is over: {Phase.ENDED.value}")
        if not data:
            self._end()
        elif self._phase not in _DEAF:
            self._feed(data)

    @guarded
    def next_event(self) -> Greeting | Incoming | BadHeader | None:
        """Return the next handshake, frame or bad header as it came, without judging it.

        Returns:
            None if nothing is complete, or while the request before is not answered.
        """
        return self._next_event()

    def _next_event(self) -> Greeting | Incoming | BadHeader | None:
        if self._phase is Phase.NEW:
            return self._greeting()
        if self._phase is not Phase.OPEN or self._place is not None:
            return None
        said = self._requests.next()
        if type(said) is bytes:
            return self._incoming(said)
        if isinstance(said, BadHeader):
            self._phase = Phase.BROKEN
            return said
        return None

    def _greeting(self) -> Greeting | None:
        greeting = self._requests.greeting()
        if greeting is not None:
            self._phase = Phase.OPEN if greeting.accepted else Phase.BROKEN
            self.version = greeting.version
        return greeting

    def _incoming(self, frame: bytes) -> Incoming:
        incoming = Incoming(frame)
        if self._log is not None:
            try:
                self._log(False, frame[4], len(frame), incoming.message)
            except BaseException as error:  # of a handler: the frame is taken and was not handed out
                self._break(error)
                raise
        place = FIRST.get(frame[4], UNKNOWN_REQUEST)
        if place.turn is Turn.RAFT:
            self._phase = Phase.RAFT
            return incoming
        self.current = incoming
        self._place = place
        self._frame = frame
        return incoming

    @guarded
    def next_request(self) -> Any:
        """Return the next request, decoded.

        Returns:
            A message; a Refused if a server of this generation does not accept it; None if nothing is
            complete.

        Raises:
            HandshakeError: a version nobody speaks: close without a word.
            DecodeError: a header or fixed fields that do not decode: close without a word.
            StreamError: the request before is not answered yet.
        """
        if self._place is not None:
            raise StreamError(f"{self.current!r} is not answered yet")
        event = self._next_event()
        if isinstance(event, Greeting) and event.accepted:
            event = self._next_event()
        match event:
            case Greeting(version):
                allowed = f"allowed 1 and {PROTOCOL_VERSION_LEGACY:#x}"
                self._fault = HandshakeError(f"got version {version:#x}, {allowed}")
            case BadHeader(words):
                self._fault = DecodeError(f"got {words} words", path="Header.size_words", offset=0)
            case Incoming() as incoming:
                return self._judged(incoming.data)
            case _:
                return None
        raise self._fault

    def _judged(self, frame: bytes) -> Any:
        kind = frame[4]
        rules = rules_of(self.generation)
        schema = schema_for(kind, frame[5], rules)
        if not knows_type(kind) or schema is None:
            return self._refused(frame, None)
        if schema != frame[5]:
            frame = b"".join((frame[:5], bytes((schema,)), frame[6:]))
        try:
            request: Any = self._reader.read(frame, is_request=True)
        except DecodeError as error:
            request = forgiven(kind, error, rules)
            if request is None:
                return self._refused(frame, error)
        if self._phase is not Phase.RAFT:
            self.current = request
        return request

    def _refused(self, frame: bytes, error: DecodeError | None) -> Refused:
        said = refusal(frame[4], frame[5], error, rules_of(self.generation))
        if said is None:
            self._place = None
            self._phase = Phase.MUTE if error is None else Phase.BROKEN
            if error is not None:
                self._fault = error
                raise error
        refused = Refused(frame, said, error)
        self.current = refused
        return refused

    # ------------------------------------------------------------------ answers

    @guarded
    def answer(self, message: Message) -> bytes:
        """Return the bytes of an answer, or of one frame of it.

        LEADER is laid out by the handshake and SERVERS by the format asked for.

        Args:
            message: the answer, or one frame of it.

        Raises:
            WrongAnswerError: the table does not allow it here; nothing has changed.
            EncodeError: it cannot be encoded; nothing has changed.
        """
        return self._answer(self._encoded(message))

    def _encoded(self, message: Message) -> bytes:
        if isinstance(message, LeaderResponse) and self.version == PROTOCOL_VERSION_LEGACY:
            return framed(message.MSG_TYPE, [LeaderResponse(0, message.address).encode_body_legacy()])
        if isinstance(message, ServersResponse) and self._place is not None and is_roleless(self._frame):
            return self._encoder.encode(ServersResponse(message.nodes, format=0))
        return self._encoder.encode(message)

    @guarded
    def answer_frame(self, frame: bytes | bytearray | memoryview, *, unchecked: bool = False) -> bytes:
        """Return `frame`, an answer that was encoded elsewhere, as bytes; only header and marker are read.

        Args:
            frame: exactly one frame, header included.
            unchecked: let a wrong answer pass; it leaves the request open.

        Raises:
            EncodeError: it is not exactly one whole frame; nothing has changed.
            WrongAnswerError: the table does not allow it here; nothing has changed.
        """
        return self._answer(whole_frame(frame, "answer"), unchecked)

    def _answer(self, frame: bytes, unchecked: bool = False) -> bytes:
        place = self._place
        key = answer_key(frame)
        then = None if place is None else place.after.get(key)
        ends_both = then is None and key == _EMPTY and self.interrupted
        if ends_both:
            then = _ENDED
        if then is None or frame[5] > self._schema_asked():
            if unchecked:
                return frame
            raise wrong_answer(frame, place, self.current, None if place is None else self._frame)
        if self._log is not None:
            self._log(True, frame[4], len(frame), LazyFrame(frame, False).message)
        if ends_both:
            self._requests.next()  # the INTERRUPT
        if then.ended:
            self._place = self.current = None
        else:
            self._place = then
        return frame

    def _schema_asked(self) -> int:
        """Return the highest schema that the answer may have: that of the request, for PREPARE alone."""
        if self._frame[4:5] != _PREPARE:
            return 0
        return schema_for(_PREPARE[0], self._frame[5], rules_of(self.generation)) or 0

    @guarded_steps
    def rows(
        self, column_names: Sequence[str], rows: Iterable[Sequence[Any]], *, typed: bool = False
    ) -> Iterator[bytes]:
        """Yield the frames of a result; an INTERRUPT that is seen between two of them ends it with EMPTY.

        Args:
            column_names: repeated in every frame.
            rows: sequences of values; with `typed`, pairs of types and values (see `batch_rows`).
            typed: whether the rows bring their types.

        Raises:
            WrongAnswerError: the open request cannot be answered by ROWS.
        """
        for message in batch_rows(column_names, rows, self.page_size, typed=typed):
            if self.interrupted:
                yield self.interrupt()
                return
            yield self.answer(message)

    @guarded
    def interrupt(self) -> bytes:
        """Return the one EMPTY that answers the open query and the INTERRUPT behind it."""
        return self._answer(self._encoded(EmptyResponse()))

    @guarded
    def abandon(self) -> None:
        """Close the open request without an answer."""
        self._place = self.current = None

    # ------------------------------------------------------------------ the end

    @guarded
    def raft_data(self) -> bytes:
        """Return the bytes that came behind CONNECT, once.

        Raises:
            StreamError: no CONNECT has come.
        """
        if self._phase is not Phase.RAFT:
            raise StreamError("no CONNECT has come")
        return self._requests.rest()

    @even_broken
    def receive_eof(self) -> Ended:
        """Take the end of the client's stream and say where it ended, of a broken conversation as well.

        What came whole before the end still comes out.
        """
        return self._end()

    def _end(self) -> Ended:
        self._ended = True
        requests = self._requests
        leftover = requests.incomplete() if self._phase is Phase.OPEN else requests.available()
        if self._phase is Phase.RAFT:
            ending = Ending.CLEAN
        elif leftover:
            ending = Ending.MID_FRAME
        elif self._place is not None and self._place.turn is Turn.STREAMING:
            ending = Ending.MID_ANSWER
        elif self._place is not None or requests.available():
            ending = Ending.UNANSWERED
        else:
            ending = Ending.CLEAN
        return Ended(ending, leftover)

    def _refuse(self, broken_by: BaseException) -> NoReturn:
        raise StreamError("the conversation is broken") from broken_by


_DEAF = (Phase.MUTE, Phase.BROKEN)
_ENDED = FIRST[RequestType.INTERRUPT].after[_EMPTY]
_PREPARE = bytes((RequestType.PREPARE,))
