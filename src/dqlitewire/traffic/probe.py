"""Ask a live node how it is, with requests that change nothing and that no server generation takes amiss.

Four questions on one connection: LEADER, CLUSTER, DESCRIBE (format 0 only: any other kills the node) and
LEADER with schema 1, which tells the server's generation apart. Nothing is opened.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from enum import Enum

from dqlitewire import PROTOCOL_VERSION_LEGACY, NodeInfo, ProtocolError, sanitize_for_log
from dqlitewire.conversation import Answered, ClientConversation, Event, Failed, Generation, Probed
from dqlitewire.messages import (
    ClusterRequest,
    DescribeRequest,
    LeaderRequest,
    LeaderResponse,
    MetadataResponse,
    ServersResponse,
)
from dqlitewire.traffic.errors import SourceError


class Status(Enum):
    """What a probe found."""

    HEALTHY = "healthy"
    NO_LEADER = "no leader"
    UNREACHABLE = "unreachable"
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


def split_address(address: str) -> tuple[str, int]:
    """Split HOST:PORT or [HOST]:PORT.

    Raises:
        SourceError: it is neither.
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise SourceError(f"{address!r} is no HOST:PORT", "for example 127.0.0.1:9001 or [::1]:9001")
    return host, int(port)


def probe(address: str, timeout: float = 5.0) -> Health:
    """Ask the node at HOST:PORT.

    Args:
        timeout: seconds for connecting and for each answer.

    Raises:
        SourceError: the address is none.
    """
    host, port = split_address(address)
    health = Health(address, Status.UNREACHABLE)
    begin = time.perf_counter()
    try:
        with socket.create_connection((host, port), timeout) as sock:
            sock.settimeout(timeout)
            health.connected = time.perf_counter() - begin
            _ask(sock, health)
        if health.status is Status.NO_LEADER:
            with socket.create_connection((host, port), timeout) as sock:
                sock.settimeout(timeout)
                _ask_as_of_old(sock, health)
    except TimeoutError:
        reached = health.connected is not None
        health.detail = f"{'connected, but ' if reached else ''}no answer within {timeout:g} s"
    except socket.gaierror as error:
        health.detail = f"no such host ({error.strerror})"
    except OSError as error:
        if health.round_trip is None and health.connected is not None:
            _not_dqlite(health, "the connection was closed without an answer")
        else:
            health.detail = error.strerror or str(error)
    return health


def _ask(sock: socket.socket, health: Health) -> None:
    conversation = ClientConversation(unknown_role_policy="accept")
    begin = time.perf_counter()
    leader = _exchange(sock, conversation, conversation.send(LeaderRequest()), health)
    if leader is None:
        return
    match leader:
        case Answered(_, LeaderResponse(node_id, address)):
            health.round_trip = time.perf_counter() - begin
            health.leader_id, health.leader_address = node_id, address
            health.status = Status.HEALTHY if address else Status.NO_LEADER
            health.detail = "" if address else "the node knows no leader, as spares never do"
        case _:
            _not_dqlite(health, f"LEADER was answered otherwise: {leader!r}")
            return
    for request in (ClusterRequest(), DescribeRequest()):
        match _exchange(sock, conversation, conversation.send(request), health):
            case Answered(_, ServersResponse() as servers):
                health.nodes = list(servers.nodes)
            case Answered(_, MetadataResponse(failure_domain, weight)):
                health.failure_domain, health.weight = failure_domain, weight
            case Failed(_, failure):
                health.detail = f"{type(request).__name__}: {failure.message}"
            case _:
                return
    told = _exchange(sock, conversation, conversation.send_probe(), health)
    if isinstance(told, Probed):
        health.generation = told.generation


def _ask_as_of_old(sock: socket.socket, health: Health) -> None:
    # a node that is no voter names the leader only to the handshake before 1.0 (dqlite src/gateway.c:
    # handle_leader)
    conversation = ClientConversation(PROTOCOL_VERSION_LEGACY)
    told = _exchange(sock, conversation, conversation.send(LeaderRequest()), health)
    if not isinstance(told, Answered) or not isinstance(told.message, LeaderResponse):
        return
    if address := told.message.address:
        health.leader_address = address
        health.leader_id = next((node.node_id for node in health.nodes if node.address == address), 0)
        health.status, health.detail = Status.HEALTHY, "the node is no voter"


def _exchange(
    sock: socket.socket, conversation: ClientConversation, data: bytes, health: Health
) -> Event | None:
    """Send one request and wait for what ends it; None if this is no dqlite node."""
    sock.sendall(data)
    first = health.round_trip is None
    received = b""
    while True:
        chunk = sock.recv(65536)
        received = (received + chunk)[:16]
        if not chunk:
            told = (
                _stranger(received) if first and received else "the connection was closed without an answer"
            )
            _not_dqlite(health, told)
            return None
        try:
            events = conversation.receive(chunk)
        except ProtocolError as error:
            _not_dqlite(health, _stranger(received) if first else str(error))
            return None
        if events:
            return events[-1]


def _stranger(received: bytes) -> str:
    if received[:2] in (b"\x15\x03", b"\x16\x03"):
        return "it speaks TLS"
    if received.startswith(b"HTTP/"):
        return "it speaks HTTP"
    return f"it answered {sanitize_for_log(received.decode('latin-1'))!r}"


def _not_dqlite(health: Health, detail: str) -> None:
    if health.round_trip is None:
        health.status = Status.NOT_DQLITE
    health.detail = detail
