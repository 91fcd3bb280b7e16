"""Listeners of asyncio, ended so that no connection is lost.

A server of asyncio takes a connection in one turn of the loop, makes its transport in the next and tells its
protocol in a third. Whoever closes the server in between loses the connection: a closed server refuses the
transport, a task that is cancelled before it has begun makes none, and the socket stays open until it is
collected. So no more are taken first, then those that were become known, and the server is closed last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

__all__ = ["end_listening"]

_TURNS = 4  # of the loop: the transport, the protocol, what that begins, and one to spare


async def end_listening(servers: Iterable[asyncio.Server]) -> None:
    """Close listeners, and return when every connection that they have taken is known to its protocol.

    Args:
        servers: of the running loop.
    """
    loop, ended = asyncio.get_running_loop(), tuple(servers)
    try:
        for server in ended:
            for listener in server.sockets:
                loop.remove_reader(listener.fileno())
        for _ in range(_TURNS):
            await asyncio.sleep(0)
    finally:
        for server in ended:
            server.close()
