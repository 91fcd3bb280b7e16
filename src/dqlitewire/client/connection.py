"""One connection to one node: requests out, events in, each wait by a deadline.

Whatever goes wrong with the connection ends it: it is closed, and `Broken` says what became of the request.
A FAILURE is an event as any other.
"""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dqlitewire import PROTOCOL_VERSION, ProtocolError
from dqlitewire.conversation import ClientConversation, Event, Generation, Lost, Outcome
from dqlitewire.dial import Address, Deadline, DialOptions, dial
from dqlitewire.limits import Limits

CLOSED = "the connection was closed"
#: rows are handed on as they come, so only a frame is bounded
LIMITS = Limits(max_total_rows=None, max_continuation_frames=None)
_SIZE = 65536  # bytes read at once


class Broken(Exception):
    """The connection cannot be used any more.

    Args:
        said: why, in words.
        outcome: what became of the request.
        silent: whether it is for want of time.
    """

    def __init__(self, said: str, outcome: Outcome, silent: bool = False) -> None:
        super().__init__(said)
        self.outcome = outcome
        self.silent = silent


@dataclass(frozen=True)
class Dialler:
    """How connections are made.

    Attributes:
        options: TLS and HTTP upgrade.
        limits: of what is sent and received.
        generation: of the servers, if it is known.
    """

    options: DialOptions = field(default_factory=DialOptions)
    limits: Limits = LIMITS
    generation: Generation = Generation.UNKNOWN

    def connect(self, address: Address, deadline: Deadline, version: int = PROTOCOL_VERSION) -> Connection:
        """Connect to a node.

        Args:
            address: where it listens.
            deadline: for connecting.
            version: of the protocol.

        Raises:
            TimeoutError: it took too long.
            OSError: it cannot be reached.
            ValueError: the options make no sense for this address.
        """
        conversation = ClientConversation(
            version,
            generation=self.generation,
            limits=self.limits,
            unknown_role_policy="accept",
        )
        return Connection(dial(address, deadline, self.options), address, conversation)


class Connection:
    """A socket and its conversation.

    Args:
        sock: connected, as `dial` returns it.
        address: of the node.
        conversation: a new one.
    """

    def __init__(self, sock: socket.socket, address: Address, conversation: ClientConversation) -> None:
        self._socket = sock
        self.address = address
        self.conversation = conversation
        self._events: deque[Event] = deque()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._socket.fileno() < 0

    def ask(self, request: Any, deadline: Deadline) -> Event:
        """Send a request and return the first event about it.

        Args:
            request: the message.
            deadline: for both.

        Raises:
            Broken: the connection failed, or it took too long.
        """
        self.send(request, deadline)
        return self.event(request, deadline)

    def send(self, request: Any, deadline: Deadline) -> None:
        """Send a request.

        Args:
            request: the message.
            deadline: for it.

        Raises:
            Broken: the connection failed, or it took too long.
            HazardError: it would harm the server; nothing was sent.
            EncodeError: it cannot be encoded; nothing was sent.
        """
        left = memoryview(self.conversation.send(request))
        try:
            while left:
                self._socket.settimeout(deadline.left())
                left = left[self._socket.send(left) :]
        except OSError as error:  # a request that has not left as a whole is not executed
            self.close()
            raise Broken(_words(error, deadline), Outcome.NOT_EXECUTED, _silent(error)) from error
        except BaseException:
            self.close()
            raise

    def event(self, request: Any, deadline: Deadline) -> Event:
        """Wait for the next event about a request that was sent.

        Args:
            request: the message.
            deadline: for it.

        Raises:
            Broken: the connection failed, or it took too long.
        """
        try:
            while True:
                while self._events:
                    event = self._events.popleft()
                    if getattr(event, "request", None) is request:
                        return event
                self._socket.settimeout(deadline.left())
                data = self._socket.recv(_SIZE)
                if not data:
                    raise ConnectionError(CLOSED)
                self._events += self.conversation.receive(data)
        except (OSError, ProtocolError) as error:
            said = str(error) if isinstance(error, ProtocolError) else _words(error, deadline)
            raise Broken(said, self._given_up(request), _silent(error)) from error
        except BaseException:
            self.close()
            raise

    def _given_up(self, request: Any) -> Outcome:
        """Close; return what became of a request."""
        self.close()
        outcome = Outcome.UNKNOWN
        with suppress(ProtocolError):
            for event in self.conversation.receive_eof():
                if isinstance(event, Lost) and event.request is request:
                    outcome = event.outcome
        return outcome


def _silent(error: Exception) -> bool:
    return isinstance(error, TimeoutError)


def _words(error: OSError, deadline: Deadline) -> str:
    if _silent(error):
        return f"no answer within {deadline.seconds:.3g} s"
    return (error.strerror or str(error)).lower()
