"""Bytes that a person pasted: hex, dumps, Python literals, base64.

`parse` tries what the text looks like, in an order in which the stricter form comes first: a dump has offsets
that must add up (`dumps`), a literal must be Python or one of `listings`, hex has only hex digits, in whole
bytes; what is left may be base64. A form that is known and not read is refused with its name and with what to
print instead, so that it is not taken for another one.

A text is at most `MAX_TEXT` characters, and no more than so many bytes come out of it: the `*` of a dump
stand for `dumps.MAX_REPEATED` bytes at most, because a short text must not be much work. Each form is read in
time linear in the text, and what is handed to Python's parser is small.
"""

from __future__ import annotations

import ast
import base64
import binascii
import re
import string
import warnings
from collections.abc import Callable, Iterator

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources import dumps, gdb, listings

MAX_TEXT = 64 << 20
MAX_PYTHON = 4 << 20  # characters of a Python literal
MAX_PARTS = 100_000  # of a Python literal: each takes a kilobyte while it is parsed

_WORD = re.compile(r"\S+")
_QUOTED = re.compile(r"\"\"\".*?\"\"\"|'''.*?'''|\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'", re.DOTALL)
_AROUND = re.compile(  # what may stand around them
    r"(?:bytes\.fromhex|bytearray|bytes|memoryview|[bBrR]|0[xX][0-9a-fA-F]++|[0-9]++|[\s,+()\[\]]++)*+"
)
_PREFIXES = (b"0x", b"0X", b"\\x")
_SEPARATORS = b" \t\n\r\v\f,:;-"
_BLANKS = b" \t\n\r\v\f"
_URLSAFE = bytes.maketrans(b"-_", b"+/")


def parse(text: str, form: str | None = None) -> tuple[str, bytes]:
    """Return the form that a text has and the bytes it stands for.

    Args:
        text: what was pasted.
        form: one of FORMS to insist on it.

    Raises:
        SourceError: it has none of the forms, or not the one asked for.
    """
    for name, read in FORMS.items():
        if name == "base64" and form in (None, "hex"):
            _nearly_hex(text)
        if form in (None, name) and (data := read(text)):
            return name, data
    start = " ".join(text[:200].split())
    shown = repr(start if len(start) <= 40 else start[:40] + "..")
    if form is not None:
        raise SourceError(f"no {form} in the text", quoted=shown)
    if "0x0000:" in text and " IP" in text:
        raise SourceError("tcpdump's printed output", "let it write packets instead: `tcpdump -w FILE`")
    raise SourceError("text that is no bytes", "expected hex, a hex dump, a Python literal or base64", shown)


def _dump(text: str) -> bytes | None:
    found = gdb.read_gdb(text)
    return dumps.read(text) if found is None else found


def _literal(text: str) -> bytes | None:
    found = _python(text)
    return listings.read(text) if found is None else found


def _python(text: str) -> bytes | None:
    if len(text) > MAX_PYTHON:
        return None
    around = _QUOTED.sub("", text)
    if sum(map(around.count, ",+([")) > MAX_PARTS or not _AROUND.fullmatch(around):
        return None  # whatever else the parser would make of it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes such as \\d
            tree = ast.parse(f"({text.strip()}\n)", mode="eval")
        return b"".join(_literals(tree.body))
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return None


def _literals(node: ast.expr) -> Iterator[bytes]:
    match node:
        case ast.Constant(value=bytes(data)):
            yield data
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            if all(isinstance(part, ast.Constant) and type(part.value) is int for part in parts):
                yield bytes(ast.literal_eval(node))
                return
            for part in parts:
                yield from _literals(part)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _literals(left)
            yield from _literals(right)
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="bytes"), attr="fromhex"),
            args=[ast.Constant(value=str(digits))],
        ):
            yield bytes.fromhex(digits)
        case ast.Call(func=ast.Name(id="bytes" | "bytearray" | "memoryview"), args=[inner]):
            yield from _literals(inner)
        case _:
            raise ValueError("not a bytes literal")


def _digits(text: str) -> bytes:
    """What is left of a text without the marks that stand between hex digits; ? for what is not ASCII."""
    if not text.isascii():
        for blank in filter(str.isspace, set(text)):
            text = text.replace(blank, " ")
    digits = text.strip().strip("\"'").encode("ascii", "replace")
    for prefix in _PREFIXES:
        digits = digits.replace(prefix, b" ")
    return digits.translate(None, _SEPARATORS)


_WORDS = re.compile(r"(?: [0-9a-fA-F]{4})++|(?: [0-9a-fA-F]{8})++|(?: [0-9a-fA-F]{16})++")
_ODD = re.compile(r"(?<![^\s,:;-])(?:0[xX])?[0-9a-fA-F](?:[0-9a-fA-F]{2})*+(?![^\s,:;-])")
_STARS = re.compile(r"^\s*\*\s*$", re.M)
_SHORT = 16  # hex digits of a line that is wrapped, at least


def _hex(text: str) -> bytes | None:
    if (first := text.lstrip("\r\n").partition("\n")[0].rstrip()) and _WORDS.fullmatch(first):
        raise SourceError("words of several bytes, which may be swapped (`od -An -x`)", dumps.ADVICE)
    try:
        data = binascii.unhexlify(_digits(text))
    except ValueError:
        return None
    odd = _ODD.search(text.strip().strip("\"'"))
    if odd is not None and (len(odd[0]) < _SHORT or text[: 1 << 16].split("\n", 1)[0].strip().count(" ")):
        raise SourceError(f"{odd[0][:20]!r} among the hex digits is no whole number of bytes")
    return data


def _nearly_hex(text: str) -> None:
    """Refuse what was meant to be hex: it must not be taken for base64."""
    digits = _digits(text)
    strays = digits.translate(None, string.hexdigits.encode())
    if not strays and len(digits) % 2 and (digits[:1] == b"0" or len(digits) > 8):
        raise SourceError(f"odd number of hex digits: {len(digits)}")
    if strays and len(digits) >= 16 and digits[:8].isdigit() and len(strays) <= len(digits) // 8:
        stray = re.search(r"[^\x00-\x7f]|" + re.escape(chr(strays[0])), text)
        if stray is not None and _STARS.search(text):
            raise SourceError("a dump without offsets, which leaves lines out (`*`)", "print all: `od -v`")
        if stray is not None:
            raise SourceError(f"{stray[0]!r} at character {stray.start() + 1} is no hex digit")


def _base64(text: str) -> bytes | None:
    widths: list[int] = []
    for word in _WORD.finditer(text):
        if len(widths) > 1 and widths[0] != widths.pop():
            return None  # lines of different lengths
        widths.append(len(word[0]))
    try:
        digits = text.encode("ascii").translate(_URLSAFE, _BLANKS)
    except UnicodeEncodeError:
        return None
    if len(digits) < 11 or (digits.isalpha() and digits.islower()):
        return None  # less than a word of eight bytes, or prose
    try:
        return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


FORMS: dict[str, Callable[[str], bytes | None]] = {
    "xxd": _dump,
    "python": _literal,
    "hex": _hex,
    "base64": _base64,
}
