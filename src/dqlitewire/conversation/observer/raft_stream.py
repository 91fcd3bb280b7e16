"""Messages between nodes in the stream of one side: where they are cut, and what comes of them.

Behind CONNECT stand messages of the node that dialled, back to back. Each tells its size, so that a message
is passed over whether it decodes or not. What follows a preamble that fits no message is lost up to a place
where two preambles stand one message apart (the end of the stream counts as the second where the message
decodes):

    in step   | message | message | does not fit ..        -> lost
    lost      .. | preamble, message | preamble ..         -> in step
                 `-- believed when the next one has come

A connection of nodes lives for days, so that most recordings join it in the middle; then it begins lost, and
that two preambles are found tells what kind of connection it is. Waiting for a second preamble, and looking
at a header as long as it says it is, are paid for as `resync` has it, so that the work stays linear.

Only a stream that has such messages loads the codec for them.
"""

from __future__ import annotations

from enum import Enum, auto

from ...exceptions import DecodeError, without_trace
from ...limits import DEFAULT_MAX_MESSAGE_SIZE
from ..events import Side
from .stream_events import Bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

    from ...limits import Limits
    from ...raft import RaftMessage
    from .resync import Resync

__all__ = ["Found", "RaftCutter", "RaftFrame"]

PREAMBLE_SIZE = 16
MAX_PAYLOAD = 1 << 40  # what a stream in step believes; nodes before 1.18.7 have no bound


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
        self._read = True
        from ...raft import decode_message

        try:
            self._message = decode_message(self.data, text_errors="surrogateescape", limits=self._limits)
        except DecodeError as error:
            self._error = without_trace(error)


class Found(Enum):
    """What begins at a place of the stream."""

    MESSAGE = auto()  # so many bytes, all of them there
    LARGE = auto()  # so many bytes, above the cap
    WAIT = auto()  # what cannot be told before so many bytes are there
    NOTHING = auto()  # so many bytes are no message
    STEP = auto()  # a message, behind so many bytes that are none
    LOSS = auto()  # no message, and from here on a place is to be looked for


class RaftCutter:
    """Says what the bytes behind CONNECT are.

    Args:
        resync: pays for guesses.
        max_size: bytes of a message that is kept whole.
        in_step: a message begins with the first byte.
    """

    __slots__ = ("_from", "_max", "_resync", "in_step")

    def __init__(self, resync: Resync, max_size: int, in_step: bool) -> None:
        self._resync = resync
        self._max = max_size
        self.in_step: bool = in_step
        self._from = 0  # place in the stream: no message that is searched for begins in front of it

    def look(self, data: bytes, at: int, base: int, flushing: bool) -> tuple[Found, int]:
        """Tell what stands at a place.

        Args:
            data: bytes of the stream.
            at: the place.
            base: the place of `data[0]` in the stream.
            flushing: nothing comes behind `data`.
        """
        return self._here(data, at) if self.in_step else self.find(data, at, base, flushing)

    def _here(self, data: bytes, at: int) -> tuple[Found, int]:
        try:
            size = whole_size(data, at, self._max)
        except DecodeError:
            self.in_step = False
            return Found.LOSS, 0
        if size is None:
            have = len(data) - at
            if have < PREAMBLE_SIZE:
                return Found.WAIT, PREAMBLE_SIZE
            return Found.WAIT, PREAMBLE_SIZE + int.from_bytes(data[at + 8 : at + 16], "little")
        if size > self._max:
            return Found.LARGE, size
        return (Found.WAIT if size > len(data) - at else Found.MESSAGE), size

    def find(self, data: bytes, at: int, base: int, flushing: bool) -> tuple[Found, int]:
        """Look for a place where messages go on.

        Args:
            data: bytes of the stream.
            at: where to look from.
            base: the place of `data[0]` in the stream.
            flushing: nothing comes behind `data`.
        """
        pattern = _preamble()
        found = pattern.search(data, max(at, self._from - base))
        while found is not None:
            place = found.start()
            verdict, size = self._guess(data, place, base, flushing)
            if verdict is Found.STEP:
                self.in_step = True
                return Found.STEP, place - at
            if verdict is Found.WAIT:
                self._from = base + place  # what stands in front is not looked at again
                return Found.WAIT, place - at + size
            found = pattern.search(data, place + 1)
        return Found.NOTHING, max(0, len(data) - at - (0 if flushing else PREAMBLE_SIZE - 1))

    def _guess(self, data: bytes, at: int, base: int, flushing: bool) -> tuple[Found, int]:
        head = PREAMBLE_SIZE + int.from_bytes(data[at + 8 : at + 16], "little")
        if not self._resync.pays(head, base + at):
            return Found.NOTHING, 0
        try:
            size = whole_size(data, at, self._max)
        except DecodeError:
            return Found.NOTHING, 0
        if size is not None and at + size + PREAMBLE_SIZE <= len(data):
            return (Found.STEP if self._fits(data, at + size, base) else Found.NOTHING), 0
        needed = head if size is None else size + PREAMBLE_SIZE
        if not flushing:
            return (Found.WAIT if self._resync.pays(needed, base + at) else Found.NOTHING), needed
        if size is None or at + size > len(data) or not self._resync.pays(size, base + at):
            return Found.NOTHING, 0
        rest = data[at + size :]
        ends = not rest or (rest[0] in _types() and not any(rest[3:8]))
        return (Found.STEP if ends and _decodes(data[at : at + size]) else Found.NOTHING), 0

    def _fits(self, data: bytes, at: int, base: int) -> bool:
        if _preamble().match(data, at) is None:
            return False
        if not self._resync.pays(PREAMBLE_SIZE + int.from_bytes(data[at + 8 : at + 16], "little"), base + at):
            return False
        try:
            whole_size(data, at, self._max)
        except DecodeError:
            return False
        return True


def whole_size(data: bytes, at: int, max_size: int) -> int | None:
    """Return the size of the message that begins at a place; None while that cannot be told.

    Args:
        data: bytes of the stream.
        at: the place.
        max_size: bytes of its header at most.

    Raises:
        DecodeError: no message begins there.
    """
    from ...raft import MAX_HEADER_SIZE, frame_size

    cap = min(MAX_HEADER_SIZE, max_size)
    return frame_size(data, at, max_header_size=cap, max_payload_size=MAX_PAYLOAD)


def begins_with_raft(data: bytes) -> bool:
    """Tell whether bytes begin with a message between nodes: what follows it, if anything does, is one too.

    Args:
        data: how a stream begins.
    """
    if len(data) < PREAMBLE_SIZE or _preamble().match(data) is None:
        return False
    try:
        size = whole_size(data, 0, len(data))
    except DecodeError:
        return False
    if size is None or size > len(data):
        return False
    rest = data[size : size + PREAMBLE_SIZE]
    if len(rest) < PREAMBLE_SIZE:
        return _decodes(data[:size]) and (not rest or rest[0] in _types())
    return _preamble().match(rest) is not None


def may_begin_raft(data: bytes) -> bool:
    """Tell whether a message between nodes may begin with bytes, as far as they go.

    Args:
        data: what stands behind CONNECT.
    """
    try:
        whole_size(data, 0, DEFAULT_MAX_MESSAGE_SIZE)
    except DecodeError:
        return False
    return True


def holds_raft(data: bytes) -> bool:
    """Tell whether two messages between nodes stand in bytes, one behind the other.

    Args:
        data: some of a stream.
    """
    from .resync import Resync

    cutter = RaftCutter(Resync(Side.CLIENT, len(data)), max(len(data), PREAMBLE_SIZE), in_step=False)
    return cutter.find(data, 0, 0, flushing=True)[0] is Found.STEP


def _decodes(data: bytes) -> bool:
    from ...raft import decode_message

    try:
        decode_message(data, text_errors="surrogateescape")
    except DecodeError:
        return False
    return True


def _types() -> frozenset[int]:
    from ...raft import MESSAGES

    return frozenset(MESSAGES)


def _preamble() -> re.Pattern[bytes]:
    """Return what matches a preamble: a known type, any version, zeros, a header below 16 MiB."""
    if not _PREAMBLES:
        import re  # slow to import, and rarely needed

        kinds = b"".join(b"\\x%02x" % kind for kind in sorted(_types()))
        _PREAMBLES.append(re.compile(rb"[" + kinds + rb"]\0.\0{5}...\0{5}", re.DOTALL))
    return _PREAMBLES[0]


_PREAMBLES: list[re.Pattern[bytes]] = []
