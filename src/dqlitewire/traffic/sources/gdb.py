"""Memory as gdb's `x/xb` prints it: an address, perhaps the name of a place, and bytes.

    0x7ffff7d0: 0x01 0x00 0x00 0x00 0x00 0x00 0x00 0x00

Other formats of `x` print words, whose bytes are swapped on some machines: they are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dqlitewire.traffic.errors import SourceError

_LINE = re.compile(r"[^\r\n]+")
_GDB = re.compile(r"(?:=> )?(0x[0-9a-fA-F]+)(?:[ \t]+<[^>]*>)?:[ \t]*(\S.*)")
_GDB_BYTE = re.compile(r"0x[0-9a-fA-F]{2}")


def read_gdb(text: str) -> bytes | None:
    """Return the bytes that gdb's `x/xb` has printed, None of any other text.

    Args:
        text: any text.

    Raises:
        SourceError: it is another format of gdb's, or lines are missing.
    """
    out = bytearray()
    start: int | None = None
    for address, rest in _gdb_lines(text):
        cells = rest.split()
        if start is None:
            start = address
            if not cells[0].startswith("0x") and "'" not in rest and '"' not in rest and "<" not in text:
                return None  # `0x0000:  4500 003c` is tcpdump's
        if not all(map(_GDB_BYTE.fullmatch, cells)):
            raise SourceError("gdb's output in another format than bytes", "print bytes: `x/64xb ADDRESS`")
        if address != start + len(out):
            raise SourceError("gdb's output with lines missing", "paste all of it")
        out += bytes(int(cell, 16) for cell in cells)
    return bytes(out) if start is not None else None


def _gdb_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines, if all are gdb's."""
    found: list[tuple[int, str]] = []
    for line in _LINE.finditer(text):
        if not line[0].strip():
            continue
        match = _GDB.fullmatch(line[0].strip())
        if match is None:
            return
        found.append((int(match[1], 16), match[2]))
    yield from found
