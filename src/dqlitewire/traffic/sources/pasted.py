"""Bytes that a person pasted: hex, dumps, Python literals, base64.

`parse` tries what the text looks like, in an order in which the stricter form comes first: a dump has offsets
that must add up, a literal must be Python, hex has only hex digits; what is left may be base64.

A text is at most `MAX_TEXT` characters, and no more than so many bytes come out of it: the `*` of a dump
stand for `MAX_REPEATED` bytes at most, because a short text must not be much work. Each form is read in time
and memory linear in the text: no list of its characters, words or lines is made, and what is handed to
Python's parser is small.
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

MAX_TEXT = 64 << 20
MAX_REPEATED = 1 << 16
MAX_LINE = 4096  # characters of a line of a dump
MAX_PYTHON = 4 << 20  # characters of a Python literal
MAX_PARTS = 100_000  # of a Python literal: each takes a kilobyte while it is parsed

_LINE = re.compile(r"[^\r\n]+")
_WORD = re.compile(r"\S+")
_DUMP_LINE = re.compile(r"^\s*(?:0[xX])?([0-9a-fA-F]{4,16})(:\s|\s\s|\t|\s|$)\s*(.*)$")
_BYTES = re.compile(r"[0-9a-fA-F]{2}(?:[0-9a-fA-F]{2})*(?:[ :-][0-9a-fA-F]{2}(?:[0-9a-fA-F]{2})*)*")
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


_Line = tuple[int, str]  # a line of a dump: its offset, and the text behind it
_STAR: _Line = (-1, "*")


def _dump(text: str) -> bytes | None:
    try:
        return _join(_dump_lines(text))
    except ValueError:
        return None


def _dump_lines(text: str) -> Iterator[_Line]:
    """The lines of a dump.

    Raises:
        ValueError: this is no dump.
    """
    count = 0
    marked = True  # offsets are set off from the bytes, not just the first of several groups of digits
    for found in _LINE.finditer(text):
        line = found[0]
        if len(line) > MAX_LINE:
            raise ValueError("a long line")
        if not line.strip():
            continue
        count += 1
        if line.strip() == "*":
            yield _STAR
        elif match := _DUMP_LINE.match(line):
            marked &= match[2] != " "
            yield int(match[1], 16), match[3]
        else:
            raise ValueError("another line")
    if count < 1 + (not marked):
        raise ValueError("one line that may be digits alone")


def _join(lines: Iterator[_Line]) -> bytes:
    """The bytes of a dump; `*` stands for the row before it, repeated up to the next offset.

    Raises:
        ValueError: the offsets do not add up.
        SourceError: they stand for more bytes than are read.
    """
    out, row = bytearray(), b""
    line: _Line | None = next(lines, _STAR)
    if line is _STAR:
        raise ValueError("no offset")
    first, repeats, left = line[0] if line else 0, False, MAX_REPEATED
    while line:
        offset, rest = line[0] - first, line[1]
        if repeats and row and offset > len(out):
            left -= offset - len(out)
            if left < 0:
                raise SourceError(f"a dump whose * stand for more than {MAX_REPEATED >> 10} KiB")
            out += row * -(-(offset - len(out)) // len(row))
        if offset != len(out) or (repeats and not row):
            raise ValueError("offsets that do not add up")
        following = next(lines, None)
        room = following[0] - line[0] if following and following[0] > line[0] else None
        row = _row(rest, room)
        out += row
        repeats = following is _STAR
        line = next(lines, _STAR) if repeats else following
        if line is _STAR:
            raise ValueError("no offset behind *")
    return bytes(out)


def _row(rest: str, room: int | None) -> bytes:
    """The bytes of one line of a dump; `room` is how many the next offset leaves, if there is one."""
    rest = re.sub(r"\s\|.*$", "", rest.rstrip())
    row = b""
    for column in re.split(r"\s{2,}|\t", rest.strip()):
        match = _BYTES.fullmatch(column)
        if match is None or (row and room is None and len(column) == len(row) > 2):
            break  # the text beside the bytes
        data = bytes.fromhex(re.sub(r"[ :-]", "", column))
        if room is not None and len(row) + len(data) > room:
            break
        row += data
    return row


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


def _hex(text: str) -> bytes | None:
    try:
        return binascii.unhexlify(_digits(text))
    except ValueError:
        return None


def _nearly_hex(text: str) -> None:
    """Refuse what was meant to be hex: it must not be taken for base64."""
    digits = _digits(text)
    strays = digits.translate(None, string.hexdigits.encode())
    if not strays and len(digits) % 2 and (digits[:1] == b"0" or len(digits) > 8):
        raise SourceError(f"odd number of hex digits: {len(digits)}")
    if strays and len(digits) >= 16 and digits[:8].isdigit() and len(strays) <= len(digits) // 8:
        stray = re.search(r"[^\x00-\x7f]|" + re.escape(chr(strays[0])), text)
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
    "python": _python,
    "hex": _hex,
    "base64": _base64,
}
