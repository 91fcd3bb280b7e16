"""What go-dqlite's `app` puts in front of a node, on one port: TLS or HTTP for clients, raft for other nodes.

    with Front(tls=context) as front, Node(kind, options=["--bind", front.inside]) as node: ...

The node advertises `front.address` and listens on `front.inside`. In production its peers speak TLS as well;
the nodes of the tests have nothing that would: theirs are known by the first byte and passed on as they come.
"""

from __future__ import annotations

import socket
import ssl

from tests.dial.relays import Relay
from tests.real.nodes import free_port

_PLAIN = b"\1"  # of the handshake, which only a node's peers send here


class Front(Relay):
    """Accepts clients as a `Relay` does, and a node's peers as they come.

    Args:
        tls: of the server; None for none.
        path: of an HTTP endpoint that switches to dqlite; None for no HTTP.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, path: str | None = None) -> None:
        self.inside = f"127.0.0.1:{free_port()}"
        super().__init__(self.inside, tls=tls, path=path)
        self.plain = 0  # connections that were passed on as they came

    def _serve(self, client: socket.socket) -> None:
        self._open.append(client)
        try:
            client.settimeout(60)
            if client.recv(1, socket.MSG_PEEK) == _PLAIN:
                self.plain += 1
                with socket.create_connection((self._node.name, self._node.port)) as node:
                    self._open.append(node)
                    self._copy(client, node)
                return
        except OSError:
            return
        finally:
            if client.fileno() < 0:
                self._open.remove(client)
        super()._serve(client)
