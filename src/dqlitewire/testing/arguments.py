"""Checks of what a test orders, made at the call: later it would only show as an error of the server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from dqlitewire.constants import RequestType
from dqlitewire.messages.base import Request

__all__ = ["Selection", "check_number", "check_seconds", "check_text", "request_types"]

Selected = RequestType | type[Request] | str
Selection = Selected | Iterable[Selected] | None

_LONGEST = 86_400  # seconds; no test waits longer, and an epoll timeout has its limits
_SHOWN = 40


def check_number(name: str, value: object, least: int, most: int | None = None) -> None:
    """Refuse what is no whole number between two others.

    Raises:
        TypeError: it is no int.
        ValueError: it is too small or too big.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} {_shown(value)}, must be an int")
    if value < least or (most is not None and value > most):
        allowed = f"at least {least}" if most is None else f"{least} to {most}"
        raise ValueError(f"{name} {_shown(value)}, must be {allowed}")


def check_seconds(name: str, value: object) -> None:
    """Refuse what is no time to wait.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative, longer than a day, or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} {_shown(value)}, must be a number of seconds")
    if not 0 <= value <= _LONGEST:
        raise ValueError(f"{name} {_shown(value)}, must be 0 to {_LONGEST}")


def check_text(name: str, value: object) -> None:
    """Refuse what cannot be the text of a frame.

    Raises:
        TypeError: it is no str.
        ValueError: it holds a NUL, or a surrogate that stands for no byte.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} {_shown(value)}, must be a str")
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ValueError(f"{name} {_shown(value)}, must be text that UTF-8 can hold") from None
    if "\0" in value:
        raise ValueError(f"{name} {_shown(value)}, must be without NUL")


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
    found = frozenset(_request_type(one) for one in cast(Iterable[object], on))
    if not found:
        raise ValueError("on is empty, must name a request or be None")
    return found


def _request_type(one: object) -> int:
    match one:
        case RequestType():
            return one
        case str() if one in RequestType.__members__:
            return RequestType[one]
        case type() if issubclass(one, Request) and hasattr(one, "MSG_TYPE"):
            return one.MSG_TYPE
        case int() if not isinstance(one, bool) and one in RequestType.__members__.values():
            return one
        case str() | int() if not isinstance(one, bool):
            raise ValueError(f"on {_shown(one)}, must be a RequestType or its name")
        case _:
            raise TypeError(f"on {_shown(one)}, must be a RequestType or a request message")


def _shown(value: object) -> str:
    shown = value.__name__ if isinstance(value, type) else repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."
