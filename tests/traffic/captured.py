"""The recorded connections of `tests/captures` as sources of every kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dqlitewire.conversation import Side
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.formats import open_source
from dqlitewire.traffic.sources.source import Recording, Source
from dqlitewire.traffic.views.json_object import json_object
from tests.traffic import wire
from tests.wire_data import Capture, captures

ALL = captures()


def named(name: str) -> Capture:
    """One capture by name."""
    return next(capture for capture in ALL if capture.name == name)


def chunks(capture: Capture) -> list[wire.Chunk]:
    """What each side sent, in the order in which it passed."""
    left = {"c2s": capture.c2s, "s2c": capture.s2c}
    out: list[wire.Chunk] = []
    for side, size in capture.entry["chunks"]:
        out.append((side == "c2s", left[side][:size]))
        left[side] = left[side][size:]
    assert not any(left.values())
    return [chunk for chunk in out if chunk[1]]


def clean(capture: Capture) -> Source:
    """The capture without any TCP."""
    recording = Recording()
    for is_request, data in chunks(capture):
        recording.add(Side.CLIENT if is_request else Side.SERVER, data)
    return recording.source()


def segments(capture: Capture, **options: Any) -> list[wire.Packet]:
    """The capture as TCP segments."""
    return wire.conversation(chunks(capture), **options)


def as_pcap(packets: Sequence[wire.Packet], path: wire.Path | None = None) -> bytes:
    """Segments as a pcap file."""
    return wire.pcap(wire.frames(packets, path))


def told(stream: Iterable[Item]) -> list[dict[str, Any]]:
    """Items as JSON objects without what differs between captures of the same traffic: connection and
    latency."""
    out = []
    for item in stream:
        if item.type == "END":  # only packets tell it
            continue
        shown = json_object(item, show_latency=False)
        del shown["connection"]
        out.append(shown)
    return out


def decoded(data: bytes, **options: Any) -> list[dict[str, Any]]:
    """What a capture file tells."""
    return told(items(open_source(data, **options)))
