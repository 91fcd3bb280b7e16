"""The HTTP upgrade in front of dqlite, without I/O: the request, and what its answer says.

LXD, MicroCloud and Incus serve dqlite on their API port, behind TLS (LXD lxd/cluster/gateway.go:
dqliteNetworkDial). The client sends

    POST /internal/database HTTP/1.1
    Host: 10.0.0.1:8443
    Upgrade: dqlite
    X-Dqlite-Version: 1

is answered with status 101 and `Upgrade: dqlite`, and from there on speaks dqlite on the same connection.
Incus, which runs cowsql, reads and sends the very same headers: what it renamed (incus#2459) are comments in
the files of its cluster editor. Only the path differs:

    LXD, Incus                             /internal/database
    MicroCloud, other users of microcluster  /core/internal/database  (v1: /cluster/internal/database)
"""

from __future__ import annotations

from dqlitewire.conversation.first_bytes import HTTP_END, UPGRADES, upgrades_to
from dqlitewire.dial.addresses import Address, Kind
from dqlitewire.dial.errors import UpgradeRefusedError
from dqlitewire.text import shown

PROTOCOL = "dqlite"  # what is switched to
VERSION = 1  # of the protocol
MAX_HEAD = 16 << 10  # bytes of an answer's head


def checked_path(path: str) -> str:
    """Return the path of an endpoint if it can stand in a request.

    Args:
        path: as somebody gave it.

    Raises:
        ValueError: it has no slash at its beginning, or a character that HTTP does not allow.
    """
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError(f"{shown(path)} is no path of an HTTP endpoint, such as /internal/database")
    return path


def upgrade_request(address: Address, path: str) -> bytes:
    """Return the request that asks for dqlite.

    Args:
        address: where the server listens.
        path: of its endpoint.

    Raises:
        ValueError: the path, or the host of the address, cannot stand in a request.
    """
    host = str(address) if address.kind is Kind.TCP else "localhost"
    # a node may have named it: no line of its own shall be in there
    if not host.isprintable() or " " in host:
        raise ValueError(f"{shown(host)} is no host for HTTP")
    lines = (
        f"POST {checked_path(path)} HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        f"Upgrade: {PROTOCOL}",
        f"X-Dqlite-Version: {VERSION}",
        "Content-Length: 0",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("utf-8", "replace")


def check_upgraded(head: bytes) -> None:
    """Check that a server has switched to dqlite.

    Args:
        head: of its answer, as far as the empty line, or as it was when the server closed.

    Raises:
        UpgradeRefusedError: it has not.
    """
    if not head:
        raise UpgradeRefusedError("no upgrade: the server closed the connection without an answer")
    if not head.endswith(HTTP_END):
        raise UpgradeRefusedError(f"no upgrade: no HTTP answer but {shown(head)}")
    names = upgrades_to(head)
    if names is None:
        status = head.split(b"\r\n", 1)[0].decode("latin-1")
        raise UpgradeRefusedError(f"no upgrade: the server answered {shown(status, 48)}", is_http=True)
    if UPGRADES.isdisjoint(names):
        to = b", ".join(sorted(names)).decode("latin-1")
        raise UpgradeRefusedError(f"no upgrade: it is to {shown(to)}, not {PROTOCOL}", is_http=True)
