"""Several sources read one after the other: which files belong together, and whose connections are whose.

A raw stream has one direction, so two of them are one connection. Which two is told by their names, which say
the same but for the direction, and where the names tell nothing by their order:

    a.c2s.bin a.s2c.bin b.c2s.bin b.s2c.bin          a, b: by name, in whichever order they stand
    10.0.0.1.40001-10.0.0.2.09001 10.0.0.2.09001-10.0.0.1.40001       by name, as tcpflow writes them
    one.bin two.bin three.bin four.bin               the first requests with the first answers, and so on

Which of two are the requests is told by their bytes, never by their names.

Each source numbers its connections from 1. Where there are several, `Numbers` goes on from the source before,
so that a number is one connection, and puts the name of its source on each.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dqlitewire.conversation import Side
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.sources.pieces import Piece
from dqlitewire.traffic.sources.source import Source


class Numbers:
    """Numbers the connections of several sources, which are read one after the other."""

    def __init__(self) -> None:
        self._last = 0

    def give(self, source: Source) -> Source:
        """Let a source number its connections behind those of the sources before, and name itself on each.

        Args:
            source: not yet read.
        """
        source.through(lambda pieces: self._given(source.name, pieces))
        return source

    def _given(self, name: str, pieces: Iterator[Piece]) -> Iterator[Piece]:
        before = self._last
        for piece in pieces:
            connection = piece.connection
            if not connection.source:  # its first piece
                connection.source = name
                connection.number += before
                self._last = max(self._last, connection.number)
            yield piece


class Stream(NamedTuple):
    """A raw stream of one direction.

    Attributes:
        name: of its file.
        side: who sent it; None of an empty one, which may be either.
    """

    name: str
    side: Side | None


class PairingError(ValueError):
    """Raw streams that are not so many of requests as of answers."""


def pairs(streams: Sequence[Stream]) -> list[tuple[int, int]]:
    """Tell which streams belong together.

    Streams of one direction are none of a pair, nor is an empty one to which no other belongs.

    Args:
        streams: in the order in which they were named.

    Returns:
        For each connection the positions of its requests and of its answers.

    Raises:
        PairingError: streams of both directions are there, and some are left over.
    """
    clients = [at for at, stream in enumerate(streams) if stream.side is Side.CLIENT]
    servers = [at for at, stream in enumerate(streams) if stream.side is Side.SERVER]
    empty = [at for at, stream in enumerate(streams) if stream.side is None]
    found = _by_name(streams, clients, servers) + _by_name(streams, clients, empty)
    found += [(asked, answered) for answered, asked in _by_name(streams, servers, empty)]
    by_order = min(len(clients), len(servers))
    found += zip(clients[:by_order], servers[:by_order], strict=True)
    left = clients[by_order:] + servers[by_order:]
    if found and left:
        alone = ", ".join(streams[at].name for at in left[:3])
        raise PairingError(
            f"{counted(len(streams), 'raw stream')} of both directions, and no other direction to {alone}"
        )
    if not found and len(clients) == len(empty) == 1 and not servers:
        return [(clients[0], empty[0])]
    return found


def _by_name(streams: Sequence[Stream], some: list[int], others: list[int]) -> list[tuple[int, int]]:
    """Take from two lists of positions what belongs together by name."""
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    for at in others:
        waiting[_stem(streams[at].name)].append(at)
    found: list[tuple[int, int]] = []
    for at in some:
        stem = _stem(streams[at].name)
        if stem != streams[at].name and waiting[stem]:
            found.append((at, waiting[stem].popleft()))
    for at, other in found:
        some.remove(at)
        others.remove(other)
    return found


_DIRECTION = re.compile(
    r"(?<![a-z])(c2s|s2c|c-s|s-c|(from|to)[-_.]?(client|server)|clients?|servers?|cli|srv|requests?|responses?"
    r"|reqs?|resps?|res|answers?|asked|answered|sent|received|recv|rcvd|send|receive|in|out|tx|rx|up|down|a2b|b2a"
    r"|upstream|downstream|inbound|outbound|ingress|egress)(?![a-z])",
    re.IGNORECASE,
)
_TCPFLOW = re.compile(r"(?P<a>[0-9a-fA-F.:]+\.[0-9]{5})-(?P<b>[0-9a-fA-F.:]+\.[0-9]{5})")


def _stem(name: str) -> str:
    """What two streams of one connection have in common; the name itself if that says no direction."""
    ends = _TCPFLOW.search(name)
    if ends is not None:
        one, other = sorted((ends["a"], ends["b"]))
        return f"{name[: ends.start()]}{one}=>{other}{name[ends.end() :]}"
    return _DIRECTION.sub("<>", name)
