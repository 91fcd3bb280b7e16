"""Run the survey, or what is left of it: python -m tests.real.survey [--server KIND] [--jobs N].

What was tried is kept in a file below the cache folder, a line a step, so that a survey that was stopped goes
on where it stood (`--again` forgets it). Once everything was tried, the table in the repository is written.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.real.nodes import KINDS, missing
from tests.real.survey.steps import PREPARE, WAYS, Step, steps
from tests.real.survey.table import TABLE, Row, journal, read_journal, write_table
from tests.real.survey.trial import survey

BATCH = 30
SETTLED = ("kills", "hangs")  # by PREPARE: what no other way need repeat
# .. and what it refuses; but EXEC_SQL and QUERY_SQL take texts of many statements, or of none
ONLY_PREPARE = ("FAILURE 1 nonempty statement tail", "FAILURE 0 empty statement")
PREPARED = WAYS[3:]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.real.survey", description=__doc__)
    parser.add_argument("--server", action="append", choices=KINDS, help="of these kinds only")
    parser.add_argument("--jobs", type=int, default=2, help="nodes at once")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after that time")
    parser.add_argument("--again", action="store_true", help="forget what was tried")
    options = parser.parse_args(arguments)
    kinds = options.server or [kind for kind in KINDS if not missing(kind)]
    for kind in kinds:
        if missing(kind):
            parser.error(missing(kind))
    if options.again:
        journal().unlink(missing_ok=True)
    end = time.monotonic() + 60 * options.minutes
    # PREPARE of every text first: what it settles is not tried in other ways
    for first in (True, False):
        if not run(list(batches(kinds, first)), options.jobs, end):
            print("stopped; the same command goes on", file=sys.stderr)
            return 1
    print(f"{write_table(read_journal())} rows in {TABLE.name}", file=sys.stderr)
    return 0


def batches(kinds: Sequence[str], first: bool) -> Iterator[tuple[str, list[Step]]]:
    """Yield (kind, steps) of what is left: names and PREPARE, or the other ways."""
    known = {(row.server, row.via, row.open_name, row.sql): row for row in read_journal()}
    for kind in kinds:

        def is_open(step: Step, kind: str = kind) -> bool:
            prepared = known.get((kind, PREPARE, step.open_name, step.sql))
            settled = prepared is not None and is_settled(step, prepared)
            is_first = step.via not in WAYS[1:]
            return is_first == first and (kind, *step) not in known and (first or not settled)

        left = (step for step in steps() if is_open(step))
        while batch := list(itertools.islice(left, BATCH)):
            yield kind, batch


def is_settled(step: Step, prepared: Row) -> bool:
    """Tell whether PREPARE of the same text has told what becomes of a step."""
    if prepared.verdict in SETTLED:
        return True
    if prepared.evidence.startswith(ONLY_PREPARE):
        return step.via in PREPARED
    return prepared.evidence.startswith("FAILURE")


def run(work: Sequence[tuple[str, list[Step]]], jobs: int, end: float) -> bool:
    """Survey batches side by side; tell whether all were done in time."""
    done = 0
    with ProcessPoolExecutor(jobs) as pool, journal().open("a", encoding="utf-8") as kept:
        futures = {pool.submit(survey, kind, batch): kind for kind, batch in work}
        try:
            for future in as_completed(futures):
                for step, version, (verdict, evidence) in future.result():
                    kept.write(Row(futures[future], version, *step, verdict, evidence).line())
                kept.flush()
                done += 1
                if sys.stderr.isatty() or done % 20 == 0:
                    print(f"{done} of {len(work)} batches", file=sys.stderr)
                if time.monotonic() > end and done < len(work):
                    return False
        finally:
            for future in futures:
                future.cancel()
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
