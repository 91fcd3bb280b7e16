"""What a docstring says, in parts."""

from __future__ import annotations

import inspect
import re
from typing import Any, NamedTuple

__all__ = ["FieldText", "doc_of"]


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
