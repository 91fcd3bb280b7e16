"""What the commands about recorded traffic read: their common options, opening what these name, and damage.

Raw streams of different directions are the halves of connections, whether they are named by `--requests` and
`--responses` or just one after the other (`traffic.sources.several` tells which belong together). Everything
else is opened by itself, in the order given: standard input, whose bytes may be long in coming, too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import choice
from dqlitewire.cli.output import fail, pause, warn
from dqlitewire.conversation import Side
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.item import NO_FRAMES, Item
from dqlitewire.traffic.select import Selection
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.sources.direction import guess
from dqlitewire.traffic.sources.formats import Format, open_source, recognise
from dqlitewire.traffic.sources.inputs import Input, open_input
from dqlitewire.traffic.sources.pair import open_pair
from dqlitewire.traffic.sources.several import Numbers, PairingError, Stream, pairs
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.sources.transcript import SIDE_OF
from dqlitewire.traffic.sources.transcript_parts import open_recording, parts_together

RAFT = "raft"  # the direction of what one node sent another, behind CONNECT
POLL = 0.2  # seconds between looks at a growing file

#: asked at the end of a growing file: waits a little, and says whether to read on
More = Callable[[], bool]
#: what opens a source; given what waits for more at its end, None not to
Opens = Callable[[More | None], Source]


FormatOption = Annotated[
    Format | None, typer.Option("--format", help="What the sources are (default: look).")
]
DirectionOption = Annotated[
    str | None,
    choice((*SIDE_OF, RAFT), "--direction", help="Who sent a raw stream or text (default: guess)."),
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

    def open(self, follow: bool = False, more: More | None = None) -> Iterator[Source]:
        """Open one source after the other; the caller closes each.

        Args:
            follow: wait for more at the end of a growing file.
            more: what waits there; by default what looks every `POLL` seconds.

        Raises:
            SourceError: one cannot be read as dqlite traffic; it quotes nothing of a redacted one.
            SystemExit: what is named cannot be read in one go.
        """
        try:
            plan = [*self._named(), *self._others(follow)]
            if follow and len(plan) > 1:
                fail(f"--follow reads one source to an end that never comes, got {len(plan)}", Exit.USAGE)
            numbers = Numbers()
            for opens in plan:
                source = opens((more or wait_for_more) if follow else None)
                yield numbers.give(source) if len(plan) > 1 else source
        except SourceError as error:
            raise (error.without_quotes() if self.redact else error) from None

    def _named(self) -> Iterator[Opens]:
        if self.requests is not None and self.responses is not None:
            yield partial(_open_pair, self.requests, self.responses)
        elif self.requests is not None:
            yield partial(self._open, self.requests, Side.CLIENT)
        elif self.responses is not None:
            yield partial(self._open, self.responses, Side.SERVER)

    def _others(self, follow: bool) -> Iterator[Opens]:
        """What opens each of the sources that are listed, in their order."""
        names, side = self._listed, side_of(self.direction)
        if names == ["-"] and sys.stdin.isatty():
            fail("nothing to decode: name a file, or pipe something in", Exit.USAGE)
        if self.names.count("-") > 1:
            fail("standard input (-) can be read once, it is named more often", Exit.USAGE)
        if len(names) == 1:
            yield partial(self._open, names[0], side)
            return
        looks = [_look(*group) for group in parts_together(names)]
        paired = _paired(looks) if self.direction is None and self.format in (None, Format.RAW) else {}
        partners = {id(look) for pair in paired.values() for look in pair}
        opened = 0
        for look in looks:
            if id(look) in paired:
                requests, responses = paired[id(look)]
                yield partial(_open_pair, requests.input, responses.input)
            elif id(look) in partners:
                continue
            elif look.is_empty and not follow:
                warn(f"{look.name}: empty, left out")
                continue
            elif look.parts:
                yield partial(_open_parts, look.parts)
            else:
                yield partial(self._open, look.input, side)
            opened += 1
        if names and not opened:
            raise SystemExit(int(Exit.INPUT))

    def _open(self, what: str | Input, side: Side | None, more: More | None) -> Source:
        raft = self.direction == RAFT
        return open_source(what, format=self.format, side=side, ports=self.ports or (), more=more, raft=raft)


def _open_pair(requests: str | Input, responses: str | Input, _: More | None) -> Source:
    return open_pair(requests, responses)


def _open_parts(parts: Sequence[str], _: More | None) -> Source:
    return open_recording(parts)


class _Look(NamedTuple):
    """What an input looks like by its first bytes.

    Attributes:
        name: as it was given.
        input: what to open; opened already if it can be read only once.
        stream: what it is if it is one direction of a connection.
        is_empty: there are no bytes.
        parts: of a recording in several files, all of them.
    """

    name: str
    input: str | Input
    stream: Stream | None
    is_empty: bool = False
    parts: tuple[str, ...] = ()


def _look(name: str, *more: str) -> _Look:
    if more:
        return _Look(name, name, None, parts=(name, *more))
    if name == "-":  # not waited for
        return _Look(name, name, None)
    input = open_input(name)
    head = input.head()
    stays = name if input.size is not None else input
    if stays is name:
        input.close()
    if not head:
        return _Look(name, stays, Stream(name, None), is_empty=True)
    is_raw = recognise(head, name) is Format.RAW
    return _Look(name, stays, Stream(name, guess(head).side) if is_raw else None)


def _paired(looks: list[_Look]) -> dict[int, tuple[_Look, _Look]]:
    """The requests and the answers of each connection of two streams, by the id of what is named first."""
    raw = [look for look in looks if look.stream is not None]
    try:
        found = pairs([look.stream for look in raw if look.stream is not None])
    except PairingError as error:
        fail(f"{error}: name one pair a call, as --requests and --responses", Exit.USAGE)
    return {id(raw[min(asked, answered)]): (raw[asked], raw[answered]) for asked, answered in found}


def side_of(direction: str | None) -> Side | None:
    """Return who sends in a direction; None of raft, which has one direction only."""
    return None if direction in (None, RAFT) else SIDE_OF[direction]


def wait_for_more() -> bool:
    """Wait until it makes sense to look for more at the end of a growing file."""
    time.sleep(POLL)
    return True


def wait_while_read() -> bool:
    """Wait as `wait_for_more` does, for a command that does nothing but print.

    Raises:
        ReaderGone: nobody reads what it prints any more.
    """
    pause(POLL)
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
        """Yield what is selected of the items of a source, counting both if anything is."""
        if self._selection.is_empty:  # then nobody asks for the counts
            return iter(stream)
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
