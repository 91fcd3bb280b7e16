"""ADDRESS, as every command takes and prints it.

    HOST:PORT     TCP; an IPv6 address stands in brackets: [::1]:9001
    unix:PATH     a unix socket with a file
    @NAME         an abstract unix socket (Linux), as go-dqlite writes it (internal/protocol/dial.go: Dial)

`Address.parse` and `str` are inverse to each other; `normalised` tells whether two spellings mean the same.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from enum import Enum

from dqlitewire.dial.errors import AddressError
from dqlitewire.text import shown

_PORT = re.compile("[0-9]{1,5}")  # longer ones need not be counted
_LAST_PORT = 65535
_UNIX, _ABSTRACT = "unix:", "@"


class Kind(Enum):
    """The transports an address can name."""

    TCP = "tcp"
    UNIX = "unix"
    ABSTRACT = "abstract"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a node listens.

    Attributes:
        kind: the transport.
        name: host (without brackets), path, or abstract name (without the "@").
        port: of TCP; 0 for the others.
    """

    kind: Kind
    name: str
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse an ADDRESS.

        Args:
            text: HOST:PORT, [IPv6]:PORT, unix:PATH or @NAME.

        Raises:
            AddressError: it is none of these.
        """
        for prefix, kind in ((_UNIX, Kind.UNIX), (_ABSTRACT, Kind.ABSTRACT)):
            if text.startswith(prefix) and text != prefix and "\0" not in text:
                return cls(kind, text.removeprefix(prefix))
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        # of a URL or a path the rest is no host, and would be looked up all the same
        if (
            not host
            or "\0" in host
            or "/" in host
            or not _PORT.fullmatch(port)
            or not 1 <= int(port) <= _LAST_PORT
        ):
            raise AddressError(f"{shown(text)} is no HOST:PORT, [IPv6]:PORT, unix:PATH or @NAME")
        return cls(Kind.TCP, host, int(port))

    def __str__(self) -> str:
        """Return the address as `parse` takes it."""
        match self.kind:
            case Kind.TCP:
                return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"
            case Kind.UNIX:
                return f"{_UNIX}{self.name}"
            case Kind.ABSTRACT:
                return f"{_ABSTRACT}{self.name}"

    def normalised(self) -> Address:
        """Return the one spelling of a TCP address: host in lower case, IP addresses in their short form."""
        if self.kind is not Kind.TCP:
            return self
        try:
            host = ipaddress.ip_address(self.name).compressed
        except ValueError:
            host = self.name.lower()
        return replace(self, name=host)

    @property
    def socket_name(self) -> str:
        """What the system calls a unix socket: its path, or a NUL and the abstract name.

        Raises:
            ValueError: it is a TCP address.
        """
        if self.kind is Kind.TCP:
            raise ValueError(f"{self} is no unix socket")
        return f"\0{self.name}" if self.kind is Kind.ABSTRACT else self.name


def spelling(address: str) -> str:
    """Return the one spelling of an address that a node names; what is no ADDRESS stays as it is.

    Args:
        address: as the node has it.
    """
    try:
        return str(Address.parse(address).normalised())
    except AddressError:
        return address
