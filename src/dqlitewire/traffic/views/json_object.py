"""An item as a JSON object; docs/guides/traffic.md describes the keys.

The fields of a message have the names and the order of its constructor, so what is shown in JSON is what the
library would take. Text and numbers stand for themselves, a BLOB is `{"blob": HEX}`, a float JSON cannot
write is `{"float": "nan"}`, text that is not UTF-8 keeps its bytes as `\\xNN`, a node's role is its name. A
message whose fields are better written another way has a function in `_FIELDS`.

What a program decides by is a token: lower case, letters and underscores (`token`). docs/schema has all of
them; tools/drawn/schema draws it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from dqlitewire import Message, NodeInfo, ValueType, messages
from dqlitewire.conversation import Ending
from dqlitewire.traffic.failures import explain_answer
from dqlitewire.traffic.item import Item, frame_of
from dqlitewire.traffic.reading import PREAMBLES, TOO_LARGE
from dqlitewire.traffic.sources.transcript import DIRECTION_OF, json_line
from dqlitewire.traffic.views.literals import fields_of
from dqlitewire.traffic.views.raft import raft_fields

PREVIEW = 64  # bytes of what is no message


def json_object(item: Item, limit_rows: int | None = None, show_latency: bool = True) -> dict[str, Any]:
    """Return an item as a JSON object, without its time.

    Args:
        item: the item.
        limit_rows: of a ROWS message, give at most so many rows.
        show_latency: give `latency_ms` of an answer.
    """
    out: dict[str, Any] = {
        "connection": item.connection.number,
        "direction": DIRECTION_OF[item.side],
        "type": item.type,
        "schema": item.schema,
        "fields": None,
        "code": item.code,
        "offset": item.offset,
        "size": item.size,
        "exchange": item.exchange,
    }
    if item.connection.source:
        out["source"] = item.connection.source
    if item.probe:
        out["probe"] = True
    if item.answers is not None:
        out["answers"] = item.answers._asdict()
    if show_latency and item.latency is not None and item.connection.timed:
        out["latency_ms"] = round(item.latency / 1e6, 6)
    if item.taken is not None:
        out["fault"] = item.taken._asdict()
    if item.change:
        out["change"] = item.change
    if item.sent is not None:
        out["sent"] = _sent(item, item.sent, limit_rows)
    message = item.message
    if message is not None:
        out["fields"] = fields(message, limit_rows)
        if isinstance(message, messages.FailureResponse):
            out["meaning"] = _meaning(item, message)
        if item.is_request and item.sql is not None and not hasattr(message, "sql"):
            out["sql"] = item.sql
        return out
    if item.raft_message is not None:
        out["fields"] = raft_fields(item.raft_message)
        return out
    if item.error is not None and item.strange:
        out["error"] = str(item.error)
    if item.note:
        out["note"] = _NOTES.get(item.note, item.note)
    if item.type == "UNANSWERED" and item.sql is not None:
        out["sql"] = item.sql
    if item.data:
        out["bytes"] = item.data[:PREVIEW].hex()
    return out


def _sent(item: Item, sent: bytes, limit_rows: int | None) -> dict[str, Any]:
    frame = frame_of(item, sent)
    out: dict[str, Any] = {"type": None if frame is None else frame.type_name, "size": len(sent)}
    message = None if frame is None else frame.message
    if message is not None:
        out["fields"] = fields(message, limit_rows)
    elif sent:
        out["bytes"] = sent[:PREVIEW].hex()
    return out


def _meaning(item: Item, failure: messages.FailureResponse) -> dict[str, str]:
    info = explain_answer(item.over[0] if item.over else None, failure.code, failure.message)
    return {
        "name": info.name,
        "meaning": info.meaning,
        "outcome": token(info.outcome.name),
        "retry": token(info.retry.name),
    }


def token(words: str) -> str:
    """Return some words of this package as a token.

    Args:
        words: the name of a member of an enum, or a fixed text.
    """
    return words.lower().replace(" ", "_")


#: the token of the note of a frame that is too large to be kept
LARGE = "too_large"
#: notes that are no tokens themselves: kinds of preamble, how a side closed, what is too large
_NOTES = {
    TOO_LARGE: LARGE,
    **{kind: token(kind) for kind in PREAMBLES},
    **{ending.value: token(ending.name) for ending in Ending},
}


def json_text(item: Item, limit_rows: int | None = None, show_time: bool = True) -> str:
    """Return an item as one line of JSON.

    Args:
        item: the item.
        limit_rows: of a ROWS message, give at most so many rows.
        show_time: give its time and latency; else the time is null.
    """
    time = item.time if show_time and item.connection.timed and item.time else None
    return json_line(time, json_object(item, limit_rows, show_time))


def fields(message: Message, limit_rows: int | None = None) -> dict[str, Any]:
    """Return the fields of a message, ready for `json.dumps`.

    Args:
        message: any message.
        limit_rows: of a ROWS message, give at most so many rows; `rows_left_out` then says how many are
            missing.
    """
    written = _FIELDS.get(type(message))
    if written is not None:
        return written(message, limit_rows)
    return {name: plain(held) for name, held in fields_of(message)}


def _rows(message: Any, limit: int | None) -> dict[str, Any]:
    rows = message.rows if limit is None else message.rows[:limit]
    out: dict[str, Any] = {
        "column_names": list(message.column_names),
        "column_types": [ValueType(kind).name for kind in message.column_types],
        "rows": [[plain(cell) for cell in row] for row in rows],
        "has_more": message.has_more,
    }
    if len(rows) < len(message.rows):
        out["rows_left_out"] = len(message.rows) - len(rows)
    return out


def _files(message: Any, _: int | None) -> dict[str, Any]:
    return {"files": [{"name": file, "size": len(data)} for file, data in message.files.items()]}


_FIELDS: dict[type[Message], Callable[[Any, int | None], dict[str, Any]]] = {
    messages.RowsResponse: _rows,
    messages.FilesResponse: _files,
}


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    match value:
        case bytes():
            return {"blob": value.hex()}
        case float() if not math.isfinite(value):
            return {"float": repr(value)}
        case str():
            return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        case Enum():
            return value.name
        case NodeInfo():
            return {"node_id": value.node_id, "address": plain(value.address), "role": value.role.name}
        case None | int() | float():
            return value
        case Mapping():
            return {str(plain(key)): plain(held) for key, held in value.items()}  # pyright: ignore
        case list() | tuple():
            return [plain(item) for item in value]  # pyright: ignore
        case _:
            return repr(value)
