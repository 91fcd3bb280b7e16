"""A frame's bytes with names: as an indented tree of byte ranges, or as a hexdump with the names in the
margin.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from dqlitewire import ValueType
from dqlitewire.explain import Span
from dqlitewire.text import printable
from dqlitewire.traffic.shorten import elide, one_line
from dqlitewire.traffic.views.literals import value

MAX_CHILDREN = 64  # of one part, before the rest is counted instead


def tree(
    span: Span, width: int = 100, max_rows: int | None = MAX_CHILDREN, max_children: int | None = MAX_CHILDREN
) -> Iterator[str]:
    """Yield the lines of a tree: byte range, name, value.

    Args:
        span: the frame explained.
        width: lines are cut to it.
        max_rows: rows that are shown; the others are counted.
        max_children: the same for the parts of anything else, such as columns.
    """
    for part, depth, left_out in _walk(span, 0, (max_rows, max_children)):
        if left_out:
            yield f"{'':13}{'  ' * depth}… {left_out} more"
            continue
        label = f"{part.start:05x}-{part.end:05x}  {'  ' * depth}{part.name}"
        shown = value_of(part, width)
        yield elide(printable(f"{label} {shown}").rstrip(), width)
    if span.error is not None:
        yield elide(printable(f"{'':13}! {span.error}"), width)


def _walk(span: Span, depth: int, limits: tuple[int | None, int | None]) -> Iterator[tuple[Span, int, int]]:
    yield span, depth, 0
    if span.name == "header":
        return
    for name, group in groupby(span.children, lambda child: child.name.partition("[")[0]):
        limit, count = limits[name != "rows"], 0
        for child in group:  # one at a time: a frame may have very many
            count += 1
            if limit is None or count <= limit:
                yield from _walk(child, depth + 1, limits)
        if limit is not None and count > limit:
            yield span, depth + 1, count - limit


def value_of(span: Span, width: int = 60) -> str:
    """The value of a part, in words.

    Args:
        span: the part.
        width: columns of the line that it stands in.
    """
    room = max(16, width - 24)
    if span.name == "header" and span.children:
        return ", ".join(
            f"{part.name} {part.value}" for part in span.children if part.name != "reserved" or part.value
        )
    held: Any = span.value
    if span.name == "params" or span.name.startswith("rows["):
        return "(" + ", ".join(value(item, 20) for item in held or ()) + ")"
    match held:
        case None if not span.name.startswith("["):  # a cell is NULL, anything else has no value
            return ""
        case str() if span.name == "sql":
            return elide(one_line(held), room)
        case str() if span.name == "marker":
            return held
        case [*kinds] if span.name == "types":
            return ", ".join(ValueType(kind).name for kind in kinds)
        case _:
            return value(held, room)


def hexdump(
    data: bytes, span: Span | None = None, width: int = 100, max_bytes: int | None = 4096
) -> Iterator[str]:
    """Yield a hexdump, a word (8 bytes) a line, with the parts that begin in it in the margin.

    Args:
        data: the bytes.
        span: the frame explained; None for bytes that are no frame.
        width: lines are cut to it.
        max_bytes: after so many, only the last line is shown.
    """
    size = len(data) if max_bytes is None or len(data) <= max_bytes else max_bytes
    names = _margin(span, size) if span is not None else {}
    for at in range(0, size, 8):
        yield _line(data, at, names.get(at, ""), width)
    if size < len(data):
        last = max(size, (len(data) - 1) & ~7)
        yield f"  … {last - size} bytes"
        yield _line(data, last, names.get(last, ""), width)


def _line(data: bytes, at: int, name: str, width: int) -> str:
    row = data[at : at + 8]
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return elide(printable(f"  {at:05x}  {row.hex(' '):23}  {text:8}  {name}").rstrip(), width)


def _margin(span: Span, size: int) -> dict[int, str]:
    """Word offset -> what begins there, for the words that are shown: the first ones, and the last."""
    names: dict[int, list[str]] = {}
    last = (span.end - 1) & ~7
    for leaf, path in _leaves(span, "", size, last):
        names.setdefault(leaf.start & ~7, []).append(f"{path}{leaf.name} {value_of(leaf, 60)}".strip())
    return {at: ", ".join(parts) for at, parts in names.items()}


def _leaves(span: Span, path: str, size: int, last: int) -> Iterator[tuple[Span, str]]:
    """Yield what begins before `size` or in the last word, with its path."""
    for child in span.children:
        if child.start >= size and child.end <= last:
            continue
        if child.children and child.name != "header":
            for leaf, inner in _leaves(child, "", size, last):
                yield leaf, f"{path}{child.name}{'' if f'{inner}{leaf.name}'.startswith('[') else '.'}{inner}"
        elif child.start < size or child.start >= last:
            yield child, path
