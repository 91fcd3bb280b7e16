"""The rows of a query as a table for people, or as CSV, line by line as they come; none is kept.

**Tables.** The widths of the columns come from the first rows (`SAMPLE`), which are held back for it. A later
value that is wider widens its column from its line on, as long as the line fits the terminal; what then does
not fit is cut, with an ellipsis at its end. What is cut is text and blobs; numbers never are. If not even a
few columns of each fit, each row becomes a record of lines, a column a line:

    id  name      note                    -- 1 --
    --  --------  ------                  id    1
     1  Ada       'NULL'                  name  Ada
     2  小林      NULL                    note  'NULL'

**CSV** as in RFC 4180: CRLF, a header, quotes where they are needed. NULL is an empty field, the empty text
`""`; a blob is x'hex', true and false are these words: what `query` takes as PARAM.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import chain
from typing import Any

from dqlitewire.cli.cells import Cell, cell, padded, shortened, text_cell, wrapped
from dqlitewire.cli.output import joined, painted
from dqlitewire.text import Shown, kind_of
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.views.json_object import plain

SAMPLE = 200  # rows from which widths come
SAMPLE_SIZE = 1 << 20  # characters of these rows, about
LEAST = 8  # columns that a text has at least in a table
GAP = 2
LINES = 20  # lines that a value has at most in a record
_HEADING = 30  # columns of a heading that no value of its column needs

Row = Sequence[Any]


class Form(Enum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


# ---------------------------------------------------------------- tables


class Table:
    """A table that is written as its rows come.

    Args:
        columns: their names.
        width: columns that lines fit into.
        colour: whether the terminal shows colours.

    Attributes:
        count: rows that were written.
        cut: whether a value was not written as a whole.
    """

    def __init__(self, columns: Sequence[str], width: int, colour: bool = False) -> None:
        self.count = 0
        self.cut = False
        self._width, self._colour = width, colour
        self._names = list(columns)
        self._sizes: list[int] = []  # of the columns; none before they are known, and in records
        self._firm: list[int] = []  # what firm cells of each column take

    def lines(self, rows: Iterable[Row]) -> Iterator[str]:
        """Yield the lines.

        Args:
            rows: of the query.
        """
        coming = iter(rows)
        first: list[list[Cell]] = []
        error = None
        try:
            self._hold_back(first, coming)
        except BaseException as raised:  # what has come before is shown
            error = raised
        headings = [text_cell(name, self._width) for name in self._names]
        self._firm = firm_sizes(first, len(headings))
        self._sizes = layout(headings, first, self._firm, self._width)
        cells = chain(first, (self._cells(row) for row in coming) if error is None else ())
        yield from self._table(headings, first, cells) if self._sizes else self._records(headings, cells)
        if error is not None:
            raise error
        yield self._footer()

    def _hold_back(self, first: list[list[Cell]], coming: Iterator[Row]) -> None:
        size = 0
        for row in coming:
            cells = self._cells(row)
            first.append(cells)
            size += sum(len(each.text) for each in cells)
            if len(first) >= SAMPLE or size >= SAMPLE_SIZE:
                return

    def _cells(self, row: Row) -> list[Cell]:
        room = self._width if self._sizes else self._width * LINES
        return [cell(value, room) for value in row]

    def _table(
        self, headings: list[Cell], first: list[list[Cell]], rows: Iterable[list[Cell]]
    ) -> Iterator[str]:
        right = _numeric(first, len(headings))
        shown = [
            shortened(each, size)._replace(number=number)
            for each, size, number in zip(headings, self._sizes, right, strict=True)
        ]
        yield painted(self._joined(map(padded, shown, self._sizes)), "dim", self._colour)
        yield painted((" " * GAP).join("-" * size for size in self._sizes), "dim", self._colour)
        for cells in rows:
            self.count += 1
            if any(each.size > size for each, size in zip(cells, self._sizes, strict=True)):
                self._widen(cells)
                cells = list(map(shortened, cells, self._sizes))
            self.cut = self.cut or any(each.cut for each in cells)
            yield self._joined(map(self._painted, cells, self._sizes))

    def _joined(self, parts: Iterable[str]) -> Shown:
        return Shown((" " * GAP).join(parts).rstrip(" "))  # the text of a cell is printable

    def _painted(self, shown: Cell, size: int) -> str:
        text = padded(shown, size)
        return painted(text, "dim", True) if shown.null and self._colour else text

    def _widen(self, cells: list[Cell]) -> None:
        """Widen columns for a row that comes later; for what is firm, at the cost of columns of text."""
        for at, each in enumerate(cells):
            if each.firm:
                self._firm[at] = max(self._firm[at], each.size)
                self._sizes[at] = max(self._sizes[at], each.size)
        for _ in range(-self._spare):
            slack = [size - max(firm, LEAST) for size, firm in zip(self._sizes, self._firm, strict=True)]
            if max(slack) <= 0:
                return
            self._sizes[slack.index(max(slack))] -= 1
        for at, each in enumerate(cells):
            self._sizes[at] += max(0, min(each.size - self._sizes[at], self._spare))

    @property
    def _spare(self) -> int:
        return self._width - sum(self._sizes) - GAP * (len(self._sizes) - 1)

    def _records(self, headings: list[Cell], rows: Iterable[list[Cell]]) -> Iterator[str]:
        label = min(max((each.size for each in headings), default=0), self._width // 3)
        room = self._width - label - GAP
        names = [padded(shortened(each, label), label) for each in headings]
        for cells in rows:
            self.count += 1
            yield painted(f"-- {self.count} --", "dim", self._colour)
            for name, each in zip(names, cells, strict=True):
                parts = wrapped(each, room)
                self.cut = self.cut or each.cut or len(parts) > LINES
                if len(parts) > LINES:
                    parts[LINES - 1 :] = ["…"]
                for number, part in enumerate(parts):
                    before = " " * label if number else painted(name, "dim", self._colour)
                    shown = painted(part, "dim", self._colour) if each.null else part
                    yield Shown(joined(before, " " * GAP, shown).rstrip(" "))

    def _footer(self) -> Shown:
        cut = ", cut at …: use --json" if self.cut else ""
        return painted(f"({counted(self.count, 'row')}{cut})", "dim", self._colour)


def _numeric(rows: list[list[Cell]], count: int) -> list[bool]:
    """Which columns hold numbers, and NULL, and nothing else."""
    numbers, others = [False] * count, [False] * count
    for cells in rows:
        for at, each in enumerate(cells):
            numbers[at] = numbers[at] or each.number
            others[at] = others[at] or not (each.number or each.null)
    return [number and not other for number, other in zip(numbers, others, strict=True)]


def firm_sizes(rows: list[list[Cell]], count: int) -> list[int]:
    """Return what the firm cells of each column take, 0 where there are none.

    Args:
        rows: the first ones.
        count: of columns.
    """
    return [max((row[at].size for row in rows if row[at].firm), default=0) for at in range(count)]


def layout(headings: list[Cell], rows: list[list[Cell]], firm: list[int], width: int) -> list[int]:
    """Return the widths of columns.

    Args:
        headings: of the columns.
        rows: the first ones.
        firm: what their firm cells take, column by column.
        width: columns that a line fits into.

    Returns:
        A width a column; none if not even a few columns of each fit.
    """
    wanted = [
        max(1, min(each.size, _HEADING), *(row[at].size for row in rows)) for at, each in enumerate(headings)
    ]
    room = width - GAP * (len(wanted) - 1)
    sizes = [min(most, max(least, LEAST)) for most, least in zip(wanted, firm, strict=True)]
    if sum(sizes) > room:
        return []
    _fill(sizes, wanted, room)
    _fill(sizes, [max(size, each.size) for size, each in zip(sizes, headings, strict=True)], room)
    return sizes


def _fill(sizes: list[int], wanted: list[int], room: int) -> None:
    """Widen columns to what is wanted, evenly, as far as there is room."""
    while (spare := room - sum(sizes)) > 0:
        short = [at for at, most in enumerate(wanted) if sizes[at] < most]
        if not short:
            return
        for at in short[:spare]:
            sizes[at] += min(max(1, spare // len(short)), wanted[at] - sizes[at])


# ---------------------------------------------------------------- CSV


def csv_lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Yield the records of a CSV file, each with its CRLF.

    Args:
        columns: the names, which are the header.
        rows: of the query.
    """
    yield _record(columns)
    for row in rows:
        yield _record(row)


def _record(row: Row) -> str:
    line = ",".join(map(_field, row))
    return (line or '""') + "\r\n"  # a line without anything would be no record


def _field(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case bytes():
            return f"x'{value.hex()}'"
        case str():
            text = str(plain(value))
            return f'"{text.replace(QUOTE, QUOTE * 2)}"' if not text or _QUOTED.search(text) else text
        case int() | float():
            return repr(value)
        case _:
            raise TypeError(f"a row has {kind_of(value)}, which is no value")


QUOTE = '"'
_QUOTED = re.compile(r'[",\r\n]')
