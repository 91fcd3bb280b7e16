"""Frames in words, one line a field, and the lines in which two frames differ; for the errors of a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from dqlitewire.explain import Span, explain
from dqlitewire.header import frame_size_at

__all__ = ["differences", "frame_lines", "frame_title"]

_ELIDED = 60


def frame_lines(frame: bytes, *, is_request: bool) -> list[str]:
    """Describe a frame: its title, and behind it each field on its own line."""
    root = explain(frame, is_request=is_request)
    fields = [line for child in root.children[1:] for line in _spans(child, child.name)]
    return [f"{root.name}, schema {frame[5]}, {len(frame)} bytes", *(f"  {line}" for line in fields)]


def frame_title(data: bytes) -> str:
    """Describe what a server sends in one line: a frame by its title, other bytes by the first of them."""
    if len(data) >= 8 and len(data) == frame_size_at(data):
        return frame_lines(data, is_request=False)[0]
    return f"{len(data)} bytes: {data[:24].hex(' ', 8)}"


def differences(wanted: Sequence[str], got: Sequence[str]) -> Iterator[str]:
    """Yield the lines of both: equal ones behind "  ", expected ones behind "- ", got ones behind "+ "."""
    # line by line, for fields come in the same order: to align hundreds of lines takes difflib minutes
    for old, new in zip_longest(wanted, got):
        if old == new:
            yield f"  {new}"
            continue
        if old is not None:
            yield f"- {old}"
        if new is not None:
            yield f"+ {new}"


def _spans(span: Span, path: str) -> Iterator[str]:
    if not span.children:
        yield f"{path} = {_shown(span.value)}"
    for child in span.children:
        yield from _spans(
            child, f"{path}{child.name}" if child.name.startswith("[") else f"{path}.{child.name}"
        )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _ELIDED else f"{text[: _ELIDED - 2]}.."
