"""Fields: what a declaration is written with, what each is on the wire, and how it is read plainly."""

from __future__ import annotations

from ..constants import NodeRole
from ..tuples import read_params
from .cursor import Cursor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Literal

MISSING = object()


class Field:
    """One field of a declaration.

    Attributes:
        name: the attribute's name.
        kind: what it is on the wire, such as "u32", "text" or "params"; see the functions below.
        cap: the cap in `Limits` that bounds it, or None.
        since: the first schema that has it.
        default: what the constructor takes it for, MISSING if it must be given.
    """

    __slots__ = ("cap", "compared", "decodes", "default", "high", "keyword", "kind", "low", "name", "since")

    FORMATS: ClassVar[dict[str, tuple[str, int]]] = {
        "u32": ("I", 4),
        "u64": ("Q", 8),
        "role": ("Q", 8),
        "reserved": ("Q", 8),
        "padding": ("4x", 4),
        "ignored": ("8x", 8),
    }

    def __init__(
        self,
        kind: str,
        default: object = MISSING,
        *,
        low: int = 0,
        high: int = 2**64 - 1,
        decodes: tuple[int, int] | None = None,
        cap: str | None = None,
        since: int = 0,
        keyword: bool = False,
        compared: bool = True,
    ) -> None:
        self.name = ""
        self.kind = kind
        self.default = default
        self.low = low
        self.high = high
        # What a reader admits, where that is more than a constructor does.
        self.decodes = decodes or (low, high)
        self.cap = cap
        self.since = since
        self.keyword = keyword
        self.compared = compared

    @property
    def format(self) -> str:
        return self.FORMATS[self.kind][0] if self.kind in self.FORMATS else ""

    @property
    def size(self) -> int:
        return self.FORMATS[self.kind][1]

    @property
    def is_attribute(self) -> bool:
        return self.kind not in ("reserved", "padding", "ignored", "form")

    @property
    def is_stored(self) -> bool:
        return self.kind not in ("reserved", "padding", "ignored") and self.kind not in DERIVED

    def __repr__(self) -> str:
        return f"Field({self.kind!r}, name={self.name!r})"

    def read(self, cursor: Cursor) -> object:
        reader = _READERS.get(self.kind)
        if reader is not None:
            return reader(self, cursor)
        start, value = cursor.pos, cursor.unsigned(self.name, self.size)
        if not self.is_attribute:
            if self.kind == "reserved" and value:
                raise cursor.error(self.name, f"got {value}, only 0 is allowed", start)
            return None
        low, high = self.decodes
        cap = None if self.cap is None else getattr(cursor.options, self.cap)
        if cap is not None and value > cap:
            raise cursor.error(self.name, f"got {value}, at most {cap}", start, cap)
        if not low <= value <= high:
            raise cursor.error(self.name, f"got {value}, allowed {low} to {high}", start)
        return NodeRole(value) if self.kind == "role" else value


def _read_text(field: Field, cursor: Cursor) -> str:
    return cursor.text(field.name, getattr(cursor.options, field.cap or ""))


def _read_params(field: Field, cursor: Cursor) -> list[Any]:
    start = cursor.pos
    if start == cursor.end:
        return []
    values, size = read_params(
        cursor.data, start, cursor.end, cursor.schema, cursor.options, f"{cursor.path}.{field.name}"
    )
    cursor.pos += size
    cursor.note(field.name, start, "params")
    return values


_READERS: dict[str, Callable[[Field, Cursor], object]] = {"text": _read_text, "params": _read_params}


# What a declaration is written with; `Any` lets an annotation say what the attribute is.


def u32() -> Any:
    return Field("u32", high=2**32 - 1)


def u64(
    *,
    default: Any = MISSING,
    low: int = 0,
    high: int = 2**64 - 1,
    decodes: tuple[int, int] | None = None,
    cap: str | None = None,
    since: int = 0,
) -> Any:
    return Field("u64", default, low=low, high=high, decodes=decodes, cap=cap, since=since)


def text(*, default: Any = MISSING, cap: str, low: int = 0) -> Any:
    return Field("text", default, cap=cap, low=low)


def role() -> Any:
    return Field("role", high=len(NodeRole) - 1)


def reserved(*, init: Literal[False] = False) -> Any:
    """A word that is written 0 and must be 0."""
    return Field("reserved")


def padding(*, init: Literal[False] = False) -> Any:
    """Four bytes that are written 0 and ignored."""
    return Field("padding")


def ignored(*, init: Literal[False] = False) -> Any:
    """A word that is written 0 and ignored."""
    return Field("ignored")


def params(*, default: Any = ()) -> Any:
    return Field("params", default, cap="max_param_count")


def schema_byte(*, default: Any = 0) -> Any:
    """The header's schema byte as a constructor argument."""
    return Field("schema", default, high=1)


def params_schema(*, default: Any = None, kw_only: bool = True) -> Any:
    """The header's schema byte: 0 for at most 255 parameters, else 1, unless given."""
    return Field("params_schema", default, keyword=kw_only, compared=False)


def empty_header(*, default: Any = False, kw_only: bool = True) -> Any:
    """Whether a request without parameters carries an empty parameter tuple."""
    return Field("empty_header", default, keyword=kw_only, compared=False)


def form(*, init: Literal[False] = False) -> Any:
    """Where `params_schema` and `empty_header` are kept: schema | empty header << 1."""
    return Field("form", compared=False)


def stmt_schema(*, default: Any = None) -> Any:
    """The header's schema byte: 1 with a tail offset, else 0; given as 1 it stands for the tail offset 0."""
    return Field("stmt_schema", default, compared=False)


# Fields that writers and properties look for under one name.
NAME_OF_KIND = {
    "params": "params",
    "form": "_form",
    "schema": "schema",
    "params_schema": "schema",
    "stmt_schema": "schema",
}

# Arguments that are not stored but read off what is.
DERIVED: dict[str, property] = {
    "params_schema": property(lambda message: message._form & 1),
    "empty_header": property(lambda message: message._form > 1),
    "stmt_schema": property(lambda message: 0 if message.tail_offset is None else 1),
}


def nodes(*, default: Any = ()) -> Any:
    return Field("nodes", default, cap="max_node_count")


def files(*, default: Any = None) -> Any:
    return Field("files", default, cap="max_file_count")


def other(kind: str, *, default: Any = MISSING, kw_only: bool = False, compared: bool = True) -> Any:
    """A field whose message reads and writes it by hand."""
    return Field(kind, default, keyword=kw_only, compared=compared)
