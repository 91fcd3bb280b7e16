"""Framing and nothing about messages: bytes go in as they arrive, whole frames come out.

Buffers and decoders have a single owner at a time, and are poisoned by what leaves their stream without
meaning, an interrupt inside a method included (`guard.py`): every further use raises `PoisonedError` until
`reset()`.

Consumed bytes are deleted from the front of one bytearray; CPython moves the start and gives memory back when
less than half is left.
"""

from __future__ import annotations

from .checks import checked_number, whole_bytes
from .constants import HEADER_SIZE
from .exceptions import DecodeError
from .guard import Guarded, guarded, resetting
from .limits import DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_OPTIONS, MAX_MESSAGE_SIZE_CEILING, Options
from .scalars import PADS, U32
from .text import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

__all__ = ["ReadBuffer", "WriteBuffer"]

_words = U32.unpack_from
_FEW = 4096


class Frames(Guarded):
    """Bytes waiting to be taken as frames: what buffer and decoder share."""

    __slots__ = ("_data", "_options", "_skip", "_skipped")

    def __init__(self, options: Options) -> None:
        super().__init__()
        self._options = options
        self._clear()

    def _clear(self) -> None:
        self._data = bytearray()
        self._skip = 0  # bytes of a skipped frame that have not arrived
        self._skipped = False  # the last of them has, and nobody has been told
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
        size = 8 + 8 * int.from_bytes(data[:4], "little")
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
        """Append bytes as they arrived; none are no end of the stream, they add nothing.

        Raises:
            PoisonedError: an earlier error left the stream without meaning.
        """
        if self._skip:
            self._swallow(whole_bytes(data))
        else:
            waiting = self._data
            try:
                if type(data) is bytes:
                    waiting += data
                else:  # `+=` would ask objects of others, such as arrays of numbers, to add
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
        size = 8 + 8 * int.from_bytes(data[:4], "little")
        if size > self._options.max_message_size:
            raise self._too_large(size)
        return size

    def _header(self) -> tuple[int, int, int] | None:
        if not self._size():
            return None
        return int.from_bytes(self._data[:4], "little"), self._data[4], self._data[5]

    def _complete(self) -> int:
        """Return the size of the next frame, 0 while it is incomplete."""
        data = self._data
        have = len(data)
        if have < HEADER_SIZE:
            return 0
        size: int = 8 + 8 * _words(data)[0]
        if size > self._options.max_message_size:
            raise self._too_large(size)
        return size if size <= have else 0

    def _too_large(self, size: int) -> DecodeError:
        limit = self._options.max_message_size
        problem = f"got a frame of {size} bytes, at most {limit}"
        return DecodeError(problem, path="Header.size_words", offset=0, limit=limit)

    def _take(self, size: int) -> bytes:
        data = self._data
        # Copying a few bytes twice is quicker than a view of them.
        taken = bytes(data[:size]) if size <= _FEW else b"".join((memoryview(data)[:size],))
        del data[:size]
        self._skipped = False  # told too late: the frame behind is gone as well
        return taken

    def _skip_frame(self) -> bool:
        if self._skipped:
            self._skipped = False
            return True
        if self._skip or len(self._data) < HEADER_SIZE:
            return False
        size = 8 + 8 * int.from_bytes(self._data[:4], "little")
        here = len(self._data)
        if size > here and size <= self._options.max_message_size:
            return False
        self._skip = max(size - here, 0)
        del self._data[:size]
        return self._skip == 0


class ReadBuffer(Frames):
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
        """Drop the next frame; False until it is gone, then True once.

        A frame larger than allowed is dropped as its bytes arrive.
        """
        return self._skip_frame()

    @guarded
    def read_bytes(self, n: int) -> bytes | None:
        """Take exactly `n` bytes; None while there are fewer."""
        n = checked_number("n", n, 0)
        return self._take(n) if len(self._data) >= n else None

    @guarded
    def peek_bytes(self, n: int) -> bytes | None:
        """Return the next `n` bytes and leave them; None while there are fewer."""
        n = checked_number("n", n, 0)
        return bytes(self._data[:n]) if len(self._data) >= n else None

    def poison(self, error: BaseException) -> None:
        """Refuse further use because of an error; the first one given stays."""
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
        """Append bytes."""
        try:
            self._data.__iadd__(data)  # as in `Frames.feed`
        except TypeError:
            self._data += whole_bytes(data)

    @guarded
    def write_padded(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes and zeros up to a whole word of their own length."""
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
