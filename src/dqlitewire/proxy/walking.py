"""The header walk: cut one direction of a connection into bytes that pass and frames that are held whole.

    bytes as they came          |head|body.....|head|bo    dy...|head|body.........|he
    what `feed` yields          pass...........(nothing)   held  pass..............

Only headers are looked at, and `asks` says for each of them whether the frame must be held. Everything else
passes in as large pieces as it came in, however large the frames are, except that a header which was cut in
two waits for its other half: until its type is known, its first bytes may be those of a frame that is going
to have another length.

`feed` is a generator, and each piece must be dealt with before the next one is asked for: `asks` is called
for a frame when all before it are done with. With `ends`, which is told of the end of each frame that passes,
a piece ends with each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct

from dqlitewire.constants import HEADER_SIZE
from dqlitewire.header import frame_size_at

__all__ = ["Walk"]

_SIZE_AND_TYPE = Struct("<IB").unpack_from


class Walk:
    """One direction, behind handshake and upgrade.

    Args:
        asks: Called with the 8 bytes of a header; whether its frame is held whole.
        types: The type codes that it is called for; None for all.
        ends: Called behind a frame that has passed, with its last 8 bytes; None for nobody.
    """

    __slots__ = ("_asks", "_ends", "_held", "_size", "_skip", "_tail", "_types")

    def __init__(
        self,
        asks: Callable[[bytes], bool],
        types: frozenset[int] | None = None,
        ends: Callable[[bytes], None] | None = None,
    ) -> None:
        self._asks = asks
        self._types = types
        self._ends = ends
        self._skip = 0  # bytes to come of a frame that passes
        self._tail = b""  # its last bytes so far, up to 8; kept for `ends`
        self._held = bytearray()  # of a frame that is held, or of a header that was cut in two
        self._size = 0  # of the frame that is held; 0 if there is none

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield what the bytes bring, in order: pieces, and whether each is a whole frame that was held.

        Args:
            data: The next bytes.
        """
        if self._size:
            missing = self._size - len(self._held)
            self._held += data[:missing]
            if len(data) < missing:
                return
            data = data[missing:]
            yield self.end(), True
        elif self._held:
            data = self.end() + data
        if self._ends is not None:
            yield from self._frame_by_frame(data, self._ends)
            return
        end, types = len(data), self._types
        last = end - HEADER_SIZE
        start, at = 0, self._skip  # of what passes; of the next header
        while at <= last:
            words, kind = _SIZE_AND_TYPE(data, at)
            size = 8 + 8 * words  # header.frame_size, in a loop over all frames
            if (types and kind not in types) or not self._asks(data[at : at + HEADER_SIZE]):
                at += size
                continue
            if at > start:
                yield data[start:at], False
            self._skip = 0
            if at + size > end:
                self._keep(data[at:], size)
                return
            yield data[at : at + size], True
            start = at = at + size
        self._skip = max(at - end, 0)
        self._held += data[at:]
        if start < min(at, end):
            yield data[start:at], False

    def _frame_by_frame(self, data: bytes, ends: Callable[[bytes], None]) -> Iterator[tuple[bytes, bool]]:
        at, end = 0, len(data)
        while at < end:
            if not self._skip:
                header = data[at : at + HEADER_SIZE]
                if len(header) < HEADER_SIZE:
                    self._held += header
                    return
                size = frame_size_at(header)
                if self._asks(header):
                    if at + size > end:
                        self._keep(data[at:], size)
                        return
                    yield data[at : at + size], True
                    at += size
                    continue
                self._skip, self._tail = size, b""
            piece = data[at : at + self._skip]
            at += len(piece)
            self._skip -= len(piece)
            self._tail = (self._tail + piece[-8:])[-8:]
            yield piece, False
            if not self._skip:
                ends(self._tail)

    def _keep(self, data: bytes, size: int) -> None:
        self._held += data
        self._size = size

    def end(self) -> bytes:
        """Return what is held of a frame that did not come to its end, and hold it no longer."""
        held = bytes(self._held)
        self._held.clear()
        self._size = 0
        return held
