"""An item as a line of a transcript: its bytes, and beside them its fields, for people and for `grep`."""

from __future__ import annotations

from dqlitewire.traffic.item import Item
from dqlitewire.traffic.sources.transcript_writer import TranscriptWriter
from dqlitewire.traffic.views.json_object import json_object

#: the keys of `decode --json` that stand beside the bytes
BESIDE = frozenset({"type", "schema", "fields", "note", "error"})


def record(writer: TranscriptWriter, item: Item) -> None:
    """Write an item to a transcript; that a request has no answer is no traffic, and follows from the rest.

    Args:
        writer: gets its line.
        item: the item.

    Raises:
        OSError: the file takes no more.
        PoisonedError: an earlier call was interrupted, or failed at the file.
    """
    time = item.time if item.connection.timed else None
    if item.type == "GAP":
        writer.gap(item.connection, item.side, item.size or None, None)
    elif item.type == "END":
        writer.end(item.connection, item.side, time)
    elif item.type != "UNANSWERED":
        beside = {key: told for key, told in json_object(item).items() if key in BESIDE}
        writer.frame(item.connection, item.side, item.data, time, beside)
        if item.frame is not None and item.frame.left_out:  # was not kept
            writer.gap(item.connection, item.side, item.frame.left_out, None)
