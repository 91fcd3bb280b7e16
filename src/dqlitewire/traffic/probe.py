"""Ask a live node how it is, with requests that change nothing and that no server generation takes amiss.

Four questions on one connection: LEADER, CLUSTER, DESCRIBE (format 0 only: any other kills the node) and
LEADER with schema 1, which tells the server's generation apart. Nothing is opened. A node is healthy if it
answers all four; one deadline stands over everything, so that a peer cannot hold us by saying a little at a
time.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dqlitewire import DQLITE_PARSE, PROTOCOL_VERSION_LEGACY, NodeInfo, ProtocolError, ResponseType
from dqlitewire.conversation import Answered, ClientConversation, Event, Failed, Generation, Probed
from dqlitewire.limits import Limits
from dqlitewire.messages import (
    ClusterRequest,
    DescribeRequest,
    LeaderRequest,
    LeaderResponse,
    MetadataResponse,
    ServersResponse,
)
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.views.summary import summarise

LIMITS = Limits(max_message_size=4 << 20)  # the largest answer names 10 000 nodes


class Status(Enum):
    """What a probe found."""

    HEALTHY = "healthy"
    NO_LEADER = "no leader"
    UNREACHABLE = "unreachable"
    FAILING = "failing"  # it answered LEADER, and then not as a node should
    NOT_DQLITE = "not dqlite"


GENERATIONS = {
    Generation.UNKNOWN: "unknown",
    Generation.V1_11: "1.11 or older",
    Generation.V1_12: "1.12 or newer",
    Generation.V1_15: "1.15 or newer",
    Generation.V1_18_2: "1.18.2 or newer",
    Generation.V1_18_3: "1.18.3 or newer",
}


@dataclass
class Health:
    """The state of a node.

    Attributes:
        leader: id and address of the leader the node knows; an id of 0 with an address does not happen.
        round_trip: seconds from asking LEADER to its answer.
        detail: why, if it is not healthy.
    """

    address: str
    status: Status
    detail: str = ""
    leader_id: int = 0
    leader_address: str = ""
    nodes: list[NodeInfo] = field(default_factory=list[NodeInfo])
    failure_domain: int | None = None
    weight: int | None = None
    generation: Generation = Generation.UNKNOWN
    connected: float | None = None
    round_trip: float | None = None

    @property
    def server(self) -> str:
        """The server's generation in words."""
        return GENERATIONS[self.generation]


_PORT = re.compile("[0-9]{1,5}")  # longer ones need not be counted


def split_address(address: str) -> tuple[str, int]:
    """Split HOST:PORT or [HOST]:PORT.

    Raises:
        SourceError: it is neither.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise SourceError(f"{address!r} is no HOST:PORT", "for example 127.0.0.1:9001 or [::1]:9001")
    return host, int(port)


class _Deadline:
    """Until when all must be over."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError
        return left


class _Strange(Exception):
    """The other end does what a dqlite node does not."""


def probe(address: str, timeout: float = 5.0, *, clock: Callable[[], float] = time.monotonic) -> Health:
    """Ask the node at HOST:PORT.

    Args:
        address: where it listens.
        timeout: seconds for all of it: finding the host, connecting, asking, every answer.
        clock: counts the seconds.

    Raises:
        SourceError: the address is none.
    """
    host, port = split_address(address)
    health = Health(address, Status.UNREACHABLE)
    deadline = _Deadline(timeout, clock)
    question = _Question(deadline)
    begin = clock()
    try:
        with closing(_dial(host, port, deadline)) as question.sock:
            health.connected = clock() - begin
            _ask(question, health, clock)
        if health.status is Status.NO_LEADER:
            with closing(_dial(host, port, deadline)) as question.sock:
                _ask_as_of_old(question, health)
    except TimeoutError:
        reached = "connected, but " if health.connected is not None and not question.answered else ""
        _went_wrong(health, question, f"{reached}no answer within {timeout:g} s", Status.UNREACHABLE)
    except socket.gaierror as error:
        _went_wrong(health, question, f"no such host ({error.strerror})", Status.UNREACHABLE)
    except OSError as error:
        if health.connected is None:
            _went_wrong(health, question, error.strerror or str(error), Status.UNREACHABLE)
        else:
            _went_wrong(health, question, _CLOSED, Status.NOT_DQLITE)
    except _Strange as error:
        _went_wrong(health, question, str(error), Status.NOT_DQLITE)
    return health


_CLOSED = "the connection was closed without an answer"


def _went_wrong(health: Health, question: _Question, detail: str, status: Status) -> None:
    if question.all_answered:
        return  # what the old handshake brings, or not, changes nothing
    if question.answered:
        health.status, health.detail = Status.FAILING, f"{question.name}: {detail}"
    else:
        health.status, health.detail = status, detail


def _dial(host: str, port: int, deadline: _Deadline) -> socket.socket:
    """Connect to the first of a host's addresses that takes it."""
    problem = OSError("no address")
    for family, kind, protocol, _, address in _addresses(host, port, deadline):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.left())
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
    raise problem


def _addresses(host: str, port: int, deadline: _Deadline) -> list[tuple[Any, ...]]:
    """Look a host up. The system's own function knows no deadline: it gets a thread, which is left behind
    when it takes too long."""
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


class _Question:
    """Questions to one node, one after the other.

    Attributes:
        name: what was asked last.
        answered: how many were answered.
        all_answered: nothing more that matters is asked.
    """

    def __init__(self, deadline: _Deadline) -> None:
        self.sock: socket.socket
        self.name = ""
        self.answered = 0
        self.all_answered = False
        self._deadline = deadline

    def __call__(self, conversation: ClientConversation, data: bytes, name: str) -> Event:
        """Send a request and wait for what ends it.

        Raises:
            _Strange: that is no answer of a dqlite node.
            OSError: the connection failed, or took too long.
        """
        self.name = name
        self.sock.settimeout(self._deadline.left())
        self.sock.sendall(data)  # the timeout holds for all of it
        received = b""
        while True:
            self.sock.settimeout(self._deadline.left())
            chunk = self.sock.recv(65536)
            received = (received + chunk)[:16]
            try:
                if not chunk:
                    raise _Strange(_CLOSED)
                events = conversation.receive(chunk)
            except (_Strange, ProtocolError) as error:
                told = str(error) if self.answered or not received else _stranger(received)
                raise _Strange(told) from None
            ended = [event for event in events if isinstance(event, (Answered, Failed, Probed))]
            if ended:
                self.answered += 1
                return ended[0]
            if events:
                raise _Strange(repr(events[0]))


def _ask(question: _Question, health: Health, clock: Callable[[], float]) -> None:
    conversation = ClientConversation(unknown_role_policy="accept", limits=LIMITS)
    begin = clock()
    match question(conversation, conversation.send(LeaderRequest()), "LEADER"):
        case Answered(_, LeaderResponse(node_id, address)):
            health.round_trip = clock() - begin
            health.leader_id, health.leader_address = node_id, address
        case other:
            question.answered = 0
            raise _Strange(f"LEADER was answered otherwise: {_said(other)}")
    refusals: list[str] = []
    for request in (ClusterRequest(), DescribeRequest()):
        name = "CLUSTER" if isinstance(request, ClusterRequest) else "DESCRIBE"
        match question(conversation, conversation.send(request), name):
            case Answered(_, ServersResponse() as servers):
                health.nodes = list(servers.nodes)
            case Answered(_, MetadataResponse(failure_domain, weight)):
                health.failure_domain, health.weight = failure_domain, weight
            case Failed(_, failure) if failure.code != DQLITE_PARSE:  # that is of one too old for a request
                refusals.append(f"{name}: {failure.message}")
            case Failed(_, failure):
                health.detail = f"{name}: {failure.message}"
            case other:
                raise _Strange(f"answered otherwise: {_said(other)}")
    match question(conversation, conversation.send_probe(), "LEADER with schema 1"):
        case Probed(generation):
            health.generation = generation
        case other:
            raise _Strange(f"answered otherwise: {_said(other)}")
    question.all_answered = True
    health.status = Status.HEALTHY if health.leader_address else Status.NO_LEADER
    if refusals:
        health.status, health.detail = Status.FAILING, "; ".join(refusals)
    elif not health.leader_address:
        health.detail = "the node knows no leader, as spares never do"


def _ask_as_of_old(question: _Question, health: Health) -> None:
    # a node that is no voter names the leader only to the handshake before 1.0 (dqlite src/gateway.c:
    # handle_leader)
    conversation = ClientConversation(PROTOCOL_VERSION_LEGACY, limits=LIMITS)
    told = question(conversation, conversation.send(LeaderRequest()), "LEADER of old")
    if isinstance(told, Answered) and isinstance(told.message, LeaderResponse) and told.message.address:
        address = told.message.address
        health.leader_address = address
        health.leader_id = next((node.node_id for node in health.nodes if node.address == address), 0)
        health.status, health.detail = Status.HEALTHY, "the node is no voter"


def _said(event: Event) -> str:
    match event:
        case Failed(_, message) | Answered(_, message):
            return f"{ResponseType(message.MSG_TYPE).name} {summarise(message)}"
        case _:
            return repr(event)


def _stranger(received: bytes) -> str:
    if received[:2] in (b"\x15\x03", b"\x16\x03"):
        return "it speaks TLS"
    if received.startswith(b"HTTP/"):
        return "it speaks HTTP"
    text = received.decode("latin-1").rstrip("\r\n")
    return (
        f"it answered {text!r}"
        if text.isascii() and text.isprintable()
        else f"it answered {received.hex(' ')}"
    )
