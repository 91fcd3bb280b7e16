"""Generated readers of rows with one signature: each reads rows while the next one has the same header.

A reader is written as source when its signature is hot, through `generated.define`, so that a traceback or
`pdb` shows its lines; `python -m dqlitewire.declare --row INTEGER,TEXT,FLOAT` prints them. There are two
shapes of reader.

Mixed rows. Columns of one word between two texts are one `struct` call. What stands behind the last text or
blob of a row is unpacked together with the header of the next row and the words that lead that row, so that a
row with one text costs two calls and one comparison:

    | header | INTEGER | TEXT ...... | FLOAT | header | INTEGER | TEXT ......  | FLOAT | header or marker
             ^ before the loop       ^ one `unpack_from`: this row's FLOAT, the next row's header and INTEGER
                       ^ `index` of the NUL, one slice, one decode

For INTEGER, TEXT, FLOAT the loop is

    while True:
        end = index(0, pos)
        v1 = frame[pos:end].decode()
        pos = end | 7
        v2, header, n0, = unpack3(frame, pos)      # "<1xdQq": 1x, since `end | 7` is the text's last byte
        append((v0, v1, v2,))
        if header != 561: return header, pos + 9   # another signature, or the marker: the caller looks
        pos += 25
        v0 = n0

At the last row the look-ahead reads the marker as a header, which it equals for no signature, and PADDING as
the words behind it (see `tiers`).

Rows of words alone stand at equal distances. A strided slice of the frame is the first byte of each header,
`lstrip` counts how many of them are equal, the same for each byte of the header that holds types, and one
`iter_unpack` cuts up all rows of the run.

No bounds are tested: see `tiers` for why that is safe.
"""

from __future__ import annotations

from struct import Struct

from ..generated import define
from ..scalars import U64
from ..values import FIXED, encoded_as, names_of
from .row_types import key_of, row_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .equal_lengths import Plan

    # (frame, position behind a first header, rows so far, what adds a run, what adds a row, its index)
    # -> (key of another header, its position)
    RowReader = Callable[..., tuple[int | bytes, int]]

__all__ = ["Uniform", "compile_row_reader"]

MAX_LOOK_AHEAD = 6  # leading columns of the next row that are read with its header
FIRST_RUN = 64  # rows of a run that are looked for at first
MAX_MISSES = 8  # guesses at the lengths of texts that did not hold, until there are no more
MAX_LENGTH = 255  # of a text or blob; copying longer ones once more costs what the rest gains


def compile_row_reader(types: Sequence[int]) -> RowReader:
    """Generate the reader of rows with these types."""
    codes = encoded_as(types)
    names: dict[str, Any] = {"TYPES": types, "word": U64.unpack_from}
    write = _rows_of_words if all(code in FIXED for code in codes) else _mixed_rows
    lines = ["def read(frame, pos, rows, begin, append, index):", "    begin((len(rows), TYPES))"]
    lines += [f"    {line}" for line in write(codes, row_header(types), names)]
    return define(f"rows.read {names_of(types)}", "read", lines, names)


def _row_of(codes: bytes) -> str:
    cells = [_CELLS.get(code, "v{}").format(i) for i, code in enumerate(codes)]
    return f"({', '.join(cells)},)"


_CELLS = {5: "None", 11: "v{} != 0"}


def _rows_of_words(codes: bytes, header: bytes, names: dict[str, Any]) -> list[str]:
    width = len(header)
    stride = width + 8 * len(codes)
    names["iter_unpack"] = Struct(f"<{width}x" + "".join(FIXED[code] for code in codes)).iter_unpack
    unpacked = "iter_unpack(memoryview(frame)[pos:stop])"
    if 5 in codes or 11 in codes:
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

    def __init__(self, codes: bytes, names: dict[str, Any]) -> None:
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


def _mixed_rows(codes: bytes, header: bytes, names: dict[str, Any]) -> list[str]:
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
        elif codes[i] == 3:
            loop.unpack(words)
            loop.text(i)
        else:
            raise KeyError(codes[i])
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


# ---- texts and blobs that keep their lengths


class Uniform:
    """Whether, and how, the rows of one signature are read by columns.

    Attributes:
        enough: rows of a frame that allow a guess.
        plan: how they are read, None without a guess.
    """

    enough = 16

    def __init__(self, header: bytes, types: Any) -> None:
        self._header = header
        self._codes = encoded_as(types)
        self.types = types
        self._misses = 0
        self.plan: Plan | None = None

    def learn(
        self, rows: list[tuple[Any, ...]], runs: list[tuple[int, Any]], plan: Plan | None, planned: int
    ) -> None:
        """Look back at a frame's rows, at least `enough`, and at its runs of types.

        Args:
            rows: all of the frame.
            runs: first row and types of each.
            plan: what `self.plan` was when the frame was begun.
            planned: how many rows were read by it.
        """
        if plan is not self.plan:
            return  # another thread was quicker
        if plan is not None:
            if 2 * planned >= len(rows):
                return
            self.plan = None
            self._misses += 1
        if self._misses < MAX_MISSES and runs[-1][1] == self.types and len(rows) - runs[-1][0] >= self.enough:
            lengths = self._lengths(rows[-1])
            if lengths == self._lengths(rows[-2]) == self._lengths(rows[-9]) and max(lengths) <= MAX_LENGTH:
                from .equal_lengths import Plan  # few results are like that

                self.plan = Plan(self._header, self._codes, lengths)

    def _lengths(self, row: tuple[Any, ...]) -> list[int]:
        found: list[int] = []
        for code, value in zip(self._codes, row, strict=True):
            if code not in FIXED:
                found.append(len(value) if code == 4 else len(value.encode()))
        return found
