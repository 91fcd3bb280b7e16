"""`python -m dqlitewire.cli` is `dqlite-wire`."""

from __future__ import annotations

import sys

from dqlitewire.cli import main

sys.argv[0] = "dqlite-wire"
main()
