"""Watch what passes a proxy: the same bytes as items, beside the path.

    traffic (the proxy's thread)                         watching (a thread of its own)

    watcher.passed(..) -> queue of pieces, bounded ->    source.pieces() -> items -> lines, statistics

Decoding and writing to a terminal take longer than forwarding, so they have a thread of their own, which runs
what `decode` runs: a source, its items, and a consumer that pulls them. Between the two is a queue of
`MAX_WAITING` bytes. Where it is full the traffic waits, so that a program that reads the lines misses none.
But a terminal that is paused, or a pager that nobody scrolls, must not stop the traffic for good: when
nothing was taken for `PATIENCE` seconds, bytes are dropped until half of the queue is free again. They
become gaps, as what a capture loses, and `dropped` counts them; connections that came and went meanwhile are
not shown at all. So the memory that a stuck output costs does not grow with the time that it is stuck.

A consumer that ends, because whoever read its lines has gone (`| head`), ends the watching alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from dqlitewire.conversation import Side
from dqlitewire.traffic.sources.pieces import Connection, Piece, Taken, What
from dqlitewire.traffic.sources.source import Source

__all__ = ["Watcher"]

MAX_WAITING = 8 << 20  # bytes that wait to be shown
PATIENCE = 2.0  # seconds in which something must be taken from a full queue
_PIECE = 200  # bytes that a piece takes beside its data


class Watcher:
    """Passes on what passes a proxy, to a consumer in a thread of its own.

    Args:
        consume: called once, in that thread, with a source that yields what passes until `close`; what it
            raises ends the watching, and is kept in `error`.
        max_waiting: bytes that may wait for it.
        patience: seconds in which it must take something of a full queue.

    Attributes:
        dropped: bytes that were not passed on because the consumer was stuck.
        error: what the consumer raised; None if nothing.
    """

    def __init__(
        self,
        consume: Callable[[Source], None],
        *,
        max_waiting: int = MAX_WAITING,
        patience: float = PATIENCE,
    ) -> None:
        self.dropped: int = 0
        self.error: BaseException | None = None
        self._consume = consume
        self._most, self._patience = max_waiting, patience
        self._changed = threading.Condition()
        self._queue: deque[Piece | Callable[[], None]] = deque()
        self._size = 0  # of the queue, in bytes
        self._taken = 0  # pieces that the consumer has taken
        self._closed = self._gone = self._stuck = False
        self._open: dict[int, Connection] = {}
        self._ended: set[tuple[int, Side]] = set()  # directions of open connections
        self._seen: set[int] = set()  # connections of which pieces were passed on
        self._lost: dict[tuple[int, Side], int] = {}  # bytes that were dropped while it was stuck
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)
        self._thread.start()

    def opened(self, connection: int, client: str, server: str, time: int) -> None:
        """Note a connection.

        Args:
            connection: its number.
            client: the client's endpoint, as text.
            server: the server's.
            time: when, in nanoseconds since 1970.
        """
        self._open[connection] = Connection(connection, client, server)

    def passed(self, connection: int, side: Side, data: bytes, time: int) -> None:
        """Pass on bytes that go on as they came.

        Args:
            connection: where.
            side: who sent them.
            data: the bytes, cut anywhere.
            time: when they came, in nanoseconds since 1970.
        """
        self._put(connection, side, [(What.DATA, data, 0)], time)

    def changed(self, connection: int, side: Side, data: bytes, sent: bytes, time: int) -> None:
        """Pass on a whole frame that goes on otherwise.

        Args:
            connection: where.
            side: who sent it.
            data: the frame as it came; empty where the proxy answers in place of the server.
            sent: what goes on instead; empty where nothing does.
            time: when it came, in nanoseconds since 1970.
        """
        if data or sent:
            self._put(connection, side, [(What.SENT, sent, len(data)), (What.DATA, data or sent, 0)], time)

    def fault(self, connection: int, kind: str, fault: int, on: str, time: int) -> None:
        """Pass on that a fault has struck.

        Args:
            connection: where.
            kind: its kind, as fault words name it.
            fault: its id.
            on: the name of the request that it selected.
            time: when, in nanoseconds since 1970.
        """
        self._put(connection, Side.CLIENT, [(What.FAULT, Taken(kind, fault, on).packed(), 0)], time)

    def ended(self, connection: int, side: Side | None, time: int) -> None:
        """Pass on that a side sends no more, or that the connection has ended.

        Args:
            connection: where.
            side: which; None for both.
            time: when, in nanoseconds since 1970.
        """
        for ending in Side if side is None else (side,):
            if (connection, ending) not in self._ended:
                self._ended.add((connection, ending))
                self._put(connection, ending, [(What.END, b"", 0)], time)
        if side is None:
            self._ended.difference_update((connection, ending) for ending in Side)
            with self._changed:
                self._open.pop(connection, None)
                self._seen.discard(connection)
                for ending in Side:
                    self._lost.pop((connection, ending), None)

    def between(self, call: Callable[[], None]) -> None:
        """Have something called in the consumer's thread, when it has taken all that passed before.

        Args:
            call: what to call; what it raises ends the watching.
        """
        with self._changed:
            if not self._gone:
                self._queue.append(call)
                self._changed.notify_all()

    def close(self) -> None:
        """End the source, and wait until the consumer is done with what waits, unless it is stuck."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        taken = -1
        while self._thread.is_alive() and taken != self._taken:
            taken = self._taken
            self._thread.join(self._patience)

    # ---------------------------------------------------------------- the proxy's thread

    def _put(self, number: int, side: Side, parts: list[tuple[What, bytes, int]], time: int) -> None:
        with self._changed:
            connection = self._open.get(number)
            if self._gone or self._closed or connection is None:
                return
            size = sum(len(data) + _PIECE for _, data, _ in parts)
            is_end = parts[0][0] is What.END
            if not self._has_room(size) and not (is_end and number in self._seen):
                self._lost[number, side] = self._lost.get((number, side), 0) + sum(
                    len(data) for what, data, _ in parts if what is What.DATA
                )
                return
            if self._gone:  # while it was waited for
                return
            if lost := self._lost.pop((number, side), 0):
                self.dropped += lost
                self._queue.append(Piece(connection, side, What.GAP, b"", lost, time))
            self._queue += (Piece(connection, side, what, data, of, time) for what, data, of in parts)
            self._seen.add(number)
            self._size += size
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        """Whether something may be queued; waits for a consumer that goes on."""
        if self._stuck:
            self._stuck = self._size > self._most // 2
        while not self._stuck and self._size and self._size + size > self._most and not self._gone:
            taken = self._taken
            self._changed.wait(self._patience)
            self._stuck = taken == self._taken
        return not self._stuck

    # ---------------------------------------------------------------- the consumer's thread

    def _run(self) -> None:
        try:
            self._consume(Source("proxy", "live", lambda _: self._pieces()))
        except BaseException as error:
            self.error = error
        finally:
            with self._changed:
                self._gone = True
                self._queue.clear()
                self._changed.notify_all()

    def _pieces(self) -> Iterator[Piece]:
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if not self._queue:
                    return
                piece = self._queue.popleft()
                self._taken += 1
                if isinstance(piece, Piece):
                    self._size -= len(piece.data) + (_PIECE if piece.what is not What.GAP else 0)
                self._changed.notify_all()
            if isinstance(piece, Piece):
                yield piece
            else:
                piece()
