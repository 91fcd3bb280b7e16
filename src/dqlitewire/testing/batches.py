"""Rows into the bodies of ROWS frames.

Frames end as the real server's do (dqlite 1.18.6 `src/query.c: query__batch`): before each row the server
stops if header and body have reached a page, so a result whose column names fill a page never gets a row.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Sequence

from dqlitewire.testing.encoders import PAGE, Encoder, Row, encode_text, encoder_for

__all__ = ["DONE", "PART", "RowBatches"]

DONE = b"\xff" * 8
PART = b"\xee" * 8


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
            encoder, lasting = encoder_for(types, self._kinds)
            if lasting:
                self._by_types[types] = encoder
        return encoder
