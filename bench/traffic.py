"""The traffic tools: CPU and memory of ``dqlite-wire stats`` on captures packed here.

A capture is one TCP connection in Ethernet frames: a client that asks and a server that
answers in full-size segments, acknowledged every second one, as a capture of a real one has.
"""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from bench import frames
from bench.frames import ITF3, Table, text, u64
from bench.measure import Unavailable

SEGMENT = 1448  # bytes of TCP data in an Ethernet frame, time stamps deducted
STATS = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from dqlitewire.cli import main
try:
    main()
finally:
    with open("/proc/self/status") as status:
        print(*(line for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""
ACK, PUSH, SYN = 0x10, 0x18, 0x02
ETHERNET = bytes(12) + b"\x08\x00"
ADDRESSES = (b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02")
PORTS = (40000, 9001)
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


class Connection:
    """Packs the two directions of one connection as records of a capture."""

    def __init__(self) -> None:
        self.sequence = [1000, 2000]
        self.time = 1_700_000_000_000_000
        self.packets = 0

    def packet(self, server: int, data: bytes = b"", flags: int = ACK) -> bytes:
        """One packet from the client (0) or the server (1)."""
        self.time += 20
        self.packets += 1
        numbers = self.sequence[server] & 0xFFFFFFFF, self.sequence[1 - server] & 0xFFFFFFFF
        tcp = struct.pack(">HHIIBBHHH", PORTS[server], PORTS[1 - server], *numbers, 0x50, flags, 65535, 0, 0)
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(data), 0, 0x4000, 64, 6, 0)
        packet = b"".join((ETHERNET, ip, ADDRESSES[server], ADDRESSES[1 - server], tcp, data))
        self.sequence[server] += len(data) + (flags & SYN > 0)
        seconds, micros = divmod(self.time, 1_000_000)
        return struct.pack("<IIII", seconds, micros, len(packet), len(packet)) + packet

    def greeting(self) -> bytes:
        """The TCP handshake, dqlite's, and OPEN."""
        opened = frames.frame(frames.OPEN, text("bench") + u64(0) + text(""))
        return b"".join(
            (
                self.packet(0, flags=SYN),
                self.packet(1, flags=SYN | ACK),
                self.packet(0),
                self.packet(0, u64(1) + opened, PUSH),
                self.packet(1, frames.frame(frames.DB, u64(0)), PUSH),
            )
        )

    def segments(self, server: int, data: bytes) -> Iterator[bytes]:
        for number, at in enumerate(range(0, len(data), SEGMENT)):
            yield self.packet(server, data[at : at + SEGMENT], PUSH if at + SEGMENT >= len(data) else ACK)
            if number & 1:
                yield self.packet(1 - server)


def rows_capture(size: int) -> Iterator[bytes]:
    """Queries and their streams of pages, until ``size`` bytes are reached."""
    answer = b"".join(Table.of(ITF3, 40_000).pages())
    query = frames.frame(9, u64(0) + text("SELECT i, t, f FROM itf3 WHERE i > 17"))
    connection = Connection()
    yield HEADER + connection.greeting()
    done = 0
    while done < size:
        yield connection.packet(0, query, PUSH)
        for part in connection.segments(1, answer):
            done += len(part)
            yield part


def small_capture(exchanges: int) -> Iterator[bytes]:
    """EXEC_SQL with two parameters and RESULT, one packet each."""
    rng = random.Random("small")
    connection = Connection()
    yield HEADER + connection.greeting()
    for number in range(exchanges):
        values = [rng.randrange(1 << 30), frames.word(rng, 12)]
        yield connection.packet(0, frames.exec_sql("UPDATE t SET b = ?2 WHERE a = ?1", values), PUSH)
        yield connection.packet(1, frames.frame(frames.RESULT, u64(number) + u64(1)), PUSH)


def stats(source: Path, capture: Iterator[bytes]) -> tuple[int, float, int]:
    """Pipe a capture into ``dqlite-wire stats``: (bytes, CPU seconds, peak bytes of memory)."""
    absent = [name for name in ("rich", "typer") if find_spec(name) is None]
    if absent:
        raise Unavailable(f"the extra `cli` is needed: no {', '.join(absent)}")
    command = [sys.executable, "-c", STATS, str(source), "stats", "--json", "-"]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=said)
        assert child.stdin is not None
        size = 0
        with suppress(BrokenPipeError), child.stdin:  # its own words tell more
            for part in capture:
                child.stdin.write(part)
                size += len(part)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said.seek(0)
        printed, notes = out.read(), said.read().decode()
    if child.returncode:
        raise RuntimeError(f"stats ended with {child.returncode}: {notes}")
    found = json.loads(printed)
    wrong = found["undecoded"], found["garbage"]["bytes"], found["lost"]["bytes"], len(found["unanswered"])
    assert not any(wrong), f"stats did not decode it all: {wrong}"
    kilobytes = int(notes.split("VmHWM:")[1].split()[0])
    return size, usage.ru_utime + usage.ru_stime, kilobytes * 1024


def above_start(source: Path, capture: Iterator[bytes]) -> tuple[int, float]:
    """(bytes, CPU seconds) above those of a capture of next to nothing."""
    _, start, _ = stats(source, small_capture(1))
    size, spent, _ = stats(source, capture)
    return size, spent - start
