"""What every message is: a type, schemas, and a body of whole words behind an 8-byte header.

`Message` is open: a subclass with `encode_body` and `decode_body` and a `MSG_TYPE` gets header and checks
from here. The protocol's own messages are `Request`s and `Response`s, immutable and declared field by field
(see `dqlitewire.declare.declared`).
"""

from __future__ import annotations

from ..checks import readable
from ..constants import HEADER_SIZE
from ..declare.contract import DERIVED
from ..declare.declared import Declared, Value, checked_schema, fill, frame_around, reader_of, slots_of
from ..declare.fields import u32, u64
from ..exceptions import DecodeError, EncodeError
from ..header import HEADER
from ..limits import DEFAULT_OPTIONS, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Generic, Self

    from typing_extensions import TypeVar  # with `default`; type checkers bring it

    from ..declare.contract import Field
    from ..declare.cursor import Cursor

    F = TypeVar("F")

__all__ = ["Header", "Message", "Request", "Response"]


def abstract(function: F) -> F:
    function.__isabstractmethod__ = True  # type: ignore[attr-defined]
    return function


class Header(Value):
    """The 8 bytes before a body.

    Args:
        size_words: body length in 8-byte words.
        msg_type: type code, of a request or of a response by direction.
        schema: layout of the body.
        reserved: written as 0 by everybody, ignored when read.
    """

    size_words: int = u32()
    msg_type: int = u64(high=255)
    schema: int = u64(default=0, high=255)
    reserved: int = u64(default=0, high=65535)

    @property
    def body_size(self) -> int:
        """Body length in bytes."""
        return self.size_words * 8

    def encode(self) -> bytes:
        """Encode into 8 bytes; the reserved ones are 0, whatever the attribute holds."""
        return HEADER.pack(self.size_words, self.msg_type, self.schema, 0)

    @classmethod
    def decode(cls, data: bytes | bytearray | memoryview) -> Header:
        """Decode the first 8 bytes.

        Args:
            data: a frame, or its beginning.

        Raises:
            DecodeError: fewer than 8 bytes.
        """
        content = readable(data)
        if len(content) < HEADER_SIZE:
            raise DecodeError(f"got {len(content)} bytes, {HEADER_SIZE} are needed", path="Header", offset=0)
        words, msg_type, schema, _ = HEADER.unpack_from(content)
        return cls(words, msg_type, schema)


class Message(metaclass=Declared):
    """Base of every message.

    Attributes:
        MSG_TYPE: the header's type byte.
        SCHEMA: the header's schema byte, where the message does not choose it.
        IS_REQUEST: whether it goes from client to server.
    """

    __slots__ = ()
    _abstract = ("encode_body", "decode_body")

    if TYPE_CHECKING:
        MSG_TYPE: ClassVar[int]
        IS_REQUEST: ClassVar[bool]
    SCHEMA: ClassVar[int] = 0

    @abstract
    def encode_body(self) -> bytes:
        """Encode the body, without header: whole words."""
        raise TypeError("encode_body is abstract")

    @classmethod
    @abstract
    def decode_body(cls, data: bytes, schema: int = 0) -> Self:
        """Decode a body, with the default limits.

        Args:
            data: the body, without header.
            schema: the layout, as the header's schema byte names it.

        Raises:
            DecodeError: an unknown schema, or bytes that are not a body of this message.
        """
        raise TypeError("decode_body is abstract")

    def encode(self) -> bytes:
        """Encode header and body.

        Raises:
            EncodeError: a field that cannot be encoded, or a body that is not whole words.
        """
        return self._frame(DEFAULT_OPTIONS)

    def _frame(self, options: Options) -> bytes:
        body = self.encode_body()
        if len(body) % 8:
            raise EncodeError(
                f"got a body of {len(body)} bytes, whole words are needed", path=type(self).__name__
            )
        return Header(len(body) // 8, self.MSG_TYPE, self.SCHEMA).encode() + body


def _declared_decode_body(cls: Any, data: bytes, schema: int = 0) -> Any:
    chosen = checked_schema(cls, schema)
    frame = frame_around(data)
    return reader_of(cls, chosen)(frame, len(frame), DEFAULT_OPTIONS)


class _DeclaredMessage(Value, Message):
    """What requests and responses have in common.

    A message whose fields do not say it all defines one of these; the generated code calls them or gives way:

    * `_before_encoding(self)` refuses what the fields together cannot be;
    * `_after_decoding(self, cursor)` does so behind the plain decoder, or logs it. What it looks at must be
      left to the plain decoder: `plain_if_empty`, or the conditions of a kind of its own;
    * `_read(cls, cursor)` is the plain decoder, if another order than that of the fields is needed;
    * `_frame(self, options)` and `_read_frame(frame, end, options)` are encoder and decoder by hand.
    """

    __slots__ = ()
    if TYPE_CHECKING:
        SCHEMAS: ClassVar[tuple[int, ...]]
        FIELDS: ClassVar[tuple[Field, ...]]
    else:
        _before_encoding = None  # a method that refuses what the fields together cannot be
        _read_frame = None  # a reader written by hand
        _legacy_reader = None  # the reader of the legacy protocol's layout, where that has another

    def encode_body(self) -> bytes:
        return self._frame(DEFAULT_OPTIONS)[HEADER_SIZE:]

    @classmethod
    def decode_body(cls, data: bytes, schema: int = 0) -> Self:
        message: Self = _declared_decode_body(cls, data, schema)
        return message

    @classmethod
    def _read(cls, cursor: Cursor) -> Self:
        values: dict[str, object] = {}
        for field in cls.FIELDS:
            if field.since > cursor.schema:
                values[field.name] = None
            elif field.place != DERIVED:
                values[field.name] = field.plain(cursor, values)
        message = fill(cls, tuple(values[name] for name in slots_of(cls)))
        message._after_decoding(cursor)
        return message

    def _after_decoding(self, cursor: Cursor) -> None:
        """Check, or log, what only the fields together show."""

    @classmethod
    def _layouts(cls, version: int) -> tuple[Callable[[Cursor], object], ...]:
        """Return a reader for each layout that a body of this message may have; most have one.

        The likeliest stands first: its error is shown for a body that none can read.
        """
        return (cls._read,)


if TYPE_CHECKING:
    Answer = TypeVar("Answer", bound=Message, default=Message, covariant=True)

    class _Asking(_DeclaredMessage, Generic[Answer]):
        pass
else:  # `Generic` would import `typing`
    Answer = None
    _Asking = {Answer: _DeclaredMessage}


class Request(_Asking[Answer]):
    """A message from client to server.

    For type checkers it is generic: `Request[LeaderResponse]` is a request that a LEADER answers.

    Attributes:
        ANSWERS: the responses that may come instead of a FAILURE; none if it is never answered.
    """

    __slots__ = ()
    IS_REQUEST: ClassVar[bool] = True  # pyright: ignore[reportIncompatibleVariableOverride]
    if TYPE_CHECKING:
        ANSWERS: ClassVar[tuple[int, ...]]
    else:

        def __class_getitem__(cls, answer: object) -> type:
            return cls


class Response(_DeclaredMessage):
    """A message from server to client."""

    __slots__ = ()
    IS_REQUEST: ClassVar[bool] = False  # pyright: ignore[reportIncompatibleVariableOverride]


def framed(code: int, parts: list[bytes]) -> bytes:
    """Return the frame of a body in whole words that was encoded by hand, in schema 0; takes the list."""
    parts.insert(0, HEADER.pack(sum(map(len, parts)) >> 3, code, 0, 0))
    return b"".join(parts)


def warn(text: str, *values: object) -> None:
    """Log what a server sent and should not have."""
    from ..log import logger

    logger("dqlitewire.messages.responses").warning(text, *values)
