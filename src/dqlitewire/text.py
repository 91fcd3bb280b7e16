"""Text for people: what servers and captures say made safe for terminals and logs, values shortened.

`sanitize_server_text` and `sanitize_for_log` replace a fixed list of characters, which others rely on.
`printable` and `printable_json` let nothing through but what a terminal shows as it is; what the tools print
goes through one of these two.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "Shown",
    "abbreviate",
    "kind_of",
    "missing_package",
    "printable",
    "printable_json",
    "sanitize_for_log",
    "sanitize_server_text",
    "shown",
]

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
    """Replace control, bidirectional and invisible characters by `?`; TAB and LF stay.

    Args:
        s: text that a server sent.
    """
    return s if s.isascii() and s.isprintable() else s.translate(_REPLACEMENTS)


def sanitize_for_log(s: str) -> str:
    """Sanitise server text onto one line: LF and TAB become two visible characters.

    Args:
        s: text that a server sent.
    """
    return sanitize_server_text(s).replace("\n", "\\n").replace("\t", "\\t")


# Letters and marks that `isprintable` lets pass though nothing is seen of them: joiners, fillers of Hangul
# and Mongolian, variation selectors. (Not U+FE0F, which colours the emoji before it.)
_UNSEEN = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE0F),
            *range(0xE0100, 0xE01F0),
        ),
    )
)
_VISIBLE = {
    "\n": "\\n",
    "\t": "\\t",
    **dict.fromkeys((*"\u00a0\u205f\u3000", *map(chr, range(0x2000, 0x200B))), " "),
}


def _harmless(text: str) -> bool:
    return text.isprintable() and (text.isascii() or _UNSEEN.isdisjoint(text))


class Shown(str):
    """Text for a terminal: the package's own colour codes, and besides them what `printable` returned."""

    __slots__ = ()


def printable(text: str) -> str:
    """Return text as one line of characters that a terminal shows as they are.

    LF and TAB become `\\n` and `\\t`, bytes that were no UTF-8 (surrogate escapes) `\\xNN`, blanks of any
    width a blank, and any other control, format, unassigned or unseen character `?`. Twice changes no more.
    """
    if text.isprintable() and (text.isascii() or _UNSEEN.isdisjoint(text)):  # `_harmless`, without the call
        return text
    return "".join(map(_seen, text))


def _seen(char: str) -> str:
    if char in _VISIBLE:
        return _VISIBLE[char]
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char if _harmless(char) else "?"


def printable_json(text: str, ascii_only: bool = False) -> str:
    """Return JSON text that says the same with every character escaped that a terminal may not show.

    Args:
        text: one JSON value on one line: what is escaped stands inside its strings.
        ascii_only: escape whatever is not ASCII.
    """
    if _harmless(text) and not (ascii_only and not text.isascii()):
        return text
    return "".join(
        char if _harmless(char) and not (ascii_only and char > "\x7e") else _json_escape(ord(char))
        for char in text
    )


def _json_escape(point: int) -> str:
    if point < 0x10000:
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 | point >> 10:04x}\\u{0xDC00 | point & 0x3FF:04x}"


def missing_package(package: str, extra: str) -> str:
    """Say what to install; right from a checkout, a wheel and a repository alike."""
    # the name on the package index is another project's
    return (
        f"{package} is missing: it comes with the extra '{extra}' of dqlite-wire "
        f"(from a checkout: pip install '.[{extra}]')"
    )


_name_of_type = type.__dict__["__name__"].__get__
_SHOWN_BITS = 128


def kind_of(value: object) -> str:
    """Return the name of a value's type, as far as it fits into an error's text."""
    return sanitize_for_log(_name_of_type(type(value))[:40])


def shown(value: object, width: int = 32) -> str:
    """Show a value in an error's text: short whatever it is, and without running code of its class."""
    whole: Any = value
    kind: type = type(value)
    text = kind_of(value)
    if issubclass(kind, int):
        bits = int.bit_length(whole)
        text = f"an integer of {bits} bits"
        if bits <= _SHOWN_BITS:
            text = repr(whole) if kind is bool else int.__repr__(whole)
    elif issubclass(kind, float):
        text = float.__repr__(whole)
    elif issubclass(kind, str):
        text = _cut(str.__repr__(str.__getitem__(whole, slice(width + 1))), width)
    elif issubclass(kind, bytes):
        text = _cut(bytes.__repr__(bytes.__getitem__(whole, slice(width + 1))), width)
    return text


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width + 2 else f"{text[:width]}..."


_DEPTH = 3  # of sequences within each other


def abbreviate(value: object, width: int = 60, items: int = 6, depth: int = 0) -> str:
    """Return the `repr` of a value, with long text and long sequences elided in the middle; never fails."""
    try:
        return _abbreviated(value, width, items, depth)
    except Exception:  # whatever the value's own code raises
        return f"<{kind_of(value)}>"


def _abbreviated(value: object, width: int, items: int, depth: int) -> str:
    whole: Any = value
    if isinstance(value, (str, bytes)) and len(value) > width:
        head, tail = value[: width * 2 // 3], value[-(width // 4) :]
        return f"{head!r}...{tail!r} ({len(value)} {'characters' if isinstance(value, str) else 'bytes'})"
    if isinstance(value, dict):
        if depth == _DEPTH:
            return "{...}"
        pairs = [
            f"{abbreviate(k)}: {abbreviate(v, depth=depth + 1)}" for k, v in islice(whole.items(), items)
        ]
        return "{" + _listed(pairs, len(whole)) + "}"
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        if depth == _DEPTH:
            return "[...]"
        inner = _listed([abbreviate(item, width, items, depth + 1) for item in whole[:items]], len(whole))
        if isinstance(value, tuple):
            return f"({inner},)" if len(whole) == 1 else f"({inner})"
        return f"[{inner}]"
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return f"<{shown(value)}>"
    text = repr(whole)
    return text if len(text) <= 4 * width else f"{text[: 4 * width]}..."


def _listed(parts: list[str], count: int) -> str:
    return ", ".join(parts if len(parts) == count else [*parts, f"... ({count} in all)"])
