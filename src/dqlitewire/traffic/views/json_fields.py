"""The fields of a message as JSON values.

Names and order are those of the message's constructor, so what is shown in JSON is what the library would
take. Text and numbers stand for themselves, a BLOB is `{"blob": HEX}`, a float JSON cannot write is
`{"float": "nan"}`, text that is not UTF-8 keeps its bytes as `\\xNN`, a node's role is its name.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

from dqlitewire import Message, NodeInfo, ValueType, messages


def fields(message: Message, limit_rows: int | None = None) -> dict[str, Any]:
    """Return the fields of a message, ready for `json.dumps`.

    Args:
        limit_rows: of a ROWS message, give at most so many rows; `rows_left_out` then says how many are
            missing.
    """
    if isinstance(message, messages.RowsResponse):
        return _rows(message, limit_rows)
    if isinstance(message, messages.FilesResponse):
        return {"files": [{"name": file, "size": len(data)} for file, data in message.files.items()]}
    names: tuple[str, ...] = message.__match_args__
    return {name: plain(getattr(message, name)) for name in names if name not in _HIDDEN}


_HIDDEN = ("schema", "empty_header")


def _rows(message: messages.RowsResponse, limit: int | None) -> dict[str, Any]:
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
        case _:
            return (
                value if value is None or isinstance(value, (int, float)) else [plain(item) for item in value]
            )
