"""`python -m tests.fuzz --rounds N [--seed S]`: N damaged frames, each read in every way, and what came of
it."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from random import Random

from tests.fuzz import checks, rounds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10_000, help="damaged frames in all")
    parser.add_argument("--seed", type=int, default=1, help="of the first batch; each batch has the next")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    started, seed = time.monotonic(), arguments.seed
    sets = (checks.hot(), checks.cold())
    while counts["damaged"] < arguments.rounds:
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


if __name__ == "__main__":
    sys.exit(main())
