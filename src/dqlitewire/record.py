"""Small objects declared by their fields, as the standard `dataclasses` make them.

    @record
    class Gap(Record):
        offset: int
        size: int | None = None

has the slots `offset` and `size`, a constructor with these arguments and this default, both names for
`match`, and a repr. The two halves can be had apart: a class that is derived from `Record` has slots for its
annotations, whether it writes `__init__` itself or not; `record` adds the constructor. `__match_args__` and
`__repr__` that a class writes stay; records of the conversation that can be compared are `Event`s.

Why not `dataclasses`: it imports `inspect`, `ast` and `re`, which takes longer than the whole core, and makes
each class with slots twice. Here a metaclass reads the annotations, unevaluated, before the class is made,
and the constructor is generated when the first object is made, so that a class costs next to nothing until it
is used. After that its constructor is the code that one would have written by hand, and as fast.
"""

from __future__ import annotations

from .generated import define

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")
else:

    def dataclass_transform(**_: object) -> Callable[[T], T]:
        return lambda decorated: decorated


__all__ = ["Record", "matched", "record"]


class RecordType(type):
    """Metaclass of records: makes slots of annotations, and keeps the defaults that stand beside them."""

    if TYPE_CHECKING:
        __fields__: tuple[str, ...]
        __defaults__: dict[str, object]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> RecordType:
        fields: list[str] = []
        defaults: dict[str, object] = {}
        for base in bases:
            fields += getattr(base, "__fields__", ())
            defaults |= getattr(base, "__defaults__", {})
        annotations: dict[str, str] = namespace.get("__annotations__", {})
        declared = [field for field, kind in annotations.items() if not kind.startswith("ClassVar")]
        defaults |= {field: namespace.pop(field) for field in declared if field in namespace}
        namespace["__slots__"] = tuple(declared)
        namespace["__fields__"] = (*fields, *declared)
        namespace["__defaults__"] = defaults
        return super().__new__(mcs, name, bases, namespace)

    @property
    def __signature__(cls) -> None:
        _make_init(cls)  # so that `inspect` sees the real constructor


class Record(metaclass=RecordType):
    """An object with a slot for each annotation, shown by the fields that `match` sees."""

    if not TYPE_CHECKING:  # for type checkers each class has its own, of its own type
        __match_args__ = ()

    def __repr__(self) -> str:
        arguments = ", ".join(repr(value) for value in matched(self))
        return f"{type(self).__name__}({arguments})"


def matched(thing: Record) -> list[object]:
    """Return the values of the fields that `match` sees by position."""
    names: tuple[str, ...] = getattr(thing, "__match_args__")  # noqa: B009  (see `Record`)
    return [getattr(thing, name) for name in names]


@dataclass_transform(eq_default=False)
def record(cls: type[T]) -> type[T]:
    """Give a class derived from `Record` a constructor, and `__match_args__` where it has none of its own."""
    made: Any = cls
    made.__init__ = _first_init(made)
    if "__match_args__" not in made.__dict__:
        made.__match_args__ = made.__fields__  # type: ignore[misc]
    return cls


def _first_init(cls: Any) -> Callable[..., None]:
    def first_init(self: Any, /, *args: Any, **keywords: Any) -> None:
        _make_init(cls)
        cls.__init__(self, *args, **keywords)

    return first_init


def _make_init(cls: Any) -> None:
    """Generate the constructor that a class has or inherits, unless that is done or it is written by hand."""
    owner = next(c for c in cls.__mro__ if "__init__" in c.__dict__)
    if owner.__init__.__name__ == "first_init":
        owner.__init__ = _init(owner)


def _init(cls: Any) -> Callable[..., None]:
    names = {f"default_{name}": value for name, value in cls.__defaults__.items()}
    parameters = [f"{name}=default_{name}" if name in cls.__defaults__ else name for name in cls.__fields__]
    lines = [f"def __init__({', '.join(['self', *parameters])}):"]
    lines += [f"    self.{name} = {name}" for name in cls.__fields__]
    init = define(f"{cls.__name__}.__init__", "__init__", lines, names)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init
