"""One message between nodes as an observer has seen it; only what such messages come to loads their codec."""

from __future__ import annotations

from ...exceptions import DecodeError, without_trace
from ..events import Side
from .stream_events import Bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...limits import Limits
    from ...raft import RaftMessage

__all__ = ["RaftFrame"]


class RaftFrame(Bytes):
    """One message between nodes, decoded when asked.

    Attributes:
        side: who sent it.
        offset: where it begins in the bytes of its side.
        data: preamble, header and payload.
        start: when its first byte came.
        end: when its last byte came.
        damaged: bytes of it were lost; `data` is what there is of it.
        left_out: bytes behind `data` that were counted and not kept, as the message is above 64 MiB.
        tail: of such a message the last eight bytes.
        limits: caps of names and addresses when it is decoded; by default the usual ones.
    """

    damaged: bool
    left_out: int
    tail: bytes
    _limits: Limits | None
    _read: bool
    _message: RaftMessage | None
    _error: DecodeError | None

    __match_args__ = ("side", "type_name", "message", "offset", "start", "end")

    def __init__(
        self, side: Side, offset: int, data: bytes, start: float, end: float, limits: Limits | None = None
    ) -> None:
        self.side = side
        self.offset = offset
        self.data = data
        self.start = start
        self.end = end
        self.damaged = False
        self.left_out = 0
        self.tail = b""
        self._limits = limits
        self._read = False
        self._message = None
        self._error = None

    @property
    def size(self) -> int:
        """Bytes, preamble included."""
        return len(self.data) + self.left_out

    @property
    def type(self) -> int:
        """The number of its type."""
        return self.data[0]

    @property
    def type_name(self) -> str:
        """The name of its type."""
        from ...raft import raft_type_name

        return raft_type_name(self.data[0])

    @property
    def message(self) -> RaftMessage | None:
        """The message; None if it does not decode, or was not kept whole."""
        self._decode()
        return self._message

    @property
    def error(self) -> DecodeError | None:
        """Why it does not decode."""
        self._decode()
        return self._error

    def refuse(self, error: DecodeError) -> None:
        """Make this a message that does not decode, whatever its bytes are.

        Args:
            error: why; it becomes `error`.
        """
        self._read, self._message, self._error = True, None, error

    def _decode(self) -> None:
        if self._read:
            return
        from ...raft import decode_message

        try:
            self._message = decode_message(self.data, text_errors="surrogateescape", limits=self._limits)
        except DecodeError as error:
            self._error = without_trace(error)
        self._read = True  # last: an interrupt before leaves it to be read again
