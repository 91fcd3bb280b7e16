"""Count the rows of a ROWS frame without decoding a cell, for observers, which show the number alone.

A row is walked by its type nibbles: columns of one word are skipped, a text ends at its NUL, a blob has its
size in front. Columns of one word between two texts or blobs are one step, computed once for each row header
(`_plan`).
"""

from __future__ import annotations

from ..constants import HEADER_SIZE, WORD_SIZE
from ..header import ROW_MARKERS, row_header_size
from ..values import FIXED, encoded_as

__all__ = ["count_rows"]

_BLOB = -1  # among the steps: a blob follows, whose size stands in front of it


def count_rows(frame: bytes) -> int:
    """Return how many rows a ROWS frame has, -1 if it cannot be walked to its end marker.

    Lengths are followed and types looked at; texts are not decoded, so a count says nothing about their
    encoding.
    """
    last = len(frame) - WORD_SIZE
    if last < HEADER_SIZE + WORD_SIZE or frame[last:] not in ROW_MARKERS:
        return -1
    columns = int.from_bytes(frame[HEADER_SIZE : HEADER_SIZE + WORD_SIZE], "little")
    if columns > last // WORD_SIZE:
        return -1
    try:
        position = HEADER_SIZE + WORD_SIZE
        for _ in range(columns):
            position = frame.index(0, position) + WORD_SIZE & -WORD_SIZE
        count, position = _walk(frame, position, last, columns)
    except (ValueError, KeyError, IndexError):
        return -1
    return count if position == last else -1


def _walk(frame: bytes, position: int, last: int, columns: int) -> tuple[int, int]:
    count = 0
    plans: dict[bytes, tuple[list[int], int]] = {}
    size = row_header_size(columns)
    index, is_next = frame.index, frame.startswith
    while position < last and size:
        header = frame[position : position + size]
        plan = plans.get(header)
        if plan is None:
            plan = plans[header] = _plan(header, columns)
        steps, rest = plan
        if not steps:
            while is_next(header, position) and position < last:
                position += rest
                count += 1
        elif len(steps) == 1 and steps[0] >= 0:
            (step,) = steps
            while is_next(header, position) and position < last:
                position = (index(0, position + step) + WORD_SIZE & -WORD_SIZE) + rest
                count += 1
        else:
            while is_next(header, position) and position < last:
                position = _step(frame, position, steps) + rest
                count += 1
    return count, position


def _plan(header: bytes, columns: int) -> tuple[list[int], int]:
    """How to get over a row: bytes up to each text (or, after a _BLOB, to each blob), then bytes to the next
    row.

    Raises:
        KeyError: a type no server sends.
    """
    steps: list[int] = []
    ahead = len(header)
    nibbles = [header[column >> 1] >> 4 * (column & 1) & 15 for column in range(columns)]
    for code in encoded_as(nibbles):
        if code in FIXED:
            ahead += WORD_SIZE
        elif code == 3:
            steps.append(ahead)
            ahead = 0
        elif code == 4:
            steps += (_BLOB, ahead)
            ahead = 0
        else:
            raise KeyError(code)
    return steps, ahead


def _step(frame: bytes, position: int, steps: list[int]) -> int:
    blob = False
    for step in steps:
        if step == _BLOB:
            blob = True
        elif blob:
            position += step + WORD_SIZE
            size = int.from_bytes(frame[position - WORD_SIZE : position], "little")
            position += size + WORD_SIZE - 1 & -WORD_SIZE
            blob = False
        else:
            position = frame.index(0, position + step) + WORD_SIZE & -WORD_SIZE
    return position
