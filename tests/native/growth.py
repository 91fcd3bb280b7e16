<<<<<<< HEAD
"""`python -m tests.native.growth [--frames N]`: memory after N frames, good and hostile, read and written
natively.

A reference that is kept, or given away once too often, shows in one of three places: in the number of blocks
that Python has allocated, in the reference counts of objects that all results share, or in the resident
memory of the process. Each is looked at after a warm-up, in which caches fill, and again at the end.
=======
"""`python -m tests.native.growth [FRAMES]`: memory does not grow, whatever is read and written how often.

What is read and written over and over are right and damaged frames of few kinds, so that every way out of the
native module is taken. Blocks of Python's own allocator are counted, which misses none and is exact; and the
process is asked for its size, which would also show what was taken from malloc.
>>>>>>> h-native
"""

from __future__ import annotations

<<<<<<< HEAD
import argparse
import gc
import itertools
import os
import sys
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from dqlitewire import DecodeError, EncodeError, MessageDecoder, decode_message, speedups
from dqlitewire.constants import ValueType
from dqlitewire.messages import ExecSqlRequest, RowsResponse
from tests.fuzz.frames import draw
from tests.fuzz.mutations import damaged_rows

MEBIBYTE = 1 << 20
# that no row can have, at several places
HOSTILE = (object(), 1 << 64, "a\0b", "\ud800", [], bytearray(3))


class Held(NamedTuple):
    """What a process holds: blocks of Python's allocator, references to shared objects, resident bytes."""

    blocks: int
    references: int
    resident: int


def held() -> Held:
    gc.collect()
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    shared = (*ValueType, None, True, False)
    return Held(sys.getallocatedblocks(), sum(map(sys.getrefcount, shared)), resident)


def work() -> Iterator[Any]:
    """Yield functions, each of which reads or writes one frame, again and again the same ones."""
    rng = Random(7)
    frames = [draw(rng) for _ in range(40)]
    good = [frame.data for frame in frames if len(frame.data) < 3000]
    bad = [damaged_rows(frame, rng) for frame in frames for _ in range(5)]
    rows = [(1, 2.5, "text", b"blob", None, True), (2, None, "é", b"", 1.0, False)]
    wrong = [[*rows, (1, 2.5, "text", b"blob", None, value)] for value in HOSTILE]
    named = list("abcdef")
    for data in itertools.cycle(good + [data for data in bad if len(data) < 3000]):
        yield lambda data=data: decode_message(data)
        yield lambda: RowsResponse(named, rows=rows).encode()
        yield lambda: ExecSqlRequest(0, "SELECT 1", list(rows[0])).encode()
        for values in wrong[rng.randrange(len(wrong)) :][:1]:
            yield lambda values=values: RowsResponse(named, rows=values).encode()
            yield lambda values=values: ExecSqlRequest(0, "SELECT 1", list(values[-1])).encode()
        yield lambda data=data: stream(data)


def stream(data: bytes) -> None:
    """Read a frame from a decoder, in two pieces."""
    decoder = MessageDecoder()
    for piece in (data[:20], data[20:]):
        decoder.feed(piece)
    decoder.decode()


def run(frames: Iterator[Any], number: int) -> int:
    """Read and write so many frames; return how many were refused."""
    refused = 0
    for frame in itertools.islice(frames, number):
        try:
            frame()
        except (DecodeError, EncodeError):
            refused += 1
    return refused


def growth(number: int, warm: int) -> tuple[Held, int]:
    """Return by how much what is held has grown in `number` frames after `warm`; how many were refused."""
    frames = work()
    run(frames, warm)
    before = held()
    refused = run(frames, number)
    after = held()
    return Held(*(then - now for now, then in zip(before, after, strict=True))), refused


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.native.growth", description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000, help="after a warm-up of a tenth of them")
    frames = parser.parse_args().frames
    grown, refused = growth(frames, frames // 10)
    print(f"rows: {speedups.name}; {frames} frames, {refused} of them refused: {grown}")
    return int(grown.blocks > 100 or abs(grown.references) > 100 or grown.resident > MEBIBYTE)


if __name__ == "__main__":
    sys.exit(main())
=======
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
>>>>>>> h-native
