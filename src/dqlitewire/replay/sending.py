"""Send recorded requests to a node, and compare what it answers with what was recorded.

    Sending.in_order    one step after the other, as they were recorded over all connections: a request is
                        sent where it was sent, its answer waited for where it was complete
    Sending.timed       a thread for each connection, requests at their recorded times

In both, a connection has one request open at a time, an INTERRUPT apart: the ids that answers bring are
needed for the requests that follow. Connections are opened and closed where the recording has it, since a
transaction of one may be what another one waits for.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from dqlitewire.conversation import Generation
from dqlitewire.dial.sockets import Deadline
from dqlitewire.replay.live import LiveConnection, in_words
from dqlitewire.replay.recorded import Moment, RecordedConnection, Step
from dqlitewire.replay.recording import Recording

__all__ = ["Sending"]

Dial = Callable[[], socket.socket]
Tell = Callable[[list[str]], None]


class Sending:
    """A recording on its way to a node.

    Args:
        recording: what was said, in the node's view.
        dial: opens a connection to the node.
        deadline: for all of it.
        generation: of the node, as far as known.
        tell: is called with the lines of each difference, one request at a time.

    Attributes:
        connections: how many were made.
        sent: requests that were sent.
        skipped: requests that were not.
        differences: answers that differ, failed connections among them.
    """

    def __init__(
        self, recording: Recording, dial: Dial, deadline: Deadline, generation: Generation, tell: Tell
    ) -> None:
        self.connections: int = 0
        self.sent: int = 0
        self.skipped: int = 0
        self.differences: int = 0
        self._recording = recording
        self._dial = dial
        self._deadline = deadline
        self._generation = generation
        self._tell = tell
        self._lock = threading.Lock()
        self._refused: set[RecordedConnection] = set()
        self._failures: list[Exception] = []  # faults of ours, in threads

    def in_order(self) -> None:
        """Send everything, each request where the recording has it.

        Raises:
            OSError: the first connection could not be made.
        """
        live: dict[RecordedConnection, LiveConnection] = {}
        try:
            for moment in self._recording.moments:
                connection = live.get(moment.connection)
                if connection is None:
                    connection = self._opened(moment)
                    if connection is None:
                        continue
                    live[moment.connection] = connection
                self._step(connection, moment)
                if moment.step is Step.ENDED:
                    self._close(live.pop(moment.connection))
        except TimeoutError:
            if not self.connections:
                raise
        finally:
            for connection in live.values():
                self._close(connection)

    def timed(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Send each request at its recorded time after the first, each connection from its own thread.

        Args:
            clock: counts seconds.

        Raises:
            OSError: the first connection could not be made.
        """
        timetable = _Timetable(self._recording, self._deadline, clock)
        own: dict[RecordedConnection, list[Moment]] = {}
        for moment in self._recording.moments:
            own.setdefault(moment.connection, []).append(moment)
        threads: list[threading.Thread] = []
        try:
            for moments in own.values():
                timetable.wait(moments[0])
                connection = self._opened(moments[0])
                if connection is not None:
                    # a daemon: who interrupts the program does not wait for the node
                    arguments = connection, moments, timetable
                    thread = threading.Thread(target=self._timed, args=arguments, daemon=True)
                    thread.start()
                    threads.append(thread)
        except TimeoutError:
            if not self.connections:
                raise
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _timed(self, connection: LiveConnection, moments: list[Moment], timetable: _Timetable) -> None:
        try:
            for moment in moments:
                if moment.step is Step.SENT and not connection.over:
                    timetable.wait(moment)
                self._step(connection, moment)
        except TimeoutError as error:
            connection.fail(in_words(error, self._deadline))
        except Exception as error:  # raised where the others have ended
            self._failures.append(error)
        finally:
            self._close(connection)

    def _step(self, connection: LiveConnection, moment: Moment) -> None:
        match moment.step:
            case Step.SENT:
                connection.send(moment.unit)
            case Step.ANSWERED:
                connection.wait(moment.unit)
            case Step.ENDED:
                connection.wait()

    def _opened(self, moment: Moment) -> LiveConnection | None:
        """A connection for a recorded one that begins to speak; None where there is nothing to say."""
        if moment.step is not Step.SENT:
            return None
        if moment.connection in self._refused:
            self.skipped += 1
            return None
        try:
            sock = self._dial()
        except TimeoutError:
            raise
        except OSError as error:
            if not self.connections:
                raise
            self._refused.add(moment.connection)
            self.skipped += 1
            self._differ([f"{moment.connection.name}: cannot connect: {in_words(error, self._deadline)}"])
            return None
        self.connections += 1
        return LiveConnection(moment.connection, sock, self._deadline, self._generation, self._differ)

    def _differ(self, lines: list[str]) -> None:
        with self._lock:
            self.differences += 1
            self._tell(lines)

    def _close(self, connection: LiveConnection) -> None:
        connection.close()
        with self._lock:
            self.sent += connection.sent
            self.skipped += connection.skipped


class _Timetable:
    """When the requests of a recording are due, counted from its first one."""

    def __init__(self, recording: Recording, deadline: Deadline, clock: Callable[[], float]) -> None:
        self._deadline = deadline
        self._clock = clock
        self._begin = clock()
        times = filter(None, map(_time_of, recording.moments))
        self._first = min(times, default=0)

    def wait(self, moment: Moment) -> None:
        """Wait until a request is due; one without a time is.

        Raises:
            TimeoutError: the deadline comes first.
        """
        at = _time_of(moment)
        pause = (at - self._first) / 1e9 - (self._clock() - self._begin) if at else 0.0
        if pause > 0:
            time.sleep(min(pause, self._deadline.left()))
            self._deadline.left()


def _time_of(moment: Moment) -> int:
    return moment.connection.requests.time(moment.unit) if moment.step is Step.SENT else 0
