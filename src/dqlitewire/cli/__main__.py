"""`python -m dqlitewire.cli` is `dqlite-wire`."""

from __future__ import annotations

from dqlitewire.cli import main

main()
