"""The first bytes of a connection that tell which protocol is spoken on it: HTTP or TLS instead of dqlite.

Read by the observer, by the sources of traffic, and by whoever has dialled a stranger. dqlite itself begins
with a handshake word, which `constants` has.

An HTTP client asks for another protocol on the same connection with a field (RFC 9110, section 7.8):

    Upgrade: dqlite            a list of names, each perhaps with a version, in any case; the field may stand
    Upgrade: h2c , DQLITE/1    more than once, and its value go on in a line that begins with a blank

The server answers with status 101 and the one that it has chosen. Incus has renamed it after its fork of
dqlite (lxc/incus#2459); the bytes that follow are the same. HTTP/1.0 knows no upgrade.
"""

from __future__ import annotations

__all__ = [
    "HTTP_ANSWER",
    "HTTP_END",
    "HTTP_METHODS",
    "MAX_HTTP_HEAD",
    "TLS_ALERT",
    "TLS_HANDSHAKE",
    "UPGRADES",
    "answers_upgrade",
    "asks_upgrade",
    "body_size",
    "is_interim",
    "upgrades_to",
]

HTTP_METHODS = (b"GET ", b"POST ", b"PUT ", b"PATCH ", b"CONNECT ", b"OPTIONS ", b"HEAD ", b"DELETE ")
HTTP_ANSWER = b"HTTP/"
HTTP_END = b"\r\n\r\n"  # of a head
MAX_HTTP_HEAD = 1 << 16  # bytes
TLS_ALERT = b"\x15\x03"  # type of the record, major version
TLS_HANDSHAKE = b"\x16\x03"
UPGRADES = frozenset({b"dqlite", b"cowsql"})  # names of the protocol, in lower case


def asks_upgrade(head: bytes) -> bool:
    """Tell whether the head of an HTTP request asks for dqlite; of one that is cut off the whole lines count.

    Args:
        head: from the request line on; what follows the head does not matter.
    """
    request, *fields = _lines(head)
    return not request.rstrip().endswith(b"HTTP/1.0") and not UPGRADES.isdisjoint(_protocols(fields))


def answers_upgrade(head: bytes) -> bool:
    """Tell whether an HTTP answer lets dqlite's frames follow: a 101 that names no other protocol.

    Args:
        head: from the status line on.
    """
    names = upgrades_to(head)
    return names is not None and (not names or not UPGRADES.isdisjoint(names))


def upgrades_to(head: bytes) -> set[bytes] | None:
    """Return the protocols that an HTTP answer switches to, in lower case; None if it is no 101.

    Args:
        head: from the status line on.
    """
    status, *fields = _lines(head)
    return _protocols(fields) if status.split(None, 2)[1:2] == [b"101"] else None


def is_interim(head: bytes) -> bool:
    """Tell whether an HTTP answer is one of those that another answer follows, such as 100.

    Args:
        head: from the status line on.
    """
    status = head.split(None, 2)[1:2] if head.startswith(HTTP_ANSWER) else []
    return bool(status) and status[0][:1] == b"1" and status[0] != b"101"


def body_size(head: bytes) -> int:
    """Return how many bytes follow the head of an HTTP request, before the next or another protocol.

    Args:
        head: from the request line on.
    """
    sizes = [value for name, value in _fields(_lines(head)[1:]) if name == b"content-length"]
    return int(sizes[0]) if sizes and len(sizes[0]) < 10 and sizes[0].isdigit() else 0


def _lines(head: bytes) -> list[bytes]:
    """The whole lines of a head, folded ones joined; the first is there even if it is not whole."""
    whole, end, _ = head.partition(HTTP_END)
    found: list[bytes] = []
    for line in whole.split(b"\r\n"):
        if found and line[:1] in (b" ", b"\t"):
            found[-1] += b" " + line.strip(b" \t")
        else:
            found.append(line)
    return found if end or len(found) == 1 else found[:-1]


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    parts = (line.partition(b":") for line in lines)
    return [(name.lower(), value.strip(b" \t")) for name, _, value in parts]


def _protocols(lines: list[bytes]) -> set[bytes]:
    values = [value for name, value in _fields(lines) if name == b"upgrade"]
    names = (one.partition(b"/")[0].strip(b" \t").lower() for value in values for one in value.split(b","))
    return {name for name in names if name}
