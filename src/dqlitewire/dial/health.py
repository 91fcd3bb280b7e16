"""The health of a node: what to ask it, and what its answers mean. No I/O: generators yield the requests and
are sent the events that end them.

Four questions on one connection, which change nothing and which no server generation takes amiss: LEADER,
CLUSTER, DESCRIBE (format 0 only: any other kills the node) and LEADER with schema 1, which tells the server's
generation apart. Nothing is opened. A node is healthy if it answers all four. One that names no leader may be
no voter: `ask_again` puts the question with the handshake from before 1.0, which such a node does answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import Enum

from dqlitewire import DQLITE_PARSE, NodeInfo, NodeRole
from dqlitewire.conversation import (
    Answered,
    ClientConversation,
    Event,
    Failed,
    Generation,
    Probed,
    failure_name,
)
from dqlitewire.dial.addresses import spelling
from dqlitewire.dial.errors import Unexpected
from dqlitewire.messages import (
    ClusterRequest,
    DescribeRequest,
    LeaderRequest,
    LeaderResponse,
    MetadataResponse,
    ServersResponse,
)
from dqlitewire.text import abbreviate


class Status(Enum):
    """What a probe found."""

    HEALTHY = "healthy"
    NO_LEADER = "no leader"
    UNREACHABLE = "unreachable"
    SILENT = "silent"  # it took the connection, and said nothing
    FAILING = "failing"  # it answered LEADER, and then not as a node should
    NOT_DQLITE = "not dqlite"


@dataclass
class Health:
    """The state of a node.

    Attributes:
        address: the node's, as it was asked for.
        status: the verdict.
        detail: why, if it is not healthy.
        leader_id: of the leader the node knows; 0 if it knows none, or the id is not told.
        leader_address: of that leader; empty if there is none.
        nodes: the members of the cluster.
        failure_domain: of the node; None if it was not told.
        weight: of the node; None if it was not told.
        generation: of the server, as far as the wire tells.
        connected: seconds until the connection stood; None if it never did.
        round_trip: seconds from asking LEADER to its answer; None if there was none.
        speaks: what it speaks instead, if that is known: "tls", "http", or "dqlite" without TLS or upgrade.
        node_id: of the node, where somebody knows it; 0 if nobody does: a node does not tell.
        votes: whether it named its leader to today's handshake, which only voters do; None if it named none.
        reached: IP address and port to which the connection went; empty if that was not noted.
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
    speaks: str = ""
    node_id: int = 0
    votes: bool | None = None
    reached: str = ""

    @property
    def answered(self) -> bool:
        """Whether it answered LEADER, as nodes do."""
        return self.status in (Status.HEALTHY, Status.NO_LEADER, Status.FAILING)

    @property
    def role(self) -> NodeRole | None:
        """What the node is in its cluster; None where it is not known which of the members it is."""
        if self.node_id:
            found = [node for node in self.nodes if node.node_id == self.node_id]
        else:
            ours = spelling(self.address)
            found = [node for node in self.nodes if spelling(node.address) == ours]
        entry = found[0] if found else self.only_member
        return None if entry is None else entry.role

    @property
    def only_member(self) -> NodeInfo | None:
        """The one member that there is, if that must be the node: it votes, so it is one of the members."""
        return self.nodes[0] if len(self.nodes) == 1 and self.votes else None

    @property
    def server(self) -> str:
        """The server's generation in words."""
        return self.generation.words


@dataclass(frozen=True, slots=True)
class Question:
    """A request to send.

    Attributes:
        name: for people.
        data: the bytes, with the handshake in front where it is the first.
    """

    name: str
    data: bytes


Questions = Generator[Question, Event, None]


def ask_node(
    health: Health, conversation: ClientConversation, clock: Callable[[], float] = time.monotonic
) -> Questions:
    """Ask all questions of one connection; the answers go into `health`.

    Args:
        health: filled as answers come; its status is set after the last one.
        conversation: of a new connection.
        clock: counts seconds, for the round trip.

    Raises:
        Unexpected: an answer is none of a dqlite node.
    """
    data = conversation.send(LeaderRequest())
    begin = clock()
    match (yield Question("LEADER", data)):
        case Answered(_, LeaderResponse(node_id, address)):
            health.round_trip = clock() - begin
            health.leader_id, health.leader_address = node_id, address
            health.votes = True if address else None
        case other:
            raise Unexpected(f"LEADER was answered otherwise: {_said(other)}")
    refusals: list[str] = []
    for name, request in (("CLUSTER", ClusterRequest()), ("DESCRIBE", DescribeRequest())):
        match name, (yield Question(name, conversation.send(request))):
            case "CLUSTER", Answered(_, ServersResponse() as servers):
                health.nodes = list(servers.nodes)
            case "DESCRIBE", Answered(_, MetadataResponse(failure_domain, weight)):
                health.failure_domain, health.weight = failure_domain, weight
            case _, Failed(_, failure) if (
                failure.code != DQLITE_PARSE
            ):  # that is of one too old for a request
                refusals.append(f"{name}: {failure.message}")
            case _, Failed(_, failure):
                health.detail = f"{name}: {failure.message}"
            case _, other:
                raise _otherwise(other)
    match (yield Question("LEADER with schema 1", conversation.send_probe())):
        case Probed(generation):
            health.generation = generation
        case other:
            raise _otherwise(other)
    health.status = Status.HEALTHY if health.leader_address else Status.NO_LEADER
    if refusals:
        health.status, health.detail = Status.FAILING, "; ".join(refusals)
    elif not health.leader_address:
        may_be_spare = health.role in (None, NodeRole.SPARE)
        health.detail = f"the node knows no leader{', as spares never do' if may_be_spare else ''}"


def ask_again(health: Health, conversation: ClientConversation) -> Questions:
    """Ask a node that named no leader with the handshake from before 1.0.

    A node that is no voter names the leader only to it (dqlite src/gateway.c: handle_leader).

    Args:
        health: as `ask_node` left it; healthy if the node names a leader.
        conversation: of a new connection, with the legacy version.
    """
    told = yield Question("LEADER", conversation.send(LeaderRequest()))
    if isinstance(told, Answered) and isinstance(told.message, LeaderResponse) and told.message.address:
        address = told.message.address
        health.leader_address = address
        health.leader_id = next((node.node_id for node in health.nodes if node.address == address), 0)
        health.status, health.detail, health.votes = Status.HEALTHY, "the node is no voter", False


def _otherwise(event: Event) -> Unexpected:
    return Unexpected(f"answered otherwise: {_said(event)}")


def _said(event: Event) -> str:
    match event:
        case Failed(_, failure):
            return f"FAILURE {failure.code} {failure_name(failure.code)}: {failure.message}"
        case Answered(_, message):
            return abbreviate(message)
        case _:
            return repr(event)
