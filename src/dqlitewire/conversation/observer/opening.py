"""What a stream begins with: a handshake, an HTTP head, a TLS record, or a frame of a stream joined later.

    first bytes          of the client                       of the server
    16 03                TLS, up to the end                  TLS, up to the end
    "GET ", "HTTP/" ..   an HTTP request with its body       an HTTP answer; behind an interim one another
    a frame, whole       the beginning was missed            -
    any other 8          a handshake, perhaps unknown        a frame: a server has no handshake

The end of an HTTP head is not announced: it is awaited by its mark, and at most `MAX_HTTP_HEAD` bytes. A word
that is no known handshake may be a header, as its fifth byte is a type; that is believed when a frame with it
has come whole and decodes (`resync`).
"""

from __future__ import annotations

from ...constants import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY
from ...header import frame_size_at
from ..events import Side
from ..first_bytes import HTTP_ANSWER, HTTP_END, HTTP_METHODS, MAX_HTTP_HEAD, TLS_HANDSHAKE, body_size
from .found import Found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .resync import Resync

__all__ = ["HANDSHAKE_SIZE", "Opening"]

HANDSHAKE_SIZE = 8
_HANDSHAKES = {PROTOCOL_VERSION: "handshake", PROTOCOL_VERSION_LEGACY: "legacy handshake"}
_HTTP = (HTTP_ANSWER, *HTTP_METHODS)


class Opening:
    """Says what one side's stream begins with.

    Args:
        side: who sends the bytes.
        resync: judges whether a frame begins.
    """

    __slots__ = ("_resync", "_side")

    def __init__(self, side: Side, resync: Resync) -> None:
        self._side = side
        self._resync = resync

    def look(self, data: bytes, at: int, base: int, flushing: bool) -> tuple[Found, int]:
        """Tell what stands at a place: WHOLE preamble, STEP where frames begin without one, or LOSS.

        Args:
            data: bytes of the stream.
            at: the place.
            base: the place of `data[0]` in the stream.
            flushing: nothing comes behind `data`.
        """
        head = data[at : at + HANDSHAKE_SIZE]
        if head.startswith(TLS_HANDSHAKE):
            return Found.WHOLE, len(data) - at
        if len(head) < HANDSHAKE_SIZE:
            return Found.WAIT, len(head) + 1
        if head.startswith(HTTP_ANSWER if self._side is Side.SERVER else _HTTP):
            return self._http(data, at, flushing)
        if self._side is Side.SERVER:
            return Found.STEP, 0
        if int.from_bytes(head, "little") not in _HANDSHAKES and head[4] and not flushing:
            size = self._resync.fits(data, at, base)
            if size is None:
                return Found.WAIT, frame_size_at(data, at)
            if size:
                return Found.STEP, 0
        return Found.WHOLE, HANDSHAKE_SIZE

    def _http(self, data: bytes, at: int, flushing: bool) -> tuple[Found, int]:
        have = len(data) - at
        end = data.find(HTTP_END, at)
        if end < 0:
            return (Found.HEAD, MAX_HTTP_HEAD + 1) if have <= MAX_HTTP_HEAD else (Found.LOSS, 0)
        size = end + len(HTTP_END) - at
        if self._side is Side.CLIENT and (body := body_size(data[at : at + size])) <= MAX_HTTP_HEAD:
            size += body
        if size > have and not flushing:
            return Found.WAIT, size
        return Found.WHOLE, min(size, have)

    def kind(self, preamble: bytes) -> str:
        """Return the kind of a preamble that was found."""
        if preamble.startswith(TLS_HANDSHAKE):
            return "tls"
        if preamble.startswith(_HTTP):
            return "http request" if self._side is Side.CLIENT else "http response"
        return _HANDSHAKES.get(int.from_bytes(preamble, "little"), "unknown handshake")
