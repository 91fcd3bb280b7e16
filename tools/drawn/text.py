"""Text of pages: Markdown is written, docstrings are read."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

__all__ = ["FieldText", "doc_of", "table"]


class FieldText(NamedTuple):
    """What a docstring says: of the whole, and of each argument and attribute."""

    words: str
    each: dict[str, str]


def doc_of(thing: Any) -> FieldText:
    """Return what the docstring of a class says.

    Args:
        thing: the class.
    """
    text = inspect.getdoc(thing) or ""
    words, *rest = re.split(r"^(?:Args|Attributes|Raises|Returns):\n", text, flags=re.MULTILINE)
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", "\n".join(rest), re.MULTILINE)
    return FieldText(words.strip(), {name: " ".join(said.split()) for name, said in entries})


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    """Return a table.

    Args:
        head: the heads of the columns.
        lines: of the table; a bar in a cell is escaped.
    """
    rows = [head, ("---",) * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
