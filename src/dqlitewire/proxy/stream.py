"""One direction of a connection: which frames are held, what becomes of them, and in what order it goes on.

    read --> opening --> walk --+--> passes ------------------------------------+--> out
                                |                                               |
                                +--> held --> mapped --> faults --> hook -------+    answers of the node
                                +--> held --> hook --> faults ------------------+    requests

Requests meet the hook first and answers meet it last: it stands on the client's side of the faults, and they
stand between it and the node. Each layer sees what the one before it lets through.

Most of this takes no time, and is done in the step that reads. Where something has to wait (a pause, a piece
after the other, a hook), it and all that comes behind it are put into a queue, which a task works off; the
end that sends is not read meanwhile. The recorder is told in the step that writes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dqlitewire.constants import HEADER_SIZE, RequestType
from dqlitewire.conversation import Side
from dqlitewire.dial.naming import NAMING
from dqlitewire.header import frame_size_at
from dqlitewire.proxy.end import ANSWERS, OTHER
from dqlitewire.proxy.hooks import DROP, Frame
from dqlitewire.proxy.mapping import rewritten
from dqlitewire.proxy.passage import Passage
from dqlitewire.proxy.walking import Walk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from dqlitewire.proxy.connection import Connection
    from dqlitewire.proxy.protocols import Faulting

__all__ = ["MAX_HELD", "Stream"]

MAX_HELD = 1 << 30  # bytes of a frame that is held; a larger one passes, whatever was ordered for it
MAX_MAPPED = 4 << 20  # bytes of an answer that names nodes: ten thousand of them take half
_MANY = 64  # answers that wait
_CONNECT = int(RequestType.CONNECT)
_RAFT = frozenset({_CONNECT})


class Stream:
    """One direction.

    Args:
        connection: The connection.
        side: Who sends.
        names: What the client is told in place of the nodes' addresses.
        faulting: The faults of the connection; None where none can be ordered.

    Attributes:
        first: Takes the first bytes, and all others until something is decided.
        finished: The sender has ended, and all its bytes have gone on.
    """

    __slots__ = (
        "_connection",
        "_ended",
        "_faulting",
        "_hook",
        "_in",
        "_lookers",
        "_names",
        "_out",
        "_queue",
        "_rest",
        "_spoiled",
        "_task",
        "_walk",
        "finished",
        "first",
        "side",
    )

    def __init__(
        self, connection: Connection, side: Side, names: Mapping[str, str], faulting: Faulting | None
    ) -> None:
        self._connection = connection
        self.side: Side = side
        self._in, self._out = connection.end_of(side), connection.end_of(OTHER[side])
        self._names = names
        self._faulting = faulting
        self._hook = connection.running.on_frame
        self._lookers = connection.running.lookers
        self._walk: Walk | None = None
        self._spoiled = False  # faults want the frame that is held
        self._queue: deque[Callable[[], Awaitable[None]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self._rest = b""  # of a frame that will not come whole
        self.finished: bool = False
        touched = names or faulting is not None or self._hook is not None
        self.first: Callable[[bytes], object] = self._opening if touched else self._pass

    # ---- coming in

    @property
    def _pass(self) -> Callable[[bytes], object]:
        # where nobody looks, the transport itself
        return self._told if self._lookers or self._queue else self._out.transport.write

    def _opening(self, data: bytes) -> None:
        at = self._connection.opening.feed(self.side, data)
        if at is None:
            self._let_pass(data)
            if self._connection.opening.strange:
                self._connection.strange()
            return
        if at:
            self._let_pass(data[:at])
        self._walk = self._new_walk()
        self._in.forward = self._walked
        if at < len(data):
            self._walked(data[at:])

    def _new_walk(self) -> Walk:
        if self._hook is not None or self._faulting is not None:
            return Walk(self._asks, ends=None if self._faulting is None else self._passed)
        return Walk(self._asks, _RAFT if self.side is Side.CLIENT else NAMING)

    def _asks(self, header: bytes) -> bool:
        """Whether a frame must be held whole."""
        size, faulting = frame_size_at(header), self._faulting
        self._spoiled = False
        if self.side is Side.CLIENT and header[4] == _CONNECT:
            self._connection.raft = True
        elif self._hook is not None and size <= MAX_HELD:
            return True
        elif faulting is not None and size <= MAX_HELD and faulting.holds(self.side, header):
            self._spoiled = True
            return True
        elif self._maps(header) and size <= MAX_MAPPED:
            if faulting is not None:
                faulting.passing(self.side, header)
            return True
        if faulting is not None:
            faulting.passing(self.side, header)
        return False

    def _maps(self, header: bytes) -> bool:
        return bool(self._names) and self.side is Side.SERVER and header[4] in NAMING

    def _walked(self, data: bytes) -> None:
        walk = self._walk
        assert walk is not None
        for piece, held in walk.feed(data):
            if self._connection.closed:
                return
            if held:
                self._held(piece)
            else:
                self._let_pass(piece)
        if self._connection.raft:
            self._connection.strange()

    def release(self) -> None:
        """Hold nothing any more, and look no further."""
        if rest := self._unwalked():
            self._let_pass(rest)
        if not (self._ended or self._connection.closed):
            self._in.forward = self._pass

    def _unwalked(self) -> bytes:
        """End the walk; what it held of a frame that has not come whole."""
        walk, self._walk = self._walk, None
        return b"" if walk is None else walk.end()

    def end(self) -> None:
        """Take the end of the direction; what is held of a frame goes on before it, behind what waits."""
        if self._ended:
            return
        self._ended = True
        self._rest = self._unwalked()
        self.look_again()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of requests that wait for the answers to those before them."""
        return self._faulting.waiting_bytes if self.side is Side.CLIENT and self._faulting else 0

    @property
    def full(self) -> bool:
        """So much waits for answers that no more should be read."""
        return self.side is Side.CLIENT and self._faulting is not None and self._faulting.full

    def look_again(self, *, at_last: bool = False) -> None:
        """Pass the end on, if it has come and nothing waits before it.

        Args:
            at_last: No answer comes any more that anything could wait for.
        """
        if not self._ended or self.finished or (self.waiting_bytes and not at_last):
            return
        if self._queue:
            self._later(partial(self._finish_later, at_last))
        else:
            self._finish()

    async def _finish_later(self, at_last: bool) -> None:
        if at_last or not self.waiting_bytes:  # else a hook has let a request go on that waits
            self._finish()

    def _finish(self) -> None:
        if self.finished:
            return
        self.finished = True
        if self._rest and not self.waiting_bytes:
            self._tell_and_write(self._rest)
        self._connection.finish(self.side)

    # ---- what becomes of a frame

    def _held(self, frame: bytes) -> None:
        if self._hook is not None and self.side is Side.CLIENT:
            self._later(partial(self._hooked_request, frame, time.time_ns()))
            return
        for passage in self._caught(partial(self._mapped_and_spoiled, frame)):
            self._connection.put(passage)
        self._connection.answered()

    def _mapped_and_spoiled(self, frame: bytes) -> Iterable[Passage]:
        """What goes on of a frame, without the hook."""
        sent = frame
        if self._maps(frame):
            connection = self._connection
            sent = rewritten(frame, self._names, connection.opening.version, connection.running.strays)
        if self._faulting is None:
            return [Passage(self.side, frame, sent)]
        if self._hook is not None:  # which has every frame held
            self._spoiled = self._faulting.holds(self.side, sent[:HEADER_SIZE])
            if not self._spoiled:
                self._faulting.passing(self.side, sent[:HEADER_SIZE])
        if not self._spoiled:
            return [Passage(self.side, frame, sent), *self._faulting.passed(self.side, sent[-8:])]
        passages = self._faulting.frame(self.side, sent)
        if sent is frame:
            return passages
        return [replace(one, data=frame) if one.data == sent else one for one in passages]

    def _passed(self, tail: bytes) -> None:
        """Take the end of a frame that was not held."""
        faulting = self._faulting
        if faulting is not None and not self._connection.closed:
            for passage in self._caught(partial(faulting.passed, self.side, tail)):
                self._connection.put(passage)
            self._connection.answered()

    def _caught(self, spoil: Callable[[], Iterable[Passage]]) -> Iterable[Passage]:
        """What a step of the faults returns; one that fails ends the connection."""
        try:
            return spoil()
        except Exception as error:
            self._connection.running.failed(error, f"a fault failed: {type(error).__name__}: {error}")
            self._connection.close()
            return ()

    async def _hooked_request(self, frame: bytes, came: int) -> None:
        sent = await self._ask_hook(frame, came)
        if not _is_frame(sent):
            await self._go(Passage(self.side, frame, sent))
            return
        for passage in self._caught(partial(self._mapped_and_spoiled, sent)):
            if passage.side is not self.side:
                self._connection.put(passage)
            else:
                await self._go(replace(passage, data=frame) if passage.data == sent else passage)

    async def _hooked_answer(self, passage: Passage, came: int) -> None:
        if _is_frame(passage.sent):
            sent = await self._ask_hook(passage.sent, came)
            passage = replace(passage, sent=sent)
        await self._go(passage)

    async def _ask_hook(self, frame: bytes, came: int) -> bytes:
        """Return what the hook lets go on; the frame itself where the hook fails."""
        hook, running = self._hook, self._connection.running
        assert hook is not None
        shown = Frame(self._connection.number, self.side, frame, self._connection.opening.version, came)
        try:
            verdict = await hook(shown)
            if verdict is None or verdict is shown:
                return frame
            if verdict is DROP:
                return b""
            if isinstance(verdict, (bytes, bytearray, memoryview)):
                return bytes(verdict)
            raise TypeError(f"on_frame returned {type(verdict).__name__}, must be None, bytes or DROP")
        except Exception as error:
            running.failed(error, f"on_frame failed on {shown!r}: {type(error).__name__}: {error}")
            return frame

    # ---- going out

    def put(self, passage: Passage) -> None:
        """Let something go on behind all that goes on before it.

        Args:
            passage: It; of this direction.
        """
        if self._connection.closed:
            return
        if self._hook is not None and self.side is Side.SERVER and passage.sent:
            self._later(partial(self._hooked_answer, passage, time.time_ns()))
        elif self._queue or passage.pause or passage.write_size is not None:
            self._later(partial(self._go, passage))
        else:
            self._write(passage)

    def _let_pass(self, data: bytes) -> None:
        if self._queue:
            self._later(partial(self._told_later, data))
        elif self._lookers:
            self._told(data)
        else:
            self._send(data)

    def _told(self, data: bytes) -> None:
        if self._queue:
            self._later(partial(self._told_later, data))
            return
        self._tell_and_write(data)

    def _send(self, data: bytes) -> None:
        # a socket that has failed is told of in the next turn of the loop; asyncio logs writes into it
        transport = self._out.transport
        if not transport.is_closing():
            transport.write(data)

    async def _told_later(self, data: bytes) -> None:
        self._tell_and_write(data)

    def _tell_and_write(self, data: bytes) -> None:
        for looker in self._lookers:
            looker.passed(self._connection.number, self.side, data, time.time_ns())
        self._send(data)

    def _write(self, passage: Passage) -> None:
        self._tell(passage)
        if passage.sent:
            self._send(passage.sent)
        if passage.closed:
            self._close(reset=passage.reset)

    def _tell(self, passage: Passage) -> None:
        number = self._connection.number
        for looker in self._lookers:
            now = time.time_ns()
            for taken in passage.taken:
                looker.fault(number, taken.kind, taken.fault, taken.on, now)
            if passage.data != passage.sent:
                looker.changed(number, passage.side, passage.data, passage.sent, now)
            elif passage.data:
                looker.passed(number, passage.side, passage.data, now)

    async def _go(self, passage: Passage) -> None:
        """Let something go on that may take its time."""
        if passage.pause:
            await asyncio.sleep(passage.pause)
        size = passage.write_size
        if size is None:
            self._write(passage)
            return
        self._tell(passage)
        data = passage.sent
        for at in range(0, len(data), size):
            if at:
                await asyncio.sleep(passage.write_pause)
            self._send(data[at : at + size])
        if passage.closed:
            self._close(reset=passage.reset)

    def _close(self, *, reset: bool) -> None:
        """End the connection; behind answers to earlier requests that still wait."""
        if self.side is Side.CLIENT:
            self._connection.put(Passage(Side.SERVER, b"", b"", closed=True, reset=reset))
        else:
            self._connection.close(reset=reset)

    # ---- the queue

    def _later(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do something behind all that waits; meanwhile the sender is not read."""
        self._queue.append(step)
        if len(self._queue) > _MANY and self.side is Side.SERVER:
            self._out.pause(ANSWERS)  # answers that are made here do not wait for the node
        if self._task is None:
            self._in.pause()
            self._task = self._connection.running.spawn(self._work_off())

    async def _work_off(self) -> None:
        try:
            while self._queue:
                # it stays in the queue while it runs, so that what comes meanwhile goes behind it
                await self._queue[0]()
                if self._queue:
                    self._queue.popleft()
        except Exception:  # a fault of ours or of a looker, which is told where the task ends
            self._connection.close()
            raise
        finally:
            self._task = None
            self._in.resume()
            if self.side is Side.SERVER:
                self._out.resume(ANSWERS)
            if self._in.forward == self._told:
                self._in.forward = self._pass

    def cancel(self) -> None:
        """Give up what waits."""
        self._queue.clear()
        if self._task is not None and self._task is not asyncio.current_task(self._connection.running.loop):
            self._task.cancel()

    def leave(self) -> None:
        """Take leave of the faults, when the connection has ended."""
        if self._faulting is not None:
            self._faulting.leave()


def _is_frame(data: bytes) -> bool:
    return len(data) >= HEADER_SIZE and frame_size_at(data) == len(data)
