"""Resynchronisation: find a frame in bytes of one side when nothing says where one begins.

A capture may begin in the middle of a connection, and packets may be missing from it. dqlite has no magic
number and no checksum, so a place can only be guessed. A guess is believed when three things hold:

    offset  p           p + 4  p + 5    p + 6       p + 8            p + size       p + size + 8
            | words     | type | schema | 0 0       | body           | next header  |
            |                                       |                |
            1. the header fits: a known type, a     2. the body      3. a header that fits stands behind
               schema of 0 or 1, zeros, and as         decodes          it, or the bytes end there
               many words as a body of the type
               can have

A ROWS body must besides end with one of the two markers, and a FAILURE must have a plausible code and
printable text: tables full of small integers look like headers of FAILURE.

Decoding costs time, and an adversary (or a table of integers) can make every byte look like a header. So
that the work stays linear in the bytes, what is cheap is looked at first (header, last word, next header) and
the rest is paid for out of a credit:

* waiting for the rest of a guessed frame takes as many bytes of credit as the frame has;
* decoding a guess takes as many again, and `TRIAL`;
* each byte of the stream earns `EARNED` bytes of credit; `CREDIT` is given in advance and is also the most
  that is ever saved. Lost bytes earn nothing.

A guess that cannot be paid for is not made. Among bytes that look like headers throughout, a frame is
therefore found some bytes later than it could be, a larger one later than a small one. The search only goes
forward and decodes what it waits for when that is complete, so no frame is decoded twice to be found.
"""

from __future__ import annotations

from ...constants import HEADER_SIZE, RequestType, ResponseType
from ...exceptions import DecodeError
from ...header import ROW_MARKERS, frame_size_at
from ...limits import Limits
from ...messages import REQUESTS, RESPONSES
from ..events import Side
from ..frames import STRICT, FrameReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable
    from typing import Any

    from ...messages.base import Request, Response

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
        """Return the place of the next header, at `position` or behind it; -1 if there is none."""
        found = _header(self._is_request).search(data, position)
        return -1 if found is None else found.start()

    def fits(self, data: bytes, position: int, base: int) -> int | None:
        """Return the size of the frame at a place.

        0 if no frame there may be believed; None if its end has not come and is worth waiting for.
        """
        size = self.announced(data, position)
        if not size or not self._looks_whole(data, position, position + size):
            return 0
        if position + size > len(data):
            return None if self.pays(size, base + position) else 0
        return size if self.decodes(data, position, size, base) else 0

    def announced(self, data: bytes, position: int) -> int:
        """Return the size that the header at a place announces, 0 if no frame has such a header."""
        if not _header(self._is_request).match(data, position):
            return 0
        size = frame_size_at(data, position)
        words = (size - HEADER_SIZE) // 8
        return size if words in self._words[data[position + 4]] and size <= self._max else 0

    def _looks_whole(self, data: bytes, position: int, end: int) -> bool:
        kind = None if self._is_request else data[position + 4]
        if kind == ResponseType.FAILURE:
            # Small integers of a table look like the header of a FAILURE. So its text must end with the
            # frame, which a FAILURE behind half-built rows does not satisfy; such a one is not searched for.
            zero = data.find(0, position + 16, end)
            if 0 <= zero < max(end - 8, position + 17):
                return False
        if end > len(data):
            return True
        if kind == ResponseType.ROWS and data[end - 8 : end] not in ROW_MARKERS:
            return False
        return len(data) - end < HEADER_SIZE or self.announced(data, end) > 0

    def opens_large(self, head: bytes, offset: int) -> bool:
        """Tell whether a frame above all caps begins with these bytes, as far as that can be seen.

        What is there is decoded as if it were all, and once more without the last word: a frame that is only
        cut off ends elsewhere the second time, and what is wrong in itself stays the same.
        """
        kind, schema = head[4], head[5]
        kinds = _LARGE_REQUESTS if self._is_request else _LARGE_RESPONSES
        messages: Any = REQUESTS if self._is_request else RESPONSES
        if kind not in kinds or any(head[6:8]) or schema not in messages[kind].SCHEMAS:
            return False
        if not self.pays(2 * len(head), offset):
            return False
        caps = Limits(max_text_value_size=None, max_blob_size=None, max_file_content_size=None)
        reader = FrameReader(caps, tolerant=True)
        return self._problem(reader, head) != self._problem(reader, head[:-8])

    def _problem(self, reader: FrameReader, head: bytes) -> str | None:
        words = (len(head) - HEADER_SIZE) // 8
        try:
            reader.read(words.to_bytes(4, "little") + head[4:], self._is_request)
        except DecodeError as error:
            return str(error)
        return None

    def pays(self, size: int, offset: int) -> bool:
        """Pay for a guess about so many bytes at a place of the stream; False if there is no credit."""
        earned = EARNED * offset
        self._paid = max(self._paid, earned - CREDIT)
        if self._paid + size > earned:
            return False
        self._paid += size
        return True

    def miss(self, size: int) -> None:
        """Note that bytes of the stream are missing: they earn nothing."""
        self._paid += EARNED * size

    def decodes(self, data: bytes, position: int, size: int, base: int) -> bool:
        """Tell whether the bytes there decode as a frame; False also if there is no credit."""
        if not self.pays(size + TRIAL, base + position):
            return False
        frame = data[position : position + size]
        kind = None if self._is_request else frame[4]
        if kind in _NOT_ZERO and not any(frame[_NOT_ZERO[kind]]):
            return False  # it would decode, but the decoder logs a warning, which a guess must not cause
        try:
            message: Any = STRICT.read(frame, self._is_request)
        except DecodeError:
            return False
        return kind != ResponseType.FAILURE or bool(
            message.code < _MAX_CODE and message.message.isprintable()
        )


def _words(types: Iterable[type[Request] | type[Response]]) -> dict[int, range]:
    """Return how many words the body of each type can have."""
    found: dict[int, range] = {}
    for message in types:
        fields = message.FIELDS
        least = sum(field.smallest for field in fields if not field.since) // 8
        largest = [field.largest for field in fields if field.largest is not None]
        most = sum(largest) // 8 if len(largest) == len(fields) else MAX_FRAME // 8
        found[message.MSG_TYPE] = range(least, most + 1)
    return found


def _header(is_request: bool) -> re.Pattern[bytes]:
    """Return what matches a header: words (1 to those of MAX_FRAME), known type, schema 0 or 1, two zeros."""
    found = _HEADERS.get(is_request)
    if found is None:
        import re  # slow to import, and rarely needed

        words = _REQUEST_WORDS if is_request else _RESPONSE_WORDS
        kinds = b"".join(b"\\x%02x" % kind for kind in words)
        found = re.compile(rb"(?!\0\0).[\0-\x20]\0\0[" + kinds + rb"][\0\1]\0\0", re.DOTALL)
        _HEADERS[is_request] = found
    return found


_REQUEST_WORDS = _words(REQUESTS.values())
_RESPONSE_WORDS = _words(RESPONSES.values())
_HEADERS: dict[bool, re.Pattern[bytes]] = {}
# What holds contents of any size: parameters, cells, SQL, files.
_LARGE_REQUESTS = frozenset(
    {RequestType.PREPARE, RequestType.EXEC, RequestType.QUERY, RequestType.EXEC_SQL, RequestType.QUERY_SQL}
)
_LARGE_RESPONSES = frozenset({ResponseType.ROWS, ResponseType.FILES})
_MAX_CODE = 1 << 16
# The bytes that are not 0 in a frame that decodes without a warning.
_NOT_ZERO: dict[int | None, slice] = {
    ResponseType.LEADER: slice(16, 17),  # the first byte of the address
    ResponseType.WELCOME: slice(8, 16),  # the timeout
}
