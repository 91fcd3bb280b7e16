"""Whatever comes and however long: what is held has a bound, and each byte costs the same.

Every source is driven with input that has no end (one-sided, never complete, ever new connections, ever new
names), once and twice as long, with all bounds made small. Twice as long must need no more memory and twice
the calls.
"""

from __future__ import annotations

import base64
import gc
import io
import json
import struct
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, cycle, islice
from typing import Any

import pytest

from dqlitewire.caches import Cache
from dqlitewire.conversation import Side
from dqlitewire.messages import (
    ExecSqlRequest,
    FailureResponse,
    LeaderRequest,
    LeaderResponse,
    OpenRequest,
    PrepareRequest,
    QuerySqlRequest,
    RowsResponse,
    StmtResponse,
)
from dqlitewire.sql import normalise as normal
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.items import items
from dqlitewire.traffic.select import Selection
from dqlitewire.traffic.sources.formats import open_source
from dqlitewire.traffic.sources.pair import open_pair
from dqlitewire.traffic.sources.pieces import Connection, Piece, What
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.stats import Statistics
from tests.traffic import wire

SMALL: dict[str, dict[str, int]] = {
    "traffic.sources.inputs": {"BLOCK": 1 << 12},
    "traffic.sources.pcap": {"MAX_INTERFACES": 40},
    "conversation.observer.exchange": {"MAX_KEPT": 1 << 14},
    "traffic.sources.flows": {
        "MAX_WAITING": 1 << 12,
        "MAX_WAITING_ALL": 1 << 15,
        "MAX_SERVERS": 40,
        "MAX_PORTS": 40,
    },
    "traffic.items": {"MAX_HELD": 1 << 18, "LOOK": 1 << 13, "BLOCK": 1 << 12},
    "conversation.observer.observer": {
        "MAX_OPEN": 40,
        "MAX_OPEN_BYTES": 1 << 14,
    },
    "conversation.observer.prepared": {"MAX_STATEMENTS": 40, "MAX_TEXTS": 1 << 14},
    "conversation.observer.resync": {"CREDIT": 1 << 12},
    "traffic.select": {"MAX_OPEN": 40, "MAX_BYTES": 1 << 14},
    "traffic.ledger": {"MAX_STATEMENTS": 40},
    "traffic.failures": {"MAX_FAILURES": 40, "MAX_FAILED": 40, "MAX_OF_FAILURE": 9},
    "traffic.repeats": {"MAX_CONNECTIONS": 40},
    "traffic.sources.tcp": {"MAX_HELD": 1 << 14},
    "traffic.sources.tcp_flows": {"MAX_FLOWS": 40},
    "traffic.sources.transcript": {"MAX_LINE": 1 << 13, "MAX_VALUES": 1 << 8},
    "traffic.sources.transcript_reader": {"MAX_CONNECTIONS": 40},
}
UNITS = 200  # packets, lines or frames, far more than any of the bounds
MEMORY = 3 << 20  # bytes: what is stated above, and the caches of the process
CALLS = 40  # for a byte; a line with a name and no more has few bytes

HANDSHAKE = bytes([1, *bytes(7)])
Unit = Iterator[bytes]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, bounds in SMALL.items():
        for name, value in bounds.items():
            monkeypatch.setattr(sys.modules[f"dqlitewire.{module}"], name, value)
    monkeypatch.setattr(normal, "_NORMAL", Cache(4, 1 << 10))  # bounded too, at more than is stated here


class Endless(io.RawIOBase):
    """A file that is made as it is read."""

    def __init__(self, parts: Unit) -> None:
        self._parts = parts
        self._left = b""
        self.given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._left) < 24 and (part := next(self._parts, b"")):
            self._left += part
        if tracemalloc.is_tracing():
            gc.collect()  # flows and their halves, exchanges and their frames refer to each other
        data, self._left = self._left[:size], self._left[size:]
        self.given += len(data)
        return data


# ---------------------------------------------------------------- captures

PCAP = wire.pcap([])


def record(data: bytes, time: int = 0) -> bytes:
    return struct.pack("<IIII", time, 0, len(data), len(data)) + data


class Talk:
    """One connection's packets."""

    def __init__(self, number: int = 0, server: str = "10.0.0.2") -> None:
        self.path = wire.Path(f"10.0.{number >> 14 & 255}.1", 1024 + number % (1 << 14), server, 9001)
        self.sequence = {True: 1000, False: 5000}
        self.time = 1

    def packet(self, from_client: bool, data: bytes = b"", flags: int = wire.ACK) -> bytes:
        acknowledged = self.sequence[not from_client] if flags & wire.ACK else 0
        packet = wire.Packet(0, from_client, self.sequence[from_client], acknowledged, flags, data)
        self.sequence[from_client] += len(data) + bool(flags & wire.SYN)
        ((_, captured),) = wire.frames([packet], self.path)
        return record(captured, self.time)

    def opened(self) -> bytes:
        return self.packet(True, flags=wire.SYN) + self.packet(False, flags=wire.SYN | wire.ACK)


def refused_later() -> Unit:
    talk = Talk()
    yield PCAP + talk.opened() + talk.packet(True, b"CONNECT {")
    while True:
        yield talk.packet(False, b"+OK\r\n" * 20)


def half_open() -> Unit:
    yield PCAP + greeted(0)
    for number in count(1):
        yield Talk(number).packet(True, flags=wire.SYN)


def greeted(number: int, server: str = "10.0.0.2", more: bytes = b"") -> bytes:
    talk = Talk(number, server)
    return talk.opened() + talk.packet(True, HANDSHAKE + LeaderRequest().encode() + more)


def many_connections() -> Unit:
    yield PCAP
    for number in count():
        yield greeted(number)


def many_servers() -> Unit:
    yield PCAP
    for number in count():
        yield greeted(number, f"10.{number >> 8 & 255}.{number & 255}.9")


def many_strangers() -> Unit:
    yield PCAP + greeted(0)
    for number in count(1):
        talk = Talk(number, f"10.{number >> 8 & 255}.{number & 255}.9")
        yield talk.opened() + talk.packet(True, b"\x16\x03\x01\x02\0\1\0")


def unfinished_frames() -> Unit:
    yield PCAP
    for number in count():
        yield greeted(number, more=struct.pack("<IBBH", 1 << 20, 9, 0, 0) + b"x" * 900)


def of_one_side(from_client: bool, said: Unit) -> Unit:
    talk = Talk()
    yield PCAP + talk.opened() + talk.packet(True, HANDSHAKE)
    for data in said:
        yield talk.packet(from_client, data)


def behind_a_hole() -> Unit:
    talk = Talk()
    yield PCAP + talk.opened() + talk.packet(True, HANDSHAKE)
    talk.sequence[True] += 8
    while True:
        yield talk.packet(True, LeaderRequest().encode())


def without_payload() -> Unit:
    talk = Talk()
    yield PCAP + talk.opened()
    while True:
        ((_, whole),) = wire.frames(
            [wire.Packet(0, True, talk.sequence[True], 0, wire.ACK, bytes(100))], talk.path
        )
        talk.sequence[True] += 100
        yield struct.pack("<IIII", 1, 0, len(whole) - 100, len(whole)) + whole[:-100]


def interfaces() -> Unit:
    yield wire.pcapng([])
    while True:
        yield struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)


# ---------------------------------------------------------------- what is said

SEEN = RowsResponse(["a"], [1], [(1,)], [(1,)])


def requests() -> Unit:
    for number in count():
        yield QuerySqlRequest(0, f"SELECT a{number} FROM t", [number, "x" * 50]).encode()


def undecodable() -> Unit:
    for frame in cycle((LeaderRequest().encode(), OpenRequest("a", 0, "").encode())):
        yield (frame[:8] + b"\xff" * (len(frame) - 8)) * 4


def parts() -> Unit:
    while True:
        yield RowsResponse(["a"], [1], [(1,)] * 20, [(n,) for n in range(20)], has_more=True).encode()


def failures() -> Unit:
    for number in count():
        yield FailureResponse(number, f"no such table: t{number} " + "x" * 300).encode()


def nonsense() -> Unit:
    while True:
        yield bytes.fromhex("7f000000070000000100000000000000") * 4


# ---------------------------------------------------------------- transcripts

HEADER = b'{"dqt":1,"by":"x","redacted":false}\n'


def line(number: int, direction: str, data: bytes, **more: Any) -> bytes:
    said = {"time": 1, "connection": number, "direction": direction, "type": "X", **more}
    return json.dumps({**said, "bytes": base64.b64encode(data).decode()}).encode() + b"\n"


def conversation(pairs: Iterator[tuple[Any, Any]]) -> Unit:
    yield HEADER + line(1, "request", HANDSHAKE)
    for asked, answered in pairs:
        yield line(1, "request", asked.encode()) + line(1, "response", answered.encode())


def recorded_connections() -> Unit:
    yield HEADER
    for number in count():
        yield line(number, "request", HANDSHAKE + LeaderRequest().encode(), client=f"{number}:" + "x" * 900)


def damaged_lines() -> Unit:
    yield HEADER
    for number in count():
        yield line(number % 50, "request", HANDSHAKE) + b'{"connection":1,\n{\n'


def one_line() -> Unit:
    yield HEADER
    while True:
        yield b'{"time":"' + b"x" * 500


def continued() -> Unit:
    while True:
        yield HEADER + line(1, "request", HANDSHAKE)


def prepared() -> Iterator[tuple[Any, Any]]:
    return ((PrepareRequest(0, f"SELECT a{n} FROM t" + " " * 500), StmtResponse(0, n, 0)) for n in count())


def failing() -> Iterator[tuple[Any, Any]]:
    return (
        (ExecSqlRequest(0, f"DELETE FROM t{n}"), FailureResponse(n, f"no {n} {'x' * 400}")) for n in count()
    )


def answered() -> Iterator[tuple[Any, Any]]:
    return ((QuerySqlRequest(0, f"SELECT a{n} FROM t", [n]), SEEN) for n in count())


def leaders() -> Iterator[tuple[Any, Any]]:
    return ((LeaderRequest(), LeaderResponse(1, f"node-{n}:{'9' * 200}")) for n in count())


def with_handshake(said: Unit) -> Unit:
    yield HANDSHAKE
    yield from said


SOURCES: dict[str, Callable[[], Unit]] = {
    "a connection that is something else": refused_later,
    "half-open connections": half_open,
    "connections": many_connections,
    "servers": many_servers,
    "servers of something else": many_strangers,
    "frames that are never complete": unfinished_frames,
    "requests alone, captured": lambda: of_one_side(True, requests()),
    "answers alone, captured": lambda: of_one_side(False, parts()),
    "nonsense, captured": lambda: of_one_side(False, nonsense()),
    "segments behind a hole": behind_a_hole,
    "packets without their payload": without_payload,
    "interfaces": interfaces,
    "recorded connections": recorded_connections,
    "damaged lines": damaged_lines,
    "a line without end": one_line,
    "a transcript that is continued": continued,
    "prepared statements": lambda: conversation(prepared()),
    "statements": lambda: conversation(answered()),
    "kinds of failures": lambda: conversation(failing()),
    "leaders": lambda: conversation(leaders()),
    "requests alone": lambda: with_handshake(requests()),
    "requests that do not decode": lambda: with_handshake(undecodable()),
    "answers alone": parts,
    "failures alone": failures,
    "nonsense": nonsense,
}


def consume(stream: Iterator[Any], wanted: bool) -> None:
    statistics = Statistics()
    try:
        for item in Selection(failures=True)(stream) if wanted else stream:
            statistics.add(item)
    except SourceError:
        pass  # no dqlite in it


@contextmanager
def traced() -> Iterator[list[int]]:
    """Put the peak of what is allocated inside into a list."""
    peak: list[int] = []
    gc.collect()
    gc.freeze()  # so that collecting again takes no time
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def memory(make: Callable[[], Unit], units: int, wanted: bool) -> int:
    """The memory that reading so many units takes."""
    with traced() as peak:
        consume(items(open_source(Endless(islice(make(), units))), count_rows=True), wanted)
    return peak[0]


def calls(make: Callable[[], Unit], units: int, wanted: bool) -> tuple[int, int]:
    """Bytes of so many units, and calls that reading them takes."""
    made = 0

    def profile(frame: Any, event: str, _: Any) -> None:
        nonlocal made
        made += event == "call" and "dqlitewire" in frame.f_code.co_filename

    input = Endless(islice(make(), units))
    sys.setprofile(profile)
    try:
        consume(items(open_source(input), count_rows=True), wanted)
    finally:
        sys.setprofile(None)
    return input.given, made


@pytest.mark.parametrize("name", SOURCES)
def test_bounds(name: str) -> None:
    """Memory is bounded, and work is linear, in every view."""
    make, wanted = SOURCES[name], len(name) % 2 == 0
    consume(items(open_source(Endless(islice(make(), 2 * UNITS))), count_rows=True), wanted)  # fills caches
    most = min(MEMORY, 1.1 * memory(make, UNITS, wanted) + (1 << 14))
    # measured again if it was the one time that a reader of rows was generated
    assert memory(make, 2 * UNITS, wanted) <= most or memory(make, 2 * UNITS, wanted) <= most
    (_, once), (size, twice) = (calls(make, units, wanted) for units in (60, 120))
    assert twice <= min(CALLS * size, 2.3 * once + 2000)


@pytest.mark.parametrize("sides", ["requests", "answers", "both"])
def test_pairs(sides: str) -> None:
    peaks = []
    for units in (UNITS, 2 * UNITS):
        asked = Endless(islice(with_handshake(requests()), 2 if sides == "answers" else units))
        given = Endless(islice(parts(), 2 if sides == "requests" else units))
        with traced() as peak:
            consume(items(open_pair(asked, given)), False)
        peaks += peak
    assert peaks[1] <= min(MEMORY, 1.1 * peaks[0] + (1 << 14))


def test_connections_that_were_ended_for_what_they_held_go_on() -> None:
    """Nothing of what they say later is lost."""
    recording = []
    for number in range(300):
        connection = Connection(number + 1)
        recording += [(connection, HANDSHAKE + LeaderRequest().encode() + struct.pack("<IBBH", 999, 9, 0, 0))]
        recording += [(connection, b"x" * 2000)]
    recording += [
        (connection, b"x" * 5992 + LeaderRequest().encode() * 2) for connection, _ in recording[::2]
    ]
    pieces = [Piece(connection, Side.CLIENT, What.DATA, data) for connection, data in recording]
    source = Source("x", "x", lambda _: iter(pieces))
    seen = list(items(source))
    assert [item.type for item in seen].count("LEADER") == 900
    assert max(item.exchange or 0 for item in seen) == 3
    sent = sum(len(data) for _, data in recording)
    assert sum(item.size for item in seen if item.type != "UNANSWERED") == sent
