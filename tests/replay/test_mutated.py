"""Transcripts that are damaged: refused in words, or played as far as they go, both ways."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dqlitewire.conversation import Generation
from dqlitewire.replay.any_order import AnyOrder
from dqlitewire.replay.checking import hazards, writes
from dqlitewire.replay.in_order import InOrder
from dqlitewire.replay.library import Library
from dqlitewire.replay.players import Player
from dqlitewire.replay.recording import Recording, View
from dqlitewire.traffic.errors import SourceError
from tests.replay.transcripts import said_of, write
from tests.wire_data import captures

SESSIONS = [one for one in captures() if one.server == "1.18.7" and one.session in ("basics", "interrupt")]
ROUNDS = 300 if os.environ.get("DQLITE_WIRE_DEEP") == "1" else 12


def bytes_changed(chance: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(found))
        found[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
    return bytes(found)


def lines_moved(chance: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    for _ in range(chance.randint(1, 3)):
        line = lines[chance.randrange(1, len(lines))]
        if chance.random() < 0.6:
            lines.remove(line)
        if chance.random() < 0.6:
            lines.insert(chance.randrange(1, len(lines)), line)
    return b"".join(lines)


def values_changed(chance: random.Random, data: bytes) -> bytes:
    words = [b"0", b"-1", b"1e99", b"null", b'"x"', b"[]", b"true", b'"AAAA"', b'"request"', b"9" * 400]
    found = list(re.finditer(rb'(?<=":)("[^"]*"|[\d.]+|true|false|null)', data))
    for one in sorted(chance.sample(found, 3), key=lambda match: -match.start()):
        data = data[: one.start()] + chance.choice(words) + data[one.end() :]
    return data


def cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data))]


def play(recording: Recording, stream: bytes) -> None:
    library = Library(recording)
    for connection in recording.connections:
        players: list[Player] = [
            InOrder("c", "a:1", connection, frozenset(recording.addresses)),
            AnyOrder("c", "a:1", library),
        ]
        for player in players:
            for _ in player.feed(stream):
                pass
            assert all(line.isprintable() for line in player.difference)
        if players[0].left:
            assert players[0].leftover
    library.unasked(5)


@pytest.mark.parametrize("mutation", [bytes_changed, lines_moved, values_changed, cut])
@pytest.mark.parametrize("capture", SESSIONS, ids=str)
def test_only_words_come_of_it(
    capture: object, mutation: Callable[[random.Random, bytes], bytes], tmp_path: Path
) -> None:
    chance = random.Random(f"{capture} {mutation.__name__}")
    session = next(one for one in SESSIONS if one is capture)
    path = write(tmp_path / "s.dqt", said_of(session))
    lines = path.read_bytes().splitlines(keepends=True)
    whole = b"".join(line for line in lines[:120] if len(line) < 10_000)
    played = 0
    for _ in range(ROUNDS):
        path.write_bytes(mutation(chance, whole))
        for view in (View.CLIENT, View.NODE):
            try:
                recording = Recording.load([path], view)
            except SourceError:
                continue
            with recording:
                played += 1
                play(recording, session.c2s[:20_000])
                list(writes(recording))
                list(hazards(recording, Generation.UNKNOWN))
    assert played > ROUNDS // 4
