"""Whom a survey asks, whom it does not because another names it, and the threads that ask."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from dqlitewire.dial.addresses import Address, Kind
from dqlitewire.dial.errors import AddressError
from dqlitewire.dial.health import Health
from dqlitewire.dial.options import PLAIN, DialOptions
from dqlitewire.dial.probing import AT_ONCE
from dqlitewire.dial.sockets import Deadline


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a node is reached.

    Attributes:
        address: where it listens.
        options: TLS and HTTP upgrade.
        node_id: that a store gives it; 0 if none does.
        store: path of that store.
        named_by: address of the node that named it; empty if somebody asks for it.
    """

    address: Address
    options: DialOptions = PLAIN
    node_id: int = 0
    store: str = ""
    named_by: str = ""


Ask = Callable[[Endpoint, Deadline], Health]


def not_followed(address: Address, teller: Health) -> str:
    """Return why an address is not dialled on a node's word; empty if it is.

    Args:
        address: that the node names.
        teller: the node.
    """
    if not _is_local(str(address)) or _is_local(teller.reached or teller.address):
        return ""
    return "not asked, being of this machine and named by another"


def _is_local(address: str) -> bool:
    """Whether an address is one of this machine for certain."""
    try:
        parsed = Address.parse(address)
    except AddressError:
        return False
    if parsed.kind is not Kind.TCP:
        return True
    try:
        ip = ipaddress.ip_address(parsed.name.partition("%")[0])
    except ValueError:
        return parsed.name.lower().rstrip(".") == "localhost"
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    return bool(mapped.is_loopback or mapped.is_unspecified)


class Workers:
    """Threads that ask; daemons, since an interrupted command does not wait for what they wait for.

    Args:
        ask: asks a node.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._left: SimpleQueue[tuple[str, Endpoint, Deadline] | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[str, Health | Exception]] = SimpleQueue()
        self._threads = self._open = 0

    def put(self, key: str, endpoint: Endpoint, deadline: Deadline) -> None:
        """Have a node asked.

        Args:
            key: comes back with the answer.
            endpoint: of the node.
            deadline: for the answer.
        """
        self._left.put((key, endpoint, deadline))
        self._open += 1
        if self._threads < min(self._open, AT_ONCE):
            self._threads += 1
            threading.Thread(target=self._work, daemon=True).start()

    def get(self, timeout: float | None) -> tuple[str, Health | Exception]:
        """Wait for an answer.

        Args:
            timeout: seconds; None waits until there is one.

        Raises:
            Empty: there was none in time.
        """
        done = self._done.get(timeout=timeout)
        self._open -= 1
        return done

    def close(self) -> None:
        """Let the threads end, each behind what it does; what nobody has begun is left."""
        with suppress(Empty):
            while True:
                self._left.get_nowait()
        for _ in range(self._threads):
            self._left.put(None)

    def _work(self) -> None:
        while (each := self._left.get()) is not None:
            key, endpoint, deadline = each
            try:
                self._done.put((key, self._ask(endpoint, deadline)))
            except Exception as error:
                self._done.put((key, error))
