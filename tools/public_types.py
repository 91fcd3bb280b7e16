"""Say how much of the public interface type checkers know, and fail below the bound.

    python tools/public_types.py [PERCENT]

It is pyright that tells (`--verifytypes`): a name is known if its type needs no inference. Below the bound,
what is not known is listed with the reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BOUND = 95.0


def main(bound: float) -> int:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--verifytypes", "dqlitewire"]
    # Beside no settings of ours, as a user's project sees it; pyright does not follow an editable install.
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent / "src")}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, "--outputjson"], capture_output=True, text=True, check=False, cwd=folder, env=path
        )
    found = json.loads(done.stdout)["typeCompleteness"]
    score: float = 100 * found["completenessScore"]
    for symbol in found["symbols"]:
        if symbol["isExported"] and not symbol["isTypeKnown"] and score < bound:
            said = [one["message"] for one in symbol["diagnostics"]]
            print(f"{symbol['name']}: {' '.join(' '.join(said).split())}")
    print(f"types of the public names that are known: {score:.1f} %, at least {bound:.1f} %")
    return int(score < bound)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else BOUND))
