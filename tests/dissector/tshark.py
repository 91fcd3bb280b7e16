"""Run tshark with the dissector, and read what it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

from dqlitewire.dissector import dissector

TSHARK = shutil.which("tshark")


@dataclass
class Shown:
    """One unit as tshark shows it: a handshake, a frame, a message between nodes.

    Attributes:
        packet: the number of the packet in which it ends.
        title: its line in the tree.
        fields: values of each field below it, by name without "dqlite.", in order.
    """

    packet: int
    title: str
    fields: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def one(self, name: str) -> str | None:
        """The one value of a field; None if it has none."""
        values = self.fields.get(name, [])
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None


def run(capture: Path, *arguments: str, folder: Path) -> str:
    """Run tshark on a capture file with the dissector, and return what it prints.

    Raises:
        AssertionError: it failed, or a line of Lua did.
    """
    assert TSHARK is not None
    script = folder / "dqlite.lua"
    if not script.exists():
        script.write_text(dissector(), encoding="utf-8")
    done = subprocess.run(
        [TSHARK, "-n", "-X", f"lua_script:{script}", "-r", str(capture), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
        # a dissector that is installed would be the same protocol twice
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert done.returncode == 0, said
    assert not said, said
    assert "Lua Error" not in done.stdout
    return done.stdout


ELEMENT = re.compile(
    r'^( *)<(?:proto|field) name="(num|dqlite[^"]*)"(?: showname="([^"]*)")?(?:[^>]*? show="([^"]*)")?[^>]*>',
    re.MULTILINE,
)


def units(capture: Path, *arguments: str, folder: Path) -> list[Shown]:
    """Return what tshark shows of a capture, in the order of its packets."""
    text = run(capture, "-T", "pdml", "-J", "dqlite", *arguments, folder=folder)
    return list(_units(text))


def _units(text: str) -> Iterator[Shown]:
    number, shown = 0, None
    for element in ELEMENT.finditer(text):  # one on each line; a parser of XML takes longer than tshark does
        indent, name, title, value = element.groups()
        if name == "num":
            if shown is not None:
                yield shown
            number, shown = int(value), None
        elif name == "dqlite" and len(indent) == 2:
            if shown is not None:
                yield shown
            shown = Shown(number, unescape(title or ""))
        elif shown is not None:
            shown.fields.setdefault(name[7:], []).append(unescape(value or ""))
    if shown is not None:
        yield shown
