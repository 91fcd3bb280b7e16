"""Cut the stream of one side into what it is made of: preambles, frames, and bytes that are neither.

Nothing here raises on bytes, and the work is linear in the bytes whatever they are. Who does what:

    waiting.py       the bytes that wait: pieces as they came, or one `bytes` with a position
    stream.py        the states, and each change of state
    stream_reader    one step for each state: it takes from the bytes that wait what it can
    opening.py       looks: what a stream begins with
    frame_stream.py  looks: where frames stand, in step and after a loss
    raft_stream.py   looks: where messages between nodes stand, in step and after a loss
    resync.py        judges guesses of these three, and bounds what guessing costs
    large.py         a frame of which only head and tail are kept
    losses.py        bytes that were lost before they came here
    cut_before.py    bytes of which another reader has said what they are

Those that look change nothing; they say what stands at a place (`found.py`). A step asks one of them, and
does what follows: takes the bytes, emits an event, goes to another state, or says for what it waits.

    bytes -> waiting -> step -> what stands here? -> Found -> event, state, wait
                         `--------------------------------'
                          until a step has to wait
"""

from __future__ import annotations

from ..first_bytes import HTTP_END
from .cut_before import believes, take_cut
from .exchange import Frame
from .found import Found
from .losses import note_loss
from .opening import Opening
from .raft_stream import PREAMBLE_SIZE
from .stream import State, Stream
from .stream_events import Opaque, Preamble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...exceptions import DecodeError
    from ...limits import Limits
    from ..events import Event, Side
    from ..frames import FrameReader
    from .frame_stream import FrameCutter
    from .raft_frame import RaftFrame
    from .raft_stream import RaftCutter

__all__ = ["StreamReader"]

# what is asked for most often: to read a member of an Enum is slow in Python 3.11
_FRAMES, _WAIT, _WHOLE = State.FRAMES, Found.WAIT, Found.WHOLE


class StreamReader(Stream):
    """The reader of one side's stream.

    Args:
        side: who sends these bytes.
        emit: takes the events, in the order of the bytes.
        reader: decodes the messages of the frames when they are asked for.
        limits: caps for decoding; the cap of a frame also bounds what a header may announce.
        begin: what the stream begins with.
    """

    __slots__ = ("_flushing", "_opening")

    def __init__(
        self,
        side: Side,
        emit: Callable[[Event], None],
        reader: FrameReader,
        limits: Limits | None,
        begin: State = State.START,
    ) -> None:
        super().__init__(side, emit, reader, limits, begin)
        self._opening = Opening(side, self.resync)
        self._flushing = False  # nothing comes behind the bytes that wait

    def receive(self, data: bytes, time: float) -> None:
        """Take bytes that came at a time, and emit what they complete."""
        if self.left_over:
            data, self.left_over = self.left_over + data, b""
        if self.waiting.add(data, time):
            self._run()

    def receive_cut(
        self, kind: str, data: bytes, start: float, end: float, refusal: DecodeError | None = None
    ) -> None:
        """Take bytes of which another reader has said what they are, and emit that.

        What it may have been wrong about, or what does not go on from what waits here, is read as any bytes.
        """
        if believes(self, kind, data):
            take_cut(self, kind, data, start, end, refusal)
        else:
            self.receive(data[:-1], start)
            self.receive(data[-1:], end)

    def receive_gap(
        self, size: int | None, time: float, whole_frames: bool = False, unkept: bytes = b""
    ) -> None:
        """Note that bytes were lost; a loss inside one frame costs that frame and no more."""
        if self.left_over:
            self.receive(b"", time)
        note_loss(self, size, time, whole_frames, unkept)

    def finish(self) -> bytes:
        """Emit what can still be found in the bytes that wait, and return what is left of them."""
        self._flushing = True
        if not self.left_over:
            self.waiting.open()
            self._run()
        if self.large is not None:
            self.end_large()
            self.cut_short = True
        left = self.left_over + self.waiting.clear()
        self.waiting.count(len(self.left_over))
        self.left_over = b""
        self.ended = True
        return left

    def _run(self) -> None:
        """Take steps while the bytes that wait are open, and close them."""
        steps = self._STEPS
        while steps[self.state](self):
            pass
        self.waiting.close()

    # Each step takes what it can, and returns whether another step may go on; False waits for more bytes.

    def _start(self) -> bool:
        waiting = self.waiting
        found, size = self._opening.look(waiting.data, waiting.position, waiting.base, self._flushing)
        match found:
            case Found.WHOLE:
                bytes_ = waiting.take(size)
                preamble = Preamble(*bytes_, self._opening.kind(bytes_[2]))
                self.begin_behind(preamble)
                self.emit(preamble)
            case Found.STEP:
                self.expect_frames()
            case Found.WAIT:
                waiting.wait(size)
            case Found.HEAD:
                waiting.wait(size, HTTP_END)
            case _:
                self.lose()
        return found not in (Found.WAIT, Found.HEAD)

    def _frames(self) -> bool:
        waiting, emit = self.waiting, self.emit
        sizes, needed = self.frames.run(waiting.data, waiting.position)
        for size in sizes:
            emit(Frame(*waiting.take(size), self.reader))
            if self.state is not _FRAMES:  # it was CONNECT
                return True
        if not needed:
            return self._take(self.frames, self.frame)
        waiting.wait(needed)
        return False

    def _messages(self) -> bool:
        return self._take(self.messages, self.message)

    def _take(self, cutter: FrameCutter | RaftCutter, take: Callable[[int], Frame | RaftFrame]) -> bool:
        """Take one frame or message, if one is there."""
        waiting = self.waiting
        found, size = cutter.look(waiting.data, waiting.position, waiting.base, self._flushing)
        if found is _WAIT:
            waiting.wait(size)
            return False
        if found is _WHOLE:
            self.emit(take(size))
        elif found is Found.LARGE:
            self.begin_large(take(cutter.kept(waiting.data, waiting.position)), size)
        else:
            self.lose()
            self.drop(size)
        return True

    def _search(self) -> bool:
        """Look for a place where messages between nodes go on, and where there is none, for one of frames."""
        waiting = self.waiting
        here = waiting.data, waiting.position, waiting.base, self._flushing
        found, garbage, needed = Found.NOTHING, 0, 0
        go_on: Callable[[], None] = self.follow_raft
        if self.follows_raft or self.joined:
            found, garbage, needed = self.messages.find(*here)
        if found is Found.NOTHING and not self.follows_raft:
            go_on = self.expect_frames
            found, garbage, needed = self.frames.find(*here)
            if found is Found.NOTHING and self.joined:
                garbage = waiting.rest - (PREAMBLE_SIZE - 1)
        self.drop(garbage)
        if found is Found.STEP:
            go_on()
        elif found is Found.WAIT:
            waiting.wait(needed)
        return found is Found.STEP

    def _pass_large(self) -> bool:
        large, waiting = self.large, self.waiting
        assert large is not None
        size = min(large.left, waiting.rest)
        if size:
            large.add(size, waiting.skip(size), waiting.time)
        if not large.left:
            self.end_large()
        return self.state is not State.LARGE

    def _pass_damaged(self) -> bool:
        size = min(self.damaged_left, self.waiting.rest)
        self.drop(size)
        self.pass_damaged(self.damaged_left - size)
        return self.state is not State.DAMAGED

    def _pass_opaque(self) -> bool:
        size = self.waiting.rest
        if size:
            self.emit(Opaque(*self.waiting.take(size), self.opaque_kind))
        return False

    _STEPS: dict[State, Callable[[StreamReader], bool]] = {
        State.START: _start,
        State.FRAMES: _frames,
        State.RAFT: _messages,
        State.LARGE: _pass_large,
        State.DAMAGED: _pass_damaged,
        State.LOST: _search,
        State.OPAQUE: _pass_opaque,
    }
