from .constants import ValueType
from .rows.row_types import Row, Types

VERSION: int

def set_kinds(types_by_code: tuple[ValueType | None, ...], encoded_as: bytes, /) -> None: ...
def read_rows(
    frame: bytes, pos: int, end: int, count: int, /
) -> tuple[list[tuple[int, Types]], list[Row], bool] | None: ...
