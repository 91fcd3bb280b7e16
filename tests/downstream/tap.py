"""Stand between a client and a node, copy the bytes, and judge what passed by the observer."""

from __future__ import annotations

import contextlib
import socket
import threading

from dqlitewire.conversation import Exchange, Frame, Gap, Garbage, Observer, Side

__all__ = ["Tap", "Wire", "exchanges", "streams_of"]

Wire = list[tuple[Side, bytes]]  # one connection: what passed, in its order; b"" where a side closed
TIMEOUT = 30.0


class Tap:
    """Listens at one address and copies every connection to another.

    Args:
        address: Where it listens; of port 0 `self.address` has the port that was taken.
        target: What it dials for each connection.

    Attributes:
        address: Where it listens.
        wires: what passed, a list for each connection.
    """

    def __init__(self, address: str, target: str) -> None:
        self.wires: list[Wire] = []
        self.target = split(target)
        self.lock = threading.Lock()
        self.threads: list[threading.Thread] = []
        self.server = socket.create_server(split(address))
        self.address = f"{split(address)[0]}:{self.server.getsockname()[1]}"
        self.start(self.accept)

    def start(self, action: object, *arguments: object) -> None:
        thread = threading.Thread(target=action, args=arguments)  # type: ignore[arg-type]
        self.threads.append(thread)
        thread.start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.server.accept()
                try:
                    node = socket.create_connection(self.target, TIMEOUT)
                except OSError:
                    client.close()
                    continue
                for one in (client, node):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wire: Wire = []
                self.wires.append(wire)
                self.start(self.relay, client, node, wire)

    def relay(self, client: socket.socket, node: socket.socket, wire: Wire) -> None:
        back = threading.Thread(target=self.copy, args=(Side.SERVER, node, client, wire))
        back.start()
        self.copy(Side.CLIENT, client, node, wire)
        back.join()
        client.close()
        node.close()

    def copy(self, side: Side, source: socket.socket, target: socket.socket, wire: Wire) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self.lock:
                    wire.append((side, data))
                target.sendall(data)
        with self.lock:
            wire.append((side, b""))
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for thread in self.threads:
            thread.join(TIMEOUT)


def split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def streams_of(wires: list[Wire]) -> list[tuple[bytes, bytes]]:
    """What each side of each connection sent, in an order that does not depend on who was accepted first."""
    return sorted(
        (
            b"".join(data for who, data in wire if who is Side.CLIENT),
            b"".join(data for who, data in wire if who is Side.SERVER),
        )
        for wire in wires
    )


def exchanges(wire: Wire) -> list[Exchange]:
    """What was asked and answered on one connection; every frame must decode and every answer be whole."""
    observer = Observer()
    events = []
    for side, data in wire:
        events += observer.receive(side, data) if data else observer.receive_eof(side)
    events += observer.finish()
    damaged = [event for event in events if isinstance(event, Garbage | Gap)]
    assert not damaged, damaged
    for event in events:
        if isinstance(event, Frame):
            assert event.error is None, event
    found = [event for event in events if isinstance(event, Exchange)]
    assert {exchange.ending for exchange in found} <= {"done", "failure"}, found
    return found
