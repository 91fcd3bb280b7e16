"""Rows whose texts and blobs keep their lengths, read column by column instead of row by row.

UUIDs, hashes, dates and codes have one length. Rows of one signature then stand at equal distances, and the
frame is a table, here of INTEGER, TEXT (36 bytes each) and FLOAT, 64 bytes a row:

    byte 0        8         16                    52    56      64
         | header | INTEGER | 36 bytes of text    | 0   | FLOAT |
         | header | INTEGER | 36 bytes of text    | 0   | FLOAT |
         | header | ...

A strided slice is one column of bytes. That the header is the same in every row, and that a NUL stands where
each text must end, is one slice and one `lstrip` for each such byte; the first row where one of them differs
ends the run. One `iter_unpack` then cuts up all rows of it, and `zip` turns rows of fields into columns. A
column of texts is joined, decoded and split at the NULs in three calls. It is sure that no text of it is
shorter if it has as many NULs as texts; sizes of blobs are compared by counting the usual one.

The protocol does not announce such a result, so the lengths are guessed from the rows of the frame before
(`compiled.Uniform.learn`). A guess that does not hold reads nothing and costs little; after `MAX_MISSES` of
them none is made for that signature any more.
"""

from __future__ import annotations

from itertools import repeat
from struct import Struct

from ..values import FIXED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Plan"]

PAGE, MAX_RUN = 128, 1024  # rows cut up at once, at first and at most


class Plan:
    """How rows of one signature and one length of each text and blob lie in a frame."""

    def __init__(self, header: bytes, codes: bytes, lengths: list[int]) -> None:
        offset, layout, field = len(header), f"<{len(header)}x", 0
        left = iter(lengths)
        # What is the same byte in every row: its offset and value.
        self._alike = [(i, header[i : i + 1]) for i in range((len(codes) + 1) // 2)]
        self._cells: list[tuple[int, int, int]] = []  # code, field of the layout, length
        for code in codes:
            length = 0
            if code in FIXED:
                layout += FIXED[code]
                offset += 8
            elif code == 4:
                length = next(left)
                layout += f"Q{length}s{-length % 8}x"
                offset += 8 + (length + 7 & -8)
                field += 1
            elif code == 3:
                length = next(left)
                self._alike.append((offset + length, b"\0"))
                layout += f"{length + 1}s{7 - length % 8}x"
                offset += length + 8 & -8
            else:
                raise KeyError(code)
            self._cells.append((code, field, length))
            field += code != 5
        self._stride = offset
        self._iter_unpack = Struct(layout).iter_unpack

    def read(self, frame: bytes, pos: int, rows: list[tuple[Any, ...]]) -> int:
        """Add rows that stand at `pos` and go on like this; return the position behind them."""
        stride = self._stride
        size = PAGE
        while True:
            run = size
            for offset, byte in self._alike:
                column = frame[pos + offset : pos + run * stride : stride]
                run = len(column) - len(column.lstrip(byte))
            if not run:
                return pos
            stop = pos + run * stride
            fields = [*zip(*self._iter_unpack(memoryview(frame)[pos:stop]), strict=True)]
            columns: list[Any] = []
            for code, field, length in self._cells:
                if code == 3:
                    joined = b"".join(fields[field])
                    if joined.count(0) != run:  # a NUL before the last: another length
                        return pos
                    columns.append(joined[:-1].decode().split("\0"))
                elif code == 4:
                    if fields[field - 1].count(length) != run:
                        return pos
                    columns.append(fields[field])
                elif code == 11:
                    columns.append(map(bool, fields[field]))
                elif code == 5:
                    columns.append(repeat(None))
                else:  # a word, as `struct` gives it
                    columns.append(fields[field])
            rows += zip(*columns)  # noqa: B905
            pos = stop
            if run < size:
                return pos
            size = min(size * 8, MAX_RUN)
