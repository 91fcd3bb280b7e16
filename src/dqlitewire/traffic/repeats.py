"""Queries repeated in a row on one connection: what an application does that asks for each row apart (N+1).

A run is a sequence of equal statements on a connection. PREPARE and FINALIZE, which drivers put between equal
queries, do not end it. A run of `RUN` queries or more is counted as a loop of its statement. Runs are known
of the `MAX_CONNECTIONS` connections that said something last.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

MAX_CONNECTIONS = 20_000
RUN = 10  # equal queries in a row that look like a loop in the application


@dataclass
class Loop:
    """A statement that is asked again and again in a row: an N+1 pattern."""

    key: str
    after: str  # the statement before the first run
    runs: int = 0
    queries: int = 0
    longest: int = 0


@dataclass
class Run:
    """Equal statements on one connection, up to here."""

    key: str = ""
    before: str = ""
    length: int = 0
    is_query: bool = False


@dataclass
class Repeats:
    """The runs of all connections, and the loops that they made.

    Attributes:
        loops: by statement.
    """

    loops: dict[str, Loop] = field(default_factory=dict[str, Loop])
    _runs: OrderedDict[int, Run] = field(default_factory=OrderedDict[int, Run])

    def turn_to(self, connection: int) -> tuple[Run, bool]:
        """Return the run that a connection is in, and whether it is a new one."""
        run = self._runs.get(connection)
        is_new = run is None
        if run is None:
            run = self._runs[connection] = Run()
            if len(self._runs) > MAX_CONNECTIONS:
                self._end(self._runs.popitem(last=False)[1])
        self._runs.move_to_end(connection)
        return run, is_new

    def add(self, run: Run, key: str, is_query: bool) -> None:
        """Take a statement that goes on with a run, or begins the next one."""
        if run.key == key:
            run.length += 1
            return
        self._end(run)
        run.before, run.key, run.length, run.is_query = run.key, key, 1, is_query

    def end_all(self) -> None:
        """End all runs: what follows is another source."""
        while self._runs:
            self._end(self._runs.popitem()[1])

    def _end(self, run: Run) -> None:
        if run.length < RUN or not run.is_query:
            return
        loop = self.loops.setdefault(run.key, Loop(run.key, run.before))
        loop.runs += 1
        loop.queries += run.length
        loop.longest = max(loop.longest, run.length)
