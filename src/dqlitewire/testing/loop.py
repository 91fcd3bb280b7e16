"""One thread that serves the connections of an engine: sockets in, sockets out.

The engine's steps are short, so one thread is enough: every connection gets a few frames a turn, none while
its client does not read.  A statement that runs long calls back now and then (`Engine.breathe`); the loop
then takes a turn for everybody else in the middle of it, up to a depth of `_DEPTH` such statements.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from dqlitewire.testing.cluster import Member

__all__ = ["Loop", "Served", "ServedSession"]

T = TypeVar("T")

_READ_SIZE = 1 << 16
_OUTPUT_WANTED = 1 << 17  # bytes waiting for the client before work for it stops
_FRAMES_A_TURN = 32
_TURN_EVERY = 0.005  # seconds of one statement between turns for the others
_DEPTH = 8
_ABANDONED_AFTER = 5.0  # seconds a query may go on after its client said it would send no more

logger = logging.getLogger(__name__)


class ServedSession(Protocol):
    """One connection without its socket; see `dqlitewire.testing.session.Session`."""

    number: int
    closed: bool
    reset: bool
    busy: bool
    abandoned_at: float | None

    @property
    def pause(self) -> float:
        """Seconds to wait before the last returned bytes are sent."""
        ...

    @property
    def write_size(self) -> int | None:
        """Bytes to send at a time."""
        ...

    @property
    def write_pause(self) -> float:
        """Seconds between two such pieces."""
        ...

    @property
    def member(self) -> Member:
        """The node it is connected to."""
        ...

    @property
    def waiting(self) -> bool:
        """Whether reading more can wait."""
        ...

    def receive(self, data: bytes) -> None:
        """Take bytes."""

    def step(self) -> bytes:
        """Do the next piece of work."""
        ...

    def close(self) -> None:
        """End."""


class Served(Protocol):
    """What answers; see `dqlitewire.testing.engine.Engine`."""

    stopping: bool
    breathe: Callable[[], None]

    def connect(self, member: Member) -> ServedSession:
        """Begin a connection."""
        ...

    def close(self) -> None:
        """End."""


class _Connection:
    """A socket and its session."""

    __slots__ = ("ended", "events", "held", "output", "session", "socket", "wake_at")

    def __init__(self, sock: socket.socket, session: ServedSession) -> None:
        self.socket = sock
        self.session = session
        self.output = bytearray()
        self.held = b""  # waits for `wake_at`
        self.wake_at: float | None = None
        self.ended = False  # the client has sent its last byte
        self.events = 0


class Loop(threading.Thread):
    """The serving thread.

    Args:
        engine: What answers; touched by this thread alone once it runs.
    """

    def __init__(self, engine: Served) -> None:
        super().__init__(name="dqlite-testing", daemon=True)
        self.engine = engine
        self.errors: list[BaseException] = []
        engine.breathe = self._breathe
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._connections: dict[socket.socket, _Connection] = {}
        self._runnable: dict[_Connection, None] = {}
        self._sleeping: dict[_Connection, None] = {}
        self._listeners: dict[int, socket.socket] = {}
        self._depth = 0
        self._last_turn = 0.0
        self._stopped = False

    # ---- for other threads

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the serving thread and return its result."""
        if threading.current_thread() is self or not self.is_alive():
            return function()
        future: Future[T] = Future()
        self._calls.append((function, future))
        self._wake()
        return future.result()

    def stop(self) -> None:
        """Stop everything, running statements included, and wait for the end."""
        self.engine.stopping = True
        self._wake()
        if self.is_alive():
            self.join()
        self._shut_down()

    @property
    def connection_count(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    def _wake(self) -> None:
        try:
            self._wake_out.send(b"\0")
        except (BlockingIOError, OSError):
            pass  # full: it wakes anyway; closed: it has ended

    # ---- nodes

    def listen(self, sock: socket.socket, member: Member) -> None:
        """Accept connections to a node; called in the serving thread or before it runs."""
        sock.setblocking(False)
        self._listeners[member.id] = sock
        self._selector.register(sock, selectors.EVENT_READ, member)

    def unlisten(self, member: Member) -> None:
        """Close a node's door and all connections to it."""
        sock = self._listeners.pop(member.id, None)
        if sock is not None:
            self._selector.unregister(sock)
            sock.close()
        for connection in list(self._connections.values()):
            if connection.session.member is member:
                self._close(connection)

    # ---- the thread

    def run(self) -> None:
        """Serve until stopped."""
        while not self.engine.stopping:
            self._turn(self._timeout())

    def _timeout(self) -> float | None:
        if self._runnable:
            return 0.0
        wakes = [connection.wake_at for connection in self._sleeping if connection.wake_at is not None]
        return max(0.0, min(wakes) - time.monotonic()) if wakes else None

    def _turn(self, timeout: float | None) -> None:
        for key, mask in self._selector.select(timeout):
            if key.data is None:
                self._run_calls()
            elif isinstance(key.data, _Connection):
                if mask & selectors.EVENT_READ:
                    self._read(key.data)
                if mask & selectors.EVENT_WRITE:
                    self._runnable[key.data] = None
            else:
                self._accept(key.fileobj, key.data)
        if self._sleeping:
            now = time.monotonic()
            for connection in [one for one in self._sleeping if one.wake_at is None or one.wake_at <= now]:
                self._wake_connection(connection)
        for connection in list(self._runnable):
            if not connection.session.busy and connection in self._runnable:
                del self._runnable[connection]
                self._work(connection)
        self._last_turn = time.monotonic()

    def _breathe(self) -> None:
        if self._depth >= _DEPTH or time.monotonic() - self._last_turn < _TURN_EVERY:
            return
        self._depth += 1
        try:
            self._turn(0.0)
        finally:
            self._depth -= 1

    def _run_calls(self) -> None:
        try:
            self._wake_in.recv(4096)
        except BlockingIOError:
            pass
        while self._calls:
            function, future = self._calls.popleft()
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

    def _accept(self, listener: Any, member: Member) -> None:
        for _ in range(64):
            try:
                sock, _address = listener.accept()
            except OSError:  # nobody is waiting any more, or no descriptor is left
                return
            sock.setblocking(False)
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(sock, self.engine.connect(member))
            self._connections[sock] = connection
            self._watch(connection)

    def _watch(self, connection: _Connection) -> None:
        session = connection.session
        events = 0
        if not connection.ended and not session.waiting:
            events |= selectors.EVENT_READ
        if connection.output and connection.wake_at is None:
            events |= selectors.EVENT_WRITE
        if events == connection.events:
            return
        if not connection.events:
            self._selector.register(connection.socket, events, connection)
        elif events:
            self._selector.modify(connection.socket, events, connection)
        else:
            self._selector.unregister(connection.socket)
        connection.events = events

    def _read(self, connection: _Connection) -> None:
        if connection.socket not in self._connections or connection.ended:
            return
        try:
            data = connection.socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        if data:
            connection.session.receive(data)
        else:
            connection.ended = True
            connection.session.abandoned_at = time.monotonic() + _ABANDONED_AFTER
        self._runnable[connection] = None

    def _work(self, connection: _Connection) -> None:
        session = connection.session
        idle = False
        try:
            for _ in range(_FRAMES_A_TURN):
                if connection.wake_at is not None or len(connection.output) >= _OUTPUT_WANTED:
                    break
                if connection.output and session.write_size is not None:
                    break
                data = session.step()
                if not data:
                    idle = True
                    break
                if session.pause:
                    connection.held = data
                    self._sleep(connection, session.pause)
                else:
                    connection.output += data
        except Exception as error:  # ours: this connection ends, the others go on
            logger.exception("connection %d", session.number)
            self.errors.append(error)
            self._close(connection)
            return
        if connection.socket in self._connections:
            self._flush(connection, idle)

    def _flush(self, connection: _Connection, idle: bool) -> None:
        session = connection.session
        if connection.output and connection.wake_at is None:
            size = session.write_size or len(connection.output)
            try:
                sent = connection.socket.send(memoryview(connection.output)[:size])
            except BlockingIOError:
                sent = 0
            except OSError:
                self._close(connection)
                return
            del connection.output[:sent]
            if session.write_size is not None and connection.output:
                self._sleep(connection, session.write_pause)
        if connection.wake_at is None:
            if not connection.output and (session.closed or (connection.ended and idle)):
                self._close(connection)
                return
            if not idle and len(connection.output) < _OUTPUT_WANTED:
                self._runnable[connection] = None
        self._watch(connection)

    def _sleep(self, connection: _Connection, seconds: float) -> None:
        connection.wake_at = time.monotonic() + seconds
        self._sleeping[connection] = None

    def _wake_connection(self, connection: _Connection) -> None:
        del self._sleeping[connection]
        connection.wake_at = None
        connection.output += connection.held
        connection.held = b""
        self._runnable[connection] = None

    def _close(self, connection: _Connection) -> None:
        sock, session = connection.socket, connection.session
        if self._connections.pop(sock, None) is None:
            return
        self._runnable.pop(connection, None)
        self._sleeping.pop(connection, None)
        if connection.events:
            self._selector.unregister(sock)
            connection.events = 0
        if session.reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        session.close()

    def _shut_down(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        for connection in list(self._connections.values()):
            self._close(connection)
        for sock in self._listeners.values():
            name = sock.getsockname()
            sock.close()
            if isinstance(name, str) and name:  # a unix socket with a file
                os.unlink(name)
        self._listeners.clear()
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()
        while self._calls:
            self._calls.popleft()[1].cancel()
        self.engine.close()
