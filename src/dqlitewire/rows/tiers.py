"""The fast reader of rows: a cold tier for any types, and generated readers for those that keep coming.

The signature of a row is its header, that is, its types. Rows of a result mostly have one, or a few that
take turns as NULLs come and go:

    types of row 0   | values ...            signature A, cold: `_read_cold`, one loop over its types
    types of row 1   | values ...            A
    ...                                      after HEAT rows of A a reader is generated for it (`compiled`),
    types of row 64  | values ...            A, compiled: it reads rows for as long as their header is A's
    types of row 90  | values ...            B, cold again

Where texts and blobs keep their lengths as well, rows are read column by column (`equal_lengths`).

Credit. To generate a reader costs as much as to read a few hundred rows. A peer that sends ever new
signatures would buy that at the price of HEAT rows each, and make reading many times slower. So generating
is paid with credit: there is some at first, and it is earned by rows that were read, whoever sent them, one
reader for each ROWS_PER_CREDIT rows. The cost of generating is thereby bounded to a fraction of the cost of
reading. A signature that could not be paid stays cold and is compiled later. Everything that is kept of
signatures is bounded in number and in bytes.

Bounds. No reader here tests whether what it reads lies within the body; one test behind the last row stands
for all of them. Positions only grow, and a row that takes too much leaves the position behind the place of
the marker:

    ... values of the last row | marker | PADDING, zeros ...
                               ^ the position must be here at the end, and a marker stand here

* A text without a NUL in the body ends at the first zero of PADDING, behind the marker.
* A word or the header of a next row is unpacked from PADDING, which is longer than any reader looks ahead.
* A blob of a size beyond the frame is cut short by slicing, but the position moves by its whole size.
* Zeros are no row's types, so a generated reader that has run over the marker stops at the next header.
* Where the position lies behind PADDING, `struct` and `index` raise.

Large rows are read without PADDING, to save the copy of the frame, and then by the cold tier alone, which
does not look ahead. Text is decoded strictly, so whatever is not UTF-8 raises as well. Whatever raises is a
doubt: `read_certain` returns None, and the plain reader begins again.
"""

from __future__ import annotations

from struct import error as struct_error

from ..caches import Cache, Credit
from ..exceptions import DecodeError
from ..header import ROW_DONE, ROW_PART, row_header_size
from ..scalars import DOUBLE, I64, U64
from ..values import FIXED, UNPACK, encoded_as
from .row_types import RowTypes, key_of, read_row_types, row_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..values import WireValue
    from .compiled import RowReader, Uniform
    from .row_types import Key, Row, Types

__all__ = ["PADDING", "Tiers", "read_certain"]

HEAT = 64  # rows of a signature before it is compiled: from 100 to 300 on it pays
MAX_COMPILED_COLUMNS = 256
# Signatures that are kept. A reader takes about 3 KB and 300 bytes a column, its source included, a cold
# signature 500 bytes and 10 a column: 13 MB of memory at the most, whatever a peer sends.
NARROW = 32  # columns
MAX_COMPILED, MAX_WIDE_COMPILED = 256, 64
MAX_COLD, MAX_WIDE_COLD = 4096, 256
MAX_CREDIT = 128
ROWS_PER_CREDIT = 512
LARGE_FRAME, LARGE_ROW = 1 << 16, 4096
PADDING = bytes(192)  # behind the frame: the longest compiled header (128) and its look-ahead (48) fit in

_DOUBTS = (DecodeError, ValueError, OverflowError, IndexError, struct_error)


class Cold:
    """A signature that is not compiled.

    Attributes:
        codes: what its types are encoded as.
        rows: how many were read with it.
        may_compile: whether a reader for it may be made.
    """

    __slots__ = ("codes", "header", "may_compile", "rows", "types")  # there may be thousands

    def __init__(self, header: bytes, types: Types) -> None:
        self.header: bytes = header
        self.types: Types = types
        self.codes: bytes = encoded_as(types)  # plain integers: an enum's members compare slowly
        self.rows: int = 0
        self.may_compile: bool = len(types) <= MAX_COMPILED_COLUMNS  # compiling very wide rows takes long


class Compiled:
    """Readers that were made, and for each signature whether its texts keep their lengths.

    A full set is not cleared, since others are reading: `Tiers` puts an empty one in its place.

    Attributes:
        readers: by column count, by header.
        uniform: of every reader by both; None without texts and blobs.
    """

    def __init__(self) -> None:
        self.readers: dict[int, dict[Key, RowReader]] = {}
        self.uniform: dict[tuple[int, Key], Uniform | None] = {}

    def __len__(self) -> int:
        return len(self.uniform)


class Tiers:
    """Which signatures are cold, which are compiled, and how many more may be; all threads share one.

    Rows of more than `NARROW` columns have caches of their own with fewer entries, so that memory is bounded
    however wide they are.
    """

    def __init__(self, heat: int = HEAT) -> None:
        self.heat = heat
        self.compiled: list[Compiled] = [Compiled(), Compiled()]
        self.cold: tuple[Cache[tuple[int, Key], Cold], ...] = (
            Cache(MAX_COLD, _cold_size(NARROW)),
            Cache(MAX_WIDE_COLD, _cold_size(MAX_COMPILED_COLUMNS)),
        )
        self.credit: Credit = Credit(MAX_CREDIT, ROWS_PER_CREDIT)

    def see(self, key: Key, header: bytes, count: int) -> Cold:
        """Return what is known of a cold signature."""
        cold = self.cold[count > NARROW]
        entry = cold.get((count, key))
        if entry is None:
            entry = Cold(header, read_row_types(header, count, 0, ""))
            cold.add((count, key), entry, _cold_size(count))
        return entry

    def warm(self, key: Key, entry: Cold, rows: int) -> bool:
        """Count rows that were read of a cold signature; compile it once it is hot, and tell so."""
        self.credit.earn(rows)
        entry.rows += rows
        if entry.rows < self.heat or not entry.may_compile:
            return False
        # Bits that mean nothing multiply signatures. Few get this far, so it is not tested before.
        entry.may_compile = entry.header == row_header(entry.types)
        if not entry.may_compile or not self.credit.spend():
            return False
        from .compiled import Uniform, compile_row_reader  # at the first use: import would take longer

        count = len(entry.types)
        wide = count > NARROW
        compiled = self.compiled[wide]
        if len(compiled) >= (MAX_WIDE_COMPILED if wide else MAX_COMPILED):
            compiled = self.compiled[wide] = Compiled()
        varies = any(code not in FIXED for code in entry.codes)
        compiled.uniform[count, key] = Uniform(entry.header, entry.types) if varies else None
        compiled.readers.setdefault(count, {})[key] = compile_row_reader(entry.types)
        self.cold[wide].forget((count, key))
        return True


def _cold_size(count: int) -> int:
    """About how many bytes are kept of a cold signature: eight for a type, two or so of header and codes."""
    return 500 + 10 * count


tiers: Tiers = Tiers()
_NO_READERS: Mapping[Key, RowReader] = {}


def read_certain(frame: bytes, pos: int, end: int, count: int) -> tuple[RowTypes, list[Row], bool] | None:
    """Read the rows of a frame, if it is certain that they are right whatever the options; else None.

    Args:
        frame: header, body, and perhaps zeros behind it.
        pos: where the first row begins.
        end: where the body ends.
        count: columns, at least one.

    Returns:
        The types, the rows, and whether more frames follow.
    """
    try:
        padded = len(frame) >= end + len(PADDING)
        if not padded and not _has_large_rows(frame, pos, end, count):
            frame, padded = b"".join((frame, PADDING)), True
        return _read_fast(frame, pos, end, count, padded)
    except _DOUBTS:
        return None


def _has_large_rows(frame: bytes, pos: int, end: int, count: int) -> bool:
    """Tell whether copying the frame would cost more than reading it without compiled readers."""
    if end < LARGE_FRAME:
        return False
    header = frame[pos : pos + row_header_size(count)]
    codes = tiers.see(key_of(header), header, count).codes
    rows: list[Row] = []
    _, after = _read_cold(frame, pos + len(header), header, codes, 1, rows.append, frame.index)
    return after - pos >= LARGE_ROW


def _read_fast(
    frame: bytes, pos: int, end: int, count: int, padded: bool = True
) -> tuple[RowTypes, list[Row], bool]:
    rows: list[Row] = []
    runs: list[tuple[int, Types]] = []
    append, index, begin = rows.append, frame.index, runs.append
    size = (count + 15) // 16 * 8  # row_header_size, without the call
    last = end - 8
    tier = tiers
    compiled = tier.compiled[count > NARROW]
    readers = compiled.readers.get(count, _NO_READERS) if padded else _NO_READERS
    cold = planned = 0
    key = key_of(frame[pos : pos + size])
    uniform = compiled.uniform.get((count, key)) if readers else None
    plan = uniform.plan if uniform is not None else None
    if uniform is not None and plan is not None:
        pos = plan.read(frame, pos, rows)
        planned = len(rows)
        if planned:
            begin((0, uniform.types))
            key = key_of(frame[pos : pos + size])
    while pos < last:
        reader = readers.get(key)
        if reader is not None:
            key, pos = reader(frame, pos + size, rows, begin, append, index)
            continue
        first = len(rows)
        header = frame[pos : pos + size]
        entry = tier.see(key, header, count)
        begin((first, entry.types))
        # Where nothing can be compiled a look now and then is enough.
        may = padded and entry.may_compile and len(tier.credit)
        most = tier.heat - entry.rows if may else ROWS_PER_CREDIT
        header, pos = _read_cold(frame, pos + size, header, entry.codes, most, append, index)
        if padded:
            if tier.warm(key, entry, len(rows) - first):
                readers = tier.compiled[count > NARROW].readers.get(count, _NO_READERS)
            cold += len(rows) - first
        key = key_of(header)
    word = frame[last:end]
    if pos != last or not (word == ROW_DONE or word == ROW_PART):
        raise DecodeError("no marker")
    tier.credit.earn(len(rows) - cold)
    if uniform is not None and len(rows) >= uniform.enough:
        uniform.learn(rows, runs, plan, planned)
    return RowTypes(runs, len(rows)), rows, word == ROW_PART


def _read_cold(
    frame: bytes,
    pos: int,
    header: bytes,
    codes: bytes,
    most: int,
    append: Callable[[Row], None],
    index: Callable[[int, int], int],
) -> tuple[bytes, int]:
    """Read rows with this header, about `most` of them; as in a compiled reader, bounds are not tested.

    `codes` are what the types are encoded as, so that each form is asked for once (see `values`).
    """
    size = len(header)
    while True:
        row: list[WireValue] = []
        add = row.append
        for code in codes:
            if code == 1:
                add(_integer(frame, pos)[0])
                pos += 8
            elif code == 3:
                stop = index(0, pos)
                add(frame[pos:stop].decode())
                pos = (stop + 8) & -8
            elif code == 2:
                add(_float(frame, pos)[0])
                pos += 8
            elif code == 5:
                add(None)
                pos += 8
            elif code == 11:
                add(_unsigned(frame, pos)[0] != 0)
                pos += 8
            elif code == 4:
                stop = pos + 8 + _unsigned(frame, pos)[0]
                add(frame[pos + 8 : stop])
                pos = (stop + 7) & -8
            else:
                add(UNPACK[code](frame, pos)[0])
                pos += 8
        append(tuple(row))
        following = frame[pos : pos + size]
        most -= 1
        if following != header or most <= 0:
            return following, pos
        pos += size


_integer, _unsigned, _float = I64.unpack_from, U64.unpack_from, DOUBLE.unpack_from
