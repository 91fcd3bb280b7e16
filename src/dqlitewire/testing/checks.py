"""Checks of files, folders, hosts, sockets and parameters, made at the call, before anything is opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import cast

from dqlitewire.faults.checks import check_text, shown
from dqlitewire.servers.releases import RELEASES, Release, release_named

__all__ = [
    "check_file",
    "check_host",
    "check_params",
    "check_release",
    "check_socket",
]

_SOCKET_PATH = 108 if sys.platform.startswith("linux") else 104  # bytes of sun_path


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
