"""Bytes that a person pasted: hex, dumps, Python literals, base64.

`parse` tries what the text looks like, in an order in which the stricter form comes first: a dump has offsets
that must add up, a literal must be Python, hex has only hex digits; what is left may be base64.
"""

from __future__ import annotations

import ast
import base64
import binascii
import re
import string
from collections.abc import Callable

from dqlitewire.traffic.errors import SourceError

MAX_TEXT = 64 << 20

_DUMP_LINE = re.compile(r"^\s*(?:0[xX])?([0-9a-fA-F]{4,16})(:\s|\s\s|\t|\s|$)\s*(.*)$")
_BYTES = re.compile(r"[0-9a-fA-F]{2}(?:[0-9a-fA-F]{2})*(?:[ :-][0-9a-fA-F]{2}(?:[0-9a-fA-F]{2})*)*")
_SEPARATORS = re.compile(r"0[xX]|\\x|[\s,:;\-]+")


def parse(text: str, form: str | None = None) -> tuple[str, bytes]:
    """Return the form that a text has and the bytes it stands for.

    Args:
        form: one of FORMS to insist on it.

    Raises:
        SourceError: it has none of the forms, or not the one asked for.
    """
    for name, read in FORMS.items():
        if name == "base64" and form in (None, "hex"):
            _nearly_hex(text)
        if form in (None, name) and (data := read(text)):
            return name, data
    start = " ".join(text.split())
    shown = repr(start if len(start) <= 40 else start[:40] + "..")
    if form is not None:
        raise SourceError(f"no {form} in the text", quoted=shown)
    if "0x0000:" in text and " IP" in text:
        raise SourceError("tcpdump's printed output", "let it write packets instead: `tcpdump -w FILE`")
    raise SourceError("text that is no bytes", "expected hex, a hex dump, a Python literal or base64", shown)


def _dump(text: str) -> bytes | None:
    parsed: list[tuple[int, str] | None] = []
    marked = True  # offsets are set off from the bytes, not just the first of several groups of digits
    for line in filter(str.strip, text.splitlines()):
        if line.strip() == "*":
            parsed.append(None)
        elif match := _DUMP_LINE.match(line):
            marked &= match[2] != " "
            parsed.append((int(match[1], 16), match[3]))
        else:
            return None
    if not parsed or parsed[0] is None or (len(parsed) == 1 and not marked):
        return None
    return _join([*parsed, (-1, "")], first=parsed[0][0])


def _join(lines: list[tuple[int, str] | None], first: int) -> bytes | None:
    out = bytearray()
    row = b""
    for number, line in enumerate(lines[:-1]):
        following = lines[number + 1]
        if line is None:  # `*`: the row before it repeated up to the next offset
            if following is None or following[0] < 0 or not row:
                return None
            while len(out) < following[0] - first:
                out += row
            continue
        offset, rest = line
        if offset - first != len(out):
            return None
        room = following[0] - offset if following is not None and following[0] > offset else None
        row = _row(rest, room)
        out += row
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
    try:
        tree = ast.parse(f"({text.strip()}\n)", mode="eval")
        return _literal(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _literal(node: ast.expr) -> bytes:
    match node:
        case ast.Constant(value=bytes(data)):
            return data
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            if all(isinstance(part, ast.Constant) and type(part.value) is int for part in parts):
                return bytes(ast.literal_eval(node))
            return b"".join(map(_literal, parts))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _literal(left) + _literal(right)
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="bytes"), attr="fromhex"),
            args=[ast.Constant(value=str(digits))],
        ):
            return bytes.fromhex(digits)
        case ast.Call(func=ast.Name(id="bytes" | "bytearray" | "memoryview"), args=[inner]):
            return _literal(inner)
        case _:
            raise ValueError("not a bytes literal")


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(_SEPARATORS.sub("", text.strip().strip("\"'")))
    except ValueError:
        return None


def _nearly_hex(text: str) -> None:
    """Refuse what was meant to be hex: it must not be taken for base64."""
    digits = _SEPARATORS.sub("", text.strip().strip("\"'"))
    strays = [char for char in digits if char not in string.hexdigits]
    if not strays and len(digits) % 2 and (digits[0] == "0" or len(digits) > 8):
        raise SourceError(f"odd number of hex digits: {len(digits)}")
    if strays and len(digits) >= 16 and digits[:8].isdigit() and len(strays) <= len(digits) // 8:
        at = text.index(strays[0])
        raise SourceError(f"{strays[0]!r} at character {at + 1} is no hex digit")


def _base64(text: str) -> bytes | None:
    lines = text.split()
    digits = "".join(lines).replace("-", "+").replace("_", "/")
    if (
        len(digits) < 11
        or len({len(line) for line in lines[:-1]}) > 1
        or (digits.isalpha() and digits.islower())
    ):
        return None  # less than a word of eight bytes, or prose
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


FORMS: dict[str, Callable[[str], bytes | None]] = {
    "xxd": _dump,
    "python": _python,
    "hex": _hex,
    "base64": _base64,
}
