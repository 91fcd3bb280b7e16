"""`python -m dqlitewire.cli` is `dqlite-wire`."""

from __future__ import annotations

from dqlitewire.cli import main

if __name__ == "__main__":
    main()
