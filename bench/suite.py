"""All works of the benchmark by name, and what each yields: figures to hold against goals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from bench import (
    conversation,
    embedded,
    end_to_end,
    frames,
    go_dqlite,
    guard,
    linear,
    native,
    process,
    proxy,
    rows,
    small,
    traffic,
)
from bench.candidates import NATIVE, OURS, Codec
from bench.goals import BOUNDS, GO_TIMES, LINEAR, NATIVE_TIMES, OLDER_PYTHON, RATIOS, SHOWN, Goal
from bench.measure import Times, Trial, Unavailable, compare, compare_fresh

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Settings:
    codecs: list[Codec]
    rounds: int
    quick: bool


@dataclass
class Result:
    """What a work gave: time per unit by candidate, and one figure by goal's ``against``."""

    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    rounds: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, times: Times) -> Result:
        others = [name for name in times.rounds if name != OURS]
        return cls(
            {name: times.median(name) for name in times.rounds},
            {name: times.ratio(name, OURS) for name in others},
            {name: times.ratios(name, OURS) for name in others},
        )


@dataclass(frozen=True)
class Work:
    name: str
    unit: str
    goals: list[Goal]
    measure: Callable[[Settings], Result]


def _again(build: Callable[[list[Codec]], Trial], settings: Settings) -> Result:
    return Result.of(compare(build(settings.codecs), settings.rounds))


def _fresh(build: Callable[[list[Codec], int], Trial], settings: Settings) -> Result:
    return Result.of(compare_fresh(partial(build, settings.codecs), settings.rounds))


def _linear(name: str, settings: Settings) -> Result:
    return _growth(compare(linear.trial(settings.codecs[0], name), settings.rounds))


def _growth(times: Times) -> Result:
    return Result({OURS: times.median("n")}, {"n": times.ratio("4n", "n")}, {"n": times.ratios("4n", "n")})


def _importing(settings: Settings) -> Result:
    return Result.of(process.importing(settings.codecs, settings.rounds))


def _first_result(settings: Settings) -> Result:
    return Result.of(process.first_result(settings.codecs, settings.rounds))


def _after_import(settings: Settings) -> Result:
    return Result.of(process.after_import(settings.codecs, settings.rounds))


def _frame_size(settings: Settings) -> int:
    return (4 if settings.quick else 64) << 20


def _peak(settings: Settings) -> Result:
    peaks = {codec.name: process.peak(codec, _frame_size(settings)) for codec in settings.codecs}
    top, held, frame = peaks[OURS]
    figures = {name: peak[0] / top for name, peak in peaks.items() if name != OURS}
    return Result({OURS: float(top)}, figures | {"rows + frame": top / (held + frame)})


def _exchange(settings: Settings) -> Result:
    times = compare(conversation.exchange(settings.codecs[0]), settings.rounds)
    pairs = zip(times.rounds[OURS], times.rounds["codec"], strict=True)
    more = [(layered - alone) * 1e6 for layered, alone in pairs]
    return Result(
        {name: times.median(name) for name in times.rounds}, {"codec": median(more)}, {"codec": more}
    )


def _guard(settings: Settings) -> Result:
    """The dearest of the guarded methods, and what its guard adds to a call."""
    found = []
    for trial in guard.trials(settings.codecs[0]):
        times = compare(trial, settings.rounds)
        pairs = zip(times.rounds[OURS], times.rounds[guard.BARE], strict=True)
        more = [(marked - bare) * 1e9 for marked, bare in pairs]
        seconds = {name: times.median(name) for name in times.rounds}
        found.append(Result(seconds, {guard.BARE: median(more)}, {guard.BARE: more}))
    return max(found, key=lambda result: result.figures[guard.BARE])


def _layered_stream(settings: Settings) -> Result:
    times = compare(conversation.stream(settings.codecs[0]), settings.rounds)
    ratios = times.ratios(OURS, "codec")
    return Result({n: times.median(n) for n in times.rounds}, {"codec": median(ratios)}, {"codec": ratios})


def _traffic_rows(settings: Settings) -> Result:
    size, spent = traffic.above_start(settings.codecs[0].folder, traffic.rows_capture(MEGABYTE * 64))
    return Result({OURS: spent / size * MEGABYTE}, {"stats": size / spent / 1e6})


def _traffic_small(settings: Settings) -> Result:
    exchanges = 40_000
    _, spent = traffic.above_start(settings.codecs[0].folder, traffic.small_capture(exchanges))
    seconds = spent / (2 * exchanges)
    return Result({OURS: seconds}, {"stats": seconds * 1e6})


def _traffic_memory(settings: Settings) -> Result:
    size = MEGABYTE * (64 if settings.quick else 1024)
    _, _, top = traffic.stats(settings.codecs[0].folder, traffic.rows_capture(size))
    return Result({OURS: float(top)}, {"stats": top / 1e6})


def _embedded_start(settings: Settings) -> Result:
    spent = embedded.starting(settings.rounds)
    return Result({OURS: spent}, {"clock": spent * 1e3})


def _embedded_rows(settings: Settings) -> Result:
    ours, real = embedded.reading(settings.codecs[0].folder, min(settings.rounds, 11))
    ratios = [slow / fast for slow, fast in zip(real, ours, strict=True)]
    return Result({OURS: median(ours) / embedded.ROWS}, {f"node {embedded.KIND}": median(ratios)})


def _proxied_rows(name: str, against: str, settings: Settings) -> Result:
    times = proxy.rows(settings.codecs[0].folder, settings.rounds)
    if against not in times.rounds:
        raise Unavailable(f"no {against}")
    seconds = {other: times.median(other) / proxy.ROWS for other in times.rounds}
    ratios = times.ratios(against, name)
    return Result({**seconds, OURS: seconds[name]}, {against: median(ratios)}, {against: ratios})


def _proxied_exchange(name: str, settings: Settings) -> Result:
    times = proxy.exchanges(settings.codecs[0].folder, settings.rounds)
    pairs = zip(times.rounds[name], times.rounds["direct"], strict=True)
    more = [(through - direct) * 1e6 for through, direct in pairs]
    seconds = {other: times.median(other) for other in times.rounds}
    return Result({**seconds, OURS: seconds[name]}, {"direct": median(more)}, {"direct": more})


def _proxied_idle(settings: Settings) -> Result:
    resident = proxy.idle(settings.codecs[0].folder)
    return Result({OURS: float(resident)}, {"resident": resident / 1e6})


def _beside_pure(take: Callable[[Codec, int], Times], settings: Settings) -> Result:
    return Result.of(take(settings.codecs[0], settings.rounds))


def _native_import(settings: Settings) -> Result:
    times = native.importing(settings.codecs[0], settings.rounds)
    pairs = zip(times.rounds[NATIVE], times.rounds[OURS], strict=True)
    more = [(with_it - without) * 1e3 for with_it, without in pairs]
    seconds = {name: times.median(name) for name in times.rounds}
    return Result(seconds, {NATIVE: median(more)}, {NATIVE: more})


def _native_peak(settings: Settings) -> Result:
    peaks = native.peaks(settings.codecs[0], _frame_size(settings))
    return Result({n: float(peak) for n, peak in peaks.items()}, {NATIVE: peaks[NATIVE] / peaks[OURS]})


def _native_linear(name: str, settings: Settings) -> Result:
    return _growth(native.linear_times(name, settings.codecs[0], settings.rounds))


def _beside(against: dict[str, str], times: Times) -> Result:
    """Native and pure, as parts of the time of others; native is missing where the module is."""
    result = Result({name: times.median(name) for name in times.rounds})
    for other, said in against.items():
        for mine, words in ((NATIVE, said), (OURS, f"{said}, pure")):
            if mine in times.rounds:
                result.rounds[words] = times.ratios(mine, other)
                result.figures[words] = median(result.rounds[words])
    return result


def _beside_go(shape: frames.Shape, count: int, settings: Settings) -> Result:
    times = native.beside_go(shape, count, settings.codecs[0], settings.rounds)
    return _beside({name: name for name in (go_dqlite.KEEPING, go_dqlite.ONE_ROW)}, times)


def _end_to_end(clock: int, settings: Settings) -> Result:
    times = end_to_end.reading(settings.codecs[0], min(settings.rounds, 15))[clock]
    return _beside({go_dqlite.DATABASE_SQL: go_dqlite.DATABASE_SQL}, times)


def _native_works() -> Iterator[tuple[str, str, Callable[[Settings], Result]]]:
    for name, unit, take in native.beside_pure():
        yield f"native {name}", unit, partial(_beside_pure, take)
    yield "native import", "start", _native_import
    yield "native memory peak", "B", _native_peak
    for name in native.LINEAR:
        yield f"native linear {name}", "call", partial(_native_linear, name)
    for shape, count in native.STREAMS:
        yield f"go {shape.name}", "cell", partial(_beside_go, shape, count)
    yield "end-to-end", "row", partial(_end_to_end, 0)
    yield "end-to-end, by the clock", "row", partial(_end_to_end, 1)


def _native_goals() -> Iterator[Goal]:
    for name, _, _ in native.beside_pure():
        yield Goal(f"native {name}", NATIVE, *NATIVE_TIMES.get(name, SHOWN), at_most=True)
    for shape, goal in GO_TIMES.items():
        for against, pair in ((go_dqlite.KEEPING, goal), (go_dqlite.ONE_ROW, SHOWN)):
            yield Goal(f"go {shape}", against, *pair, at_most=True)
            yield Goal(f"go {shape}", f"{against}, pure", *SHOWN, at_most=True)


def _works() -> Iterator[tuple[str, str, Callable[[Settings], Result]]]:
    for shape, count in (
        (frames.ITF3, 3400),
        (frames.ITV3, 3400),
        (frames.INT1, 8000),
        (frames.MIX10, 1300),
    ):
        yield f"stream {shape.name}", "cell", partial(_again, partial(rows.stream, shape=shape, count=count))
    for shape in (frames.INT1, frames.ITF3, frames.MIX10, frames.IF30, frames.IT1K, frames.BLOB64K):
        count = 100 if shape is frames.BLOB64K else 1000
        yield f"frame {shape.name}", "cell", partial(_again, partial(rows.frame, shape=shape, count=count))
    for count in (0, 5, 50, 1000):
        yield f"params {count}", "call", partial(_again, partial(small.params, count=count))
    for name in small.SMALL:
        yield f"encode {name}", "call", partial(_again, partial(small.encode, name=name))
        if small.SMALL[name].fields:  # decoding is measured with a field read
            yield f"decode {name}", "call", partial(_again, partial(small.decode, name=name))
    yield "feed RESULT", "call", partial(_again, partial(small.feed, name="RESULT"))
    for shape in (frames.ITF3, frames.MIX10):
        yield f"write {shape.name}", "cell", partial(_again, partial(rows.write, shape=shape, count=1000))
    yield "hostile every row", "cell", partial(_fresh, partial(rows.hostile, 1))
    yield "hostile every 20 rows", "cell", partial(_fresh, partial(rows.hostile, 20))
    yield "hostile after flood", "cell", partial(_fresh, rows.after_flood)
    yield "process import", "start", _importing
    yield "process first result", "start", _first_result
    yield "process after import", "start", _after_import
    yield "memory peak", "B", _peak
    yield "guard", "call", _guard
    yield "conversation RESULT", "call", _exchange
    yield "conversation stream itf3", "cell", _layered_stream
    yield "traffic ROWS", "MiB", _traffic_rows
    yield "traffic small messages", "packet", _traffic_small
    yield "traffic memory, 1 GiB capture", "B", _traffic_memory
    yield "proxy 200 000 rows", "row", partial(_proxied_rows, OURS, "copier")
    yield "proxy 200 000 rows, socat", "row", partial(_proxied_rows, OURS, "socat")
    yield "proxy 200 000 rows, recorded", "row", partial(_proxied_rows, "recorded", "copier")
    yield "proxy small exchange", "exchange", partial(_proxied_exchange, OURS)
    yield "proxy small exchange, recorded", "exchange", partial(_proxied_exchange, "recorded")
    yield "proxy 2 000 idle connections", "B", _proxied_idle
    yield "embedded start", "start", _embedded_start
    yield "embedded 100 000 rows", "row", _embedded_rows
    for name in linear.CASES:
        yield f"linear {name}", "call", partial(_linear, name)
    yield from _native_works()


def works() -> list[Work]:
    """Every work with its goals; a goal without a work is a mistake in the table."""
    goals: dict[str, list[Goal]] = {}
    for goal in [*RATIOS, *BOUNDS, *_native_goals()]:
        goals.setdefault(goal.work, []).append(goal)
    linear_works = [f"linear {name}" for name in linear.CASES]
    linear_works += [f"native linear {name}" for name in native.LINEAR]
    goals |= {work: [Goal(work, "n", LINEAR, at_most=True)] for work in linear_works}
    result = [Work(name, unit, goals.pop(name), measure) for name, unit, measure in _works()]
    if goals:
        raise LookupError(f"goals without a work: {', '.join(goals)}")
    return result


def scaled(goal: Goal, older_python: bool) -> Goal:
    """The goal as it holds here: before 3.13 C code gets a head start."""
    if not older_python or goal.against not in ("sqlite3", "msgpack") or goal.floor is None:
        return goal
    stretch = None if goal.stretch is None else goal.stretch * OLDER_PYTHON
    return Goal(goal.work, goal.against, goal.floor * OLDER_PYTHON, stretch)
