"""One connection of the serving thread: a socket, its session, and what waits between the two.

    socket --> read --> session.receive
                        session.step --> held (until `wake_at`) --> output --> flush --> socket

Everything here does one non-blocking call at most on the socket, and knows neither the selector nor other
connections.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dqlitewire.testing.serving.protocols import ServiceSession

__all__ = ["Connection"]

_READ_SIZE = 1 << 16
_OUTPUT_WANTED = 1 << 17  # bytes waiting for the client before work for it stops
_FRAMES_A_TURN = 32
_ABANDONED_AFTER = 5.0  # seconds a statement may go on after its client said it would send no more


class Connection:
    """A socket and its session.

    Attributes:
        output: Bytes to be written.
        held: Bytes that a pause keeps from `output` until `wake_at`; None in a pause between two pieces,
            which keeps `output` itself.
        wake_at: When a pause is over, on the monotonic clock; None if there is none.
        ended: The client has sent its last byte.
        events: What the selector watches the socket for now; kept by the thread.
    """

    __slots__ = ("ended", "events", "held", "output", "session", "socket", "wake_at")

    def __init__(self, sock: socket.socket, session: ServiceSession) -> None:
        self.socket: socket.socket = sock
        self.session: ServiceSession = session
        self.output: bytearray = bytearray()
        self.held: bytes | None = None
        self.wake_at: float | None = None
        self.ended: bool = False
        self.events: int = 0

    def wanted_events(self) -> int:
        """Return what the selector should watch the socket for."""
        events = 0
        if not self.ended and not self.session.waiting:
            events |= selectors.EVENT_READ
        if self.output and self._writes:
            events |= selectors.EVENT_WRITE
        return events

    def read(self) -> bool:
        """Hand what has come to the session; false if nothing has.

        Raises:
            OSError: The connection is broken.
        """
        try:
            data = self.socket.recv(_READ_SIZE)
        except BlockingIOError:
            return False
        if data:
            self.session.receive(data)
        else:
            self.ended = True
            self.session.abandoned_at = time.monotonic() + _ABANDONED_AFTER
        return True

    def work(self) -> bool:
        """Let the session do some of its work; true if it has nothing to do without more input."""
        session = self.session
        for _ in range(_FRAMES_A_TURN):
            if self.wake_at is not None or len(self.output) >= _OUTPUT_WANTED:
                break
            if self.output and session.write_size is not None:
                break
            data = session.step()
            if data is None:
                return True
            if session.pause:
                self.held = data
                self.sleep(session.pause)
            else:
                self.output += data
        return False

    def flush(self) -> None:
        """Write what the socket takes.

        Raises:
            OSError: The connection is broken.
        """
        if not self.output or not self._writes:
            return
        # what is older than a pause is not part of what is sent in pieces
        size = len(self.output) if self.held is not None else self.session.write_size or len(self.output)
        try:
            sent = self.socket.send(memoryview(self.output)[:size])
        except BlockingIOError:
            sent = 0
        del self.output[:sent]
        if self.wake_at is None and self.session.write_size is not None and self.output:
            self.sleep(self.session.write_pause)

    @property
    def _writes(self) -> bool:
        return self.wake_at is None or self.held is not None

    @property
    def wants_work(self) -> bool:
        """Whether there is room for more output."""
        return len(self.output) < _OUTPUT_WANTED

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while."""
        self.wake_at = time.monotonic() + seconds

    def wake(self) -> None:
        """Go on after a pause."""
        self.wake_at = None
        if self.held is not None:
            self.output += self.held
            self.held = None

    def close(self) -> None:
        """Close the socket, by RST if the session wants that, and end the session."""
        try:
            if self.session.reset:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            self.socket.close()
            self.session.close()
