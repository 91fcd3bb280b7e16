"""Show what each byte of a frame is."""

from __future__ import annotations

from .constants import (
    HEADER_SIZE,
    PROTOCOL_VERSION,
    PROTOCOL_VERSION_LEGACY,
    RequestType,
    ResponseType,
    ValueType,
)
from .cursor import Cursor, Span
from .exceptions import DecodeError
from .limits import Limits, Options
from .messages import REGISTRY
from .messages.base import HEADER
from .messages.responses import ServersResponse, read_legacy_leader
from .types import read_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Span", "explain"]


def explain(
    frame: bytes, *, is_request: bool, version: int = PROTOCOL_VERSION, limits: Limits | None = None
) -> Span:
    """Return a frame's parts as a tree of byte ranges; bytes that are wrong are part of it, never an error.

    Args:
        frame: header and body, perhaps cut short or with bytes behind it.
        is_request: whether it goes from client to server.
        version: of the handshake; the legacy one changes the answer to LEADER.
        limits: caps; by default the usual ones.

    Returns:
        The root, named by the message type. What could not be read is a child named "undecoded", and the
        root's `error` says why.
    """
    data = bytes(frame)
    root = Span("frame", 0, len(data))
    if len(data) < HEADER_SIZE:
        root.children.append(Span("undecoded", 0, len(data), data))
        root.error = DecodeError(f"got {len(data)} bytes, a header of 8 is needed", path="Header", offset=0)
        return root
    words, code, schema, reserved = HEADER.unpack_from(data)
    names = [Span("size_words", 0, 4, words), Span("msg_type", 4, 5, code), Span("schema", 5, 6, schema)]
    root.children.append(Span("header", 0, 8, children=[*names, Span("reserved", 6, 8, reserved)]))
    known = RequestType if is_request else ResponseType
    root.name = known(code).name if code in known._value2member_map_ else f"type {code}"
    end = min(8 + 8 * words, len(data))
    spans: list[Span] = []
    cursor = Cursor(data, 8, end, Options(limits, "backslashreplace", "accept"), root.name, schema, spans)
    try:
        _read(cursor, REGISTRY.get((is_request, code)), code, version, is_request)
        cursor.finish()
        if end < 8 + 8 * words:
            raise DecodeError(
                f"got {end} bytes of a frame of {8 + 8 * words}", path="Header.size_words", offset=0
            )
        if end < len(data):
            raise DecodeError(f"got {len(data) - end} bytes behind the frame", path=root.name, offset=end)
    except DecodeError as error:
        root.error = error
    for span in spans:
        if span.name == "params":
            _divide_params(span, cursor)
    root.children += spans
    reached = max((span.end for span in root.children), default=8)
    if reached < len(data):
        root.children.append(Span("undecoded", reached, len(data), data[reached:]))
    return root


def _divide_params(span: Span, cursor: Cursor) -> None:
    """Note the parts of a parameter tuple, which has been read whole."""
    data, start, options = cursor.data, span.start, cursor.options
    size = 4 if cursor.schema else 1
    count = int.from_bytes(data[start : start + size], "little")
    types = [ValueType(code) for code in data[start + size : start + size + count]]
    at = start + size + count
    at += -at % 8
    span.children = [Span("count", start, start + size, count), Span("types", start + size, at, tuple(types))]
    for i, kind in enumerate(types):
        begin = at
        value, at = read_value(
            kind, data, at, span.end, options.max_text_value_size, options.max_blob_size, options.text_errors
        )
        span.children.append(Span(f"[{i}]", begin, at, value))


def _read(cursor: Cursor, cls: Any, code: int, version: int, is_request: bool) -> None:
    if cls is None:
        raise DecodeError(f"unknown type {code}", path="Header.msg_type", offset=4)
    cursor.path = cls.__name__
    if cursor.schema not in cls.SCHEMAS:
        allowed = " and ".join(map(str, cls.SCHEMAS))
        raise DecodeError(f"schema {cursor.schema}, allowed {allowed}", path="Header.schema", offset=5)
    if not is_request and code == ResponseType.LEADER and version == PROTOCOL_VERSION_LEGACY:
        read_legacy_leader(cursor.data, cursor.end, cursor.options, cursor.spans)
        cursor.pos = cursor.end
    elif cls is ServersResponse:
        _read_servers(cursor)
    else:
        cls._read(cursor)


def _read_servers(cursor: Cursor) -> None:
    """Read SERVERS in the format that fits: the frame does not say which was asked for."""
    spans: list[Span] | None = cursor.spans
    for format in (1, 0):
        cursor.pos, cursor.spans = 8, list[Span]()
        try:
            ServersResponse._read(cursor, format)
            cursor.finish()
            break
        except DecodeError:
            if format == 0:
                cursor.pos, cursor.spans = 8, list[Span]()
                ServersResponse._read(cursor, 1)
        finally:
            if spans is not None and cursor.spans is not None:
                spans[:] = cursor.spans
    cursor.spans = spans
