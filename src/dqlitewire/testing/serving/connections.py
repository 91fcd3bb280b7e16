"""The open connections of the serving thread: which have work to do, which pause, what the selector watches.

A connection is in one of three states; those that wait for the selector are in neither set:

    begin --> runnable -- work --> waits for the selector -- readable, writable --> runnable
                             \\--> sleeping (a fault's pause) -- wake ------------> runnable
    any   --> close: the client or the session has ended, the socket failed, or ours did

What a step does may close any of them, this one included, so that sets are copied before they are walked and
looked at again after each call; `server_thread` says why.
"""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from dqlitewire.testing.serving.connection import Connection

if TYPE_CHECKING:
    from dqlitewire.testing.node.cluster import Member
    from dqlitewire.testing.serving.protocols import Service

__all__ = ["ConnectionTable"]

logger: logging.Logger = logging.getLogger(__name__)


class ConnectionTable:
    """All open connections.

    Args:
        selector: Where their sockets are registered, with the connections as data.
        service: Gives each its session.
        errors: Gets the exceptions of ours, each of which ends a connection.

    Attributes:
        runnable: Those that have work to do at once.
        sleeping: Those that pause.
    """

    def __init__(
        self, selector: selectors.BaseSelector, service: Service, errors: list[BaseException]
    ) -> None:
        self._selector = selector
        self._service = service
        self._errors = errors
        self._open: dict[socket.socket, Connection] = {}
        self.runnable: dict[Connection, None] = {}
        self.sleeping: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._open.values()))

    def wake_times(self) -> list[float]:
        """Return when those that pause go on, on the monotonic clock."""
        return [connection.wake_at for connection in self.sleeping if connection.wake_at is not None]

    # ---- what the thread does with them in a turn

    def begin(self, sock: socket.socket, member: Member) -> None:
        """Take a new connection to a node.

        Args:
            sock: Its socket.
            member: The node.
        """
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, self._service.connect(member))
        self._open[sock] = connection
        self._watch(connection)

    def ready(self, connection: Connection, events: int) -> None:
        """Take the events that the selector has for one.

        Args:
            connection: The connection.
            events: What its socket is ready for.
        """
        if events & selectors.EVENT_READ:
            self._read(connection)
        if events & selectors.EVENT_WRITE:
            self.runnable[connection] = None

    def wake(self) -> None:
        """Let those go on whose pause is over."""
        now = time.monotonic()
        for connection in [one for one in self.sleeping if one.wake_at is None or one.wake_at <= now]:
            del self.sleeping[connection]
            connection.wake()
            self.runnable[connection] = None

    def work(self) -> None:
        """Let all that have work to do some of it, except those that are in the middle of a step."""
        for connection in list(self.runnable):
            if not connection.session.busy and connection in self.runnable:
                del self.runnable[connection]
                self._work(connection)

    def _read(self, connection: Connection) -> None:
        if connection.socket not in self._open or connection.ended:
            return
        try:
            came = connection.read()
        except OSError:
            self.close(connection)
            return
        if came:
            self.runnable[connection] = None
            if connection.session.busy:
                self._watch(connection)  # its step may take long: what it reads meanwhile has an end here

    def _work(self, connection: Connection) -> None:
        try:
            idle = connection.work()
        except Exception as error:  # ours: this connection ends, the others go on
            logger.exception("connection %d", connection.session.number)
            self._errors.append(error)
            self.close(connection)
            return
        if connection.socket not in self._open:
            return
        try:
            connection.flush()
        except OSError:
            self.close(connection)
            return
        if connection.wake_at is not None:
            self.sleeping[connection] = None
        elif not connection.output and (connection.session.closed or (connection.ended and idle)):
            self.close(connection)
            return
        elif not idle and connection.wants_work:
            self.runnable[connection] = None
        self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        events = connection.wanted_events()
        if events == connection.events:
            return
        if not connection.events:
            self._selector.register(connection.socket, events, connection)
        elif events:
            self._selector.modify(connection.socket, events, connection)
        else:
            self._selector.unregister(connection.socket)
        connection.events = events

    # ---- their end

    def close(self, connection: Connection) -> None:
        """Close one; nothing happens the second time.

        Args:
            connection: The connection.
        """
        if self._open.pop(connection.socket, None) is None:
            return
        self.runnable.pop(connection, None)
        self.sleeping.pop(connection, None)
        try:
            if connection.events:
                self._selector.unregister(connection.socket)
                connection.events = 0
        finally:
            connection.close()

    def close_those_of(self, member: Member) -> None:
        """Close all connections to a node.

        Args:
            member: The node.
        """
        for connection in self:
            if connection.session.member is member:
                self.close(connection)

    def close_all(self) -> None:
        """Close all; each is closed whatever the others raise."""
        with ExitStack() as stack:
            for connection in self:
                stack.callback(self.close, connection)

    def leave(self) -> None:
        """Be the copy of a forked child: close its descriptors and forget all."""
        with ExitStack() as stack:
            for held in (self._open, self.runnable, self.sleeping):
                stack.callback(held.clear)
            for sock in self._open:
                stack.callback(sock.close)
