"""Draw a terminal with a command and what it prints: the picture in the README.

    python tools/redraw.py picture    # writes docs/pictures/decode.svg

The command runs here, on what it takes for a terminal of 80 columns. Its colours are read from the codes that
it writes, so that the picture shows what a user sees; a code that no style below has is an error. Each run
of letters stands at its own column and is as wide as its letters, whatever the reader's fonts are.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from html import escape
from pathlib import Path
from unittest import mock

from tests.traffic.command import run
from tools.drawn import DOCS, ROOT

__all__ = ["files"]

PICTURE = DOCS / "pictures" / "decode.svg"
COMMAND = ["decode", "--sql", "SELECT", "docs/recordings/books.dqt"]
TITLE = "dqlite-wire decode: the queries of a recorded session and their answers, one a line"
COLUMNS = 80

LETTER, ROW, MARGIN, BAR = 8, 19, 14, 30
# the codes of a terminal -> a class of the style sheet
CODES = {"": "", "2": "dim", "36": "request", "32": "response", "1;31": "failure", "33": "garbage"}
STYLE = """<style>
text { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, monospace; fill: #d7dae0; white-space: pre }
.bar { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #a9b1bd; text-anchor: middle }
.dim { fill: #98a1af } .request { fill: #5cc8dc } .response { fill: #82cf7e }
.failure { fill: #ff8279; font-weight: bold } .garbage { fill: #e3b341 }
</style>"""

Run = tuple[str, str]  # letters, and their class


def printed() -> str:
    """Return what the command writes to a terminal."""
    terminal = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with mock.patch.dict(os.environ, kept | terminal, clear=True):
        *words, recording = COMMAND
        result = run(*words, ROOT / recording, "--width", str(COLUMNS), terminal=True)
    if result.code or result.err:
        raise RuntimeError(f"the command failed: {result.err}")
    return result.out


def runs(line: str) -> Iterator[Run]:
    """Yield the runs of a line that are of one colour."""
    code = ""
    for number, part in enumerate(re.split(r"\x1b\[([\d;]*)m", line)):
        if number % 2:
            code = "" if part == "0" else part
        elif part:
            yield part, CODES[code]


def spans(line: str, y: float) -> Iterator[str]:
    """Yield the words of a line, each at its column."""
    column = 0
    for letters, style in runs(line):
        for found in re.finditer(r"\S+(?: \S+)*", letters):
            text = found[0]
            if any(unicodedata.east_asian_width(letter) in "WF" for letter in text):
                raise ValueError(f"{text!r} has letters of two columns, which this cannot draw")
            kind = f' class="{style}"' if style else ""
            x, length = MARGIN + LETTER * (column + found.start()), LETTER * len(text)
            place = f'x="{x}" y="{y}" textLength="{length}" lengthAdjust="spacingAndGlyphs"'
            yield f"<text {place}{kind}>{escape(text, quote=False)}</text>"
        column += len(letters)


def drawn() -> str:
    """Return the picture."""
    lines = [f"$ dqlite-wire {' '.join(COMMAND)}", *printed().splitlines()]
    width, height = 2 * MARGIN + LETTER * COLUMNS, BAR + MARGIN + ROW * len(lines)
    dots = "".join(f'<circle cx="{18 + 18 * n}" cy="{BAR / 2:g}" r="5" fill="#4a5160"/>' for n in range(3))
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="picture-title">',
            f'<title id="picture-title">{escape(TITLE)}</title>',
            STYLE,
            f'<rect width="{width}" height="{height}" rx="8" fill="#1c1f26"/>',
            dots,
            f'<text class="bar" x="{width / 2:g}" y="{BAR / 2 + 5:g}">dqlite-wire decode</text>',
            *(part for n, line in enumerate(lines) for part in spans(line, BAR + ROW * (n + 0.75))),
            "</svg>\n",
        ]
    )


def files() -> dict[Path, str]:
    """Return the file with its text."""
    return {PICTURE: drawn()}
