"""Divide a result into row batches, frames of about a page, as dqlite sends it.

dqlite 1.18.6 src/query.c: query__batch ends a frame before the next row when header and body have reached the
page. If the column names alone fill a page it sends frames without rows for ever; here each frame but the
last has at least one row.
"""

from __future__ import annotations

from ..checks import checked_items, checked_iterable, checked_number, checked_text
from ..constants import ValueType
from ..exceptions import EncodeError
from ..header import PAGE_SIZE, row_header_size
from ..messages import RowsResponse
from ..rows.read import head_size
from ..scalars import text_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

__all__ = ["PAGE_SIZE", "batch_rows"]


def batch_rows(
    column_names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    page_size: int = PAGE_SIZE,
    *,
    typed: bool = False,
) -> Iterator[RowsResponse]:
    """Yield a result as ROWS frames, the last one marked DONE.

    Args:
        column_names: repeated in every frame.
        rows: sequences of values; with `typed`, pairs of types and values.
        page_size: bytes of header and body after which a frame ends.
        typed: whether the rows bring their types, as UNIXTIME and ISO8601 need.

    Returns:
        An iterator of frames; a result without rows is one frame.

    Raises:
        ValueError: `page_size` is below 1.
        TypeError: it is no integer.
    """
    return _batches(column_names, rows, checked_number("page_size", page_size, 1), typed)


def _batches(
    column_names: Sequence[str], rows: Iterable[Sequence[Any]], page_size: int, typed: bool
) -> Iterator[RowsResponse]:
    names = [checked_text(name, "column_names") for name in checked_items(column_names, "column_names")]
    empty = head_size(names)
    row_header = row_header_size(len(names))
    size = empty
    types: list[Sequence[ValueType]] = []
    batch: list[Sequence[Any]] = []
    for row in checked_iterable(rows, "rows"):
        if batch and size >= page_size:
            yield RowsResponse(names, [], types, batch, True)
            size, types, batch = empty, [], []
        if typed:
            kinds, row = _pair(row)
            types.append(kinds)
        values = checked_items(row, "row")
        batch.append(values)
        size += row_header + sum(map(_cell_size, values))
    if batch and size >= page_size:  # the server looks at the page before it finds that there is no more row
        yield RowsResponse(names, [], types, batch, True)
        types, batch = [], []
    yield RowsResponse(names, [], types, batch, False)


def _pair(row: Any) -> list[Any]:
    pair = checked_items(row, "row")
    if len(pair) != 2:
        raise EncodeError(f"got {len(pair)} items, types and values are needed", path="row")
    return pair


def _cell_size(value: object) -> int:
    if isinstance(value, str):
        return text_size(value)
    if value is None or isinstance(value, (int, float)):
        return 8
    size: int = memoryview(value).nbytes  # type: ignore[arg-type]
    return 8 + (size + 7 & -8)
