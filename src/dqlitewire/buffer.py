"""Framing and nothing about messages: bytes go in as they arrive, whole frames come out.

Buffers and decoders have a single owner at a time. While a method runs, the slot `_idle` is empty; a second
thread that comes in finds that out and gets `ConcurrentUseError` before anything has changed. What leaves the
stream without meaning, an interrupt inside a method included, poisons the object: every further use raises
`PoisonedError` until `reset()`.

Consumed bytes are deleted from the front of one bytearray, in one step that an interrupt cannot divide;
CPython moves the start and gives memory back when less than half is left.
"""

from __future__ import annotations

from .constants import HEADER_SIZE
from .exceptions import ConcurrentUseError, DecodeError, PoisonedError, ProtocolError
from .limits import DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_OPTIONS, MAX_MESSAGE_SIZE_CEILING, Options
from .types import PADS, U32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, NoReturn, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["ReadBuffer", "WriteBuffer"]

_words = U32.unpack_from
_FEW = 4096

# The mark is taken and given back inside one `try`: wherever an interrupt strikes, the mark comes back. The
# methods that are called for each frame say the same in their own bodies, which saves a call.
_GUARD = """
def {name}(self{arguments}):
    try:
        del self._idle
        result = method(self{arguments})
        self._idle = True
        return result
    except BaseException as error:
        self._leave(error)
        raise
"""


def exclusive(method: F) -> F:
    """Let one thread at a time into the methods of an object, and poison it when one is interrupted."""
    count = method.__code__.co_argcount
    arguments = "".join(f", {name}" for name in method.__code__.co_varnames[1:count])
    names: dict[str, Any] = {"method": method}
    exec(_GUARD.format(name=method.__name__, arguments=arguments), names)
    guarded: Any = names[method.__name__]
    guarded.__qualname__, guarded.__doc__, guarded.__module__ = (
        method.__qualname__,
        method.__doc__,
        method.__module__,
    )
    guarded.__wrapped__ = method
    return guarded  # type: ignore[no-any-return]


class Frames:
    """Bytes waiting to be taken as frames: what buffer and decoder share."""

    __slots__ = ("_data", "_error", "_idle", "_options", "_skip", "_skipped")

    def __init__(self, options: Options) -> None:
        self._options = options
        self._idle = True
        self._clear()

    def _clear(self) -> None:
        self._data = bytearray()
        self._skip = 0  # bytes of a skipped frame that have not arrived
        self._skipped = False  # the last of them has, and nobody has been told
        self._error: BaseException | None = None

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled")

    @property
    def is_poisoned(self) -> bool:
        """Whether an error has left the stream without meaning."""
        return self._error is not None

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

    @exclusive
    def peek_header(self) -> tuple[int, int, int] | None:
        """Return body words, type and schema of the next frame; None while the header is incomplete.

        Raises:
            DecodeError: the frame is larger than allowed; it can be skipped.
        """
        self._check()
        if not self._size():
            return None
        return int.from_bytes(self._data[:4], "little"), self._data[4], self._data[5]

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes as they arrived.

        Raises:
            PoisonedError: an earlier error left the stream without meaning.
        """
        try:
            del self._idle
            if self._error is not None:
                self._check()
            if type(data) is not bytes and not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(f"got {type(data).__name__}, bytes are needed")
            if self._skip:
                self._swallow(memoryview(data).cast("B"))
            else:
                self._data += data
            self._idle = True
        except BaseException as error:
            self._leave(error)
            raise

    def _swallow(self, view: memoryview) -> None:
        swallowed = min(self._skip, len(view))
        self._data += view[swallowed:]
        self._skip -= swallowed
        self._skipped = self._skip == 0

    def _leave(self, error: BaseException) -> None:
        """Give the mark back after an error, unless it was never taken."""
        if type(error) is AttributeError and error.args == ("_idle",):
            raise ConcurrentUseError(f"{type(self).__name__} is in use by another thread") from None
        if not isinstance(error, (ProtocolError, ValueError, TypeError)):
            self._poison(error)
        self._idle = True

    def _poison(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error

    def _check(self) -> None:
        if self._error is not None:
            raise PoisonedError(f"poisoned by {type(self._error).__name__}: {self._error}") from self._error

    def _size(self) -> int:
        """Return the size of the next frame, 0 while its header is incomplete."""
        data = self._data
        if len(data) < HEADER_SIZE:
            return 0
        size = 8 + 8 * int.from_bytes(data[:4], "little")
        if size > self._options.max_message_size:
            raise self._too_large(size)
        return size

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
        default = max_message_size == DEFAULT_MAX_MESSAGE_SIZE
        super().__init__(DEFAULT_OPTIONS if default else Options(max_message_size=max_message_size))

    @exclusive
    def read_message(self) -> bytes | None:
        """Take the next frame, header included; None while it is incomplete.

        Raises:
            DecodeError: the frame is larger than allowed; it stays and can be skipped.
        """
        self._check()
        size = self._complete()
        return self._take(size) if size else None

    @exclusive
    def skip_message(self) -> bool:
        """Drop the next frame; False until it is gone, then True once.

        A frame larger than allowed is dropped as its bytes arrive.
        """
        self._check()
        return self._skip_frame()

    @exclusive
    def read_bytes(self, n: int) -> bytes | None:
        """Take exactly `n` bytes; None while there are fewer."""
        self._check()
        _check_count(n)
        return self._take(n) if len(self._data) >= n else None

    @exclusive
    def peek_bytes(self, n: int) -> bytes | None:
        """Return the next `n` bytes and leave them; None while there are fewer."""
        self._check()
        _check_count(n)
        return bytes(self._data[:n]) if len(self._data) >= n else None

    def poison(self, error: BaseException) -> None:
        """Refuse further use because of an error; the first one given stays."""
        self._poison(error)

    @exclusive
    def reset(self) -> None:
        """Drop all bytes, any skip, and the poison."""
        self._clear()

    clear = reset


def _check_count(n: int) -> None:
    if n < 0:
        raise ValueError(f"n is {n}, at least 0")


class WriteBuffer:
    """Collect bytes to be sent; owned by one thread or task at a time."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def __reduce__(self) -> NoReturn:
        raise TypeError("WriteBuffer cannot be pickled")

    def __len__(self) -> int:
        return len(self._data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes."""
        self._data += data

    def write_padded(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes and zeros up to a whole word of their own length."""
        self._data += b"".join((data, PADS[memoryview(data).nbytes & 7]))

    def getvalue(self) -> bytes:
        """Return everything written."""
        return bytes(self._data)

    def clear(self) -> None:
        """Drop everything written."""
        self._data.clear()
