"""An item as a line of a transcript: its bytes, and beside them its fields, for people and for `grep`."""

from __future__ import annotations

from typing import Any

from dqlitewire.traffic.item import Item
from dqlitewire.traffic.sources.transcript_writer import TranscriptWriter
from dqlitewire.traffic.views.json_object import json_object

#: the keys of `decode --json` that stand beside the bytes
BESIDE = frozenset({"type", "schema", "fields", "note", "error"})
_KINDS = frozenset({"HANDSHAKE", "HTTP", "TLS", "RAFT"})  # types that do not say all; their notes do


def record(writer: TranscriptWriter, item: Item, picked: bool = False) -> None:
    """Write an item to a transcript; that a request has no answer is no traffic, and follows from the rest.

    Args:
        writer: gets its line.
        item: the item.
        picked: it was picked out of more, so that not everything about it follows from what is written.

    Raises:
        OSError: the file takes no more.
        PoisonedError: an earlier call was interrupted, or failed at the file.
    """
    # 0 is a time that is unknown, on a connection whose other times are known
    time = item.time if item.connection.timed else None
    if item.type == "GAP":
        writer.gap(item.connection, item.side, item.size or None, time)
    elif item.type == "END":
        writer.end(item.connection, item.side, time)
    elif item.taken is not None:
        kind, fault, on = item.taken
        writer.fault(item.connection, kind, fault, on, time)
    elif item.type == "UNANSWERED":
        if picked:
            writer.unanswered(item.connection, time, {"type": item.note, **_told(item)})
    else:
        beside = {key: told for key, told in json_object(item).items() if key in BESIDE}
        if item.type in _KINDS:
            beside["kind"] = item.note
        frame = item.frame or item.raft
        if frame is not None and frame.damaged:
            beside["damaged"] = True
        if picked:
            beside |= _told(item)
        data, sent = (b"", item.data) if item.made else (item.data, item.sent)
        writer.frame(item.connection, item.side, data, time, beside, last=item.last, sent=sent)
        if frame is not None and frame.left_out:  # was not kept
            writer.gap(item.connection, item.side, frame.left_out, time)
        if item.type == "INCOMPLETE":
            writer.end(item.connection, item.side, time)


def _told(item: Item) -> dict[str, Any]:
    """What is known of an item from those around it."""
    told: dict[str, Any] = {
        "offset": item.offset,
        "exchange": item.exchange,
        "latency": item.latency,
        "text": item.sql,
    }
    if item.answers is not None:
        told["answers"] = list(item.answers)
    return {key: value for key, value in told.items() if value is not None}
