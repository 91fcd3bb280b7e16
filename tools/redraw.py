"""Draw all that is drawn from the code: pages, drawings, schemas.

    python tools/redraw.py              # writes whatever is stale; so does `make redraw`
    python tools/redraw.py NAME ...     # of these lines of the table alone
    python tools/redraw.py --check      # writes nothing; says what is stale, exit code 1

`DRAWN` has a line for each thing that draws: a function that returns its files with their texts and writes
nothing itself. tests/docs/test_redrawn.py fails for a file that differs, and for one that is left over
where `WHOLE` says that all are drawn. The package must be importable.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a program, only tools/ is on it

from tools.drawn import (
    DOCS,
    ROOT,
    architecture,
    commands,
    json_page,
    order_drawing,
    performance,
    picture,
    pieces,
    reference,
    schema,
    vectors,
)
from tools.drawn.messages import pages, raft_pages

__all__ = ["DRAWN", "WHOLE", "drawn", "left_over", "main", "stale"]

# each returns files (absolute paths) with their texts
DRAWN: dict[str, Callable[[], Mapping[Path, str]]] = {
    "architecture": architecture.files,
    "performance": performance.files,
    "picture": picture.files,  # of a terminal, for the README
    "schema": schema.files,
    "messages": pages.files,
    "raft": raft_pages.files,
    "order": order_drawing.files,
    "commands": commands.files,
    "json": json_page.files,
    "reference": reference.files,  # the parts of pages between `<!-- drawn: NAME -->` and `<!-- end -->`
    "vectors": vectors.files,  # where the fields of each vector lie, and the schemas
    "pieces": pieces.files,  # of the examples, in the pages that build them
}

# where every file is drawn: patterns below docs, by the line of the table that draws it
WHOLE: dict[str, tuple[str, ...]] = {
    "schema": ("schema/*",),
    "performance": ("drawings/performance-*",),
    "raft": ("drawings/raft/*",),
    "commands": ("reference/commands.md",),
    "json": ("reference/json.md",),
    "messages": ("reference/messages/re*-*.md", "drawings/messages/*"),
}


@functools.cache
def drawn(name: str) -> Mapping[Path, str]:
    """Return the files of one line of the table with their texts; each is drawn once.

    Args:
        name: one of `DRAWN`.
    """
    return DRAWN[name]()


def stale(name: str) -> dict[Path, str]:
    """Return the files of one line of the table that differ from what is drawn, with what they should be.

    Args:
        name: one of `DRAWN`.
    """
    return {
        path: text
        for path, text in drawn(name).items()
        if not path.exists() or path.read_bytes() != text.encode()
    }


def left_over(name: str) -> list[Path]:
    """Return the files that nobody draws where one line of the table draws all of them.

    Args:
        name: one of `DRAWN`.
    """
    found = {path for pattern in WHOLE.get(name, ()) for path in DOCS.glob(pattern)}
    return sorted(found - {*drawn(name)}) if found else []


def main(arguments: list[str]) -> int:
    """Write what is stale, or say so.

    Args:
        arguments: of the command line.

    Returns:
        The exit code.
    """
    check = "--check" in arguments
    names = [word for word in arguments if word != "--check"] or list(DRAWN)
    if unknown := [name for name in names if name not in DRAWN]:
        print(f"nothing is called {', '.join(unknown)}; there is: {', '.join(DRAWN)}", file=sys.stderr)
        return 2
    failed = False
    for name in names:
        for path, text in stale(name).items():
            print(f"{'stale' if check else 'drawn'}: {path.relative_to(ROOT)} ({name})")
            failed |= check
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        for path in left_over(name):
            print(f"left over, nobody draws it: {path.relative_to(ROOT)} ({name})")
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
