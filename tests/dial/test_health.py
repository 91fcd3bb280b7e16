"""What a node is asked and what its answers mean, without a socket."""

from __future__ import annotations

import pytest

from dqlitewire import PROTOCOL_VERSION_LEGACY, NodeInfo, NodeRole, ProtocolError
from dqlitewire.conversation import ClientConversation, Generation
from dqlitewire.dial import Health, Status, Unexpected
from dqlitewire.dial.health import Questions, ask_again, ask_node
from dqlitewire.messages import (
    REGISTRY,
    DbResponse,
    EmptyResponse,
    FailureResponse,
    FilesResponse,
    LeaderResponse,
    MetadataResponse,
    ResultResponse,
    RowsResponse,
    ServersResponse,
    StmtResponse,
    WelcomeResponse,
)
from dqlitewire.messages.base import Response

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


EVERY = [
    FailureResponse(1, "x"),
    LeaderResponse(3, "10.0.0.3:9000"),
    WelcomeResponse(1),
    ServersResponse([NodeInfo(3, "10.0.0.3:9000", NodeRole.VOTER)]),
    DbResponse(0),
    StmtResponse(0, 1, 2),
    ResultResponse(1, 2),
    RowsResponse(["a"], rows=[(1,)]),
    EmptyResponse(),
    FilesResponse({"a": b""}),
    MetadataResponse(1, 2),
]
RIGHT = [LeaderResponse, ServersResponse, MetadataResponse, FailureResponse]


def test_every_kind_of_answer_is_tried() -> None:
    assert {type(message) for message in EVERY} == {
        message for (is_request, _), message in REGISTRY.items() if not is_request
    }


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("number", range(3))
def test_an_answer_to_another_question_is_not_healthy(number: int, message: Response) -> None:
    """Each answer to each of LEADER, CLUSTER and DESCRIBE: healthy with the one that belongs to it alone."""
    health, conversation, questions = node()
    answers = [LeaderResponse(3, "10.0.0.3:9000").encode(), NODES, ABOUT, OLD]
    answers[number] = message.encode()
    if type(message) is RIGHT[number]:
        drive(questions, conversation, *answers)
        assert health.status is Status.HEALTHY
        return
    if type(message) is FailureResponse and number:
        drive(questions, conversation, *answers)
        assert health.status is Status.FAILING
        return
    with pytest.raises((Unexpected, ProtocolError)):
        drive(questions, conversation, *answers)
    assert health.status is Status.UNREACHABLE  # as it was: the one who asks says what it is


def members(*nodes: tuple[int, str]) -> list[NodeInfo]:
    return [NodeInfo(number, address, NodeRole(number % 3)) for number, address in nodes]


@pytest.mark.parametrize(
    ("address", "node_id", "nodes", "role"),
    [
        ("10.0.0.1:1", 0, [(1, "10.0.0.1:1"), (2, "10.0.0.2:1")], NodeRole.STANDBY),
        ("[0:0::1]:5", 0, [(1, "[::1]:5"), (2, "10.0.0.2:1")], NodeRole.STANDBY),
        ("HOST:1", 0, [(1, "a:1"), (2, "host:1")], NodeRole.SPARE),
        ("relay:1", 0, [(1, "a:1"), (2, "b:1")], None),
        ("relay:1", 2, [(1, "a:1"), (2, "b:1")], NodeRole.SPARE),
        ("a:1", 2, [(1, "a:1"), (2, "b:1")], NodeRole.SPARE),
        ("unix:/relay", 0, [(3, "a:1")], NodeRole.VOTER),  # there is no other
        ("a:1", 0, [], None),
        ("1", 0, [(1, "1"), (2, "0")], NodeRole.STANDBY),  # what LXD calls its first node
    ],
)
def test_the_role_of_the_node_itself(
    address: str, node_id: int, nodes: list[tuple[int, str]], role: NodeRole | None
) -> None:
    health = Health(address, Status.HEALTHY, nodes=members(*nodes), node_id=node_id, votes=True)
    assert health.role == role
