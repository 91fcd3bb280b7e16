"""The listening sockets of the nodes, and what is done when the process has no descriptor left.

Without a free descriptor `accept` fails, the client stays in the kernel's queue, and its listener stays
ready: to ask again and again would take all of a processor. So no listener accepts clients for a moment, and
then it is tried again; connections that are open go on meanwhile.
"""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from dqlitewire.dial.listening import Listener
    from dqlitewire.testing.node.cluster import Member

__all__ = ["Acceptor"]

_CLIENTS_A_TURN = 64
_PAUSE = 0.05  # seconds without accepting when no descriptor is left


class Acceptor:
    """Accepts connections to nodes.

    Args:
        selector: Where the listeners are registered, with their members as data.
        begin: Called with the socket of a new connection and the node that it came to.

    Attributes:
        resume_at: When accepting goes on, on the monotonic clock; None while it does.
    """

    def __init__(
        self, selector: selectors.BaseSelector, begin: Callable[[socket.socket, Member], None]
    ) -> None:
        self.resume_at: float | None = None
        self._selector = selector
        self._begin = begin
        self._listeners: dict[int, Listener] = {}
        self._members: dict[int, Member] = {}

    @property
    def listeners(self) -> list[Listener]:
        """All that are open."""
        return list(self._listeners.values())

    def add(self, listener: Listener, member: Member) -> None:
        """Accept connections to a node."""
        listener.setblocking(False)
        self._listeners[member.id] = listener
        self._members[member.id] = member
        if self.resume_at is None:
            self._selector.register(listener, selectors.EVENT_READ, member)

    def remove(self, member: Member) -> None:
        """Accept no more connections to a node, and close its listener."""
        listener = self._listeners.pop(member.id, None)
        if listener is not None:
            if self.resume_at is None:
                self._selector.unregister(listener)
            listener.close()

    def accept(self, listener: object, member: Member) -> None:
        """Accept those that wait at a listener that the selector has named."""
        known = self._listeners.get(member.id)
        if known is None or known is not listener:  # closed in this very turn
            return
        for _ in range(_CLIENTS_A_TURN):
            try:
                sock, _address = known.accept()
            except BlockingIOError:
                return  # no more clients wait
            except ConnectionAbortedError:
                continue
            except OSError:
                self._pause()
                return
            try:
                self._begin(sock, member)
            except BaseException:
                sock.close()
                raise

    def resume(self) -> None:
        """Accept again, if a pause is over."""
        if self.resume_at is not None and self.resume_at <= time.monotonic():
            self.resume_at = None
            for number, listener in self._listeners.items():
                self._selector.register(listener, selectors.EVENT_READ, self._members[number])

    def _pause(self) -> None:
        if self.resume_at is None:
            for listener in self._listeners.values():
                self._selector.unregister(listener)
        self.resume_at = time.monotonic() + _PAUSE
