"""Input of the benchmark: rows of fixed shapes, and frames packed from them.

The packing is the bench's own and shares nothing with any candidate, so that it
can judge all of them. Integers are little-endian, everything is padded to words.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

INTEGER, FLOAT, TEXT, BLOB, NULL, UNIXTIME, ISO8601, BOOLEAN = 1, 2, 3, 4, 5, 9, 10, 11
TYPES = (INTEGER, FLOAT, TEXT, BLOB, NULL, UNIXTIME, ISO8601, BOOLEAN)
FIXED = (INTEGER, FLOAT, NULL, UNIXTIME, BOOLEAN)
FAILURE, LEADER, DB, STMT, RESULT, ROWS, EMPTY = 0, 1, 4, 5, 6, 7, 8
OPEN, EXEC_SQL = 3, 8
PAGE = 4096
DONE, PART = b"\xff" * 8, b"\xee" * 8

Row = tuple[Any, ...]
Types = tuple[int, ...]


def u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def text(value: str) -> bytes:
    return padded(value.encode() + b"\0")


def blob(value: bytes) -> bytes:
    return u64(len(value)) + padded(value)


def signed(value: int) -> bytes:
    return struct.pack("<q", value)


PACK: dict[int, Callable[[Any], bytes]] = {
    INTEGER: signed,
    FLOAT: lambda value: struct.pack("<d", value),
    TEXT: text,
    BLOB: blob,
    NULL: lambda value: bytes(8),
    UNIXTIME: signed,
    ISO8601: text,
    BOOLEAN: u64,
}


def frame(kind: int, body: bytes, schema: int = 0) -> bytes:
    return struct.pack("<IBBH", len(body) // 8, kind, schema, 0) + body


def row_header(types: Types) -> bytes:
    codes = [*types, 0] if len(types) % 2 else types
    return padded(bytes(low | high << 4 for low, high in zip(codes[::2], codes[1::2], strict=True)))


def row(types: Types, values: Sequence[Any]) -> bytes:
    return row_header(types) + b"".join(PACK[t](v) for t, v in zip(types, values, strict=True))


def rows_head(names: Sequence[str]) -> bytes:
    return u64(len(names)) + b"".join(map(text, names))


def rows_frame(names: Sequence[str], rows: Sequence[bytes], marker: bytes = DONE) -> bytes:
    return frame(ROWS, rows_head(names) + b"".join(rows) + marker)


def pages(names: Sequence[str], rows: Sequence[bytes]) -> list[bytes]:
    """Cut a result as the server does: a frame ends once header and body reach a page."""
    head = rows_head(names)
    result: list[bytes] = []
    held: list[bytes] = []
    size = 8 + len(head)
    for item in rows:
        if size >= PAGE:
            result.append(rows_frame(names, held, PART))
            held, size = [], 8 + len(head)
        held.append(item)
        size += len(item)
    return [*result, rows_frame(names, held)]


def params(values: Sequence[Any]) -> bytes:
    """The parameter tuple of a request, schema 0 up to 255 values and 1 above."""
    if not values:
        return b""
    codes = [PARAM_TYPES[type(value)] for value in values]
    count = struct.pack("<B" if len(values) < 256 else "<I", len(values))
    return padded(count + bytes(codes)) + b"".join(PACK[c](v) for c, v in zip(codes, values, strict=True))


PARAM_TYPES = {int: INTEGER, float: FLOAT, str: TEXT, bytes: BLOB, type(None): NULL, bool: BOOLEAN}


def exec_sql(sql: str, values: Sequence[Any]) -> bytes:
    return frame(EXEC_SQL, u64(0) + text(sql) + params(values), schema=int(len(values) > 255))


# -- values ---------------------------------------------------------------------

LETTERS = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def word(rng: random.Random, low: int, high: int | None = None) -> str:
    size = low if high is None else rng.randint(low, high)
    return "".join(rng.choices(LETTERS, k=size))


VALUES: dict[int, Callable[[random.Random], Any]] = {
    INTEGER: lambda rng: rng.randrange(1 << 20, 1 << 40),
    FLOAT: lambda rng: rng.uniform(-1e6, 1e6),
    TEXT: lambda rng: word(rng, 4, 18),
    BLOB: lambda rng: rng.randbytes(rng.randint(4, 18)),
    NULL: lambda rng: None,
    UNIXTIME: lambda rng: rng.randrange(1_500_000_000, 1_700_000_000),
    ISO8601: lambda rng: f"20{rng.randint(10, 30)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)} 12:34:56",
    BOOLEAN: lambda rng: rng.random() < 0.5,
}


@dataclass(frozen=True)
class Shape:
    """A table's columns: declared types, which of them may be NULL, and how texts look."""

    name: str
    types: Types
    nullable: tuple[int, ...] = ()
    text: tuple[int, int] = (4, 18)
    blob: int = 0

    @property
    def names(self) -> list[str]:
        return [f"c{index}" for index in range(len(self.types))]

    def signatures(self) -> list[Types]:
        """All row signatures that the NULLs make possible."""
        choices = [(t, NULL) if i in self.nullable else (t,) for i, t in enumerate(self.types)]
        return list(product(*choices))

    def rows(self, count: int, seed: int = 0) -> Iterator[tuple[Types, Row]]:
        rng = random.Random(f"{self.name} {seed}")
        signatures = self.signatures()
        make = VALUES | {TEXT: lambda rng: word(rng, *self.text)}
        if self.blob:
            make[BLOB] = lambda rng: rng.randbytes(self.blob)
        for _ in range(count):
            types = rng.choice(signatures)
            yield types, tuple(make[t](rng) for t in types)


INT1 = Shape("int1", (INTEGER,))
ITF3 = Shape("itf3", (INTEGER, TEXT, FLOAT), text=(20, 20))
ITV3 = Shape("itv3", ITF3.types, text=(1, 39))
MIX10 = Shape(
    "mix10",
    (INTEGER, TEXT, FLOAT, INTEGER, TEXT, ISO8601, BOOLEAN, FLOAT, TEXT, INTEGER),
    nullable=(1, 3, 7, 8),
)
IF30 = Shape("if30", (INTEGER, FLOAT) * 15)
IT1K = Shape("it1k", (INTEGER, TEXT), text=(1024, 1024))
BLOB64K = Shape("blob64k", (BLOB,), blob=65536)


@dataclass(frozen=True)
class Table:
    """Rows of one result with their types, as values and packed."""

    names: list[str]
    types: list[Types]
    rows: list[Row]
    packed: list[bytes]

    @property
    def cells(self) -> int:
        return sum(map(len, self.rows))

    @classmethod
    def of(cls, shape: Shape, count: int, seed: int = 0) -> Table:
        return cls.typed(shape.names, list(shape.rows(count, seed)))

    @classmethod
    def typed(cls, names: list[str], pairs: Sequence[tuple[Types, Row]]) -> Table:
        types, rows = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return cls(names, types, rows, [row(*pair) for pair in pairs])

    def frame(self, marker: bytes = DONE) -> bytes:
        return rows_frame(self.names, self.packed, marker)

    def pages(self) -> list[bytes]:
        return pages(self.names, self.packed)
