"""Rows into the bytes of ROWS frames, at the speed a test server needs.

Rows are encoded by a function made for their tuple of Python types, once per type tuple and column kinds;
it goes on for as long as the types stay the same.  Frames end as the real server's do (dqlite 1.18.6
`src/query.c: query__batch`): before each row the server stops if header and body have reached a page, so a
result whose column names fill a page never gets a row.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

__all__ = ["DONE", "PAGE", "PART", "PLAIN", "RowBatches", "WrongType", "column_kind", "encode_text"]

PAGE = 4096
DONE = b"\xff" * 8
PART = b"\xee" * 8

# how a column's declared type changes the type codes of its values
PLAIN, TIME, BOOLEAN = range(3)
_KINDS = {"DATETIME": TIME, "DATE": TIME, "TIMESTAMP": TIME, "BOOLEAN": BOOLEAN}
_DECLARED = {TIME: "a DATE, DATETIME or TIMESTAMP", BOOLEAN: "a BOOLEAN"}


class RawText(bytes):
    """A text that is not UTF-8, which apsw cannot hand over as str."""


# (code, writer) by kind and Python type; what is missing aborts a real node (dqlite issue 733)
_PLAIN_CELLS = {
    int: (1, "int"),
    float: (2, "float"),
    str: (3, "text"),
    RawText: (3, "raw"),
    bytes: (4, "blob"),
    type(None): (5, "zero"),
}
_CELLS: dict[int, dict[type, tuple[int, str]]] = {
    PLAIN: _PLAIN_CELLS,
    TIME: {int: (9, "int"), str: (10, "text"), RawText: (10, "raw"), type(None): (10, "zero")},
    BOOLEAN: {int: (11, "int"), type(None): (11, "zero")},
}
_SQL_NAMES = {int: "INTEGER", float: "REAL", str: "TEXT", RawText: "TEXT", bytes: "BLOB", type(None): "NULL"}

_PADS = tuple(bytes(8 - n) for n in range(8))  # of a text of n bytes mod 8, its NUL included
_BLOB_PADS = tuple(bytes(-n % 8) for n in range(8))
_ENCODERS_KEPT = 1024

Row = tuple[Any, ...]
# (row, rows, append, size) -> (first row of other types or None, size)
Encoder = Callable[[Row, Iterator[Row], Callable[[bytes], None], int], tuple[Row | None, int]]


class WrongType(Exception):
    """A value that a real node cannot encode under its column's declared type; it aborts."""

    def __init__(self, column: int, kind: int, found: type) -> None:
        super().__init__(f"{_SQL_NAMES[found]} value in {_DECLARED[kind]} column")
        self.column = column


def column_kind(declared: str | None) -> int:
    """Tell how a declared type changes the wire type of values (`src/query.c: value_type`)."""
    return _KINDS.get(declared.upper(), PLAIN) if declared else PLAIN


def encode_text(text: str) -> bytes:
    """Encode a text as the server does: cut at the first NUL, ended by one, padded to a word."""
    data = text.encode("utf-8", "surrogateescape")
    if "\0" in text:
        data = data[: data.index(0)]
    return data + _PADS[len(data) & 7]


def _cells(types: Sequence[type], kinds: Sequence[int]) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for column, (kind, python_type) in enumerate(zip(kinds, types, strict=False)):
        try:
            found.append(_CELLS[kind][python_type])
        except KeyError:
            raise WrongType(column, kind, python_type) from None
    return found


def _header(codes: Sequence[int]) -> bytes:
    nibbles = [*codes, 0] if len(codes) % 2 else list(codes)
    data = bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
    return data + bytes(-len(data) % 8)


_FORMATS = {"int": "q", "float": "d", "zero": "8x"}
_SAME = {
    type(None): "{} is None",
    int: "type({}) is int",
    float: "type({}) is float",
    str: "type({}) is str",
    RawText: "type({}) is RawText",
}


class _Source:
    """Lines of a generated encoder: neighbouring fixed-width values become one Struct."""

    def __init__(self, header: bytes) -> None:
        self.scope: dict[str, Any] = {
            "head": header,
            "pads": _PADS,
            "blob_pads": _BLOB_PADS,
            "PAGE": PAGE,
            "RawText": RawText,
        }
        self.lines: list[str] = []
        self.size = 0
        self._fixed = [(f"{len(header)}s", "head")]

    def fixed(self, form: str, value: str) -> None:
        self._fixed.append((form, value))

    def text(self, name: str, raw: bool) -> None:
        self.flush()
        if not raw:
            self.lines.append(f"{name} = {name}.encode()")
        self.lines.append(f"if 0 in {name}: {name} = {name}[:{name}.index(0)]")
        self.lines.append(f"append({name}); append(pads[len({name}) & 7]); size += (len({name}) | 7) + 1")

    def blob(self, name: str) -> None:
        self.fixed("Q", f"len({name})")
        self.flush()
        self.lines.append(
            f"append({name}); append(blob_pads[len({name}) & 7]); size += (len({name}) + 7) & -8"
        )

    def flush(self) -> None:
        if self._fixed:
            name = f"pack{len(self.scope)}"
            layout = struct.Struct("<" + "".join(form for form, _ in self._fixed))
            self.scope[name] = layout.pack
            self.size += layout.size
            values = ", ".join(value for _, value in self._fixed if value)
            self.lines.append(f"append({name}({values}))")
            self._fixed.clear()


def _compile(types: Sequence[type], kinds: Sequence[int]) -> Encoder:
    # a statement older than its table yields rows of another width than its names: more is cut, less is NULL
    cells = _cells(types, kinds)
    cells += [_PLAIN_CELLS[type(None)]] * (len(kinds) - len(cells))
    names = [f"c{i}" for i in range(len(types))]
    source = _Source(_header([code for code, _ in cells]))
    for name, (_, writer) in zip([*names, *["None"] * len(kinds)], cells, strict=False):
        if writer in ("text", "raw"):
            source.text(name, writer == "raw")
        elif writer == "blob":
            source.blob(name)
        else:
            source.fixed(_FORMATS.get(writer, "8x"), name if writer in ("int", "float") else "")
    source.flush()
    same = " and ".join(
        _SAME.get(t, "type({}) is bytes").format(n) for n, t in zip(names, types, strict=True)
    )
    text = "\n  ".join(
        [
            "def encode(row, rows, append, size):\n while True:",
            f"({', '.join(names)},) = row",
            f"if not ({same}): return row, size",
            *source.lines,
            f"size += {source.size}",
            "if size >= PAGE: return None, size",
            "row = next(rows, None)",
            "if row is None: return None, size",
        ]
    )
    exec(text, source.scope)
    encoder: Encoder = source.scope["encode"]
    return encoder


_encoders: dict[tuple[Any, ...], Encoder] = {}


def _encoder(types: tuple[type, ...], kinds: tuple[int, ...]) -> Encoder:
    key = (types, kinds)
    encoder = _encoders.get(key)
    if encoder is None:
        encoder = _compile(types, kinds)
        if len(_encoders) >= _ENCODERS_KEPT:
            _encoders.clear()
        _encoders[key] = encoder
    return encoder


class RowBatches:
    """The bodies of a ROWS answer, one `next_body()` at a time.

    `head` is what every body begins with.  When the rows raise, `partial` holds what stood in the
    unfinished body: a real server sends it in front of the FAILURE's code.
    """

    def __init__(self, names: Sequence[str], kinds: Sequence[int], rows: Generator[Row, None, None]) -> None:
        self.head = struct.pack("<Q", len(names)) + b"".join(map(encode_text, names))
        self._kinds = tuple(kinds)
        self._rows = rows
        self._by_types: dict[tuple[type, ...], Encoder] = {}
        self.partial: list[bytes] = []
        self.done = False

    def abandon(self) -> None:
        """Give the rest up; the statement is reset."""
        self._rows.close()

    @property
    def endless(self) -> bool:
        """Whether the column names fill a page, so that no row is ever sent."""
        return 8 + len(self.head) >= PAGE

    def next_body(self) -> bytes:
        """Encode rows until a page is full or there are no more."""
        parts = self.partial = [self.head]
        size = 8 + len(self.head)
        append = parts.append
        rows = self._rows
        row: Row | None = None
        while size < PAGE:
            if row is None:
                row = next(rows, None)
                if row is None:
                    self.done = True
                    break
            row, size = self._encoder(row)(row, rows, append, size)
        append(DONE if self.done else PART)
        body = b"".join(parts)
        self.partial = []
        return body

    def _encoder(self, row: Row) -> Encoder:
        types = tuple(map(type, row))
        encoder = self._by_types.get(types)
        if encoder is None:
            if len(self._by_types) > _ENCODERS_KEPT:
                self._by_types.clear()
            encoder = self._by_types[types] = _encoder(types, self._kinds)
        return encoder
