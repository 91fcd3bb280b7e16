"""Cut the stream of one side into what it is made of: preambles, frames, and bytes that are neither.

Nothing here raises on bytes. A reader is in one of seven states, and each state has one step, which takes
what it can from the bytes that wait:

    START    a handshake, an HTTP head or a TLS record       -> FRAMES or OPAQUE, LOST if nothing fits
    FRAMES   frame behind frame; any header is believed that announces a body within the cap  -> LOST, LARGE
    LARGE    the rest of a frame above the cap, which is counted and not kept  -> FRAMES
    LOST     search for a place where frames go on (`resync.py`)  -> FRAMES
    RAFT     message behind message of a node, behind CONNECT (`raft_stream.py`)  -> LARGE
    JOINED   search for a place where frames or messages of a node go on  -> FRAMES, RAFT
    OPAQUE   bytes of another protocol: TLS, plain HTTP, and what a node sends to one that dialled it

The bytes that wait are a list of pieces as they arrived (`_parts`), `_have` of them in all. A step that needs
more says how many (`_need`), and until so many are there a new piece is only appended, so that a frame of n
pieces is joined once and not n times. While steps run, the pieces are one `bytes` (`_data`) with a position:

    _parts:  piece | piece | piece            _data:  taken ... | frame | frame | rest
             `-- _have bytes, need _need                      _position ^
                                              offset of the next byte in the stream = `offset`

So the work is linear in the bytes whatever they are; what guessing costs in LOST is bounded by `resync`.
"""

from __future__ import annotations

from enum import Enum

from ...constants import HEADER_SIZE, PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY
from ...exceptions import DecodeError
from ...header import frame_size_at
from ...limits import DEFAULT_MAX_MESSAGE_SIZE
from ..events import Event, Side
from ..first_bytes import (
    HTTP_ANSWER,
    HTTP_END,
    HTTP_METHODS,
    MAX_HTTP_HEAD,
    TLS_HANDSHAKE,
    body_size,
    is_interim,
)
from ..frames import FrameReader
from .exchange import Frame
from .raft_stream import PREAMBLE_SIZE, Found, RaftCutter, RaftFrame, whole_size
from .resync import Resync
from .stream_events import OPAQUES, PREAMBLES, RAFT_KINDS, Gap, Garbage, Opaque, Preamble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...limits import Limits

__all__ = ["State", "StreamReader"]

LARGE_HEAD = 512  # bytes of a large frame that are kept

_HANDSHAKES = {PROTOCOL_VERSION: "handshake", PROTOCOL_VERSION_LEGACY: "legacy handshake"}


class State(Enum):
    """What a stream reader looks for."""

    START = "a handshake, or what stands before it"
    FRAMES = "frames, one behind the other"
    LOST = "a place where frames go on"
    OPAQUE = "nothing"
    LARGE = "the end of a frame of which only the beginning is kept"
    RAFT = "messages of a node, one behind the other"
    JOINED = "a place where frames, or messages of a node, go on"


class StreamReader:
    """The reader of one side's stream.

    Args:
        side: who sends these bytes.
        emit: is called with each Frame, RaftFrame, Preamble, Garbage, Opaque and Gap, in the order of the
            bytes.
        reader: decodes the messages of the frames when they are asked for.
        limits: caps for decoding; the cap of a frame also bounds what a header may announce.
        begin: what the stream begins with.

    Attributes:
        version: that of the client's handshake, None before it or without one.
        lossy: bytes were lost or made no sense, so that a frame may be missing.
        ended: the side has ended its stream.
        cut_short: it ended inside a frame whose beginning has come out.
    """

    __slots__ = (
        "_cutter",
        "_data",
        "_emit",
        "_first",
        "_flushing",
        "_have",
        "_joined",
        "_large",
        "_left",
        "_limits",
        "_max",
        "_need",
        "_opaque_kind",
        "_parts",
        "_position",
        "_raft",
        "_reader",
        "_rest",
        "_resync",
        "_skip",
        "_state",
        "_tail",
        "_time",
        "cut_short",
        "ended",
        "lossy",
        "offset",
        "side",
        "version",
    )

    def __init__(
        self,
        side: Side,
        emit: Callable[[Event], None],
        reader: FrameReader,
        limits: Limits | None,
        begin: State = State.START,
    ) -> None:
        self.side: Side = side
        self.offset: int = 0  # of the next byte, in the stream
        self.version: int | None = None
        self.lossy: bool = begin is State.LOST
        self.ended: bool = False
        self.cut_short: bool = False
        self._emit = emit
        self._reader = reader
        cap = DEFAULT_MAX_MESSAGE_SIZE if limits is None else limits.max_message_size
        self._max = cap or 1 << 32
        self._limits = limits
        self._large: Frame | RaftFrame | None = (
            None  # one above the cap; None also where a caller has set the cap
        )
        self._left: int = (
            0 if limits is None else -1
        )  # bytes of it still to come; -1: there are no such frames
        # what an answer says is never between nodes, so that only the client's side looks for that
        self._joined = begin is State.LOST and side is Side.CLIENT
        self._state = State.JOINED if self._joined else begin
        self._opaque_kind = ""
        self._tail: bytes | None = None  # while an HTTP head waits for its end: the last bytes of it
        self._parts: list[bytes] = []  # the bytes that wait
        self._have: int = 0  # how many they are
        self._need: int = 0  # how many of them another step needs
        self._data = b""  # the bytes that wait while steps are taken, in one piece
        self._position: int = 0  # of the next byte, in `_data`
        self._first = 0.0  # when the first byte that waits came
        self._time = 0.0
        self._skip = 0  # bytes of a damaged frame still to come
        self._rest = b""  # what is left at the end, as another reader has said
        self._resync = Resync(side, self._max)
        self._raft: RaftCutter | None = None
        self._cutter: RaftCutter | None = None  # that of a stream of which it is not known yet what it is
        self._flushing = False

    @property
    def waiting(self) -> int:
        """How many bytes wait to be completed by others."""
        return self._have

    @property
    def received(self) -> int:
        """How many bytes came, lost ones included where their number is known."""
        return self.offset + self._have + len(self._rest)

    def make_opaque(self, kind: str) -> None:
        """Stop looking for frames: "raft", "tls" or "http" from here on."""
        self._state = State.OPAQUE
        self._opaque_kind = kind

    def follow_raft(self, in_step: bool = True) -> None:
        """Cut messages between nodes from here on; those of the node that was dialled there are none.

        Args:
            in_step: the next byte begins one.
        """
        if self.side is Side.SERVER:
            self.make_opaque("raft")
            return
        self._raft = RaftCutter(self._resync, self._max, in_step)
        self._state = State.RAFT
        self.lossy = self.lossy or not in_step

    def receive(self, data: bytes, time: float) -> None:
        """Take bytes that came at a time, and emit what they complete."""
        self._time = time
        if self._rest:
            data, self._rest = self._rest + bytes(data), b""
        if not self._have:
            self._first = time
        self._parts.append(bytes(data))
        self._have += len(data)
        if self._have >= self._need or (self._tail is not None and self._ends_head(data)):
            self._run()

    def receive_cut(
        self, kind: str, data: bytes, start: float, end: float, refusal: DecodeError | None = None
    ) -> None:
        """Take bytes of which another reader has said what they are, and emit that.

        What it may have been wrong about, or what does not go on from what waits here, is read as any bytes.
        """
        if self._have or not self._believes(kind, data):
            self.receive(data[:-1], start)
            self.receive(data[-1:], end)
            return
        self._time = end
        bytes_ = self.side, self.offset, data, start, end
        self.offset += len(data)
        if kind == "rest":
            self.offset -= len(data)
            self._rest = data
        elif kind in ("frame", "damaged frame"):
            self.lossy = self.lossy or (self._state is State.START and self.side is Side.CLIENT)
            self._state, self._skip = State.FRAMES, 0
            frame = Frame(*bytes_, self._reader)
            frame.damaged = kind != "frame"
            if refusal is not None:
                frame.refuse(refusal)
            self._emit(frame)
        elif kind in RAFT_KINDS:
            message = RaftFrame(*bytes_, self._limits)
            message.damaged = kind != "raft message"
            if refusal is not None:
                message.refuse(refusal)
            self._skip = 0
            self.follow_raft()
            self._emit(message)
        elif kind == "garbage":
            if not self._skip:
                self._lose()
            self._skip = max(0, self._skip - len(data))
            self._emit(Garbage(*bytes_))
        elif kind in PREAMBLES:
            preamble = Preamble(*bytes_, kind)
            self._begin_behind(preamble)
            self._emit(preamble)
        else:
            opens = kind == "tls" and self._state is State.START
            self.make_opaque(kind)
            self._emit(Preamble(*bytes_, kind) if opens else Opaque(*bytes_, kind))

    def _believes(self, kind: str, data: bytes) -> bool:
        """Whether such bytes can be what they are said to be, here."""
        if self._rest:
            return False
        if kind in RAFT_KINDS:
            return self.side is Side.CLIENT and _is_raft(data, kind == "raft message")
        if self._state is State.RAFT:
            return kind in ("garbage", "rest")
        if kind.endswith("handshake"):
            return self.side is Side.CLIENT and len(data) == 8
        if self._state is State.OPAQUE and (self._opaque_kind != "http" or not kind.endswith("frame")):
            return kind in OPAQUES
        # frames behind an HTTP answer: it did upgrade, though it may be redacted
        if kind == "damaged frame":
            return HEADER_SIZE <= len(data) < frame_size_at(data)
        return kind != "frame" or HEADER_SIZE < len(data) == frame_size_at(data) <= self._max

    def _begin_behind(self, preamble: Preamble) -> None:
        """Move to the state behind a handshake or an HTTP head."""
        if preamble.kind.endswith("handshake"):
            self.version = int.from_bytes(preamble.data, "little")
            self._state = State.FRAMES
        elif self.side is Side.SERVER and not is_interim(preamble.data):
            self._state = State.FRAMES
            if not preamble.upgrades:
                self.make_opaque("http")

    def _ends_head(self, data: bytes) -> bool:
        joined = (self._tail or b"") + data
        self._tail = joined[-3:]
        return HTTP_END in joined

    def _run(self) -> None:
        self._need = 0
        self._data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        while self._STEPS[self._state](self):
            pass
        left = self._data[self._position :]
        if self._position:
            self._first = self._time
        self._data, self._position = b"", 0
        self._parts = [left] if left else []
        self._have = len(left)

    def _take(self, size: int) -> tuple[Side, int, bytes, float, float]:
        start = self._time if self._position else self._first
        position = self._position
        self._position = position + size
        offset = self.offset
        self.offset = offset + size
        return self.side, offset, self._data[position : position + size], start, self._time

    # Each step takes what it can, and returns whether another step may go on; False waits for more bytes.

    def _start(self) -> bool:
        head = self._data[self._position : self._position + 8]
        if head.startswith(TLS_HANDSHAKE):
            self._emit(Preamble(*self._take(len(self._data) - self._position), "tls"))
            self.make_opaque("tls")
            return True
        if len(head) < 8:
            return False
        if self.side is Side.SERVER and not head.startswith(HTTP_ANSWER):
            self._state = State.FRAMES
            return True
        if head.startswith((HTTP_ANSWER, *HTTP_METHODS)):
            return self._http()
        version = int.from_bytes(head, "little")
        if version not in _HANDSHAKES and head[4] and not self._flushing:
            is_request = self._resync.fits(self._data, self._position, self.offset - self._position)
            if is_request is None:
                self._need = frame_size_at(self._data, self._position)
                return False
            if is_request:  # the beginning was missed
                self._state = State.FRAMES
                self.lossy = True
                return True
        preamble = Preamble(*self._take(8), _HANDSHAKES.get(version, "unknown handshake"))
        self._begin_behind(preamble)
        self._emit(preamble)
        return True

    def _http(self) -> bool:
        end = self._data.find(HTTP_END, self._position)
        if end < 0 and len(self._data) - self._position <= MAX_HTTP_HEAD:
            self._tail, self._need = self._data[-3:], MAX_HTTP_HEAD + 1
            return False
        self._tail = None
        if end < 0:
            self._lose()
            return True
        size = end + len(HTTP_END) - self._position
        head = self._data[self._position : self._position + size]
        if self.side is Side.CLIENT and (body := body_size(head)) and body <= MAX_HTTP_HEAD:
            size += body
            if size > len(self._data) - self._position and not self._flushing:
                self._need = size
                return False
        kind = "http request" if self.side is Side.CLIENT else "http response"
        preamble = Preamble(*self._take(min(size, len(self._data) - self._position)), kind)
        self._begin_behind(preamble)
        self._emit(preamble)
        return True

    def _frames(self) -> bool:
        data, size_of_data, emit = self._data, len(self._data), self._emit
        if self._skip:
            return self._skip_damaged()
        while self._state is State.FRAMES:
            position = self._position
            if size_of_data - position < HEADER_SIZE:
                return False
            size = 8 + 8 * int.from_bytes(data[position : position + 4], "little")  # header.frame_size_at
            if size == HEADER_SIZE or size > self._max or self._is_odd(position, size):
                return self._doubted(position, size)
            if size_of_data - position < size:
                self._need = size
                return False
            emit(self._frame(size))
        return True

    def _doubted(self, position: int, size: int) -> bool:
        """Take a header that no ordinary frame has: a large frame begins, or the stream makes no sense."""
        if size > self._max and not self._left:
            head = self._data[position : position + LARGE_HEAD]
            if len(head) < LARGE_HEAD and not self._flushing:
                self._need = LARGE_HEAD
                return False
            if len(head) == LARGE_HEAD and self._resync.opens_large(head, self.offset):
                self._large = self._frame(LARGE_HEAD)
                self._large.left_out, self._large.tail = size - LARGE_HEAD, b""
                self._left = size - LARGE_HEAD
                self._state = State.LARGE
                return True
        self._lose()
        return True

    def _pass_large(self) -> bool:
        frame = self._large
        assert frame is not None
        size = min(self._left, len(self._data) - self._position)
        if not size:
            return False
        end = self._position + size
        frame.tail = (frame.tail + self._data[max(self._position, end - 8) : end])[-8:]
        self._position = end
        self.offset += size
        frame.end = self._time
        self._left -= size
        if not self._left:
            self._end_large(lost=0)
        return True

    def _end_large(self, lost: int) -> None:
        """Emit the large frame; of its end so many bytes are missing."""
        frame, self._large, self._left = self._large, None, 0
        assert frame is not None
        frame.left_out -= lost
        frame.damaged = frame.damaged or lost > 0
        self._state = State.FRAMES if self._raft is None else State.RAFT
        self._emit(frame)

    def _is_odd(self, position: int, size: int) -> bool:
        # The two reserved bytes of a header are 0 from every known peer, and no answer has a schema above 1.
        # A header that differs is doubtful: it is believed only when its frame has come whole and decodes.
        data = self._data
        if not (
            data[position + 6] or data[position + 7] or (data[position + 5] > 1 and self.side is Side.SERVER)
        ):
            return False
        base = self.offset - self._position
        if position + size > len(data):
            return self._flushing or not self._resync.pays(size, base + position)
        return not self._resync.decodes(data, position, size, base)

    def _frame(self, size: int) -> Frame:
        return Frame(*self._take(size), self._reader)

    def _lose(self) -> None:
        self.lossy = True
        if self._raft is not None:
            self._raft.in_step = False
        else:
            self._state = State.JOINED if self._joined else State.LOST

    def _search(self) -> bool:
        data, resync, base = self._data, self._resync, self.offset - self._position
        position = resync.find(data, self._position)
        while position >= 0:
            size = resync.fits(data, position, base)
            if size is None and not self._flushing:
                self._need = frame_size_at(data, position)
                break
            if size:
                self._drop(position)
                self._state = State.FRAMES
                return True
            position = resync.find(data, position + 1)
        # The last 7 bytes are kept, of a preamble between nodes 15: a header may begin in them.
        kept = PREAMBLE_SIZE if self._joined else HEADER_SIZE
        self._drop(position if position >= 0 else len(data) - kept + 1)
        return False

    def _join(self) -> bool:
        cutter = self._cutter = self._cutter or RaftCutter(self._resync, self._max, in_step=False)
        base = self.offset - self._position
        found, size = cutter.find(self._data, self._position, base, self._flushing)
        if found is Found.STEP:
            self._drop(self._position + size)
            self.follow_raft()
            return True
        if found is Found.WAIT:
            self._need = size
            return False
        return self._search()

    def _between_nodes(self) -> bool:
        if self._skip:
            return self._skip_damaged()
        assert self._raft is not None
        base = self.offset - self._position
        found, size = self._raft.look(self._data, self._position, base, self._flushing)
        match found:
            case Found.MESSAGE:
                self._emit(RaftFrame(*self._take(size), self._limits))
            case Found.LARGE if self._left < 0:  # a caller has set the cap
                self._raft.in_step = False
                self._drop(self._position + PREAMBLE_SIZE)
            case Found.LARGE:
                return self._begin_large_message(size)
            case Found.WAIT:
                self._need = size
                return False
            case Found.LOSS:
                self.lossy = True
            case Found.NOTHING | Found.STEP:
                self._drop(self._position + size)
                return found is Found.STEP or size > 0
        return True

    def _begin_large_message(self, size: int) -> bool:
        head = PREAMBLE_SIZE + int.from_bytes(self._data[self._position + 8 : self._position + 16], "little")
        head = max(head, LARGE_HEAD)
        if len(self._data) - self._position < head and not self._flushing:
            self._need = head
            return False
        head = min(head, len(self._data) - self._position)
        self._large = RaftFrame(*self._take(head), self._limits)
        self._large.left_out, self._left = size - head, size - head
        self._state = State.LARGE
        return True

    def _drop(self, position: int) -> None:
        if position > self._position:
            self._emit(Garbage(*self._take(position - self._position)))

    def _skip_damaged(self) -> bool:
        size = min(self._skip, len(self._data) - self._position)
        self._skip -= size
        if size:
            self._emit(Garbage(*self._take(size)))
        return not self._skip

    def _pass(self) -> bool:
        size = len(self._data) - self._position
        if size:
            self._emit(Opaque(*self._take(size), self._opaque_kind))
        return False

    _STEPS: dict[State, Callable[[StreamReader], bool]] = {
        State.START: _start,
        State.FRAMES: _frames,
        State.LOST: _search,
        State.OPAQUE: _pass,
        State.LARGE: _pass_large,
        State.RAFT: _between_nodes,
        State.JOINED: _join,
    }

    # ------------------------------------------------------------------ losses and the end

    def receive_gap(self, size: int | None, time: float, whole_frames: bool = False) -> None:
        """Note that bytes were lost; a loss inside one frame costs that frame and no more."""
        if self._rest:
            self.receive(b"", time)
        if whole_frames and not self._have and not self._skip:
            self._emit(Gap(self.side, self.offset, size, time))
            self.offset += size or 0
            self.lossy = True
            return
        missing = self._skip
        if self._large is not None and self._miss_large(size, time):
            return
        if self._state is State.FRAMES and not missing and self._have >= HEADER_SIZE:
            self._data = b"".join(self._parts)
            missing = frame_size_at(self._data) - self._have
        if self._state is State.RAFT and not missing and self._have >= PREAMBLE_SIZE:
            missing = self._missing_message()
        inside = size is not None and 0 < size <= missing
        self._give_up_waiting(as_frame=inside and not self._skip)
        self._time = time
        self._emit(Gap(self.side, self.offset, size, time))
        self.offset += size or 0
        self._resync.miss(size or 0)
        if self._state is not State.OPAQUE:
            self.lossy = True
            self._skip = missing - size if inside and size is not None else 0
            if not inside:
                self._lose()

    def _missing_message(self) -> int:
        """How many bytes of the message that waits are missing; 0 if that is not known."""
        assert self._raft is not None
        if not self._raft.in_step:
            return 0
        try:
            size = whole_size(b"".join(self._parts), 0, self._max)
        except DecodeError:
            return 0
        return 0 if size is None else size - self._have

    def _miss_large(self, size: int | None, time: float) -> bool:
        """Note that bytes were lost inside a large frame: of those that are not kept, it can spare any."""
        if size is None or size > self._left:
            self._end_large(lost=self._left)
            return False
        self.lossy = True
        self._left -= size
        assert self._large is not None
        self._large.tail = b""
        if not self._left:
            self._end_large(lost=0)
        self._emit(Gap(self.side, self.offset, size, time))
        self.offset += size
        return True

    def _give_up_waiting(self, as_frame: bool) -> None:
        self._data = b"".join(self._parts)
        if as_frame:
            raft = self._state is State.RAFT
            frame = RaftFrame(*self._take(self._have), self._limits) if raft else self._frame(self._have)
            frame.damaged = True
            self._emit(frame)
        else:
            self._drop(self._have)
        self._parts, self._data = [], b""
        self._position = self._have = self._need = 0
        self._tail = None

    def finish(self) -> bytes:
        """Emit what can still be found in the bytes that wait, and return what is left of them."""
        self._flushing = True
        if not self._rest:
            self._run()
        if self._large is not None:
            self._end_large(lost=self._left)
            self.cut_short = True
        left = self._rest or b"".join(self._parts)
        self._rest = b""
        self._parts, self._have, self._need = [], 0, 0
        self.offset += len(left)
        self.ended = True
        return left


def _is_raft(data: bytes, whole: bool) -> bool:
    """Whether bytes are one message between nodes, or the beginning of one."""
    try:
        size = whole_size(data, 0, len(data) + PREAMBLE_SIZE)
    except DecodeError:
        return False
    return size == len(data) if whole else len(data) >= PREAMBLE_SIZE and (size is None or size > len(data))
