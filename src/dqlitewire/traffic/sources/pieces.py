"""What every source is turned into: pieces of the two byte streams of numbered connections."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from dqlitewire.conversation import Side

MAX_TIME = 1 << 63  # nanoseconds since 1970: times are below, as they are in every clock that counts so


class What(IntEnum):
    """What a piece is."""

    DATA = 0
    GAP = 1  # `size` bytes were lost, or nobody knows how many (0)
    END = 2  # of this direction


class Connection:
    """One connection between a client and a server.

    Attributes:
        number: counts from 1 in the order of first appearance.
        client, server: endpoints, as HOST:PORT where known.
        midstream: its beginning was not seen.
        bare: it begins with a frame; the handshake was cut off.
        timed: its pieces carry times.
    """

    __slots__ = ("bare", "client", "midstream", "number", "server", "timed")

    def __init__(
        self,
        number: int = 1,
        client: str = "",
        server: str = "",
        *,
        midstream: bool = False,
        bare: bool = False,
        timed: bool = True,
    ) -> None:
        self.number = number
        self.client = client
        self.server = server
        self.midstream = midstream
        self.bare = bare
        self.timed = timed

    def __repr__(self) -> str:
        return f"Connection({self.number}, {self.client!r}, {self.server!r})"


class Piece(NamedTuple):
    """Bytes of one direction, a gap in them or their end. Time in nanoseconds since 1970; 0 if unknown."""

    connection: Connection
    side: Side
    what: What
    data: bytes = b""
    size: int = 0
    time: int = 0
