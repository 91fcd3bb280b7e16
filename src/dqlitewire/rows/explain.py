"""Where the parts of a ROWS frame stand, for `dqlitewire.explain`."""

from __future__ import annotations

from ..header import ROW_MARKERS
from .read import PlainRows, column_count, column_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..limits import Options

    # name, first byte, first byte behind, kind (see `parts.py`), index
    Note = Callable[[str, int, int, str, int | None], None]

__all__ = ["explain_rows"]


def explain_rows(frame: bytes, end: int, options: Options, note: Note) -> int:
    """Note the byte ranges of a frame's parts as far as it can be read, and keep none of its values.

    Returns:
        The position behind the marker.

    Raises:
        DecodeError: the frame is wrong; what stands before that place was noted.
    """
    pos = 16
    if pos + 8 <= end:
        note("columns", 8, pos, "number", None)
    count = column_count(frame, end, options)
    for i, (_, after) in enumerate(column_names(frame, count, end, options)):
        note("column_names", pos, after, "text", i)
        pos = after
    plain = PlainRows(frame, pos, end, count, options)
    number = 0
    try:
        while plain.next() is not None:
            note("rows", plain.start, plain.pos, "row", number)
            number += 1
    finally:
        if plain.pos > plain.start:  # the marker, or a row that is cut short
            if frame[plain.start : plain.start + 8] in ROW_MARKERS:
                note("marker", plain.start, plain.pos, "marker", None)
            else:
                note("rows", plain.start, plain.pos, "row", number)
    return plain.pos
