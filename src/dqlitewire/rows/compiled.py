"""Generated decoders of rows with one signature: each loops while the next row has the same header.

Columns of one word between two texts are one `struct` call; the trailing ones are read together with the next
header and the columns that lead its row. Rows of nothing else are found by strided slices and cut up by one
`iter_unpack`. No bounds are tested: the frame has `PADDING` behind it, and a row that runs over the end of
the body leaves a position behind the marker's, which the caller sees.
"""

from __future__ import annotations

from struct import Struct

from ..tuples import row_header
from ..types import U64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..constants import ValueType

    # (frame, position behind a first header, rows so far, what adds a run, what adds a row, its index)
    # -> (key of another header, its position)
    RowReader = Callable[..., tuple[int | bytes, int]]

__all__ = ["FIXED", "PADDING", "compile_row_reader", "key_of"]

FIXED = {1: "q", 2: "d", 5: "8x", 9: "q", 11: "Q"}  # codes whose value is one word, for struct
MAX_LOOK_AHEAD = 6  # leading columns of the next row that are read with its header
PADDING = bytes(192)  # behind the frame: the longest compiled header (128) and the look-ahead (48) fit in
FIRST_RUN = 64  # rows of a run that are looked for at first


def key_of(header: bytes) -> int | bytes:
    """Return what stands for a header where headers are compared: a number, if it is one word."""
    return int.from_bytes(header, "little") if len(header) == 8 else header


def compile_row_reader(types: Sequence[ValueType]) -> RowReader:
    """Generate the decoder of rows with these types."""
    codes = [int(code) for code in types]
    names: dict[str, Any] = {"TYPES": types, "word": U64.unpack_from}
    write = _rows_of_words if all(code in FIXED for code in codes) else _mixed_rows
    lines = ["def read(frame, pos, rows, begin, append, index):", "    begin((len(rows), TYPES))"]
    lines += [f"    {line}" for line in write(codes, row_header(codes), names)]
    exec("\n".join(lines), names)  # compile() would make CPython set up all of `_ast` first, 2 ms
    made: RowReader = names["read"]
    return made


def _row_of(codes: list[int]) -> str:
    cells = ["None" if c == 5 else f"v{i} != 0" if c == 11 else f"v{i}" for i, c in enumerate(codes)]
    return f"({', '.join(cells)},)"


def _rows_of_words(codes: list[int], header: bytes, names: dict[str, Any]) -> list[str]:
    width = len(header)
    stride = width + 8 * len(codes)
    names["iter_unpack"] = Struct(f"<{width}x" + "".join(FIXED[code] for code in codes)).iter_unpack
    unpacked = "iter_unpack(memoryview(frame)[pos:stop])"
    if not all(code in (1, 2, 9) for code in codes):
        found = [f"v{i}" for i, code in enumerate(codes) if code != 5]
        unpacked = f"[{_row_of(codes)} for {', '.join(found) + ',' if found else '_'} in {unpacked}]"
    lines = [f"pos -= {width}", f"size = {FIRST_RUN}", "while True:", "    run = size"]
    for i in range((len(codes) + 1) // 2):  # the bytes of the header that mean something
        names[f"B{i}"] = header[i : i + 1]
        lines += [
            f"    column = frame[pos + {i} : pos + run * {stride} : {stride}]",
            f"    run = len(column) - len(column.lstrip(B{i}))",
        ]
    key = "word(frame, pos)[0]" if width == 8 else f"frame[pos : pos + {width}]"
    return [
        *lines,
        f"    stop = pos + run * {stride}",
        f"    rows += {unpacked}",
        "    pos = stop",
        f"    if run < size: return {key}, pos",
        "    size *= 8",
    ]


class _Loop:
    """The lines of a loop over mixed rows; the next column stands at `pos` plus a number known here."""

    def __init__(self, codes: list[int], names: dict[str, Any]) -> None:
        self.codes = codes
        self.names = names
        self.lines: list[str] = []
        self.ahead = 0

    def unpack(self, columns: Sequence[int], more: str = "", targets: Sequence[str] = ()) -> None:
        """Unpack neighbouring columns, and more behind them."""
        layout = "".join(FIXED[self.codes[i]] for i in columns) + more
        found = [*(f"v{i}" for i in columns if self.codes[i] != 5), *targets]
        if found:
            name = f"unpack{len(self.names)}"
            self.names[name] = Struct(f"<{self.ahead}x{layout}").unpack_from
            self.lines.append(f"{', '.join(found)}, = {name}(frame, pos)")
        self.ahead += 8 * len(columns)

    def arrive(self) -> None:
        if self.ahead:
            self.lines.append(f"pos += {self.ahead}")
        self.ahead = 0

    def text(self, column: int) -> None:
        self.arrive()
        self.lines += ["end = index(0, pos)", f"v{column} = frame[pos:end].decode()", "pos = end | 7"]
        self.ahead = 1

    def blob(self, column: int) -> None:
        self.ahead += 8  # its length was unpacked with the columns before it
        self.arrive()
        self.lines += [f"end = pos + size{column}", f"v{column} = frame[pos:end]", "pos = (end + 7) & -8"]


def _mixed_rows(codes: list[int], header: bytes, names: dict[str, Any]) -> list[str]:
    width = len(header)
    variable = [i for i, code in enumerate(codes) if code not in FIXED]
    first, last = variable[0], variable[-1]
    lead = range(first)
    looks_ahead = first <= MAX_LOOK_AHEAD and codes[first] != 4
    start, loop = _Loop(codes, names), _Loop(codes, names)
    if looks_ahead:
        start.unpack(lead)
        start.arrive()
    begin = first if looks_ahead else 0
    for i in variable:
        words = range(begin, i)
        if codes[i] == 4:
            loop.unpack(words, "Q", [f"size{i}"])
            loop.blob(i)
        else:
            loop.unpack(words)
            loop.text(i)
        begin = i + 1
    # The rest of this row, the next header, and what leads the next row.
    rest = range(last + 1, len(codes))
    next_lead = lead if looks_ahead else range(0)
    ahead = [f"n{i}" for i in next_lead if codes[i] != 5]
    layout = ("Q" if width == 8 else f"{width}s") + "".join(FIXED[codes[i]] for i in next_lead)
    loop.unpack(rest, layout, ["header", *ahead])
    loop.lines += [
        f"append({_row_of(codes)})",
        f"if header != {key_of(header)!r}: return header, pos + {loop.ahead}",
        f"pos += {loop.ahead + width + 8 * len(next_lead)}",
        *(f"v{name[1:]} = {name}" for name in ahead),
    ]
    return [*start.lines, "while True:", *(f"    {line}" for line in loop.lines)]
