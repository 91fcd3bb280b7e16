"""Rows into bytes, at the speed a test server needs.

A row on the wire is a header of types, a nibble a column, and the cells in whole words:

    | type nibbles, padded to words | cell | cell | ...

A node takes the type of each cell from SQLite's value and the declared type of its column (dqlite
src/query.c: value_type): an integer in a BOOLEAN column is a BOOLEAN, text in a DATE column ISO8601, and NULL
in either has that type too, with a zero for its value. What has no type this way aborts a node (`WrongType`).

Rows are encoded by a generated function for their tuple of Python types. It takes one row after another for
as long as the types stay the same and the frame has room, and hands back the first row that differs. Making
one costs a millisecond, so types that have not been seen often are encoded cell by cell (`_plain`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dqlitewire.constants import ValueType
from dqlitewire.generated import define
from dqlitewire.header import PAGE_SIZE
from dqlitewire.rows.row_types import row_header
from dqlitewire.scalars import U64
from dqlitewire.values import BLOB, KINDS, PACK, TEXT

__all__ = [
    "PAGE",
    "PLAIN",
    "Encoder",
    "RawText",
    "Row",
    "WrongType",
    "column_kind",
    "encode_text",
    "encoder_for",
]

PAGE = PAGE_SIZE

# how a column's declared type changes the type codes of its values
PLAIN, TIME, BOOLEAN = range(3)
_KINDS = {"DATETIME": TIME, "DATE": TIME, "TIMESTAMP": TIME, "BOOLEAN": BOOLEAN}
_DECLARED = {TIME: "a DATE, DATETIME or TIMESTAMP", BOOLEAN: "a BOOLEAN"}


class RawText(bytes):
    """A text that is not UTF-8, which apsw cannot hand over as str."""


# What a value is sent as, by declared kind and Python type; what is missing aborts a real node (dqlite#733).
_PLAIN_CELLS: dict[type, ValueType] = {
    int: ValueType.INTEGER,
    float: ValueType.FLOAT,
    str: ValueType.TEXT,
    RawText: ValueType.TEXT,
    bytes: ValueType.BLOB,
    type(None): ValueType.NULL,
}
_TIMES: dict[type, ValueType] = {int: ValueType.UNIXTIME} | dict.fromkeys(
    (str, RawText, type(None)), ValueType.ISO8601
)
_CELLS: dict[int, dict[type, ValueType]] = {
    PLAIN: _PLAIN_CELLS,
    TIME: _TIMES,
    BOOLEAN: dict.fromkeys((int, type(None)), ValueType.BOOLEAN),
}
_SQL_NAMES = {int: "INTEGER", float: "REAL", str: "TEXT", RawText: "TEXT", bytes: "BLOB", type(None): "NULL"}

_PADS = tuple(bytes(8 - n) for n in range(8))  # of a text of n bytes mod 8, its NUL included
_BLOB_PADS = tuple(bytes(-n % 8) for n in range(8))
_ENCODERS_KEPT = 1024
_ROWS_COLD = 8  # rows of the same types before an encoder is made for them

# How a value of SQLite lies in a row: its own type says so, and the declared one only how it is announced.
_FORMS: dict[type, str] = {kind.python: kind.form for kind in KINDS if kind.sent_for} | {RawText: TEXT}

Row = tuple[Any, ...]
_Cell = tuple[ValueType, type]  # what it is announced as, the type of SQLite's value
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


def _cells(types: Sequence[type], kinds: Sequence[int]) -> list[_Cell]:
    found: list[_Cell] = []
    for column, (kind, python_type) in enumerate(zip(kinds, types, strict=False)):
        try:
            found.append((_CELLS[kind][python_type], python_type))
        except KeyError:
            raise WrongType(column, kind, python_type) from None
    return found


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


def _all_cells(types: Sequence[type], kinds: Sequence[int]) -> list[_Cell]:
    # a statement older than its table yields rows of another width than its names: more is cut, less is NULL
    cells = _cells(types, kinds)
    return cells + [(ValueType.NULL, type(None))] * (len(kinds) - len(cells))


def _compile(types: Sequence[type], cells: Sequence[_Cell]) -> Encoder:
    names = [f"c{i}" for i in range(len(types))]
    source = _Source(row_header([code for code, _ in cells]))
    for name, (_, python_type) in zip([*names, *["None"] * len(cells)], cells, strict=False):
        form = _FORMS[python_type]
        if form == TEXT:
            source.text(name, python_type is RawText)
        elif form == BLOB:
            source.blob(name)
        else:
            source.fixed(form, "" if python_type is type(None) else name)
    source.flush()
    same = " and ".join(
        f"{n} is None" if t is type(None) else f"type({n}) is {t.__name__}"
        for n, t in zip(names, types, strict=True)
    )
    body = [
        f"({', '.join(names)},) = row",
        f"if not ({same}): return row, size",
        *source.lines,
        f"size += {source.size}",
        "if size >= PAGE: return None, size",
        "row = next(rows, None)",
        "if row is None: return None, size",
    ]
    lines = ["def encode(row, rows, append, size):", "    while True:", *(f"        {line}" for line in body)]
    title = f"node rows {','.join(str(code) for code, _ in cells)}"
    encoder: Encoder = define(title, "encode", lines, source.scope)
    return encoder


def _plain(cells: Sequence[_Cell]) -> Encoder:
    head = row_header([code for code, _ in cells])
    writers = [_WRITERS[python_type] for _, python_type in cells]

    def encode(
        row: Row, _rows: Iterator[Row], append: Callable[[bytes], None], size: int
    ) -> tuple[Row | None, int]:
        padded = row + (None,) * (len(writers) - len(row))
        data = head + b"".join([write(cell) for write, cell in zip(writers, padded, strict=False)])
        append(data)
        return None, size + len(data)

    return encode


def _blob(data: bytes) -> bytes:
    return U64.pack(len(data)) + data + _BLOB_PADS[len(data) & 7]


def _raw(data: bytes) -> bytes:
    data = data[: data.index(0)] if 0 in data else data
    return data + _PADS[len(data) & 7]


_WRITERS: dict[type, Callable[[Any], bytes]] = {
    int: PACK[ValueType.INTEGER],
    float: PACK[ValueType.FLOAT],
    str: encode_text,
    RawText: _raw,
    bytes: _blob,
    type(None): lambda _: bytes(8),
}

_Key = tuple[tuple[type, ...], tuple[int, ...]]
_compiled: dict[_Key, Encoder] = {}
_cold: dict[_Key, tuple[int, Encoder]] = {}  # how often asked for, and the encoder meanwhile


def encoder_for(types: tuple[type, ...], kinds: tuple[int, ...]) -> tuple[Encoder, bool]:
    """Return an encoder for rows of these types, and whether it is the one to keep.

    Raises:
        WrongType: A real node cannot encode such a row.
    """
    key = types, kinds
    encoder = _compiled.get(key)
    if encoder is not None:
        return encoder, True
    count, plain = _cold.pop(key, (0, None))
    encoder = plain or _plain(_all_cells(types, kinds))
    if count < _ROWS_COLD:
        if len(_cold) >= _ENCODERS_KEPT:
            _cold.clear()
        _cold[key] = count + 1, encoder
        return encoder, False
    if len(_compiled) >= _ENCODERS_KEPT:
        _compiled.clear()
    encoder = _compiled[key] = _compile(types, _all_cells(types, kinds))
    return encoder, True
