"""Frames above the cap are shown by header and size, what follows them is decoded, and memory stays small."""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dqlitewire import ResponseType
from dqlitewire.conversation import End, Ending, Exchange, Frame, Gap, Garbage, Observer, Opaque, Side
from dqlitewire.conversation.observer import exchange as exchange_module
from dqlitewire.conversation.observer import large as large_module
from dqlitewire.conversation.observer import stream as stream_module
from dqlitewire.limits import Limits
from dqlitewire.messages import DumpRequest, LeaderRequest, LeaderResponse, QuerySqlRequest
from dqlitewire.messages.requests import ConnectRequest
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources import pair
from dqlitewire.traffic.sources.formats import open_source
from dqlitewire.traffic.sources.pair import open_pair
from dqlitewire.traffic.stats import Statistics
from dqlitewire.traffic.views.json_object import json_object
from dqlitewire.traffic.views.line import Clock, line
from tests.conversation.messages import done, part
from tests.traffic import wire
from tests.traffic.captured import as_pcap, named, segments
from tests.traffic.command import run
from tests.traffic.sources.test_round_trip import check

SMALL = 4096
GREETING = b"\1" + bytes(7)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is so in small."""
    monkeypatch.setattr(stream_module, "DEFAULT_MAX_MESSAGE_SIZE", SMALL)
    monkeypatch.setattr(exchange_module, "LARGE", SMALL)
    monkeypatch.setattr(pair, "MAX_FRAME", SMALL)


def files(size: int) -> Iterator[bytes]:
    """A FILES of so many bytes of contents, in pieces."""
    name = b"test.db\0"
    words = (8 + 8 + 8 + size) // 8
    yield struct.pack("<IBBHQ", words, ResponseType.FILES, 0, 0, 1) + name + struct.pack("<Q", size)
    block = bytes(range(256)) * 256
    for at in range(0, size, len(block)):
        yield block[: size - at]


REQUESTS = [DumpRequest("test.db"), LeaderRequest(), QuerySqlRequest(0, "SELECT 1")]
BEHIND = LeaderResponse(1, "10.0.0.1:9001").encode() + done(1).encode()
SENT = GREETING + b"".join(request.encode() for request in REQUESTS)


def events_of(observer: Observer, data: bytes, size: int = 1000) -> list[Any]:
    found: list[Any] = observer.receive(Side.CLIENT, SENT, 1.0)
    for number, at in enumerate(range(0, len(data), size)):
        found += observer.receive(Side.SERVER, data[at : at + size], 2.0 + number)
    return found


@pytest.mark.parametrize("size", [100, 1000, 5000, 1 << 20])
def test_it_is_one_frame_and_the_rest_follows(small: None, size: int) -> None:
    data = b"".join(files(50_000))
    observer = Observer()
    found = events_of(observer, data + BEHIND, size)
    large, *rest = [event for event in found if isinstance(event, Frame) and not event.is_request]
    assert (large.type_name, large.size, large.offset, large.message) == ("FILES", len(data), 0, None)
    assert large.data == data[: large_module.LARGE_HEAD]
    assert "at most 4096 are kept" in str(large.error)
    assert [(frame.type_name, frame.error) for frame in rest] == [("LEADER", None), ("ROWS", None)]
    assert rest[0].offset == len(data)
    ended = [event for event in found if isinstance(event, Exchange)]
    assert [(e.label, e.ending) for e in ended] == [
        ("DUMP", "done"),
        ("LEADER", "done"),
        ("QUERY_SQL", "done"),
    ]
    assert ended[0].latency == large.end - 1.0
    assert ended[0].answer_bytes == len(data)
    assert not [event for event in found if isinstance(event, Garbage)]
    assert observer.offset(Side.SERVER) == len(data + BEHIND)


def test_memory_is_that_of_the_beginning(small: None) -> None:
    observer = Observer()
    for piece in files(500_000):
        observer.receive(Side.SERVER, piece)
        assert observer.held < 8192


def test_rows_that_go_on_are_told_by_the_last_word(small: None) -> None:
    observer = Observer()
    large = [part(*range(2000)).encode(), done(*range(2000)).encode()]
    found = observer.receive(Side.CLIENT, GREETING + QuerySqlRequest(0, "SELECT 1").encode())
    for data in large:
        for at in range(0, len(data), 777):
            found += observer.receive(Side.SERVER, data[at : at + 777])
    (ended,) = [event for event in found if isinstance(event, Exchange)]
    assert (ended.ending, ended.answer_count) == ("done", 2)


def test_requests_may_be_large_too(small: None) -> None:
    observer = Observer()
    request = QuerySqlRequest(0, "SELECT ?", ["x" * 9000]).encode()
    found = observer.receive(Side.CLIENT, GREETING + request + LeaderRequest().encode())
    assert [(event.type_name, event.size) for event in found if isinstance(event, Frame)] == [
        ("QUERY_SQL", len(request)),
        ("LEADER", 16),
    ]


def test_a_loss_inside_costs_nothing(small: None) -> None:
    data = b"".join(files(50_000))
    observer = Observer()
    found = observer.receive(Side.CLIENT, SENT) + observer.receive(Side.SERVER, data[:1000])
    found += observer.receive_gap(Side.SERVER, 20_000)
    found += observer.receive(Side.SERVER, data[21_000:] + BEHIND)
    frames = [event for event in found if isinstance(event, Frame) and not event.is_request]
    assert [(f.type_name, f.size, f.damaged) for f in frames[:2]] == [
        ("FILES", len(data), False),
        ("LEADER", 32, False),
    ]
    assert [event.size for event in found if isinstance(event, Gap)] == [20_000]


def test_a_loss_inside_leaves_the_stream_to_the_nodes_that_have_it(small: None) -> None:
    """CONNECT passes while a large answer does: what the dialled node sends is opaque, whatever is lost."""
    observer = Observer()
    observer.receive(Side.CLIENT, SENT)
    observer.receive(Side.SERVER, b"".join(files(50_000))[:1000])
    observer.receive(Side.CLIENT, ConnectRequest(2, "127.0.0.1:9002").encode())
    found = observer.receive_gap(Side.SERVER) + observer.receive(Side.SERVER, b"as a node sends")
    assert [event.data for event in found if isinstance(event, Opaque)] == [b"as a node sends"]
    assert [event.damaged for event in found if isinstance(event, Frame)] == [True]


def test_an_end_inside_is_told(small: None) -> None:
    data = b"".join(files(50_000))
    observer = Observer()
    found = events_of(observer, data[:30_000]) + observer.finish()
    (large,) = [event for event in found if isinstance(event, Frame) and not event.is_request]
    assert (large.type_name, large.size, large.damaged) == ("FILES", 30_000, True)
    (_, end) = [event for event in found if isinstance(event, End)]
    assert end.ending is Ending.MID_FRAME


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<IBBHQ", 1 << 28, ResponseType.FILES, 0, 0, 1 << 60),  # too many files
        struct.pack("<IBBHQ", 1 << 28, ResponseType.FILES, 7, 0, 1),  # no such schema
        struct.pack("<IBBHQ", 1 << 28, ResponseType.FILES, 0, 9, 1),  # what is unused is used
        struct.pack("<IBBHQ", 1 << 28, 99, 0, 0, 1),  # no such type
        struct.pack("<IBBHQ", 1 << 28, ResponseType.ROWS, 0, 0, 1 << 40),  # too many columns
        struct.pack("<IBBHQ", 1 << 28, ResponseType.WELCOME, 0, 0, 15_000),  # a type of one size
    ],
)
def test_what_only_announces_much_is_garbage_and_what_follows_is_found(head: bytes) -> None:
    observer = Observer()
    found = observer.receive(Side.CLIENT, SENT)
    found += observer.receive(Side.SERVER, head + b"\xff" * 600 + BEHIND * 3) + observer.finish()
    assert any(isinstance(event, Garbage) for event in found)
    assert [e for e in found if isinstance(e, Frame) and not e.is_request and e.error is None]


def test_caps_of_the_caller_are_kept() -> None:
    observer = Observer(limits=Limits(max_message_size=4096))
    found = events_of(observer, b"".join(files(50_000)))
    assert any(isinstance(event, Garbage) for event in found)


@pytest.mark.parametrize("redacted", [False, True])
def test_every_source_and_view(small: None, redacted: bool) -> None:
    capture = named("1.18.1-basics-0")
    whole = wire.pcap(wire.frames(segments(capture)))
    for source in (open_source(whole), open_pair(capture.c2s, capture.s2c)):
        seen = list(items(source, redacted=redacted))
        large = [item for item in seen if item.frame is not None and item.frame.left_out]
        assert {item.type for item in large} >= {"FILES"}
        for item in large:
            shown = json_object(item)
            assert (shown["fields"], shown["size"]) == (None, item.size)
            assert shown["note"] == "too_large"
            assert "error" not in shown
            assert f"{item.size} bytes, above" in str(line(item, Clock("none"), 100))
            assert not item.strange
            assert item.spans() is not None
            assert not (redacted and any(item.data[8:]))
        assert not [item for item in seen if item.type == "GARBAGE"]
        statistics = Statistics().add_all(seen)
        assert not statistics.damaged
        assert statistics.answer_bytes == len(capture.s2c)


def test_two_hundred_megabytes(tmp_path: Path) -> None:
    """A DUMP above the cap, as the user meets it: a pair of streams, in little memory."""
    (tmp_path / "c2s").write_bytes(SENT)
    with (tmp_path / "s2c").open("wb") as file:
        file.writelines(files(200_000_000))
        file.write(BEHIND)
    size = (tmp_path / "s2c").stat().st_size - len(BEHIND)
    command = [sys.executable, "-m", "dqlitewire.cli", "decode", "--json", "c2s", "s2c"]

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (160 << 20, 160 << 20))

    told = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300, preexec_fn=limited)
    assert (told.returncode, told.stderr) == (0, b"")
    shown = [json.loads(text) for text in told.stdout.splitlines()]
    assert [(item["type"], item["size"]) for item in shown if item["direction"] == "response"] == [
        ("FILES", size),
        ("LEADER", 32),
        ("ROWS", len(done(1).encode())),
    ]


@pytest.mark.parametrize("options", [(), ("--redact",)], ids=str)
@pytest.mark.parametrize("timed", [True, False])
def test_what_is_written_reads_back(
    small: None, options: tuple[str, ...], timed: bool, tmp_path: Path
) -> None:
    wide = range(1000)
    messages = [
        (True, GREETING + REQUESTS[0].encode()),
        (False, b"".join(files(50_000))),
        (True, REQUESTS[2].encode()),
        (False, part(*wide).encode() + part(*wide).encode() + done(*wide).encode()),
        (True, REQUESTS[1].encode()),
        (False, LeaderResponse(1, "10.0.0.1:9001").encode()),
    ]
    sources = [tmp_path / "a.pcap"]
    sources[0].write_bytes(as_pcap(wire.conversation(messages)))
    if not timed:
        sources = [tmp_path / "c2s", tmp_path / "s2c"]
        for path, asked in zip(sources, (True, False), strict=True):
            path.write_bytes(b"".join(data for is_request, data in messages if is_request is asked))
    check(tmp_path, *sources, options=options)
    told = run("decode", "--json", *options, tmp_path / "written.dqt").out
    types = [json.loads(line)["type"] for line in told.splitlines()]
    assert "GAP" not in types
    assert types.count("ROWS") == 3
    written = (tmp_path / "written.dqt").read_text()
    assert [json.loads(line)["more"] for line in written.splitlines() if '"more"' in line] == [
        False,
        True,
        True,
        False,
    ]
