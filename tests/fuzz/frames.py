"""ROWS frames of every shape, packed by hand: nothing here calls the library's encoders.

A frame is drawn from a `random.Random` and comes with the names, types and values it must decode to.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from random import Random
from typing import Any

CODES = (1, 2, 3, 4, 5, 9, 10, 11)
FIXED = (1, 2, 5, 9, 11)
DONE, PART = b"\xff" * 8, b"\xee" * 8
WIDTHS = (
    1,
    2,
    3,
    5,
    7,
    8,
    9,
    15,
    16,
    17,
    31,
    32,
    33,
    47,
    64,
    65,
    127,
    128,
    255,
    256,
    257,
    258,
    1000,
    1999,
    2000,
)
SMALL = (1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 17, 18, 32, 33)

Codes = tuple[int, ...]
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Frame:
    """A ROWS frame, what it holds, and where its rows begin."""

    data: bytes
    names: list[str]
    types: list[Codes]
    rows: list[Row]
    more: bool = False
    starts: tuple[int, ...] = ()


# ---------------------------------------------------------------- packing


def text(value: str) -> bytes:
    data = value.encode()
    return data + bytes(8 - len(data) % 8)


def cell(code: int, value: Any, stray: bytes = b"") -> bytes:
    """One value; `stray` fills bytes that mean nothing."""
    if code in (1, 9):
        return struct.pack("<q", value)
    if code == 2:
        return struct.pack("<d", value)
    if code == 5:
        return stray or bytes(8)
    if code == 11:
        return struct.pack("<Q", int(value))
    if code == 4:
        return struct.pack("<Q", len(value)) + bytes(value) + stray[:1].rjust(1, b"\0") * (-len(value) % 8)
    return text(value)


def header(codes: Codes, stray: int = 0) -> bytes:
    """The type nibbles of a row; `stray` sets bits of the last byte and of the padding that mean nothing."""
    packed = bytearray((len(codes) + 15) // 16 * 8)
    for i, code in enumerate(codes):
        packed[i // 2] |= code << i % 2 * 4
    if len(codes) % 2:
        packed[len(codes) // 2] |= (stray & 15) << 4
    for i in range((len(codes) + 1) // 2, len(packed)):
        packed[i] = stray >> 4 & 0xFF
    return bytes(packed)


def framed(body: bytes, msg_type: int = 7, schema: int = 0) -> bytes:
    return struct.pack("<IBBH", len(body) // 8, msg_type, schema, 0) + body


def packed(
    names: list[str], types: list[Codes], rows: list[Row], more: bool = False, stray: Random | None = None
) -> Frame:
    """A frame of these rows; with `stray`, bits that mean nothing are set at random."""
    body = bytearray().join([struct.pack("<Q", len(names)), *map(text, names)])
    starts = []
    for codes, row in zip(types, rows, strict=True):
        starts.append(8 + len(body))
        body += header(codes, stray.choice((0, 0, stray.getrandbits(12))) if stray else 0)
        filler = stray.randbytes(8) if stray else b""
        for code, value in zip(codes, row, strict=True):
            body += cell(code, value, filler)
    body += PART if more else DONE
    return Frame(framed(bytes(body)), names, types, rows, more, tuple(starts))


# ---------------------------------------------------------------- drawing

INTEGERS = (0, 1, -1, 255, 2**31, 2**63 - 1, -(2**63), 0x0101010101010101, -1 ^ 0xFF)
FLOATS = (0.0, -0.0, 1.5, -2.5e300, 5e-324, math.inf, -math.inf, math.nan)
TEXTS = (
    "",
    "a",
    "sevench",
    "eightchr",
    "ninechars",
    "naïve",
    "日本語テキスト",
    "😀" * 5,
    "x" * 200,
    "\x01\x11\xff",
)
BLOBS = (b"", b"a", b"\xff" * 7, b"\xee" * 8, bytes(8), b"\x11" * 9, DONE + PART, bytes(range(256)))


def value_of(code: int, rng: Random) -> Any:
    if code in (1, 9):
        return rng.choice(INTEGERS) if rng.random() < 0.5 else rng.getrandbits(64) - 2**63
    if code == 2:
        return rng.choice(FLOATS)
    if code == 5:
        return None
    if code == 11:
        return rng.random() < 0.5
    long = rng.random() < 0.01
    if code == 4:
        return rng.randbytes(rng.randrange(5000)) if long else rng.choice(BLOBS)
    return rng.choice(("é", "z", "ab")) * rng.randrange(4000) if long else rng.choice(TEXTS)


LENGTHS = (0, 1, 6, 7, 8, 9, 20, 36, 254, 255, 256, 300)


def of_length(code: int, length: int, rng: Random) -> Any:
    """A text or blob of so many bytes."""
    if code == 4:
        return rng.randbytes(length) if rng.random() < 0.8 else bytes(length)
    wide = rng.choice(("é", "語", "😀")) if length >= 4 and rng.random() < 0.2 else ""
    return wide + rng.choice("abz~") * (length - len(wide.encode()))


def even_rows(types: list[Codes], rng: Random) -> list[Row]:
    """Rows whose texts and blobs keep their lengths, but for a few: often one shorter and one longer."""
    lengths = [rng.choice(LENGTHS) for _ in types[0]]
    odd = {}
    for change in rng.choice(((), (), (-1,), (1,), (-1, 1), (-1, 1, -1, 1), (8, -8), (-100,))):
        odd[rng.randrange(len(types)), rng.randrange(len(lengths))] = change
    rows = []
    for n, codes in enumerate(types):
        row = []
        for i, code in enumerate(codes):
            length = max(lengths[i] + odd.get((n, i), 0), 0)
            row.append(of_length(code, length, rng) if code in (3, 4, 10) else value_of(code, rng))
        rows.append(tuple(row))
    return rows


def codes_of(width: int, rng: Random) -> Codes:
    how = rng.randrange(6)
    if how == 0:
        return (rng.choice(CODES),) * width
    if how == 1:
        return tuple(rng.choice(FIXED) for _ in range(width))
    if how == 2:  # a text or blob behind many fixed columns, and the other way round
        cut = rng.randrange(width + 1)
        codes = [rng.choice(FIXED) for _ in range(cut)] + [rng.choice((3, 4, 10))] * (width - cut)
        return tuple(codes if rng.random() < 0.5 else codes[::-1])
    if how == 3:
        return tuple(rng.choice((3, 4, 10)) for _ in range(width))
    return tuple(rng.choice(CODES) for _ in range(width))


def near(codes: Codes, rng: Random) -> Codes:
    """Types that differ in one column."""
    at = rng.randrange(len(codes))
    return (*codes[:at], rng.choice(CODES), *codes[at + 1 :])


def types_of(width: int, count: int, rng: Random) -> list[Codes]:
    """Types for each row: one for all, taking turns, runs of about twenty, runs of any length, ever new
    ones."""
    first = codes_of(width, rng)
    pattern = rng.randrange(8)
    if pattern in (0, 6, 7):
        return [first] * count
    if pattern == 1:
        turns = [first, near(first, rng), codes_of(width, rng)][: rng.randrange(2, 4)]
        return [turns[n % len(turns)] for n in range(count)]
    if pattern == 2:
        return [codes_of(width, rng) if rng.random() < 0.5 else near(first, rng) for n in range(count)]
    kinds = [first, *(near(first, rng) for _ in range(rng.randrange(1, 6))), codes_of(width, rng)]
    types: list[Codes] = []
    while len(types) < count:
        run = 20 if pattern == 3 else rng.choice((1, 2, 15, 16, 17, 18, 143, 144, 145, 40))
        types += [rng.choice(kinds)] * run
    return types[:count]


def draw(rng: Random, widths: tuple[int, ...] = SMALL, most_cells: int = 160) -> Frame:
    """A frame that every decoder must accept."""
    width = 0 if rng.random() < 0.02 else rng.choice(widths)
    names = [rng.choice(("", "id", "a", "seventy", "eighteen", "naïve", f"c{i}")) for i in range(width)]
    count = rng.randrange(max(most_cells // width, 1) + 1) if width else 0
    types = types_of(width, count, rng) if count else []
    if types and rng.random() < 0.5:
        rows = even_rows(types, rng)
    else:
        rows = [tuple(value_of(code, rng) for code in codes) for codes in types]
    return packed(names, types, rows, rng.random() < 0.3, rng if rng.random() < 0.3 else None)
