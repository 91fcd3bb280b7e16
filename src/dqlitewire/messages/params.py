"""What the four requests with parameters have in common: EXEC, QUERY, EXEC_SQL and QUERY_SQL.

The parameter tuple is the last field of a body, and may be missing:

    body  ... | count, types, zeros to the next word | values |     schema 0: the count is one byte
          ... | count, types, zeros to the next word | values |     schema 1: the count is four bytes
          ... | 0 0 0 0 0 0 0 0 |                                   no parameters, sent as an empty header
          ... |                                                     no parameters, as clients mostly send it

So beside the parameters a message keeps its form: the schema, and whether no parameters are sent as an empty
header. Both are arguments by keyword and attributes; they are stored together in `_form`, schema | empty
header << 1, since a slot costs time whenever a message is made.
"""

from __future__ import annotations

from ..checks import checked_integer, checked_items
from ..declare.contract import DERIVED, HEADER, Field
from ..declare.fields import field
from ..declare.variable import move_to
from .base import Answer, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..declare.cursor import Cursor

__all__ = ["Params", "ParamsRequest"]


class Params(Field):
    """The parameters, whose types follow from the values."""

    kind: str = "params"
    needed_name: str = "params"
    smallest: int = 0
    largest: int | None = None
    is_packed = False
    uses: tuple[Any, ...] = (type, list, tuple, len, checked_items)
    cap: str | None = "max_param_count"

    def encoder_names(self) -> dict[str, object]:
        from ..rows.params import write_params  # not before the first request with parameters

        return self.names() | {"$write_params": write_params}

    def decoder_names(self) -> dict[str, object]:
        from ..rows.params import read_params

        return self.names() | {"$read_params": read_params}

    def check(self, path: str) -> list[str]:
        return [
            "if $type(params) is $list or $type(params) is $tuple:",
            "    params = [*params]",
            "else:",
            f"    params = $checked_items(params, {path!r})",
        ]

    @property
    def words(self) -> str:
        return "($len($value_params) >> 3)"

    def write(self, path: str) -> list[str]:
        written = "$write_params(self, self._form, $options)"
        return [f"$value_params = {written} if self.params or self._form > 1 else b''"]

    def read(self, path: str, position: str, schema: int) -> list[str]:
        at = [f"$pos = {position}"] if position.isdigit() else move_to(position)
        return [
            *at,
            "$empty = False",
            "if $pos >= $end:",
            "    params = []",
            "else:",
            f"    params, $size = $read_params($frame, $pos, $end, {schema}, $options, {path!r})",
            "    $pos += $size",
            "    $empty = not params",
        ]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> list[Any]:
        start = cursor.pos
        values["empty_header"] = False
        if start == cursor.end:
            return []
        from ..rows.params import read_params

        path = f"{cursor.path}.{self.name}"
        found, size = read_params(cursor.data, start, cursor.end, cursor.schema, cursor.options, path)
        cursor.pos += size
        cursor.note(self.name, start, "params")
        values["empty_header"] = not found
        return found

    def strategy(self, of: Any) -> Any:
        return of.params()


class ParamsSchema(Field):
    """The header's schema byte: 0 for at most 255 parameters, else 1, unless given."""

    kind: str = "params_schema"
    place: str = DERIVED
    needed_name: str = "schema"
    is_stored = False
    uses: tuple[Any, ...] = (len, checked_integer)
    compared = False

    def check(self, path: str) -> list[str]:
        return [
            "if schema is None:",
            "    schema = 1 if $len(params) > 255 else 0",
            "else:",
            f"    schema = $checked_integer(schema, 0, 1, {path!r})",
        ]

    def attribute(self) -> object:
        return property(lambda message: message._form & 1)

    def strategy(self, of: Any) -> Any:
        return of.st.sampled_from([None, 0, 1])


class EmptyHeader(Field):
    """Whether a request without parameters carries an empty parameter tuple."""

    kind: str = "empty_header"
    place: str = DERIVED
    needed_name: str = "empty_header"
    is_stored = False
    uses: tuple[Any, ...] = (bool,)
    compared = False

    def check(self, path: str) -> list[str]:
        return ["_form = schema if empty_header is False else schema | $bool(empty_header) << 1"]

    def attribute(self) -> object:
        return property(lambda message: message._form > 1)

    def strategy(self, of: Any) -> Any:
        return of.st.booleans()


class Form(Field):
    """Where schema and empty header are kept."""

    kind: str = "form"
    place: str = HEADER
    needed_name: str = "_form"
    is_attribute = False
    compared = False

    @property
    def schema(self) -> str:
        return "(self._form & 1)"

    def stored(self, schema: int) -> str:
        return f"{schema} | $empty << 1"

    def plain(self, cursor: Cursor, values: dict[str, object]) -> int:
        return cursor.schema | bool(values["empty_header"]) << 1


class ParamsRequest(Request[Answer], shared=True):
    """A request with parameters, which it declares as its last field."""

    schema: int = field(ParamsSchema, default=None, kw_only=True)
    empty_header: bool = field(EmptyHeader, default=False, kw_only=True)
    _form: int = field(Form, init=False)
