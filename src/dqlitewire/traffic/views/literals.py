"""Values as SQL writes them, and the fields of a message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from dqlitewire import NodeInfo, sanitize_for_log
from dqlitewire.traffic.shorten import elide

ITEMS = 6  # values of a list that are shown
TEXT = 40  # characters of a value that are shown

#: arguments of constructors that choose the layout of a body, and are no part of it
_LAYOUT = frozenset({"schema", "empty_header"})


def fields_of(message: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each field of a message, in wire order."""
    names: tuple[str, ...] = getattr(message, "__match_args__", ())
    return ((name, getattr(message, name)) for name in names if name not in _LAYOUT)


def value(cell: Any, width: int = TEXT) -> str:
    """A parameter, cell or field as an SQL literal; what SQL has no literal for, as near as may be."""
    match cell:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if cell else "FALSE"
        case str():
            return "'" + elide(sanitize_for_log(cell).replace("'", "''"), width) + "'"
        case bytes():
            if 2 * len(cell) > width:
                return f"x'{cell[: width // 2].hex()}…' ({len(cell)} B)"
            return f"x'{cell.hex()}'"
        case Enum():
            return cell.name.lower()
        case NodeInfo():
            return f"{cell.node_id} {sanitize_for_log(cell.address)} {cell.role.name.lower()}"
        case list() | tuple():
            return values(cell)  # pyright: ignore[reportUnknownArgumentType]
        case Mapping():
            return values(cell)  # pyright: ignore[reportUnknownArgumentType]
        case int() | float():
            return repr(cell)
        case _:
            return elide(sanitize_for_log(repr(cell)), width)


def values(cells: Iterable[object], limit: int = ITEMS) -> str:
    """A list of values in parentheses."""
    items = list(cells)
    shown = [value(item) for item in items[:limit]]
    if len(items) > limit:
        shown.append(f"… {len(items)} in all")
    return f"({', '.join(shown)})"
