"""An item as a JSON object; docs/traffic.md describes the keys."""

from __future__ import annotations

from typing import Any

from dqlitewire.messages import FailureResponse
from dqlitewire.traffic.items import Item
from dqlitewire.traffic.sources.transcript import NAMES, json_line
from dqlitewire.traffic.views.json_fields import fields
from dqlitewire.traffic.views.lookup import explain_answer

PREVIEW = 64  # bytes of what is no message


def json_object(item: Item, limit_rows: int | None = None, show_latency: bool = True) -> dict[str, Any]:
    """Return an item as a JSON object, without its time."""
    out: dict[str, Any] = {
        "connection": item.connection.number,
        "direction": NAMES[item.side],
        "type": item.type,
        "schema": item.schema,
        "fields": None,
        "code": item.code,
        "offset": item.offset,
        "size": item.size,
        "exchange": item.exchange,
    }
    if show_latency and item.latency is not None and item.connection.timed:
        out["latency_ms"] = round(item.latency / 1e6, 6)
    message = item.message
    if message is not None:
        out["fields"] = fields(message, limit_rows)
        if isinstance(message, FailureResponse):
            out["meaning"] = _meaning(item, message)
        if item.is_request and item.sql is not None and not hasattr(message, "sql"):
            out["sql"] = item.sql
        return out
    if item.error is not None:
        out["error"] = str(item.error)
    if item.note:
        out["note"] = item.note
    if item.type == "UNANSWERED" and item.sql is not None:
        out["sql"] = item.sql
    if item.data:
        out["bytes"] = item.data[:PREVIEW].hex()
    return out


def _meaning(item: Item, failure: FailureResponse) -> dict[str, str]:
    info = explain_answer(item.over[0] if item.over else None, failure.code, failure.message)
    return {
        "name": info.name,
        "meaning": info.meaning,
        "outcome": info.outcome.value,
        "retry": info.retry.value,
    }


def json_text(item: Item, limit_rows: int | None = None, show_time: bool = True) -> str:
    """Return an item as one line of JSON."""
    time = item.time if show_time and item.connection.timed and item.time else None
    return json_line(time, json_object(item, limit_rows, show_time))
