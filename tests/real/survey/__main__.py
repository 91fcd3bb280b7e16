"""Run the survey: `python -m tests.real.survey [--minutes M] [--only TEXT] [--file FILE] [KIND ...]`.

Steps share a node in batches. A batch in which all is well settles all of its steps. Otherwise the node may
carry what an earlier step left behind, so that a batch is divided until the step that does harm is alone on
its node; only such a finding counts. The file is written after each batch: a run that was interrupted goes on
with what is missing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.real.nodes import KINDS, Node, missing, release
from tests.real.session import Session
from tests.real.survey.judge import HARMLESS, REFUSED, Finding, try_steps
from tests.real.survey.steps import PREPARED, Step, all_steps

FILE = Path(__file__).with_name("survey.tsv")
COLUMNS = ("server", "sqlite", "via", "open_name", "sql", "verdict", "evidence")
BATCH = 32
MINUTES = 60.0
Key = tuple[str, Step]


class Results:
    """The file of results: sorted, a row a step, tabs between the fields."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[Key, tuple[str, Finding]] = {}
        if path.exists():
            for line in path.read_text().splitlines()[1:]:
                server, sqlite, via, open_name, sql, verdict, evidence = line.split("\t")
                self.rows[server, Step(via, open_name, sql)] = sqlite, Finding(verdict, evidence)

    def add(self, server: str, sqlite: str, step: Step, finding: Finding) -> None:
        clean = " ".join(finding.evidence.split())
        self.rows[server, step] = sqlite, Finding(finding.verdict, clean)

    def write(self) -> None:
        lines = ["\t".join(COLUMNS)]
        for (server, step), (sqlite, finding) in sorted(self.rows.items()):
            lines.append("\t".join((server, sqlite, *step, *finding)))
        new = self.path.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines))
        new.replace(self.path)


def survey(kind: str, steps: Sequence[Step], results: Results, sqlite: str) -> None:
    """Settle all of these steps, by halves where something is wrong."""
    if not steps:
        return
    findings, late = try_steps(kind, steps)
    harm = findings[-1].verdict not in (HARMLESS, REFUSED)
    if len(steps) == 1:
        found = late or findings[0]
        results.add(kind, sqlite, steps[0], found)
    elif not harm and late is None:
        for step, finding in zip(steps, findings, strict=True):
            results.add(kind, sqlite, step, finding)
    elif harm and late is None:
        # those before it did no harm that could be seen, but it may be theirs
        at = len(findings) - 1
        survey(kind, steps[:at], results, sqlite)
        survey(kind, steps[at : at + 1], results, sqlite)
        survey(kind, steps[at + 1 :], results, sqlite)
    else:
        half = len(steps) // 2
        survey(kind, steps[:half], results, sqlite)
        survey(kind, steps[half:], results, sqlite)


def settled_by_prepare(kind: str, step: Step, results: Results) -> Finding | None:
    """What PREPARE has refused, or does not survive, EXEC and QUERY need not try."""
    if step.via not in PREPARED:
        return None
    found = results.rows.get((kind, step._replace(via="PREPARE")))
    return None if found is None or found[1].verdict == HARMLESS else found[1]


def sqlite_of(kind: str) -> str:
    with Node(kind) as node, Session(node.address, "version") as session:
        return str(session.row("SELECT sqlite_version() AS v")[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=KINDS, metavar="KIND")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="stop after this time")
    parser.add_argument("--only", default="", help="steps whose SQL or name contains this text")
    parser.add_argument("--file", type=Path, default=FILE)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    results = Results(options.file)
    wanted = [step for step in all_steps() if options.only in step.sql or options.only in step.open_name]
    for kind in options.kinds:
        if missing(kind):
            print(missing(kind))
            continue
        sqlite = sqlite_of(kind)
        for prepared in (False, True):
            steps = [s for s in wanted if (s.via in PREPARED) is prepared and (kind, s) not in results.rows]
            for step in steps:
                if (finding := settled_by_prepare(kind, step, results)) is not None:
                    results.add(kind, sqlite, step, finding)
            steps = [step for step in steps if (kind, step) not in results.rows]
            for start in range(0, len(steps), BATCH):
                if time.monotonic() > end:
                    print(f"{kind}: stopped with {len(steps) - start} steps left; run it again to go on")
                    return 1
                survey(kind, steps[start : start + BATCH], results, sqlite)
                results.write()
        results.write()
        count = Counter(found.verdict for (server, _), (_, found) in results.rows.items() if server == kind)
        print(f"{kind} ({release(kind)}, SQLite {sqlite}): {dict(sorted(count.items()))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
