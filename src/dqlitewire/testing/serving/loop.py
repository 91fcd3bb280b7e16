"""One thread that serves the connections of an engine: sockets in, sockets out.

The engine's steps are short, so one thread is enough: every connection gets a few frames a turn, none while
its client does not read.  A statement that runs long calls back now and then (`Engine.breathe`); the loop
then takes a turn for everybody else in the middle of it, up to a depth of `_DEPTH` such statements.

The thread itself releases everything when it ends, whatever ended it.  A forked child has no such thread, and
touches nothing of it (`dqlitewire.testing.serving.forks`).
"""

from __future__ import annotations

import logging
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, TypeVar

from dqlitewire.testing.serving import forks
from dqlitewire.testing.serving.errands import Errands

if TYPE_CHECKING:
    from dqlitewire.testing.node.cluster import Member
    from dqlitewire.testing.serving.listening import Listener
    from dqlitewire.testing.serving.served import Served, ServedSession

__all__ = ["Loop"]

T = TypeVar("T")

_READ_SIZE = 1 << 16
_OUTPUT_WANTED = 1 << 17  # bytes waiting for the client before work for it stops
_FRAMES_A_TURN = 32
_TURN_EVERY = 0.005  # seconds of one statement between turns for the others
_DEPTH = 8
_ABANDONED_AFTER = 5.0  # seconds a statement may go on after its client said it would send no more
_ACCEPT_PAUSE = 0.05  # seconds without accepting when no descriptor is left

logger = logging.getLogger(__name__)


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
        self._errands = Errands()
        self._connections: dict[socket.socket, _Connection] = {}
        self._runnable: dict[_Connection, None] = {}
        self._sleeping: dict[_Connection, None] = {}
        self._listeners: dict[int, Listener] = {}
        self._members: dict[int, Member] = {}
        self._accept_at: float | None = None  # when accepting begins again
        self._depth = 0
        self._last_turn = 0.0
        self._foreign = False  # a copy in a forked child
        self._left_over: BaseException | None = None  # what could not be released
        self._wake_in, self._wake_out = socket.socketpair()
        with ExitStack() as undo:
            undo.callback(self._wake_in.close)
            undo.callback(self._wake_out.close)
            self._wake_in.setblocking(False)
            self._wake_out.setblocking(False)
            self._selector = selectors.DefaultSelector()
            self._selector.register(self._wake_in, selectors.EVENT_READ)
            undo.pop_all()
        forks.watch(self)

    # ---- for other threads

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the serving thread and return its result.

        Raises:
            RuntimeError: the thread has ended, or is another process's.
        """
        if threading.current_thread() is self:
            return function()
        if self._foreign:
            raise RuntimeError("the server is another process's")
        future = self._errands.add(function)
        self._wake()
        return future.result()

    def stop(self) -> None:
        """Stop everything, running statements included, and wait for the end.

        Everything is released, whatever fails; nothing happens in a forked child, or the second time.

        Raises:
            OSError: the file of a socket could not be removed.
        """
        if self._foreign:
            return
        self.engine.stopping = True
        if threading.current_thread() is self:
            return
        self._wake()
        if self.ident is None:
            self._shut_down()
        else:
            self.join()
        error, self._left_over = self._left_over, None
        if error is not None:
            raise error

    def leave(self) -> None:
        """Be the copy of a forked child: close its descriptors and never touch anything else.

        If it was this thread that forked (a fault's callback may), it goes on in the child, and soon ends.
        """
        self._foreign = self.engine.stopping = True
        with ExitStack() as stack:
            stack.callback(self.engine.leave)
            stack.callback(self._selector.close)
            for sock in (self._wake_in, self._wake_out, *self._connections):
                stack.callback(sock.close)
            for listener in self._listeners.values():
                stack.callback(listener.leave)
            for nobodys in (self._connections, self._runnable, self._sleeping):
                stack.callback(nobodys.clear)

    @property
    def foreign(self) -> bool:
        """Whether this is the copy of a forked child."""
        return self._foreign

    @property
    def connection_count(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    def _wake(self) -> None:
        with suppress(OSError):  # full: it wakes anyway; closed: it has ended
            self._wake_out.send(b"\0")

    # ---- nodes

    def listen(self, listener: Listener, member: Member) -> None:
        """Accept connections to a node; called in the serving thread or before it runs."""
        listener.setblocking(False)
        self._listeners[member.id] = listener
        self._members[member.id] = member
        if self._accept_at is None:
            self._selector.register(listener, selectors.EVENT_READ, member)

    def unlisten(self, member: Member) -> None:
        """Close a node's door and all connections to it."""
        listener = self._listeners.pop(member.id, None)
        try:
            if listener is not None:
                if self._accept_at is None:
                    self._selector.unregister(listener)
                listener.close()
        finally:
            for connection in list(self._connections.values()):
                if connection.session.member is member:
                    self._close(connection)

    # ---- the thread

    def run(self) -> None:
        """Serve until stopped."""
        try:
            while not self.engine.stopping:
                self._turn(self._timeout())
        except BaseException as error:  # ours: nobody is served any more, and nothing stays open
            if not self._foreign:
                logger.exception("the server has failed")
                self.errors.append(error)
        finally:
            if not self._foreign:
                self._shut_down()

    def _timeout(self) -> float | None:
        if self._runnable:
            return 0.0
        wakes = [connection.wake_at for connection in self._sleeping if connection.wake_at is not None]
        if self._accept_at is not None:
            wakes.append(self._accept_at)
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
                listener = self._listeners.get(key.data.id)
                if listener is key.fileobj and listener is not None:  # not closed in this very turn
                    self._accept(listener, key.data)
        if self._accept_at is not None and self._accept_at <= time.monotonic():
            self._accept_again()
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
        with suppress(BlockingIOError):
            self._wake_in.recv(4096)
        self._errands.run()

    def _accept(self, listener: Listener, member: Member) -> None:
        for _ in range(64):
            try:
                sock, _address = listener.accept()
            except BlockingIOError:
                return  # nobody is waiting any more
            except ConnectionAbortedError:
                continue
            except OSError:
                self._stop_accepting()
                return
            try:
                self._begin(sock, member)
            except BaseException:
                sock.close()
                raise

    def _begin(self, sock: socket.socket, member: Member) -> None:
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(sock, self.engine.connect(member))
        self._connections[sock] = connection
        self._watch(connection)

    def _stop_accepting(self) -> None:
        # without a free descriptor a client waits in the queue and its listener stays ready: to ask again and
        # again would take all of a processor
        if self._accept_at is None:
            for listener in self._listeners.values():
                self._selector.unregister(listener)
        self._accept_at = time.monotonic() + _ACCEPT_PAUSE

    def _accept_again(self) -> None:
        self._accept_at = None
        for number, listener in self._listeners.items():
            self._selector.register(listener, selectors.EVENT_READ, self._members[number])

    def _watch(self, connection: _Connection) -> None:
        session = connection.session
        events = 0
        if not connection.ended and not session.waiting:
            events |= selectors.EVENT_READ
        if connection.output and (connection.wake_at is None or connection.held):
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
        if connection.session.busy:
            self._watch(connection)  # its work may take long: what it reads meanwhile has an end here

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
                if data is None:
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
        if connection.output and (connection.wake_at is None or connection.held):
            size = len(connection.output) if connection.held else session.write_size or len(connection.output)
            try:
                sent = connection.socket.send(memoryview(connection.output)[:size])
            except BlockingIOError:
                sent = 0
            except OSError:
                self._close(connection)
                return
            del connection.output[:sent]
            if connection.wake_at is None and session.write_size is not None and connection.output:
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
        try:
            if connection.events:
                self._selector.unregister(sock)
                connection.events = 0
            if session.reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            sock.close()
            session.close()

    def _shut_down(self) -> None:
        try:
            # each is done, whatever the others raise; the last one said is the first
            with ExitStack() as stack:
                stack.callback(self.engine.close)
                stack.callback(self._selector.close)
                stack.callback(self._wake_in.close)
                stack.callback(self._wake_out.close)
                for listener in self._listeners.values():
                    stack.callback(listener.close)
                for connection in list(self._connections.values()):
                    stack.callback(self._close, connection)
                stack.callback(self._errands.close)
        except BaseException as error:
            self._left_over = error
