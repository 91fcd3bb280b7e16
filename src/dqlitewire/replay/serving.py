"""Serve a recording: a listener, and a player for each connection that it accepts.

The k-th connection accepted gets the k-th recorded one. One that closes without a word (a check whether the
port is open) gives its recorded one back. Nothing is ever dialled.

A connection is one task: it reads, and says what the player yields, piece by piece from disk, waiting while
the client does not read. Meanwhile it reads nothing more, as a node does.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable

from dqlitewire.dial.addresses import Address, Kind
from dqlitewire.dial.listening import Listener, is_wildcard
from dqlitewire.replay.any_order import AnyOrder
from dqlitewire.replay.in_order import InOrder
from dqlitewire.replay.library import Library
from dqlitewire.replay.players import Player
from dqlitewire.replay.recorded import RecordedConnection
from dqlitewire.replay.recording import Recording
from dqlitewire.traffic.shorten import counted

__all__ = ["ReplayService"]

_SIZE = 1 << 16  # bytes read at once
_NAMED = 5  # of what is left over, in words
_PAUSE = 0.05  # seconds until accepting is tried again
_PATIENCE = 1.0  # seconds that a client has to close, once all was said


class ReplayService:
    """Serves a recording once, in the event loop that runs it.

    Args:
        recording: what is played.
        listener: accepts the connections; closed at the end.
        address: of the listener, as clients dial it.
        match: answer any recorded request, in any order.
        tell: is called with the lines of each difference, as it shows.

    Attributes:
        differences: how many connections were ended because of something that was not recorded.
    """

    def __init__(
        self,
        recording: Recording,
        listener: Listener,
        address: Address,
        match: bool,
        tell: Callable[[list[str]], None],
    ) -> None:
        self.differences: int = 0
        self._recording = recording
        self._listener = listener
        self._address = address
        self._library = Library(recording) if match else None
        self._tell = tell
        self._waiting = deque(recording.connections)
        self._playing: dict[asyncio.Task[None], Player] = {}
        self._left: list[str] = []  # of connections that ended early, in words
        self._accepted = 0
        self._addresses = frozenset(recording.addresses)
        self._stopping: asyncio.Event | None = None
        self._stopped = False  # perhaps before the loop was there
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """Serve until all is played and every client has left, or `stop` is called."""
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        if self._stopped:
            self._stopping.set()
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)
        try:
            self._end_if_played()
            await self._stopping.wait()
        finally:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            for task in list(self._playing):
                task.cancel()
            await asyncio.gather(*self._playing, return_exceptions=True)

    def stop(self) -> None:
        """End `run`; may be called from any thread, and from a signal's handler."""
        self._stopped = True
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._stopping.set)

    def leftovers(self) -> list[str]:
        """Say what was recorded and not asked for, a line each; empty if all was played."""
        if self._library is not None:
            left = self._library.left
            lines = self._library.unasked(_NAMED)
            total = counted(left, "recorded request", "was", "were") + " not asked for" if left else ""
        else:
            waiting = [
                f"{one.name}: {counted(one.requests_from(0), 'request')}, nobody connected"
                for one in self._waiting
                if one.needed
            ]
            lines = [*self._left, *waiting]
            total = f"left over in {counted(len(lines), 'connection')}" if lines else ""
        if len(lines) > _NAMED:
            lines[_NAMED:] = [f"and {len(lines) - _NAMED} more"]
        return [total, *(f"  {line}" for line in lines)] if total else []

    # ------------------------------------------------------------------ connections

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return  # it went away before it was accepted
        except OSError:  # no descriptors are left: look again when some may be
            loop.remove_reader(self._listener)
            loop.call_later(_PAUSE, self._accept_again)
            return
        self._accepted += 1
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        recorded = self._waiting.popleft() if self._library is None and self._waiting else None
        player = self._player(recorded, sock)
        if player is None:
            self._differ([f"connection {self._accepted}: one more than was recorded"])
            sock.close()
            return
        task = asyncio.create_task(self._connection(sock, player))
        self._playing[task] = player
        task.add_done_callback(functools.partial(self._done, sock, player, recorded))

    def _accept_again(self) -> None:
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _player(self, recorded: RecordedConnection | None, sock: socket.socket) -> Player | None:
        local = self._local(sock)
        if self._library is not None:
            return AnyOrder(f"connection {self._accepted}", local, self._library)
        return None if recorded is None else InOrder(recorded.name, local, recorded, self._addresses)

    def _local(self, sock: socket.socket) -> str:
        """The address to name in answers: our own, or where this client came in if that cannot be dialled."""
        if self._address.kind is Kind.TCP and is_wildcard(self._address.name):
            host, port = sock.getsockname()[:2]
            return str(Address(Kind.TCP, host.removeprefix("::ffff:"), port))
        return str(self._address)

    async def _connection(self, sock: socket.socket, player: Player) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # the client has left; what it has not asked for is left over
            async for piece in _played(loop, sock, player):
                await loop.sock_sendall(sock, piece)
            await _finish(loop, sock)

    def _ended(self, player: Player, recorded: RecordedConnection | None) -> None:
        if player.difference:
            self._differ(player.difference)
        elif isinstance(player, InOrder) and recorded is not None and player.left:
            if not player.heard:
                self._waiting.appendleft(recorded)
            else:
                self._left.append(f"{player.name}: {player.leftover}")

    def _differ(self, lines: list[str]) -> None:
        self.differences += 1
        self._tell(lines)

    def _done(
        self,
        sock: socket.socket,
        player: Player,
        recorded: RecordedConnection | None,
        task: asyncio.Task[None],
    ) -> None:
        sock.close()  # here, since a task that is cancelled may never have begun
        self._ended(player, recorded)
        del self._playing[task]
        self._end_if_played()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._differ([f"the replay itself failed: {error!r}"])

    def _end_if_played(self) -> None:
        if self._playing or self._stopping is None:
            return
        over = not self._library.left if self._library is not None else not any(self._waiting)
        if over:
            self._stopping.set()


async def _played(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, player: Player
) -> AsyncIterator[bytes]:
    """Yield what a player says, as its client's bytes come."""
    for piece in player.feed(b""):
        yield piece
    while not player.closing and not player.difference:
        data = await loop.sock_recv(sock, _SIZE)
        if not data:
            return
        for piece in player.feed(data):
            yield piece


async def _finish(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """End the stream so that what was said arrives: bytes that nobody has read would reset the connection."""
    sock.shutdown(socket.SHUT_WR)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while await loop.sock_recv(sock, _SIZE):
                pass
