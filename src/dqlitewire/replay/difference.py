"""What differs between two messages, in lines for people: `-` what was recorded, `+` what came."""

from __future__ import annotations

from collections.abc import Iterator

from dqlitewire import Message
from dqlitewire.header import type_name
from dqlitewire.replay.sameness import decoded
from dqlitewire.text import printable
from dqlitewire.traffic.views.literals import fields_of, value
from dqlitewire.traffic.views.summary import summarise

__all__ = ["bytes_lines", "field_lines", "frame_lines", "pair", "shown_frame"]

WIDTH = 60  # characters of a value that are shown
_BEFORE = 20  # of them, before the first that differs
_BYTES = 16


def frame_lines(recorded: bytes, got: bytes, is_request: bool = True) -> Iterator[str]:
    """Yield lines that tell two frames of one direction apart.

    Args:
        recorded: the recorded frame.
        got: the frame that came.
        is_request: whether clients send them.
    """
    was, now = decoded(recorded, is_request), decoded(got, is_request)
    if was is None or now is None:
        if recorded[4:6] != got[4:6]:
            yield from (f"- {shown_frame(recorded, is_request)}", f"+ {shown_frame(got, is_request)}")
        yield from bytes_lines(recorded, got)
    elif type(was) is not type(now):
        yield from (f"- {shown_frame(recorded, is_request)}", f"+ {shown_frame(got, is_request)}")
    else:
        found = list(field_lines(was, now))
        if recorded[5] != got[5]:
            found += pair("schema", recorded[5], got[5])
        yield from found or bytes_lines(recorded, got)


def field_lines(was: Message, now: Message) -> Iterator[str]:
    """Yield two lines for each field that differs between two messages of a type."""
    for (name, before), (_, after) in zip(fields_of(was), fields_of(now), strict=True):
        if before != after or repr(before) != repr(after):
            yield from pair(name, before, after)


def pair(name: str, before: object, after: object) -> Iterator[str]:
    """Yield two lines for two values, cut to where they differ."""
    if isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)):
        yield from _listed(name, list(before), list(after))  # pyright: ignore[reportUnknownArgumentType]
        return
    if isinstance(before, str) and isinstance(after, str):
        start = max(0, _first_difference(before, after) - _BEFORE)
        if max(len(before), len(after)) <= WIDTH:
            start = 0
        lead = "…" if start else ""
        before, after = lead + before[start:], lead + after[start:]
    yield f"- {name} {value(before, WIDTH)}"
    yield f"+ {name} {value(after, WIDTH)}"


def _listed(name: str, before: list[object], after: list[object]) -> Iterator[str]:
    if len(before) != len(after):
        yield f"- {name} of {len(before)}: {value(tuple(before))}"
        yield f"+ {name} of {len(after)}: {value(tuple(after))}"
        return
    for number, (was, now) in enumerate(zip(before, after, strict=True), 1):
        if was != now or type(was) is not type(now):
            yield from pair(f"{name} {number}", was, now)


def _first_difference(one: str, other: str) -> int:
    """How many characters are the same in front."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def bytes_lines(recorded: bytes, got: bytes) -> Iterator[str]:
    """Yield lines that show where two runs of bytes differ first."""
    at = _first_difference(recorded.decode("latin-1"), got.decode("latin-1")) // 8 * 8
    yield f"- {len(recorded)} bytes, from {at}: {recorded[at : at + _BYTES].hex(' ') or 'nothing'}"
    yield f"+ {len(got)} bytes, from {at}: {got[at : at + _BYTES].hex(' ') or 'nothing'}"


def shown_frame(frame: bytes, is_request: bool = True, width: int = 100) -> str:
    """Return a frame on a line: its type and what it says.

    Args:
        frame: the frame; of one that does not decode its first bytes are shown.
        is_request: whether clients send it.
        width: characters for what it says.
    """
    name = type_name(frame[4], is_request) if len(frame) > 4 else "no frame"
    message = decoded(frame, is_request)
    text = frame[:_BYTES].hex(" ") if message is None else summarise(message, width)
    return printable(f"{name}  {text}".rstrip())
