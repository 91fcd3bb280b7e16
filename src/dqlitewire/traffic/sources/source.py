"""What every view reads: a source, which yields the pieces of the connections that it holds, once.

A source is a name, a word for its format, and a function that yields `Piece`s; whatever can do that is one: a
file in one of the formats of `formats`, two raw streams (`pair`), what a program recorded itself
(`Recording`), something that is live. It is read once, front to back, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dqlitewire.checks import checked_number
from dqlitewire.conversation import Side
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources.inputs import Input, packed_damage
from dqlitewire.traffic.sources.pieces import MAX_TIME, Connection, Piece, What

MAX_NOTES = 20  # about single places of one source


class Source:
    """Traffic to be read once.

    Args:
        name: where it comes from, for messages.
        format: a word for what it is.
        pieces: called once with the source; yields the traffic, and may add to `notes` meanwhile.
        side: who sent it, if it has one direction only.

    Attributes:
        name: where it comes from.
        format: a word for what it is.
        notes: what a reader should know about it, complete when all was read.
        inputs: the open files behind it; `close` closes them.
        damaged: places of the input that could not be read and were left out; notes tell of the first ones.
        side: who sent it, if it has one direction only.
        size: bytes of input, None if unknown; `position` says how many were read.
    """

    def __init__(
        self, name: str, format: str, pieces: Callable[[Source], Iterator[Piece]], side: Side | None = None
    ) -> None:
        self.name = name
        self.format = format
        self.side = side
        self.notes: list[str] = []
        self.damaged: int = 0
        self.inputs: list[Input] = []
        self._pieces: Callable[[Source], Iterator[Piece]] = pieces

    @property
    def size(self) -> int | None:
        """Bytes of input."""
        sizes = [input.size for input in self.inputs]
        return sum(size for size in sizes if size is not None) if None not in sizes else None

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return sum(input.position for input in self.inputs)

    def pieces(self) -> Iterator[Piece]:
        """Yield the traffic.

        Raises:
            SourceError: it is not what it looked like, or holds no dqlite traffic.
        """
        with self:
            try:
                yield from self._pieces(self)
            except SourceError:
                if any(input.damage for input in self.inputs):
                    raise packed_damage(self.name) from None
                raise
            finally:
                for input in self.inputs:
                    for what in filter(None, (input.damage, input.shrunk)):
                        self.damage(what)
                if self.damaged > MAX_NOTES:
                    self.notes.append(f"so are {self.damaged - MAX_NOTES} more places")

    def through(self, change: Callable[[Iterator[Piece]], Iterator[Piece]]) -> None:
        """Let the traffic pass through a function, before it is read.

        Args:
            change: is given the pieces, and yields them changed.
        """
        before = self._pieces
        self._pieces = lambda source: change(before(source))

    def damage(self, what: str) -> None:
        """Note a place of the input that is left out.

        Args:
            what: what is wrong with it, and where.
        """
        self.damaged += 1
        if self.damaged <= MAX_NOTES:
            self.notes.append(what)

    def close(self) -> None:
        """Close what was opened."""
        for input in self.inputs:
            input.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Recording:
    """Traffic that a program holds itself, to be looked at with the same tools.

    Bytes are given as they pass; frames need not be whole:

        recording = Recording("10.0.0.1:40001", "10.0.0.2:9001")
        recording.add(Side.CLIENT, request)
        recording.add(Side.SERVER, answer)
        for line in lines(recording):
            print(line)

    Args:
        client: the client's endpoint, for people; "" if it has none.
        server: the server's.

    Attributes:
        connection: the one connection that the bytes belong to.
    """

    def __init__(self, client: str = "", server: str = "") -> None:
        self.connection: Connection = Connection(1, client, server, timed=False)
        self._pieces: list[Piece] = []

    def add(self, side: Side, data: bytes, time: int | None = None) -> None:
        """Add bytes that one side sent.

        Args:
            side: who sent them.
            data: any number of them.
            time: when they passed, in nanoseconds since 1970; None if unknown.

        Raises:
            ValueError: a time below 0, or from 2**63.
            TypeError: a time that is no integer.
        """
        if time is not None:
            checked_number("time", time, 0, MAX_TIME - 1)
            self.connection.timed = True
        self._pieces.append(Piece(self.connection, side, What.DATA, data, 0, time or 0))

    def source(self) -> Source:
        """Return what was added so far as a source; more may be added, and another one made."""
        pieces = list(self._pieces)
        return Source("recording", "recording", lambda _: iter(pieces))
