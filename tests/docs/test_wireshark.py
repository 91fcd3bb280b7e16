"""The commands of docs/guides/wireshark.md, typed in front of a capture of nodes."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest

from tests.dissector.tshark import TSHARK
from tests.dissector.tshark import run as tshark
from tests.docs.blocks import blocks
from tests.traffic import between_nodes, wire
from tests.traffic.command import run

INSTALL, FIELDS = blocks("docs/guides/wireshark.md", "indented")


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write, show = INSTALL.text.splitlines()
    command, _, file = write.partition(" > ")
    Path(file).write_text(run(*shlex.split(command)[1:]).out)
    assert shlex.split(show) == ["wireshark", "-X", f"lua_script:{file}", "cluster.pcap"]
    if TSHARK is None and not os.environ.get("CI"):
        pytest.skip("needs tshark, which tools/packages installs")
    Path("cluster.pcap").write_bytes(wire.pcap(between_nodes.packets("1.18.7"), nanoseconds=True))
    shown = []
    for line in FIELDS.text.splitlines():
        program, read, name, *words = shlex.split(line)
        assert (program, read) == ("tshark", "-r")
        assert shutil.which(program)
        shown.append(tshark(Path(name), *words, folder=tmp_path))
    votes, slow = shown
    assert len(votes.splitlines()) >= 1
    assert all(len(row.split("\t")) == 3 for row in votes.splitlines())
    assert slow == ""  # nothing took half a second
