"""What is known of the stream of one side, and every way in which that changes.

A stream is in one of seven states. Each says what the next byte is taken for:

    START    the first byte, or what follows an HTTP head        -> FRAMES, OPAQUE, LOST
    FRAMES   the header of a frame                               -> LOST, LARGE, DAMAGED
    RAFT     a message between nodes, as behind CONNECT          -> LOST, LARGE, DAMAGED
    LARGE    the rest of what is above the cap and not kept      -> FRAMES or RAFT, where it came from
    DAMAGED  the rest of a frame of which bytes were lost        -> FRAMES or RAFT, where it came from; LOST
    LOST     anything; a place is looked for                     -> FRAMES, RAFT
    OPAQUE   another protocol: TLS, plain HTTP, or what a node sends to one that dialled it

Besides, three things change a stream from outside, in any state: `follow_raft`, when the client's CONNECT has
passed; `make_opaque`, when the other side has said that this is another protocol; and what another reader has
found there (`cut_before.py`). A loss ends in LOST or in DAMAGED (`losses.py`).

What is looked for in LOST depends on what was seen before. Between nodes nothing but messages goes on. A
client that was joined in the middle may have sent frames or messages, so both are looked for; what a server
says is never between nodes.

The rule of the module: `state` is assigned here and nowhere else.
"""

from __future__ import annotations

from enum import IntEnum, auto

from ...limits import DEFAULT_MAX_MESSAGE_SIZE
from ..events import Event, Side
from ..first_bytes import is_interim
from .exchange import Frame
from .frame_stream import FrameCutter
from .large import Large
from .raft_frame import RaftFrame
from .raft_stream import RaftCutter
from .resync import Resync
from .stream_events import Garbage, Preamble
from .waiting import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...limits import Limits
    from ..frames import FrameReader

__all__ = ["State", "Stream"]


class State(IntEnum):  # the hash of an Enum is slow, and each piece of bytes looks up a step
    """What the next byte of a stream is taken for."""

    START = auto()
    FRAMES = auto()
    RAFT = auto()
    LARGE = auto()
    DAMAGED = auto()
    LOST = auto()
    OPAQUE = auto()


class Stream:
    """One side's stream.

    Args:
        side: who sends the bytes.
        emit: is called with each Frame, RaftFrame, Preamble, Garbage, Opaque and Gap, in the order of the
            bytes.
        reader: decodes the messages of the frames when they are asked for.
        limits: caps for decoding; the cap of a frame also bounds what a header may announce.
        begin: what the stream begins with.

    Attributes:
        side: who sends the bytes.
        state: what the next byte is taken for.
        waiting: the bytes that wait.
        left_over: what is left at the end of the stream, as another reader has said.
        version: that of the client's handshake, None before it or without one.
        lossy: bytes were lost or made no sense, so that a frame may be missing.
        ended: the side has ended its stream.
        cut_short: it ended inside a frame whose beginning has come out.
        follows_raft: what stands here are messages between nodes; never true of the server.
        joined: it was joined in the middle, so that both frames and such messages may go on.
        opaque_kind: in OPAQUE, which protocol it is.
        large: in LARGE, what passes.
        damaged_left: in DAMAGED, how many bytes of the frame are still to come.
        max_size: the largest frame that is kept whole.
        resync: what guesses cost.
        frames: says where frames stand.
        messages: says where messages between nodes stand.
        emit: takes an event.
        reader: decodes frames.
        limits: caps for decoding messages between nodes.
    """

    __slots__ = (
        "cut_short",
        "damaged_left",
        "emit",
        "ended",
        "follows_raft",
        "frames",
        "joined",
        "large",
        "left_over",
        "limits",
        "lossy",
        "max_size",
        "messages",
        "opaque_kind",
        "reader",
        "resync",
        "side",
        "state",
        "version",
        "waiting",
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
        self.state: State = begin
        self.waiting: Waiting = Waiting(side)
        self.left_over: bytes = b""
        self.version: int | None = None
        self.lossy: bool = begin is State.LOST
        self.ended: bool = False
        self.cut_short: bool = False
        self.follows_raft: bool = False
        self.joined: bool = begin is State.LOST and side is Side.CLIENT
        self.opaque_kind: str = ""
        self.large: Large | None = None
        self.damaged_left: int = 0
        self.emit: Callable[[Event], None] = emit
        self.reader: FrameReader = reader
        self.limits: Limits | None = limits
        keeps_heads = limits is None  # of what is above the cap; who sets the cap wants nothing above it
        cap = DEFAULT_MAX_MESSAGE_SIZE if limits is None else limits.max_message_size
        self.max_size: int = cap or 1 << 32
        self.resync: Resync = Resync(side, self.max_size)
        self.frames: FrameCutter = FrameCutter(side, self.resync, self.max_size, keeps_heads)
        self.messages: RaftCutter = RaftCutter(self.resync, self.max_size, keeps_heads)

    @property
    def offset(self) -> int:
        """How many bytes have come out in events."""
        return self.waiting.offset

    @property
    def held(self) -> int:
        """How many bytes wait to be completed by others."""
        return self.waiting.have

    @property
    def received(self) -> int:
        """How many bytes came, lost ones included where their number is known."""
        return self.waiting.offset + self.waiting.have + len(self.left_over)

    # ------------------------------------------------------------------ from one state to another

    def expect_frames(self) -> None:
        """Take the next byte for the first of a frame; at the start, a client's handshake was missed."""
        self.lossy = self.lossy or (self.state is State.START and self.side is Side.CLIENT)
        self.state, self.follows_raft = State.FRAMES, False

    def begin_behind(self, preamble: Preamble) -> None:
        """Go where a preamble leads; behind an HTTP request and an interim answer, that is where one is."""
        if preamble.kind.endswith("handshake"):
            self.version = int.from_bytes(preamble.data, "little")
            self.state, self.follows_raft = State.FRAMES, False
        elif preamble.kind == "tls":
            self.make_opaque("tls")
        elif self.side is Side.SERVER and not is_interim(preamble.data):
            if preamble.upgrades:
                self.expect_frames()
            else:
                self.make_opaque("http")

    def follow_raft(self, in_step: bool = True) -> None:
        """Expect messages between nodes from here on; those of the node that was dialled there are none.

        Args:
            in_step: the next byte begins one.
        """
        if self.side is Side.SERVER:
            self.make_opaque("raft")
            return
        self.follows_raft = True
        if in_step:
            self.state = State.RAFT
        else:
            self.lose()

    def make_opaque(self, kind: str) -> None:
        """Expect nothing from here on: it is "raft", "tls" or "http"."""
        self.state, self.follows_raft = State.OPAQUE, False
        self.opaque_kind = kind

    def lose(self) -> None:
        """Give up what was expected, and look for a place where it goes on."""
        self.lossy = True
        self.state = State.LOST

    def begin_large(self, frame: Frame | RaftFrame, size: int) -> None:
        """Let a frame of so many bytes pass, of which there is the head."""
        self.large = Large(frame, size - len(frame.data))
        self.state = State.LARGE

    def end_large(self) -> None:
        """Emit the large frame; what is still to come of it is missing."""
        large, self.large = self.large, None
        assert large is not None
        if self.state is State.LARGE:
            self._go_on()
        self.emit(large.end())

    def pass_damaged(self, left: int) -> None:
        """Let so many bytes pass, which are the rest of a frame of which bytes were lost."""
        self.damaged_left = left
        if left:
            self.state = State.DAMAGED
        else:
            self._go_on()

    def _go_on(self) -> None:
        self.state = State.RAFT if self.follows_raft else State.FRAMES

    # ------------------------------------------------------------------ bytes that wait

    def frame(self, size: int) -> Frame:
        """Take a frame, or what there is of one."""
        return Frame(*self.waiting.take(size), self.reader)

    def message(self, size: int) -> RaftFrame:
        """Take a message between nodes, or what there is of one."""
        return RaftFrame(*self.waiting.take(size), self.limits)

    def drop(self, size: int) -> None:
        """Emit so many bytes as garbage."""
        if size > 0:
            self.emit(Garbage(*self.waiting.take(size)))

    def missing(self) -> int:
        """Return how many bytes are missing of the frame that waits, or passes damaged; 0 if unknown."""
        match self.state:
            case State.FRAMES:
                return self.frames.missing(self.waiting.data)
            case State.RAFT:
                return self.messages.missing(self.waiting.data)
            case State.DAMAGED:
                return self.damaged_left
            case _:
                return 0

    def give_up(self, as_frame: bool) -> None:
        """Emit all that waits: as a damaged frame or message, or as garbage."""
        size = self.waiting.rest
        if not as_frame:
            self.drop(size)
            return
        frame = self.message(size) if self.state is State.RAFT else self.frame(size)
        frame.damaged = True
        self.emit(frame)
