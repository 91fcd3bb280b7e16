"""The byte diagrams of raft.md are right: recorded messages between nodes read by what is drawn."""

from __future__ import annotations

from typing import Any

import pytest

from dqlitewire.raft import MESSAGES, Configuration, Frames, InstallSnapshot, Snapshot, decode_message
from dqlitewire.raft.commands import COMMANDS
from tests.docs.layout_reader import Reader
from tests.raft.recorded import CONNECTIONS, FRAMES
from tools.drawn.messages.raft_layouts import elements, message
from tools.drawn.messages.raft_pages import SENT


def numbers(found: Reader, of: Any) -> int:
    """Hold the numbers that were read against those of the decoded object; return how many there were."""
    count = 0
    for cell in found.found:
        value = getattr(of, cell.name, None)
        if cell.name not in ("type", "version", "unused", "term") and isinstance(value, int):
            assert int.from_bytes(found.data[cell.start : cell.end], "little") == value, cell
            count += 1
    return count


def read(data: bytes, parts: Any) -> Reader:
    reader = Reader(data)
    reader.read(parts)
    assert reader.pos == len(data)
    return reader


def test_every_recorded_message() -> None:
    seen = set()
    for frame in FRAMES:
        decoded = decode_message(frame)
        assert numbers(read(frame, message(type(decoded))), decoded) >= 2
        seen.add(type(decoded))
        for entry in getattr(decoded, "entries", ()):
            carried = entry.command
            data = carried.encode()
            if data != bytes(8):
                read(data, elements(type(carried)))
            seen.add(type(carried))
            if isinstance(carried, Frames):
                assert numbers(read(data, elements(Frames)), carried) >= 3
        if isinstance(decoded, InstallSnapshot):
            read(decoded.configuration.encode(), elements(Configuration))
            read(decoded.snapshot.encode(), elements(Snapshot))
    assert {*MESSAGES.values(), Configuration, Frames} <= seen


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda cls: cls.__name__)
def test_every_command(command: Any) -> None:
    made = command(7) if "tx_id" in command.__match_args__[:1] else command("name.db")
    read(made.encode(), elements(command))


def test_the_recorded_servers_send_the_layouts_that_the_page_says() -> None:
    seen = set()
    for one in CONNECTIONS:
        for frame in one.frames:
            decoded: Any = decode_message(frame)
            told = SENT[one.server].get(decoded.TYPE)
            if told is None:
                assert decoded.version == 0
                continue
            last = decoded.flags if hasattr(decoded, "flags") else decoded.last_word
            assert (decoded.version, last is not None) == told
            seen.add((one.server, decoded.TYPE))
    assert len(seen) == 8
