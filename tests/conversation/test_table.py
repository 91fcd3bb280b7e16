"""The table: each of its rows is played by client, server and observer, and whatever is not in it is
refused."""

from __future__ import annotations

import pytest

from dqlitewire import Message, RequestType, ResponseType
from dqlitewire.conversation import (
    TABLE,
    Answered,
    Exchange,
    Failed,
    Interrupted,
    Rows,
    Step,
    Turn,
    WrongAnswerError,
    follow,
)
from dqlitewire.conversation.table import ANSWER_NAMES, DONE, FIRST, PART
from dqlitewire.messages import EmptyResponse, FailureResponse, InterruptRequest
from dqlitewire.servers.hazards import Hazard
from tests.conversation.messages import ANSWERS, REQUESTS, part
from tests.conversation.playbook import Playbook
from tests.naming import shown

# the protocol's own list: what each request is answered by, besides FAILURE
EXPECTED = {
    "LEADER": ["LEADER"],
    "CLIENT": ["WELCOME"],
    "HEARTBEAT": [],
    "OPEN": ["DB"],
    "PREPARE": ["STMT"],
    "EXEC": ["RESULT"],
    "QUERY": ["ROWS part", "ROWS done"],
    "FINALIZE": ["EMPTY"],
    "EXEC_SQL": ["RESULT"],
    "QUERY_SQL": ["ROWS part", "ROWS done"],
    "INTERRUPT": ["EMPTY"],
    "ADD": ["EMPTY"],
    "ASSIGN": ["EMPTY"],
    "REMOVE": ["EMPTY"],
    "DUMP": ["FILES"],
    "CLUSTER": ["SERVERS"],
    "TRANSFER": ["EMPTY"],
    "DESCRIBE": ["METADATA"],
    "WEIGHT": ["EMPTY"],
}
QUERIES = (RequestType.QUERY, RequestType.QUERY_SQL)
ANSWERED = [kind for kind in RequestType if kind not in (RequestType.CONNECT, RequestType.HEARTBEAT)]


def test_first_answers() -> None:
    found: dict[str, list[str]] = {}
    for step in TABLE:
        if step.turn is Turn.WAITING:
            found.setdefault(step.request.name, []).append(ANSWER_NAMES[step.answer])
    assert {name: sorted([*answers, "FAILURE"]) for name, answers in EXPECTED.items()} == {
        name: sorted(answers) for name, answers in found.items()
    }


def test_connect_is_never_answered() -> None:
    assert FIRST[RequestType.CONNECT].turn is Turn.RAFT
    assert not FIRST[RequestType.CONNECT].after


def places() -> list[tuple[RequestType, Turn]]:
    return [(kind, turn) for kind in ANSWERED for turn in Turn if turn in turns_of(kind)]


def turns_of(kind: RequestType) -> set[Turn]:
    return {step.turn for step in TABLE if step.request is kind}


def brought_to(kind: RequestType, turn: Turn, split: int = 0) -> Playbook:
    """A play in which a request stands in a turn."""
    play = Playbook(split=split)
    play.asks(REQUESTS[kind], allow=Hazard.ALL)
    if turn is not Turn.WAITING:
        play << part(0)
    if turn is Turn.DRAINING:
        play >> InterruptRequest()
    return play


@pytest.mark.parametrize("split", [0, 1])
@pytest.mark.parametrize("step", [step for step in TABLE if step.request in ANSWERED], ids=shown)
def test_allowed(step: Step, split: int) -> None:
    play = brought_to(step.request, step.turn, split)
    answer = ANSWERS[step.answer]
    play << answer
    assert kinds(play) == expected_events(step)
    assert follow(step.request, step.turn, step.answer & 0xFF, step.answer == PART) is step.then
    if step.then is Turn.ENDED:
        if step.turn is Turn.DRAINING and not isinstance(answer, EmptyResponse):
            play << EmptyResponse()
        play.over()
    else:
        assert len(play.client.unanswered) == len(play.observer.unanswered) == len(play.sent)


def expected_events(step: Step) -> list[type]:
    if step.turn is Turn.DRAINING:
        if step.then is not Turn.ENDED:
            return []
        return [Interrupted, Answered] if step.answer == ResponseType.EMPTY else [Interrupted]
    if step.answer == ResponseType.FAILURE:
        return [Failed]
    return [Rows] if step.answer in (DONE, PART) else [Answered]


def kinds(play: Playbook) -> list[type]:
    return [type(event) for event in play.events]


FORBIDDEN = [
    (kind, turn, answer)
    for kind, turn in places()
    for answer in ANSWERS
    if not any((s.request, s.turn, s.answer) == (kind, turn, answer) for s in TABLE)
]


def test_every_pair_is_covered() -> None:
    allowed = [step for step in TABLE if step.request in ANSWERED]
    assert len(allowed) + len(FORBIDDEN) == len(places()) * len(ANSWERS)
    assert len(FORBIDDEN) > 200


@pytest.mark.parametrize(("kind", "turn", "answer"), FORBIDDEN)
def test_forbidden(kind: RequestType, turn: Turn, answer: int) -> None:
    play = brought_to(kind, turn)
    message = ANSWERS[answer]
    frame = message.encode()
    check_server_refuses(play, message)
    check_client_refuses(play, kind, turn, frame)
    play.hears_as_observer(frame)
    assert [event.ending for event in play.seen if isinstance(event, Exchange)] == ["wrong"]


def check_server_refuses(play: Playbook, message: Message) -> None:
    before = play.server.current
    with pytest.raises(WrongAnswerError) as caught:
        play.server.answer(message)
    assert caught.value.request == before
    assert caught.value.answer_frame == message.encode()
    assert play.server.current is before


def check_client_refuses(play: Playbook, kind: RequestType, turn: Turn, frame: bytes) -> None:
    request = play.client.unanswered[0]
    for byte in frame[:-1]:
        assert play.client.receive(bytes([byte])) == []
    with pytest.raises(WrongAnswerError) as caught:
        play.client.receive(frame[-1:])
    error = caught.value
    assert error.request is request
    assert error.request_frame == request.encode()
    assert error.answer_frame == frame
    assert str(error).startswith(f"{kind.name} answered by ")
    assert len(str(error)) < 80
    assert play.client.error is error


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=lambda answer: type(answer).__name__)
def test_answer_to_nothing(answer: Message) -> None:
    play = Playbook() >> REQUESTS[RequestType.LEADER] << ANSWERS[ResponseType.LEADER]
    with pytest.raises(WrongAnswerError, match="no request answered by") as caught:
        play.client.receive(answer.encode())
    assert (caught.value.request, caught.value.request_frame) == (None, None)
    with pytest.raises(WrongAnswerError):
        play.server.answer(answer)
    play.hears_as_observer(answer.encode())
    play.seen += play.observer.finish()
    assert [event.ending for event in play.finished()] == ["done", "orphan"]


def test_heartbeat_gets_a_failure_or_nothing() -> None:
    assert follow(RequestType.HEARTBEAT, Turn.WAITING, ResponseType.FAILURE) is Turn.ENDED
    assert follow(RequestType.HEARTBEAT, Turn.WAITING, ResponseType.SERVERS) is None
    play = Playbook()
    play.server.receive(play.client.send(REQUESTS[RequestType.HEARTBEAT]))
    refused = play.server.next_request()
    assert refused.refusal == FailureResponse(1005, "unrecognized request type")
    (event,) = play.client.receive(play.server.answer(refused.refusal))
    assert isinstance(event, Failed)
