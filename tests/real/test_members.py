"""ADD, ASSIGN, TRANSFER and REMOVE on three real nodes, and who answers what."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from dqlitewire import PROTOCOL_VERSION_LEGACY, Message, NodeInfo, NodeRole
from dqlitewire.messages import (
    AddRequest,
    AssignRequest,
    ClusterRequest,
    EmptyResponse,
    LeaderRequest,
    LeaderResponse,
    MetadataResponse,
    RemoveRequest,
    ServersResponse,
    TransferRequest,
    WeightRequest,
)
from dqlitewire.messages.requests import DescribeRequest
from tests.real import raw
from tests.real.nodes import KINDS, Cluster, Node
from tests.real.session import Session
from tests.waiting import wait_for

VOTER, STANDBY, SPARE = NodeRole.VOTER, NodeRole.STANDBY, NodeRole.SPARE


def members(cluster: Cluster, *roles: NodeRole) -> ServersResponse:
    return ServersResponse(
        [NodeInfo(node.id, node.address, role) for node, role in zip(cluster.nodes, roles, strict=False)]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_life_of_a_member(real_cluster: Callable[..., Cluster], kind: str) -> None:
    cluster = real_cluster(kind, 3)
    third = cluster.nodes[2]
    done = EmptyResponse()
    dialogue: list[tuple[Message, Message]] = [
        (ClusterRequest(), members(cluster, VOTER, VOTER, VOTER)),
        (AssignRequest(3, SPARE), done),
        (ClusterRequest(), members(cluster, VOTER, VOTER, SPARE)),
        (AssignRequest(3, STANDBY), done),
        (ClusterRequest(), members(cluster, VOTER, VOTER, STANDBY)),
        (RemoveRequest(3), done),
        (ClusterRequest(), members(cluster, VOTER, VOTER)),
        (AddRequest(3, third.address), done),
        (ClusterRequest(), members(cluster, VOTER, VOTER, SPARE)),
        (AssignRequest(3, VOTER), done),
        (ClusterRequest(), members(cluster, VOTER, VOTER, VOTER)),
    ]
    with Session(cluster.leader().address) as session:
        for request, answer in dialogue:
            assert session.call(request) == answer, request
        assert session.failure(AddRequest(4, third.address)) == (1, "server address already in use")
        # the one-word form of ASSIGN (PROMOTE) means voter
        assert session.call(AssignRequest(2, STANDBY)) == done
        session.send_raw(raw.frame(13, AssignRequest(2, VOTER).encode_body_legacy()))
        assert session.answer() == done
        assert session.call(ClusterRequest()) == members(cluster, VOTER, VOTER, VOTER)


@pytest.mark.parametrize("kind", KINDS)
def test_transfer(real_cluster: Callable[..., Cluster], kind: str) -> None:
    cluster = real_cluster(kind, 3)
    first, second, third = cluster.nodes
    with Session(first.address) as session:
        assert session.call(TransferRequest(third.id)) == EmptyResponse()
    assert cluster.leader(other_than=first) is third
    with Session(third.address) as session:  # 0: the leader picks
        assert session.call(TransferRequest(0)) == EmptyResponse()
    assert cluster.leader(other_than=third) in (first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_what_followers_answer(real_cluster: Callable[..., Cluster], kind: str) -> None:
    cluster = real_cluster(kind, 3)
    leader = cluster.leader()
    with Session(leader.address) as session:
        session.call(AssignRequest(3, STANDBY))
    voter, standby = cluster.nodes[1:]

    def leader_by(node: Node, **options: int) -> Message:
        with Session(node.address, **options) as session:  # type: ignore[arg-type]
            return session.call(LeaderRequest())

    assert leader_by(voter) == LeaderResponse(leader.id, leader.address)
    # only voters tell; this one has to hear first that it is none any more
    wait_for(lambda: leader_by(standby) == LeaderResponse(0, ""), "answer of a stand-by")
    legacy = PROTOCOL_VERSION_LEGACY
    assert leader_by(voter, version=legacy) == LeaderResponse(0, leader.address)
    assert leader_by(standby, version=legacy) == LeaderResponse(0, leader.address)

    with Session(voter.address) as session:
        assert session.call(ClusterRequest()) == members(cluster, VOTER, VOTER, STANDBY)
        assert session.call(WeightRequest(3)) == EmptyResponse()
        assert session.call(DescribeRequest()) == MetadataResponse(0, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_cluster_format_0(real_cluster: Callable[..., Cluster], kind: str) -> None:
    cluster = real_cluster(kind, 3)
    with Session(cluster.addresses[0]) as session:
        session.send_raw(raw.frame(16, raw.word(0)))
        frame = session.take_frame()
    answer = ServersResponse.decode_body(frame[8:], format=0)
    assert [(node.node_id, node.address) for node in answer.nodes] == [
        (node.id, node.address) for node in cluster.nodes
    ]
    assert struct.unpack("<IBBH", frame[:8]) == (len(frame) // 8 - 1, 3, 0, 0)


def test_failure_domain_and_weight(own_node: Callable[..., Node], node_kind: str) -> None:
    node = own_node(node_kind, options=["--domain", "42"])
    with Session(node.address) as session:
        assert session.call(DescribeRequest()) == MetadataResponse(42, 0)
