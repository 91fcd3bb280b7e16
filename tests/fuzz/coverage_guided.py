"""`python -m tests.fuzz.coverage_guided [libFuzzer options]`: atheris looks for bytes that the decoders
disagree on.

Atheris (`pip install atheris`) is no dependency of the project. The corpus starts with the recorded frames; a
finding is written to the working directory as `crash-*`, and `python -m tests.fuzz.coverage_guided crash-...`
repeats it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["dqlitewire"]):
    from tests.fuzz import checks, rounds

from random import Random

from tests.fuzz.frames import draw

TIERS = checks.hot(), checks.cold()


def one_input(data: bytes) -> None:
    """Read bytes as the frame they may be: the first bit says in which direction it went."""
    if len(data) < 9:
        return
    is_request, frame = data[0] & 1 == 1, data[1:]
    frame = (len(frame[8:]) // 8).to_bytes(4, "little") + frame[4 : 8 + len(frame[8:]) // 8 * 8]
    if not is_request and frame[4:6] == b"\7\0":
        checks.check_rows(frame, sets=TIERS)
    else:
        checks.check_message(frame, is_request)
    rounds.check_tools(frame, is_request, Random(len(frame)))


def main() -> None:
    corpus = Path(tempfile.mkdtemp(prefix="dqlite-wire-corpus-"))
    for number, (is_request, frame) in enumerate(rounds.recorded()):
        (corpus / f"recorded-{number}").write_bytes(bytes([is_request]) + frame)
    for seed in range(200):
        (corpus / f"rows-{seed}").write_bytes(b"\0" + draw(Random(seed), most_cells=40).data)
    given = (
        sys.argv
        if any(not argument.startswith("-") for argument in sys.argv[1:])
        else [*sys.argv, str(corpus)]
    )
    atheris.Setup(given, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
