"""Transcripts: written, cut off, continued and read again."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dqlitewire import PoisonedError
from dqlitewire.conversation import Side
from dqlitewire.messages import LeaderRequest, LeaderResponse, QuerySqlRequest, RowsResponse
from dqlitewire.traffic import Item, TranscriptWriter, items, open_source
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources import transcript
from dqlitewire.traffic.sources.pieces import Connection
from tests.traffic.captured import ALL, as_pcap, clean, named, segments, told
from tests.traffic.command import run
from tests.wire_data import Capture

GREETED = [capture for capture in ALL if capture.handshake != 2]


def record(capture: Capture, folder: Path, *options: str) -> Path:
    """A capture as a transcript, by way of a pcap file."""
    source, path = folder / f"{capture.name}.pcap", folder / f"{capture.name}.dqt"
    source.write_bytes(as_pcap(segments(capture)))
    assert run("decode", "--write", path, *options, source).out == ""
    return path


@pytest.mark.parametrize("capture", GREETED, ids=str)
def test_a_transcript_tells_what_was_recorded(capture: Capture, tmp_path: Path) -> None:
    path = record(capture, tmp_path)
    assert told(items(open_source(path))) == told(items(clean(capture)))


def test_form(tmp_path: Path) -> None:
    capture = named("1.18.1-members-0")
    path = record(capture, tmp_path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    header, opened, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert header == {"dqt": 1, "by": "dqlite-wire", "redacted": False, "settled": True}
    assert opened["event"] == "open"
    assert (opened["client"], opened["server"]) == ("10.0.0.1:40001", "10.0.0.2:9001")
    for direction, data in (("request", capture.c2s), ("response", capture.s2c)):
        sent = [line for line in lines if line["direction"] == direction and "event" not in line]
        passed = [base64.b64decode(line["bytes"]) for line in sent]
        assert b"".join(passed) == data
    assert {"time", "connection", "direction", "type", "schema", "fields", "bytes"} <= set(lines[1])
    assert lines[1]["type"] == "CLUSTER"


def test_times_are_exact_to_the_nanosecond(tmp_path: Path) -> None:
    path = tmp_path / "a.dqt"
    connection = Connection(1, "a", "b")
    times = [1_700_000_000_123_456_789, 1_700_000_000_123_456_000, 5]
    with TranscriptWriter(path) as writer:
        writer.frame(connection, Side.CLIENT, bytes([1, *bytes(7)]), times[0], {"type": "HANDSHAKE"})
        for time in times[1:]:
            frame = bytes([1, *bytes(15)])
            writer.frame(connection, Side.CLIENT, frame, time, {"type": "LEADER"})
    assert [item.time for item in items(open_source(path))][:3] == times


def apart_from_gaps(stream: Iterable[Item]) -> tuple[list[dict[str, Any]], list[str]]:
    """What a transcript tells, and the directions of the gaps in it."""
    seen = told(stream)
    gaps = [item["direction"] for item in seen if item["type"] == "GAP"]
    return [item for item in seen if item["type"] != "GAP"], gaps


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_cut_off_line_loses_only_itself(cut: int, tmp_path: Path) -> None:
    path = record(named("1.18.1-members-0"), tmp_path)
    whole = path.read_bytes()
    last = whole[:-1].rfind(b"\n")
    path.write_bytes(whole[: last + 1 + cut])
    source = open_source(path)
    seen, gaps = apart_from_gaps(items(source))
    assert seen == told(items(open_source(whole[: last + 1])))
    assert gaps == ["request", "response"]  # cut off before it says which
    assert source.notes == [f"line {whole.count(10)} is cut off; skipped"]
    assert source.damaged == 1
    result = run("decode", path)
    assert result.code == 1
    assert run("stats", path).code == 1


def test_continuing_after_a_crash(tmp_path: Path) -> None:
    first, second = named("1.18.1-members-0"), named("1.18.1-basics-0")
    path = record(first, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])  # the writer was killed
    pcap = tmp_path / "second.pcap"
    pcap.write_bytes(as_pcap(segments(second)))
    run("decode", "--append", "--write", path, pcap)
    source = open_source(path)
    seen = list(items(source))
    assert told(item for item in seen if item.connection.number == 2) == told(items(clean(second)))
    assert source.notes == [f"line {whole.count(10)} is damaged; skipped"]


def test_a_loss_is_recorded_as_a_loss(tmp_path: Path) -> None:
    from tests.traffic import wire

    packets = segments(named("1.18.1-basics-0"))
    data = [number for number, packet in enumerate(packets) if packet.payload]
    pcap, path = tmp_path / "a.pcap", tmp_path / "a.dqt"
    pcap.write_bytes(as_pcap(wire.lose(packets, [data[20]])))
    run("decode", "--write", path, pcap)
    assert told(items(open_source(path))) == told(items(open_source(pcap)))
    assert '"event":"gap","direction":' in path.read_text()


def test_redacted(tmp_path: Path) -> None:
    path = record(named("1.18.1-basics-0"), tmp_path, "--redact")
    assert json.loads(path.read_text().splitlines()[0])["redacted"] is True
    assert told(items(open_source(path))) == told(items(open_source(path), redacted=True))
    assert "2024-01-02" not in path.read_text()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"dqt":2,"by":"x"}', "a transcript of version 2: this program reads version 1: update it"),
        (b'{"dqt":', "a file that is no transcript"),
    ],
)
def test_other_versions_are_refused(line: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.dqt"
    path.write_bytes(line + b"\n")
    with pytest.raises(SourceError, match=message):
        list(items(open_source(path)))
    with pytest.raises(SourceError, match=message):
        TranscriptWriter(path)
    assert path.read_bytes() == line + b"\n"


def test_nothing_is_appended_to_other_files(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a transcript\n")
    source = record(named("1.18.1-members-0"), tmp_path)
    result = run("decode", "--write", path, source)
    assert (result.code, path.read_text()) == (4, "not a transcript\n")
    assert result.err.endswith("notes.txt: there is such a file: --append continues it\n")
    result = run("decode", "--append", "--write", path, source)
    assert (result.code, path.read_text()) == (3, "not a transcript\n")
    assert "no transcript" in result.err


START = '{"time":1.5,"connection":1,'
DAMAGE = {
    "[1, 2]": ["request", "response"],
    '{"time":null}': ["request", "response"],
    "\xff\xfe": ["request", "response"],
    START + '"direction":"up","type":"X","bytes":""}': ["request", "response"],
    '{"time":"x","connection":1,"direction":"request","type":"X","bytes":"AA=="}': ["request"],
    '{"time":1,"connection":1,"direction":"response","type":"X","bytes":"!"}': ["response"],
    START + '"direction":"response","bytes":"AAAA': ["response"],
    START + '"event":"gap","direction":"request","lost":-1}': ["request"],
    START + '"event":"gap","direction":"request"}': ["request"],
    START + '"event":["end"],"direction":"request"}': ["request"],
    START + '"event":"open","client":7,"server":""}': ["request", "response"],
}


@pytest.mark.parametrize("bad", DAMAGE)
def test_damage_in_the_middle(bad: str, tmp_path: Path) -> None:
    lines = record(named("1.18.1-members-0"), tmp_path).read_bytes().splitlines(keepends=True)
    source = open_source(b"".join([*lines[:5], bad.encode("latin-1") + b"\n", *lines[5:]]))
    seen, gaps = apart_from_gaps(items(source))
    assert seen == told(items(open_source(b"".join(lines))))
    assert gaps == DAMAGE[bad]
    assert source.notes == ["line 6 is damaged; skipped"]


@pytest.mark.parametrize("known", [True, False])
def test_what_follows_a_skipped_line_is_not_paired_as_if_nothing_was_lost(known: bool) -> None:
    requests = [QuerySqlRequest(0, "SELECT 1"), LeaderRequest()]
    answers = [RowsResponse(["1"], [1], [(1,)], [(1,)]), LeaderResponse(1, "a:1")]

    def line(direction: str, data: bytes) -> str:
        packed = base64.b64encode(data).decode()
        return START + f'"direction":"{direction}","type":"X","bytes":"{packed}"}}'

    said = [line("request", bytes([1, *bytes(7)])), *(line("request", r.encode()) for r in requests)]
    said += [line("response", answer.encode()) for answer in answers]
    said[3] = '{"time":1,"connection":1,"direction":"response","bytes":"' if known else "{"
    stream = items(open_source("\n".join(['{"dqt":1}', *said, ""]).encode()))
    over = [exchange for item in stream for exchange in item.over]
    assert [(exchange.label, exchange.ending) for exchange in over] == [
        ("QUERY_SQL", "unanswered"),
        ("LEADER", "done"),
    ]


def test_a_connection_whose_first_line_is_damaged_was_joined_in_the_middle(tmp_path: Path) -> None:
    lines = record(named("1.18.1-members-0"), tmp_path).read_bytes().splitlines(keepends=True)
    data = b"".join([lines[0], lines[1][:-9] + b"\n", *lines[3:]])
    seen = list(items(open_source(data)))
    assert seen[0].connection.midstream
    assert {item.connection.number for item in seen} == {1}
    said = [line for line in lines[3:] if b'"event"' not in line]
    assert len([item for item in seen if item.code is not None]) == len(said)


@pytest.mark.parametrize("big", [4096, 1 << 20])
def test_long_lines(big: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "MAX_LINE", 4 * big // 3 + 400)
    path, connection = tmp_path / "a.dqt", Connection(1, timed=False)
    frame = bytes([big // 8 - 1 & 0xFF, *(big // 8 - 1 >> 8).to_bytes(3, "little"), 99, 0, 0, 0]) + bytes(
        big - 8
    )
    with TranscriptWriter(path) as writer:
        writer.frame(connection, Side.CLIENT, bytes([1, *bytes(7)]), None, {"type": "HANDSHAKE"})
        writer.frame(connection, Side.CLIENT, frame, None, {"type": "X", "fields": {"long": "x" * big}})
        writer.frame(connection, Side.CLIENT, frame + frame, None, {"type": "X"})
        writer.frame(connection, Side.SERVER, frame, None, {"type": "X"})
    source = open_source(path)
    assert [(item.type, item.data == frame) for item in items(source)][1:] == [
        ("type 99", True),
        ("GAP", False),
        ("type 99", True),
        ("UNANSWERED", False),
    ]
    assert source.notes == ["line 5 is damaged; skipped"]


@pytest.mark.parametrize("data", ["abc", None, [1], 5])
def test_a_mistake_of_the_caller_writes_nothing(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "t.dqt"
    connection = Connection(1, "a:1", "b:2")
    with TranscriptWriter(path) as writer:
        before = path.read_bytes()
        for call in (
            lambda: writer.frame(connection, Side.CLIENT, data, 1, {"type": "LEADER"}),
            lambda: writer.frame(connection, "client", b"x", 1, {"type": "LEADER"}),  # type: ignore[arg-type]
            lambda: writer.end(connection, None, 1),  # type: ignore[arg-type]
        ):
            with pytest.raises(TypeError):
                call()
        assert path.read_bytes() == before
        writer.frame(connection, Side.CLIENT, memoryview(b"x"), 1, {"type": "LEADER"})
    assert path.read_bytes().count(b"\n") == 3
    writer.close()


def test_a_full_disk_ends_a_writer(tmp_path: Path) -> None:
    writer = TranscriptWriter(tmp_path / "t.dqt")

    class Full:
        def write(self, data: memoryview) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    kept, writer._file = writer._file, Full()  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space"):
        writer.end(Connection(1), Side.CLIENT, 1)
    with pytest.raises(PoisonedError):
        writer.end(Connection(1), Side.CLIENT, 1)
    writer.close()
    kept.close()
