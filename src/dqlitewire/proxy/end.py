"""One of the two sockets of a connection, as an asyncio protocol.

It reads into the one buffer that all share, hands over what it has read, and says when it cannot take more.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dqlitewire.conversation import Side

if TYPE_CHECKING:
    from collections.abc import Callable

    from dqlitewire.proxy.connection import Connection

__all__ = ["ANSWERS", "BUSY", "OTHER", "WAITING", "End"]

OTHER = {Side.CLIENT: Side.SERVER, Side.SERVER: Side.CLIENT}

# why an end is not read: it is not connected through; the other end takes no more; its stream is not done
# with what it was given; answers that were made here wait, for their turn or for the client to read; requests
# wait for answers
_NOT_CONNECTED, _FULL, BUSY, ANSWERS, _UNREAD, WAITING = 1, 2, 4, 8, 16, 32
_PATIENCE = 30.0  # seconds that a closed connection may take no byte of what is still to be delivered
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time


class End(asyncio.BufferedProtocol):
    """One of the two sockets of a connection.

    Args:
        connection: The connection.
        side: Who is at the other end of the socket.

    Attributes:
        side: Who is at the other end of the socket.
        transport: asyncio's; there from `connection_made` on.
        forward: Takes what has been read.
        answered_here: Faults may answer this client in the node's place.
        tls: TLS is spoken, which has no half-close in asyncio.
        heard: Something has come from the peer.
        eof: The peer has ended its direction.
        lost: The socket is closed.
    """

    __slots__ = (
        "_arrived",
        "_closing",
        "_connection",
        "_early",
        "_unread",
        "answered_here",
        "eof",
        "forward",
        "heard",
        "lost",
        "side",
        "tls",
        "transport",
    )

    transport: Any
    forward: Callable[[bytes], Any]

    def __init__(self, connection: Connection, side: Side) -> None:
        self._connection = connection
        self.side: Side = side
        self.transport = None
        self.answered_here: bool = False
        self.tls: bool = False
        self.heard: bool = False
        self.eof: bool = False
        self.lost: bool = False
        self._closing = False
        self._unread = _NOT_CONNECTED
        self._early = bytearray()
        self._arrived: asyncio.Event | None = None
        self.forward = self._keep

    # ---- asyncio's

    def connection_made(self, transport: Any) -> None:
        """Take the socket; called by asyncio.

        Args:
            transport: asyncio's.
        """
        self.transport = transport
        if self._unread:
            transport.pause_reading()
        sock = transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._connection.made(self.side)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read into; called by asyncio.

        Args:
            sizehint: Bytes that are wanted, of no account.
        """
        return self._connection.running.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read; called by asyncio.

        Args:
            nbytes: How many bytes that is.
        """
        self.heard = True
        self.forward(bytes(self._connection.running.buffer[:nbytes]))

    def eof_received(self) -> bool:
        """Take the end of the peer's direction; called by asyncio."""
        self.eof = True
        self._wake()
        self._connection.ended(self.side)
        return not self.tls

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the socket; called by asyncio.

        Args:
            exc: What has ended it; None if it was closed.
        """
        self.lost = True
        self._wake()
        self._connection.lost(self.side, exc)

    def pause_writing(self) -> None:
        """Stop who writes into this socket; called by asyncio."""
        self._connection.end_of(OTHER[self.side]).pause(_FULL)
        if self.answered_here:  # who asks and does not read the answers is asked no more
            self.pause(_UNREAD)

    def resume_writing(self) -> None:
        """Let who writes into this socket go on; called by asyncio."""
        self._connection.end_of(OTHER[self.side]).resume(_FULL)
        if self.answered_here:
            self.resume(_UNREAD)

    # ---- reading

    def _keep(self, data: bytes) -> None:
        self._early += data
        self._wake()

    def _wake(self) -> None:
        if self._arrived is not None:
            self._arrived.set()

    async def head(self, end: bytes, most: int) -> bytes:
        """Wait for the bytes up to a mark, and take them; for what comes before the bytes that are forwarded.

        Args:
            end: The mark.
            most: Bytes to wait for at most.

        Returns:
            The bytes with the mark; without it if the peer has ended before, or if there are too many.
        """
        self._arrived = asyncio.Event()
        self.resume(_NOT_CONNECTED)
        while (at := self._early.find(end)) < 0 and len(self._early) <= most and not (self.eof or self.lost):
            self._arrived.clear()
            await self._arrived.wait()
        self.pause(_NOT_CONNECTED)
        self._arrived = None
        taken = len(self._early) if at < 0 else at + len(end)
        head = bytes(self._early[:taken])
        del self._early[:taken]
        return head

    def start(self, forward: Callable[[bytes], Any]) -> None:
        """Hand over what came early, and whatever comes from now on.

        Args:
            forward: Takes it.
        """
        self.forward = forward
        if self._early:
            early = bytes(self._early)
            self._early.clear()
            forward(early)
        if self.eof:
            self._connection.ended(self.side)
        self.resume(_NOT_CONNECTED)

    def pause(self, reason: int = BUSY) -> None:
        """Do not read, until all reasons are gone.

        Args:
            reason: Why.
        """
        if not self._unread and self.transport is not None:
            self.transport.pause_reading()
        self._unread |= reason

    def resume(self, reason: int = BUSY) -> None:
        """Read again, unless there are other reasons not to.

        Args:
            reason: What is gone.
        """
        before, self._unread = self._unread, self._unread & ~reason
        if before and not self._unread and self.transport is not None:
            self.transport.resume_reading()

    # ---- ending

    def close(self) -> None:
        """Close the socket behind what is still to be delivered."""
        self.forward = _discard
        if self.transport is None or self.lost or self._closing:
            return
        self._closing = True  # asyncio's TLS is not to be closed twice
        self.transport.close()
        if waiting := self.transport.get_write_buffer_size():
            self._connection.running.loop.call_later(_PATIENCE, self._give_up, waiting)

    def _give_up(self, before: int) -> None:
        waiting = 0 if self.lost else self.transport.get_write_buffer_size()
        if waiting and waiting >= before:
            self.transport.abort()
        elif waiting:
            self._connection.running.loop.call_later(_PATIENCE, self._give_up, waiting)

    def abort(self) -> None:
        """Close the socket at once."""
        self.forward = _discard
        if self.transport is not None and not self.lost:
            self.transport.abort()

    def reset(self) -> None:
        """End the connection by RST, behind what is still to be delivered."""
        if self.transport is None or self.lost:
            return
        sock = self.transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if self.tls or not self.transport.get_write_buffer_size():
            self.abort()
        else:
            self.close()


def _discard(data: bytes) -> None:
    pass
