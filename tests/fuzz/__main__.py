"""`python -m tests.fuzz --rounds N [--seed S]`: N damaged frames, each read in every way, and what came of
it. `--minutes M` goes on for so long; `--sanitize` does it with a native module that watches memory."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.fuzz import checks, rounds, sanitize


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10_000, help="damaged frames in all")
    parser.add_argument("--seed", type=int, default=1, help="of the first batch; each batch has the next")
    parser.add_argument("--minutes", type=float, default=0, help="go on for so long, and N frames at least")
    parser.add_argument("--sanitize", action="store_true", help="with a native module that watches memory")
    arguments = parser.parse_args()
    if arguments.sanitize:
        return sanitized(arguments)
    counts: Counter[str] = Counter()
    started, seed = time.monotonic(), arguments.seed
    ends = started + 60 * arguments.minutes
    sets = (checks.hot(), checks.cold())
    while counts["damaged"] < arguments.rounds or time.monotonic() < ends:
        try:
            rounds.batch(Random(seed), counts, sets)
        except Exception:
            print(f"failed in the batch of seed {seed}", file=sys.stderr)
            raise
        seed += 1
    shown = ", ".join(f"{count} {what}" for what, count in counts.items())
    print(
        f"no difference in {shown}; seeds {arguments.seed} to {seed - 1}, {time.monotonic() - started:.0f} s"
    )
    return 0


def sanitized(arguments: argparse.Namespace) -> int:
    if lacking := sanitize.missing():
        print(f"{lacking} is missing", file=sys.stderr)
        return 1
    passed = [f"--{name}={getattr(arguments, name)}" for name in ("rounds", "seed", "minutes")]
    with tempfile.TemporaryDirectory() as folder:
        return sanitize.run(sanitize.build(Path(folder)), *passed).returncode


if __name__ == "__main__":
    sys.exit(main())
