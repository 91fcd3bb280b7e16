"""docs/howto/bug-report.md: the session as it stands, with real nodes; deep, with each kind of server."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.docs.following import Reader
from tests.real.nodes import KINDS, Node
from tests.traffic.captured import as_pcap, named, segments

PAGE = "docs/howto/bug-report.md"
SHOWN = "1.18.7"  # the release that the page was written with
DEEP = os.environ.get("DQLITE_WIRE_DEEP") == "1"


@pytest.mark.parametrize("kind", KINDS if DEEP else [SHOWN])
def test_all_of_it(kind: str, tmp_path: Path, own_node: Callable[[str], Node]) -> None:
    buggy, clean = own_node(kind), own_node(kind)
    places = {"127.0.0.1:9001": buggy.address, "127.0.0.1:9002": clean.address}
    with Reader(tmp_path, places) as reader:
        reader.follow(PAGE, leaves_out="$ tcpdump")
        assert len(reader.typed) >= 11
    assert buggy.alive()
    assert clean.alive()


def test_a_capture_in_place_of_a_recording(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(PAGE, "console") if block.text.startswith("$ tcpdump"))
    (tcpdump, _), (decode, shown) = block.steps()
    assert "-w bug.pcap" in tcpdump
    (tmp_path / "bug.pcap").write_bytes(as_pcap(segments(named("1.18.7-basics-0"))))
    with Reader(tmp_path) as reader:
        reader.type(decode, shown, block)
    assert (tmp_path / "bug.dqt").read_text().startswith('{"dqt":1')
