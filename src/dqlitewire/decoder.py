"""Decode the stream of one direction: the handshake, frames in order, and the row streams among them.

A decoder is a `buffer.FrameBuffer` with two more pieces of state: `_version`, which is None until the
handshake of a stream of requests was taken, and `_row_stream`, which is None unless a row stream is open.

    requests    handshake (8 bytes) | frame | frame | ...
    responses   frame | ROWS part | ROWS part | ROWS done | frame | ...
                      `---- a row stream ---------------'
                decode  decode      decode_continuation     decode

A row stream ends with a ROWS frame marked DONE, with an EMPTY (the query was interrupted) or with a FAILURE
(it failed midway).

A frame is taken from the buffer before it is read, and `_row_stream` is assigned after everything that can
fail. So whatever is raised in between leaves a stream of which a frame is lost: there the decoder is poisoned
(the two `except BaseException`), and nowhere else. The native reader of `_part` reads a frame where it lies,
and it is taken behind that; what is raised meanwhile poisons the decoder all the same, since it may strike on
either side of the taking. Where that reader is not sure, nothing has happened, and the frame is read as any
other.
"""

from __future__ import annotations

from . import speedups
from .buffer import FrameBuffer
from .checks import check_version
from .constants import (
    DEFAULT_MAX_CONTINUATION_FRAMES,
    DEFAULT_MAX_TOTAL_ROWS,
    HEADER_SIZE,
    PROTOCOL_VERSION,
    ResponseType,
)
from .dispatch import decode_options, read_frame, readers_for
from .exceptions import ContinuationError, DecodeError, HandshakeError, ServerFailure, StreamError
from .guard import guarded, resetting
from .limits import DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_MAX_ROWS, Limits
from .messages.base import Message
from .messages.by_hand import rows_response
from .messages.responses import EmptyResponse, FailureResponse, RowsResponse
from .rows.read import head_of, row_less_part_is_final
from .rows.row_types import RowTypes
from .rows.tiers import PADDING
from .scalars import U32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MessageDecoder"]

_ROWS = int(ResponseType.ROWS)
_WORDS = U32.unpack_from


class _RowStream:
    """A row stream that is open: its column names, and the frames and rows that have come.

    `head` are the names as bytes, and `largest` is the size of a frame up to which no cap needs counting.
    """

    __slots__ = ("frames", "head", "largest", "names", "rows")

    def __init__(self, names: Any, frames: int, rows: int, head: bytes, largest: int) -> None:
        self.names = names
        self.frames = frames
        self.rows = rows
        self.head = head
        self.largest = largest


class MessageDecoder(FrameBuffer):
    """Decode a stream of one direction; owned by one thread or task at a time.

    A ROWS answer whose frame ends with the PART marker opens a row stream: its other frames are read with
    `decode_continuation` until one has no more, an EMPTY (interrupted) or a FAILURE ends it.

    Args:
        is_request: whether the stream goes from client to server; it then begins with a handshake.
        version: of the handshake, for a stream of responses; the legacy one changes the answer to LEADER.
        max_message_size: bytes of one frame at the most, header included; None for any size.
        max_rows: rows of one frame at the most; None for any number.
        max_continuation_frames: frames of one row stream at the most, the first included; None for any
            number.
        max_total_rows: rows of one row stream at the most; None for any number.
        unknown_role_policy: what to do with an unknown role in SERVERS: "reject" it, or read it as spare and
            "warn", or "accept" it.
        text_errors: what to do with text that is not UTF-8: the name of a codec error handler.
        limits: the other caps.

    Raises:
        HandshakeError: an unknown version.
        DecodeError: an unknown `unknown_role_policy`.
        ValueError: a cap out of range, or an unknown error handler.
    """

    __slots__ = ("_is_request", "_readers", "_row_stream", "_version")

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
        check_version(version)
        self._is_request = is_request
        self._version = None if is_request else version
        self._readers = readers_for(is_request, version)
        self._row_stream: _RowStream | None = None
        super().__init__(
            decode_options(
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
        self._row_stream = None
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
        check_version(version)
        del self._data[:8]
        self._version = version
        return version

    def _check_handshake(self) -> None:
        if self._version is None:
            raise HandshakeError("no handshake yet")

    def _check_no_row_stream(self) -> None:
        """Raise while a row stream is open, or before the handshake."""
        if self._row_stream is not None:
            raise ContinuationError("a row stream is open, decode_continuation is needed")
        self._check_handshake()

    @guarded
    def decode(self) -> Message | None:
        """Decode the next frame; None while it is incomplete.

        Raises:
            DecodeError: a frame larger than allowed, which can be skipped; or a frame that is wrong, which
                poisons the decoder.
            ContinuationError: a row stream is open.
            HandshakeError: a stream of requests without its handshake.
        """
        if self._row_stream is not None or self._version is None:
            self._check_no_row_stream()
        data = self._data  # from here to `try`, what `FrameBuffer._complete` does, without the call
        have = len(data)
        if have < HEADER_SIZE:
            return None
        size = 8 + 8 * _WORDS(data)[0]  # header.frame_size
        if size > self._options.max_message_size:
            raise self._too_large(size)
        if size > have:
            return None
        try:
            message: Message = self._next(size)
            if type(message) is RowsResponse and message.has_more:
                self._row_stream = self._begun(message)
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

    def _begun(self, first: RowsResponse) -> _RowStream:
        names = first.column_names.copy()
        stream = _RowStream(names, 1, len(first.rows), *head_of(names, self._options))
        self._check_caps(stream)
        self._check_progress(first)
        return stream

    def _check_caps(self, stream: _RowStream) -> None:
        for name, got, what in (
            ("max_total_rows", stream.rows, "rows"),
            ("max_continuation_frames", stream.frames, "frames"),
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
        if self._row_stream is None:
            raise ContinuationError("no row stream is open")
        try:
            size = self._complete()
            if not size:
                return None
            stream = self._row_stream
            message: RowsResponse | EmptyResponse | FailureResponse
            part = self._part(stream, size)
            if part is not None:
                message = part
                self._row_stream = self._counted(stream, part)
            else:
                message = self._next(size)
                self._row_stream = self._continued(stream, message)
        except BaseException as error:
            self._break(error)
            raise
        if isinstance(message, FailureResponse):
            raise ServerFailure(message.code, message.message)
        return message

    def _part(self, stream: _RowStream, size: int) -> RowsResponse | None:
        """Take the next frame natively, if it is one of ROWS that is certainly right; None where it stays."""
        native = speedups.read_part
        if native is None or size > stream.largest:
            return None
        found = native(self._data, stream.head, size, len(stream.names))
        if found is None:
            return None
        del self._data[:size]
        self._skipped = False
        runs, rows, more = found
        return rows_response(stream.names.copy(), RowTypes(runs, len(rows)), rows, more)

    def _continued(self, stream: Any, message: Message) -> _RowStream | None:
        """Return the state of the row stream behind one more frame, None at its end."""
        if type(message) is RowsResponse:
            if message.column_names != stream.names:
                names, first = len(message.column_names), len(stream.names)
                what = f"{names} columns" if names != first else "other column names"
                problem = f"got {what} than the first frame's {first}" if names != first else f"got {what}"
                raise DecodeError(problem, path="RowsResponse.column_names", offset=8)
            return self._counted(stream, message)
        if type(message) in (EmptyResponse, FailureResponse):
            return None
        raise StreamError(
            f"got {type(message).__name__} in a row stream, allowed ROWS, EMPTY and FAILURE",
            frame_count=stream.frames,
            total_rows=stream.rows,
        )

    def _counted(self, stream: _RowStream, message: RowsResponse) -> _RowStream | None:
        """Count one more frame of a stream; whatever is raised breaks the decoder, so it is done in place."""
        stream.rows += len(message.rows)
        stream.frames += 1
        options = self._options
        if stream.rows > options.max_total_rows or stream.frames > options.max_continuation_frames:
            self._check_caps(stream)
        if not message.has_more:
            return None
        if not message.rows:
            self._check_progress(message)
        return stream

    @guarded
    def skip_message(self) -> bool:
        """Drop the next frame, also one that is larger than allowed.

        Returns:
            False until the frame is gone, then True once.

        Raises:
            ContinuationError: a row stream is open.
        """
        self._check_no_row_stream()
        return self._skip_frame()

    def decode_bytes(self, data: bytes | bytearray | memoryview) -> Message:
        """Decode exactly one frame that is not part of the stream.

        Args:
            data: the frame, header included.

        Raises:
            DecodeError: the bytes are not one frame the protocol allows; the stream is not affected.
        """
        self._check_whole()
        self._check_handshake()
        message: Message = read_frame(data, self._readers, self._options)
        return message

    @guarded
    def pending_frame_size(self) -> int:
        """Return the size of the next frame, header included; 0 while the header is incomplete.

        Raises:
            DecodeError: it is larger than allowed; it can be skipped.
            HandshakeError: a stream of requests without its handshake.
        """
        self._check_handshake()
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
        self._check_handshake()
        return self._header()

    @guarded
    def take_frame(self) -> bytes | None:
        """Take the next frame undecoded, without moving a row stream on; None while it is incomplete.

        Raises:
            DecodeError: it is larger than allowed; it can be skipped.
            HandshakeError: a stream of requests without its handshake.
        """
        self._check_handshake()
        size = self._complete()
        return self._take(size) if size else None
