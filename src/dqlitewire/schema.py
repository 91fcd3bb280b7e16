"""Declare a message once; everything that handles it is derived from the declaration.

    class ResultResponse(Response, code=ResponseType.RESULT):
        last_insert_id: int = u64()
        rows_affected: int = u64(cap="max_rows_affected")

An annotation is for people and type checkers; the field is the value (`u64()`), which the metaclass takes out of the class before
it makes the slots. From the fields come the constructor with its checks, equality, hash, repr, pickling, the encoder, and two
decoders: a generated one for speed (`generate.py`), which gives up at the first doubt, and the plain one here, which then reads
the same bytes through a `Cursor` and says what is wrong.
"""

from __future__ import annotations

from . import generate
from .constants import NodeRole
from .cursor import Cursor
from .exceptions import DecodeError, EncodeError
from .limits import DEFAULT_OPTIONS, Options
from .text import abbreviate
from .tuples import read_params

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import IntEnum
    from typing import Any, ClassVar, NoReturn, TypeVar, dataclass_transform

    Reader = Callable[[bytes, int, Options], Any]
    T = TypeVar("T")
else:

    def dataclass_transform(**_: object) -> Callable[[T], T]:
        return lambda decorated: decorated


MISSING = object()


class Field:
    """One field of a declaration.

    Attributes:
        name: the attribute's name.
        kind: "u32", "u64", "text", "role", "reserved", "schema", "params", "nodes", "files", "rows".
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
        self.decodes = decodes or (
            low,
            high,
        )  # what a reader admits, where that is more than a constructor does
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
        return self.kind not in ("reserved", "padding", "ignored")

    @property
    def max(self) -> str | None:
        return self.cap

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
        if self.cap is not None:
            high = min(high, getattr(cursor.options, self.cap))
        if not low <= value <= high:
            raise cursor.error(self.name, f"got {value}, allowed {low} to {high}", start, limit=high)
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
    cursor.note(field.name, start, values)
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


def text(*, default: Any = MISSING, cap: str) -> Any:
    return Field("text", default, cap=cap)


def role() -> Any:
    return Field("role", high=len(NodeRole) - 1)


def reserved() -> Any:
    """A word that is written 0 and must be 0."""
    return Field("reserved")


def padding() -> Any:
    """Four bytes that are written 0 and ignored."""
    return Field("padding")


def ignored() -> Any:
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


def nodes(*, default: Any = ()) -> Any:
    return Field("nodes", default, cap="max_node_count")


def files(*, default: Any = None) -> Any:
    return Field("files", default, cap="max_file_count")


def other(kind: str, *, default: Any = MISSING, kw_only: bool = False, compared: bool = True) -> Any:
    """A field whose message reads and writes it by hand."""
    return Field(kind, default, keyword=kw_only, compared=compared)


REGISTRY: dict[tuple[bool, int], type[Any]] = {}  # (is a request, type code) -> message class


@dataclass_transform(
    eq_default=True,
    frozen_default=True,
    field_specifiers=(
        u32,
        u64,
        text,
        role,
        reserved,
        padding,
        ignored,
        params,
        schema_byte,
        params_schema,
        empty_header,
        nodes,
        files,
        other,
    ),
)
class Declared(type):
    """Metaclass of value objects that are declared by their fields."""

    FIELDS: tuple[Field, ...]

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **declaration: Any
    ) -> Declared:
        own = {key: value for key, value in namespace.items() if isinstance(value, Field)}
        declared = bool(own) or "code" in declaration
        if any(getattr(base, "FIELDS", None) is not None for base in bases):
            raise TypeError(f"{name} cannot be derived from a declared message")
        if declared:
            for key, field in own.items():
                field.name = key
                del namespace[key]
            fields = tuple(own.values())
            arguments = [f for f in fields if f.is_attribute]
            namespace["FIELDS"] = fields
            namespace["__slots__"] = tuple(f.name for f in arguments)
            namespace.setdefault("__match_args__", tuple(f.name for f in arguments if not f.keyword))
            namespace["_set" if "__init__" in namespace else "__init__"] = (
                generate.lazy_set if "__init__" in namespace else generate.lazy_init
            )
            if "code" in declaration:
                namespace.setdefault("_frame", generate.lazy_frame)
        cls = super().__new__(mcs, name, bases, namespace)
        if "code" in declaration:
            cls._register(**declaration)
        cls._mark_abstract()
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> None:
        super().__init__(name, bases, namespace)

    def _register(
        cls,
        code: IntEnum,
        schemas: tuple[int, ...] = (0,),
        answers: tuple[IntEnum, ...] = (),
        fast_if: str = "True",
    ) -> None:
        cls.MSG_TYPE = code
        cls.SCHEMAS = schemas
        cls.ANSWERS = answers
        cls._fast_if = fast_if
        cls._readers: dict[int, Reader] = {}
        REGISTRY[cls.IS_REQUEST, code] = cls

    def _mark_abstract(cls) -> None:
        # What abc.ABCMeta does, without its slower isinstance and class creation.
        names = {n for base in cls.__mro__ for n in base.__dict__.get("_abstract", ())}
        cls.__abstractmethods__ = frozenset(
            n for n in names if getattr(getattr(cls, n, None), "__isabstractmethod__", False)
        )

    if TYPE_CHECKING:
        MSG_TYPE: Any
        SCHEMAS: Any
        ANSWERS: Any
        IS_REQUEST: bool
        _fast_if: str
        __abstractmethods__: frozenset[str]

    @property
    def __signature__(cls) -> None:
        generate.ensure_init(cls)  # so that `inspect` sees the real constructor


class Value(metaclass=Declared):
    """An immutable object that is equal, hashed, shown, copied and pickled by its fields."""

    __slots__ = ()
    if TYPE_CHECKING:
        FIELDS: ClassVar[tuple[Field, ...]]

        def _set(self, *values: Any) -> None: ...

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted")

    def _compared(self) -> tuple[object, ...]:
        return tuple(getattr(self, f.name) for f in self.FIELDS if f.is_attribute and f.compared)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._compared() == other._compared()  # type: ignore[attr-defined, no-any-return]

    def __hash__(self) -> int:
        return hash((type(self), self._compared()))

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), *(getattr(self, name) for name in type(self).__slots__))

    def _described(self, brief: bool) -> str:
        shown = ", ".join(
            f"{f.name}={abbreviate(value) if brief else repr(value)}"
            for f in self.FIELDS
            if f.is_attribute and f.compared
            for value in (getattr(self, f.name),)
        )
        return f"{type(self).__name__}({shown})"

    def __repr__(self) -> str:
        brief = self._described(brief=True)
        return self._described(brief=False) if len(brief) < 60 and "..." not in brief else brief

    def __str__(self) -> str:
        return self._described(brief=True)


def _restore(cls: type[Value], *values: object) -> Value:
    return fill(cls, values)


def fill(cls: type[T], values: tuple[object, ...]) -> T:
    """Make an object without its constructor: what a decoder read is not checked again."""
    message = object.__new__(cls)
    for name, value in zip(cls.__slots__, values, strict=True):  # type: ignore[attr-defined]
        object.__setattr__(message, name, value)
    return message


def reader_of(cls: Declared, schema: int) -> Reader:
    """Return the decoder of a message in one schema, generated at its first use."""
    readers: dict[int, Reader] = cls._readers  # type: ignore[attr-defined]
    if schema not in readers:
        readers[schema] = generate.reader(cls, schema)
    return readers[schema]


def read_plainly(cls: Any, schema: int, frame: bytes, end: int, options: Options) -> Any:
    """Decode field by field: the oracle of the generated decoder, and where its doubts are settled."""
    cursor = Cursor(frame, 8, end, options, cls.__name__, schema)
    message = cls._read(cursor)
    cursor.finish()
    return message


def frame_around(data: bytes | bytearray | memoryview) -> bytes:
    """Put a blank header before a body, for readers that take whole frames."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"got {type(data).__name__}, bytes are needed")
    return bytes(8) + data


def unknown_schema(cls: Any, schema: object) -> DecodeError:
    allowed = " and ".join(map(str, cls.SCHEMAS))
    return DecodeError(f"schema {schema}, allowed {allowed}", path=cls.__name__, offset=5)


__all__ = ["DEFAULT_OPTIONS", "EncodeError", "Field", "Value"]
