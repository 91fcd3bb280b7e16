"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt  # which rich brings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
STEP = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
DIRECTIVE = re.compile(r"\{[\w:-]+\}")


class Block(NamedTuple):
    """A block of code.

    Args:
        page: the file it stands in.
        line: the line of its fence, counted from 1.
        language: the first word behind the fence; "" if there is none, `{name}` for a directive of MyST,
            "indented" for a block without fences.
        info: what stands behind that word.
        text: what stands between its fences, without the indentation of the fence.
    """

    page: Path
    line: int
    language: str
    info: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands, as it is told to people."""
        return f"{name_of(self.page)}:{self.line}"

    def steps(self) -> list[tuple[str, str]]:
        """Return the commands of a session, each with what is shown under it.

        A command that ends in a backslash goes on in the next line.
        """
        return STEP.findall(self.text.replace("\\\n", ""))


def name_of(page: Path) -> str:
    """Return the name of a page from the root of the project on."""
    return page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else str(page)


def pages() -> list[Path]:
    """Return every page that people read: those of the site, and those beside the code."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path | str, language: str | None = None) -> list[Block]:
    """Return the blocks of a page, in their order.

    Args:
        page: a file in Markdown; its name from the root of the project on will do.
        language: leaves out those in other languages.
    """
    path = ROOT / page
    found = _all(path, path.read_text(encoding="utf-8"))
    return [block for block in found if language in (None, block.language)]


@cache
def _all(page: Path, text: str) -> tuple[Block, ...]:
    return tuple(_blocks(page, text, 1))


def _blocks(page: Path, text: str, line: int) -> Iterator[Block]:
    """Yield the blocks of a text that begins on that line; directives first, then what stands in them."""
    for token in MarkdownIt().parse(text):
        if token.type not in ("fence", "code_block") or token.map is None:
            continue
        start = line + token.map[0]
        language, _, info = (
            token.info.strip().partition(" ") if token.type == "fence" else ("indented", "", "")
        )
        yield Block(page, start, language, info, token.content)
        if DIRECTIVE.fullmatch(language):
            yield from _blocks(page, token.content, start + 1)
