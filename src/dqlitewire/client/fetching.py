"""Fetch a database from the leader, so that all is in it that was committed before.

    DUMP            only its beginning is read: is there such a database?
    OPEN, SELECT    on the leader: it has applied all that was committed, or it does not lead
    DUMP            read as a whole

DUMP itself proves nothing. Any node answers it, at once, with what it has applied: a leader that was just
elected lacks for some milliseconds what its predecessor confirmed, and one that was cut off does not know of
its successor. A query waits for both (dqlite src/leader.c: the barrier in front of a statement). It needs an
open database, and OPEN makes one where there is none, so the first question must come first.

A database that is not there is answered in two ways: by FAILURE 1002, or by two empty files. Both are
`NoDatabaseError`. Names that no database can have are refused as OPEN and statements are, because some
servers answer them with the files of another one ("" and "a.db-wal" with those of "a.db").

Memory: the frame and the contents of its files, so twice the size of the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dqlitewire.client.connection import LIMITS, Connection, Dialler
from dqlitewire.client.dump import Dump
from dqlitewire.client.errors import NoDatabaseError, StatementFailed
from dqlitewire.client.leadership import HARMLESS
from dqlitewire.constants import DQLITE_NOTFOUND, HEADER_SIZE
from dqlitewire.conversation import Answered, Event, Failed, Generation, HazardError
from dqlitewire.dial import Address, Deadline
from dqlitewire.dial.sockets import LONGEST_WAIT
from dqlitewire.header import frame_size_at
from dqlitewire.messages import DumpRequest, FilesResponse, OpenRequest, QuerySqlRequest
from dqlitewire.servers.hazards import name_hazard

Progress = Callable[[int, int | None], object]

_SMALL = 1 << 16  # bytes of a frame that is not worth another connection
_SETTLING = 0.2  # seconds that a leader gets to apply what made a database
# a database is one frame, however large it is
_UNBOUNDED = LIMITS.replace(max_message_size=None, max_file_content_size=None)


class Patience(Deadline):
    """A deadline for the whole, and a shorter one for each wait.

    Args:
        whole: for all; None for no end while something comes.
        each: seconds of one wait.
    """

    def __init__(self, whole: Deadline | None, each: float) -> None:
        super().__init__(each)
        self._whole, self._each = whole, min(each, LONGEST_WAIT)

    def left(self) -> float:
        """Return the seconds that one wait may take.

        Raises:
            TimeoutError: nothing is left of the whole.
        """
        return self._each if self._whole is None else min(self._each, self._whole.left())


def check_name(name: str, generation: Generation) -> None:
    """Refuse a name that no database has.

    Args:
        name: of the database.
        generation: of the server.

    Raises:
        HazardError: it is none that OPEN and statements are sent for.
    """
    hazard = name_hazard(name, generation)
    if hazard is not None:
        raise HazardError(hazard.flag, DumpRequest(name))


def fetch(
    dialler: Dialler, address: Address, name: str, progress: Progress | None, deadline: Deadline
) -> Dump:
    """Fetch a database from a node that leads.

    Args:
        dialler: makes connections; its caps are lifted.
        address: of the node.
        name: of the database.
        progress: called with the bytes that have come, and how many will, once that is known.
        deadline: for each wait.

    Raises:
        NoDatabaseError: there is none of that name.
        StatementFailed: the node refused.
        ClientError: it sent no database.
        HazardError: no database has such a name.
        Broken: the connection failed.
    """
    dialler = replace(dialler, limits=_UNBOUNDED)
    if not _is_there(dialler, address, name, deadline):
        time.sleep(min(_SETTLING, deadline.left()))
        if not _is_there(dialler, address, name, deadline):
            raise NoDatabaseError(name)
    connection = dialler.reach(address, deadline)
    try:
        _answered(connection.ask(OpenRequest(name), deadline))
        _answered(connection.ask(QuerySqlRequest(0, HARMLESS), deadline))
        return _dumped(connection, name, deadline, _Counter(progress))
    finally:
        connection.close()


class _Large(Exception):
    """An answer is no small one."""


class _Counter:
    """Counts the bytes of an answer.

    Args:
        progress: is told of them.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._header = b""
        self._received = 0

    def __call__(self, data: bytes) -> None:
        self._header = (self._header + data[:HEADER_SIZE])[:HEADER_SIZE]
        self._received += len(data)
        total = frame_size_at(self._header) if len(self._header) == HEADER_SIZE else None
        self.count(self._received, total)

    def count(self, received: int, total: int | None) -> None:
        if self._progress is not None:
            self._progress(received, total)


class _Peek(_Counter):
    """Ends the wait for an answer that is large."""

    def __init__(self) -> None:
        super().__init__(None)

    def count(self, received: int, total: int | None) -> None:
        if total is not None and total > _SMALL:
            raise _Large


def _is_there(dialler: Dialler, address: Address, name: str, deadline: Deadline) -> bool:
    connection = dialler.reach(address, deadline)
    try:
        return not _dumped(connection, name, deadline, _Peek()).is_empty
    except _Large:
        return True
    except StatementFailed as failed:
        if failed.code == DQLITE_NOTFOUND:
            return False
        raise
    finally:
        connection.close()


def _dumped(connection: Connection, name: str, deadline: Deadline, counter: _Counter) -> Dump:
    request = DumpRequest(name)
    connection.send(request, deadline)
    answer = _answered(connection.event(request, deadline, counter))
    assert isinstance(answer, FilesResponse)
    return Dump(name, answer.files)


def _answered(event: Event) -> Any:
    if isinstance(event, Failed):
        raise StatementFailed(event)
    return event.message if isinstance(event, Answered) else None
