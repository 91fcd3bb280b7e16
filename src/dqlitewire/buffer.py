"""Framing and nothing about messages: bytes go in as they arrive, whole frames come out.

The bytes that wait are one bytearray. New ones are appended; a frame that is taken is copied once and deleted
from the front, which in CPython moves the start of the array and copies nothing (memory is given back when
less than half of it is in use). So the work is linear in the bytes, however they are cut.

    _data:   | frame | frame | first bytes of a frame |
             take and delete here          append here

Skipping. A frame may announce more bytes than are allowed, or than anybody wants to hold. `skip_message`
drops what has come of it and counts the rest in `_skip`; `feed` then drops that many bytes as they arrive
(`_swallow`), and `_skipped` remembers the end of it for the next call of `skip_message`, which says True once
for each frame. Taking the next frame instead of asking again forgets that answer.

    skip_message() -> False, _skip = 900   feed(900 bytes)   _skipped = True   skip_message() -> True

Single owner and poison. Every method that changes something is `guarded`, as those of the decoder are
(`guard.py`): one thread at a time, and an object whose stream cannot be followed further, after an error in
the middle of a frame or an interrupt inside a method, raises `PoisonedError` until `reset()`. Nothing here
catches `BaseException`: a method raises before it has changed anything.
"""

from __future__ import annotations

from .checks import checked_number, whole_bytes
from .constants import HEADER_SIZE
from .exceptions import DecodeError
from .guard import Guarded, guarded, resetting
from .header import HEADER, frame_size_at
from .limits import DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_OPTIONS, MAX_MESSAGE_SIZE_CEILING, Options
from .scalars import PADS, U32
from .text import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

__all__ = ["ReadBuffer", "WriteBuffer"]

_words = U32.unpack_from
_SMALL = 4096  # bytes of a frame that is copied twice rather than through a view


class FrameBuffer(Guarded):
    """Bytes waiting to be taken as frames: what buffer and decoder share."""

    __slots__ = ("_data", "_options", "_skip", "_skipped")

    def __init__(self, options: Options) -> None:
        super().__init__()
        self._options = options
        self._clear()

    def _clear(self) -> None:
        self._data = bytearray()
        self._skip = 0  # bytes of a skipped frame that have not arrived
        self._skipped = False  # the last of them has arrived, and `skip_message` has not said so
        self._error = None

    @property
    def is_skipping(self) -> bool:
        """Whether bytes of a skipped frame are still to arrive."""
        return self._skip > 0

    def has_message(self) -> bool:
        """Tell whether the next frame is complete, or too large to be waited for; never raises."""
        data = self._data
        if len(data) < HEADER_SIZE:
            return False
        size: int = 8 + 8 * _words(data)[0]  # header.frame_size
        return len(data) >= size or size > self._options.max_message_size

    def available(self) -> int:
        """Return how many bytes wait to be read."""
        return len(self._data)

    @guarded
    def peek_header(self) -> tuple[int, int, int] | None:
        """Return body words, type and schema of the next frame; None while the header is incomplete.

        Raises:
            DecodeError: the frame is larger than allowed; it can be skipped.
        """
        return self._header()

    @guarded
    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes as they arrived.

        Args:
            data: the bytes, cut anywhere; none add nothing, and do not end the stream.

        Raises:
            PoisonedError: an earlier error has ended the use of the stream.
        """
        if self._skip:
            self._swallow(whole_bytes(data))
        else:
            waiting = self._data
            try:
                if type(data) is bytes:
                    waiting += data
                else:  # not `+=`, which lets the other operand add, as arrays of numbers do
                    waiting.__iadd__(data)
            except TypeError:
                waiting += whole_bytes(data)

    def _swallow(self, data: bytes) -> None:
        swallowed = min(self._skip, len(data))
        self._data += data[swallowed:]
        self._skip -= swallowed
        self._skipped = self._skip == 0

    def _size(self) -> int:
        """Return the size of the next frame, 0 while its header is incomplete."""
        data = self._data
        if len(data) < HEADER_SIZE:
            return 0
        size = frame_size_at(data)
        if size > self._options.max_message_size:
            raise self._too_large(size)
        return size

    def _header(self) -> tuple[int, int, int] | None:
        if not self._size():
            return None
        words, code, schema, _ = HEADER.unpack_from(self._data)
        return words, code, schema

    def _complete(self) -> int:
        """Return the size of the next frame, 0 while it is incomplete."""
        data = self._data
        have = len(data)
        if have < HEADER_SIZE:
            return 0
        size: int = 8 + 8 * _words(data)[0]  # header.frame_size
        if size > self._options.max_message_size:
            raise self._too_large(size)
        return size if size <= have else 0

    def _too_large(self, size: int) -> DecodeError:
        limit = self._options.max_message_size
        problem = f"got a frame of {size} bytes, at most {limit}"
        return DecodeError(problem, path="Header.size_words", offset=0, limit=limit)

    def _take(self, size: int) -> bytes:
        data = self._data
        # Two copies of a few bytes are quicker than a view of them and one copy.
        taken = bytes(data[:size]) if size <= _SMALL else b"".join((memoryview(data)[:size],))
        del data[:size]
        self._skipped = False  # behind the skipped frame another is gone: the answer would be about that one
        return taken

    def _skip_frame(self) -> bool:
        if self._skipped:
            self._skipped = False
            return True
        if self._skip or len(self._data) < HEADER_SIZE:
            return False
        size = frame_size_at(self._data)
        here = len(self._data)
        if size > here and size <= self._options.max_message_size:
            return False
        self._skip = max(size - here, 0)
        del self._data[:size]
        return self._skip == 0


class ReadBuffer(FrameBuffer):
    """Reassemble frames from bytes in chunks of any size; owned by one thread or task at a time.

    Args:
        max_message_size: bytes of one frame at the most, header included; None for any size.

    Raises:
        ValueError: the size is below 1 or above 2**32 - 1.
    """

    __slots__ = ()
    DEFAULT_MAX_MESSAGE_SIZE: ClassVar[int] = DEFAULT_MAX_MESSAGE_SIZE
    MAX_MESSAGE_SIZE_CEILING: ClassVar[int] = MAX_MESSAGE_SIZE_CEILING

    def __init__(self, max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE) -> None:
        default = max_message_size is DEFAULT_MAX_MESSAGE_SIZE
        super().__init__(DEFAULT_OPTIONS if default else Options(max_message_size=max_message_size))

    @guarded
    def read_message(self) -> bytes | None:
        """Take the next frame, header included; None while it is incomplete.

        Raises:
            DecodeError: the frame is larger than allowed; it stays and can be skipped.
        """
        size = self._complete()
        return self._take(size) if size else None

    @guarded
    def skip_message(self) -> bool:
        """Drop the next frame; one that is larger than allowed is dropped as its bytes arrive.

        Returns:
            False until the frame is gone, then True once.
        """
        return self._skip_frame()

    @guarded
    def read_bytes(self, n: int) -> bytes | None:
        """Take bytes, whatever they are; None while there are fewer.

        Args:
            n: how many.
        """
        n = checked_number("n", n, 0)
        return self._take(n) if len(self._data) >= n else None

    @guarded
    def peek_bytes(self, n: int) -> bytes | None:
        """Return the next bytes and leave them; None while there are fewer.

        Args:
            n: how many.
        """
        n = checked_number("n", n, 0)
        return bytes(self._data[:n]) if len(self._data) >= n else None

    def poison(self, error: BaseException) -> None:
        """Refuse further use until `reset`.

        Args:
            error: the reason, which each later `PoisonedError` names; the first one given stays.
        """
        if not isinstance(error, BaseException):
            raise TypeError(f"got {kind_of(error)}, an exception is needed")
        self._break(error)

    @resetting
    def reset(self) -> None:
        """Drop all bytes, any skip, and the poison."""
        self._clear()

    clear = reset


class WriteBuffer(Guarded):
    """Collect bytes to be sent; owned by one thread or task at a time."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        super().__init__()
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    @guarded
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes.

        Args:
            data: the bytes.
        """
        try:
            self._data.__iadd__(data)  # as in `FrameBuffer.feed`
        except TypeError:
            self._data += whole_bytes(data)

    @guarded
    def write_padded(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes, and zeros up to a whole word.

        Args:
            data: the bytes; the words are counted from the first of them.
        """
        data = whole_bytes(data)
        self._data += data + PADS[len(data) & 7]

    def getvalue(self) -> bytes:
        """Return everything written.

        Raises:
            PoisonedError: an interrupt struck while bytes were written.
        """
        self._check_whole()
        return bytes(self._data)

    @resetting
    def clear(self) -> None:
        """Drop everything written, and the poison."""
        self._data.clear()
        self._error = None
