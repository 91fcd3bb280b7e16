"""Where frames are cut in the stream of one side, and where they go on after a loss.

In step, a header is believed that announces a body within the cap; the frame behind it is passed over whether
it decodes or not. That is nearly every header, so `run` follows those in one loop, and leaves it to `look` to
judge any other. Two kinds are not refused at once:

* an odd one, with something in the two reserved bytes or, in an answer, a schema above 1: no known peer sends
  one. It is believed when its frame has come whole and decodes;
* one that announces more than the cap. It is believed when what has come of the frame decodes as far as it
  goes; only its head is then kept (`large.py`). Where the caller has set the cap himself it is not believed.

    in step   | frame | frame | header that makes no sense ..      -> lost
    lost      .. | header, body that decodes, next header          -> in step

What a guess costs, and what is believed when nothing says where a frame begins, is told in `resync.py`.
"""

from __future__ import annotations

from ...constants import HEADER_SIZE
from ...header import frame_size_at
from ..events import Side
from .found import Found
from .large import LARGE_HEAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .resync import Resync

__all__ = ["FrameCutter"]


class FrameCutter:
    """Says where frames stand.

    Args:
        side: who sends the bytes.
        resync: judges guesses, and has them paid for.
        max_size: the largest frame that is kept whole.
        large: whether larger ones are believed.
    """

    __slots__ = ("_large", "_max", "_resync", "_schemas")

    def __init__(self, side: Side, resync: Resync, max_size: int, large: bool) -> None:
        self._resync = resync
        self._max = max_size
        self._large = large
        self._schemas = 2 if side is Side.SERVER else 256  # as many as are not odd

    def run(self, data: bytes, at: int) -> tuple[list[int], int]:
        """Return the sizes of the whole frames from a place on whose headers are ordinary, as nearly all are.

        Behind them so many bytes are needed for another one; 0 where the header is not ordinary, and `look`
        has to say what that is.

        Args:
            data: bytes of the stream.
            at: where the first one begins.
        """
        sizes: list[int] = []
        end, largest, schemas = len(data), self._max, self._schemas
        while end - at >= HEADER_SIZE:
            size = 8 + 8 * int.from_bytes(data[at : at + 4], "little")  # header.frame_size_at
            if not HEADER_SIZE < size <= largest or data[at + 5] >= schemas or data[at + 6] or data[at + 7]:
                return sizes, 0
            if end - at < size:
                return sizes, size
            at += size
            sizes.append(size)
        return sizes, end - at + 1

    def look(self, data: bytes, at: int, base: int, flushing: bool) -> tuple[Found, int]:
        """Tell what stands at a place, in step, if its header is not ordinary: WHOLE, LARGE, WAIT or LOSS.

        Args:
            data: bytes of the stream.
            at: the place.
            base: the place of `data[0]` in the stream.
            flushing: nothing comes behind `data`.
        """
        size = frame_size_at(data, at)
        if size > self._max:
            return self._look_at_large(data, at, base, flushing, size)
        if size == HEADER_SIZE:
            return Found.LOSS, 0
        if at + size > len(data):
            waits = not flushing and self._resync.pays(size, base + at)
            return (Found.WAIT, size) if waits else (Found.LOSS, 0)
        return (Found.WHOLE, size) if self._resync.decodes(data, at, size, base) else (Found.LOSS, 0)

    def _look_at_large(self, data: bytes, at: int, base: int, flushing: bool, size: int) -> tuple[Found, int]:
        if not self._large:
            return Found.LOSS, 0
        head = data[at : at + LARGE_HEAD]
        if len(head) < LARGE_HEAD:
            return (Found.LOSS, 0) if flushing else (Found.WAIT, LARGE_HEAD)
        return (Found.LARGE, size) if self._resync.opens_large(head, base + at) else (Found.LOSS, 0)

    def kept(self, data: bytes, at: int) -> int:
        """Return how many bytes are kept of the large frame at a place."""
        return LARGE_HEAD

    def find(self, data: bytes, at: int, base: int, flushing: bool) -> tuple[Found, int, int]:
        """Look for a place where frames go on: STEP, WAIT or NOTHING.

        Args:
            data: bytes of the stream.
            at: where to look from.
            base: the place of `data[0]` in the stream.
            flushing: nothing comes behind `data`.
        """
        resync = self._resync
        place = resync.find(data, at)
        while place >= 0:
            size = resync.fits(data, place, base)
            if size is None and not flushing:
                return Found.WAIT, place - at, frame_size_at(data, place)
            if size:
                return Found.STEP, place - at, 0
            place = resync.find(data, place + 1)
        return Found.NOTHING, max(0, len(data) - at - (HEADER_SIZE - 1)), 0

    def missing(self, data: bytes) -> int:
        """Return how many bytes are missing of the frame that `data` is the beginning of, 0 if unknown."""
        return frame_size_at(data) - len(data) if len(data) >= HEADER_SIZE else 0
