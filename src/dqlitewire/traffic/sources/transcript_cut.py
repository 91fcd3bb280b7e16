"""Cut the two byte streams of a connection that is being recorded into what stands on a line each.

Headers are walked and nothing is decoded: a recorder stands in the path of the traffic. A stream begins with
what the observer too expects there, and each state has one step:

    START     a handshake word, an HTTP head or a TLS record     -> FRAMES or RAW
    FRAMES    frame behind frame, by the length in its header    -> INSIDE, RAW
    INSIDE    the rest of a frame above `PIECE`, piece by piece  -> FRAMES
    RAW       bytes that are no frames: raft behind CONNECT, TLS, refused HTTP, or nothing known

A header that cannot be one makes the rest of its stream RAW: it is written as it came, and whoever reads the
transcript finds the frames in it as in any stream. Bytes wait until their line is complete, at most `PIECE`
of each stream; as in the observer's stream reader, the parts are joined once and not for each part.
"""

from __future__ import annotations

from typing import NamedTuple

from dqlitewire.constants import HEADER_SIZE, RequestType
from dqlitewire.conversation import Side
from dqlitewire.conversation.first_bytes import (
    HTTP_ANSWER,
    HTTP_END,
    HTTP_METHODS,
    MAX_HTTP_HEAD,
    TLS_HANDSHAKE,
    answers_upgrade,
    is_interim,
)
from dqlitewire.header import HEADER, type_name
from dqlitewire.traffic.sources.pieces import new_tuple

PIECE = 1 << 20  # bytes of a line; a frame above it stands in pieces
_CONNECT = int(RequestType.CONNECT)


class Cut(NamedTuple):
    """What stands on a line.

    Attributes:
        type: the name of the message's type, or of what else it is; "" if unknown.
        data: the bytes.
        first: when the first of them came, in nanoseconds since 1970.
        last: when the last of them came.
        preamble: it stands before the frames, or ends them: without it, what follows is not understood.
        more: the frame goes on on the stream's next line.
    """

    type: str
    data: bytes
    first: int
    last: int
    preamble: bool = False
    more: bool = False


class Streams:
    """Both streams of one connection.

    Attributes:
        raw: what both carry instead of frames: "RAFT", "TLS", "HTTP"; "" for frames.
    """

    def __init__(self) -> None:
        self.raw = ""
        self._streams = {side: _Stream(self, side) for side in Side}

    def take(self, side: Side, data: bytes, time: int) -> list[Cut]:
        """Take bytes, and return what they complete.

        Args:
            side: who sent them.
            data: the bytes, cut anywhere.
            time: when they came, in nanoseconds since 1970.
        """
        return self._streams[side].take(data, time)

    def rest(self, side: Side) -> list[Cut]:
        """Return the bytes that wait for others, as they are."""
        return self._streams[side].rest()

    def skip(self, side: Side, frame: bytes) -> list[Cut]:
        """Note a whole frame that is not cut here, and return what waited before it.

        Args:
            side: who sent it.
            frame: its bytes.
        """
        return self._streams[side].skip(frame)

    @staticmethod
    def type_of(side: Side, frame: bytes) -> str:
        """Return the name of a frame's type."""
        return type_name(frame[4], side is Side.CLIENT) if len(frame) >= HEADER_SIZE else ""


class _Stream:
    def __init__(self, both: Streams, side: Side) -> None:
        self.left = 0  # bytes of a frame of which some were returned
        self._both = both
        self._side = side
        self._is_request = side is Side.CLIENT
        self._begun = False
        self._raw = False
        self._type = ""  # of the frame of which bytes are left
        self._parts: list[bytes] = []
        self._have = 0
        self._need = 0
        self._first = self._last = 0

    def take(self, data: bytes, time: int) -> list[Cut]:
        self._last = time
        cuts: list[Cut] = []
        first, start = time, 0
        if self._have:
            missing = self._need - self._have
            if len(data) < missing:
                self._parts.append(data)
                self._have += len(data)
                return []
            first = self._first
            if self._need > HEADER_SIZE and self._begun:  # the frame that waits alone: the rest is not copied
                whole = b"".join((*self._parts, data[:missing]))
                start = self._cut(whole, first, time, cuts) - len(whole) + missing  # all of it is taken
                first = time
            else:
                data = b"".join((*self._parts, data))
        at = self._cut(data, first, time, cuts, start)
        self._have = len(data) - at
        self._parts = [data[at:]] if self._have else []
        self._first = time if at else first
        return cuts

    def rest(self) -> list[Cut]:
        data = b"".join(self._parts)
        self._parts, self._have, self._need = [], 0, 0
        return [Cut(self._type if self.left else "", data, self._first, self._last)] if data else []

    def skip(self, frame: bytes) -> list[Cut]:
        waited = self.rest()
        self._begun, self.left = True, 0
        self._after(frame)
        return waited

    def _cut(self, data: bytes, first: int, time: int, cuts: list[Cut], at: int = 0) -> int:
        """Cut what is whole; return where the rest begins, of which `_need` bytes are needed."""
        end = len(data)
        while at < end:
            if self._raw or self._both.raw:
                cuts += (
                    Cut(self._both.raw, data[start : start + PIECE], first if start == 0 else time, time)
                    for start in range(at, end, PIECE)
                )
                return end
            if self._begun and not self.left:
                at = self._whole_frames(data, at, first, time, cuts)
                if at == end or self._both.raw:
                    continue
            inside, starts = self.left > 0, not self._begun
            if starts:
                size, type = self._opening(data, at)
            elif inside:
                size, type = min(self.left, PIECE), self._type
            else:
                size, type = self._header(data, at)
            if not size:  # it is raw, or the opening was none
                continue
            if end - at < min(size, PIECE):
                self._need = min(size, PIECE)
                break
            cut = data[at : at + min(size, PIECE)]
            if starts:
                self._begin(type, cut)
            elif inside:
                self.left -= len(cut)
            elif size > PIECE:
                self.left, self._type = size - PIECE, type
            preamble = starts or (not inside and self._after(cut))
            cuts.append(Cut(type, cut, time if at else first, time, preamble, self.left > 0))
            at += len(cut)
        return at

    def _whole_frames(self, data: bytes, at: int, first: int, time: int, cuts: list[Cut]) -> int:
        """Cut frames that are whole, while nothing else comes; return where that is. The common case."""
        end, is_request = len(data), self._is_request
        while end - at >= HEADER_SIZE:
            words, code, _, reserved = HEADER.unpack_from(data, at)
            size = 8 + 8 * words  # header.frame_size
            if reserved or not words or size > PIECE or end - at < size or (is_request and code == _CONNECT):
                break
            cut = (
                type_name(code, is_request),
                data[at : at + size],
                time if at else first,
                time,
                False,
                False,
            )
            cuts.append(new_tuple(Cut, cut))
            at += size
        return at

    def _header(self, data: bytes, at: int) -> tuple[int, str]:
        """The size and type of the frame that begins here; 0 if it is none, more than there is if unknown."""
        if len(data) - at < HEADER_SIZE:
            return HEADER_SIZE, ""
        words, code, _, reserved = HEADER.unpack_from(data, at)
        if reserved or not words:
            self._raw = True
            return 0, ""
        return 8 + 8 * words, type_name(code, self._is_request)  # header.frame_size

    def _opening(self, data: bytes, at: int) -> tuple[int, str]:
        """The size and type of what a stream begins with; 0 if it is raw, more than there is if unknown."""
        head = data[at : at + 8]
        if head.startswith(TLS_HANDSHAKE):
            self._both.raw = "TLS"
            return 0, ""
        if len(head) < 8:
            return 8, ""
        if head.startswith(HTTP_ANSWER if self._side is Side.SERVER else HTTP_METHODS):
            end = data.find(HTTP_END, at, at + MAX_HTTP_HEAD)
            if end >= 0:
                return end + len(HTTP_END) - at, "HTTP"
            if len(data) - at < MAX_HTTP_HEAD:
                return len(data) - at + 1, "HTTP"
            self._raw = True
            return 0, ""
        if self._side is Side.CLIENT:
            return 8, "HANDSHAKE"
        self._begun = True
        return 0, ""

    def _begin(self, type: str, data: bytes) -> None:
        if type == "HANDSHAKE":
            self._begun = True
        elif self._side is Side.SERVER and not is_interim(data):
            self._begun = True
            if not answers_upgrade(data):
                self._both.raw = "HTTP"

    def _after(self, frame: bytes) -> bool:
        """Note a frame; return whether nothing behind it is understood without it."""
        if self._is_request and len(frame) > 4 and frame[4] == _CONNECT:
            self._both.raw = "RAFT"
            return True
        return False
