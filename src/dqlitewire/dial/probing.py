"""Ask a live node how it is; `health` has the questions and what the answers mean.

One deadline stands over everything, so that a peer cannot hold us by saying a little at a time.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from dqlitewire import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY
from dqlitewire.conversation import ClientConversation
from dqlitewire.dial.addresses import Address
from dqlitewire.dial.client import CLOSED, Client, describe_peer
from dqlitewire.dial.errors import Unexpected
from dqlitewire.dial.health import Health, Questions, Status, ask_again, ask_node
from dqlitewire.dial.options import PLAIN, DialOptions
from dqlitewire.dial.sockets import Deadline, dial
from dqlitewire.limits import Limits

LIMITS = Limits(max_message_size=4 << 20)  # the largest answer names 10 000 nodes


def probe(
    address: str,
    timeout: float = 5.0,
    options: DialOptions = PLAIN,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Health:
    """Ask a node for its leader, cluster, metadata and generation; nothing is changed.

    Args:
        address: where it listens: HOST:PORT, [IPv6]:PORT, unix:PATH or @NAME.
        timeout: seconds for all of it: finding the host, connecting, asking, every answer.
        options: TLS and HTTP upgrade; plain by default.
        clock: counts the seconds.

    Raises:
        AddressError: the address is none.
        ValueError: the options make no sense together, or for this address.
    """
    health = Health(address, Status.UNREACHABLE)
    deadline = Deadline(timeout, clock)
    _Probe(Address.parse(address), options, deadline, clock, health).run()
    return health


@dataclass(slots=True)
class _Probe:
    address: Address
    options: DialOptions
    deadline: Deadline
    clock: Callable[[], float]
    health: Health
    asked: str = ""  # what was asked last

    def run(self) -> None:
        try:
            self._connection(PROTOCOL_VERSION, lambda talk: ask_node(self.health, talk, self.clock))
        except TimeoutError:
            silent = self.health.connected is not None and self.health.round_trip is None
            connected = "connected, but " if silent else ""
            self._failed(f"{connected}no answer within {self.deadline.seconds:g} s", Status.UNREACHABLE)
        except socket.gaierror as error:
            self._failed(f"no such host ({error.strerror})", Status.UNREACHABLE)
        except OSError as error:
            if self.health.connected is None:
                self._failed(error.strerror or str(error), Status.UNREACHABLE)
            else:
                self._failed(CLOSED, Status.NOT_DQLITE)
        except Unexpected as error:
            strange = error.head and self.health.round_trip is None
            self._failed(describe_peer(error.head) if strange else str(error), Status.NOT_DQLITE)
        if self.health.status is Status.NO_LEADER:
            with suppress(OSError, Unexpected):  # what the old handshake brings, or not, makes nothing worse
                self._connection(PROTOCOL_VERSION_LEGACY, lambda talk: ask_again(self.health, talk))

    def _failed(self, detail: str, status: Status) -> None:
        """Note what went wrong: with a node that has answered LEADER, or before that."""
        if self.health.round_trip is not None:
            status, detail = Status.FAILING, f"{self.asked}: {detail}"
        self.health.status, self.health.detail = status, detail

    def _connection(self, version: int, questions: Callable[[ClientConversation], Questions]) -> None:
        """Ask over a new connection."""
        begin = self.clock()
        sock = dial(self.address, self.deadline, self.options)
        if self.health.connected is None:
            self.health.connected = self.clock() - begin
        # the role of a node in a cluster of a later release may be one that we do not know
        conversation = ClientConversation(version, unknown_role_policy="accept", limits=LIMITS)
        with Client(sock, conversation, self.deadline) as client:
            self._ask(questions(conversation), client)

    def _ask(self, questions: Questions, client: Client) -> None:
        with suppress(StopIteration):
            question = next(questions)
            while True:
                self.asked = question.name
                question = questions.send(client.ask(question.data))
