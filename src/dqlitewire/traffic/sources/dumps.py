"""Dumps with offsets, as people paste them: xxd, hexdump, od, Wireshark.

    00000010: 7465 7374 2e64 6200  test.db.       xxd: a colon; groups of any width; what it says in text
    00000010  74 65 73 74 2e 64 62 00  |test.db.| hexdump -C, od -tx1z, Wireshark: two digits a byte
    0000020   t   e   s   t   .   d   b  \0       od -c: four columns a byte, and an offset in octal
    0000020 6574 7473 642e 0062                   od -x, hexdump: words, each with its bytes swapped

What the numbers mean is not written anywhere, so all of them must add up: a text is a dump if its lines
begin with offsets that grow evenly in one of the `BASES`, and it is read if the readers (`dump_rows`) that
find as many bytes in each line as lie between its offset and the next agree. Words are not read: whether they
are swapped depends on the machine that printed them, and 0001 looks the same either way. They are refused,
with their name and with what to print instead; so is everything else that has offsets and does not add up,
for it would be read as hex that has the offsets inside.

Work is linear in the text: a line is at most `MAX_LINE` characters, and is read a fixed number of times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise, product

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources.dump_rows import (
    PAIR,
    READERS,
    STRIPPED,
    TOKEN,
    Place,
    Reader,
    Row,
    characters,
    check_certain,
    column_of,
    octals,
    pairs,
    stripped,
)

MAX_REPEATED = 1 << 16  # bytes that the `*` of a dump stand for: a short text must not be much work
MAX_LINE = 4096  # characters of a line of a dump
MAX_STEP = 1024  # bytes of a line
BASES = (16, 8, 10)

_LINE = re.compile(r"[^\r\n]+")
_ROW = re.compile(r"[ \t]*(?:0[xX])?([0-9a-fA-F]{4,16})(:?)(?=[ \t]|$)")
ADVICE = "print bytes: `od -Ax -tx1`, `hexdump -C` or `xxd`"


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


def _readings(rows: Sequence[Row], bases: Sequence[int], readers: Sequence[Reader]) -> Iterator[bytes]:
    """All that a dump may stand for."""
    for base, reader in product(bases, readers):
        if base in _bases(rows[0], reader):
            with suppress(ValueError):
                yield _join(rows, base, reader)


def _bases(row: Row, reader: Reader) -> tuple[int, ...]:
    """The bases that the programs print offsets of so many digits in."""
    if row.colon:
        return 16, 10  # xxd -d
    if len(row.offset) != 7:
        return (16,)
    return (8, 10) if reader is pairs else BASES  # od; hexdump prints its other formats so


def _rows(text: str) -> list[Row] | None:
    """The lines of a dump; None if some line has no offset."""
    rows: list[Row] = []
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
        rows.append(Row(match[1], bool(match[2]), line[match.end() :], False))
    return rows or None


def _grows(rows: Sequence[Row], base: int) -> bool:
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


def _is_alone(row: Row) -> bool:
    """Whether a single line begins with an offset, which has more digits than its bytes."""
    tokens = row.rest.split()
    return len(row.offset) > 4 and not row.offset.strip("0") and all(len(token) < 4 for token in tokens)


def _join(rows: Sequence[Row], base: int, reader: Reader) -> bytes:
    """The bytes of a dump; `*` stands for the row before it, repeated up to the next offset.

    Raises:
        ValueError: the offsets do not add up.
        SourceError: they stand for more bytes than are read.
    """
    out, left = bytearray(), MAX_REPEATED
    offsets = [int(row.offset, base) for row in rows]
    width = max((_end_of_cells(row.rest) for row in rows[:-1] if not row.colon), default=0) or None
    group = max((len(cell) // 2 for row in rows if row.colon for cell in column_of(row).split()), default=0)
    for number, row in enumerate(rows):
        if offsets[number] - offsets[0] != len(out):
            raise ValueError("offsets that do not add up")
        last = number == len(rows) - 1
        if last and number and not row.rest.strip() and not row.repeats:
            break
        room = None if last else offsets[number + 1] - offsets[number]
        if row.repeats and room is None:
            raise ValueError("no offset behind *")
        data = reader(row, Place(None if row.repeats else room, width, group))
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
    if reader in (octals, characters, stripped):
        check_certain(rows)
    return bytes(out)


def _end_of_cells(rest: str) -> int:
    """Where the last cell of two digits ends, in a full line; 0 if there is none."""
    end = 0
    for token in TOKEN.finditer(rest):
        if not PAIR.fullmatch(token[0]) or (end and token.start() - end > 2):
            break
        end = token.end()
    return end


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


def _refusal(rows: Sequence[Row], bases: Sequence[int]) -> SourceError:
    cells = [cell for row in rows for cell in row.rest.split() if not cell.startswith(">")]
    for word, octal, hexadecimal in _WORDS:
        if cells and not rows[0].colon and all(map(word.fullmatch, cells)):
            name = octal if 8 in bases else hexadecimal
            wide = name == "hexdump" and rows[0].rest.startswith("   ")
            return SourceError(
                f"words whose bytes cannot be told (`{'hexdump -x' if wide else name}`)", ADVICE
            )
    return SourceError("a dump whose bytes and offsets do not add up", ADVICE)
