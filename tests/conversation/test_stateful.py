"""Client and server driven against each other over wires that deliver any number of bytes at any time.

The model is two lists: the requests in the order of sending, each with the answers that were given to it.
Whatever the splits, the interrupts and the failures, the client must tell the same story, and so must the
observer.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dqlitewire import Message, RequestType
from dqlitewire.conversation import (
    Answered,
    ClientConversation,
    Exchange,
    Failed,
    Generation,
    Interrupted,
    Observer,
    Outcome,
    Rows,
    ServerConversation,
    SessionLost,
    Side,
    WrongAnswerError,
)
from dqlitewire.conversation.table import DONE, FIRST, PART, Place
from dqlitewire.messages import EmptyResponse, FailureResponse, InterruptRequest, OpenRequest, PrepareRequest
from tests.conversation.messages import ANSWERS, REQUESTS, part

QUERIES = (RequestType.QUERY, RequestType.QUERY_SQL)
ASKED = [r for kind, r in REQUESTS.items() if kind not in (RequestType.HEARTBEAT, RequestType.CONNECT)]
FAILURES = [
    FailureResponse(1, "no such table: t"),
    FailureResponse(5, "database is locked"),
    FailureResponse(10250, "not leader"),
    FailureResponse(10506, "leadership lost"),
    FailureResponse(12, "no database opened"),
]


class Asked:
    """A request, what was answered to it, and what the client must have been told."""

    def __init__(self, request: Message) -> None:
        self.request = request
        self.answers: list[Message] = []
        self.told: list[Any] = []
        self.drained = False  # an INTERRUPT was sent behind it while it was open

    @property
    def is_query(self) -> bool:
        return self.request.MSG_TYPE in QUERIES

    @property
    def over(self) -> bool:
        return bool(self.told) and ends(self.told[-1])


def ends(event: Any) -> bool:
    return not isinstance(event, Rows) or event.last


class Conversation(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.client = ClientConversation(generation=Generation.V1_18_3)
        self.server = ServerConversation()
        self.observer = Observer()
        self.to_server, self.to_client = bytearray(), bytearray()
        self.asked: list[Asked] = []
        self.served = 0  # of `asked`, how many the server has taken
        self.heard: list[Any] = []

    # ------------------------------------------------------------ the client

    @rule(request=st.sampled_from(ASKED))
    def ask(self, request: Message) -> None:
        if isinstance(request, InterruptRequest):
            last = self.asked[-1] if self.asked else None
            if last is not None and last.is_query and not last.over:
                last.drained = True
        session = self.client.session
        if request.MSG_TYPE == RequestType.FINALIZE and session.is_void(1):
            return
        self.to_server += self.client.send(request)
        self.asked.append(Asked(request))

    @rule(query=st.sampled_from([REQUESTS[kind] for kind in QUERIES]))
    def ask_and_interrupt(self, query: Message) -> None:
        self.ask(query)
        self.ask(InterruptRequest())

    @precondition(lambda self: self.to_client)
    @rule(size=st.one_of(st.integers(1, 60), st.just(10_000)))
    def client_hears(self, size: int) -> None:
        data = bytes(self.to_client[:size])
        del self.to_client[:size]
        for event in self.client.receive(data):
            if not isinstance(event, SessionLost):
                asked = next(one for one in self.asked if not one.over)
                assert event.request is asked.request
                asked.told.append(event)
        self.heard += self.observer.receive(Side.SERVER, data)

    # ------------------------------------------------------------ the server

    @precondition(lambda self: self.to_server)
    @rule(size=st.one_of(st.integers(1, 60), st.just(10_000)))
    def server_hears(self, size: int) -> None:
        data = bytes(self.to_server[:size])
        del self.to_server[:size]
        self.server.receive(data)
        self.heard += self.observer.receive(Side.CLIENT, data)

    @precondition(lambda self: not self.server.answer_open)
    @rule()
    def take(self) -> None:
        request = self.server.next_request()
        if request is not None:
            assert request == self.asked[self.served].request
            self.served += 1

    def say(self, answer: Message) -> None:
        current = self.asked[self.served - 1]
        self.to_client += self.server.answer(answer)
        current.answers.append(answer)

    @precondition(lambda self: self.server.answer_open)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        place = self.place()
        self.say(data.draw(st.sampled_from([ANSWERS[key] for key in sorted(place.after)])))

    @precondition(lambda self: self.server.answer_open)
    @rule(failure=st.sampled_from(FAILURES))
    def fail(self, failure: Message) -> None:
        self.say(failure)

    @precondition(lambda self: self.server.answer_open)
    @rule(count=st.integers(1, 5))
    def send_parts(self, count: int) -> None:
        if self.asked[self.served - 1].is_query:
            for number in range(count):
                self.say(part(number))

    @precondition(lambda self: self.server.interrupted)
    @rule()
    def honour_interrupt(self) -> None:
        self.asked[self.served].answers.append(EmptyResponse())
        self.to_client += self.server.interrupt()
        self.served += 1

    @precondition(lambda self: self.server.answer_open)
    @rule(data=st.data())
    def a_wrong_answer_is_refused(self, data: st.DataObject) -> None:
        after = self.place().after
        if self.server.interrupted:
            after = {**after, EmptyResponse.MSG_TYPE: Place}
        wrong = data.draw(st.sampled_from([key for key in ANSWERS if key not in after]))
        with pytest.raises(WrongAnswerError):
            self.server.answer(ANSWERS[wrong])

    def place(self) -> Place:
        asked = self.asked[self.served - 1]
        place = FIRST[asked.request.MSG_TYPE]
        return place.after[PART] if asked.answers and asked.is_query else place

    # ------------------------------------------------------------ what must hold

    @invariant()
    def the_client_tells_the_same_story(self) -> None:
        for asked in self.asked:
            check(asked)
        open_ones = [asked.request for asked in self.asked if not asked.over]
        assert list(map(id, self.client.unanswered)) == list(map(id, open_ones))

    @invariant()
    def the_flags_of_the_fast_path_are_settled(self) -> None:
        client = self.client
        flags = client._sends_fast, client._receives_fast
        client._settle()
        assert (client._sends_fast, client._receives_fast) == flags

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            return
        while self.to_server or self.server.answer_open or self.server.buffered:
            if self.server.answer_open:
                final = [key for key in sorted(self.place().after) if key != PART]
                self.say(ANSWERS[final[-1]])
            elif self.to_server:
                self.server_hears(len(self.to_server))
            self.take() if not self.server.answer_open else None
        while self.to_client:
            self.client_hears(len(self.to_client))
        assert self.client.idle
        assert self.served == len(self.asked)
        for asked in self.asked:
            assert asked.over
            check(asked)
        exchanges = [event for event in self.heard if isinstance(event, Exchange)]
        assert [e.request.message for e in exchanges if e.request] == [asked.request for asked in self.asked]
        assert [e.answer_count for e in exchanges] == [len(asked.answers) for asked in self.asked]
        assert {e.ending for e in exchanges} <= {"done", "failure", "interrupted"}


def check(asked: Asked) -> None:
    """Hold what the client was told of a request against what was answered."""
    told = list(asked.told)
    assert not any(ends(event) for event in told[:-1])
    if told and isinstance(told[-1], Interrupted):
        assert asked.drained
        check_interrupted(asked, told)
        return
    for event, answer in zip(told, asked.answers, strict=False):
        if isinstance(event, Failed):
            assert event.failure == answer
        else:
            assert isinstance(event, (Rows, Answered))
            assert event.message == answer
    assert len(told) <= len(asked.answers)


def check_interrupted(asked: Asked, told: list[Any]) -> None:
    rows, interrupted = told[:-1], told[-1]
    assert [event.message for event in rows] == asked.answers[: len(rows)]
    assert interrupted.discarded == len(asked.answers) - len(rows)
    last = asked.answers[-1] if asked.answers else None
    if last == ANSWERS[DONE]:
        assert interrupted.outcome is Outcome.DONE
    elif not isinstance(last, FailureResponse) and asked.request.MSG_TYPE == RequestType.QUERY_SQL:
        assert interrupted.outcome is Outcome.NOT_EXECUTED


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=settings.default.max_examples, stateful_step_count=40)


def test_a_request_is_told_of_in_the_order_of_sending() -> None:
    """The model itself: what it would not accept."""
    asked = Asked(OpenRequest("main"))
    asked.answers = [ANSWERS[4]]
    asked.told = [Answered(asked.request, ANSWERS[6])]
    with pytest.raises(AssertionError):
        check(asked)
    asked.told = [Answered(asked.request, ANSWERS[4])] * 2
    with pytest.raises(AssertionError):
        check(asked)
    asked = Asked(PrepareRequest(0, "SELECT 1"))
    asked.told = [Interrupted(asked.request, 0, Outcome.DONE)]
    with pytest.raises(AssertionError):
        check(asked)
