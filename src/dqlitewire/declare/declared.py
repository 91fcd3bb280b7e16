"""Declare a message once; everything that handles it is derived from the declaration.

    class ResultResponse(Response, code=ResponseType.RESULT):
        last_insert_id: int = u64()
        rows_affected: int = u64(cap="max_rows_affected")

An annotation is for people and type checkers; the field is the value (`u64()`), which the metaclass takes out
of the class before it makes the slots. From the fields come the constructor with its checks, equality, hash,
repr, pickling, the encoder, and two decoders: a generated one for speed, which gives up at the first doubt,
and the plain one, which then reads the same bytes through a `Cursor` and says what is wrong.

Code is generated at the first use of what it does, and the modules that write it are imported then: a class
begins with `_first_init` and `_first_frame`, which put the generated functions in their own place. Several
threads may come there at once; each makes the same functions, and the last one's stay.

A class declared with `shared=True` is no message. Its fields stand behind those of each message derived from
it, and are arguments by keyword only.
"""

from __future__ import annotations

from keyword import iskeyword

from ..checks import choice_of, whole_bytes
from ..exceptions import DecodeError
from ..text import abbreviate, shown
from .contract import Field
from .fields import bits, by_hand, field, ignored, padding, reserved, role, text, u32, u64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import IntEnum
    from typing import Any, ClassVar, NoReturn, TypeVar, dataclass_transform

    from ..limits import Options
    from .cursor import Cursor
    from .decoder import Reader as Reader

    T = TypeVar("T")
else:

    def dataclass_transform(**_: object) -> Callable[[T], T]:
        return lambda decorated: decorated


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
        bits,
        by_hand,
        field,
    ),
)
class Declared(type):
    """Metaclass of value objects that are declared by their fields, messages with the type code besides."""

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        shared: bool = False,
        **declaration: Any,
    ) -> Declared:
        for base in bases:
            if "FIELDS" in base.__dict__:
                raise TypeError(f"{name} cannot be derived from a declared message")
        fields = _taken_fields(namespace, bases)
        if shared:
            namespace["__slots__"], namespace["_shared"] = (), tuple(fields)
        elif fields or declaration:
            for base in bases:
                shared_fields: tuple[Field, ...] = getattr(base, "_shared")  # noqa: B009  (for type checkers)
                if shared_fields:
                    fields += shared_fields
                    if len({one.name for one in fields}) < len(fields):
                        raise TypeError(f"{name} declares a field that its base declares")
            _declare_fields(namespace, fields)
        if declaration:
            _declare_message(namespace, **declaration)
        # What abc.ABCMeta does, without its slower isinstance and class creation. Attributes of a class are
        # looked up slowly the first time, so a class is asked for none if its bases have no abstract method.
        abstract = [*namespace.get("_abstract", ())]
        for base in bases:
            abstract += getattr(base, "__abstractmethods__", ())
        namespace["__abstractmethods__"] = frozenset()
        cls = super().__new__(mcs, name, bases, namespace)
        if abstract:
            cls.__abstractmethods__ = frozenset(
                n for n in abstract if getattr(getattr(cls, n), "__isabstractmethod__", False)
            )
        if declaration:
            REGISTRY[cls.IS_REQUEST, declaration["code"]] = cls
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> None:
        pass  # `type` would refuse the keywords

    if TYPE_CHECKING:
        IS_REQUEST: bool
        __abstractmethods__: frozenset[str]

    @property
    def __signature__(cls) -> None:
        ensure_init(cls)  # so that `inspect` sees the real constructor


# What a declaration puts into the class besides its fields.
_OF_MESSAGES = frozenset({"ANSWERS", "FIELDS", "MSG_TYPE", "SCHEMAS", "_readers"})


def _taken_fields(namespace: dict[str, Any], bases: tuple[type, ...]) -> list[Field]:
    """Take the fields out of the namespace of a new class, and set their names."""
    fields: list[Field] = []
    for name, value in namespace.items():
        if isinstance(value, Field):
            value.name = name
            _check_name(value, bases)
            fields.append(value)
    for one in fields:
        del namespace[one.name]
    return fields


def _check_name(field: Field, bases: tuple[type, ...]) -> None:
    """Refuse a name that code cannot have, or under which a method would be lost."""
    name = field.name
    taken = name in _OF_MESSAGES or iskeyword(name) or name.startswith("__")
    for base in bases:
        taken = taken or hasattr(base, name)
    if taken or name != (field.needed_name or name):
        raise TypeError(f"a {field.kind} field cannot be named {name}")


def _declare_fields(namespace: dict[str, Any], fields: list[Field]) -> None:
    """Put into the namespace of a new class what its fields stand for."""
    for one in fields:
        derived = one.attribute()
        if derived is not None:
            namespace[one.name] = derived
    arguments = [one for one in fields if one.is_attribute]
    namespace["FIELDS"] = tuple(fields)
    namespace["__slots__"] = tuple([one.name for one in fields if one.is_stored])
    namespace["__match_args__"] = tuple([one.name for one in arguments if not one.keyword])
    if arguments:  # else `object.__init__`, which is faster
        namespace.setdefault("__init__", _first_init)


def _declare_message(
    namespace: dict[str, Any],
    code: IntEnum,
    schemas: tuple[int, ...] = (0,),
    answers: tuple[IntEnum, ...] = (),
) -> None:
    namespace.update(
        MSG_TYPE=code,
        SCHEMAS=schemas,
        ANSWERS=answers,
        _readers={},  # decoders, by schema
    )
    namespace.setdefault("_frame", _first_frame)


# ---- what generates code at its first use


def _first_init(self: Any, /, *args: Any, **kwargs: Any) -> None:
    ensure_init(type(self))
    self.__init__(*args, **kwargs)


def ensure_init(cls: Any) -> None:
    """Generate the constructor of a class, if that was not done and none is written by hand."""
    if cls.__dict__.get("__init__") is _first_init:
        from .source import constructor

        cls.__init__ = constructor(cls)


def _first_frame(self: Any, options: Options) -> bytes:
    ensure_frame(self.__class__)
    frame: bytes = self._frame(options)
    return frame


def ensure_frame(cls: Any) -> None:
    """Generate the encoder of a message, if that was not done and none is written by hand."""
    if cls.__dict__.get("_frame") is _first_frame:
        from .source import encoder

        cls._frame = cls.encode = encoder(cls)  # one function, without a call in between


def reader_of(cls: Any, schema: int) -> Reader:
    """Return the decoder of a message in one schema."""
    readers: dict[int, Reader] = cls._readers
    if schema not in readers:
        readers[schema] = cls._read_frame or _decoder(cls, schema)
    return readers[schema]


def _decoder(cls: Any, schema: int) -> Reader:
    from .decoder import decoder

    return decoder(cls, schema)


class Value(metaclass=Declared):
    """An immutable object that is equal, hashed, shown, copied and pickled by its fields."""

    __slots__ = ()
    _shared: ClassVar[tuple[Field, ...]] = ()
    if TYPE_CHECKING:
        FIELDS: ClassVar[tuple[Field, ...]]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted")

    def _compared(self) -> tuple[object, ...]:
        return tuple(getattr(self, f.name) for f in self.FIELDS if f.is_attribute and f.compared)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash((type(self), self._compared()))

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), *(getattr(self, name) for name in slots_of(type(self))))

    def __repr__(self) -> str:
        compared = (f.name for f in self.FIELDS if f.is_attribute and f.compared)
        parts = ", ".join(f"{name}={abbreviate(getattr(self, name))}" for name in compared)
        return f"{type(self).__name__}({parts})"


def slots_of(cls: Any) -> tuple[str, ...]:
    """Return the names of what objects of a class store, in the order of the declaration."""
    names: tuple[str, ...] = cls.__slots__
    return names


def _restore(cls: type[Value], *values: object) -> Value:
    return fill(cls, values)


def fill(cls: type[T], values: tuple[object, ...]) -> T:
    """Make an object without its constructor: what a decoder read is not checked again."""
    message = object.__new__(cls)
    for name, value in zip(slots_of(cls), values, strict=True):
        object.__setattr__(message, name, value)
    return message


def frame_around(data: bytes | bytearray | memoryview) -> bytes:
    """Put a blank header before a body, for readers that take whole frames."""
    return bytes(8) + whole_bytes(data)


def read_as(read: Callable[[Cursor], T], path: str, frame: bytes, end: int, options: Options) -> T:
    """Read a body in another way than its declaration says, with a reader of the message's own."""
    from .cursor import read_body

    return read_body(read, path, frame, end, options)


def unknown_type(code: int, is_request: bool) -> DecodeError:
    kind = "request" if is_request else "response"
    return DecodeError(f"unknown {kind} type {code}", path="Header.msg_type", offset=4)


def check_header_schema(cls: Any, schema: int) -> None:
    if schema not in cls.SCHEMAS:
        problem = f"schema {schema} of {cls.__name__}, allowed {_allowed(cls)}"
        raise DecodeError(problem, path="Header.schema", offset=5)


def _allowed(cls: Any) -> str:
    return " and ".join(map(str, cls.SCHEMAS))


def checked_schema(cls: Any, schema: object) -> int:
    """Return the schema of a body, if a message has it."""
    chosen: int | None = choice_of(schema, cls.SCHEMAS)
    if chosen is None:
        raise DecodeError(f"schema {shown(schema)}, allowed {_allowed(cls)}", path=cls.__name__, offset=5)
    return chosen
