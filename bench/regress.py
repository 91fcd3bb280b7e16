"""Guard against slow regressions: instructions instead of seconds (``make bench-regress``).

Each workload runs twice under callgrind, with one loop and with six, the collector off
and ``PYTHONHASHSEED=0``; the difference over five loops is its cost without start-up and
repeats to half a per cent, however busy the machine. It is kept as a ratio to a fixed
reference loop of the same run, which takes out most of what another build of the
interpreter changes. ``regress.json`` holds the ratios by Python version, those of pure Python
and, where the native module was built, those with it: more than 5 % above them fails, and
``--update`` writes what was measured. Exit code 2: nothing to compare.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import frames, rows, small
from bench.candidates import NATIVE, OURS, ROOT, SOURCE, Codec, environment, load, load_native
from bench.frames import ITF3, MIX10, Table
from bench.measure import Run, Trial, Unavailable

COMMITTED = ROOT / "bench" / "regress.json"
TOLERANCE = 0.05
LOOPS = (1, 6)
WARM_UP = 3
REFERENCE = "reference loop"
Workload = Callable[[Codec], tuple[int, Run]]  # units of one call, and the call


def reference(codec: Codec) -> tuple[int, Run]:
    """What Python code of a codec is made of, and nothing of ours; never change it."""
    data = struct.pack("<qd", 1 << 40, 1.5) + b"some text of twenty\0"
    unpack, table = struct.Struct("<qd").unpack_from, {index: str(index) for index in range(16)}

    def run() -> list[tuple[int, str, float, str]]:
        result: list[tuple[int, str, float, str]] = []
        append = result.append
        for index in range(200):
            number, real = unpack(data, 0)
            end = data.index(0, 16)
            append((number, data[16:end].decode(), real, table[index & 15]))
        return result

    return 200, run


def _of(build: Callable[[list[Codec]], Trial]) -> Workload:
    def workload(codec: Codec) -> tuple[int, Run]:
        trial = build([codec])
        run = trial.runs[codec.name]
        trial.check(codec.name, run())
        return trial.units, run

    return workload


def stream(shape: frames.Shape) -> Workload:
    def workload(codec: Codec) -> tuple[int, Run]:
        table = Table.of(shape, 400)
        return table.cells, rows.read_stream(codec, table.pages())

    return workload


def plain_rows(codec: Codec) -> tuple[int, Run]:
    """A new signature in every row of every loop, so that no row is hot."""
    rng = random.Random("plain")
    tables = [rows.hostile_table(rng, 60, 1) for _ in range(1 + WARM_UP + max(LOOPS))]
    calls = iter([rows.read_frame(codec, table.frame()) for table in tables])
    return tables[0].cells, lambda: next(calls)()


def exchange(codec: Codec) -> tuple[int, Run]:
    """EXEC_SQL without parameters out, RESULT in."""
    request, decoder = codec.messages.ExecSqlRequest, codec.wire.MessageDecoder()
    result = frames.frame(frames.RESULT, frames.u64(7) + frames.u64(1))

    def run() -> None:
        for _ in range(50):
            request(0, "DELETE FROM t WHERE a = 1").encode()
            decoder.feed(result)
            decoder.decode()

    return 50, run


WORKLOADS: dict[str, Workload] = {
    REFERENCE: reference,
    "stream itf3, per cell": stream(ITF3),
    "stream mix10, per cell": stream(MIX10),
    "plain rows, per cell": plain_rows,
    "write itf3, per cell": _of(lambda codecs: rows.write(codecs, ITF3, 200)),
    "EXEC_SQL of 5 params, per call": _of(lambda codecs: small.params(codecs, 5)),
    "EXEC_SQL and RESULT, per exchange": exchange,
}


def child(name: str, loops: int, source: Path, mode: str) -> None:
    """What callgrind counts; the parent subtracts one run from another."""
    gc.disable()
    units, run = WORKLOADS[name](load_native(source) if mode == NATIVE else load(OURS, source))
    for _ in range(WARM_UP + loops):
        run()
    print(units)


def run_child(name: str, loops: int, source: Path, mode: str, *prefix: str) -> int:
    """Units of one loop, as the child prints them."""
    command = [*prefix, sys.executable, "-m", "bench.regress", "--src", str(source)]
    command += ["--child", name, "--loops", str(loops), "--mode", mode]
    bare = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
    told = environment(bare, native=mode == NATIVE)
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return int(done.stdout)


def count(name: str, loops: int, source: Path, mode: str) -> tuple[int, int]:
    """(instructions of a whole child, units of one loop)"""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        valgrind = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}")
        units = run_child(name, loops, source, mode, *valgrind)
        total = re.findall(r"^summary: (\d+)", out.read_text(), re.MULTILINE)[0]
    return int(total), units


def measure(source: Path, mode: str) -> dict[str, float]:
    """Instructions per unit of every workload; two children at a time, which changes no count."""
    for name in WORKLOADS:
        run_child(name, min(LOOPS), source, mode)  # writes the byte code, and shows mistakes early
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {
            (name, loops): pool.submit(count, name, loops, source, mode)
            for name in WORKLOADS
            for loops in LOOPS
        }
        done = {key: job.result() for key, job in jobs.items()}
    few, many = LOOPS
    return {
        name: (done[name, many][0] - done[name, few][0]) / (many - few) / done[name, few][1]
        for name in WORKLOADS
    }


def ratios(costs: dict[str, float]) -> dict[str, float]:
    base = costs[REFERENCE]
    return {name: round(cost / base, 4) for name, cost in costs.items() if name != REFERENCE}


def compare(measured: dict[str, float], committed: dict[str, float]) -> int:
    worse = 0
    for name, ratio in measured.items():
        change = ratio / committed[name] - 1
        failed = change > TOLERANCE
        worse += failed
        print(f"{name:<36} {committed[name]:.3f} -> {ratio:.3f}  {change:+.1%}{'  REGRESSION' * failed}")
    return 1 if worse else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.regress", description="Count instructions, compare with the committed ratios."
    )
    parser.add_argument("--update", action="store_true", help=f"write {COMMITTED.name} instead of comparing")
    parser.add_argument("--src", type=Path, default=SOURCE, help="folder that holds our package")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--loops", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=(OURS, NATIVE), default=OURS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.loops, options.src, options.mode)
        return 0
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: instructions cannot be counted", file=sys.stderr)
        return 2
    source = options.src.resolve()
    return max(settle(mode, source, options.update) for mode in modes(source))


def modes(source: Path) -> list[str]:
    """Pure Python, and the native module where it was built."""
    try:
        load_native(source)
    except Unavailable as reason:
        print(f"not counted: {reason}")
        return [OURS]
    return [OURS, NATIVE]


def settle(mode: str, source: Path, update: bool) -> int:
    """Measure one mode; compare it with what is known, or write that."""
    key = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
    key += f", {NATIVE}" if mode == NATIVE else ""
    known = json.loads(COMMITTED.read_text()) if COMMITTED.exists() else {}
    if key not in known and not update:
        print(f"{COMMITTED.name} has no ratios for {key}: run with --update", file=sys.stderr)
        return 2
    costs = measure(source, mode)
    print(f"{key}:")
    print("\n".join(f"{name:<36} {cost:>8.0f} instructions" for name, cost in costs.items()))
    measured = ratios(costs)
    if update:
        known[key] = measured
        COMMITTED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        return 0
    return compare(measured, known[key])


if __name__ == "__main__":
    sys.exit(main())
