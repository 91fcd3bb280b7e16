"""A damaged packed file gives what comes before its damage, to every command, and is said to be damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.formats import open_source
from tests.traffic.captured import as_pcap, named, segments
from tests.traffic.command import run

PACKED = gzip.compress(as_pcap(segments(named("1.18.1-basics-0"))))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


DAMAGED = {
    "cut": (PACKED[: len(PACKED) * 2 // 3], "cut off"),
    "without its checksum": (PACKED[:-8], "cut off"),
    "another checksum": (flipped(PACKED, len(PACKED) - 8), "its checksum is another"),
    "another length": (flipped(PACKED, len(PACKED) - 1), "its length is another"),
    "bytes behind": (PACKED + b"what is this", "other bytes follow"),
    "damaged in the middle": (flipped(PACKED, len(PACKED) // 2), "damaged"),
}


@pytest.mark.parametrize("command", ["decode", "stats"])
@pytest.mark.parametrize("kind", DAMAGED)
def test_what_comes_before_is_shown(kind: str, command: str, tmp_path: Path) -> None:
    data, message = DAMAGED[kind]
    (tmp_path / "x.gz").write_bytes(data)
    result = run(command, str(tmp_path / "x.gz"))
    assert result.code == 1
    assert message in result.out + result.err
    assert "CREATE TABLE" in result.out


@pytest.mark.parametrize("data", [PACKED, PACKED + bytes(512), PACKED + gzip.compress(b"")])
def test_what_is_whole_is(data: bytes) -> None:
    source = open_source(data)
    assert len(list(items(source))) > 50
    assert (source.notes, source.damaged) == ([], 0)


@pytest.mark.parametrize("size", [3, 10, 12])
def test_what_gives_nothing_is_refused(size: int) -> None:
    with pytest.raises(SourceError, match="damaged gzip data: copy the file again"):
        list(items(open_source(PACKED[:size])))


def test_any_cut_gives_a_beginning() -> None:
    whole = [(item.type, item.offset) for item in items(open_source(PACKED)) if item.frame is not None]
    for size in range(len(PACKED) // 2, len(PACKED), 200):
        source = open_source(PACKED[:size])
        seen = [(item.type, item.offset) for item in items(source) if item.frame is not None]
        assert seen == whole[: len(seen)]
        assert source.damaged == 1
