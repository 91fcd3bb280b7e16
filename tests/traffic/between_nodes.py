"""The recorded sessions of nodes (`tests/captures/raft`) as captures and as pieces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.raft.recorded import FOLDER, INDEX
from tests.traffic import wire

SERVERS = [session["server"] for session in INDEX["sessions"]]
START = 1_700_000_000_000_000_000
STEP = 20_000  # nanoseconds from one segment to the next


def connections(server: str) -> list[dict[str, Any]]:
    """What the index tells of the connections of a session, in the order in which they were opened."""
    return [told for told in INDEX["connections"] if told["server"] == server]


def addresses(server: str) -> dict[int, str]:
    """The addresses of the nodes of a session, by id."""
    session = next(one for one in INDEX["sessions"] if one["server"] == server)
    return dict(session["nodes"])


def data_of(told: dict[str, Any]) -> bytes:
    """All that a connection carried."""
    return FOLDER.joinpath(str(told["file"])).read_bytes()


def behind_connect(told: dict[str, Any]) -> int:
    """Where the messages of a connection begin."""
    at, _, _, size = told["connect"]
    return int(at + 8 + size)


def packets(server: str, mss: int = 1448) -> list[tuple[int, bytes]]:
    """A session as it passed on one machine: packets of all its connections, by time."""
    nodes, found = addresses(server), []
    for number, told in enumerate(connections(server)):
        port = int(nodes[told["to"]].rpartition(":")[2])
        path = wire.Path("127.0.0.1", 40_000 + number, "127.0.0.1", port)
        data, at, chunks = data_of(told), 0, []
        for size, milliseconds in told["chunks"]:
            if size:
                first = at or behind_connect(told)
                is_result = data[first : first + 1] in (b"\2", b"\4")
                # the index has milliseconds only, and what is answered in the same one came first
                time = START + milliseconds * 1_000_000 + 400_000 * is_result
                chunks.append((data[at : at + size], time))
            at += size
        assert at == len(data)
        segments = wire.conversation([(True, data)], mss=mss, start=chunks[0][1] - 100_000, step=STEP)
        found.append(wire.frames(_timed(segments, chunks), path))
    return wire.merge(*found)


def _timed(segments: list[wire.Packet], chunks: list[tuple[bytes, int]]) -> list[wire.Packet]:
    """Segments cut anew, one chunk after the other, at the times at which these passed."""
    opening = segments[:3]
    sequence, out = segments[3].sequence, list(opening)
    for data, time in chunks:
        for at in range(0, len(data), 1448):
            piece = data[at : at + 1448]
            now = max(time, out[-1].time + 1000)
            out.append(replace(segments[3], time=now, sequence=sequence, payload=piece))
            sequence = sequence + len(piece) & 0xFFFF_FFFF
    return out
