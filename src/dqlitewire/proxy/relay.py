"""One connection on its way through the proxy: two ends, and a stream in each direction.

    client  <--->  End(CLIENT)  -- Stream(CLIENT) -->  End(SERVER)  <--->  node
                                <-- Stream(SERVER) --

An `End` is the asyncio protocol of a socket. What it reads goes to `forward`, one call a read. With nothing
to look at or to change, `forward` is the other transport's own `write`; else it is a method of the `Stream`,
which steps out of the way as soon as the connection turns out to be none of dqlite's, or raft's.

**Back-pressure.** An end is not read while the other one's buffer is full, nor while its stream has something
that waits (a fault's pause, a hook). So in each direction there wait at most one read, one frame that is held
whole, and what a transport buffers.

**Ends.** On a plain connection the end of one direction (FIN) is passed on behind its bytes, and the other
direction goes on. TLS in asyncio has no half-close: where one of the two ends speaks TLS, the end of a
direction ends the whole connection, behind what was on its way in that direction. A reset is passed on as a
reset. What cannot be delivered to a peer that reads nothing is given up after a while (`end._PATIENCE`).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dqlitewire.conversation import Side
from dqlitewire.dial import Address, Kind
from dqlitewire.proxy.end import OTHER, WAITING, End
from dqlitewire.proxy.opening import Opening
from dqlitewire.proxy.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from dqlitewire.proxy.mapping import Place
    from dqlitewire.proxy.passage import Passage
    from dqlitewire.proxy.running import Running

__all__ = ["Relay"]


class Relay:
    """One connection.

    Args:
        running: What all connections share.
        place: The pair whose listener accepted it.
        number: Of the connection, counted from 1.
        connect: What dials for it, once the client is there.

    Attributes:
        running: What all connections share.
        place: The pair whose listener accepted it.
        number: Of the connection, counted from 1.
        opening: What the connection began with.
        closed: Nothing goes on any more.
        raft: A CONNECT was seen: what follows is raft's.
        client: The socket to the client.
        server: The socket to the node.
    """

    __slots__ = (
        "_connect",
        "_opened",
        "_streams",
        "_task",
        "client",
        "closed",
        "number",
        "opening",
        "place",
        "raft",
        "running",
        "server",
    )

    def __init__(
        self,
        running: Running,
        place: Place,
        number: int,
        connect: Callable[[Relay], Coroutine[None, None, None]],
    ) -> None:
        self.running: Running = running
        self.place: Place = place
        self.number: int = number
        self.opening: Opening = Opening()
        self.closed: bool = False
        self.raft: bool = False
        self.client: End = End(self, Side.CLIENT)
        self.server: End = End(self, Side.SERVER)
        self._connect = connect
        self._streams: dict[Side, Stream] = {}
        self._task: asyncio.Task[None] | None = None
        self._opened = False

    def end_of(self, side: Side) -> End:
        """Return the socket to a side.

        Args:
            side: The side.
        """
        return self.client if side is Side.CLIENT else self.server

    @property
    def peer(self) -> str:
        """The client's address; of a unix socket, which has none, its kind."""
        name = self.client.transport and self.client.transport.get_extra_info("peername")
        if self.place.local.kind is not Kind.TCP or not name:
            return self.place.local.kind.value
        return str(Address(Kind.TCP, *name[:2]))

    # ---- beginning

    def made(self, side: Side) -> None:
        """Take a socket that is there.

        Args:
            side: Who is at the other end of it.
        """
        if side is Side.CLIENT:
            self.running.open.add(self)
            self._task = self.running.spawn(self._connecting())

    async def _connecting(self) -> None:
        try:
            await self._connect(self)
        except Exception:  # a fault of ours, which is told where the task ends
            self.close()
            raise
        finally:
            self._task = None
            if self.closed:
                self._settle()

    def connected(self, names: Mapping[str, str]) -> None:
        """Let the bytes flow; both sockets are there.

        Args:
            names: What the client is told in place of the nodes' addresses.
        """
        self._task = None
        running, client, server = self.running, self.client, self.server
        if client.lost or server.lost or self.closed:
            self.close()
            return
        self._opened = True
        for looker in running.lookers:
            looker.opened(self.number, self.peer, str(self.place.pair.real), time.time_ns())
        faulting = running.new_faulting(self.number)
        client.answered_here = faulting is not None
        self._streams = {side: Stream(self, side, names, faulting) for side in Side}
        for end in (client, server):
            if not self.closed:
                end.start(self._streams[end.side].first)

    def put(self, passage: Passage) -> None:
        """Let something go on in its direction, behind all that goes on before it.

        Args:
            passage: It.
        """
        self._streams[passage.side].put(passage)

    def answered(self) -> None:
        """Look again at requests that were waiting for answers, and at the end behind them."""
        stream = self._streams[Side.CLIENT]
        if stream.full:
            self.client.pause(WAITING)
        else:
            self.client.resume(WAITING)
            stream.look_again()

    def strange(self) -> None:
        """Let every byte pass that comes: the connection is not dqlite's, or raft's."""
        for stream in self._streams.values():
            stream.release()

    # ---- ending

    def ended(self, side: Side) -> None:
        """Take the end of a direction, which comes behind all its bytes.

        Args:
            side: Who has ended.
        """
        if stream := self._streams.get(side):  # else it is seen when the connection begins
            stream.end()

    def finish(self, side: Side) -> None:
        """Pass on the end of a direction, behind its last byte.

        Args:
            side: Who has ended.
        """
        end, out = self.end_of(side), self.end_of(OTHER[side])
        for looker in self.running.lookers:
            looker.ended(self.number, side, time.time_ns())
        if side is Side.SERVER:
            self._streams[Side.CLIENT].look_again(at_last=True)
        if self._streams[OTHER[side]].finished or out.lost or end.lost or end.tls or out.tls:
            self.close()
        else:
            with suppress(OSError):  # the peer is gone already, which is going to be noticed
                out.transport.write_eof()

    def close(self, *, reset: bool = False) -> None:
        """End both sides, behind what is still to be delivered.

        Args:
            reset: By RST.
        """
        self.closed = True
        for end in (self.client, self.server):
            if reset:
                end.reset()
            end.close()
        for stream in self._streams.values():
            stream.cancel()
        if self._task is not None:
            self._task.cancel()
        self._settle()

    def abort(self) -> None:
        """End both sides at once."""
        self.close()
        self.client.abort()
        self.server.abort()

    def lost(self, side: Side, error: Exception | None) -> None:
        """Take the end of a socket.

        Args:
            side: Who was at the other end of it.
            error: What has ended it; None if it was closed.
        """
        if self.closed:
            self._settle()
            return
        if not self._streams:
            return  # who connects finds out, and says why
        end = self.end_of(side)
        if isinstance(error, ssl.SSLError):
            self._say_tls_failed(side, tls_problem(error))
        elif error is not None and end.tls and not end.heard:
            # a peer that refuses our certificate may close before we have read why
            self._say_tls_failed(side, "it was reset before an answer")
        if error is not None:
            self.close(reset=True)
        elif self._streams[side].finished:
            self.close()
        else:
            self._streams[side].end()  # what waits goes on before the other side is closed
        self._settle()

    def _say_tls_failed(self, side: Side, problem: str) -> None:
        who = self.peer if side is Side.CLIENT else str(self.place.pair.real)
        self.running.say(f"connection {self.number}: TLS with {who} failed: {problem}")

    def _settle(self) -> None:
        """Take leave when both sockets are closed."""
        if self._task is not None or not all(
            end.lost or end.transport is None for end in (self.client, self.server)
        ):
            return
        self.running.open.discard(self)
        if self._opened:
            self._opened = False
            for looker in self.running.lookers:
                looker.ended(self.number, None, time.time_ns())
            self._streams[Side.CLIENT].leave()

    def unconnected(self) -> None:
        """End a connection that could not be made to the node."""
        self._task = None
        self.close()


def tls_problem(error: ssl.SSLError) -> str:
    """Return what is wrong with a TLS connection, in words.

    Args:
        error: As the standard library raised it.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or str(error)).replace("_", " ").lower()
