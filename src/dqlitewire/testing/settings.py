"""What an embedded server or cluster is made of: the constructor's arguments, checked before anything is
opened.

An argument is a line in `Options` (its type for callers, and what it is for), a field of `Settings` (its
default) and a row of `_CHECKS`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

from dqlitewire.dial.addresses import Address, Kind
from dqlitewire.dial.listening import listen_tcp, listen_unix
from dqlitewire.faults.checks import check_flag, check_number, check_text, shown
from dqlitewire.servers.releases import DEFAULT_RELEASE, RELEASES, Release
from dqlitewire.testing.checks import check_file, check_host, check_release, check_socket

if TYPE_CHECKING:
    import os

    from dqlitewire.dial.listening import Listener

__all__ = ["Options", "Settings", "takes_options"]

C = TypeVar("C")

_MOST_NODES = 10_000
_LAST_PORT = 65535


class Options(TypedDict, total=False):
    """The arguments of `DqliteCluster` and `DqliteServer` by name.

    Attributes:
        generation: The release to play, by a name in `dqlitewire.servers.releases.RELEASES` or as such a
            row; by default that of Debian's stable release.
        host: Interface to listen on.
        port: Port of the first node, others follow; 0 for free ones.
        advertise: HOST:PORT that clients are told as the first node's address, instead of where it listens;
            further nodes have the ports that follow. HOST alone goes with the ports they listen on.
        folder: Where databases are kept; by default a temporary folder that goes with the server.
        files: Database files to serve where they are, by name.
        readonly: Open those for reading only.
        clean_failures: Send FAILURE without the rows that real servers leave in front of it.
        strict: Let `stop` raise an error if a fault was ordered that never hit.
        seed: Of the draws of faults that have a probability: the same one draws the same again.
        unix: Listen on a unix socket at this path instead, or at an abstract name behind an "@"; further
            nodes add a number to it.
    """

    generation: str | Release
    host: str
    port: int
    advertise: str | None
    folder: str | os.PathLike[str] | None
    files: Mapping[str, str | os.PathLike[str]] | None
    readonly: bool
    clean_failures: bool
    strict: bool
    seed: int
    unix: str | os.PathLike[str] | None


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments of a constructor after `checked`: paths are text, a release is the row of the table."""

    nodes: int
    generation: Release = RELEASES[DEFAULT_RELEASE]
    host: str = "127.0.0.1"
    port: int = 0
    advertise: Address | None = None
    folder: str | None = None
    files: dict[str, str] = field(default_factory=dict[str, str])
    readonly: bool = False
    clean_failures: bool = False
    strict: bool = False
    seed: int = 0
    unix: str | None = None

    @classmethod
    def checked(cls, nodes: int, options: Options) -> Settings:
        """Return the settings that the arguments of a constructor ask for.

        Args:
            nodes: how many nodes.
            options: the other arguments; those that are not given are as by default.

        Raises:
            TypeError: An argument has the wrong type, or there is no such argument.
            ValueError: An argument has no sense.
        """
        check_number("nodes", nodes, 1, _MOST_NODES)
        for name in options:
            if name not in _CHECKS:
                raise TypeError(f"argument {name!r:.40}, must be one of {', '.join(_CHECKS)}")
        settings = cls(nodes, **{name: _CHECKS[name](value, nodes) for name, value in options.items()})
        if settings.unix is not None and settings.advertise is not None and not settings.advertise.port:
            raise ValueError("advertise a host alone, must be HOST:PORT where nothing listens on a port")
        return settings

    def listen(self, number: int) -> tuple[Listener, str]:
        """Listen for a node, counted from 0; returns the listener and where it listens.

        Raises:
            OSError: That is not possible there.
        """
        if self.unix is not None:
            address = self.unix if number == 0 else f"{self.unix}.{number + 1}"
            return listen_unix(address), address
        listener = listen_tcp(self.host, self.port + number if self.port else 0)
        return listener, str(Address(Kind.TCP, self.host, listener.getsockname()[1]))

    def named(self, number: int, bound: str) -> str:
        """Return the address that a node goes by, counted from 0, which listens at another one perhaps."""
        if self.advertise is None:
            return bound
        first = self.advertise.port
        port = first + number if first else Address.parse(bound).port
        return str(replace(self.advertise, port=port))

    def listen_again(self, address: str) -> Listener:
        """Listen where a node listened before.

        Raises:
            OSError: Somebody else listens there by now.
        """
        if self.unix is not None:
            return listen_unix(address)
        return listen_tcp(self.host, Address.parse(address).port)


def takes_options(**first: int) -> Callable[[type[C]], type[C]]:
    """Return a class decorator: `help` and editors show the options by name instead of `**options`.

    In the docstring of the class a line `options: ...` becomes the lines of `Options`.

    Args:
        first: the arguments in front of the options, with their defaults.
    """
    defaults: dict[str, Any] = {one.name: one.default for one in fields(Settings)}
    defaults |= {"generation": DEFAULT_RELEASE, "files": None}  # as a caller writes them
    parameters = [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation="int")
        for name, default in first.items()
    ]
    parameters += [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=defaults[name],
            annotation=getattr(annotation, "__forward_arg__", annotation),
        )
        for name, annotation in Options.__annotations__.items()
    ]

    def decorate(cls: type[C]) -> type[C]:
        setattr(cls, "__signature__", Signature(parameters))  # noqa: B010  no attribute that classes are known to have
        told = (Options.__doc__ or "").partition("Attributes:\n")[2].rstrip()
        cls.__doc__ = re.sub(r"(?m)^ +options: .*$", lambda _: told, cls.__doc__ or "")
        return cls

    return decorate


def _flag(name: str) -> Callable[[Any, int], bool]:
    def check(value: Any, _: int) -> bool:
        check_flag(name, value)
        return bool(value)

    return check


def _host(value: Any, _: int) -> str:
    check_host(value)
    return str(value)


def _port(value: Any, nodes: int) -> int:
    check_number("port", value, 0, _LAST_PORT + 1 - nodes)
    return int(value)


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
        return True
    except ValueError:
        return re.fullmatch(r"[\w.-]+", text) is not None


def _advertise(value: Any, nodes: int) -> Address | None:
    if value is None:
        return None
    check_text("advertise", value)
    try:
        # a host alone may be an IPv6 address, whose last part is no port
        address = Address(Kind.TCP, value, 0) if _is_host(value) else Address.parse(value)
    except ValueError:
        address = None
    if address is None or address.kind is not Kind.TCP:
        raise ValueError(f"advertise {shown(value)}, must be HOST:PORT or HOST")
    if address.port + nodes - 1 > _LAST_PORT:
        raise ValueError(f"advertise {shown(value)}, must leave ports for {nodes} nodes")
    return address


def _seed(value: Any, _: int) -> int:
    check_number("seed", value, 0)
    return int(value)


def _files(value: Any, _: int) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"files {shown(value)}, must be a dict of paths by name")
    found: dict[str, str] = {}
    for name, path in cast("Mapping[Any, object]", value).items():
        check_text("name of a file", name)
        found[name] = check_file(f"file of {shown(name)}", path)
    return found


#: option -> what checks its value, given the number of nodes too, and returns what the setting becomes
_CHECKS: dict[str, Callable[[Any, int], Any]] = {
    "generation": lambda value, _: check_release(value),
    "host": _host,
    "port": _port,
    "advertise": _advertise,
    "folder": lambda value, _: None if value is None else check_file("folder", value),
    "files": _files,
    "readonly": _flag("readonly"),
    "clean_failures": _flag("clean_failures"),
    "strict": _flag("strict"),
    "seed": _seed,
    "unix": lambda value, nodes: (
        None if value is None else check_socket(value, f".{nodes}" if nodes > 1 else "")
    ),
}
