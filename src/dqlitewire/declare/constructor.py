"""Write the constructor of a declared class: its arguments, their checks, and what fills the slots."""

from __future__ import annotations

from .fields import MISSING
from .source import define, indented, setters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .fields import Field

__all__ = ["constructor"]


def constructor(cls: Any) -> Callable[..., None]:
    """Generate the `__init__` of a declared class."""
    fields: list[Field] = [f for f in cls.FIELDS if f.is_attribute]
    names = setters(cls)
    arguments = ["$self"]
    body: list[str] = []
    for field in fields:
        names |= field.names()
        if field.keyword and "*" not in arguments:
            arguments.append("*")
        if field.default is MISSING:
            arguments.append(field.name)
        else:
            names[f"$default_{field.name}"] = field.default
            arguments.append(f"{field.name}=$default_{field.name}")
        body += field.check(f"{cls.__name__}.{field.name}")
    body += [f"$set_{name}($self, {name})" for name in cls.__slots__]
    lines = [f"def __init__({', '.join(arguments)}):", *indented(body or ["pass"])]
    made = define(cls, "__init__", "__init__", lines, names)
    made.__qualname__ = f"{cls.__qualname__}.__init__"  # what a TypeError names when arguments are missing
    return made
