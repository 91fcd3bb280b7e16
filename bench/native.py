"""The native module: beside pure Python in the same process, and both beside Go.

Works of this module have candidates of their own, so that those of the others stay the same ones
whether there is a native module or not.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench import frames, go_dqlite, linear, process, rows, small
from bench.candidates import NATIVE, OURS, Codec, load_native
from bench.frames import IF30, INT1, IT1K, ITF3, MIX10, Shape, Table
from bench.measure import Times, Trial, Unavailable, compare, compare_fresh, in_turns, samples

STREAMS = ((INT1, 8000), (ITF3, 3400), (MIX10, 1300), (IF30, 1000))

SAMPLE = 0.02  # longer than elsewhere: the two share no code, and each finds the caches full of the other's
FRESH_FRAMES = 8
LINEAR = [  # of what it has a part in
    name for name in linear.CASES if not name.startswith(("FAILURE", "decode n params", "texts off"))
]

Build = Callable[[list[Codec]], Trial]


def pair(pure: Codec) -> list[Codec]:
    return [pure, load_native(pure.folder)]


def of_ours(trial: Trial) -> Trial:
    """A trial without what other packages do."""
    return Trial(trial.units, {n: run for n, run in trial.runs.items() if n in (OURS, NATIVE)}, trial.check)


def again(build: Build, pure: Codec, rounds: int) -> Times:
    return compare(of_ours(build(pair(pure))), rounds, SAMPLE)


def fresh(run_length: int, pure: Codec, rounds: int) -> Times:
    """Hostile frames, new ones in every round, some in a call, which drops each before the next.

    With a single frame a call is so short that cold caches and new memory are most of it. The rows are
    compared afterwards, so that no signature is known before.
    """
    codecs = pair(pure)

    def build(turn: int) -> Trial:
        at = turn * FRESH_FRAMES
        trials = [rows.hostile(run_length, codecs, number) for number in range(at, at + FRESH_FRAMES)]

        def run(name: str) -> None:
            for trial in trials:
                trial.runs[name]()

        def check(name: str, _: Any) -> None:
            for trial in trials:
                trial.check(name, trial.runs[name]())

        return Trial(sum(t.units for t in trials), {c.name: partial(run, c.name) for c in codecs}, check)

    return compare_fresh(build, rounds)


def beside_pure() -> Iterator[tuple[str, str, Callable[[Codec, int], Times]]]:
    """Works by name, with the unit of each."""
    for shape, count in STREAMS:
        yield f"stream {shape.name}", "cell", partial(again, partial(rows.stream, shape=shape, count=count))
    for shape in (INT1, ITF3, MIX10, IF30, IT1K, frames.BLOB64K):
        count = 100 if shape is frames.BLOB64K else 1000
        yield f"frame {shape.name}", "cell", partial(again, partial(rows.frame, shape=shape, count=count))
    for shape in (INT1, ITF3, MIX10, IF30):
        yield f"write {shape.name}", "cell", partial(again, partial(rows.write, shape=shape, count=1000))
    for count in (0, 5, 50, 1000):
        yield f"params {count}", "call", partial(again, partial(small.params, count=count))
    yield "feed RESULT", "call", partial(again, partial(small.feed, name="RESULT"))
    yield "hostile every row", "cell", partial(fresh, 1)
    yield "hostile every 20 rows", "cell", partial(fresh, 20)


def importing(pure: Codec, rounds: int) -> Times:
    return process.import_alone(pair(pure), rounds)


def peaks(pure: Codec, size: int) -> dict[str, int]:
    return {codec.name: process.peak(codec, size)[0] for codec in pair(pure)}


def linear_times(name: str, pure: Codec, rounds: int) -> Times:
    scale = (
        16 if name.startswith("alternating") else 4
    )  # n is beyond the caches, too, and the collector at work
    return compare(linear.trial(load_native(pure.folder), name, scale), rounds)


# -- beside Go ------------------------------------------------------------------------------


def beside_go(shape: Shape, count: int, pure: Codec, rounds: int) -> Times:
    """The same pages through go-dqlite's decoder; each in turn, and everyone keeps its rows but the last."""
    program = go_dqlite.program()
    table = Table.of(shape, count)
    codecs = [pure]
    try:
        codecs = pair(pure)
    except Unavailable:
        pass  # pure is worth seeing beside Go
    taken = samples(of_ours(rows.stream(codecs, shape, count)), go_dqlite.SAMPLE)
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder, "pages")
        pages.write_bytes(b"".join(table.pages()))
        with go_dqlite.Child([str(program), "decode", str(pages)], dict(os.environ)) as child:
            assert child.rows() == go_dqlite.shown_rows(table.rows), "Go: other rows than packed"
            taken[go_dqlite.KEEPING] = child.sample("keep", go_dqlite.SAMPLE)
            taken[go_dqlite.ONE_ROW] = child.sample("one", go_dqlite.SAMPLE)
            return in_turns(taken, rounds, table.cells)
