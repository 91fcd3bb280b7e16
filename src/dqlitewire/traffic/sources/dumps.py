"""Dumps with offsets, as people paste them: xxd, hexdump, od, gdb, Wireshark.

    00000010: 7465 7374 2e64 6200  test.db.       xxd: a colon; groups of any width; what it says in text
    00000010  74 65 73 74 2e 64 62 00  |test.db.| hexdump -C, od -tx1z, Wireshark: two digits a byte
    0000020   t   e   s   t   .   d   b  \0       od -c: four columns a byte, and an offset in octal
    0000020 6574 7473 642e 0062                   od -x, hexdump: words, each with its bytes swapped

What the numbers mean is not written anywhere, so all of them must add up: a text is a dump if its lines
begin with offsets that grow evenly in one of the `BASES`, and it is read if the `READERS` that find as many
bytes in each line as lie between its offset and the next agree. Words are not read: whether they are
swapped depends on the machine that printed them, and 0001 looks the same either way. They are refused, with
their name and with what to print instead; so is everything else that has offsets and does not add up, for it
would be read as hex that has the offsets inside.

Work is linear in the text: a line is at most `MAX_LINE` characters, and is read a fixed number of times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise, product
from typing import NamedTuple

from dqlitewire.traffic.errors import SourceError

MAX_REPEATED = 1 << 16  # bytes that the `*` of a dump stand for: a short text must not be much work
MAX_LINE = 4096  # characters of a line of a dump
MAX_STEP = 1024  # bytes of a line
BASES = (16, 8, 10)

_LINE = re.compile(r"[^\r\n]+")
_ROW = re.compile(r"[ \t]*(?:0[xX])?([0-9a-fA-F]{4,16})(:?)(?=[ \t]|$)")
_TOKEN = re.compile(r"\S+")
_PAIR = re.compile(r"[0-9a-fA-F]{2}")
_GROUP = re.compile(r"(?:[0-9a-fA-F]{2})+")
_OCTAL = re.compile(r"[0-3][0-7]{2}")
_ESCAPES = {"\\0": 0, "\\a": 7, "\\b": 8, "\\t": 9, "\\n": 10, "\\v": 11, "\\f": 12, "\\r": 13, "\\\\": 92}
ADVICE = "print bytes: `od -Ax -tx1`, `hexdump -C` or `xxd`"


class _Row(NamedTuple):
    """A line of a dump: its offset as written, whether a colon follows, the rest, whether a `*` follows."""

    offset: str
    colon: bool
    rest: str
    repeats: bool


class _Place(NamedTuple):
    """What is known of a line from the others.

    Attributes:
        room: bytes up to the next offset; None if there is none, or if a `*` follows.
        width: where the cells of a full line end; None if there is none.
        group: bytes of the largest group of the dump.
    """

    room: int | None
    width: int | None
    group: int


def read(text: str) -> bytes | None:
    """Return the bytes of a dump, None of a text that is no dump.

    Args:
        text: any text.

    Raises:
        SourceError: it is a dump that is not read; it is named as far as it is known.
    """
    rows = _rows(text)
    bases = [] if rows is None else [base for base in BASES if _grows(rows, base)]
    if rows is None or not bases:
        return None
    for readers in (READERS, STRIPPED):
        found = set(_readings(rows, bases, readers))
        if len(found) == 1:
            return found.pop()
        if found:
            raise SourceError("a dump whose offsets may be octal, decimal or hex", ADVICE)
    raise _refusal(rows, bases)


def _readings(rows: Sequence[_Row], bases: Sequence[int], readers: Sequence[_Reader]) -> Iterator[bytes]:
    """All that a dump may stand for."""
    for base, reader in product(bases, readers):
        if base in _bases(rows[0], reader):
            with suppress(ValueError):
                yield _join(rows, base, reader)


def _bases(row: _Row, reader: _Reader) -> tuple[int, ...]:
    """The bases that the programs print offsets of so many digits in."""
    if row.colon:
        return 16, 10  # xxd -d
    if len(row.offset) != 7:
        return (16,)
    return (8, 10) if reader is _pairs else BASES  # od; hexdump prints its other formats so


def _rows(text: str) -> list[_Row] | None:
    """The lines of a dump; None if some line has no offset."""
    rows: list[_Row] = []
    for found in _LINE.finditer(text):
        line = found[0]
        if not line.strip():
            continue
        if line.strip() == "*" and rows:
            rows[-1] = rows[-1]._replace(repeats=True)
            continue
        match = _ROW.match(line)
        if match is None or len(line) > MAX_LINE:
            return None
        rows.append(_Row(match[1], bool(match[2]), line[match.end() :], False))
    return rows or None


def _grows(rows: Sequence[_Row], base: int) -> bool:
    """Whether the offsets grow by the same step in a base, but for the last line and where a `*` stands."""
    try:
        offsets = [int(row.offset, base) for row in rows]
    except ValueError:
        return False
    if len(rows) == 1:
        return rows[0].colon or rows[0].rest[:2].isspace() or rows[0].repeats or _is_alone(rows[0])
    steps = [other - one for one, other in pairwise(offsets)]
    if min(steps) <= 0:
        return False
    plain = [step for row, step in zip(rows[:-2], steps, strict=False) if not row.repeats]
    last = [step for row, step in zip(rows[-2:-1], steps[-1:], strict=False) if not row.repeats]
    return len(set(plain)) <= 1 and max([*plain, *last], default=0) <= MAX_STEP


def _is_alone(row: _Row) -> bool:
    """Whether a single line begins with an offset, which has more digits than its bytes."""
    tokens = row.rest.split()
    return len(row.offset) > 4 and not row.offset.strip("0") and all(len(token) < 4 for token in tokens)


def _join(rows: Sequence[_Row], base: int, reader: _Reader) -> bytes:
    """The bytes of a dump; `*` stands for the row before it, repeated up to the next offset.

    Raises:
        ValueError: the offsets do not add up.
        SourceError: they stand for more bytes than are read.
    """
    out, left = bytearray(), MAX_REPEATED
    offsets = [int(row.offset, base) for row in rows]
    width = max((_end_of_cells(row.rest) for row in rows[:-1] if not row.colon), default=0) or None
    group = max((len(cell) // 2 for row in rows if row.colon for cell in _column(row).split()), default=0)
    for number, row in enumerate(rows):
        if offsets[number] - offsets[0] != len(out):
            raise ValueError("offsets that do not add up")
        last = number == len(rows) - 1
        if last and number and not row.rest.strip() and not row.repeats:
            break
        room = None if last else offsets[number + 1] - offsets[number]
        if row.repeats and room is None:
            raise ValueError("no offset behind *")
        data = reader(row, _Place(None if row.repeats else room, width, group))
        if not data or (not row.repeats and room not in (None, len(data))):
            raise ValueError("another number of bytes")
        out += data
        if row.repeats and room is not None:
            left -= room
            if left < 0:
                raise SourceError(f"a dump whose * stand for more than {MAX_REPEATED >> 10} KiB")
            if room < len(data) or (room % len(data) and number < len(rows) - 2):
                raise ValueError("offsets that do not add up")
            out += (data * -(-room // len(data)))[: room - len(data)]
    if reader in (_octals, _characters, _stripped):
        _check_certain(rows)
    return bytes(out)


def _end_of_cells(rest: str) -> int:
    """Where the last cell of two digits ends, in a full line; 0 if there is none."""
    end = 0
    for token in _TOKEN.finditer(rest):
        if not _PAIR.fullmatch(token[0]) or (end and token.start() - end > 2):
            break
        end = token.end()
    return end


# readers: the bytes of a line; ValueError if it has another form


def _pairs(row: _Row, place: _Place) -> bytes:
    """Two digits a byte, one blank between them, two in the middle; what follows the last byte is text."""
    if row.colon:
        raise ValueError("a colon")
    cells: list[str] = []
    end = wide = 0
    for token in _TOKEN.finditer(row.rest):
        gap = token.start() - end
        if cells and len(cells) == place.room and gap >= 2:
            break
        if place.room is None and cells and (gap > 2 or (place.width or token.end()) < token.end()):
            break
        if not _PAIR.fullmatch(token[0]) or len(cells) == place.room:
            if place.room is None and cells and gap == 2:
                break
            raise ValueError("no pair of digits")
        if not cells and gap > (1 if len(row.offset) == 7 else 3):
            raise ValueError("not where bytes begin")
        wide += bool(cells) and gap > 1
        if wide > 1 + len(cells) // 8:
            raise ValueError("wide columns")
        cells.append(token[0])
        end = token.end()
    return bytes.fromhex("".join(cells))


def _column(row: _Row) -> str:
    """What stands between the colon and the text."""
    return row.rest.strip(" \t").partition("  ")[0]


def _groups(row: _Row, place: _Place) -> bytes:
    """Groups of bytes in their order behind a colon, as xxd prints them, then two blanks and text."""
    column = _column(row)
    groups = column.split()
    if not row.colon or not all(map(_GROUP.fullmatch, groups)):
        raise ValueError("no groups of digits")
    if _is_bits(row) and len(groups) == (place.room or len(groups)):
        raise ValueError("bits")
    data = bytes.fromhex("".join(groups))
    aside = row.rest.startswith("   ")  # the words of a short line stand on the right
    text = row.rest.strip(" \t")[len(column) :].rstrip()
    size = place.group
    turned = b"".join(data[at : at + size][::-1] for at in range(0, len(data), size))
    swapped = size > 1 and bool(text) and turned != data and _says(turned, row.rest)
    straight = not text or _says(data, row.rest)
    beside = not straight and _GROUP.fullmatch(text.split()[0]) and "  " in text.strip()  # more words
    if aside or beside or (swapped and (not straight or size in (4, 8))):
        raise SourceError(
            "a dump of words, or with another text than its bytes (`xxd -e`)", "print bytes: `xxd -g1`"
        )
    return data


def _says(data: bytes, line: str) -> bool:
    """Whether a line ends with what bytes look like as text, and nothing else stands between them."""
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
    line = line.ljust(len(shown) + 2) if shown.isspace() else line
    kept = line.rstrip()
    wanted = shown.rstrip()
    before = kept[: len(kept) - len(wanted)]
    return kept.endswith(wanted) and (before.endswith("  ") or not wanted or shown[0] == " ")


def _is_bits(row: _Row) -> bool:
    column = _column(row).split()
    if not all(len(bits) == 8 and not bits.strip("01") for bits in column):
        return False
    return bool(column) and _says(bytes(int(bits, 2) for bits in column), row.rest)


def _bits(row: _Row, place: _Place) -> bytes:
    """Eight bits a byte, as `xxd -b` prints them."""
    if not row.colon or not _is_bits(row):
        raise ValueError("no bits")
    return bytes(int(bits, 2) for bits in _column(row).split())


def _octals(row: _Row, place: _Place) -> bytes:
    """Three octal digits a byte, as `od -b` prints them."""
    cells = row.rest.split()
    if row.colon or not all(map(_OCTAL.fullmatch, cells)):
        raise ValueError("no octal bytes")
    return bytes(int(cell, 8) for cell in cells)


def _characters(row: _Row, place: _Place) -> bytes:
    """Four columns a byte, as `od -c` prints them: a character, an escape, or three octal digits."""
    cells = row.rest if place.room is None else row.rest[: 4 * place.room]
    if row.colon or len(cells) % 4 or row.rest[len(cells) :].strip():
        raise ValueError("no columns of four")
    return bytes(_character(cells[at : at + 4]) for at in range(0, len(cells), 4))


def _stripped(row: _Row, place: _Place) -> bytes:
    """The same where the blanks at the end of a line, which may be bytes, have been stripped."""
    room = place.room or -(-len(row.rest) // 4)
    return _characters(row._replace(rest=row.rest.ljust(4 * min(room, 16))), place)


def _character(cell: str) -> int:
    shown = cell[1:].lstrip(" ")
    if cell[0] != " " or not cell.isascii():
        raise ValueError("no cell")
    if len(shown) == 3 and _OCTAL.fullmatch(shown):
        return int(shown, 8)
    if len(shown) < 2:
        return ord(shown or " ")
    return _ESCAPES.get(shown, 256)  # which no byte is: ValueError


def _check_certain(rows: Sequence[_Row]) -> None:
    """Check that cells are not decimal (`od -tu1`), nor names of characters without their top bit (`od -a`).

    Raises:
        ValueError: they may be.
    """
    cells = {cell for row in rows for cell in row.rest.split()}
    octal = any(len(cell) == 3 and cell[0] == "0" for cell in cells)
    if not octal and not any(cell in _ESCAPES for cell in cells):
        raise ValueError("decimal, or names of characters")


_Reader = Callable[[_Row, _Place], bytes]
READERS: tuple[_Reader, ...] = (_pairs, _bits, _groups, _octals, _characters)
STRIPPED: tuple[_Reader, ...] = (_stripped,)


#: how words look, and what prints them with offsets in octal, and in hex
_WORDS = (
    (re.compile(r"[0-7]{6}"), "od", "hexdump -o"),
    (re.compile(r"[0-9a-fA-F]{4}"), "od -x", "hexdump"),
    (re.compile(r"[0-9]{5}"), "od -d", "hexdump -d"),
    (re.compile(r"[0-9a-fA-F]{8}"), "od -tx4", "od -Ax -tx4"),
    (re.compile(r"[0-9a-fA-F]{16}"), "od -tx8", "od -Ax -tx8"),
    (re.compile(r"-?[0-9]{1,5}"), "od -d`, `od -tu1", "od -Ax -tu1"),
    (re.compile(r"[a-z]{2,3}|[0-9a-z]{3}|\S"), "od -a", "od -Ax -a"),
)


def _refusal(rows: Sequence[_Row], bases: Sequence[int]) -> SourceError:
    cells = [cell for row in rows for cell in row.rest.split() if not cell.startswith(">")]
    for word, octal, hexadecimal in _WORDS:
        if cells and not rows[0].colon and all(map(word.fullmatch, cells)):
            name = octal if 8 in bases else hexadecimal
            wide = name == "hexdump" and rows[0].rest.startswith("   ")
            return SourceError(
                f"words whose bytes cannot be told (`{'hexdump -x' if wide else name}`)", ADVICE
            )
    return SourceError("a dump whose bytes and offsets do not add up", ADVICE)


_GDB = re.compile(r"(?:=> )?(0x[0-9a-fA-F]+)(?:[ \t]+<[^>]*>)?:[ \t]*(\S.*)")
_GDB_BYTE = re.compile(r"0x[0-9a-fA-F]{2}")


def read_gdb(text: str) -> bytes | None:
    """Return the bytes that gdb's `x/xb` has printed, None of any other text.

    Args:
        text: any text.

    Raises:
        SourceError: it is another format of gdb's, or lines are missing.
    """
    out = bytearray()
    start: int | None = None
    for address, rest in _gdb_lines(text):
        cells = rest.split()
        if start is None:
            start = address
            if not cells[0].startswith("0x") and "'" not in rest and '"' not in rest and "<" not in text:
                return None  # `0x0000:  4500 003c` is tcpdump's
        if not all(map(_GDB_BYTE.fullmatch, cells)):
            raise SourceError("gdb's output in another format than bytes", "print bytes: `x/64xb ADDRESS`")
        if address != start + len(out):
            raise SourceError("gdb's output with lines missing", "paste all of it")
        out += bytes(int(cell, 16) for cell in cells)
    return bytes(out) if start is not None else None


def _gdb_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines, if all are gdb's."""
    found: list[tuple[int, str]] = []
    for line in _LINE.finditer(text):
        if not line[0].strip():
            continue
        match = _GDB.fullmatch(line[0].strip())
        if match is None:
            return
        found.append((int(match[1], 16), match[2]))
    yield from found
