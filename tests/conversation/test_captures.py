"""Recorded sessions with real nodes, heard by the observer and replayed through client and server side."""

from __future__ import annotations

from typing import Any

import pytest

from dqlitewire import DecodeError, ProtocolError, decode_message
from dqlitewire.conversation import (
    ClientConversation,
    Exchange,
    Frame,
    Garbage,
    Generation,
    Hazard,
    HazardError,
    Observer,
    Refused,
    ServerConversation,
    Side,
)
from dqlitewire.conversation.frames import type_name
from tests.wire_data import Capture, Step, captures, frames

CAPTURES = captures()
GENERATIONS = {
    "1.11.1": Generation.V1_11,
    "1.18.1": Generation.V1_15,
    "1.18.7": Generation.V1_18_3,
    "cowsql": Generation.V1_15,  # nothing on the wire tells it from 1.18.1
}

# what has no whole answer because the recording is about that: the node died, fell silent, or never ends
UNANSWERED = {
    "1.11.1-failures-0": ["type 99", "HEARTBEAT", "QUERY_SQL", "DESCRIBE"],
    **{f"{server}-handshakes-1": ["LEADER"] for server in GENERATIONS},
    **{f"{server}-toowide-0": ["QUERY_SQL"] for server in GENERATIONS},
}


def chunks(capture: Capture) -> list[tuple[Side, bytes]]:
    """The bytes in the order in which they passed; none at all where a side closed."""
    streams = {"c2s": (Side.CLIENT, capture.c2s), "s2c": (Side.SERVER, capture.s2c)}
    taken = {"c2s": 0, "s2c": 0}
    found = []
    for name, size in capture.entry["chunks"]:
        side, data = streams[name]
        found.append((side, data[taken[name] : taken[name] + size]))
        taken[name] += size
    return found


def heard(capture: Capture) -> list[Any]:
    observer = Observer()
    events: list[Any] = []
    for time, (side, data) in enumerate(chunks(capture)):
        events += observer.receive(side, data, time) if data else observer.receive_eof(side, time)
    return events + observer.finish()


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_observed(capture: Capture) -> None:
    events = heard(capture)
    exchanges = [event for event in events if isinstance(event, Exchange)]
    assert [e.label for e in exchanges if e.ending == "unanswered"] == UNANSWERED.get(capture.name, [])
    assert {e.ending for e in exchanges} <= {"done", "failure", "unanswered"}
    assert not [event for event in events if isinstance(event, Garbage)]
    assert sum(isinstance(event, Frame) and event.is_request for event in events) == len(exchanges)
    assert sum(exchange.answer_bytes for exchange in exchanges) == len(capture.s2c)
    for exchange, step in zip(exchanges, capture.steps, strict=True):
        assert exchange.request is not None
        assert exchange.request.data == step.request
        if capture.session == "interrupt":  # there an answer goes on behind the next request
            continue
        assert [f"{frame.type}/{frame.schema}/{frame.size - 8}" for frame in exchange.answers] == told(step)[
            :64
        ]
        assert exchange.answer_bytes == len(step.answer)
        assert exchange.row_count == rows_of(exchange)


def told(step: Step) -> list[str]:
    whole = [f"{frame[4]}/{frame[5]}/{len(frame) - 8}" for frame in frames(step.answer)]
    return whole if len(whole) <= 64 else [*whole[:63], whole[-1]]


def rows_of(exchange: Exchange) -> int | None:
    if exchange.answer_count > len(exchange.answers):
        return exchange.row_count
    return sum(len(getattr(frame.message, "rows", ())) for frame in exchange.answers)


# ---------------------------------------------------------------- through the client's side

# session -> request label -> what the client says to it; everything else it sends and gets an answer to
CLIENT_REFUSES: dict[str, dict[str, object]] = {
    "1.11.1-failures-0": {
        "type 99": Hazard.OLD_TYPE,
        "HEARTBEAT": Hazard.OLD_TYPE,
        "DESCRIBE": Hazard.DESCRIBE_FORMAT,
    },
    **{
        f"{server}-failures-0": {"DESCRIBE": Hazard.DESCRIBE_FORMAT}
        for server in ("1.18.1", "1.18.7", "cowsql")
    },
    **{f"{server}-types-0": {"QUERY_SQL": DecodeError} for server in GENERATIONS},
    **{f"{server}-toowide-0": {"QUERY_SQL": DecodeError} for server in GENERATIONS},
}


@pytest.mark.parametrize(
    "capture", [c for c in CAPTURES if c.session != "handshakes" or c.connection == 0], ids=str
)
def test_through_the_client(capture: Capture) -> None:
    expected = CLIENT_REFUSES.get(capture.name, {})
    refused: dict[str, object] = {}
    client = new_client(capture)
    for step in capture.steps:
        try:
            sent = client.send_frame(step.request)
        except HazardError as error:
            refused[name_of(step)] = error.hazard
            continue
        assert sent.endswith(step.request)
        try:
            for frame in frames(step.answer):
                events = client.receive(frame)
        except ProtocolError as error:
            refused[name_of(step)] = type(error)
            client = new_client(capture)  # as a driver would: with a new connection
            continue
        if step.ended:
            client.receive_eof()
            client = new_client(capture)
            continue
        if capture.session != "interrupt":
            assert client.idle
            assert [e.request.MSG_TYPE for e in events if hasattr(e, "request")][-1] == step.request[4]
    assert refused == expected
    assert client.idle


def new_client(capture: Capture) -> ClientConversation:
    return ClientConversation(capture.handshake, generation=GENERATIONS[capture.server])


def name_of(step: Step) -> str:
    return type_name(step.request[4], True)


# ---------------------------------------------------------------- through the server's side

# what our server says of its own to requests that the recorded one got to see
SCHEMA = "unrecognized schema version"
UNKNOWN_TYPE = (1005, "unrecognized request type")


def refusals(query_code: int) -> list[tuple[int, str]]:
    """`failures`, from 1.12 on; the code of a QUERY_SQL of an unknown schema differs."""
    return [
        (1005, "unrecognized cluster format"),
        (1005, SCHEMA),
        (1005, SCHEMA),
        (query_code, SCHEMA),
        (1, SCHEMA),
        UNKNOWN_TYPE,
        UNKNOWN_TYPE,
        (15, "bad format version"),
    ]


SERVER_REFUSES: dict[str, list[tuple[int, str]]] = {
    "1.11.1-failures-0": [(15, "bad format version")],
    "1.18.1-failures-0": refusals(1005),
    "1.18.7-failures-0": refusals(1),
    "cowsql-failures-0": refusals(1005),
    "1.11.1-types-0": [(1005, "not an error")],
    "1.18.1-types-0": [(1005, "bind parameters")],
    "1.18.7-types-0": [(10, "leader exec failed")],
    "cowsql-types-0": [(1005, "bind parameters")],
}


@pytest.mark.parametrize("capture", [c for c in CAPTURES if c.handshake != 2], ids=str)
def test_through_the_server(capture: Capture) -> None:
    refused = []
    server = new_server(capture)
    for step in capture.steps:
        server.receive(step.request)
        request = None if server.answer_open else server.next_request()
        if isinstance(request, Refused):
            if request.refusal is None:  # 1.11 and a type it does not know
                assert step.ended
                server = new_server(capture)
                continue
            refused.append((request.refusal.code, request.refusal.message))
            if step.answer:
                assert recorded_failure(step) == refused[-1]
        for frame in frames(step.answer):
            if not server.answer_open:
                server.next_request()
            assert server.answer_frame(frame) == frame
        if step.ended:
            server.abandon()
        assert not server.answer_open or capture.session == "interrupt"
    assert refused == SERVER_REFUSES.get(capture.name, [])


def new_server(capture: Capture) -> ServerConversation:
    server = ServerConversation(generation=GENERATIONS[capture.server])
    server.receive(capture.handshake.to_bytes(8, "little"))
    return server


def recorded_failure(step: Step) -> tuple[int, str]:
    message: Any = decode_message(step.answer)
    return message.code, message.message
