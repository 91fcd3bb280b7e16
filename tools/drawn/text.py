"""Text of pages: Markdown is written, docstrings and tables of words are read."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

__all__ = ["FieldText", "doc_of", "look_up", "table"]

Key = TypeVar("Key")
Value = TypeVar("Value")


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


def look_up(of: Mapping[Key, Value], key: Key, what: str, where: str) -> Value:
    """Return what a table says by hand of something; what is new has to be said there first.

    Args:
        of: the table.
        key: what is asked for.
        what: the same, for people.
        where: the table stands, from the root of the project on.

    Raises:
        ValueError: the table says nothing.
    """
    if key not in of:
        raise ValueError(f"{what}: say in {where}")
    return of[key]
