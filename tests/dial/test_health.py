"""What a node is asked and what its answers mean, without a socket."""

from __future__ import annotations

import pytest

from dqlitewire import PROTOCOL_VERSION_LEGACY, NodeInfo, NodeRole
from dqlitewire.conversation import ClientConversation, Generation
from dqlitewire.dial import Health, Status, Unexpected
from dqlitewire.dial.health import Questions, ask_again, ask_node
from dqlitewire.messages import (
    FailureResponse,
    LeaderResponse,
    MetadataResponse,
    ServersResponse,
)

NODES = ServersResponse([NodeInfo(3, "10.0.0.3:9000", NodeRole.VOTER)]).encode()
ABOUT = MetadataResponse(1, 2).encode()
OLD = FailureResponse(1005, "unrecognized schema version").encode()
LEGACY_LEADER = bytes.fromhex("0200000001000000") + b"10.0.0.3:9000\0\0\0"


def drive(questions: Questions, conversation: ClientConversation, *answers: bytes) -> list[str]:
    """Answer the questions; returns their names."""
    names = []
    question = next(questions)
    for answer in answers:
        names.append(question.name)
        (event,) = conversation.receive(answer)
        try:
            question = questions.send(event)
        except StopIteration:
            assert answer is answers[-1]
    return names


def node() -> tuple[Health, ClientConversation, Questions]:
    health, conversation = Health("node", Status.UNREACHABLE), ClientConversation()
    times = iter((1.0, 1.5))
    return health, conversation, ask_node(health, conversation, lambda: next(times))


def test_a_leader() -> None:
    health, conversation, questions = node()
    leader = LeaderResponse(3, "10.0.0.3:9000").encode()
    names = drive(questions, conversation, leader, NODES, ABOUT, OLD)
    assert names == ["LEADER", "CLUSTER", "DESCRIBE", "LEADER with schema 1"]
    assert (health.status, health.detail, health.round_trip) == (Status.HEALTHY, "", 0.5)
    assert (health.leader_id, health.leader_address) == (3, "10.0.0.3:9000")
    assert (health.failure_domain, health.weight, len(health.nodes)) == (1, 2, 1)
    assert health.generation is not Generation.UNKNOWN


def test_a_stand_by_is_asked_again() -> None:
    health, conversation, questions = node()
    drive(questions, conversation, LeaderResponse(0, "").encode(), NODES, ABOUT, OLD)
    assert health.status is Status.NO_LEADER
    legacy = ClientConversation(PROTOCOL_VERSION_LEGACY)
    drive(ask_again(health, legacy), legacy, LEGACY_LEADER)
    assert (health.status, health.leader_id, health.leader_address) == (Status.HEALTHY, 3, "10.0.0.3:9000")


def test_another_answer_to_leader() -> None:
    health, conversation, questions = node()
    with pytest.raises(Unexpected, match="LEADER was answered otherwise: FAILURE 1 SQLITE_ERROR: go away"):
        drive(questions, conversation, FailureResponse(1, "go away").encode())
    assert (health.status, health.round_trip) == (Status.UNREACHABLE, None)
