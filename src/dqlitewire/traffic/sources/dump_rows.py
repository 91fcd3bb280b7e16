"""A line of a dump: what programs print behind the offset, and the readers that make bytes of it.

A reader raises ValueError for a line of another form. It need not be sure: `dumps` counts the bytes of all
lines, and takes a reading only if they add up with the offsets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dqlitewire.traffic.errors import SourceError

TOKEN = re.compile(r"\S+")
PAIR = re.compile(r"[0-9a-fA-F]{2}")
_GROUP = re.compile(r"(?:[0-9a-fA-F]{2})+")
_OCTAL = re.compile(r"[0-3][0-7]{2}")
_ESCAPES = {"\\0": 0, "\\a": 7, "\\b": 8, "\\t": 9, "\\n": 10, "\\v": 11, "\\f": 12, "\\r": 13, "\\\\": 92}


class Row(NamedTuple):
    """A line of a dump: its offset as written, whether a colon follows, the rest, whether a `*` follows."""

    offset: str
    colon: bool
    rest: str
    repeats: bool


class Place(NamedTuple):
    """What is known of a line from the others.

    Attributes:
        room: bytes up to the next offset; None if there is none, or if a `*` follows.
        width: where the cells of a full line end; None if there is none.
        group: bytes of the largest group of the dump.
    """

    room: int | None
    width: int | None
    group: int


# readers: the bytes of a line; ValueError if it has another form


def pairs(row: Row, place: Place) -> bytes:
    """Two digits a byte, one blank between them, two in the middle; what follows the last byte is text."""
    if row.colon:
        raise ValueError("a colon")
    cells: list[str] = []
    end = wide = 0
    for token in TOKEN.finditer(row.rest):
        gap = token.start() - end
        if cells and len(cells) == place.room and gap >= 2:
            break
        if place.room is None and cells and (gap > 2 or (place.width or token.end()) < token.end()):
            break
        if not PAIR.fullmatch(token[0]) or len(cells) == place.room:
            if place.room is None and cells and gap == 2:
                break
            raise ValueError("no pair of digits")
        if not cells and gap > (1 if len(row.offset) == 7 else 3):
            raise ValueError("not where bytes begin")
        wide += bool(cells) and gap > 1
        if wide > 1 + len(cells) // 8:
            raise ValueError("wide columns")
        cells.append(token[0])
        end = token.end()
    return bytes.fromhex("".join(cells))


def column_of(row: Row) -> str:
    """What stands between the colon and the text."""
    return row.rest.strip(" \t").partition("  ")[0]


def groups(row: Row, place: Place) -> bytes:
    """Groups of bytes in their order behind a colon, as xxd prints them, then two blanks and text."""
    column = column_of(row)
    groups = column.split()
    if not row.colon or not all(map(_GROUP.fullmatch, groups)):
        raise ValueError("no groups of digits")
    if _is_bits(row) and len(groups) == (place.room or len(groups)):
        raise ValueError("bits")
    data = bytes.fromhex("".join(groups))
    aside = row.rest.startswith("   ")  # the words of a short line stand on the right
    text = row.rest.strip(" \t")[len(column) :].rstrip()
    size = place.group
    turned = b"".join(data[at : at + size][::-1] for at in range(0, len(data), size))
    swapped = size > 1 and bool(text) and turned != data and _says(turned, row.rest)
    straight = not text or _says(data, row.rest)
    beside = not straight and _GROUP.fullmatch(text.split()[0]) and "  " in text.strip()  # more words
    if aside or beside or (swapped and (not straight or size in (4, 8))):
        raise SourceError(
            "a dump of words, or with another text than its bytes (`xxd -e`)", "print bytes: `xxd -g1`"
        )
    return data


def _says(data: bytes, line: str) -> bool:
    """Whether a line ends with what bytes look like as text, and nothing else stands between them."""
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
    line = line.ljust(len(shown) + 2) if shown.isspace() else line
    kept = line.rstrip()
    wanted = shown.rstrip()
    before = kept[: len(kept) - len(wanted)]
    return kept.endswith(wanted) and (before.endswith("  ") or not wanted or shown[0] == " ")


def _is_bits(row: Row) -> bool:
    column = column_of(row).split()
    if not all(len(bits) == 8 and not bits.strip("01") for bits in column):
        return False
    return bool(column) and _says(bytes(int(bits, 2) for bits in column), row.rest)


def bits(row: Row, place: Place) -> bytes:
    """Eight bits a byte, as `xxd -b` prints them."""
    if not row.colon or not _is_bits(row):
        raise ValueError("no bits")
    return bytes(int(bits, 2) for bits in column_of(row).split())


def octals(row: Row, place: Place) -> bytes:
    """Three octal digits a byte, as `od -b` prints them."""
    cells = row.rest.split()
    if row.colon or not all(map(_OCTAL.fullmatch, cells)):
        raise ValueError("no octal bytes")
    return bytes(int(cell, 8) for cell in cells)


def characters(row: Row, place: Place) -> bytes:
    """Four columns a byte, as `od -c` prints them: a character, an escape, or three octal digits."""
    cells = row.rest if place.room is None else row.rest[: 4 * place.room]
    if row.colon or len(cells) % 4 or row.rest[len(cells) :].strip():
        raise ValueError("no columns of four")
    return bytes(_character(cells[at : at + 4]) for at in range(0, len(cells), 4))


def stripped(row: Row, place: Place) -> bytes:
    """The same where the blanks at the end of a line, which may be bytes, have been stripped."""
    room = place.room or -(-len(row.rest) // 4)
    return characters(row._replace(rest=row.rest.ljust(4 * min(room, 16))), place)


def _character(cell: str) -> int:
    shown = cell[1:].lstrip(" ")
    if cell[0] != " " or not cell.isascii():
        raise ValueError("no cell")
    if len(shown) == 3 and _OCTAL.fullmatch(shown):
        return int(shown, 8)
    if len(shown) < 2:
        return ord(shown or " ")
    return _ESCAPES.get(shown, 256)  # which no byte is: ValueError


def check_certain(rows: Sequence[Row]) -> None:
    """Check that cells are not decimal (`od -tu1`), nor names of characters without their top bit (`od -a`).

    Raises:
        ValueError: they may be.
    """
    cells = {cell for row in rows for cell in row.rest.split()}
    octal = any(len(cell) == 3 and cell[0] == "0" for cell in cells)
    if not octal and not any(cell in _ESCAPES for cell in cells):
        raise ValueError("decimal, or names of characters")


Reader = Callable[[Row, Place], bytes]
READERS: tuple[Reader, ...] = (pairs, bits, groups, octals, characters)
STRIPPED: tuple[Reader, ...] = (stripped,)
