"""Show what each byte of a frame is."""

from __future__ import annotations

from .checks import check_version, whole_bytes
from .constants import HEADER_SIZE, PROTOCOL_VERSION
from .declare.cursor import Cursor
from .declare.declared import check_header_schema, unknown_type
from .exceptions import DecodeError, without_trace
from .header import HEADER, frame_size, type_name
from .limits import DEFAULT_OPTIONS, Limits, Options
from .messages import REGISTRY
from .parts import Parts, Span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Span", "explain"]


def explain(
    frame: bytes, *, is_request: bool, version: int = PROTOCOL_VERSION, limits: Limits | None = None
) -> Span:
    """Return a frame's parts as a tree of byte ranges; bytes that are wrong are part of it, never an error.

    What is held is the frame and at most two bytes more for each byte of it; what a `Span` shows is read from
    the frame when it is asked for.

    Args:
        frame: header and body, perhaps cut short or with bytes behind it.
        is_request: whether it goes from client to server.
        version: of the handshake; the legacy one changes the answer to LEADER.
        limits: caps; by default the usual ones.

    Returns:
        The root, named by the message type. What could not be read is a child named "undecoded", and the
        root's `error` says why.

    Raises:
        HandshakeError: an unknown version.
        TypeError: `frame` is not bytes.
    """
    check_version(version)
    data = whole_bytes(frame)
    error: DecodeError | None = None
    if len(data) < HEADER_SIZE:
        parts = Parts(data, DEFAULT_OPTIONS, 0)
        parts.note("undecoded", 0, len(data), "bytes")
        error = DecodeError(f"got {len(data)} bytes, a header of 8 is needed", path="Header", offset=0)
        return Span("frame", 0, len(data), children=parts, error=error)
    words, code, schema, _ = HEADER.unpack_from(data)
    announced = frame_size(words)
    end = min(announced, len(data))
    cursor = Cursor(data, HEADER_SIZE, end, Options(limits, "backslashreplace", "accept"), "Header", schema)
    parts = _begin(cursor)
    try:
        _read(cursor, REGISTRY.get((is_request, code)), code, version, is_request)
        if end < announced:
            raise DecodeError(
                f"got {end} bytes of a frame of {announced}", path="Header.size_words", offset=0
            )
        if end < len(data):
            raise DecodeError(f"got {len(data) - end} bytes behind the frame", path=cursor.path, offset=end)
    except DecodeError as found:
        error = without_trace(found)
    parts = cursor.parts or parts
    if parts.end < len(data):
        parts.note("undecoded", parts.end, len(data), "bytes")
    return Span(type_name(code, is_request), 0, len(data), children=parts, error=error)


def _begin(cursor: Cursor) -> Parts:
    """Begin at the header, with no parts but that."""
    cursor.pos = HEADER_SIZE
    cursor.parts = parts = Parts(cursor.data, cursor.options, cursor.schema)
    parts.note("header", 0, HEADER_SIZE, "header")
    return parts


def _read(cursor: Cursor, cls: Any, code: int, version: int, is_request: bool) -> None:
    """Read a body to its end in the first layout that fits; where none does, as far as the first one goes."""
    if cls is None:
        raise unknown_type(code, is_request)
    cursor.path = cls.__name__
    check_header_schema(cls, cursor.schema)
    first, *others = cls._layouts(version)
    if others and any(_reads_whole(layout, cursor) for layout in (first, *others)):
        return
    first(cursor)
    cursor.finish()


def _reads_whole(layout: Callable[[Cursor], object], cursor: Cursor) -> bool:
    """Read a body in a layout; if it does not fit, begin again and return False."""
    path = cursor.path
    try:
        layout(cursor)
        cursor.finish()
    except DecodeError:
        cursor.path = path
        _begin(cursor)
        return False
    return True
