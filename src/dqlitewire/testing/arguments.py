"""Checks of what a test orders, made at the call: later it would only show as an error of the server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from dqlitewire.constants import RequestType
from dqlitewire.messages.base import Request
from dqlitewire.servers.releases import RELEASES, Release, release_named

__all__ = [
    "Selection",
    "check_file",
    "check_flag",
    "check_host",
    "check_number",
    "check_params",
    "check_release",
    "check_seconds",
    "check_socket",
    "check_text",
    "request_types",
    "shown",
]

Selected = RequestType | type[Request] | str
Selection = Selected | Iterable[Selected] | None

_LONGEST = 86_400  # seconds; no test waits longer, and an epoll timeout has its limits
_SHOWN = 40
_SOCKET_PATH = 108 if sys.platform.startswith("linux") else 104  # bytes of sun_path


def check_number(name: str, value: object, least: int, most: int | None = None) -> None:
    """Refuse what is no whole number between two others.

    Raises:
        TypeError: it is no int.
        ValueError: it is too small or too big.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} {shown(value)}, must be an int")
    if value < least or (most is not None and value > most):
        allowed = f"at least {least}" if most is None else f"{least} to {most}"
        raise ValueError(f"{name} {shown(value)}, must be {allowed}")


def check_seconds(name: str, value: object) -> None:
    """Refuse what is no time to wait.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative, longer than a day, or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} {shown(value)}, must be a number of seconds")
    if not 0 <= value <= _LONGEST:
        raise ValueError(f"{name} {shown(value)}, must be 0 to {_LONGEST}")


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


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} {shown(value)}, must be a bool")


def check_params(value: object) -> None:
    """Refuse what cannot be the parameters of a statement.

    Raises:
        TypeError: it is no sequence of values and no mapping.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | Mapping):
        raise TypeError(f"params {shown(value)}, must be a sequence")


def check_release(value: object) -> Release:
    """Return the release that is to be played, given itself or its name.

    Raises:
        TypeError: it is neither a release nor a name.
        ValueError: a release that cannot be played.
    """
    if isinstance(value, Release):
        return value
    if not isinstance(value, str):
        raise TypeError(f"generation {shown(value)}, must be a str")
    found = release_named(value)
    if found is None:
        raise ValueError(f"generation {shown(value)}, must be one of {', '.join(RELEASES)}")
    return found


def check_host(value: object) -> None:
    """Refuse what cannot be the name or number of an interface.

    Raises:
        TypeError: it is no str.
        ValueError: it is empty, holds a NUL, or is no name at all.
    """
    check_text("host", value)
    text = cast(str, value)
    try:
        fits = bool(text) and (text.isascii() or bool(text.encode("idna")))
    except UnicodeError:
        fits = False
    if not fits:
        raise ValueError(f"host {shown(text)}, must be a name or an address")


def check_file(name: str, value: object) -> str:
    """Return the path of a file or folder for SQLite, which takes UTF-8.

    Raises:
        TypeError: it is no path.
        ValueError: it is empty, holds a NUL, or is no UTF-8.
    """
    path = _path(name, value)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} {shown(path)}, must be a path in UTF-8") from None
    return path


def check_socket(value: object, longest_suffix: str) -> str:
    """Return the path of a unix socket, or its abstract name behind an "@".

    Raises:
        TypeError: it is no path.
        ValueError: it is empty, holds a NUL, or is too long for an address.
    """
    path = _path("unix", value)
    if path == "@":
        raise ValueError("unix '@', must have a name behind it")
    size = len(os.fsencode(path + longest_suffix))
    most = _SOCKET_PATH if path.startswith("@") else _SOCKET_PATH - 1
    if size > most:
        raise ValueError(f"unix of {size} bytes, must be at most {most}")
    return path


def _path(name: str, value: object) -> str:
    path: object = value
    if isinstance(value, os.PathLike):
        path = os.fspath(cast("os.PathLike[str]", value))
    if not isinstance(path, str):
        raise TypeError(f"{name} {shown(value)}, must be a str or a path")  # pyright: ignore
    check_text(name, path)
    if not path:
        raise ValueError(f"{name} '', must be a path")
    return path


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
