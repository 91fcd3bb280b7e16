"""`python -m tests.native.growth [FRAMES]`: memory does not grow, whatever is read and written how often.

What is read and written over and over are right and damaged frames of few kinds, so that every way out of the
native module is taken. Blocks of Python's own allocator are counted, which misses none and is exact; and the
process is asked for its size, which would also show what was taken from malloc.
"""

from __future__ import annotations

import gc
import resource
import sys
from random import Random
from typing import Any

from dqlitewire import DecodeError, ValueType, speedups
from dqlitewire.limits import DEFAULT_OPTIONS
from dqlitewire.rows.read import read_names
from tests.fuzz.frames import draw
from tests.fuzz.mutations import damaged_rows


def inputs(seed: int) -> list[tuple[Any, ...]]:
    """Arguments of the reader, right and wrong."""
    rng = Random(seed)
    found = []
    for _ in range(60):
        frame = draw(rng, (1, 2, 3, 10, 17, 300))
        for data in (frame.data, *(damaged_rows(frame, rng) for _ in range(4))):
            try:
                names, pos = read_names(data, len(data), DEFAULT_OPTIONS)
            except DecodeError:
                continue
            found.append((data, pos, len(data), len(names)))
    return found


WRONG: tuple[Any, ...] = (2**70, "a\0", "\ud800" * 300, bytearray(b"x"))


def once(given: list[tuple[Any, ...]]) -> int:
    """Read everything, and write what was read, as it is and with something wrong in it; count frames."""
    count = 0
    native = speedups.native
    for arguments in given:
        found = native.read_rows(*arguments)
        count += 1
        if found is None or not found[1]:
            continue
        runs, rows, _ = found
        width = len(rows[0])
        native.write_rows(rows, runs, width)
        native.write_rows(rows, [(0, None)], width)
        native.write_rows(rows, [(0, (ValueType.BLOB,) * width)], width)
        for value in WRONG:
            native.write_rows([*rows, (value,) * width], [(0, None)], width)
        native.write_params(list(rows[0]), 1)
        native.write_params([*rows[-1], *WRONG], 1)
    return count


def size() -> int:
    """Return the kilobytes that the process has taken at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(frames: int) -> tuple[int, int, int]:
    """Return frames that were read, and blocks and kilobytes that they have left behind."""
    given = inputs(1)
    for _ in range(3):
        once(given)
    gc.collect()
    blocks, kilobytes, count = sys.getallocatedblocks(), size(), 0
    while count < frames:
        count += once(given)
    gc.collect()
    return count, sys.getallocatedblocks() - blocks, size() - kilobytes


if __name__ == "__main__":
    count, blocks, kilobytes = measure(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
    print(f"{count} frames, {blocks} blocks and {kilobytes} KiB more than before")
    sys.exit(blocks > 100 or kilobytes > 2000)
