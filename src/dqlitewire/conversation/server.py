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

from ..checks import readable
from ..constants import PROTOCOL_VERSION_LEGACY
from ..exceptions import DecodeError, HandshakeError, StreamError
from ..guard import bare, even_broken, guarded
from ..header import PAGE_SIZE
from ..servers.generation import Generation
from ..servers.refusals import forgiven, knows_type, refusal, schema_for
from ..servers.releases import rules_of
from .answering import AnsweringHalf
from .events import Ended, Ending, Phase
from .frames import FrameReader
from .incoming import BadHeader, Greeting, Incoming, Refused
from .table import FIRST, UNKNOWN_REQUEST, Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..limits import Limits

__all__ = ["ServerConversation"]


class ServerConversation(AnsweringHalf):
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
        super().__init__(generation, limits, page_size, frame_log)
        self._phase = Phase.NEW
        self._ended = False
        self._fault: Exception | None = None  # what the client did wrong
        self._reader = FrameReader(limits)
        self._feed = bare(self._requests.feed)

    @property
    def phase(self) -> Phase:
        """Where the connection stands."""
        if self._broken_by is not None:
            return Phase.BROKEN
        return Phase.ENDED if self._ended and self._phase is not Phase.BROKEN else self._phase

    @property
    def error(self) -> BaseException | None:
        """What broke the conversation, None if nothing did or if it was what `next_event` returned."""
        return self._broken_by or self._fault

    @property
    def buffered(self) -> int:
        """Bytes received that are not part of a request handed out."""
        return self._requests.available()

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
        elif self._phase not in _READS_NOTHING:
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
        found = self._requests.next()
        if type(found) is bytes:
            return self._incoming(found)
        if isinstance(found, BadHeader):
            self._phase = Phase.BROKEN
            return found
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
            HandshakeError: an unknown version: close the connection without an answer.
            DecodeError: a header or fixed fields that do not decode: close it without an answer.
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
        """Return the message of a request frame, or a Refused, as a server of this generation does."""
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
        """Refuse a request; raise its error where a server answers nothing because it does not decode."""
        answer = refusal(frame[4], frame[5], error, rules_of(self.generation))
        if answer is None:
            self._place = None
            self._phase = Phase.MUTE if error is None else Phase.BROKEN
            if error is not None:
                self._fault = error
                raise error
        refused = Refused(frame, answer, error)
        self.current = refused
        return refused

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


_READS_NOTHING = (Phase.MUTE, Phase.BROKEN)
