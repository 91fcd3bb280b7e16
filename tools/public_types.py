"""Say how much of the public interface type checkers know, and fail below the bound.

    python tools/public_types.py [PERCENT]

It is pyright that tells (`--verifytypes`): a name is known if its type needs no inference. Below the bound,
what is not known is listed with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys

BOUND = 95.0


def main(bound: float) -> int:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--verifytypes", "dqlitewire"]
    done = subprocess.run([*command, "--outputjson"], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["typeCompleteness"]
    score = 100 * found["completenessScore"]
    for symbol in found["symbols"]:
        if symbol["isExported"] and not symbol["isTypeKnown"] and score < bound:
            print(f"{symbol['name']}: {' '.join(symbol['diagnostics'][0]['message'].split())}")
    print(f"types of the public names that are known: {score:.1f} %, at least {bound:.1f} %")
    return score < bound


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else BOUND))
