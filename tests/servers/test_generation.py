"""Telling the server's generation, and what hangs on it."""

from __future__ import annotations

import pytest

from dqlitewire import Message
from dqlitewire.conversation import (
    ClientConversation,
    Generation,
    Hazard,
    HazardError,
    Probed,
    ServerConversation,
    judge_generation,
    probe_generation,
)
from dqlitewire.messages import (
    DbResponse,
    EmptyResponse,
    ExecSqlRequest,
    FailureResponse,
    LeaderResponse,
    OpenRequest,
    ResultResponse,
)

HANDSHAKE = b"\x01" + bytes(7)
SCHEMA = "unrecognized schema version"
JUDGED = [
    (LeaderResponse(1, "127.0.0.1:9001"), Generation.V1_11),
    (LeaderResponse(0, ""), Generation.V1_11),
    (ResultResponse(0, 0), Generation.V1_11),
    (FailureResponse(1005, SCHEMA), Generation.V1_12),
    (FailureResponse(1, SCHEMA), Generation.V1_18_2),
    (FailureResponse(12, "no database opened"), Generation.UNKNOWN),
    (FailureResponse(7, SCHEMA), Generation.UNKNOWN),
    (EmptyResponse(), Generation.UNKNOWN),
]


def test_bytes_of_the_probes() -> None:
    assert probe_generation() == bytes([1, 0, 0, 0, 0, 1, 0, 0]) + bytes(8)
    assert probe_generation(0) == bytes([2, 0, 0, 0, 8, 2, 0, 0]) + bytes(16)


@pytest.mark.parametrize(("answer", "generation"), JUDGED)
def test_judged(answer: Message, generation: Generation) -> None:
    assert judge_generation(answer) is generation


@pytest.mark.parametrize("generation", [g for g in Generation if g])
def test_probes_tell_our_servers_apart(generation: Generation) -> None:
    client, server = ClientConversation(), ServerConversation(generation=generation)
    server.receive(client.send_probe())
    first = answered(server)
    (event,) = client.receive(first)
    assert isinstance(event, Probed)
    assert client.generation is min(generation, Generation.V1_12)
    server.receive(client.send(OpenRequest("main")))
    server.next_request()
    client.receive(server.answer(DbResponse(0)))
    server.receive(client.send_probe(0))
    (event,) = client.receive(answered(server))
    assert event == Probed(client.generation, event.message, event.request)
    assert client.generation is told(generation)
    assert client.idle


def told(generation: Generation) -> Generation:
    """What can be told of a generation on the wire."""
    for known in (Generation.V1_18_2, Generation.V1_12):
        if generation >= known:
            return known
    return Generation.V1_11


def answered(server: ServerConversation) -> bytes:
    request = server.next_request()
    refusal = getattr(request, "refusal", None)
    if refusal is not None:
        return server.answer(refusal)
    if isinstance(request, ExecSqlRequest):
        return server.answer(ResultResponse(0, 0))
    return server.answer(LeaderResponse(1, "127.0.0.1:9001"))


def test_a_probe_never_lowers_what_is_known() -> None:
    client = ClientConversation(generation=Generation.V1_18_3)
    client.send_probe()
    (event,) = client.receive(FailureResponse(1005, SCHEMA).encode())
    assert event.generation is client.generation is Generation.V1_18_3


def test_an_answer_that_tells_nothing() -> None:
    client = ClientConversation()
    client.send_probe(0)
    (event,) = client.receive(FailureResponse(10250, "not leader").encode())
    assert event.generation is client.generation is Generation.UNKNOWN


def test_many_parameters_once_the_server_is_known() -> None:
    many = ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [1] * 256)
    client = ClientConversation()
    with pytest.raises(HazardError) as caught:
        client.send(many)
    assert caught.value.hazard is Hazard.MANY_PARAMS
    assert client.send_probe().startswith(HANDSHAKE)
    client.receive(FailureResponse(1005, SCHEMA).encode())
    assert client.send(many)[5] == 1


def test_schema_of_prepare() -> None:
    assert [generation.prepare_schema for generation in Generation] == [0, 0, 0, 1, 1, 1]
