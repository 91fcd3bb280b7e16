"""The thread that serves all connections of an embedded server or a script.

One thread, one selector. A turn reads what has come, accepts who waits, wakes who has paused, and lets
every runnable connection do some steps of its session; steps are short, so no connection waits long.

Re-entrancy. A step is short unless SQLite works for long in it (a join without an index, an endless
recursion). Then SQLite's progress handler calls `breathe`, and from in there, with the stack of the long
step below it, the thread takes another turn for everybody else:

    run > turn > A.step > sqlite3_step > progress > breathe > turn > B.step > ... > breathe > turn > C.step
                 busy                                                busy                            busy

Rules that keep this sound:
* A connection whose session is `busy` is somewhere down in the stack. It is read from, so that an INTERRUPT
  or the end of the client is noticed, and never given another step.
* What ends a session in the middle of its step (the client goes, leadership is lost, the server stops) only
  leaves a note; its progress handler then tells SQLite to stop (`dqlitewire.testing.node.session`).
* After a step anything may have changed: the connection may be closed, others may be gone. So sets of
  connections are copied before they are walked, and looked at again after each call.
* Who waits for whom: short steps of others are done within a turn, and A goes on behind them. A long step
  of B, begun in that turn, lies above A on the stack: A goes on when B has ended, and B when C has. So the
  last long statement to begin is the first to end.
* Turns are not nested deeper than `_DEPTH`, for each level takes a piece of the C stack. The statement at
  that depth takes no more turns: everybody waits until it ends, no INTERRUPT reaches it, and only `stop`
  ends it early.
* `breathe` is called far more often than it takes a turn: at most one each `_TURN_EVERY` seconds.

Other threads (the test's) touch nothing here. They hand over a function (`call`) and wait for its result;
the thread runs it at the beginning of a turn, also of a nested one, so `run_sql` and `elect` work while a
statement runs. `stop` sets `stopping`, which ends the turns and whatever runs in SQLite, and waits for the
thread; the thread never waits for another one.

The end. The thread itself releases everything when it ends, whatever ended it. A forked child has no such
thread, and touches nothing of it (`dqlitewire.testing.serving.forks`).
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, TypeVar

from dqlitewire.testing.serving import forks
from dqlitewire.testing.serving.acceptor import Acceptor
from dqlitewire.testing.serving.call_queue import CallQueue
from dqlitewire.testing.serving.connection import Connection
from dqlitewire.testing.serving.connections import ConnectionTable

if TYPE_CHECKING:
    from dqlitewire.testing.node.cluster import Member
    from dqlitewire.testing.serving.listening import Listener
    from dqlitewire.testing.serving.protocols import Service

__all__ = ["ServerThread"]

T = TypeVar("T")

_TURN_EVERY = 0.005  # seconds of one statement between turns for the others
_DEPTH = 8

logger: logging.Logger = logging.getLogger(__name__)


class ServerThread(threading.Thread):
    """The serving thread.

    Args:
        service: What answers; touched by this thread alone once it runs.

    Attributes:
        errors: Exceptions of ours, each of which ended a connection, or the thread.
    """

    def __init__(self, service: Service) -> None:
        super().__init__(name="dqlite-testing", daemon=True)
        self.service = service
        self.errors: list[BaseException] = []
        service.breathe = self._breathe
        self._calls = CallQueue()
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
        self._connections = ConnectionTable(self._selector, service, self.errors)
        self._acceptor = Acceptor(self._selector, self._connections.begin)
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
        future = self._calls.add(function)
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
        self.service.stopping = True
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

        If it was this thread that forked (a fault's hook may), it goes on in the child, and soon ends.
        """
        self._foreign = self.service.stopping = True
        with ExitStack() as stack:
            stack.callback(self.service.leave)
            stack.callback(self._selector.close)
            stack.callback(self._connections.leave)
            for sock in (self._wake_in, self._wake_out):
                stack.callback(sock.close)
            for listener in self._acceptor.listeners:
                stack.callback(listener.leave)

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
        self._acceptor.add(listener, member)

    def unlisten(self, member: Member) -> None:
        """Close a node's listener and all connections to it."""
        try:
            self._acceptor.remove(member)
        finally:
            self._connections.close_those_of(member)

    # ---- turns

    def run(self) -> None:
        """Serve until stopped."""
        try:
            while not self.service.stopping:
                self._turn(self._timeout())
        except BaseException as error:  # ours: the server ends, and nothing stays open
            if not self._foreign:
                logger.exception("the server has failed")
                self.errors.append(error)
        finally:
            if not self._foreign:
                self._shut_down()

    def _timeout(self) -> float | None:
        connections = self._connections
        if connections.runnable:
            return 0.0
        wakes = connections.wake_times() if connections.sleeping else []
        if self._acceptor.resume_at is not None:
            wakes.append(self._acceptor.resume_at)
        return max(0.0, min(wakes) - time.monotonic()) if wakes else None

    def _turn(self, timeout: float | None) -> None:
        connections = self._connections
        for key, mask in self._selector.select(timeout):
            if key.data is None:
                self._run_calls()
            elif isinstance(key.data, Connection):
                connections.ready(key.data, mask)
            else:
                self._acceptor.accept(key.fileobj, key.data)
        self._acceptor.resume()
        if connections.sleeping:
            connections.wake()
        if connections.runnable:
            connections.work()
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
        self._calls.run()

    def _shut_down(self) -> None:
        try:
            # each is done, whatever the others raise; in reverse order
            with ExitStack() as stack:
                stack.callback(self.service.close)
                stack.callback(self._selector.close)
                stack.callback(self._wake_in.close)
                stack.callback(self._wake_out.close)
                for listener in self._acceptor.listeners:
                    stack.callback(listener.close)
                stack.callback(self._connections.close_all)
                stack.callback(self._calls.close)
        except BaseException as error:
            self._left_over = error
