"""`python -m tests.native.growth [--frames N]`: memory after N frames that are read and written natively.

These are right and damaged frames of few kinds, so that every way out of the native module is taken. A
reference that is kept, or given away once too often, shows in one of three places: in the number of blocks
that Python has allocated, which misses none and is exact; in the reference counts of objects that all results
share; or in the resident memory of the process, which would also show what was taken from malloc. Each is
looked at after a warm-up, in which caches fill, and again at the end.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from random import Random
from typing import Any, NamedTuple

from dqlitewire import DecodeError, MessageDecoder, ProtocolError, ValueType, speedups
from dqlitewire.limits import DEFAULT_OPTIONS
from dqlitewire.rows.read import read_names
from tests.fuzz.frames import draw
from tests.fuzz.mutations import damaged_rows


class Held(NamedTuple):
    """What a process holds: blocks of Python's allocator, references to shared objects, resident bytes."""

    blocks: int
    references: int
    resident: int

    @property
    def is_much(self) -> bool:
        """Tell whether so much more is held that something was kept, or given away."""
        return self.blocks > 100 or abs(self.references) > 100 or self.resident > 2 << 20


def held() -> Held:
    gc.collect()
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    shared = (*ValueType, *((None, True, False) if sys.version_info < (3, 14) else ()))  # see test_safety
    return Held(sys.getallocatedblocks(), sum(map(sys.getrefcount, shared)), resident)


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
        stream(arguments[0])
        count += 5
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


def stream(data: bytes) -> None:
    """Read a run of frames from a decoder, cut in the midst: such a frame, made to go on, three times."""
    going_on = data[:-8] + b"\xee" * 8
    decoder = MessageDecoder()
    try:
        decoder.feed(going_on[:20])
        decoder.feed(going_on[20:] + going_on * 2 + data)
        decoder.decode()
        while decoder.decode_continuation() is not None:
            pass
    except ProtocolError:
        pass


def growth(frames: int) -> tuple[int, Held]:
    """Return how many frames were read, and by how much what is held has grown."""
    given = inputs(1)
    for _ in range(3):
        once(given)
    before, count = held(), 0
    while count < frames:
        count += once(given)
    return count, Held(*(now - then for now, then in zip(held(), before, strict=True)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.native.growth", description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    count, grown = growth(parser.parse_args().frames)
    print(f"rows: {speedups.name}; after {count} frames: {grown}")
    return int(grown.is_much)


if __name__ == "__main__":
    sys.exit(main())
