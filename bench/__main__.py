"""Run the benchmark: ``python -m bench [--only PATTERN] [--rounds N] [--quick]``."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

from bench import report
from bench.candidates import PUBLISHED, PUBLISHED_NEEDS, ROOT, SOURCE, load_all
from bench.measure import Unavailable
from bench.suite import Result, Settings, Work, scaled, works

RESULTS = ROOT / "bench" / "results" / "latest.json"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", metavar="PATTERN", action="append", help="works whose name holds PATTERN")
    parser.add_argument("--rounds", type=int, default=31, help="rounds per work (at least 20 to be evidence)")
    parser.add_argument(
        "--quick", action="store_true", help="7 rounds and a small frame: a look, no evidence"
    )
    parser.add_argument("--json", type=Path, default=RESULTS, help="where to write the figures")
    parser.add_argument("--src", type=Path, default=SOURCE, help="folder that holds our package")
    parser.add_argument("--list", action="store_true", help="name the works and stop")
    return parser.parse_args()


def lines_of(work: Work, result: Result) -> list[report.Line]:
    older = sys.version_info < PUBLISHED_NEEDS
    lines = []
    for goal in work.goals:
        if older and goal.against in PUBLISHED:
            continue
        if goal.against not in result.figures:
            continue
        measured = result.figures[goal.against]
        rounds = result.rounds.get(goal.against, [measured, measured])
        low, _, high = statistics.quantiles(rounds, n=4)
        lines.append(report.Line(scaled(goal, older), measured, low, high, result.seconds, work.unit))
    return lines


def not_measured(work: Work, result: Result) -> list[str]:
    """What is said of each goal against what does not run here: a published package, the native module."""
    needed = ".".join(map(str, PUBLISHED_NEEDS))
    said = []
    for goal in work.goals:
        if sys.version_info < PUBLISHED_NEEDS and goal.against in PUBLISHED:
            said.append(f"{work.name} against {goal.against}: not measured: needs Python {needed}")
        elif goal.against not in result.figures:
            said.append(f"{work.name} against {goal.against}: not measured: no native module")
    return said


def main() -> int:
    options = arguments()
    chosen = [w for w in works() if not options.only or any(p in w.name for p in options.only)]
    if options.list or not chosen:
        print("\n".join(work.name for work in chosen or works()))
        return 0 if chosen else 2
    rounds = 7 if options.quick else options.rounds
    settings = Settings(load_all(options.src.resolve()), rounds, options.quick)
    print(report.heading(), flush=True)
    lines: list[report.Line] = []
    unavailable = []
    for work in chosen:
        try:
            result = work.measure(settings)
        except Unavailable as reason:
            unavailable.append(f"{work.name}: not measured: {reason}")
            print(unavailable[-1], flush=True)
            continue
        found = lines_of(work, result)
        lines += found
        missing = not_measured(work, result)
        unavailable += missing
        print("\n".join([*report.text(found), *missing]), flush=True)
        report.write_json(options.json, lines, {"rounds": rounds, "quick": options.quick})
    judged = [line for line in lines if line.goal.floor is not None]
    missed = [line for line in judged if not line.met]
    print(f"\n{len(judged) - len(missed)} of {len(judged)} floors met, {len(missed)} missed; {options.json}")
    if unavailable:
        print(f"{len(unavailable)} not measured")
    return 1 if missed or (unavailable and os.environ.get("CI")) else 0


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1  # it has not come to its end
    sys.exit(code)
