"""A line of a transcript, a .dqt file."""

from __future__ import annotations

from dqlitewire.conversation.observer.stream_events import CUT_KINDS
from dqlitewire.traffic.sources.transcript import SIDE_OF, VERSION
from tools.drawn.schema.words import (
    BOOL,
    COUNT,
    NUMBER,
    TEXT,
    Schema,
    array,
    maybe,
    one_of,
    page,
    record,
    said,
)

__all__ = ["transcript"]

BASE64: Schema = {"type": "string", "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}(==|[A-Za-z0-9+/]=))?$"}


def transcript() -> Schema:
    """Return the schema of a line of a transcript; keys that it does not name may be added."""
    time, number = maybe({**NUMBER, "minimum": 0}), COUNT
    where = {"time": time, "connection": number}
    way = {"direction": one_of(SIDE_OF)}
    begins = {"client": TEXT, "server": TEXT, "midstream": BOOL, "bare": BOOL}
    picked = {"offset": COUNT, "exchange": COUNT, "latency": {"type": "integer"}, "text": TEXT}
    picked["answers"] = said(
        {**array(COUNT), "minItems": 2, "maxItems": 2}, "connection and offset of an RPC"
    )
    again = {"repeated": said({"const": True}, "it stands in the part before too")}
    true = {"const": True}
    part = {"settled": true, "picked": true, "continued": true, "recording": TEXT, "part": COUNT}
    passed = {
        "last": said(time, "when the last byte passed"),
        "sent": said(BASE64, "what went on instead"),
        "type": TEXT,
        "fields": maybe({"type": "object"}),
        "error": TEXT,
        "kind": said(one_of(CUT_KINDS), "of what is no frame"),
        "damaged": said({"const": True}, "bytes of the frame were lost"),
        **picked,
    }
    gaps = {"whole": {"const": True}, "more": said(BOOL, "a large frame's end, which passed")}
    lines = [
        record({"dqt": {"const": VERSION}, "by": TEXT, "redacted": BOOL}, part),
        record({**where, **way, "bytes": BASE64}, {**passed, **again}),
        _event("open", {**where, **begins}, {"raft": BOOL, "alone": {"const": True}, "source": TEXT}),
        _event("gap", {**where, **way, "lost": maybe(COUNT)}, gaps),
        _event("end", {**where, **way}),
        _event("fault", {**where, "kind": TEXT, "fault": COUNT, "on": TEXT}),
        _event("unanswered", {**where, **way, "type": TEXT}, picked),
    ]
    return page("a line of a transcript (.dqt)", {"oneOf": [_open(line) for line in lines]}, {})


def _event(name: str, required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    again = {"repeated": said({"const": True}, "it stands in the part before too")}
    return record({**required, "event": {"const": name}}, {**(optional or {}), **again})


def _open(line: Schema) -> Schema:
    """The schema of a line to which keys may be added, but not those that make it another line."""
    del line["additionalProperties"]
    others = {"dqt", "bytes", "event"} - set(line["properties"])
    return {**line, "not": {"anyOf": [{"required": [key]} for key in sorted(others)]}}
