"""Out of step: which bytes of one side are a frame, though nothing says that one begins there.

A frame is believed if its header fits its type, its body decodes, and a header that fits stands behind it or
nothing does.

Whatever the bytes, the work is linear in their number. What is cheap to see (the header, the last word, the
header behind it) is looked at first. What a guess costs beyond that is paid for: to wait for a guessed frame
takes as many bytes of credit as the frame has, and to decode it takes as many again and `TRIAL`. A byte of
the stream earns `EARNED` bytes of credit, `CREDIT` is given in advance, and no more than that is ever saved.
A guess that cannot be paid for is not made, so that behind bytes that look like headers throughout a frame is
found some bytes later, a larger one after more of them. No frame is decoded twice to be found: the search
goes forward only, and what it waits for is decoded when it is complete.
"""

from __future__ import annotations

from ...codec import RESPONSE_TYPES
from ...constants import HEADER_SIZE, ResponseType
from ...exceptions import DecodeError
from ..events import Side
from ..frames import STRICT
from ..table import REQUESTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable
    from typing import Any

    from ...declare.fields import Field
    from ...messages import Message

__all__ = ["Resync"]

MAX_FRAME = 65536  # larger frames are not looked for
CREDIT = 1 << 20
EARNED = 16
TRIAL = 128  # what decoding takes beside the bytes, as most guesses are small


class Resync:
    """Guesses about the bytes of one side.

    `base`, where a method takes it, is the place of `data[0]` in the stream.

    Args:
        side: who sends the bytes.
        max_size: the largest frame that is believed.
    """

    __slots__ = ("_is_request", "_max", "_paid", "_words")

    def __init__(self, side: Side, max_size: int) -> None:
        self._is_request = side is Side.CLIENT
        self._words = _REQUEST_WORDS if self._is_request else _RESPONSE_WORDS
        self._max = max_size
        self._paid = -CREDIT  # at most `EARNED` times the place in the stream

    def find(self, data: bytes, position: int) -> int:
        """The place of the next header, at `position` or behind it; -1 if there is none."""
        found = _header(self._is_request).search(data, position)
        return -1 if found is None else found.start()

    def fits(self, data: bytes, position: int, base: int) -> int | None:
        """The size of the frame at a place, 0 if there is none that may be believed.

        None if its end is not here and is worth waiting for.
        """
        size = self.announced(data, position)
        if not size or not self._looks_whole(data, position, position + size):
            return 0
        if position + size > len(data):
            return None if self.pays(size, base + position) else 0
        return size if self.decodes(data, position, size, base) else 0

    def announced(self, data: bytes, position: int) -> int:
        """The size of the frame whose header is there, 0 if no frame has such a header."""
        if not _header(self._is_request).match(data, position):
            return 0
        words = int.from_bytes(data[position : position + 4], "little")
        size = HEADER_SIZE + 8 * words
        return size if words in self._words[data[position + 4]] and size <= self._max else 0

    def _looks_whole(self, data: bytes, position: int, end: int) -> bool:
        kind = None if self._is_request else data[position + 4]
        if kind == ResponseType.FAILURE:
            # small integers of a table look like its header; one behind half-built rows is not looked for
            zero = data.find(0, position + 16, end)
            if 0 <= zero < max(end - 8, position + 17):
                return False
        if end > len(data):
            return True
        if kind == ResponseType.ROWS and data[end - 8 : end] not in _MARKERS:
            return False
        return len(data) - end < HEADER_SIZE or self.announced(data, end) > 0

    def pays(self, size: int, offset: int) -> bool:
        """Whether a guess about so many bytes at that place of the stream can be made; pay for it."""
        earned = EARNED * offset
        self._paid = max(self._paid, earned - CREDIT)
        if self._paid + size > earned:
            return False
        self._paid += size
        return True

    def miss(self, size: int) -> None:
        """Note that bytes of the stream were not heard: they earn nothing."""
        self._paid += EARNED * size

    def decodes(self, data: bytes, position: int, size: int, base: int) -> bool:
        """Whether the bytes there are a frame, as far as decoding tells; False too if it costs too much."""
        if not self.pays(size + TRIAL, base + position):
            return False
        frame = data[position : position + size]
        kind = None if self._is_request else frame[4]
        if kind in _NOT_ZERO and not any(frame[_NOT_ZERO[kind]]):
            return False  # a guess is not worth the warning that the decoder logs
        try:
            message: Any = STRICT.read(frame, self._is_request)
        except DecodeError:
            return False
        return kind != ResponseType.FAILURE or bool(
            message.code < _MAX_CODE and message.message.isprintable()
        )


def _words(types: Iterable[type[Message]]) -> dict[int, range]:
    # type -> how many words its body can have
    found: dict[int, range] = {}
    for message in types:
        fields: tuple[Field, ...] = getattr(message, "FIELDS")  # noqa: B009  (every declared message has it)
        least = sum(field.smallest for field in fields if not field.since) // 8
        largest = [field.largest for field in fields if field.largest is not None]
        most = sum(largest) // 8 if len(largest) == len(fields) else MAX_FRAME // 8
        found[message.MSG_TYPE] = range(least, most + 1)
    return found


def _header(is_request: bool) -> re.Pattern[bytes]:
    # what finds a header: size, not 0 and at most MAX_FRAME; type; schema; two unused bytes
    found = _HEADERS.get(is_request)
    if found is None:
        import re  # slow to import, and rarely needed

        words = _REQUEST_WORDS if is_request else _RESPONSE_WORDS
        kinds = b"".join(b"\\x%02x" % kind for kind in words)
        found = re.compile(rb"(?!\0\0).[\0-\x20]\0\0[" + kinds + rb"][\0\1]\0\0", re.DOTALL)
        _HEADERS[is_request] = found
    return found


_REQUEST_WORDS = _words(REQUESTS.values())
_RESPONSE_WORDS = _words(RESPONSE_TYPES.values())
_HEADERS: dict[bool, re.Pattern[bytes]] = {}
_MAX_CODE = 1 << 16
_MARKERS = (b"\xee" * 8, b"\xff" * 8)
_NOT_ZERO: dict[int | None, slice] = {  # the first byte of the address, the timeout
    ResponseType.LEADER: slice(16, 17),
    ResponseType.WELCOME: slice(8, 16),
}
