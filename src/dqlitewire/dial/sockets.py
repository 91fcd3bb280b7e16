"""Connect to a node over TCP, a unix or an abstract socket, in TLS, behind an HTTP upgrade, by one deadline.

A daemon that runs dqlite inside itself rarely exposes its port. go-dqlite's `app` puts TLS in front of it,
with one certificate for both sides (app/proxy.go: proxy); LXD, MicroCloud and Incus serve it on their API
port, behind TLS and an HTTP upgrade (`upgrade`). So the layers are made one upon the other; TLS and the
upgrade may each be left out:

    socket   TCP (every address of the host is tried in turn) | unix | abstract
    TLS      wraps the socket                    DialOptions.cert, key, ca, server_name
    upgrade  one HTTP request and its answer     DialOptions.upgrade
    dqlite   the handshake comes next; the conversation makes it

The timeout of a socket holds for one call only, so that a peer which sends a byte now and then could keep a
reader for ever. A `Deadline` is set once, and each call gets what is left of it.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from dqlitewire.conversation.first_bytes import HTTP_END, is_interim
from dqlitewire.dial.addresses import Address, Kind
from dqlitewire.dial.errors import ClosedError, SilentError
from dqlitewire.dial.options import PLAIN, DialOptions
from dqlitewire.dial.upgrade import MAX_HEAD, check_upgraded, upgrade_request
from dqlitewire.text import kind_of, shown

LONGEST_WAIT = 1e6  # seconds of one wait: poll counts milliseconds in 32 bits


class Deadline:
    """Until when all must be over.

    Args:
        seconds: from now on; infinite for no end.
        clock: counts the seconds.

    Attributes:
        seconds: as given.

    Raises:
        TypeError: the seconds are no number.
        ValueError: they are NaN.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        if not issubclass(type(seconds), (int, float)):
            raise TypeError(f"seconds is {kind_of(seconds)}, a number is needed")
        if math.isnan(seconds):
            raise ValueError("seconds is nan, a number is needed")
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds
        self._stands: float | None = None  # since when

    def left(self) -> float:
        """Return the seconds that are left, as far as the system can wait.

        Raises:
            TimeoutError: none are.
        """
        left = self._end - (self._clock() if self._stands is None else self._stands)
        if left <= 0:
            raise TimeoutError
        return min(left, LONGEST_WAIT)

    def stand(self) -> None:
        """Stop the clock until `go`: what is left stays as it is."""
        if self._stands is None:
            self._stands = self._clock()

    def go(self) -> None:
        """Let the clock run on from where `stand` stopped it."""
        if self._stands is not None:
            self._end += self._clock() - self._stands
            self._stands = None

    def share(self, parts: int) -> Deadline:
        """Return a deadline after one of so many equal parts of what is left.

        Args:
            parts: how many parts there are.

        Raises:
            TimeoutError: nothing is left.
        """
        return Deadline(self.left() / parts, self._clock)


def dial(address: Address, deadline: Deadline, options: DialOptions = PLAIN) -> socket.socket:
    """Connect to a node.

    Args:
        address: where it listens.
        deadline: for looking up the host, connecting, TLS and upgrade together.
        options: TLS and HTTP upgrade; plain by default.

    Returns:
        A connected socket (of TLS an `ssl.SSLSocket`); the caller closes it.

    Raises:
        SilentError: somebody took the connection, and the rest took too long.
        ClosedError: somebody took the connection and closed it.
        TimeoutError: it took too long.
        socket.gaierror: there is no such host.
        UpgradeRefusedError: the HTTP server did not switch to dqlite.
        OSError: nothing listens there, or TLS failed (`ssl.SSLError`).
        ValueError: the options make no sense together, or for this address.
    """
    context, name = None, server_name(address, options)
    if options.tls:
        context = options.tls_context()
    request = None if options.upgrade is None else upgrade_request(address, options.upgrade)
    sock = _connect(address, deadline)
    try:
        if context is not None:
            sock.settimeout(deadline.left())  # the handshake keeps it as a whole
            sock = context.wrap_socket(sock, server_hostname=name)
        if request is not None:
            _upgrade(sock, request, deadline)
    except BaseException as error:
        sock.close()
        if isinstance(error, TimeoutError):
            raise SilentError from None
        if isinstance(error, ConnectionResetError | BrokenPipeError):
            raise ClosedError("the connection was closed") from None
        raise
    return sock


def own_host(ipv6: bool = False) -> str:
    """Return an IP address by which other machines can reach this one: that of its way out.

    Args:
        ipv6: prefer one of IPv6.

    Returns:
        An IP address; that of the loopback interface where there is no other.
    """
    # connecting sends nothing; both are addresses for documentation
    for family, anywhere in ((socket.AF_INET6, "2001:db8::1"), (socket.AF_INET, "192.0.2.1"))[not ipv6 :]:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.connect((anywhere, 9))
                return str(sock.getsockname()[0])
        except OSError:
            continue
    return "::1" if ipv6 else "127.0.0.1"


def server_name(address: Address, options: DialOptions) -> str | None:
    """Return whom TLS is to be spoken with; None for anybody whose certificate is taken.

    Args:
        address: where the node listens.
        options: of the connection.

    Raises:
        ValueError: neither the address nor the options tell.
    """
    if options.server_name is not None or address.kind is Kind.TCP:
        return options.server_name or address.name
    if options.tls and not options.any_name:
        raise ValueError(f"TLS on {shown(str(address))} needs the name of the server")
    return None


def _connect(address: Address, deadline: Deadline) -> socket.socket:
    """Connect to the first of the places that takes it."""
    problem = OSError("no address")
    places = _places(address, deadline)
    for number, (family, kind, protocol, _, where) in enumerate(places):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(
                deadline.share(len(places) - number).seconds
            )  # a silent one leaves some to the others
            sock.connect(where)
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
    raise problem


def _places(address: Address, deadline: Deadline) -> list[tuple[Any, ...]]:
    """Return what to try, as `getaddrinfo` does."""
    if address.kind is not Kind.TCP:
        return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", address.socket_name)]
    return _looked_up(address.name, address.port, deadline)


def _looked_up(host: str, port: int, deadline: Deadline) -> list[tuple[Any, ...]]:
    """Look a host up. The system's own function takes no deadline: it runs in a thread, which is left
    behind when it takes too long."""
    found: list[tuple[Any, ...]] = []
    problems: list[Exception] = []

    def look() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            problems.append(error)
        except UnicodeError:  # a label that is empty or too long
            problems.append(socket.gaierror(socket.EAI_NONAME, "not a name"))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(deadline.left())
    if problems:
        raise problems[0]
    if not found:
        raise TimeoutError
    return found


def send_all(sock: socket.socket, data: bytes, deadline: Deadline) -> None:
    """Send bytes before a deadline; `sendall` of TLS gives each of its records the whole timeout.

    Args:
        sock: connected, plain or TLS.
        data: the bytes.
        deadline: for all of them.

    Raises:
        TimeoutError: it took too long.
        OSError: the connection failed.
    """
    left = memoryview(data)
    while left:
        sock.settimeout(deadline.left())
        left = left[sock.send(left) :]


def _upgrade(sock: socket.socket, request: bytes, deadline: Deadline) -> None:
    """Ask for the upgrade and read the answer's head; what follows is dqlite's, so not a byte more."""
    send_all(sock, request, deadline)
    head = _http_head(sock, deadline)
    while is_interim(head):
        head = _http_head(sock, deadline)
    check_upgraded(head)


def _http_head(sock: socket.socket, deadline: Deadline) -> bytes:
    head = b""
    while not head.endswith(HTTP_END) and len(head) <= MAX_HEAD:
        sock.settimeout(deadline.left())
        byte = sock.recv(1)
        head += byte
        if not byte:
            break
    return head
