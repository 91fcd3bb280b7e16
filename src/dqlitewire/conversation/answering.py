"""The answering half of a server's conversation: answers in, checked against the table, bytes out.

An answer is refused if no request is open, if the table does not allow it at the place of the open request,
or if it cannot be encoded. Nothing has changed then. The places and the INTERRUPT are explained in `server`.
"""

from __future__ import annotations

from ..checks import checked_number
from ..codec import MessageEncoder
from ..constants import PROTOCOL_VERSION_LEGACY, RequestType, ResponseType
from ..exceptions import StreamError
from ..guard import Guarded, guarded, guarded_steps
from ..messages import EmptyResponse, LeaderResponse, ServersResponse
from ..messages.base import framed
from ..servers.generation import Generation, checked_generation
from ..servers.refusals import schema_for
from ..servers.releases import rules_of
from .batches import batch_rows
from .errors import wrong_answer
from .frame_log import frame_log as frame_logger
from .frames import LazyFrame, answer_key, is_roleless, whole_frame
from .incoming import RequestStream
from .table import FIRST, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, NoReturn

    from ..limits import Limits
    from ..messages import Message

__all__ = ["AnsweringHalf"]

_EMPTY = int(ResponseType.EMPTY)
_ENDED = FIRST[RequestType.INTERRUPT].after[_EMPTY]
_PREPARE = bytes((RequestType.PREPARE,))


class AnsweringHalf(Guarded):
    """What a server's conversation knows of the open request; see `ServerConversation` for the arguments."""

    def __init__(
        self, generation: Generation, limits: Limits | None, page_size: int, frame_log: bool | None
    ) -> None:
        super().__init__()
        self.generation: Generation = checked_generation(generation)
        self.page_size: int = checked_number("page_size", page_size, 1)
        self.version: int | None = None
        self.current: Any = None
        self._encoder = MessageEncoder(limits=limits)
        self._requests = RequestStream(self._encoder._options)
        self._place: Place | None = None  # of the open request
        self._frame = b""  # the open request
        self._log = frame_logger("server", False, frame_log)

    @property
    def answer_open(self) -> bool:
        """Whether a request waits for its answer, or the rest of it."""
        return self._place is not None

    @property
    def interrupted(self) -> bool:
        """Whether a query is open and the next request is an INTERRUPT."""
        place = self._place
        return place is not None and place.draining is not None and self._requests.has_interrupt

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

    def _refuse(self, broken_by: BaseException) -> NoReturn:
        raise StreamError("the conversation is broken") from broken_by
