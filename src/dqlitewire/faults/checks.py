"""Checks of arguments, made at the call: a wrong one would otherwise fail later, and in another place.

The texts name the argument, what was given, and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import cast

from dqlitewire.checks import checked_number
from dqlitewire.constants import RequestType
from dqlitewire.messages.base import Request

__all__ = [
    "Requests",
    "check_flag",
    "check_frame",
    "check_number",
    "check_probability",
    "check_seconds",
    "check_text",
    "choice",
    "regular_expression",
    "request_types",
    "shown",
]

OneRequest = RequestType | type[Request] | str
Requests = OneRequest | Iterable[OneRequest] | None

_LONGEST = 86_400  # seconds; no test waits longer, and an epoll timeout has its limits
_SHOWN = 40


def check_number(name: str, value: object, least: int, most: int | None = None) -> None:
    """Refuse what is no whole number between two others.

    Raises:
        TypeError: it is no int.
        ValueError: it is too small or too big.
    """
    try:
        checked_number(name, value, least, most)
    except TypeError:
        raise TypeError(f"{name} {shown(value)}, must be an int") from None
    except ValueError:
        allowed = f"at least {least}" if most is None else f"{least} to {most}"
        raise ValueError(f"{name} {shown(value)}, must be {allowed}") from None


def check_seconds(name: str, value: object) -> None:
    """Refuse what is no time to wait.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative, longer than a day, or NaN.
    """
    _check_range(name, value, _LONGEST, "a number of seconds")


def check_probability(name: str, value: object) -> None:
    """Refuse what is no probability.

    Raises:
        TypeError: it is no number.
        ValueError: it is not between 0 and 1.
    """
    _check_range(name, value, 1, "a number")


def _check_range(name: str, value: object, most: int, kind: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} {shown(value)}, must be {kind}")
    if not 0 <= value <= most:
        raise ValueError(f"{name} {shown(value)}, must be 0 to {most}")


def check_text(name: str, value: object) -> None:
    """Refuse what cannot be the text of a frame.

    Raises:
        TypeError: it is no str.
        ValueError: it holds a NUL, or a surrogate that stands for no byte.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} {shown(value)}, must be a str")
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ValueError(f"{name} {shown(value)}, must be text that UTF-8 can hold") from None
    if "\0" in value:
        raise ValueError(f"{name} {shown(value)}, must be without NUL")


def check_frame(name: str, value: object) -> bytes:
    """Return bytes that are to be sent, a frame or not.

    Raises:
        TypeError: they are no bytes.
    """
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"{name} {shown(value)}, must be bytes")
    return bytes(cast("bytes | bytearray", value))


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} {shown(value)}, must be a bool")


def choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """Return the one of several words that a value is.

    Raises:
        TypeError: it is no str.
        ValueError: it is none of them.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} {shown(value)}, must be a str")
    if value not in choices:
        raise ValueError(f"{name} {shown(value)}, must be {' or '.join(choices)}")
    return value


def regular_expression(name: str, value: object) -> re.Pattern[str] | None:
    """Return a regular expression, compiled; None for None.

    Raises:
        TypeError: it is neither a str nor a compiled expression for str.
        ValueError: it is a str that does not compile.
    """
    if value is None:
        return None
    pattern: object = cast("re.Pattern[str]", value).pattern if isinstance(value, re.Pattern) else value
    if not isinstance(pattern, str):
        raise TypeError(f"{name} {shown(pattern)}, must be a regular expression")
    try:
        return re.compile(cast("re.Pattern[str] | str", value))
    except (re.error, OverflowError, RecursionError):
        raise ValueError(f"{name} {shown(pattern)}, must be a regular expression") from None


def request_types(on: object) -> frozenset[int] | None:
    """Return the type bytes that `on` names, None for all.

    Raises:
        TypeError: something else than request types, request messages and names.
        ValueError: no such request, or none at all.
    """
    if on is None:
        return None
    if isinstance(on, str | int | type) or not isinstance(on, Iterable):
        return frozenset([_request_type(on)])
    found = frozenset(_request_type(one) for one in cast("Iterable[object]", on))
    if not found:
        raise ValueError("on is empty, must name a request or be None")
    return found


def _request_type(one: object) -> int:
    match one:
        case RequestType():
            return one
        case str() if one.upper() in RequestType.__members__:
            return RequestType[one.upper()]
        case type() if issubclass(one, Request) and hasattr(one, "MSG_TYPE"):  # pyright: ignore
            return one.MSG_TYPE
        case int() if not isinstance(one, bool) and one in RequestType.__members__.values():
            return one
        case str() | int() if not isinstance(one, bool):
            raise ValueError(f"on {shown(one)}, must be a RequestType or its name")
        case _:
            raise TypeError(f"on {shown(one)}, must be a RequestType or a request message")


def shown(value: object) -> str:
    """Return what stands for a value in an error: short, whatever it is."""
    try:
        text = value.__name__ if isinstance(value, type) else repr(value)
    except Exception:  # an int of too many digits, or no fault of ours
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
