"""A frame's bytes with names: as an indented tree of byte ranges, or as a hexdump with the names in the
margin. Offsets are hexadecimal and count from the frame's start; numbers that have a name are shown with it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import count, groupby, islice
from typing import Any

from dqlitewire import DecodeError, NodeRole, ValueType
from dqlitewire.conversation import failure_name
from dqlitewire.explain import Span
from dqlitewire.raft import RaftRole
from dqlitewire.text import printable
from dqlitewire.traffic.shorten import elide, middle, one_line
from dqlitewire.traffic.views.literals import value

MAX_CHILDREN = 64  # of one part, before the rest is counted instead
NARROW = 60  # columns, below which names and values stand on lines of their own


def tree(
    span: Span, width: int = 100, max_rows: int | None = MAX_CHILDREN, max_children: int | None = MAX_CHILDREN
) -> Iterator[str]:
    """Yield the lines of a tree: byte range in hex, name, value.

    Args:
        span: the frame explained.
        width: lines are cut to it; below `NARROW`, a value that does not fit has lines of its own.
        max_rows: rows that are shown; the others are counted.
        max_children: the same for the parts of anything else, such as columns.
    """
    digits = _digits(span.end)
    for part, depth, left_out, known in _walk(span, 0, (max_rows, max_children), span.name):
        blank = " " * (2 * digits + 7 + 2 * depth)
        if left_out:
            yield f"{blank}… {left_out} more"
            continue
        label = f"0x{part.start:0{digits}x}-0x{part.end:0{digits}x}  {'  ' * depth}{part.name}"
        shown = printable(value_of(part, max(width, NARROW), known))
        if width < NARROW and len(label) + 1 + len(shown) > width:
            yield elide(printable(label), width)
            yield from _wrapped(shown, "  " * (depth + 1), width)
        else:
            yield elide(f"{printable(label)} {shown}".rstrip(), width)
    if span.error is not None:
        yield from _wrong(span.error, digits, width)


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 2 * len(indent)), initial_indent=indent, subsequent_indent=indent)


def _wrong(error: DecodeError, digits: int, width: int) -> list[str]:
    """What is wrong with a frame; the offset as it stands in the ranges above."""
    said = str(error)
    if error.offset is not None:
        said = said.removesuffix(f"at offset {error.offset}") + f"at 0x{error.offset:0{digits}x}"
    if width < NARROW:
        return _wrapped(printable(f"! {said}"), "  ", width)
    return [elide(printable(f"{' ' * (2 * digits + 7)}! {said}"), width)]


def _digits(end: int) -> int:
    return max(4, len(f"{end:x}"))


#: a part with its depth, how many like it were left out, and the name of its type where its value tells none
_Step = tuple[Span, int, int, str]


def _walk(span: Span, depth: int, limits: tuple[int | None, int | None], known: str) -> Iterator[_Step]:
    yield span, depth, 0, known
    if span.name == "header":
        return
    kinds = _kinds(span)
    for name, group in groupby(span.children, lambda child: child.name.partition("[")[0]):
        limit, seen = limits[name != "rows"], 0
        for child in group:  # one at a time: a frame may have very many
            if limit is None or seen < limit:
                yield from _walk(child, depth + 1, limits, _known(span, child, seen, kinds))
            seen += 1
        if limit is not None and seen > limit:
            yield span, depth + 1, seen - limit, ""


def _kinds(span: Span) -> Sequence[int]:
    """The types of the values of a tuple; none of anything else."""
    if not (span.name == "params" or span.name.startswith("rows[")):
        return ()
    types = next((child.value for child in islice(span.children, 2) if child.name == "types"), None)
    return types or ()


def _known(parent: Span, child: Span, at: int, kinds: Sequence[int]) -> str:
    """The name of a part's type where it stands elsewhere: in the root, or in front of the values."""
    if child.name == "header":
        return parent.name
    return ValueType(kinds[at]).name if child.name.startswith("[") and at < len(kinds) else ""


def value_of(span: Span, width: int = 60, known: str = "") -> str:
    """The value of a part, in words.

    Args:
        span: the part.
        width: columns of the line that it stands in.
        known: the name of its type; of a header, that of the message.
    """
    room = max(16, width - 24)
    if span.name == "header" and span.children:
        return ", ".join(
            f"{part.name} {part.value}" + (f" ({known})" if part.name == "msg_type" and known else "")
            for part in span.children
            if part.name != "reserved" or part.value
        )
    held: Any = span.value
    if span.name == "params" or span.name.startswith("rows["):
        return "(" + ", ".join(value(item, 20) for item in held or ()) + ")"
    match held:
        case None if not span.name.startswith("["):  # a cell is NULL, anything else has no value
            return ""
        case None:
            return value(held)
        case str() if span.name == "sql":
            return middle(one_line(held), room)
        case str() if span.name == "marker":
            return held
        case [*kinds] if span.name == "types":
            return ", ".join(ValueType(kind).name for kind in kinds)
        case int() if span.name in _NAMES:
            return f"{int(held)}{_NAMES[span.name](held, span.end - span.start)}"
        case _:
            return f"{known} {value(held, room)}".lstrip()


def _role(number: int, size: int) -> str:
    """The name of a role, by raft's numbers where it is a byte."""
    roles = RaftRole if size == 1 else NodeRole
    return next((f" ({role.name})" for role in roles if role == number), "")


def _code(number: int, size: int) -> str:
    return f" ({failure_name(number)})" if number else ""  # 0 is no SQLITE_OK here


#: field that holds a number -> the name of the number, by its bytes; in front of it is a blank
_NAMES: dict[str, Callable[[int, int], str]] = {"role": _role, "code": _code}


def hexdump(
    data: bytes, span: Span | None = None, width: int = 100, max_bytes: int | None = 4096
) -> Iterator[str]:
    """Yield a hexdump, a word (8 bytes) a line, with the parts that begin in it in the margin.

    Args:
        data: the bytes.
        span: the frame explained; None for bytes that are no frame.
        width: lines are cut to it; below `NARROW`, names stand in front of the words.
        max_bytes: after so many, only the last line is shown.
    """
    size = len(data) if max_bytes is None or len(data) <= max_bytes else max_bytes
    names = _margin(span, size) if span is not None else {}
    last = max(size, (len(data) - 1) & ~7)
    digits = _digits(len(data))
    for at in (*range(0, size, 8), *([last] if size < len(data) else ())):
        if at >= size:
            yield f"  … {last - size} bytes"
        name, row = names.get(at, ""), data[at : at + 8]
        if width < NARROW and name:
            yield from _wrapped(printable(name), "  ", width)
            name = ""
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        gap = "  " if width >= NARROW else " "
        shown = f"{gap[1:]} 0x{at:0{digits}x}{gap}{row.hex(' '):23}{gap}{text:8}{gap}{name}"
        yield elide(printable(shown).rstrip(), width)


def _margin(span: Span, size: int) -> dict[int, str]:
    """Word offset -> what begins there, for the words that are shown: the first ones, and the last."""
    names: dict[int, list[str]] = {}
    last = (span.end - 1) & ~7
    for leaf, path, known in _leaves(span, "", size, last):
        names.setdefault(leaf.start & ~7, []).append(f"{path}{leaf.name} {value_of(leaf, 60, known)}".strip())
    return {at: ", ".join(parts) for at, parts in names.items()}


def _leaves(span: Span, path: str, size: int, last: int) -> Iterator[tuple[Span, str, str]]:
    """Yield what begins before `size` or in the last word, with its path and the name of its type."""
    kinds, cells = _kinds(span), count()
    for child in span.children:
        known = _known(span, child, next(cells) if child.name.startswith("[") else 0, kinds)
        if child.start >= size and child.end <= last:
            continue
        if child.children and child.name != "header":
            for leaf, inner, kind in _leaves(child, "", size, last):
                dot = "" if f"{inner}{leaf.name}".startswith("[") else "."
                yield leaf, f"{path}{child.name}{dot}{inner}", kind
        elif child.start < size or child.start >= last:
            yield child, path, known
