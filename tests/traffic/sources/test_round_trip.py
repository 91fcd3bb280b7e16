"""What `decode -w` writes reads back: the same lines, times, latencies and exit code, whatever the source."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.messages import ConnectRequest
from dqlitewire.traffic import TranscriptWriter, items, open_source
from dqlitewire.traffic.views.json_object import json_text
from dqlitewire.traffic.views.line import Clock, line
from dqlitewire.traffic.views.recorded import record
from tests.traffic import wire
from tests.traffic.captured import ALL, as_pcap, chunks, named, segments
from tests.traffic.command import run
from tests.wire_data import Capture

VIEWS = (["--time", "utc"], ["--json"])


def check(
    folder: Path, *sources: Any, options: tuple[str, ...] = (), views: Any = VIEWS, **given: Any
) -> None:
    """Decode something, write it, decode what was written: both shall say the same."""
    path = folder / "written.dqt"
    path.unlink(missing_ok=True)
    wrote = run("decode", *options, "-w", path, *sources, **given)
    assert wrote.out == ""
    for view in views:
        shown = run("decode", *view, *options, *sources, **given)
        again = run("decode", *view, path)
        assert again.out == shown.out, (sources, options, view)
        assert again.code == shown.code == wrote.code


@pytest.mark.parametrize("redacted", [False, True])
@pytest.mark.parametrize("capture", [one for one in ALL if len(one.c2s) + len(one.s2c) < 150_000], ids=str)
def test_captures(capture: Capture, redacted: bool, tmp_path: Path) -> None:
    pcap, path = as_pcap(segments(capture)), tmp_path / "a.dqt"

    def shown(source: Any, **options: bool) -> list[str]:
        clock = Clock("utc")
        found = items(open_source(source), **options)
        return [f"{json_text(item)} {line(item, clock, 100)}" for item in found]

    with TranscriptWriter(path, redacted=redacted, settled=True) as writer:
        for item in items(open_source(pcap), redacted=redacted, all_ends=True):
            record(writer, item)
    assert shown(path) == shown(pcap, redacted=redacted)


@pytest.mark.parametrize("options", [(), ("--redact",)], ids=str)
def test_every_view_of_one(options: tuple[str, ...], tmp_path: Path) -> None:
    pcap = tmp_path / "a.pcap"
    pcap.write_bytes(as_pcap(segments(named("1.18.1-members-0"))))
    check(tmp_path, pcap, options=options, views=[*VIEWS, ["-v", "-x"]])


def test_the_two_streams_of_a_connection_and_each_alone(tmp_path: Path) -> None:
    capture = named("1.18.1-members-0")
    streams = tmp_path / "c", tmp_path / "s"
    for path, data in zip(streams, (capture.c2s, capture.s2c), strict=True):
        path.write_bytes(data)
    for sources in (streams, streams[:1], streams[1:]):
        for options in ((), ("--redact",)):
            check(tmp_path, *sources, options=options)
    check(tmp_path, stdin=capture.c2s)
    check(tmp_path, stdin=capture.c2s[:200].hex().encode())


def damaged(rng: random.Random) -> bytes:
    """A pcap file of connections that are cut, lost, doubled and reordered, with foreign ones among them."""
    packets: list[bytes] = []
    hello = bytes([1, *bytes(7)])
    raft = [(True, hello + ConnectRequest(1, "a:1").encode()), (False, b"raft"), (True, b"raft" * 9)]
    upgraded = [
        (True, b"GET /x HTTP/1.1\r\nUpgrade: dqlite\r\n\r\n"),
        (False, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ]
    for number in range(4):
        said = chunks(rng.choice([capture for capture in ALL if len(capture.s2c) < 20_000]))
        kind = rng.choice(("plain", "raft", "upgraded", "foreign", "garbage", "cut"))
        if kind == "raft":
            said = raft
        elif kind == "upgraded":
            said = [*upgraded, *said]
        elif kind == "foreign":
            said = [(True, rng.randbytes(50)), (False, rng.randbytes(50))]
        elif kind == "garbage":
            at = rng.randrange(len(said) + 1)
            said = [*said[:at], (rng.random() < 0.5, rng.randbytes(rng.choice((3, 8, 40, 999)))), *said[at:]]
        elif kind == "cut":
            way, data = said[-1]
            said = [*said[:-1], (way, data[: rng.randrange(1, len(data))])]
        start = 1_700_000_000_000_000_000 + number * 1_000_000
        options = {"mss": rng.choice((100, 536, 1448)), "start": start, "close": rng.random() < 0.5}
        if rng.random() < 0.3 and len(said) > 8 and kind != "upgraded":  # joined in the middle
            said = said[rng.randrange(4, len(said) - 2) :]
            options["handshake"] = False
        sent = wire.conversation(said, **options)
        if rng.random() < 0.5:
            sent = wire.lose(sent, rng.sample(range(len(sent)), min(len(sent), rng.choice((1, 3)))))
        if rng.random() < 0.3:
            sent = wire.duplicate(sent, rng.randrange(99))
        if rng.random() < 0.3:
            sent = wire.reorder(sent, rng.randrange(99)) if len(sent) > 9 else sent
        port = 40001 + number
        packets += wire.frames(sent, wire.Path(client_port=port))
    return wire.pcap(packets)


# 21 has a connection of which nothing is shown, 253 no connection of dqlite at all
@pytest.mark.parametrize("seed", range(300) if os.environ.get("DQLITE_WIRE_DEEP") else [*range(6), 21, 253])
def test_damaged_captures(seed: int, tmp_path: Path) -> None:
    pcap = tmp_path / "a.pcap"
    pcap.write_bytes(damaged(random.Random(seed)))
    for options in ((), ("--redact",), ("--port", "9001"), ("-c", "1")):
        check(tmp_path, pcap, options=options)


@pytest.mark.parametrize(
    "options",
    [
        ("--type", "QUERY_SQL,PREPARE"),
        ("--type", "ROWS,FAILURE"),
        ("--type", "UNANSWERED"),
        ("--failures",),
        ("--failures", "--redact"),
        ("--sql", "select"),
        ("--sql", "select", "--type", "ROWS"),
        ("--min-latency", "0.3"),
        ("--grep", "no such text"),
    ],
    ids=str,
)
def test_what_was_picked(options: tuple[str, ...], tmp_path: Path) -> None:
    pcap = tmp_path / "a.pcap"
    packets = segments(named("1.18.1-failures-0"))
    pcap.write_bytes(as_pcap(wire.lose(packets, [30, 31, 60])))
    check(tmp_path, pcap, options=options, views=[["--time", "utc"], ["--no-time", "-v"]])


def test_several_at_once(tmp_path: Path) -> None:
    sources = []
    for number, name in enumerate(("1.18.1-members-0", "cowsql-members-0")):
        sources.append(tmp_path / f"{number}.pcap")
        sources[-1].write_bytes(as_pcap(segments(named(name), start=(number + 1) * 10**18)))
    check(tmp_path, *sources, views=[[], *VIEWS])
    capture = named("1.18.1-failures-0")
    (tmp_path / "c").write_bytes(capture.c2s)
    (tmp_path / "s").write_bytes(capture.s2c)
    check(tmp_path, sources[0], tmp_path / "c", tmp_path / "s", views=[[], *VIEWS])
