"""The bytes of one side that wait until somebody can say what they are.

Bytes come in pieces, cut anywhere. Two things are wanted of them that contradict each other: steps want one
`bytes` with a position in it, and the work must stay linear, so that a frame of n pieces is joined once and
not n times. So the pieces are in one of two forms:

    closed   _pieces: piece | piece | piece           `have` bytes in all; a new piece is only appended
                      `-- have

    open     data:    taken ... | taken | rest        steps look at `data` from `position` on, and take
                      |         `- position
                      `- base, the place of data[0] in the stream

A step that must wait for more says for how many (`wait`): as long as there are fewer, `add` answers that
there is nothing to do. A step that waits for the end of an HTTP head cannot know how many bytes that are. So
it names the mark that ends a head as well, which is looked for in each piece as it comes, together with the
few bytes in front of it, as the mark may be cut.

Places count from the beginning of the stream, lost bytes included where their number is known: `offset` is
that of the next byte to be taken, base + position in both forms (while closed, `position` is 0). Of the times
at which bytes came two are kept: that of the first byte that waits, and that of the last one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..events import Side

__all__ = ["Waiting"]


class Waiting:
    """The bytes of one side that wait.

    Args:
        side: who sends them.

    Attributes:
        side: who sends them.
        have: how many waited when they were last closed, and came since.
        data: while open, the bytes in one piece; empty while closed.
        position: in `data`, the next byte to be taken.
        base: the place of `data[0]` in the stream.
        time: when the last bytes came.
    """

    __slots__ = (
        "_first",
        "_mark",
        "_need",
        "_pieces",
        "_tail",
        "base",
        "data",
        "have",
        "position",
        "side",
        "time",
    )

    def __init__(self, side: Side) -> None:
        self.side: Side = side
        self.have: int = 0
        self.data: bytes = b""
        self.position: int = 0
        self.base: int = 0
        self.time: float = 0.0
        self._first = 0.0  # when the first byte that waits came
        self._pieces: list[bytes] = []
        self._need = 0  # how many bytes another look needs
        self._mark = b""  # what ends the wait before that
        self._tail = b""  # the last bytes, in which the mark may begin

    @property
    def offset(self) -> int:
        """The place in the stream of the next byte to be taken."""
        return self.base + self.position

    @property
    def rest(self) -> int:
        """While open, how many bytes have not been taken."""
        return len(self.data) - self.position

    def add(self, data: bytes, time: float) -> bool:
        """Take a piece while closed; open when what is awaited is there, and tell whether it is."""
        self.time = time
        if not self.have:
            self._first = time
            if len(data) >= self._need:  # the common case: nothing waits
                self.data, self._need, self._mark = data, 0, b""
                return True
        if data:
            self._pieces.append(data)
            self.have += len(data)
        if self.have < self._need and not (self._mark and self._brings_mark(data)):
            return False
        self.open()
        return True

    def _brings_mark(self, data: bytes) -> bool:
        joined = self._tail + data
        self._tail = joined[1 - len(self._mark) :]
        return self._mark in joined

    def open(self) -> None:
        """Lay the bytes out in one piece; nothing is awaited any more."""
        self.data, self._need, self._mark = b"".join(self._pieces), 0, b""
        self._pieces.clear()

    def close(self) -> None:
        """Keep what was not taken."""
        position = self.position
        self.have = len(self.data) - position
        if self.have:
            self._pieces.append(self.data[position:])
            if position:
                self._first = self.time
        self.base += position
        self.data, self.position = b"", 0

    def wait(self, size: int, mark: bytes = b"") -> None:
        """While open, wait until so many bytes are there from `position` on, or a mark is."""
        self._need = size
        self._mark, self._tail = mark, self.data[1 - len(mark) :] if mark else b""

    def take(self, size: int) -> tuple[Side, int, bytes, float, float]:
        """While open, take so many bytes; return what every event of bytes begins with."""
        position = self.position
        self.position = end = position + size
        start = self.time if position else self._first
        return self.side, self.base + position, self.data[position:end], start, self.time

    def skip(self, size: int) -> bytes:
        """While open, take so many bytes of which only the last eight matter; return those."""
        end = self.position + size
        last = self.data[max(self.position, end - 8) : end]
        self.position = end
        return last

    def count(self, size: int) -> None:
        """While closed, count bytes that never waited here: lost ones, and those that were cut before."""
        self.base += size

    def clear(self) -> bytes:
        """While closed, take all bytes."""
        left = b"".join(self._pieces)
        self._pieces, self.have, self._need, self._mark = [], 0, 0, b""
        self.base += len(left)
        return left
