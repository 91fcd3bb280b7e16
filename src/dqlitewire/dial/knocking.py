"""What speaks at an address that did not answer as a dqlite node: TLS, HTTP, or dqlite in another wrapping.

Many servers say nothing to what they do not understand: they close, or wait for the rest of it. So each
protocol is greeted in its own words, on a connection of its own, and the first bytes of the answer tell. None
of the greetings changes anything, whoever hears it.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import replace

from dqlitewire import PROTOCOL_VERSION, ResponseType
from dqlitewire.dial.addresses import Address
from dqlitewire.dial.client import spoken_by
from dqlitewire.dial.options import PLAIN, DialOptions
from dqlitewire.dial.sockets import Deadline, dial, send_all
from dqlitewire.header import HEADER
from dqlitewire.messages import LeaderRequest

_HEAD = 8  # bytes that tell


def what_speaks(address: Address, deadline: Deadline, options: DialOptions) -> str:
    """Find out what speaks at an address.

    Args:
        address: where something listens that did not answer as a node.
        deadline: for all of it.
        options: that the node was dialled with.

    Returns:
        "tls", "http" or "dqlite"; "" if it is none of these, or says nothing.
    """
    inside = replace(options, upgrade=None)
    attempts = [("dqlite", inside)] if options.upgrade is not None else []
    attempts += [("http", inside), ("dqlite", PLAIN)] if options.tls else [("tls", PLAIN)]
    attempts.append(("http", PLAIN))
    for number, (name, how) in enumerate(attempts):
        with suppress(OSError):  # what does not even connect speaks nothing
            share = deadline.share(len(attempts) - number)
            with dial(address, share, how) as sock:
                send_all(sock, _GREETINGS[name](), share)
                if _recognised(_head(sock, share)) == name:
                    return name
    return ""


def refusal(address: Address, deadline: Deadline, options: DialOptions) -> OSError | None:
    """Find out whether a server of TLS refuses us, which in TLS 1.3 it says behind the handshake.

    Whoever has sent something by then may find the connection reset, and the alert gone with it.

    Args:
        address: of a server that closed the connection without an answer.
        deadline: for this.
        options: that it was dialled with.

    Returns:
        What TLS says; None if it says nothing.
    """
    try:
        with dial(address, deadline, replace(options, upgrade=None)) as sock:
            sock.settimeout(deadline.left())
            sock.recv(1)
    except OSError as error:
        return None if isinstance(error, TimeoutError) else error
    return None


def _head(sock: socket.socket, deadline: Deadline) -> bytes:
    head = b""
    while len(head) < _HEAD:
        sock.settimeout(deadline.left())
        data = sock.recv(_HEAD - len(head))
        if not data:
            break
        head += data
    return head


def _recognised(head: bytes) -> str:
    if len(head) == HEADER.size:
        words, code, schema, unused = HEADER.unpack(head)
        if code in (ResponseType.LEADER, ResponseType.FAILURE) and words and not schema and not unused:
            return "dqlite"
    return spoken_by(head)


def _tls() -> bytes:
    """What a client says first."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    said = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), said).do_handshake()
    return said.read()


def _http() -> bytes:
    return b"HEAD / HTTP/1.0\r\n\r\n"


def _dqlite() -> bytes:
    return PROTOCOL_VERSION.to_bytes(8, "little") + LeaderRequest().encode()


_GREETINGS = {"tls": _tls, "http": _http, "dqlite": _dqlite}
