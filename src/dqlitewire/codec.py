"""Messages to bytes and bytes to messages: one at a time, or as a stream with its handshake and its row runs.

A stream of requests begins with a handshake; a stream of responses may be inside a row run. What an operation
raises out of its state comes from one place, `_check_ready`.
"""

from __future__ import annotations

from struct import Struct

from .buffer import Frames
from .checks import check_version as _check_version
from .checks import checked_text_errors, whole_bytes
from .constants import (
    DEFAULT_MAX_CONTINUATION_FRAMES,
    DEFAULT_MAX_TOTAL_ROWS,
    HEADER_SIZE,
    PROTOCOL_VERSION,
    PROTOCOL_VERSION_LEGACY,
    RequestType,
    ResponseType,
)
from .declare.declared import check_header_schema, reader_of, unknown_type
from .exceptions import (
    ContinuationError,
    DecodeError,
    EncodeError,
    HandshakeError,
    ServerFailure,
    StreamError,
)
from .guard import guarded, resetting
from .limits import DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_MAX_ROWS, DEFAULT_OPTIONS, Limits, Options
from .messages import REGISTRY
from .messages.base import Message
from .messages.responses import (
    EmptyResponse,
    FailureResponse,
    RowsResponse,
    check_role_policy,
    read_legacy_leader,
)
from .rows.read import row_less_part_is_final
from .rows.tiers import PADDING
from .text import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .declare.declared import Reader

__all__ = [
    "REQUEST_TYPES",
    "RESPONSE_TYPES",
    "MessageDecoder",
    "MessageEncoder",
    "decode_message",
    "encode_message",
]

_TOOLS_ONLY = (RequestType.HEARTBEAT, RequestType.CONNECT)
REQUEST_TYPES: dict[int, type[Message]] = {
    code: cls for (is_request, code), cls in REGISTRY.items() if is_request and code not in _TOOLS_ONLY
}
RESPONSE_TYPES: dict[int, type[Message]] = {
    code: cls for (is_request, code), cls in REGISTRY.items() if not is_request
}

_ROWS = int(ResponseType.ROWS)
_STRICT, _REJECT = "strict", "reject"  # as in the signatures, where equal literals are one object


def _reader(is_request: bool, key: int) -> Reader:
    """Return the decoder of a type and schema, given as the u16 that the two make in a header."""
    code, schema = key & 0xFF, key >> 8
    cls: Any = (REQUEST_TYPES if is_request else RESPONSE_TYPES).get(code)
    if cls is None:
        raise unknown_type(code, is_request)
    check_header_schema(cls, schema)
    return reader_of(cls, schema)


class _Readers(dict[int, "Reader"]):
    """Decoders by type and schema; each is made at its first use."""

    def __init__(self, is_request: bool) -> None:
        self._is_request = is_request

    def __missing__(self, key: int) -> Reader:
        reader = self[key] = _reader(self._is_request, key)
        return reader


_REQUEST_READERS = _Readers(is_request=True)
_RESPONSE_READERS = _Readers(is_request=False)
_LEGACY_READERS = _Readers(is_request=False)
_LEGACY_READERS[ResponseType.LEADER] = read_legacy_leader


def _readers(is_request: bool, version: int | None) -> _Readers:
    if is_request:
        return _REQUEST_READERS
    return _LEGACY_READERS if version == PROTOCOL_VERSION_LEGACY else _RESPONSE_READERS


def _decode_options(
    limits: Limits | None, unknown_role_policy: str, text_errors: str, **caps: int | None
) -> Options:
    policy = check_role_policy(unknown_role_policy)
    return Options(limits, checked_text_errors(text_errors), policy, **caps)


def _read_frame(data: bytes, readers: _Readers, options: Options) -> Any:
    """Decode exactly one frame."""
    data = whole_bytes(data)
    size = len(data)
    if size < HEADER_SIZE:
        raise DecodeError(f"got {size} bytes, a header of 8 is needed", path="Header", offset=0)
    words, key = _WORDS_AND_KEY(data)
    if size != 8 + 8 * words or size > options.max_message_size:
        raise _wrong_size(8 + 8 * words, size, options.max_message_size)
    return readers[key](data, size, options)


_WORDS_AND_KEY = Struct("<IH").unpack_from
_WORDS = Struct("<I").unpack_from


def _wrong_size(announced: int, size: int, limit: int) -> DecodeError:
    path = "Header.size_words"
    if max(announced, size) > limit:
        problem = f"got a frame of {max(announced, size)} bytes, at most {limit}"
        return DecodeError(problem, path=path, offset=0, limit=limit)
    return DecodeError(f"got {size} bytes of a frame of {announced}", path=path, offset=0)


def encode_message(
    message: Message,
    *,
    max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
    limits: Limits | None = None,
) -> bytes:
    """Encode one message, header included.

    Args:
        max_message_size: bytes of the frame at the most; None for any size.
        limits: the other caps.

    Raises:
        EncodeError: a field that cannot be encoded, or a frame above the cap.
    """
    if max_message_size is DEFAULT_MAX_MESSAGE_SIZE and limits is None:
        options = DEFAULT_OPTIONS
    else:
        options = Options(limits, max_message_size=max_message_size)
    return _encoded(message, options)


def _encoded(message: Message, options: Options) -> bytes:
    try:
        data = message._frame(options)
        size = len(data)
    except (AttributeError, TypeError):
        if not issubclass(type(message), Message):
            raise TypeError(f"got {kind_of(message)}, a message is needed") from None
        raise
    if size > options.max_message_size:
        raise _too_large(data, options)
    return data


def _too_large(data: bytes, options: Options) -> EncodeError:
    limit = options.max_message_size
    return EncodeError(
        f"got a frame of {len(data)} bytes, at most {limit}", path="Header.size_words", limit=limit
    )


def decode_message(
    data: bytes | bytearray | memoryview,
    is_request: bool = False,
    version: int = PROTOCOL_VERSION,
    unknown_role_policy: str = "reject",
    max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
    max_rows: int | None = DEFAULT_MAX_ROWS,
    max_continuation_frames: int | None = DEFAULT_MAX_CONTINUATION_FRAMES,
    max_total_rows: int | None = DEFAULT_MAX_TOTAL_ROWS,
    text_errors: str = "strict",
    *,
    limits: Limits | None = None,
) -> Message:
    """Decode exactly one frame, header included.

    Args:
        data: the frame. is_request: whether it goes from client to server; the type codes of the two
        directions overlap. version: of the handshake; the legacy one changes the answer to LEADER.
        unknown_role_policy: for SERVERS: "reject", or read an unknown role as spare and "warn" or "accept"
        it. max_message_size, max_rows, max_continuation_frames, max_total_rows: caps; None lifts one.
        text_errors: what to do with text that is not UTF-8, the name of a codec error handler. limits: the
        other caps.

    Raises:
        DecodeError: the bytes are not one frame the protocol allows, or exceed a cap.
    """
    if (
        limits is None
        and max_rows is DEFAULT_MAX_ROWS
        and max_message_size is DEFAULT_MAX_MESSAGE_SIZE
        and max_total_rows is DEFAULT_MAX_TOTAL_ROWS
        and max_continuation_frames is DEFAULT_MAX_CONTINUATION_FRAMES
        and text_errors is _STRICT
        and unknown_role_policy is _REJECT
    ):
        options = DEFAULT_OPTIONS
    else:
        options = _decode_options(
            limits,
            unknown_role_policy,
            text_errors,
            max_message_size=max_message_size,
            max_rows=max_rows,
            max_continuation_frames=max_continuation_frames,
            max_total_rows=max_total_rows,
        )
    readers = _REQUEST_READERS if is_request else _RESPONSE_READERS
    if version is not PROTOCOL_VERSION:
        _check_version(version)
        readers = _readers(is_request, version)
    if type(data) is bytes:  # what _read_frame does, without the call
        size = len(data)
        if 8 <= size <= options.max_message_size:
            words, key = _WORDS_AND_KEY(data)
            if size == 8 + 8 * words:
                return readers[key](data, size, options)  # type: ignore[no-any-return]
    return _read_frame(data, readers, options)  # type: ignore[no-any-return, arg-type]


class MessageEncoder:
    """Encode messages one after the other; holds no state.

    Args:
        version: of the handshake, 1 or the legacy one.
        max_message_size: bytes of one frame at the most; None for any size.
        limits: the other caps.

    Raises:
        HandshakeError: a version nobody speaks.
        ValueError: a cap out of range.
    """

    __slots__ = ("_options", "_version")

    def __init__(
        self,
        version: int = PROTOCOL_VERSION,
        max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
        *,
        limits: Limits | None = None,
    ) -> None:
        _check_version(version)
        self._version = version
        self._options = Options(limits, max_message_size=max_message_size)

    def __reduce__(self) -> NoReturn:
        raise TypeError("MessageEncoder cannot be pickled")

    def encode(self, message: Message) -> bytes:
        """Encode a message, header included.

        Raises:
            EncodeError: a field that cannot be encoded, or a frame above the cap.
        """
        return _encoded(message, self._options)

    def encode_handshake(self) -> bytes:
        """Encode the word that a client sends first; no server answers it."""
        return self._version.to_bytes(8, "little")


class _Run:
    """A row stream that has begun: what its next frame is held against."""

    __slots__ = ("frames", "names", "rows")

    def __init__(self, names: Any, frames: int, rows: int) -> None:
        self.names = names
        self.frames = frames
        self.rows = rows


class MessageDecoder(Frames):
    """Decode a stream of one direction; owned by one thread or task at a time.

    A ROWS answer whose frame ends with the PART marker opens a row stream: its other frames are read with
    `decode_continuation` until one has no more, an EMPTY (interrupted) or a FAILURE ends it.

    Args:
        is_request: whether the stream goes from client to server; it then begins with a handshake. version:
        of the handshake, for a stream of responses. max_message_size: bytes of one frame. max_rows: rows of
        one frame. max_continuation_frames: frames of one row stream, the first included. max_total_rows: rows
        of one row stream. unknown_role_policy: for SERVERS: "reject", or read an unknown role as spare and
        "warn" or "accept" it. text_errors: what to do with text that is not UTF-8, the name of a codec error
        handler. limits: the other caps. None lifts any cap.

    Raises:
        HandshakeError: a version nobody speaks.
        DecodeError: an unknown `unknown_role_policy`.
        ValueError: a cap out of range, or an unknown error handler.
    """

    __slots__ = ("_is_request", "_readers", "_run", "_version")

    def __init__(
        self,
        is_request: bool = False,
        version: int = PROTOCOL_VERSION,
        max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
        max_rows: int | None = DEFAULT_MAX_ROWS,
        max_continuation_frames: int | None = DEFAULT_MAX_CONTINUATION_FRAMES,
        max_total_rows: int | None = DEFAULT_MAX_TOTAL_ROWS,
        unknown_role_policy: str = "reject",
        text_errors: str = "strict",
        *,
        limits: Limits | None = None,
    ) -> None:
        _check_version(version)
        self._is_request = is_request
        self._version = None if is_request else version
        self._readers = _readers(is_request, version)
        self._run: _Run | None = None
        super().__init__(
            _decode_options(
                limits,
                unknown_role_policy,
                text_errors,
                max_message_size=max_message_size,
                max_rows=max_rows,
                max_continuation_frames=max_continuation_frames,
                max_total_rows=max_total_rows,
            )
        )

    @property
    def version(self) -> int | None:
        """Protocol version of the stream; None before a request decoder's handshake."""
        return self._version

    @resetting
    def reset(self) -> None:
        """Drop all bytes, any row stream and the poison; requests begin with a handshake again."""
        self._clear()
        self._run = None
        if self._is_request:
            self._version = None

    @guarded
    def decode_handshake(self) -> int | None:
        """Take the handshake that begins a stream of requests; None while it is incomplete.

        Raises:
            HandshakeError: an unknown version, whose bytes stay; a second handshake; a stream of responses.
        """
        if not self._is_request:
            raise HandshakeError("handshake in a stream of responses, only requests have one")
        if self._version is not None:
            raise HandshakeError("second handshake, a stream has one")
        if len(self._data) < 8:
            return None
        version = int.from_bytes(self._data[:8], "little")
        _check_version(version)
        del self._data[:8]
        self._version = version
        return version

    def _check_ready(self, in_run: bool | None) -> None:
        """Raise if inside or outside a row stream against `in_run`, or before the handshake."""
        if in_run is False and self._run is not None:
            raise ContinuationError("a row stream is open, decode_continuation is needed")
        if in_run is True and self._run is None:
            raise ContinuationError("no row stream is open")
        if self._version is None:
            raise HandshakeError("no handshake yet")

    @guarded
    def decode(self) -> Message | None:
        """Decode the next frame; None while it is incomplete.

        Raises:
            DecodeError: a frame larger than allowed, which can be skipped; or a frame that is wrong, which
                poisons the decoder.
            ContinuationError: a row stream is open.
            HandshakeError: a stream of requests without its handshake.
        """
        if self._run is not None or self._version is None:
            self._check_ready(in_run=False)
        data = self._data  # what follows is `_complete`, without the call
        have = len(data)
        if have < HEADER_SIZE:
            return None
        size = 8 + 8 * _WORDS(data)[0]
        if size > self._options.max_message_size:
            raise self._too_large(size)
        if size > have:
            return None
        try:
            message: Message = self._next(size)
            if type(message) is RowsResponse and message.has_more:
                self._run = self._begun(message)
        except BaseException as error:
            self._break(error)
            raise
        return message

    def _next(self, size: int) -> Any:
        data = self._data
        key = data[4] | data[5] << 8
        if key == _ROWS:
            frame = b"".join((memoryview(data)[:size], PADDING))
            del data[:size]
            self._skipped = False
        else:
            frame = self._take(size)
        return self._readers[key](frame, size, self._options)

    def _begun(self, first: RowsResponse) -> _Run:
        run = _Run(first.column_names.copy(), 1, len(first.rows))
        self._check_run(run)
        self._check_progress(first)
        return run

    def _check_run(self, run: _Run) -> None:
        for name, got, what in (
            ("max_total_rows", run.rows, "rows"),
            ("max_continuation_frames", run.frames, "frames"),
        ):
            limit = getattr(self._options, name)
            if got > limit:
                raise DecodeError(
                    f"got {got} {what} for one query, at most {limit}", path="RowsResponse", limit=limit
                )

    def _check_progress(self, message: RowsResponse) -> None:
        if message.has_more and not message.rows and row_less_part_is_final(message.column_names):
            raise DecodeError(
                "column names fill a page, no row will ever come", path="RowsResponse.column_names"
            )

    @guarded
    def decode_continuation(self) -> RowsResponse | EmptyResponse | None:
        """Decode the next frame of the open row stream; None while it is incomplete.

        Returns:
            The next ROWS frame, or EMPTY if the query was interrupted.

        Raises:
            ServerFailure: the query failed midway; the decoder stays usable.
            DecodeError: a frame that is wrong, larger than allowed, or does not continue the stream; the
                decoder is poisoned.
            StreamError: a frame of another type; the decoder is poisoned.
            ContinuationError: no row stream is open.
        """
        if self._run is None:
            self._check_ready(in_run=True)
        try:
            size = self._complete()
            if not size:
                return None
            message: RowsResponse | EmptyResponse | FailureResponse = self._next(size)
            self._run = self._continued(self._run, message)
        except BaseException as error:
            self._break(error)
            raise
        if isinstance(message, FailureResponse):
            raise ServerFailure(message.code, message.message)
        return message

    def _continued(self, run: Any, message: Message) -> _Run | None:
        """Return the state of the row stream behind one more frame, None at its end."""
        if type(message) is RowsResponse:
            if message.column_names != run.names:
                names, first = len(message.column_names), len(run.names)
                what = f"{names} columns" if names != first else "other column names"
                problem = f"got {what} than the first frame's {first}" if names != first else f"got {what}"
                raise DecodeError(problem, path="RowsResponse.column_names", offset=8)
            after = _Run(run.names, run.frames + 1, run.rows + len(message.rows))
            if (
                after.rows > self._options.max_total_rows
                or after.frames > self._options.max_continuation_frames
            ):
                self._check_run(after)
            if not message.has_more:
                return None
            if not message.rows:
                self._check_progress(message)
            return after
        if type(message) in (EmptyResponse, FailureResponse):
            return None
        raise StreamError(
            f"got {type(message).__name__} in a row stream, allowed ROWS, EMPTY and FAILURE",
            frame_count=run.frames,
            total_rows=run.rows,
        )

    @guarded
    def skip_message(self) -> bool:
        """Drop the next frame; False until it is gone, then True once.

        Raises:
            ContinuationError: a row stream is open.
        """
        self._check_ready(in_run=False)
        return self._skip_frame()

    def decode_bytes(self, data: bytes | bytearray | memoryview) -> Message:
        """Decode exactly one frame that is not part of the stream.

        Raises:
            DecodeError: the bytes are not one frame the protocol allows; the stream is not affected.
        """
        self._check_whole()
        self._check_ready(in_run=None)
        message: Message = _read_frame(data, self._readers, self._options)  # type: ignore[arg-type]
        return message

    @guarded
    def pending_frame_size(self) -> int:
        """Return the size of the next frame, header included; 0 while the header is incomplete.

        Raises:
            DecodeError: it is larger than allowed; it can be skipped.
            HandshakeError: a stream of requests without its handshake.
        """
        self._check_ready(in_run=None)
        return self._size()

    def has_message(self) -> bool:
        """Tell whether the next frame is complete, or too large to be waited for; never raises.

        A stream of requests has no frame before its handshake was taken.
        """
        return self._version is not None and super().has_message()

    @guarded
    def peek_header(self) -> tuple[int, int, int] | None:
        """Return body words, type and schema of the next frame; None while the header is incomplete.

        Raises:
            DecodeError: the frame is larger than allowed; it can be skipped.
            HandshakeError: a stream of requests without its handshake.
        """
        self._check_ready(in_run=None)
        return self._header()

    @guarded
    def take_frame(self) -> bytes | None:
        """Take the next frame undecoded, without moving a row stream on; None while it is incomplete.

        Raises:
            DecodeError: it is larger than allowed; it can be skipped.
            HandshakeError: a stream of requests without its handshake.
        """
        self._check_ready(in_run=None)
        size = self._complete()
        return self._take(size) if size else None
