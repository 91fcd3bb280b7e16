"""Where a server or a proxy listens: TCP, a unix socket with a file, an abstract one.

`parse_local` and `listen` take and give an `Address`, for a tool whose user names one.

The file of a unix socket may be another program's. It is replaced only if nothing listens behind it (a server
that was killed leaves its own), and removed only if it is still the one that was made: device and inode say
so, for the inode cannot be used again while the socket is open.  Between judging a file and replacing it
other servers of this package are kept out by a lock on its folder.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace

from dqlitewire.dial.addresses import Address, Kind
from dqlitewire.dial.errors import AddressError
from dqlitewire.dial.locks import lock, unlock
from dqlitewire.text import shown

__all__ = [
    "Listener",
    "RemoteListenError",
    "check_local",
    "is_loopback",
    "is_wildcard",
    "listen",
    "listen_tcp",
    "listen_unix",
    "parse_local",
]

_BACKLOG = 1024
_LOCK_TRIES = 100  # another holder of a lock on the folder does not stop a server for more than a second


class RemoteListenError(ValueError):
    """An address to listen on that other machines reach, which was not allowed."""


class Listener(socket.socket):
    """A listening socket that takes its file along when it is closed.

    Attributes:
        file: Path, device and inode of the file of a unix socket; None if it has none, or not any more.
    """

    file: tuple[str, int, int] | None = None

    def close(self) -> None:
        """Close it and remove its file, unless the file is another one by now."""
        file, self.file = self.file, None
        try:
            if file is not None:
                _remove(*file)
        finally:
            super().close()

    def leave(self) -> None:
        """Close this process's copy of a socket that another process serves."""
        self.file = None
        self.close()


def parse_local(text: str) -> Address:
    """Parse an ADDRESS to listen on: as `Address.parse` takes them, and with port 0 for any free one.

    Args:
        text: HOST:PORT, [IPv6]:PORT, unix:PATH or @NAME.

    Raises:
        AddressError: it is none of these.
    """
    host, _, port = text.rpartition(":")
    if port.strip("0") or not port or text.startswith(("unix:", "@")):
        return Address.parse(text)
    try:
        return replace(Address.parse(f"{host}:1"), port=0)
    except AddressError:
        raise AddressError(f"{shown(text)} is no HOST:PORT, [IPv6]:PORT, unix:PATH or @NAME") from None


def is_wildcard(host: str) -> bool:
    """Whether a host stands for every interface, so that nobody can dial it from elsewhere.

    Args:
        host: name or number of an interface.
    """
    try:
        if socket.inet_aton(host) == bytes(4):  # takes 0 and 0.0 as well, as bind does
            return True
    except (OSError, UnicodeError):
        pass
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    return number.is_unspecified or bool(getattr(number, "ipv4_mapped", None) == ipaddress.IPv4Address(0))


def is_loopback(address: Address) -> bool:
    """Return whether only programs of this machine can reach a listener.

    Args:
        address: where it listens; a host name is looked up.

    Raises:
        OSError: there is no such host.
    """
    if address.kind is not Kind.TCP:
        return True
    try:
        hosts = [address.name] if ipaddress.ip_address(address.name) else []
    except ValueError:
        try:
            address.name.encode("ascii")
            found = socket.getaddrinfo(address.name, None, type=socket.SOCK_STREAM)
        except UnicodeError:  # or a label is empty or too long
            raise socket.gaierror(socket.EAI_NONAME, "not a name") from None
        hosts = [str(where[0]) for *_, where in found]
    return all(ipaddress.ip_address(host).is_loopback for host in hosts)


def check_local(address: Address) -> None:
    """Refuse to listen where other machines could connect.

    Args:
        address: where; a host name is looked up.

    Raises:
        RemoteListenError: they could.
        OSError: there is no such host.
    """
    if not is_loopback(address):
        raise RemoteListenError(f"{address} can be reached from other machines")


def listen(address: Address, *, mode: int | None = None) -> tuple[Listener, Address]:
    """Listen on an address.

    Args:
        address: where; port 0 takes a free one.
        mode: of the file of a unix socket, before anybody can connect; None for what the umask says.

    Returns:
        The listener, and its address with the port that it has.

    Raises:
        OSError: somebody listens there, or it cannot be had; its words name the address.
    """
    try:
        return _listen(address, mode)
    except OSError as error:
        problem = f"cannot listen on {address}: {error.strerror or error}"
        raise OSError(error.errno, problem) from error


def _listen(address: Address, mode: int | None) -> tuple[Listener, Address]:
    if address.kind is Kind.TCP:
        listener = listen_tcp(address.name, address.port)
        return listener, replace(address, port=listener.getsockname()[1])
    if address.kind is Kind.ABSTRACT:
        return listen_unix(str(address)), address
    path = address.name
    return listen_unix(f"./{path}" if path.startswith("@") else path, mode=mode), address


def listen_tcp(host: str, port: int) -> Listener:
    """Listen on an interface; port 0 takes a free one."""
    listener = Listener(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def listen_unix(address: str, *, mode: int | None = None) -> Listener:
    """Listen on a path, or on an abstract name behind an "@"; the file of a dead server is replaced.

    Raises:
        OSError: Somebody listens there, or the path is that of something else.
    """
    listener = Listener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if address.startswith("@"):
            listener.bind("\0" + address[1:])
            listener.listen(_BACKLOG)
            return listener
        path = os.path.abspath(address)
        with _alone_in(os.path.dirname(path)):
            _bind(listener, address)
            if mode is not None:
                os.chmod(path, mode)
            listener.listen(_BACKLOG)  # still alone: bound and not listening yet looks dead
            status = os.lstat(path)
        listener.file = path, status.st_dev, status.st_ino
    except BaseException:
        listener.close()
        raise
    return listener


def _bind(listener: socket.socket, path: str) -> None:
    try:
        listener.bind(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not _is_dead(path):
            raise
        with suppress(FileNotFoundError):
            os.unlink(path)
        listener.bind(path)


def _is_dead(path: str) -> bool:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)  # a living server may have a full backlog
            probe.connect(path)
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except OSError:
        pass
    return False


def _remove(path: str, device: int, inode: int) -> None:
    with _alone_in(os.path.dirname(path)), suppress(FileNotFoundError, NotADirectoryError):
        status = os.lstat(path)
        if (status.st_dev, status.st_ino) == (device, inode):
            os.unlink(path)


@contextmanager
def _alone_in(folder: str) -> Generator[None]:
    held = -1
    with suppress(OSError):  # no such folder, or not to be read or locked: what is done there will tell
        held = lock(folder, _LOCK_TRIES)
    try:
        yield
    finally:
        if held >= 0:
            unlock(held)
