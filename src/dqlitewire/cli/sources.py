"""What the commands about recorded traffic read: their common options, opening what these name, and damage.

Two raw streams of different directions are one connection, whether they are named by `--requests` and
`--responses` or just one after the other. Everything else is opened by itself, in the order given.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import choice
from dqlitewire.cli.output import fail, warn
from dqlitewire.conversation import Side
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.item import NO_FRAMES, Item
from dqlitewire.traffic.select import Selection
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.sources.direction import guess
from dqlitewire.traffic.sources.formats import Format, open_source, recognise
from dqlitewire.traffic.sources.inputs import open_input
from dqlitewire.traffic.sources.pair import open_pair
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.sources.transcript import SIDE_OF

POLL = 0.2  # seconds between looks at a growing file


FormatOption = Annotated[
    Format | None, typer.Option("--format", help="What the sources are (default: look).")
]
DirectionOption = Annotated[
    str | None, choice(SIDE_OF, "--direction", help="Who sent a raw stream or text (default: guess).")
]


@dataclass(frozen=True)
class Inputs:
    """The sources that a command names, and how to read them."""

    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="pcap, pcapng, transcript, raw stream, hex or other text; - is standard input.",
            show_default=False,
        ),
    ] = None
    redact: Annotated[bool, typer.Option("--redact", help="Hide values, keep their shapes.")] = False
    format: FormatOption = None
    direction: DirectionOption = None
    ports: Annotated[
        list[int] | None,
        typer.Option(
            "--port",
            min=1,
            max=65535,
            metavar="PORT",
            help="dqlite port in a capture (default: found by the handshake).",
        ),
    ] = None
    requests: Annotated[
        str | None,
        typer.Option(
            "--requests", metavar="FILE", help="What a client sent; with --responses, one connection."
        ),
    ] = None
    responses: Annotated[
        str | None, typer.Option("--responses", metavar="FILE", help="What the server sent.")
    ] = None

    @property
    def names(self) -> list[str]:
        """The names of all that is read; "-" is standard input."""
        return [*self._pair, *self._listed]

    @property
    def _pair(self) -> list[str]:
        return [name for name in (self.requests, self.responses) if name is not None]

    @property
    def _listed(self) -> list[str]:
        return list(self.sources or ([] if self._pair else ["-"]))

    def open(self, follow: bool = False) -> Iterator[Source]:
        """Open one source after the other; the caller closes each.

        Args:
            follow: wait for more at the end of a growing file.

        Raises:
            SourceError: one cannot be read as dqlite traffic; it quotes nothing of a redacted one.
        """
        try:
            yield from self._named(follow)
            yield from self._others(follow)
        except SourceError as error:
            raise (error.without_quotes() if self.redact else error) from None

    def _named(self, follow: bool) -> Iterator[Source]:
        if self.requests is not None and self.responses is not None:
            yield open_pair(self.requests, self.responses)
        elif self.requests is not None:
            yield self._opened(self.requests, Side.CLIENT, follow)
        elif self.responses is not None:
            yield self._opened(self.responses, Side.SERVER, follow)

    def _others(self, follow: bool) -> Iterator[Source]:
        names, side = self._listed, side_of(self.direction)
        if names == ["-"] and sys.stdin.isatty():
            fail("nothing to decode: name a file, or pipe something in", Exit.USAGE)
        if (pair := self._as_pair(names, side)) is not None:
            yield pair
            return
        read = 0
        for name in names:
            if len(names) > 1 and name != "-" and not follow and _empty(name):
                warn(f"{name}: empty, left out")
                continue
            read += 1
            yield self._opened(name, side, follow, self.ports or ())
        if names and not read:
            raise SystemExit(int(Exit.INPUT))

    def _opened(self, name: str, side: Side | None, follow: bool, ports: Sequence[int] = ()) -> Source:
        more = _more if follow else None
        return open_source(name, format=self.format, side=side, ports=ports, more=more)

    def _as_pair(self, names: list[str], side: Side | None) -> Source | None:
        """Open two raw streams as one connection, if that is what they are."""
        if len(names) != 2 or side is not None or self.format not in (None, Format.RAW) or "-" in names:
            return None
        first, second = names
        sides = _raw_side(first), _raw_side(second)
        if sides[0] is Side.CLIENT and sides[1] in (Side.SERVER, Format.RAW):
            return open_pair(first, second)
        if sides[1] is Side.CLIENT and sides[0] in (Side.SERVER, Format.RAW):
            return open_pair(second, first)
        return None


def side_of(direction: str | None) -> Side | None:
    """Return who sends in a direction."""
    return None if direction is None else SIDE_OF[direction]


def _empty(name: str) -> bool:
    input = open_input(name)
    try:
        return input.size == 0
    finally:
        input.close()


def _raw_side(name: str) -> Side | Format | None:
    """Who sent a raw stream; Format.RAW for an empty one, which may be either; None for anything else."""
    input = open_input(name)
    head = input.head()
    input.close()
    if not head:
        return Format.RAW
    return guess(head).side if recognise(head, name) is Format.RAW else None


def _more() -> bool:
    time.sleep(POLL)
    return True


class Damage:
    """Counts what was read and what of it was no dqlite, for the last line and the exit code.

    Where something was selected, these speak of the selection: damage elsewhere is none of it.

    Args:
        selection: what is wanted; everything by default.

    Attributes:
        notes: what is to be said on standard error.
        skipped: lines and records that a source could not read.
    """

    def __init__(self, selection: Selection | None = None) -> None:
        self._selection = selection or Selection()
        self._frames = self._connections = self._selected = self._gaps = 0
        self._places = self._bytes = self._undecoded = self.skipped = 0
        self.notes: list[str] = []

    def select(self, stream: Iterable[Item]) -> Iterator[Item]:
        """Yield what is selected of the items of a source, counting both."""
        return self._counted(self._selection(self._read(stream)))

    def _read(self, stream: Iterable[Item]) -> Iterator[Item]:
        for item in stream:
            self._frames += item.code is not None
            if item.connection.number > self._connections:
                self._connections = item.connection.number
            yield item

    def _counted(self, stream: Iterable[Item]) -> Iterator[Item]:
        for item in stream:
            self._selected += 1
            self._gaps += item.type == "GAP"
            yield item

    def watch(self, stream: Iterable[Item]) -> Iterator[Item]:
        """Pass items on, counting what is no dqlite."""
        for item in stream:
            if item.type in NO_FRAMES:
                self._places += 1
                self._bytes += item.size
            elif item.strange:
                self._undecoded += 1
            yield item

    def add(self, source: Source) -> None:
        """Take over what a source has noted, when it is read."""
        self.notes += source.notes
        self.skipped += source.damaged

    @property
    def exit(self) -> Exit:
        """How the command ends.

        What was skipped belongs to no connection. It was one of the selection's if that has a gap.
        """
        skipped = self.skipped and (self._selection.is_empty or self._gaps)
        return Exit.DAMAGED if self._places or self._undecoded or skipped else Exit.OK

    @property
    def nothing(self) -> str:
        """What is to be said if a selection found nothing; "" if it found something, or there is none."""
        if self._selected or self._selection.is_empty:
            return ""
        where = f"in {counted(self._connections, 'connection')}"
        return f"nothing matches: {counted(self._frames, 'frame', 'was', 'were', where)} read"

    def report(self) -> None:
        """Say it on standard error."""
        if self._places:
            where = f"in {counted(self._places, 'place')}"
            self.notes.append(f"{counted(self._bytes, 'byte', 'is', 'are', where)} no frames")
        if self._undecoded:
            self.notes.append(f"{counted(self._undecoded, 'frame', 'does', 'do')} not decode")
        for note in filter(None, (*self.notes, self.nothing)):
            warn(note)
