"""Transcripts made in tests: of recorded captures, and of sessions that a test writes down itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from dqlitewire.conversation import Side
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.pieces import Connection, Piece, What
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.sources.transcript_writer import TranscriptWriter
from dqlitewire.traffic.views.recorded import record
from tests.wire_data import Capture

CLIENT, SERVER = Side.CLIENT, Side.SERVER
Said = tuple[int, Side, bytes]  # connection, who, what; no bytes are the end


def pieces_of(said: Iterable[Said], server: str, first_time: int = 0) -> Iterator[Piece]:
    connections: dict[int, Connection] = {}
    for at, (number, side, data) in enumerate(said):
        if number not in connections:
            connections[number] = Connection(number, f"client:{number}", server, timed=bool(first_time))
        time = first_time + at * 1_000_000 if first_time else 0
        yield Piece(connections[number], side, What.DATA if data else What.END, data, 0, time)


def write(path: Path, said: Iterable[Said], server: str = "127.0.0.1:9001", first_time: int = 0) -> Path:
    source = Source("test", "recording", lambda _: pieces_of(said, server, first_time))
    with TranscriptWriter(path) as writer:
        for item in items(source):
            record(writer, item)
    return path


def said_of(capture: Capture, number: int = 1) -> Iterator[Said]:
    """What passed on a recorded connection, request after request."""
    yield number, CLIENT, capture.c2s[:8]
    for step in capture.steps:
        yield number, CLIENT, step.request
        if step.answer:
            yield number, SERVER, step.answer
    if capture.steps and capture.steps[-1].ended:
        yield number, SERVER, b""
