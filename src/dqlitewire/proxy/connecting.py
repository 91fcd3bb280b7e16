"""From an accepted client to a node: TLS with the client, the socket to the node, TLS there, HTTP upgrade."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dqlitewire.conversation.first_bytes import HTTP_END, is_interim
from dqlitewire.dial import Address, Kind
from dqlitewire.dial.upgrade import MAX_HEAD, check_upgraded, upgrade_request
from dqlitewire.proxy.end import End
from dqlitewire.proxy.relay import Relay, tls_problem

__all__ = ["Connector"]


@dataclass(frozen=True, slots=True)
class Connector:
    """How clients are taken, and nodes dialled.

    Attributes:
        names: Returns what a client is told in place of the nodes' addresses.
        timeout: Seconds for TLS with a client, and for all that is done with a node.
        tls: What clients are met with; None for no TLS.
        to_tls: What nodes are dialled with; None for no TLS.
        to_name: Whom a node's certificate must name; None for the host that is dialled.
        upgrade: Path of the HTTP endpoint that switches to dqlite; None for no HTTP.
    """

    names: Callable[[Relay], Mapping[str, str]]
    timeout: float
    tls: ssl.SSLContext | None = None
    to_tls: ssl.SSLContext | None = None
    to_name: str | None = None
    upgrade: str | None = None

    async def connect(self, relay: Relay) -> None:
        """Connect a client through, or close its connection and say why.

        Args:
            relay: The connection.
        """
        real = relay.place.pair.real
        if not await self._meet_client(relay):
            return
        try:
            async with asyncio.timeout(self.timeout):
                await self._dial(relay, real)
                if self.upgrade is not None:
                    await self._upgrade(relay.server, real, self.upgrade)
        except TimeoutError:
            problem = f"no connection within {self.timeout:g} s"
        except ssl.SSLError as error:
            problem = f"TLS failed: {tls_problem(error)}"
        except OSError as error:
            problem = _problem(error)
        except (ValueError, UnicodeError) as error:  # a host that is no name
            problem = str(error)
        else:
            relay.connected(self.names(relay))
            return
        relay.running.say(f"connection {relay.number} from {relay.peer}: cannot reach {real}: {problem}")
        relay.unconnected()

    async def _meet_client(self, relay: Relay) -> bool:
        """Speak TLS with the client; False if that fails, which is said."""
        if self.tls is None:
            return True
        try:
            async with asyncio.timeout(self.timeout):
                await _start_tls(relay.client, self.tls, server_side=True)
        except TimeoutError:
            problem = f"no handshake within {self.timeout:g} s"
        except ssl.SSLError as error:
            problem = tls_problem(error)
        except OSError as error:
            problem = error.strerror or "the client has gone"
        else:
            return True
        relay.running.say(f"connection {relay.number} from {relay.peer}: TLS failed: {problem}")
        relay.unconnected()
        return False

    async def _dial(self, relay: Relay, real: Address) -> None:
        loop = relay.running.loop

        def end() -> End:
            return relay.server

        if real.kind is Kind.TCP:
            await loop.create_connection(end, real.name, real.port)
        else:
            await loop.create_unix_connection(end, real.socket_name)
        if self.to_tls is not None:
            name = self.to_name or real.name
            await _start_tls(relay.server, self.to_tls, server_side=False, name=name)

    async def _upgrade(self, server: End, real: Address, path: str) -> None:
        server.transport.write(upgrade_request(real, path))
        head = await server.head(HTTP_END, MAX_HEAD)
        while is_interim(head):
            head = await server.head(HTTP_END, MAX_HEAD)
        check_upgraded(head)


def _problem(error: OSError) -> str:
    """What is wrong, in the system's words; asyncio puts the address into them, which was said."""
    numbers = re.findall(r"\[Errno (\d+)\]", str(error))  # of each address of a host that was tried
    if numbers:
        return ", ".join(dict.fromkeys(os.strerror(int(number)) for number in numbers))
    return error.strerror or str(error)


async def _start_tls(
    end: End, context: ssl.SSLContext, *, server_side: bool, name: str | None = None
) -> None:
    loop = asyncio.get_running_loop()
    plain = end.transport
    try:
        end.transport = await loop.start_tls(
            plain, end, context, server_side=server_side, server_hostname=name
        )
    except BaseException:
        end.lost = True  # asyncio has closed it, and does not tell the protocol
        plain.abort()
        raise
    if end.transport is None:
        end.lost = True
        raise ConnectionResetError("the peer has gone")
    end.tls = True
