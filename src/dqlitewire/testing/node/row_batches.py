"""Row batches: the rows of an answer in the bodies of ROWS frames.

Frames end where the real server's do (dqlite 1.18.6 `src/query.c: query__batch`). Before each row it stops if
header and body have reached a page of 4096 bytes, and ends the body with the PART marker; a row is never
divided, so a frame may be larger than a page by one row. Names come first in each body:

    | columns | names ... | row | row | ... | PART or DONE |

A result whose names alone fill a page therefore never gets a row: frames without rows go out for ever.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Protocol

from dqlitewire.header import ROW_DONE, ROW_PART
from dqlitewire.testing.node.encoders import PAGE, PLAIN, Encoder, Row, encode_text, encoder_for

__all__ = ["RowBatches"]


class Shape(Protocol):
    """The columns of a statement as SQLite sees them now: both lists are replaced when it looks again."""

    columns: list[str]
    kinds: list[int]


class RowBatches:
    """The bodies of a ROWS answer, one `next_body()` at a time.

    A node asks for names and number of the columns when it begins a frame, and for their declared types with
    each row (`query__batch`). SQLite learns in the first step that the schema has changed since: then the
    first frame has the names of before over the rows of now, and only the next one both of now.

    `head` is what the next body begins with. When the rows raise, `partial` holds what stood in the
    unfinished body: a real server sends it in front of the FAILURE's code.
    """

    def __init__(self, shape: Shape, rows: Generator[Row, None, None]) -> None:
        self._shape = shape
        self._rows = rows
        self._columns: list[str] = []
        self._kinds: list[int] = []
        self._by_types: dict[tuple[type, ...], Encoder] = {}
        self.partial: list[bytes] = []
        self.done: bool = False
        self._name_columns()

    def abandon(self) -> None:
        """Give the rest up; the statement is reset."""
        self._rows.close()

    @property
    def endless(self) -> bool:
        """Whether the column names fill a page, so that no row is ever sent."""
        return 8 + len(self.head) >= PAGE

    def next_body(self) -> bytes:
        """Encode rows until a page is full or there are no more."""
        if self._columns is not self._shape.columns:
            self._name_columns()
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
        append(ROW_DONE if self.done else ROW_PART)
        body = b"".join(parts)
        self.partial = []
        return body

    def _name_columns(self) -> None:
        self._columns = columns = self._shape.columns
        self.head: bytes = struct.pack("<Q", len(columns)) + b"".join(map(encode_text, columns))
        self._by_types.clear()

    def _encoder(self, row: Row) -> Encoder:
        if self._kinds is not self._shape.kinds:
            self._kinds = self._shape.kinds
            self._by_types.clear()
        types = tuple(map(type, row))
        encoder = self._by_types.get(types)
        if encoder is None:
            width = len(self._columns)
            kinds = (*self._kinds, *[PLAIN] * width)[:width]
            encoder, lasting = encoder_for(types, kinds)
            if lasting:
                self._by_types[types] = encoder
        return encoder
