"""Faults on a connection through a proxy, without sockets: the embedded server is node and oracle.

Two engines with the same databases get the same requests. One plays the faults itself, which `tests/faults`
holds; before the other, which knows of none, stands `ConnectionFaulting`. The client must see the same bytes,
and the databases must hold the same afterwards, however the streams are cut and requests are sent ahead.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire.constants import NodeRole, RequestType
from dqlitewire.conversation import Exchange, Observer, Side
from dqlitewire.faults import Corrupt, Delay, Drop, Fail, Fault, FaultList, Hold, Split, Strike
from dqlitewire.messages import (
    ConnectRequest,
    EmptyResponse,
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    FinalizeRequest,
    InterruptRequest,
    LeaderRequest,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
)
from dqlitewire.messages.base import Message
from dqlitewire.proxy import faulting
from dqlitewire.proxy.faulting import MAX_HELD
from dqlitewire.proxy.passage import Passage, TakenFault
from dqlitewire.servers.releases import RELEASES
from dqlitewire.testing.node.cluster import Member
from dqlitewire.testing.node.engine import Engine
from dqlitewire.testing.node.session import Session
from tests.proxy.passing import Relay

CLIENT, SERVER = Side.CLIENT, Side.SERVER
SERIES = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 900) SELECT i FROM r"
INSERT = ExecSqlRequest(0, "INSERT INTO t (b) VALUES (7)")
OPENING = [OpenRequest("main", 0, ""), ExecSqlRequest(0, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")]
REQUESTS: list[Message] = [
    LeaderRequest(),
    INSERT,
    ExecSqlRequest(0, "INSERT INTO nonsense VALUES (1)"),
    QuerySqlRequest(0, "SELECT a FROM t"),
    QuerySqlRequest(0, SERIES),
    PrepareRequest(0, "INSERT INTO t (b) VALUES (8)"),
    PrepareRequest(0, "SELECT count(*) FROM t", schema=1),
    ExecRequest(0, 0),
    QueryRequest(0, 1),
    FinalizeRequest(0, 1),
]
SELECTIONS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "on": st.sampled_from(
            ["EXEC_SQL", "QUERY_SQL", "EXEC", "QUERY", "PREPARE", "FINALIZE", ["LEADER", "EXEC"]]
        ),
        "sql": st.sampled_from(["INSERT", "SELECT", "VALUES \\(8\\)"]),
        "times": st.sampled_from([1, 2, None]),
        "after": st.integers(0, 2),
        "probability": st.sampled_from([0.5, 1.0]),
    },
)
BOTH = st.sampled_from(["request", "response"])


def orders(kind: type[Fault], **own: st.SearchStrategy[Any]) -> st.SearchStrategy[Callable[[], Fault]]:
    """Makers of a kind of fault: each engine needs one of its own, which counts for itself."""
    return st.builds(
        lambda words, selection: lambda: kind(**words, **selection), st.fixed_dictionaries(own), SELECTIONS
    )


FAULTS = st.one_of(
    orders(Fail, code=st.sampled_from([5, 10250]), executed=st.booleans()),
    orders(Delay, seconds=st.just(0.01), direction=BOTH),
    orders(Split, size=st.integers(1, 30), pause=st.just(0.001), direction=BOTH),
    orders(Corrupt, at=st.sampled_from([4, 5, 9, 17]), xor=st.sampled_from([1, 255])),
    orders(Drop, frames=st.integers(0, 3), bytes=st.integers(0, 30), executed=st.booleans()),
    orders(Drop, bytes=st.integers(0, 30), direction=st.just("request")),
    orders(Hold, direction=BOTH),
)


@contextmanager
def node() -> Iterator[tuple[Engine, Session]]:
    """A node with an open connection and a table."""
    engine = Engine(RELEASES["1.18.1"])
    member = Member(1, "here", NodeRole.VOTER, live=True)
    engine.cluster.join(member)
    engine.cluster.set_leader(member)
    session = engine.connect(member)
    session.receive(b"\x01" + bytes(7))
    for message in OPENING:
        session.receive(message.encode())
        drained(session)
    try:
        yield engine, session
    finally:
        engine.close()


def drained(session: Session) -> bytes:
    out = b""
    while (piece := session.step()) is not None:
        out += piece
    return out


def table(engine: Engine) -> list[Any]:
    """What the table holds."""
    session = engine.connect(engine.cluster.members[0])
    session.receive(b"\x01" + bytes(7))
    session.receive(OpenRequest("main", 0, "").encode() + QuerySqlRequest(0, "SELECT a FROM t").encode())
    out = drained(session)
    session.close()
    return [out]


def directly(requests: list[Message], faults: list[Fault]) -> tuple[bytes, bool, bool, list[Any], list[int]]:
    """What the client sees, whether the connection ended and how, and what the node holds afterwards."""
    with node() as (engine, session):
        for fault in faults:
            engine.faults.order(fault)
        session.receive(b"".join(request.encode() for request in requests))
        seen = drained(session)
        engine.faults.clear()
        return seen, session.closed, session.reset, table(engine), [fault.hits for fault in faults]


class Path:
    """A client, the relay and a node, each at its own pace, with both streams cut anywhere."""

    def __init__(self, session: Session, relay: Relay, draw: random.Random) -> None:
        self.session, self.relay, self.draw = session, relay, draw
        self.coming = {CLIENT: b"", SERVER: b""}
        self.arrived = 0

    def step(self) -> bool:
        """Let a piece of a stream come to the relay, or the node do something; false if all is done."""
        draw, relay = self.draw, self.relay
        side = draw.choice([one for one in Side if self.coming[one]] or [None])
        if side is not None:
            size = draw.choice([1, 7, 8, 9, 100, 5000])
            piece, self.coming[side] = self.coming[side][:size], self.coming[side][size:]
            relay.feed(side, piece)
        if len(relay.out[CLIENT]) > self.arrived:
            self.session.receive(bytes(relay.out[CLIENT][self.arrived :]))
            self.arrived = len(relay.out[CLIENT])
        if side is not None and draw.random() < 0.5:
            return not relay.closed
        answer = self.session.step()
        self.coming[SERVER] += answer or b""
        return not relay.closed and not (answer is None and side is None)


def through(
    requests: list[Message], faults: list[Fault], draw: random.Random
) -> tuple[bytes, bool, bool, list[Any], list[int]]:
    """The same through a proxy."""
    ordered = FaultList()
    for fault in faults:
        ordered.order(fault)
    with node() as (engine, session):
        relay = Relay(ordered)
        path = Path(session, relay, draw)
        path.coming[CLIENT] = b"".join(request.encode() for request in requests)
        while path.step():
            pass
        drained(session)
        relay.faulting.leave()
        closed = relay.closed or session.closed
        return bytes(relay.out[SERVER]), closed, relay.reset, table(engine), [one.hits for one in faults]


@given(
    requests=st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=12),
    faults=st.lists(FAULTS, max_size=3),
    seed=st.integers(0, 1 << 30),
)
def test_a_proxy_spoils_as_the_embedded_server_does(
    requests: list[Message], faults: list[Callable[[], Fault]], seed: int
) -> None:
    expected = directly(requests, [make() for make in faults])
    assert through(requests, [make() for make in faults], random.Random(seed)) == expected


# ---------------------------------------------------------------- whose answer it is


def numbered(way: str, number: int) -> Message:
    """A request whose answer has its number."""
    match way:
        case "insert":
            return ExecSqlRequest(0, f"INSERT INTO t (a) VALUES ({number})")
        case "select":
            return QuerySqlRequest(0, f"SELECT {number}")
        case "series":
            return QuerySqlRequest(0, SERIES.replace("SELECT i FROM", f"SELECT {number}, i FROM"))
        case _:
            return InterruptRequest(0)


def number_of(exchange: Exchange) -> int | None:
    """The number in an answer; None if it has none."""
    match exchange.answers[-1].message:
        case ResultResponse(number):
            return number
        case RowsResponse():
            numbers = {row[0] for frame in exchange.answers for row in frame.message.rows}  # type: ignore
            assert len(numbers) <= 1
            return numbers.pop() if numbers else None
        case _:
            return None


STRUCK = [
    lambda words: Fail(1, "struck", **words),
    lambda words: Fail(1, "struck", executed=True, **words),
    lambda words: Delay(0.01, **words),
    lambda words: Split(5, direction="request", **words),
    lambda words: Corrupt(lambda frame: frame, **words),
]
EVENTS = st.one_of(
    st.sampled_from(["insert", "select", "series", "interrupt", "interrupt"]),
    st.tuples(
        st.integers(0, len(STRUCK) - 1),
        st.sampled_from(["EXEC_SQL", "QUERY_SQL", "INTERRUPT", None]),
        st.sampled_from([1, 2, None]),
    ),
    st.just("remove"),
    st.integers(1, 60),  # steps of the others
)


@given(events=st.lists(EVENTS, min_size=2, max_size=30), seed=st.integers(0, 1 << 30))
def test_every_answer_belongs_to_its_request(events: list[Any], seed: int) -> None:
    """Requests are sent ahead and interrupted, and faults come and go in the middle of them."""
    faults, asked, observer, exchanges = (
        FaultList(),
        list[Message](),
        Observer(handshake=False),
        list[Exchange](),
    )
    with node() as (_, session):
        relay = Relay(faults)
        path = Path(session, relay, random.Random(seed))
        seen = 0

        def steps(most: int) -> None:
            nonlocal seen
            while most and path.step():
                most -= 1
            new = observer.receive(SERVER, bytes(relay.out[SERVER][seen:]))
            exchanges.extend(event for event in new if isinstance(event, Exchange))
            seen = len(relay.out[SERVER])

        for event in events:
            match event:
                case "remove":
                    for number, _ in faults.listed()[:1]:
                        faults.remove(number)
                case str():
                    asked.append(numbered(event, len(asked) + 1))
                    path.coming[CLIENT] += asked[-1].encode()
                    observer.receive(CLIENT, asked[-1].encode())
                case int():
                    steps(event)
                case which, on, times:
                    faults.order(STRUCK[which]({"on": on, "times": times}))
        steps(-1)
        assert observer.unanswered == ()
        assert len(exchanges) == len(asked)
        for number, (request, exchange) in enumerate(zip(asked, exchanges, strict=True), 1):
            assert exchange.request is not None
            assert exchange.request.message == request
            match exchange.ending:
                case "done":
                    assert number_of(exchange) in (number, None), (request, exchange)
                case "failure":
                    assert isinstance(exchange.answers[-1].message, FailureResponse)
                    assert exchange.answers[-1].message.message == "struck"
                case "interrupted":
                    assert isinstance(request, QuerySqlRequest)
                case ending:
                    raise AssertionError(f"{request} ended {ending}")


# ---------------------------------------------------------------- single steps

EMPTY = EmptyResponse().encode()
STRUCK_FRAME = FailureResponse(1, "struck").encode()
PART, DONE = (RowsResponse(["a"], rows=[[1]], has_more=more).encode() for more in (True, False))
RESULT = ResultResponse(1, 1).encode()
QUERY, INTERRUPT = QuerySqlRequest(0, "SELECT 1").encode(), InterruptRequest(0).encode()


def relay(*faults: Fault) -> Relay:
    ordered = FaultList()
    for fault in faults:
        ordered.order(fault)
    return Relay(ordered)


def feed(path: Relay, *pieces: tuple[Side, bytes]) -> tuple[bytes, bytes]:
    """What goes on to the node, and to the client."""
    for side, data in pieces:
        path.feed(side, data)
    return bytes(path.out[CLIENT]), bytes(path.out[SERVER])


def test_nothing_is_held_where_nothing_can_strike() -> None:
    """But PREPARE, FINALIZE and STMT: a fault that comes later may ask for the text."""
    requests = [message for message in REQUESTS if type(message) not in (PrepareRequest, FinalizeRequest)]
    path = relay(Fail(1, on="OPEN"), Fail(1, connection=2), Delay(1, on="INTERRUPT", direction="request"))
    for message in requests:
        feed(path, (CLIENT, message.encode()))
    feed(path, (SERVER, PART + DONE + RESULT))
    assert path.held == {CLIENT: 0, SERVER: 0}
    feed(path, (CLIENT, PrepareRequest(0, "SELECT 1").encode()))
    assert path.held == {CLIENT: 1, SERVER: 0}
    assert path.faulting.waiting_bytes == 0


def test_a_fault_that_never_hit_says_what_came() -> None:
    fault = Fail(1, on="OPEN")
    feed(relay(fault), (CLIENT, QUERY + INSERT.encode() + PrepareRequest(0, "x").encode()))
    assert fault.came() == "came: QUERY_SQL 1, EXEC_SQL 1, PREPARE 1"


def test_a_struck_request_waits_for_the_answers_before_it() -> None:
    path = relay()
    feed(path, (CLIENT, QUERY))
    path.faulting._list.order(Fail(1, "struck", on="EXEC_SQL"))
    assert feed(path, (CLIENT, INSERT.encode()), (SERVER, PART)) == (QUERY, PART)
    assert path.faulting.waiting_bytes == len(INSERT.encode())
    assert feed(path, (SERVER, DONE[:-1])) == (QUERY, PART + DONE[:-1])
    assert feed(path, (SERVER, DONE[-1:])) == (QUERY, PART + DONE + STRUCK_FRAME)
    assert path.faulting.waiting_bytes == 0
    assert path.held[SERVER] == 0
    assert path.taken == [TakenFault(1, "fail", "EXEC_SQL")]


def test_an_answer_of_faults_never_goes_into_a_frame() -> None:
    """Of an answer to nothing that was asked, which comes from a node that is none."""
    path = relay(Fail(1, "struck", on="EXEC_SQL"))
    feed(path, (SERVER, RESULT[:10]), (CLIENT, INSERT.encode()))
    assert bytes(path.out[SERVER]) == RESULT[:10]
    assert feed(path, (SERVER, RESULT[10:])) == (b"", RESULT + STRUCK_FRAME)


@pytest.mark.parametrize("executed", [False, True])
def test_a_failed_interrupt(executed: bool) -> None:
    """One EMPTY answers query and INTERRUPT, but one FAILURE only one of them."""
    path = relay(Fail(1, "struck", on="INTERRUPT", executed=executed))
    feed(path, (CLIENT, QUERY + INTERRUPT), (SERVER, PART))
    if executed:
        assert feed(path, (SERVER, EMPTY)) == (QUERY + INTERRUPT, PART + STRUCK_FRAME * 2)
    else:
        assert feed(path, (SERVER, DONE)) == (QUERY, PART + DONE + STRUCK_FRAME)


def test_a_failed_query_that_is_interrupted() -> None:
    path = relay(Fail(1, "struck", on="QUERY_SQL", executed=True))
    sent = feed(path, (CLIENT, QUERY + INTERRUPT), (SERVER, PART + EMPTY))
    assert sent == (QUERY + INTERRUPT, STRUCK_FRAME + EMPTY)
    assert feed(path, (CLIENT, QUERY), (SERVER, DONE))[1] == STRUCK_FRAME + EMPTY + DONE


def test_an_interrupt_that_came_too_late() -> None:
    path = relay(Fail(1, "struck", on="INTERRUPT", executed=True))
    assert feed(path, (CLIENT, QUERY + INTERRUPT), (SERVER, DONE + EMPTY))[1] == DONE + STRUCK_FRAME


def test_what_strikes_an_interrupt_goes_on() -> None:
    path = relay(Hold(on="INTERRUPT"), Drop(frames=2, on="INTERRUPT", times=None))
    feed(path, (CLIENT, QUERY + INTERRUPT), (SERVER, PART + EMPTY))
    feed(path, (CLIENT, QUERY), (SERVER, DONE))
    assert (bytes(path.out[CLIENT]), bytes(path.out[SERVER])) == (QUERY + INTERRUPT + QUERY, b"")
    path = relay(Drop(frames=2, bytes=9, on="INTERRUPT", times=None, reset=True))
    feed(path, (CLIENT, QUERY + INTERRUPT), (SERVER, EMPTY))
    feed(path, (CLIENT, QUERY + INTERRUPT), (SERVER, PART + DONE))
    assert bytes(path.out[SERVER]) == EMPTY + PART + DONE[:9]
    assert path.closed
    assert path.reset
    assert [taken.fault for taken in path.taken] == [1]  # it goes on, and does not strike again


def test_what_strikes_a_query_goes_on_over_its_interrupt() -> None:
    path = relay(Drop(frames=2, bytes=3, on="QUERY_SQL"))
    sent = feed(path, (CLIENT, QUERY + INTERRUPT + QUERY), (SERVER, PART + DONE + EMPTY))
    assert sent == (QUERY + INTERRUPT, PART + DONE + EMPTY[:3])
    assert path.closed


def test_a_connection_of_raft_is_left_alone() -> None:
    connect = ConnectRequest(1, "here").encode()
    path = relay(Corrupt(on="CONNECT", direction="request", at=17), Fail(1, times=None))
    path.faulting._list.remove(2)
    feed(path, (CLIENT, QUERY), (SERVER, DONE))
    path.faulting._list.order(Corrupt(times=None))
    sent, _ = feed(path, (CLIENT, connect), (CLIENT, b"\xff" * 9))
    raft = sent[len(QUERY) :]
    assert len(raft) == len(connect) + 9
    assert raft.endswith(b"\xff" * 9)
    assert feed(path, (SERVER, b"\xee" * 9))[1] == DONE + b"\xee" * 9


def test_a_request_cut_out_of_step_ends_the_frames() -> None:
    """The node waits for more than comes, and takes the next request for it."""
    path = relay(Corrupt(at=0, xor=1, on="EXEC_SQL", direction="request"), Corrupt(times=None))
    sent, seen = feed(path, (CLIENT, INSERT.encode() + QUERY), (SERVER, RESULT))
    assert len(sent) == len(INSERT.encode() + QUERY)
    assert sent.endswith(QUERY)
    assert seen == RESULT


class Twice(Fault):
    """Send every frame twice."""

    def frame(self, strike: Strike, data: bytes) -> bytes:
        return data + data


class Silence(Fault):
    """Carry nothing out, and say nothing."""

    def begin(self, strike: Strike) -> None:
        strike.skip()


class Broken(Fault):
    """A hook with a defect."""

    def frame(self, strike: Strike, data: bytes) -> bytes:
        raise RuntimeError("a defect")


def test_faults_of_ones_own() -> None:
    path = relay(Twice(on="EXEC_SQL"), Twice(direction="request", on="QUERY_SQL"), Silence(on="OPEN"))
    opened = OpenRequest("x", 0, "").encode()
    feed(path, (CLIENT, opened + INSERT.encode() + QUERY), (SERVER, RESULT))
    assert path.taken == [
        TakenFault(3, "silence", "OPEN"),
        TakenFault(1, "twice", "EXEC_SQL"),
        TakenFault(2, "twice", "QUERY_SQL"),
    ]
    assert bytes(path.out[CLIENT]) == INSERT.encode() + QUERY * 2
    path.faulting._list.order(Fail(1, "struck"))
    sent, seen = feed(path, (CLIENT, INSERT.encode()), (SERVER, DONE + PART + DONE))
    assert sent == INSERT.encode() + QUERY * 2  # it waited for both answers
    assert seen == RESULT * 2 + DONE + PART + DONE + STRUCK_FRAME
    with pytest.raises(RuntimeError, match="a defect"):
        feed(relay(Broken(direction="request")), (CLIENT, QUERY))


def test_a_passage_says_how_it_goes() -> None:
    path = relay(
        Delay(0.5, direction="request"),
        Split(3, 0.1),
        Delay(0.25),
        Delay(0.25),
        Drop(executed=False, reset=True, on="EXEC_SQL"),
    )
    feed(path, (CLIENT, QUERY), (SERVER, PART + DONE), (CLIENT, INSERT.encode()))
    taken = tuple(
        TakenFault(number, kind, "QUERY_SQL")
        for number, kind in enumerate(["delay", "split", "delay", "delay"], 1)
    )
    assert path.passages == [
        Passage(CLIENT, QUERY, QUERY, pause=0.5, taken=taken),
        Passage(SERVER, PART, PART, pause=0.5, write_size=3, write_pause=0.1),
        Passage(SERVER, DONE, DONE, write_size=3, write_pause=0.1),
        Passage(CLIENT, INSERT.encode(), b"", taken=(TakenFault(5, "drop", "EXEC_SQL"),)),
        Passage(SERVER, b"", b"", closed=True, reset=True),
    ]
    assert path.faulting.frame(SERVER, RESULT) == [Passage(SERVER, RESULT, b"")]  # behind the end


def test_a_hold_on_the_way_to_the_node_keeps_every_request() -> None:
    path = relay(Hold(direction="request", on="EXEC_SQL"))
    sent, seen = feed(path, (CLIENT, QUERY + INSERT.encode() + QUERY + INTERRUPT), (SERVER, DONE))
    assert (sent, seen) == (QUERY, DONE)
    assert not path.closed
    assert path.faulting.waiting_bytes == 0


def test_leaving_ends_what_goes_on() -> None:
    ended: list[int] = []

    class Ends(Fault):
        goes_on = True

        def end(self, strike: Strike) -> None:
            ended.append(strike.frames)

    path = relay(Ends())
    feed(path, (CLIENT, QUERY + QUERY), (SERVER, DONE))
    path.faulting.leave()
    assert ended == [1]
    assert path.faulting.waiting_bytes == 0


def test_a_frame_too_large_to_be_held_passes() -> None:
    """A header may announce 32 GiB."""
    path = relay()
    header = (MAX_HELD // 8).to_bytes(4, "little") + bytes([RequestType.PREPARE, 0, 0, 0])
    assert not path.faulting.holds(CLIENT, header)
    assert path.faulting.holds(CLIENT, PrepareRequest(0, "x").encode()[:8])


def test_requests_that_a_node_does_not_answer_are_not_kept_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(faulting, "_MOST_OPEN", 3)
    path = relay()
    feed(path, (CLIENT, INSERT.encode() * 3))
    assert not path.faulting.full
    feed(path, (CLIENT, INSERT.encode()))
    assert path.faulting.full
    feed(path, (SERVER, RESULT))
    assert not path.faulting.full
    feed(path, (CLIENT, INSERT.encode() + ConnectRequest(1, "a:1").encode()))
    assert not path.faulting.full  # it is raft's from here on
