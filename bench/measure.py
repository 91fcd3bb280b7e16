"""How a figure is taken: CPU time of one thread, candidates in turn, paired ratios.

A *trial* holds one callable per candidate for the same work. A round runs each
candidate for at least ``SAMPLE`` seconds of CPU time, one after the other in an
order that rotates; the ratio of two candidates is the median over the rounds of
the ratio within the round, so that a machine that slows down slows down both.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

SAMPLE = 0.004
Run = Callable[[], Any]
T = TypeVar("T")


class Unavailable(Exception):
    """Something that a work compares with is not on this machine."""


@dataclass
class Trial:
    """The same work for each candidate.

    ``units`` is what one call amounts to (cells, messages); ``check`` takes a
    candidate's name and its result and raises AssertionError if the work was not done.
    """

    units: int
    runs: dict[str, Run]
    check: Callable[[str, Any], None]


@dataclass
class Times:
    """Seconds per unit of each candidate, one entry a round."""

    rounds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        self.rounds.setdefault(name, []).append(seconds)

    def median(self, name: str) -> float:
        return statistics.median(self.rounds[name])

    def ratios(self, slow: str, fast: str) -> list[float]:
        pairs = zip(self.rounds[slow], self.rounds[fast], strict=True)
        return [a / b for a, b in pairs]

    def ratio(self, slow: str, fast: str) -> float:
        return statistics.median(self.ratios(slow, fast))


def seconds(run: Run, loops: int) -> float:
    """CPU seconds of this thread for one call, averaged over ``loops`` calls."""
    clock = time.thread_time
    begin = clock()
    for _ in range(loops):
        run()
    return (clock() - begin) / loops


def calibrate(run: Run, sample: float = SAMPLE) -> int:
    """Calls that fill a sample; also the warm-up."""
    loops, spent = 1, seconds(run, 1)
    while spent * loops < sample / 2:
        loops = min(loops * 4, int(sample / max(spent, 1e-7)) + 1)
        spent = seconds(run, loops)
    return max(1, round(sample / spent))


def settle() -> None:
    """Collect, and take what lives now out of the collector's sight; the collector stays on."""
    gc.collect()
    gc.freeze()


def rotated(items: Iterable[T], turn: int) -> list[T]:
    order = list(items)
    at = turn % len(order)
    return order[at:] + order[:at]


def compare(trial: Trial, rounds: int, sample: float = SAMPLE) -> Times:
    """Measure a trial whose input may be used again and again."""
    return in_turns(samples(trial, sample), rounds, trial.units)


def samples(trial: Trial, sample: float = SAMPLE) -> dict[str, Callable[[], float]]:
    """Check what each candidate does, and say how a sample of it is taken."""
    for name, run in trial.runs.items():
        trial.check(name, run())
    return {name: partial(seconds, run, calibrate(run, sample)) for name, run in trial.runs.items()}


def in_turns(samples: dict[str, Callable[[], float]], rounds: int, units: int) -> Times:
    """Take samples, each the CPU seconds of one call, in turn."""
    times = Times()
    settle()
    for turn in range(rounds):
        for name in rotated(samples, turn):
            times.add(name, samples[name]() / units)
    gc.unfreeze()
    return times


def compare_fresh(build: Callable[[int], Trial], rounds: int) -> Times:
    """Measure with new input in every round, which each candidate sees exactly once."""
    times = Times()
    for turn in range(rounds + 1):
        trial = build(turn)
        settle()
        for name in rotated(trial.runs, turn):
            begin = time.thread_time()
            result = trial.runs[name]()
            spent = time.thread_time() - begin
            trial.check(name, result)
            if turn:  # the first round only warms up
                times.add(name, spent / trial.units)
        gc.unfreeze()
    return times
