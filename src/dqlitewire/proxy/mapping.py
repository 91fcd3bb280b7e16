"""Addresses in answers: the LOCALs of the proxy in place of the nodes' own.

A client asks LEADER and CLUSTER where the nodes are, and dials what it is told. So that it stays behind the
proxy, each address that a pair stands for is replaced by one that this client can dial:

* one of its own kind: a client that came over a unix or abstract socket may be in a container without a
  network, and one that came over TCP on another machine, where there is no such socket;
* where a LOCAL is a wildcard, with the host that the client's own connection was accepted on.

Where the pairs name none of these, the address stays what it is, and whoever runs the proxy is told so;
`dial.naming` writes the frame.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dqlitewire.dial import Address, Kind
from dqlitewire.dial.addresses import spelling
from dqlitewire.dial.naming import with_addresses
from dqlitewire.proxy.pairs import Pair

__all__ = ["Place", "local_names", "rewritten"]


@dataclass(frozen=True, slots=True)
class Place:
    """A pair whose listener is open.

    Attributes:
        pair: The pair.
        local: Where it listens, with the port that it has.
        wildcard: It listens on every interface, so that `local` cannot be dialled.
    """

    pair: Pair
    local: Address
    wildcard: bool = False


def local_names(places: Sequence[Place], own: Place, accepted_on: str) -> dict[str, str]:
    """Return what a client is told in place of each address, by the address in its one spelling.

    Args:
        places: All pairs.
        own: The one that the client came through.
        accepted_on: The host that its connection was accepted on; of no account for a unix socket.
    """
    found: dict[str, str] = {}
    host = _plain(accepted_on)
    for place in sorted(places, key=lambda place: _far(place, own)):  # keeps the order of equally good ones
        local = _dialled(place, own, host)
        if local is not None:
            found.setdefault(spelling(place.pair.advertised), str(local))
    return found


def _far(place: Place, own: Place) -> int:
    if place is own:
        return 0
    return 1 if _version(place.local.name) == _version(own.local.name) else 2


def _dialled(place: Place, own: Place, host: str) -> Address | None:
    """The address of a place for a client of another one; None if such a client cannot dial it."""
    if (place.local.kind is Kind.TCP) != (own.local.kind is Kind.TCP):
        return None
    if not place.wildcard:
        return place.local
    if _version(place.local.name) == 4 and _version(host) == 6:
        if not ipaddress.ip_address(host).is_loopback:
            return None  # nothing listens there over IPv6
        host = "127.0.0.1"
    return replace(place.local, name=host)


def _version(host: str) -> int:
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return 0


def _plain(host: str) -> str:
    # an IPv4 client of a listener on [::] appears as ::ffff:10.0.0.1
    try:
        mapped = getattr(ipaddress.ip_address(host), "ipv4_mapped", None)
    except ValueError:
        return host
    return host if mapped is None else str(mapped)


def rewritten(
    frame: bytes, names: Mapping[str, str], version: int, stays: Callable[[str], object] | None = None
) -> bytes:
    """Return an answer with other addresses; the same object if there is nothing to replace.

    Args:
        frame: A whole frame of one of the types in `naming.NAMING`.
        names: What to put in place of an address, by its one spelling.
        version: Of the client's handshake, which decides about the layout of LEADER.
        stays: Called with the one spelling of each address that stays, and leads past the proxy.
    """
    if not names:
        return frame
    ours = set(map(spelling, names.values()))

    def other(address: str) -> str | None:
        known = spelling(address)
        local = names.get(known)
        if local is None and stays is not None and known not in ours:
            stays(known)
        return local

    return with_addresses(frame, version, other)
