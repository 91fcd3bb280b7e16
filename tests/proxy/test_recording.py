"""What a recorder writes: whole frames on whole lines, whatever happens to the file or to the process."""

from __future__ import annotations

import base64
import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dqlitewire.conversation import Side
from dqlitewire.messages import (
    ConnectRequest,
    FailureResponse,
    LeaderRequest,
    LeaderResponse,
    QuerySqlRequest,
    RowsResponse,
)
from dqlitewire.proxy import recording
from dqlitewire.proxy.recording import Recorder, size_in_bytes
from dqlitewire.traffic import Item, SourceError, items, open_source
from dqlitewire.traffic import Recording as Traffic
from dqlitewire.traffic.errors import FileExistsAlready
from dqlitewire.traffic.sources import transcript, transcript_cut
from dqlitewire.traffic.sources.pieces import What
from dqlitewire.traffic.sources.transcript_parts import View, open_recording
from dqlitewire.traffic.views.json_object import json_object
from tests.raft.recorded import CONNECTIONS
from tests.traffic.captured import ALL, chunks, clean, told
from tests.traffic.command import run
from tests.wire_data import Capture
from tools.drawn.schema import SCHEMAS

NOW = 1_700_000_000_000_000_000
HELLO = bytes([1, *bytes(7)])
ASK, ANSWER = LeaderRequest().encode(), LeaderResponse(1, "a:1").encode()

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def pieces_of(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Bytes cut anywhere."""
    at = 0
    while at < len(data):
        size = rng.choice((1, 3, 8, 100, 5000, 100_000))
        yield data[at : at + size]
        at += size


def play(recorder: Recorder, capture: Capture, number: int = 0, seed: int = 0) -> None:
    """Record a capture, cut otherwise than into frames."""
    rng, now = random.Random(seed), NOW
    recorder.opened(number, "10.0.0.1:40001", "10.0.0.2:9001", now)
    for is_request, data in chunks(capture):
        for piece in pieces_of(data, rng):
            now += 1000
            recorder.passed(number, Side.CLIENT if is_request else Side.SERVER, piece, now)
    recorder.ended(number, None, now)


@pytest.mark.parametrize("capture", ALL, ids=str)
def test_what_passed_is_read_back(capture: Capture, tmp_path: Path) -> None:
    path = tmp_path / "a.dqt"
    recorder = Recorder(path)
    play(recorder, capture)
    recorder.close()
    assert recorder.failed is None
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [line for line in lines_of(path) if "bytes" in line]
    for direction, data in (("request", capture.c2s), ("response", capture.s2c)):
        sent = [base64.b64decode(line["bytes"]) for line in lines if line["direction"] == direction]
        assert b"".join(sent) == data
    seen = told(items(open_source(path)))
    assert seen == told(items(clean(capture)))
    if capture.handshake != 2:  # which makes garbage of the rest
        assert len(lines) == len([item for item in seen if item["type"] not in ("GAP", "UNANSWERED")])


def recorded(path: Path, **options: Any) -> list[Item]:
    return list(items(open_source(path), **options))


def changed_session(recorder: Recorder) -> None:
    failure = FailureResponse(5, "busy").encode()
    recorder.opened(1, "c:1", "s:1", NOW)
    recorder.passed(1, Side.CLIENT, HELLO + ASK[:9], NOW)
    recorder.passed(1, Side.CLIENT, ASK[9:], NOW + 1)
    recorder.changed(1, Side.SERVER, ANSWER, failure, NOW + 2)  # another one
    recorder.changed(1, Side.CLIENT, ASK, b"", NOW + 3)  # not executed
    recorder.fault(1, "fail", 7, "LEADER", NOW + 3)
    recorder.changed(1, Side.SERVER, b"", failure, NOW + 4)
    recorder.changed(1, Side.CLIENT, ASK, ASK, NOW + 5)  # not changed
    recorder.changed(1, Side.SERVER, ANSWER, ANSWER[:11], NOW + 6)  # cut
    recorder.passed(1, Side.CLIENT, ASK, NOW + 7)
    recorder.changed(1, Side.SERVER, ANSWER, b"", NOW + 8)  # held
    recorder.ended(1, None, NOW + 9)
    recorder.close()


def test_what_was_changed_keeps_both(tmp_path: Path) -> None:
    path = tmp_path / "a.dqt"
    changed_session(Recorder(path))
    lines = [line for line in lines_of(path) if "bytes" in line]
    assert [("sent" in line, line["type"]) for line in lines] == [
        (False, "HANDSHAKE"),
        (False, "LEADER"),
        (True, "LEADER"),
        (True, "LEADER"),
        (True, "FAILURE"),
        (False, "LEADER"),
        (True, "LEADER"),
        (False, "LEADER"),
        (True, "LEADER"),
    ]
    assert lines[4]["bytes"] == ""
    assert base64.b64decode(lines[6]["sent"]) == ANSWER[:11]
    assert lines[8]["sent"] == ""
    fault = next(line for line in lines_of(path) if line.get("event") == "fault")
    assert fault == {
        "time": fault["time"],
        "connection": 1,
        "event": "fault",
        "kind": "fail",
        "fault": 7,
        "on": "LEADER",
    }
    seen = recorded(path)
    assert [(item.type, item.change) for item in seen if item.change or item.taken] == [
        ("LEADER", "replaced"),
        ("LEADER", "withheld"),
        ("FAULT", ""),
        ("FAILURE", "made"),
        ("LEADER", "cut"),
        ("LEADER", "withheld"),
    ]
    endings = [exchange.ending for item in seen for exchange in item.over]
    assert endings == ["done", "failure", "done", "done"]


@pytest.mark.parametrize(
    ("view", "asked", "answered"),
    [
        (View.CLIENT, HELLO + ASK * 4, [2 * FailureResponse(5, "busy").encode() + ANSWER[:11]]),
        (View.NODE, HELLO + ASK * 3, [ANSWER * 3]),
    ],
)
def test_each_end_sees_its_own_traffic(tmp_path: Path, view: View, asked: bytes, answered: Any) -> None:
    path = tmp_path / "a.dqt"
    changed_session(Recorder(path))
    passed = {Side.CLIENT: b"", Side.SERVER: b""}
    for piece in open_recording([path], view).pieces():
        assert piece.what in (What.DATA, What.END)
        passed[piece.side] += piece.data
    assert passed == {Side.CLIENT: asked, Side.SERVER: answered[0]}


def test_redaction_reaches_what_went_on_instead(tmp_path: Path) -> None:
    path = tmp_path / "a.dqt"
    recorder = Recorder(path)
    secrets = [RowsResponse(["a"], [3], [(3,)], [(word,)]).encode() for word in ("hunter2", "secret9")]
    recorder.opened(1, "c", "s", NOW)
    recorder.passed(1, Side.CLIENT, HELLO + QuerySqlRequest(0, "SELECT a FROM t").encode(), NOW)
    for sent in (secrets[1], secrets[0][:-10], secrets[1][:-9], b"secret9", secrets[1] + b"secret9"):
        recorder.passed(1, Side.CLIENT, QuerySqlRequest(0, "SELECT a FROM t").encode(), NOW)
        recorder.changed(1, Side.SERVER, secrets[0], sent, NOW)
    recorder.close()
    seen = [item for item in recorded(path, redacted=True) if item.sent is not None]
    assert len(seen) == 5
    for item in seen:
        assert b"hunter" not in item.data + (item.sent or b"")
        assert b"secret" not in item.data + (item.sent or b"")


def test_a_large_frame_stands_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_cut, "PIECE", 1000)
    monkeypatch.setattr(recording, "PIECE", 1000)
    path = tmp_path / "a.dqt"
    frame = QuerySqlRequest(0, "SELECT '" + "x" * 10_000 + "'").encode()
    longer = bytearray(frame)
    longer[5555] ^= 1
    recorder = Recorder(path)
    recorder.opened(1, "c", "s", NOW)
    for data in (HELLO, frame[:700], frame[700:9000], frame[9000:] + frame[:50], frame[50:]):
        recorder.passed(1, Side.CLIENT, data, NOW)
    recorder.changed(1, Side.CLIENT, frame, bytes(longer) + b"more", NOW)
    recorder.close()
    lines = [line for line in lines_of(path) if "bytes" in line]
    assert max(len(base64.b64decode(line["bytes"])) for line in lines) == 1000
    assert len(lines) == 1 + 3 * -(-len(frame) // 1000)
    assert [number for number, line in enumerate(lines) if "sent" in line] == [28, len(lines) - 1]
    seen = [item for item in recorded(path) if item.type == "QUERY_SQL"]
    assert [item.data == frame for item in seen] == [True] * 3
    assert [item.sent for item in seen] == [None, None, bytes(longer) + b"more"]


def test_bytes_that_are_no_frames_are_written_as_they_came(tmp_path: Path) -> None:
    path = tmp_path / "a.dqt"
    connect = ConnectRequest(1, "a:1").encode()
    http = b"GET /x HTTP/1.1\r\nUpgrade: dqlite\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\n"
    refused = b"POST / HTTP/1.1\r\n\r\nbody", b"HTTP/1.1 400 Bad\r\n\r\nno"
    sessions: list[list[tuple[Side, bytes]]] = [
        [(Side.CLIENT, HELLO + connect + b"raft\1\2"), (Side.SERVER, b"raft too"), (Side.CLIENT, b"more")],
        [(Side.CLIENT, http[0]), (Side.SERVER, http[1]), (Side.CLIENT, HELLO + ASK), (Side.SERVER, ANSWER)],
        [(Side.CLIENT, http[0]), (Side.SERVER, CONTINUE + http[1] + ANSWER), (Side.CLIENT, HELLO + ASK)],
        [(Side.CLIENT, refused[0]), (Side.SERVER, refused[1]), (Side.CLIENT, b"x")],
        [(Side.CLIENT, b"\x16\x03\x01\x02\x00rest"), (Side.SERVER, b"\x16\x03\x03zz")],
        [(Side.CLIENT, HELLO + b"\xff" * 40), (Side.SERVER, b"\xfe" * 9), (Side.CLIENT, ASK)],
        [(Side.CLIENT, b"abc"), (Side.SERVER, b"d")],
    ]
    for cut in (1, 3, 1000):
        for number, session in enumerate(sessions):
            path.unlink(missing_ok=True)
            recorder, whole = Recorder(path), dict.fromkeys(Side, b"")
            plain = Traffic()
            recorder.opened(number, "c", "s", NOW)
            for side, data in session:
                whole[side] += data
                plain.add(side, data)
                for at in range(0, len(data), cut):
                    recorder.passed(number, side, data[at : at + cut], NOW)
            recorder.ended(number, None, NOW)
            recorder.close()
            read = dict.fromkeys(Side, b"")
            for line in lines_of(path):
                if "bytes" in line:
                    read[transcript.SIDE_OF[line["direction"]]] += base64.b64decode(line["bytes"])
            assert read == whole
            assert kinds(items(open_source(path))) == kinds(items(plain.source()))


def kinds(stream: Iterable[Item]) -> list[str]:
    """What passed, where it makes no difference into how many items it was cut."""
    return [kind for kind, _ in groupby(item.type for item in stream if item.type != "END")]


# ---------------------------------------------------------------- the file


def test_a_file_that_is_there_is_continued_on_request_only(tmp_path: Path) -> None:
    path = tmp_path / "a.dqt"
    path.write_bytes(b"")
    with pytest.raises(FileExistsAlready, match="--append"):
        Recorder(path)
    assert path.read_bytes() == b""
    changed_session(Recorder(path, append=True))
    first = path.read_bytes()
    path.write_bytes(first[:-20])  # the last writer was killed
    changed_session(Recorder(path, append=True))
    assert path.read_bytes().startswith(first[:-20] + b"\n")
    source = open_source(path)
    seen = list(items(source))
    assert len({item.connection for item in seen}) == 2
    assert source.damaged == 1
    assert [item.data for item in seen if item.connection.number == 2] == [
        item.data for item in items(open_source(first))
    ]
    (tmp_path / "notes").write_text("something else\n")
    with pytest.raises(SourceError, match="no transcript"):
        Recorder(tmp_path / "notes", append=True)
    assert (tmp_path / "notes").read_text() == "something else\n"


SCRIPT = """
import sys
from dqlitewire.conversation import Side
from dqlitewire.proxy.recording import Recorder
from dqlitewire.messages import LeaderRequest
recorder, now, ask = Recorder(sys.argv[1]), 1_700_000_000_000_000_000, LeaderRequest().encode()
recorder.opened(1, "c", "s", now)
recorder.passed(1, Side.CLIENT, bytes([1, *bytes(7)]), now)
for number in range(10**9):
    for part in (ask[:number % 16], ask[number % 16:]):
        recorder.passed(1, Side.CLIENT, part, now)
    print(number + 1, flush=True)
"""


def test_a_killed_recorder_lacks_nothing_that_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "a.dqt"
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(500):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        passed = 500 + len(process.stdout.read().splitlines())
    seen = recorded(path)
    assert len([item for item in seen if item.type == "LEADER"]) in (passed, passed + 1)


def full_by_limit(path: Path) -> Recorder:
    recorder = Recorder(path, say=SAID.append)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    return recorder


SAID: list[str] = []


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    path, before = tmp_path / "a.dqt", resource.getrlimit(resource.RLIMIT_FSIZE)
    SAID.clear()
    try:
        recorder = full_by_limit(path)
        recorder.opened(1, "c", "s", NOW)
        recorder.passed(1, Side.CLIENT, HELLO, NOW)
        for _ in range(100):
            recorder.passed(1, Side.CLIENT, ASK, NOW)
            recorder.changed(1, Side.SERVER, ANSWER, b"", NOW)
            recorder.fault(1, "hold", 1, "LEADER", NOW)
        recorder.opened(2, "c", "s", NOW)
        recorder.ended(1, None, NOW)
        recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert recorder.failed == f"{path}: File too large"
    assert [f"{path}: File too large; the recording ends here, the traffic goes on"] == SAID
    assert path.read_bytes().endswith(b"}\n")  # nothing half is left
    assert 1800 < path.stat().st_size <= 2000
    source = open_source(path)
    assert len(list(items(source))) > 5
    assert not source.damaged


def test_a_device_that_takes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No space left on device"):
        Recorder("/dev/full")
    with pytest.raises(SourceError, match="No such file"):
        Recorder(tmp_path / "nowhere" / "a.dqt")
    with pytest.raises(SourceError, match="directory"):
        Recorder(tmp_path, append=True)


# ---------------------------------------------------------------- parts


def interleaved(recorder: Recorder, seed: int, raft: bool = True) -> None:
    """Several captures at once, cut anywhere, with a raft connection and an upgraded one among them."""
    rng, now = random.Random(seed), NOW
    captures = [ALL[at] for at in (0, 2, 9, 12)]
    sessions = [[(is_request, data) for is_request, data in chunks(capture)] for capture in captures]
    connect = HELLO + ConnectRequest(1, "a:1").encode()
    if raft:
        sessions.append([(True, connect), *((True, frame) for frame in CONNECTIONS[1].frames)])
    upgrade = b"GET /x HTTP/1.1\r\nUpgrade: dqlite\r\n\r\n"
    switched = CONTINUE + b"HTTP/1.1 101 Switching\r\n\r\n"
    sessions.append([(True, upgrade), (False, switched), *chunks(captures[0])])
    streams = [
        (n, [(way, p) for way, data in s for p in pieces_of(data, rng)]) for n, s in enumerate(sessions)
    ]
    for number, _ in streams:
        recorder.opened(number, f"c:{number}", "s:1", now)
    while streams:
        which = rng.randrange(len(streams))
        number, left = streams[which]
        now += 1000
        if not left:
            recorder.ended(number, None, now)
            del streams[which]
            continue
        is_request, data = left.pop(0)
        recorder.passed(number, Side.CLIENT if is_request else Side.SERVER, data, now)
    recorder.close()


@pytest.mark.parametrize("size", [1, 3000, 20_000])
def test_parts_tell_together_what_one_file_tells(size: int, tmp_path: Path) -> None:
    interleaved(Recorder(tmp_path / "whole.dqt"), size)
    interleaved(Recorder(tmp_path / "a.dqt", max_size=size), size)
    parts = sorted(tmp_path.glob("a*.dqt"))
    assert len(parts) > 4
    whole = [json_object(item) for item in recorded(tmp_path / "whole.dqt")]
    assert [json_object(item) for item in items(open_recording(parts))] == whole
    result = run("decode", "--json", *parts)
    assert (result.code, result.out) == (0, run("decode", "--json", tmp_path / "whole.dqt").out)
    for part in parts:
        assert part.stat().st_mode & 0o777 == 0o600
    # on its own a part holds nothing that is no dqlite; a message between nodes may be cut by its end
    interleaved(Recorder(tmp_path / "b.dqt", max_size=size), size, raft=False)
    for part in tmp_path.glob("b*.dqt"):
        assert run("decode", part).code == 0, part
    in_order = [tmp_path / "a.dqt", *(tmp_path / f"a.{n}.dqt" for n in range(1, len(parts)))]
    joined = b"".join(part.read_bytes() for part in in_order)
    assert [json_object(item) for item in items(open_source(joined))] == whole


def test_a_part_has_more_that_is_new_than_is_repeated(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.dqt", max_size=1)
    for number in range(200):
        recorder.opened(number, f"client {number}", "server", NOW)
        recorder.passed(number, Side.CLIENT, HELLO + ASK, NOW)
    for number in range(200):
        recorder.ended(number, None, NOW)
    recorder.close()
    parts = list(tmp_path.iterdir())
    assert len(parts) < 20
    lines = [line for part in parts for line in part.read_bytes().splitlines()]
    repeated = sum(len(line) for line in lines if b'"repeated":true' in line)
    assert repeated < sum(map(len, lines)) * 0.6


def test_a_part_does_not_end_inside_of_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_cut, "PIECE", 1000)
    recorder = Recorder(tmp_path / "a.dqt", max_size=2000)
    recorder.opened(1, "c", "s", NOW)
    frame = QuerySqlRequest(0, "SELECT '" + "x" * 5000 + "'").encode()
    recorder.passed(1, Side.CLIENT, HELLO, NOW)
    for at in range(0, 3 * len(frame), 700):
        recorder.passed(1, Side.CLIENT, (3 * frame)[at : at + 700], NOW)
    recorder.close()
    parts = sorted(tmp_path.iterdir())
    assert len(parts) == 3
    for part in parts:
        assert [item.data for item in recorded(part) if item.type == "QUERY_SQL"] == [frame]


def test_parts_that_are_there_are_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.dqt"
    interleaved(Recorder(path, max_size=20_000), 1)
    before = {part: part.read_bytes() for part in tmp_path.iterdir()}
    path.unlink()
    with pytest.raises(FileExistsAlready, match=r"a\.\d+\.dqt"):
        Recorder(path)
    path.write_bytes(before[path])
    recorder = Recorder(path, append=True, max_size=20_000)
    assert Path(recorder.path).name == f"a.{len(before) - 1}.dqt"
    interleaved(recorder, 2)
    for part, data in before.items():
        assert part.read_bytes().startswith(data)
    assert run("decode", *sorted(tmp_path.iterdir())).code == 0


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("2k", 2048), ("3M", 3 << 20), ("1G", 1 << 30), ("007", 7)]
)
def test_sizes(text: str, size: int) -> None:
    assert size_in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "k", "1K", "1 k", "-1", "1.5M", "1kM", "1" * 40])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="a number above 0 with k, M or G is needed"):
        size_in_bytes(text)


def test_every_line_fits_the_schema(tmp_path: Path) -> None:
    validator = Draft202012Validator(SCHEMAS["transcript"]())
    changed_session(Recorder(tmp_path / "changed.dqt"))
    interleaved(Recorder(tmp_path / "parts.dqt", max_size=20_000), 5)
    for number, options in enumerate(((), ("--redact",), ("--type", "FAULT,LEADER,UNANSWERED"))):
        run("decode", *options, "-w", tmp_path / f"{number}.dqt", tmp_path / "changed.dqt")
        run("decode", *options, "-w", tmp_path / f"{number}parts.dqt", *tmp_path.glob("parts*.dqt"))
    files = list(tmp_path.iterdir())
    assert len(files) > 8
    for path in files:
        for line in lines_of(path)[:400]:
            assert validator.is_valid(line), line
    for bad in ({"dqt": 2}, {"time": 1, "connection": 1}, {**lines_of(files[0])[0], "event": "end"}):
        assert not validator.is_valid(bad)
