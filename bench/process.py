"""What a process pays: importing, its first result, and the peak of its memory.

Each figure comes from children of its own, so that nothing is warm. A child is given
no more modules than it needs: what a candidate imports late must be seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from bench import frames
from bench.candidates import Codec
from bench.frames import ITF3, Table
from bench.measure import Times, rotated

ISOLATED = (sys.executable, "-I")  # no PYTHON* variable counts: byte code is written and used

PATH = "import sys; sys.path.insert(0, sys.argv[1])"
IMPORT = f"{PATH}; import dqlitewire"
IMPORT_ALONE = f"""{PATH}
import time
begin = time.process_time()
import dqlitewire
print(time.process_time() - begin)
"""

# A query encoded and one page of rows decoded; the time after the import is printed.
FIRST_RESULT = f"""{PATH}
import time
from dqlitewire import MessageDecoder
from dqlitewire.messages import QuerySqlRequest
page = sys.stdin.buffer.read()
begin = time.thread_time()
request = QuerySqlRequest(0, "SELECT a, b, c FROM t WHERE a > ?", [42]).encode()
decoder = MessageDecoder()
decoder.feed(page)
rows = decoder.decode().rows
print(time.thread_time() - begin, len(request), len(rows))
"""
BARE_RESULT = f"{PATH}; import time; page = sys.stdin.buffer.read()"

# Nothing but the decoder may hold the frame: it comes in pieces that repeat one piece.
PEAK = f"""{PATH}
import json, tracemalloc
from dqlitewire import MessageDecoder
head, piece, count, marker = (bytes.fromhex(line) for line in sys.stdin.read().split())
decoder = MessageDecoder(max_rows=100_000_000)
decoder.feed(bytes.fromhex("0100000008000000") + bytes(8))
decoder.decode()
tracemalloc.start()
before = tracemalloc.get_traced_memory()[0]
decoder.feed(head)
for _ in range(int.from_bytes(count, "big")):
    decoder.feed(piece)
decoder.feed(marker)
rows = decoder.decode().rows
after, peak = tracemalloc.get_traced_memory()
print(json.dumps([peak - before, after - before, len(rows), rows[0], rows[-1]]))
"""


def run(program: str, codec: Codec, data: bytes = b"") -> tuple[bytes, float]:
    """Return what a child prints, and its CPU seconds from start to end, user and system."""
    pipe = subprocess.PIPE
    command = [*ISOLATED, "-c", program, str(codec.folder)]
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=codec.environment)
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        child.stdin.write(data)
        child.stdin.close()
        printed = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"a child ended with {child.returncode}: {program}")
    return printed, usage.ru_utime + usage.ru_stime


def above_bare(codecs: list[Codec], rounds: int, bare: str, program: str, data: bytes = b"") -> Times:
    """CPU of a child above that of an interpreter that does nothing."""
    for codec in codecs:
        run(program, codec, data)  # writes the byte code
    times = Times()
    for turn in range(rounds):
        nothing = run(bare, codecs[0], data)[1]
        for codec in rotated(codecs, turn):
            spent = run(program, codec, data)[1]
            times.add(codec.name, max(spent - nothing, 1e-6))
    return times


def importing(codecs: list[Codec], rounds: int) -> Times:
    return above_bare(codecs, rounds, PATH, IMPORT)


def import_alone(codecs: list[Codec], rounds: int) -> Times:
    """The import without the start of the interpreter, for small differences: the least of three children."""
    for codec in codecs:
        run(IMPORT_ALONE, codec)
    times = Times()
    for turn in range(rounds):
        spent: dict[str, list[float]] = {codec.name: [] for codec in codecs}
        for again in range(3):
            for codec in rotated(codecs, turn + again):
                spent[codec.name].append(float(run(IMPORT_ALONE, codec)[0]))
        for name, found in spent.items():
            times.add(name, min(found))
    return times


def first_result(codecs: list[Codec], rounds: int) -> Times:
    """Import, query and first page, all together: what a process that asks once pays."""
    return above_bare(codecs, rounds, BARE_RESULT, FIRST_RESULT, first_page().frame())


def after_import(codecs: list[Codec], rounds: int) -> Times:
    """The part of the first result that comes after the import, where nothing is warm."""
    table = first_page()
    page = table.frame()
    times = Times()
    for turn in range(rounds):
        for codec in rotated(codecs, turn):
            spent, _, count = run(FIRST_RESULT, codec, page)[0].split()
            assert int(count) == len(table.rows), codec.name
            times.add(codec.name, float(spent))
    return times


def first_page() -> Table:
    return Table.of(ITF3, 85)


def peak(codec: Codec, size: int) -> tuple[int, int, int]:
    """(peak, row objects, frame) in bytes for one frame of ``size`` bytes, as tracemalloc counts."""
    table = Table.of(ITF3, 1000)
    names, piece = frames.rows_head(table.names), b"".join(table.packed)
    pieces = (size - 8 - len(names) - 8) // len(piece)
    body = len(names) + pieces * len(piece) + 8
    head = frames.frame(frames.ROWS, bytes(body))[:8] + names
    lines = (head, piece, pieces.to_bytes(4, "big"), frames.DONE)
    answer, _ = run(PEAK, codec, "\n".join(line.hex() for line in lines).encode())
    top, held, count, first, last = json.loads(answer)
    assert count == pieces * len(table.rows), codec.name
    assert (tuple(first), tuple(last)) == (table.rows[0], table.rows[-1]), codec.name
    return top, held, 8 + body
