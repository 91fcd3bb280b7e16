"""The body of a ROWS frame: a plain decoder, and fast ones for the row signatures that keep coming.

A signature is a row's header: its type nibbles. The plain decoder reads cell by cell with every bound
tested; it is the oracle of the fast path and where every doubt is settled: whatever the fast path does not
take for certain, from a tight row cap to text that is not UTF-8, is decoded again from the start by the
plain one, which returns the rows or says what is wrong.

The fast path reads a signature in one loop over its types while it is cold, and compiles a reader for it
once `HEAT` rows were seen. Compiling costs as much as reading a few hundred rows, so a peer that sends ever
new signatures must not be able to buy it freely: there is a credit, earned by rows decoded and spent by
compilations. Everything that is kept of signatures is bounded in number and bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import error as struct_error

from ..caches import Cache, Credit
from ..checks import checked_items
from ..declare.cursor import Cursor
from ..exceptions import DecodeError
from ..tuples import DONE, PART, read_row_types, row_header
from ..types import DOUBLE, I64, U64, read_value
from .compiled import FIXED, PADDING, compile_row_reader, key_of
from .equal_lengths import ENOUGH, Uniform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, overload

    from ..constants import ValueType
    from ..limits import Options
    from ..types import WireValue
    from .compiled import RowReader

    Row = tuple[WireValue, ...]
    Types = tuple[ValueType, ...]
    Key = int | bytes  # what a header is looked up by, see `key_of`

__all__ = ["RowTypes", "explain_rows", "read_rows", "read_rows_plainly"]

HEAT = 64  # rows of a signature before it is compiled: from 100 to 300 on it pays
MAX_COMPILED_COLUMNS = 256
# Signatures that are kept. A reader takes about 2 KB and 200 bytes a column, a cold signature 500 bytes and
# 10 a column: 10 MB of memory at the most, whatever a peer sends.
NARROW = 32  # columns
MAX_COMPILED, MAX_WIDE_COMPILED = 256, 64
MAX_COLD, MAX_WIDE_COLD = 4096, 256
MAX_CREDIT = 128
ROWS_PER_CREDIT = 512
LARGE_FRAME, LARGE_ROW = 1 << 16, 4096


class RowTypes(Sequence["Types"]):
    """Types of each row, stored once for each run of rows that share them."""

    __slots__ = ("_count", "_expanded", "_runs")

    def __init__(self, runs: list[tuple[int, Types]], count: int) -> None:
        self._runs = runs  # (first row, types), ascending; a run of no rows only where there are no rows
        self._count = count
        self._expanded: list[Types] | None = None

    @classmethod
    def of(cls, rows: object, path: str) -> RowTypes:
        """Copy a sequence with a sequence of types for each row; rows mostly share one object."""
        runs: list[tuple[int, Types]] = []
        known: dict[tuple[int, ...], Types] = {}  # like types are one object: writers go by identity
        items = checked_items(rows, path)
        last_item: object = items  # is no item
        last: Types | None = None
        for number, item in enumerate(items):
            if item is last_item:
                continue
            last_item = item
            types = tuple(checked_items(item, f"{path}[{number}]"))
            types = known.setdefault((*map(id, types),), types)  # hashing might run code of the caller's
            if types is not last:
                runs.append((number, types))
                last = types
        return cls(runs, len(items))

    @property
    def first(self) -> Types:
        return self._runs[0][1] if self._count else ()

    def runs(self) -> Iterator[tuple[int, int, Types]]:
        """Yield (first row, row behind the last, types) for each run."""
        for i, (start, types) in enumerate(self._runs):
            stop = self._runs[i + 1][0] if i + 1 < len(self._runs) else self._count
            yield start, stop, types

    def _expand(self) -> list[Types]:
        if self._expanded is None:
            expanded: list[Types] = []
            for start, stop, types in self.runs():
                expanded += [types] * (stop - start)
            self._expanded = expanded
        return self._expanded

    def __len__(self) -> int:
        return self._count

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: int) -> Types: ...
        @overload
        def __getitem__(self, index: slice) -> Sequence[Types]: ...

    def __getitem__(self, index: int | slice) -> Types | Sequence[Types]:
        return self._expand()[index]

    def __iter__(self) -> Iterator[Types]:
        return iter(self._expand())

    def __eq__(self, other: object) -> bool:
        whole: Any = other
        if isinstance(other, RowTypes):
            return self._count == other._count and (
                self._runs == other._runs or self._expand() == other._expand()
            )
        if isinstance(other, (list, tuple)):
            return self._expand() == [(*types,) for types in whole]
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._expand())

    def __reduce__(self) -> tuple[object, ...]:
        return RowTypes, (self._runs, self._count)


# ---- the frame


def read_rows(frame: bytes, end: int, options: Options) -> tuple[list[str], RowTypes, list[Row], bool]:
    """Decode a ROWS frame: column names, types, rows, and whether more frames follow.

    Args:
        frame: header and body, and perhaps zeros behind them.
        end: where the body ends.
    """
    names, pos = _read_names(frame, end, options)
    count = len(names)
    # Caps that this frame cannot exceed need not be tested cell by cell.
    smallest = (count + 15) // 16 * 8 + 8 * count
    if count and (end - pos) // smallest <= options.max_rows and end <= options.max_value_size:
        try:
            padded = len(frame) >= end + len(PADDING)
            if not padded and not _has_large_rows(frame, pos, end, count):
                frame, padded = b"".join((frame, PADDING)), True
            types, rows, more = _read_fast(frame, pos, end, count, padded)
            return names, types, rows, more
        except _DOUBTS:
            pass
    types, rows, more = read_rows_plainly(frame, pos, end, count, options)
    return names, types, rows, more


_DOUBTS = (DecodeError, ValueError, OverflowError, IndexError, struct_error)


# Every frame of a result repeats its names: (options, count and names as bytes, names) of the frame before.
_last_names: tuple[object, bytes, list[str]] = (None, b"", [])


def _read_names(frame: bytes, end: int, options: Options) -> tuple[list[str], int]:
    global _last_names
    known, head, names = _last_names
    pos = 8 + len(head)
    if known is options and frame.startswith(head, 8) and pos + 8 <= end:
        return names.copy(), pos
    cursor = Cursor(frame, 8, end, options, "RowsResponse")
    names = [*column_names(cursor)]
    if cursor.pos < 4096:
        _last_names = options, frame[8 : cursor.pos], names.copy()
    return names, cursor.pos


def column_names(cursor: Cursor) -> Iterator[str]:
    """Read the names that stand before the rows."""
    start, left = cursor.pos, cursor.end - cursor.pos
    if left < 16:
        raise cursor.error("", f"got {left} bytes, 16 are needed")
    count, limit = cursor.unsigned("columns", 8), cursor.options.max_column_count
    if count > limit:
        raise cursor.error("column_names", f"got {count}, at most {limit}", start, limit)
    if count * 8 + 8 > left - 8:
        raise cursor.error("column_names", f"got {count}, {left - 8} bytes are left", start)
    for i in range(count):
        yield cursor.text("column_names", cursor.options.max_column_name_size, i)


def row_header_size(count: int) -> int:
    return (count + 15) // 16 * 8


class PlainRows:
    """Rows read cell by cell, one after the other, up to the marker that must end the frame.

    Attributes:
        start: where the row read last begins, or the marker.
        pos: where reading goes on; after an error, behind the last part that could be read.
        types: those of the row read last.
        more: whether the marker says that more frames follow.
    """

    __slots__ = (
        "_codes",
        "_count",
        "_end",
        "_frame",
        "_header",
        "_options",
        "_read",
        "more",
        "pos",
        "start",
        "types",
    )

    def __init__(self, frame: bytes, pos: int, end: int, count: int, options: Options) -> None:
        self._frame, self._end = frame, end
        self._count, self._options = count, options
        self._read = 0
        self._header = b""
        self._codes: list[int] = []
        self.types: Types = ()
        self.start = self.pos = pos
        self.more = False

    def next(self) -> Row | None:
        """Read a row; None at the marker."""
        frame, pos, end = self._frame, self.pos, self._end
        self.start = pos
        word = frame[pos : min(pos + 8, end)]
        if word == DONE or word == PART:
            self.pos, self.more = pos + 8, word == PART
            if pos + 8 != end:
                problem = f"got {end - pos - 8} bytes behind the marker"
                raise DecodeError(problem, path="RowsResponse", offset=pos + 8)
            return None
        path, size = f"RowsResponse.rows[{self._read}]", row_header_size(self._count)
        if not self._count or pos + size > end:
            raise DecodeError("no marker at the end of the rows", path=path, offset=pos)
        if self._read >= self._options.max_rows:
            limit = self._options.max_rows
            raise DecodeError(f"got more than {limit} rows", path=path, offset=pos, limit=limit)
        header = frame[pos : pos + size]
        if header != self._header:
            self.types = read_row_types(header, self._count, pos, path)
            self._codes = list(map(int, self.types))  # plain integers: an enum's members compare slowly
            self._header = header
        row = self._cells(pos + size, path)
        self._read += 1
        return row

    def _cells(self, pos: int, path: str) -> Row:
        frame, end, options = self._frame, self._end, self._options
        max_text, max_blob, errors = options.max_text_value_size, options.max_blob_size, options.text_errors
        values: list[WireValue] = []
        try:
            for code in self._codes:
                value, pos = read_value(code, frame, pos, end, max_text, max_blob, errors)
                values.append(value)
        except DecodeError as error:
            error.path = f"{path}[{len(values)}]"
            raise
        finally:
            self.pos = pos
        return tuple(values)


def read_rows_plainly(
    frame: bytes, pos: int, end: int, count: int, options: Options
) -> tuple[RowTypes, list[Row], bool]:
    """Decode rows cell by cell up to the marker that must end the frame."""
    rows: list[Row] = []
    runs: list[tuple[int, Types]] = []
    plain = PlainRows(frame, pos, end, count, options)
    while (row := plain.next()) is not None:
        if not runs or runs[-1][1] != plain.types:
            runs.append((len(rows), plain.types))
        rows.append(row)
    return RowTypes(runs, len(rows)), rows, plain.more


def explain_rows(cursor: Cursor) -> None:
    """Note the byte ranges of a ROWS frame's parts, as far as it can be read, and keep none of its values."""
    count = sum(1 for _ in column_names(cursor))
    plain = PlainRows(cursor.data, cursor.pos, cursor.end, count, cursor.options)
    number = 0
    try:
        while plain.next() is not None:
            cursor.pos = plain.pos
            cursor.note("rows", plain.start, "row", number)
            number += 1
    finally:
        if plain.pos > plain.start:  # the marker, or a row that is cut short
            cursor.pos = plain.pos
            is_marker = cursor.data[plain.start : plain.start + 8] in (DONE, PART)
            name, kind = ("marker", "marker") if is_marker else ("rows", "row")
            cursor.note(name, plain.start, kind, None if is_marker else number)


# ---- the fast path


class Cold:
    """A signature that is not compiled: header, types, rows seen, and whether a reader for it may be made."""

    __slots__ = ("codes", "header", "may_compile", "rows", "types")

    def __init__(self, header: bytes, types: Types) -> None:
        self.header = header
        self.types = types
        self.codes = bytes(types)  # plain integers: an enum's members compare slowly
        self.rows = 0
        self.may_compile = len(types) <= MAX_COMPILED_COLUMNS  # compiling very wide rows takes long


class Compiled:
    """Readers that were made, and for each signature whether its texts keep their lengths.

    A full set is not cleared, since others are reading: `Tiers` puts an empty one in its place.
    """

    __slots__ = ("readers", "uniform")

    def __init__(self) -> None:
        self.readers: dict[int, dict[Key, RowReader]] = {}  # by column count, by header
        self.uniform: dict[
            tuple[int, Key], Uniform | None
        ] = {}  # of every reader; None without texts and blobs

    def __len__(self) -> int:
        return len(self.uniform)


class Tiers:
    """Which signatures are cold, which are compiled, and how many more may be; all threads share one.

    Rows of more than `NARROW` columns have caches of their own with fewer entries, so that memory is bounded
    however wide they are.
    """

    __slots__ = ("cold", "compiled", "credit", "heat")

    def __init__(self, heat: int = HEAT) -> None:
        self.heat = heat
        self.compiled = [Compiled(), Compiled()]
        self.cold: tuple[Cache[tuple[int, Key], Cold], ...] = (
            Cache(MAX_COLD, _cold_size(NARROW)),
            Cache(MAX_WIDE_COLD, _cold_size(MAX_COMPILED_COLUMNS)),
        )
        self.credit = Credit(MAX_CREDIT, ROWS_PER_CREDIT)

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
        entry.may_compile = entry.header == row_header(entry.codes)
        if not entry.may_compile or not self.credit.spend():
            return False
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


tiers = Tiers()
_NO_READERS: Mapping[Key, RowReader] = {}


def _has_large_rows(frame: bytes, pos: int, end: int, count: int) -> bool:
    """Tell whether copying the frame would cost more than reading it without compiled readers."""
    if end < LARGE_FRAME:
        return False
    header = frame[pos : pos + (count + 15) // 16 * 8]
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
    size = (count + 15) // 16 * 8
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
    if pos != last or not (word == DONE or word == PART):
        raise DecodeError("no marker")
    tier.credit.earn(len(rows) - cold)
    if uniform is not None and len(rows) >= ENOUGH:
        uniform.learn(rows, runs, plan, planned)
    return RowTypes(runs, len(rows)), rows, word == PART


def _read_cold(
    frame: bytes,
    pos: int,
    header: bytes,
    codes: bytes,
    most: int,
    append: Callable[[Row], None],
    index: Callable[[int, int], int],
) -> tuple[bytes, int]:
    """Read rows with this header, about `most` of them; as in a compiled reader, bounds are not tested."""
    size = len(header)
    while True:
        row: list[WireValue] = []
        add = row.append
        for code in codes:
            if code == 1 or code == 9:
                add(_integer(frame, pos)[0])
                pos += 8
            elif code == 3 or code == 10:
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
            else:
                stop = pos + 8 + _unsigned(frame, pos)[0]
                add(frame[pos + 8 : stop])
                pos = (stop + 7) & -8
        append(tuple(row))
        following = frame[pos : pos + size]
        most -= 1
        if following != header or most <= 0:
            return following, pos
        pos += size


_integer, _unsigned, _float = I64.unpack_from, U64.unpack_from, DOUBLE.unpack_from


def row_less_part_is_final(names: list[str]) -> bool:
    """Tell whether names fill a page: no server then gets to a row (dqlite src/query.c: query__batch)."""
    return 16 + sum((len(name.encode("utf-8", "surrogatepass")) + 8) & -8 for name in names) >= 4096
