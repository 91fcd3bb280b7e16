"""What an argument must be: one validator for each rule, used by both directions.

A validator returns what was given in its plainest form (a list, a `str`, an `int`, `bytes`), so that nothing
behind it runs code of the caller's classes. `issubclass` is asked rather than `isinstance`, since objects
may have any `__class__`, as mocks do.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from sys import modules

from .constants import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY
from .exceptions import DecodeError, EncodeError, HandshakeError
from .text import kind_of, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")
    BytesLike = bytes | bytearray | memoryview

__all__ = [
    "VERSIONS",
    "OptionError",
    "check_version",
    "checked_integer",
    "checked_items",
    "checked_iterable",
    "checked_kind",
    "checked_number",
    "checked_option",
    "checked_text",
    "checked_text_errors",
    "choice_of",
    "is_mapped_file",
    "is_sequence",
    "no_sequence",
    "readable",
    "whole_bytes",
]


class OptionError(DecodeError, ValueError):
    """A keyword with a value that is none of its choices; raised before any byte is read."""


# ---- keywords


def choice_of(value: object, choices: tuple[Any, ...]) -> Any:
    """Return the choice that a value is, None if it is none; 1.0 and True are not 1."""
    for choice in choices:
        kind = str if issubclass(type(choice), str) else int
        alike = issubclass(type(value), kind) and type(value) is not bool
        if alike and kind.__eq__(choice, value):
            return choice
    return None


def checked_option(name: str, value: object, choices: tuple[Any, ...], allowed: str = "") -> Any:
    choice = choice_of(value, choices)
    if choice is None:
        allowed = allowed or f"allowed {', '.join(map(str, choices[:-1]))} and {choices[-1]}"
        raise OptionError(f"got {shown(value)}, {allowed}", path=name)
    return choice


_ERROR_HANDLERS = (
    "strict",
    "replace",
    "ignore",
    "backslashreplace",
    "surrogateescape",
    "surrogatepass",
    "xmlcharrefreplace",
    "namereplace",
)


def checked_text_errors(value: object, name: str = "text_errors") -> str:
    """Return the name of one of Python's own codec error handlers."""
    if value is _ERROR_HANDLERS[0]:
        return _ERROR_HANDLERS[0]
    handler: str = checked_option(name, value, _ERROR_HANDLERS, "the name of a codec error handler is needed")
    return handler


VERSIONS = (PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY)  # of the protocol, as a handshake names them


def check_version(version: object) -> None:
    if choice_of(version, VERSIONS) is None:
        raise HandshakeError(f"version {shown(version)}, allowed 1 and {PROTOCOL_VERSION_LEGACY:#x}")


def checked_kind(name: str, value: Any, kind: type[T], needed: str) -> T:
    """Return a value that is of a class.

    Args:
        name: of the argument.
        value: the argument.
        kind: the class.
        needed: what is needed, in the error's words.

    Raises:
        TypeError: it is of another class.
    """
    if not issubclass(type(value), kind):
        raise TypeError(f"{name} is {kind_of(value)}, {needed}")
    found: T = value
    return found


def checked_number(
    name: str, value: Any, least: int | None, most: int | None = None, kind: str = "an integer is needed"
) -> int:
    """Return an integer that is in range.

    Args:
        name: of the argument.
        value: the argument.
        least: what it is at least, None for any size.
        most: what it is at most, None for any size.
        kind: what is needed, in the error's words.

    Raises:
        TypeError: it is no integer; a bool is none.
        ValueError: it is out of range.
    """
    if not issubclass(type(value), int) or type(value) is bool:
        raise TypeError(f"{name} is {kind_of(value)}, {kind}")
    number = int.__int__(value)
    if least is not None and number < least:
        raise ValueError(f"{name} is {shown(number)}, at least {least}")
    if most is not None and number > most:
        raise ValueError(f"{name} is {shown(number)}, at most {most}")
    return number


# ---- values


def checked_integer(value: Any, low: int, high: int, path: str, cap: int | None = None) -> int:
    if not issubclass(type(value), int) or type(value) is bool:
        raise EncodeError(f"got {kind_of(value)}, an integer is needed", path=path)
    number = int.__int__(value)
    if cap is not None and number > cap:
        raise EncodeError(f"got {shown(number)}, at most {cap}", path=path, limit=cap)
    if not low <= number <= high:
        raise EncodeError(f"got {shown(number)}, allowed {low} to {high}", path=path)
    return number


def checked_text(value: Any, path: str) -> str:
    if not issubclass(type(value), str):
        raise EncodeError(f"got {kind_of(value)}, text is needed", path=path)
    return str.__str__(value)


# What can be iterated and is no sequence: text and bytes fall apart, the others have no order or lose values.
_NO_SEQUENCES = (str, bytes, bytearray, memoryview, Mapping, Set)


def is_sequence(kind: type[Any]) -> bool:
    """Tell whether objects of a class are taken for values in an order."""
    if kind is list or kind is tuple:
        return True
    if issubclass(kind, _NO_SEQUENCES) or is_mapped_file(kind):
        return False
    return getattr(kind, "__iter__" if hasattr(kind, "__iter__") else "__getitem__", None) is not None


def is_mapped_file(kind: type[Any]) -> bool:
    """Tell whether objects of a class are mapped files, which hold bytes and are no sequence of values."""
    loaded: Any = modules.get("mmap")  # not imported here: it is a shared library of its own
    return loaded is not None and issubclass(kind, loaded.mmap)


def no_sequence(value: object, path: str) -> EncodeError:
    return EncodeError(f"got {kind_of(value)}, a sequence is needed", path=path)


def checked_iterable(value: object, path: str) -> Any:
    """Return a sequence, or an iterator, as it is."""
    if not is_sequence(type(value)):
        raise no_sequence(value, path)
    items: Any = value
    return items


def checked_items(value: object, path: str) -> list[Any]:
    """Copy a sequence, or what an iterator yields, into a list."""
    return [*checked_iterable(value, path)]


# ---- bytes


def readable(data: BytesLike) -> bytes | memoryview:
    """Return bytes-like data in a form that is sliced byte by byte: itself, where it is that already.

    Raises:
        TypeError: it is nothing of bytes.
        ValueError: a memoryview that was released.
    """
    if type(data) is bytes:
        return data
    if not issubclass(type(data), (bytes, bytearray, memoryview)):
        raise TypeError(f"got {kind_of(data)}, bytes are needed")
    view = memoryview(data)
    return view if view.format == "B" and view.ndim == 1 and view.c_contiguous else view.tobytes()


def whole_bytes(data: BytesLike) -> bytes:
    """Return bytes-like data as bytes; raises as `readable` does."""
    found = readable(data)
    return found if type(found) is bytes else found.tobytes()  # type: ignore[union-attr]
