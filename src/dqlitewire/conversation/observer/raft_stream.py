"""Messages between nodes in the stream of one side: where they are cut, and where they go on after a loss.

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

from ...exceptions import DecodeError
from ...limits import DEFAULT_MAX_MESSAGE_SIZE
from ..events import Side
from .found import Found
from .large import LARGE_HEAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

    from .resync import Resync

__all__ = ["PREAMBLE_SIZE", "RaftCutter"]

PREAMBLE_SIZE = 16
MAX_PAYLOAD = 1 << 40  # what a stream in step believes; nodes before 1.18.7 have no bound


class RaftCutter:
    """Says where messages between nodes stand.

    Args:
        resync: pays for guesses.
        max_size: the largest message that is kept whole.
        large: whether larger ones are believed.
    """

    __slots__ = ("_from", "_large", "_max", "_resync")

    def __init__(self, resync: Resync, max_size: int, large: bool) -> None:
        self._resync = resync
        self._max = max_size
        self._large = large
        self._from = 0  # place in the stream: no message that is searched for begins in front of it

    def look(self, data: bytes, at: int, base: int, flushing: bool) -> tuple[Found, int]:
        """Tell what stands at a place, in step: a WHOLE message, a LARGE one, WAIT, or LOSS.

        Args:
            data: bytes of the stream.
            at: the place.
            base: the place of `data[0]` in the stream.
            flushing: nothing comes behind `data`.
        """
        have = len(data) - at
        try:
            size = whole_size(data, at, self._max)
        except DecodeError:
            return Found.LOSS, 0
        if size is None:
            return Found.WAIT, PREAMBLE_SIZE if have < PREAMBLE_SIZE else _head_size(data, at)
        if size <= self._max:
            return (Found.WHOLE if size <= have else Found.WAIT), size
        if not self._large:
            return Found.LOSS, PREAMBLE_SIZE  # so that the search does not find it once more
        head = max(_head_size(data, at), LARGE_HEAD)
        return (Found.LARGE, size) if head <= have or flushing else (Found.WAIT, head)

    def kept(self, data: bytes, at: int) -> int:
        """Return how many bytes are kept of the large message at a place: the header is needed whole."""
        return min(max(_head_size(data, at), LARGE_HEAD), len(data) - at)

    def missing(self, data: bytes) -> int:
        """Return how many bytes are missing of the message that `data` is the beginning of, 0 if unknown."""
        try:
            size = whole_size(data, 0, self._max) if len(data) >= PREAMBLE_SIZE else None
        except DecodeError:
            return 0
        return 0 if size is None else size - len(data)

    def find(self, data: bytes, at: int, base: int, flushing: bool) -> tuple[Found, int, int]:
        """Look for a place where messages go on: STEP, WAIT or NOTHING.

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
                return Found.STEP, place - at, 0
            if verdict is Found.WAIT:
                self._from = base + place  # what stands in front is not looked at again
                return Found.WAIT, 0, place - at + size
            found = pattern.search(data, place + 1)
        return Found.NOTHING, max(0, len(data) - at - (0 if flushing else PREAMBLE_SIZE - 1)), 0

    def _guess(self, data: bytes, at: int, base: int, flushing: bool) -> tuple[Found, int]:
        head = _head_size(data, at)
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
        if not self._resync.pays(_head_size(data, at), base + at):
            return False
        try:
            whole_size(data, at, self._max)
        except DecodeError:
            return False
        return True


def _head_size(data: bytes, at: int) -> int:
    """Return the size of preamble and header of the message at a place."""
    return PREAMBLE_SIZE + int.from_bytes(data[at + 8 : at + 16], "little")


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


def is_message(data: bytes, whole: bool) -> bool:
    """Tell whether bytes are one message between nodes, or the beginning of one.

    Args:
        data: the bytes.
        whole: nothing of it may be missing.
    """
    try:
        size = whole_size(data, 0, len(data) + PREAMBLE_SIZE)
    except DecodeError:
        return False
    if whole:
        return size == len(data)
    return len(data) >= PREAMBLE_SIZE and (size is None or size > len(data))


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

    cutter = RaftCutter(Resync(Side.CLIENT, len(data)), max(len(data), PREAMBLE_SIZE), large=False)
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
