"""Words for people: server text made harmless for terminals and logs, values shortened for reprs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["abbreviate", "sanitize_for_log", "sanitize_server_text"]

# Controls, bidirectional overrides, and white space that hides or reorders text; TAB and LF stay.
_HARMFUL = (
    (0x0000, 0x0008),
    (0x000B, 0x001F),
    (0x007F, 0x009F),
    (0x061C, 0x061C),
    (0x1680, 0x1680),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x2028, 0x202F),
    (0x2060, 0x2060),
    (0x2066, 0x2069),
    (0xFEFF, 0xFEFF),
)
_REPLACEMENTS = {point: "?" for first, last in _HARMFUL for point in range(first, last + 1)}


def sanitize_server_text(s: str) -> str:
    """Replace control, bidirectional and invisible characters by `?`; TAB and LF stay."""
    return s if s.isascii() and s.isprintable() else s.translate(_REPLACEMENTS)


def sanitize_for_log(s: str) -> str:
    """Sanitise server text onto one line: LF and TAB become two visible characters."""
    return sanitize_server_text(s).replace("\n", "\\n").replace("\t", "\\t")


def abbreviate(value: object, width: int = 60, items: int = 6) -> str:
    """Return the `repr` of a value, with long text and long sequences elided in the middle."""
    whole: Any = value
    if isinstance(value, (str, bytes)) and len(value) > width:
        head, tail = value[: width * 2 // 3], value[-(width // 4) :]
        return f"{head!r}...{tail!r} ({len(value)} {'characters' if isinstance(value, str) else 'bytes'})"
    if isinstance(value, dict):
        shown = [f"{abbreviate(k)}: {abbreviate(v)}" for k, v in islice(whole.items(), items)]
        return "{" + _listed(shown, len(whole)) + "}"
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        inner = _listed([abbreviate(item, width, items) for item in whole[:items]], len(whole))
        if isinstance(value, tuple):
            return f"({inner},)" if len(whole) == 1 else f"({inner})"
        return f"[{inner}]"
    return repr(whole)


def _listed(shown: list[str], count: int) -> str:
    return ", ".join(shown if len(shown) == count else [*shown, f"... ({count} in all)"])
