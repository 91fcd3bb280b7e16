"""Bytes as programs write them down: escaped strings, C arrays, Go's slices, lines of strace.

    "\\x01\\x00test\\n"  "\\1\\0\\0"            C, Go's %q, Wireshark's escaped string, strace
    unsigned char x[] = { 0x01, 0x00 };     xxd -i, Wireshark's C arrays
    [1 0 0 255]   []byte{0x1, 0x0}          Go's %v and %#v
    write(3, "\\1\\0\\0\\0"..., 16) = 16        strace, with and without -x and -xx

Python's own literals are in `pasted`. What is cut off, or belongs to two directions, is refused in words.
Each pattern is read in time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dqlitewire.traffic.errors import SourceError

_STRING = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_STRINGS = re.compile(r'\s*"(?:[^"\\]|\\.)*+"(?:[\s\\+,]*+"(?:[^"\\]|\\.)*+")*+[\s\\,;]*+', re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)|[^\\]", re.DOTALL)
_SIMPLE = {"a": 7, "b": 8, "e": 27, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "0": 0, "\n": -1}
_COMMENT = re.compile(r"/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/|//[^\n]*+")
_ARRAY = re.compile(r"(?:(\w+)\s*\[\s*\d*\s*\]\s*=\s*|\[\]\s*(?:byte|uint8)\s*)\{([^{}]*+)\}")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,2}|[0-9]{1,3}")
_SLICE = re.compile(r"\s*\[((?:[0-9]{1,3}(?:\s++|(?=\])))++)\]\s*")
_CALL = re.compile(
    r"(?:\[pid\s+\d+\]\s+|\d+\s+)?(?:\d[\d:.]*\s+)?"
    r"(read|write|pread64|pwrite64|readv|writev|send|recv|sendto|recvfrom|sendmsg|recvmsg|preadv|pwritev)"
    r"\((\d+)(?:<[^,]*>)?, (.*)\)\s*= (-?\d+)\b.*"
)
_READS = frozenset({"read", "pread64", "readv", "recv", "recvfrom", "recvmsg", "preadv"})
_CUT = "print whole strings: `strace -s 100000`, or record: `tcpdump -w FILE`"


def _unescaped(text: str) -> bytes:
    """What an escaped string stands for; characters that are not ASCII are UTF-8.

    Raises:
        ValueError: an escape that none of the languages has.
    """
    out = bytearray()
    for match in _ESCAPE.finditer(text):
        code = match[1]
        if code is None:
            out += match[0].encode()
        elif code[0] == "x":
            out.append(int(code[1:], 16))
        elif code[0] in "uU":
            out += chr(int(code[1:], 16)).encode()
        elif code[0] in "01234567":
            out.append(int(code, 8))
        elif code in "\"'\\?":
            out += code.encode()
        elif _SIMPLE[code] >= 0:
            out.append(_SIMPLE[code])
    return bytes(out)


def _strings(text: str) -> bytes | None:
    if not _STRINGS.fullmatch(text) or "\\" not in text:
        return None
    return b"".join(_unescaped(found[1]) for found in _STRING.finditer(text))


def _arrays(text: str) -> bytes | None:
    if "{" not in text:
        return None
    bare = _COMMENT.sub(" ", text)
    found = list(_ARRAY.finditer(bare))
    if not found:
        return None
    sides = {match[1].partition("_")[0] for match in found if match[1] and match[1].startswith("peer")}
    if len(sides) > 1:
        raise SourceError("the arrays of two directions", "paste those of one, or save the stream as Raw")
    return bytes(_number(part) for match in found for part in match[2].split(",") if part.strip())


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError("no byte")
    return int(text, 16 if "x" in text.lower() else 10)


def _slice(text: str) -> bytes | None:
    match = _SLICE.fullmatch(text)
    if match is None:
        return None
    numbers = match[1].split()
    if any(len(number) > 1 and number[0] == "0" for number in numbers):
        raise SourceError("numbers in brackets of which some begin with 0", "print them with Go's %x")
    return bytes(map(int, numbers))


def _calls(text: str) -> bytes | None:
    """What strace's lines say was read or written."""
    lines = [line for line in (line.strip() for line in text.splitlines()) if line]
    calls = [_CALL.fullmatch(line) for line in lines]
    if not lines or calls[0] is None:
        return None
    out: list[bytes] = []
    for line, call in zip(lines, calls, strict=True):
        if call is None:
            raise SourceError(
                "lines of strace that are no whole read or write", "paste those alone", repr(line[:40])
            )
        name, descriptor, rest, result = call.groups()
        if (name in _READS, descriptor) != (calls[0][1] in _READS, calls[0][2]):
            raise SourceError("strace's lines of two directions or descriptors", "paste those of one")
        if int(result) <= 0:
            continue
        data = b"".join(_unescaped(found[1]) for found in _STRING.finditer(rest.partition("msg_control")[0]))
        if '"...' in rest or len(data) < int(result):
            raise SourceError("strings that strace has cut off", _CUT)
        out.append(data[: int(result)])
    return b"".join(out)


_FORMS: tuple[Callable[[str], bytes | None], ...] = (_calls, _arrays, _slice, _strings)


def read(text: str) -> bytes | None:
    """Return the bytes that a text of one of the forms stands for, None of any other text.

    Args:
        text: any text.

    Raises:
        SourceError: it has one of the forms, and is cut off or holds two directions.
    """
    if "!!binary" in text and "peers:" in text:
        raise SourceError("Wireshark's YAML", "save the stream as Raw, one file for each direction")
    if "<Buffer " in text:
        return _buffer(text)
    for form in _FORMS:
        try:
            data = form(text)
        except (ValueError, KeyError, OverflowError):
            continue
        if data is not None:
            return data
    return None


def _buffer(text: str) -> bytes | None:
    """What Node.js prints of a buffer."""
    match = re.fullmatch(r"\s*<Buffer ((?:[0-9a-f]{2} ?)++)(\.\.\. [0-9]+ more bytes)?>\s*", text)
    if match is None:
        return None
    if match[2]:
        raise SourceError("a buffer that Node.js has cut off", "print it with .toString('hex')")
    return bytes.fromhex(match[1])
