"""Units of a byte stream one behind the other: positions in arrays, the bytes on disk."""

from __future__ import annotations

import os
import tempfile
from array import array
from enum import IntEnum
from typing import NamedTuple

__all__ = ["Kind", "Mapped", "Spool", "Track", "Unit"]


class Kind(IntEnum):
    """What a unit of a client's stream is."""

    HANDSHAKE = 0
    HTTP = 1
    FRAME = 2
    OTHER = 3  # bytes that are no frame
    PART = 4  # the stream ended inside it


class Mapped(IntEnum):
    """Whether addresses of nodes stand in a piece of the server's stream, and in which layout."""

    NONE = 0
    NAMED = 1
    LEGACY = 2  # in the layout of before 1.0


class Unit(NamedTuple):
    """What stands at one place of the arrays.

    Attributes:
        data: the bytes.
        kind: of a client's unit its `Kind`, of a server's piece its `Mapped`.
        gate: of a piece, how many units must have come before it is said.
        request: of a piece, the unit that it answers; -1 if none.
        time: in nanoseconds since 1970; 0 if unknown.
    """

    data: bytes
    kind: int
    gate: int
    request: int
    time: int


class Spool:
    """Bytes on disk, in a file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self._size = 0

    def add(self, data: bytes) -> int:
        """Append bytes; return where they begin."""
        at = self._size
        self._file.write(data)
        self._size += len(data)
        return at

    def read(self, at: int, size: int) -> bytes:
        """Return bytes that were added."""
        return os.pread(self._file.fileno(), size, at)

    def flush(self) -> None:
        """Make what was added readable."""
        self._file.flush()

    @property
    def closed(self) -> bool:
        """Whether the disk was given back."""
        return self._file.closed

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()


class Track:
    """One direction of a connection: units one behind the other, their bytes in a spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._at, self._sizes, self._times = array("q"), array("q"), array("q")
        self._kinds, self._gates, self._requests = array("b"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._at)

    def add(self, data: bytes, kind: int, gate: int, request: int, time: int) -> None:
        """Append a unit."""
        self._at.append(self._spool.add(data))
        self._sizes.append(len(data))
        self._kinds.append(kind)
        self._gates.append(gate)
        self._requests.append(request)
        self._times.append(time)

    def __getitem__(self, index: int) -> Unit:
        return Unit(
            self._spool.read(self._at[index], self._sizes[index]),
            self._kinds[index],
            self._gates[index],
            self._requests[index],
            self._times[index],
        )

    def size(self, index: int) -> int:
        """Return the bytes of a unit, without reading them."""
        return self._sizes[index]

    def kind(self, index: int) -> int:
        """Return the kind of a unit, without reading it."""
        return self._kinds[index]

    def gate(self, index: int) -> int:
        """Return the gate of a piece, without reading it."""
        return self._gates[index]

    def time(self, index: int) -> int:
        """Return the time of a unit, without reading it."""
        return self._times[index]
