"""The observer: exchanges with their times and counts, and what it makes of bytes that are no
conversation."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import Limits, Message
from dqlitewire.conversation import (
    End,
    Ending,
    Event,
    Exchange,
    Frame,
    Gap,
    Garbage,
    Observer,
    Opaque,
    Outcome,
    Preamble,
    RaftFrame,
    Side,
)
from dqlitewire.messages import (
    ClientRequest,
    ClusterRequest,
    DbResponse,
    EmptyResponse,
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    FinalizeRequest,
    InterruptRequest,
    LeaderRequest,
    LeaderResponse,
    OpenRequest,
    PrepareRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
    ServersResponse,
    StmtResponse,
    WelcomeResponse,
)
from dqlitewire.messages.requests import ConnectRequest
from dqlitewire.raft import TimeoutNow
from tests.conversation.messages import NODE, done, part
from tests.wire_data import Capture, captures, pieces

CLIENT, SERVER = Side.CLIENT, Side.SERVER
HANDSHAKE = b"\x01" + bytes(7)
LEGACY = (0x86104DD760433FE5).to_bytes(8, "little")
SELECT = QuerySqlRequest(0, "SELECT a FROM t")
INSERT = ExecSqlRequest(0, "INSERT INTO t VALUES (1)")
UPGRADE = b"GET /internal/database HTTP/1.1\r\nHost: a\r\nUpgrade: dqlite\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: dqlite\r\n\r\n"


def data_of(what: Message | bytes) -> bytes:
    return what if isinstance(what, bytes) else what.encode()


def seen(*said: tuple[Side, Message | bytes], **options: Any) -> list[Event]:
    """All events of a conversation in which the n-th piece comes at time n."""
    observer = Observer(**options)
    events: list[Event] = []
    for time, (side, what) in enumerate(said):
        events += observer.receive(side, data_of(what), time)
    return events + observer.finish(len(said))


def of(kind: type, events: list[Event]) -> list[Any]:
    return [event for event in events if type(event) is kind]


def exchanges(events: list[Event]) -> list[tuple[str, str, int]]:
    return [(e.label, e.ending, e.answer_count) for e in of(Exchange, events)]


# ---------------------------------------------------------------- exchanges


def test_an_exchange() -> None:
    request, answer = SELECT.encode(), [part(1, 2).encode(), done(3).encode()]
    observer = Observer()
    observer.receive(CLIENT, HANDSHAKE, 1.0)
    observer.receive(CLIENT, request[:9], 2.0)
    (frame,) = observer.receive(CLIENT, request[9:], 3.0)
    assert (frame.type_name, frame.offset, frame.start, frame.end) == ("QUERY_SQL", 8, 2.0, 3.0)
    assert [e.label for e in observer.unanswered] == ["QUERY_SQL"]
    assert observer.receive(SERVER, answer[0][:5], 4.0) == []
    first, last, exchange = observer.receive(SERVER, answer[0][5:] + answer[1], 5.0)
    assert (first.start, first.end, first.more, first.rows) == (4.0, 5.0, True, 2)
    assert (last.start, last.end, last.more, last.rows) == (5.0, 5.0, False, 1)
    assert first.exchange is last.exchange is frame.exchange is exchange
    assert (exchange.request, exchange.answers, exchange.ending) == (frame, [first, last], "done")
    assert (exchange.answer_count, exchange.row_count) == (2, 3)
    assert (exchange.request_bytes, exchange.answer_bytes) == (len(request), sum(map(len, answer)))
    assert (exchange.started, exchange.sent, exchange.first_byte, exchange.last_byte) == (2.0, 3.0, 4.0, 5.0)
    assert exchange.duration == 3.0
    assert exchange.sql == "SELECT a FROM t"
    assert exchange.outcome is Outcome.DONE
    assert observer.unanswered == ()
    assert (observer.offset(CLIENT), observer.offset(SERVER)) == (8 + len(request), sum(map(len, answer)))


def test_frames_decode_when_asked() -> None:
    events = seen((CLIENT, HANDSHAKE), (CLIENT, SELECT), (SERVER, done(1, 2)))
    request, answer = of(Frame, events)
    assert request.message == SELECT
    assert answer.rows == 2
    assert answer.message == done(1, 2)
    assert answer.rows == 2


def test_rows_need_not_be_counted() -> None:
    (exchange,) = of(
        Exchange, seen((CLIENT, HANDSHAKE), (CLIENT, SELECT), (SERVER, done(1)), count_rows=False)
    )
    assert exchange.row_count is None
    assert exchange.answers[0].rows == 1


def test_long_answers_are_kept_in_part() -> None:
    answer = b"".join(part(i).encode() for i in range(100)) + done().encode()
    (exchange,) = of(Exchange, seen((CLIENT, HANDSHAKE), (CLIENT, SELECT), (SERVER, answer), keep_answers=3))
    assert (exchange.answer_count, exchange.row_count) == (101, 100)
    assert [frame.message for frame in exchange.answers] == [part(0), part(1), done()]


def test_failure() -> None:
    failure = FailureResponse(10506, "disk I/O error")
    (exchange,) = of(Exchange, seen((CLIENT, HANDSHAKE), (CLIENT, INSERT), (SERVER, failure)))
    assert (exchange.ending, exchange.failure, exchange.outcome) == ("failure", failure, Outcome.UNKNOWN)


def test_text_of_prepared_statements() -> None:
    said = [(CLIENT, HANDSHAKE)]
    for request, answer in [
        (PrepareRequest(0, "SELECT 1"), StmtResponse(0, 0, 0)),
        (PrepareRequest(0, "INSERT INTO t VALUES (?)"), StmtResponse(0, 1, 1)),
        (ExecRequest(0, 1, [5]), ResultResponse(1, 1)),
        (FinalizeRequest(0, 1), EmptyResponse()),
        (ExecRequest(0, 1, [5]), FailureResponse(12, "no statement with the given id")),
    ]:
        said += [(CLIENT, request), (SERVER, answer)]
    assert [e.sql for e in of(Exchange, seen(*said)) if e.label == "EXEC"] == [
        "INSERT INTO t VALUES (?)",
        None,
    ]


def test_interrupt_that_is_honoured() -> None:
    said = [HANDSHAKE, SELECT, InterruptRequest()]
    events = seen((CLIENT, b"".join(map(data_of, said))), (SERVER, part(1)), (SERVER, EmptyResponse()))
    assert exchanges(events) == [("QUERY_SQL", "interrupted", 1), ("INTERRUPT", "done", 1)]


def test_interrupt_that_is_not() -> None:
    said = b"".join(map(data_of, (HANDSHAKE, SELECT, InterruptRequest())))
    events = seen((CLIENT, said), (SERVER, part(1)), (SERVER, done(2)), (SERVER, EmptyResponse()))
    assert exchanges(events) == [("QUERY_SQL", "done", 2), ("INTERRUPT", "done", 1)]


def test_servers_by_format_and_leader_by_handshake() -> None:
    cluster = ClusterRequest().encode()[:8] + bytes(8)
    legacy = bytes([2, 0, 0, 0, 1, 0, 0, 0]) + b"127.0.0.1:9001\0\0"
    events = seen(
        (CLIENT, LEGACY), (CLIENT, LeaderRequest()), (SERVER, legacy),
        (CLIENT, cluster), (SERVER, ServersResponse([NODE], format=0)),
        (CLIENT, ClusterRequest()), (SERVER, ServersResponse([NODE])),
    )  # fmt: skip
    assert of(Preamble, events)[0].kind == "legacy handshake"
    assert [frame.message for frame in of(Frame, events) if not frame.is_request] == [
        LeaderResponse(0, "127.0.0.1:9001"),
        ServersResponse([NODE], format=0),
        ServersResponse([NODE]),
    ]


def test_unanswered_at_the_end() -> None:
    events = seen((CLIENT, HANDSHAKE), (CLIENT, SELECT), (SERVER, part(1)), (CLIENT, INSERT))
    assert exchanges(events) == [("QUERY_SQL", "unanswered", 1), ("EXEC_SQL", "unanswered", 0)]
    assert [(e.side, e.ending) for e in of(End, events)] == [
        (CLIENT, Ending.UNANSWERED),
        (SERVER, Ending.MID_ANSWER),
    ]
    assert [e.outcome for e in of(Exchange, events)] == [Outcome.NOT_EXECUTED, Outcome.UNKNOWN]


def test_end_amid_a_frame() -> None:
    events = seen((CLIENT, HANDSHAKE), (CLIENT, SELECT), (SERVER, done(1).encode()[:30]))
    assert of(End, events)[1] == End(SERVER, Ending.MID_FRAME, done(1).encode()[:30], 0, 3)


def test_each_side_ends_once() -> None:
    observer = Observer()
    assert len(observer.receive_eof(CLIENT)) == 1
    assert observer.receive_eof(CLIENT) == []
    assert len(observer.finish()) == 1
    assert observer.finish() == []


# ---------------------------------------------------------------- out of step


def test_answer_to_nothing() -> None:
    events = seen((SERVER, part(1)), (SERVER, done(2)), (SERVER, DbResponse(0)))
    assert exchanges(events) == [("ROWS", "orphan", 2), ("DB", "orphan", 1)]
    assert of(Exchange, events)[0].request is None


def test_an_orphan_run_that_breaks_off() -> None:
    events = seen((SERVER, part(1)), (SERVER, ResultResponse(1, 1)))
    assert exchanges(events) == [("ROWS", "orphan", 1), ("RESULT", "orphan", 1)]


def test_wrong_answer_keeps_the_count() -> None:
    # lxd#4947: an answer is taken for another request's
    events = seen(
        (CLIENT, b"".join(map(data_of, (HANDSHAKE, INSERT, SELECT)))),
        (SERVER, EmptyResponse()),
        (SERVER, done(1)),
    )
    assert exchanges(events) == [("EXEC_SQL", "wrong", 1), ("QUERY_SQL", "done", 1)]


def test_types_nobody_knows_are_kept() -> None:
    unknown = bytes([1, 0, 0, 0, 99, 0, 0, 0]) + bytes(8)
    events = seen(
        (CLIENT, HANDSHAKE), (CLIENT, unknown), (SERVER, FailureResponse(1005, "unrecognized request type"))
    )
    assert exchanges(events) == [("type 99", "failure", 1)]
    frame = of(Frame, events)[0]
    assert (frame.data, frame.message) == (unknown, None)
    assert frame.error is not None


def test_text_that_is_not_utf8_and_roles_nobody_knows() -> None:
    body = bytes([1]) + bytes(7) + b"a" + bytes(7) + bytes([3]) + bytes(7) + b"\xff" + bytes(7) + b"\xff" * 8
    events = seen((CLIENT, HANDSHAKE), (CLIENT, SELECT), (SERVER, bytes([5, 0, 0, 0, 7, 0, 0, 0]) + body))
    assert of(Frame, events)[1].message.rows == [("\\xff",)]
    servers = bytearray(ServersResponse([NODE]).encode())
    servers[-8] = 9
    events = seen((CLIENT, HANDSHAKE), (CLIENT, ClusterRequest()), (SERVER, bytes(servers)))
    assert of(Frame, events)[1].error is None


GARBAGE = [
    b"garbage that is no frame",
    bytes(40),
    b"\xff" * 24,
    b"x",
    bytes(3) + b"\x01" * 6,
    random.Random(7).randbytes(5000),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=len)
@pytest.mark.parametrize("split", [1, 13, 100_000])
def test_frames_are_found_again_behind_garbage(garbage: bytes, split: int) -> None:
    before, after = b"".join((part(1).encode(), garbage)), b"".join((part(2).encode(), done(3, 4).encode()))
    observer = Observer()
    events = observer.receive(CLIENT, HANDSHAKE + SELECT.encode())
    for piece in pieces(before + after, split):
        events += observer.receive(SERVER, piece)
    events += observer.finish()
    dropped = of(Garbage, events)
    assert b"".join(event.data for event in dropped) == garbage
    assert dropped[0].offset == len(part(1).encode())
    assert [frame.message for frame in of(Frame, events)[1:]] == [part(1), part(2), done(3, 4)]
    assert exchanges(events) == [("QUERY_SQL", "done", 3)]


def test_garbage_at_the_end() -> None:
    events = seen((CLIENT, HANDSHAKE), (SERVER, b"no frames here at all"))
    assert (
        b"".join(event.data for event in of(Garbage, events)) + of(End, events)[1].data
        == b"no frames here at all"
    )


def test_a_frame_above_the_cap_is_garbage() -> None:
    big = done(*range(500)).encode()
    events = seen((CLIENT, HANDSHAKE), (CLIENT, SELECT), (SERVER, big), limits=Limits(max_message_size=4096))
    assert sum(event.size for event in of(Garbage, events)) + len(of(End, events)[1].data) > 8000


def said_in_order() -> list[tuple[Side, bytes]]:
    """Five exchanges, the third with a long answer."""
    pairs = [
        (OpenRequest("main"), [DbResponse(0)]),
        (INSERT, [ResultResponse(1, 1)]),
        (SELECT, [part(1), part(2), part(3), done(4)]),
        (ClientRequest(7), [WelcomeResponse(15000)]),
        (SELECT, [done(5)]),
    ]
    said = [(CLIENT, HANDSHAKE)]
    for request, answers in pairs:
        said += [(CLIENT, request.encode()), *((SERVER, answer.encode()) for answer in answers)]
    return said


def with_loss(lost: int, kept: int, size_known: bool) -> list[Event]:
    """Lose the piece at an index, but for its first bytes."""
    observer = Observer()
    events: list[Event] = []
    for number, (side, data) in enumerate(said_in_order()):
        if number == lost:
            events += observer.receive(side, data[:kept])
            events += observer.receive_gap(side, len(data) - kept if size_known else None)
        else:
            events += observer.receive(side, data)
    return events + observer.finish()


@pytest.mark.parametrize("size_known", [True, False])
@pytest.mark.parametrize("kept", [0, 4, 8, 12])
@pytest.mark.parametrize("lost", range(2, 14))
def test_after_a_loss_the_rest_is_in_step(lost: int, kept: int, size_known: bool) -> None:
    events = with_loss(lost, kept, size_known)
    assert len(of(Gap, events)) == 1
    last = of(Exchange, events)[-1]
    if lost < 12:  # the last exchange itself is whole
        assert (last.label, last.ending, last.row_count) == ("QUERY_SQL", "done", 1)
    dones = [e for e in of(Exchange, events) if e.ending == "done"]
    assert len(dones) >= 3


def test_a_loss_inside_a_frame_costs_that_frame_alone() -> None:
    events = with_loss(6, 8, True)
    damaged = [frame for frame in of(Frame, events) if frame.damaged]
    assert [(frame.type_name, frame.size, frame.message) for frame in damaged] == [("ROWS", 8, None)]
    assert "missing" in str(damaged[0].error)
    assert of(Garbage, events) == []


def test_a_loss_of_the_middle_of_a_frame() -> None:
    observer = Observer()
    data = done(*range(20)).encode()
    events = observer.receive(CLIENT, HANDSHAKE + SELECT.encode())
    events += observer.receive(SERVER, data[:50]) + observer.receive_gap(SERVER, 100)
    events += observer.receive(SERVER, data[150:] + DbResponse(0).encode())
    assert [event.data for event in of(Garbage, events)] == [data[150:]]
    assert of(Frame, events)[-1].message == DbResponse(0)
    assert of(Gap, events) == [Gap(SERVER, 50, 100, 0.0)]


def test_midstream() -> None:
    said = [(side, data) for side, data in said_in_order()[3:]]
    said[0] = (CLIENT, said[0][1][20:])
    events = seen(*said, midstream=True)
    assert [label for label, ending, _ in exchanges(events) if ending == "done"] == [
        "QUERY_SQL",
        "CLIENT",
        "QUERY_SQL",
    ]


def test_a_missed_handshake_is_noticed() -> None:
    events = seen((CLIENT, SELECT), (SERVER, done(1)))
    assert exchanges(events) == [("QUERY_SQL", "done", 1)]
    assert of(Preamble, events) == []


def test_without_a_handshake() -> None:
    # a LEADER request begins like a handshake
    unknown = bytes([1, 0, 0, 0, 99, 0, 0, 0]) + bytes(8)
    said = (CLIENT, LeaderRequest()), (SERVER, LeaderResponse(1, "a")), (CLIENT, unknown)
    events = seen(*said, handshake=False)
    assert exchanges(events) == [("LEADER", "done", 1), ("type 99", "unanswered", 0)]
    assert of(Preamble, events) == []


def test_one_side_alone() -> None:
    said = said_in_order()
    requests = seen(*[one for one in said if one[0] is CLIENT])
    assert [ending for _, ending, _ in exchanges(requests)] == ["unanswered"] * 5
    answers = seen(*[one for one in said if one[0] is SERVER])
    assert exchanges(answers) == [
        ("DB", "orphan", 1),
        ("RESULT", "orphan", 1),
        ("ROWS", "orphan", 4),
        ("WELCOME", "orphan", 1),
        ("ROWS", "orphan", 1),
    ]


# ---------------------------------------------------------------- what is not dqlite


def test_unknown_handshake() -> None:
    events = seen((CLIENT, b"\x02" + bytes(7)), (CLIENT, LeaderRequest()))
    assert [event.kind for event in of(Preamble, events)] == ["unknown handshake"]
    assert exchanges(events) == [("LEADER", "unanswered", 0)]


@pytest.mark.parametrize("split", [1, 1000])
def test_http_upgrade(split: int) -> None:
    observer = Observer()
    events: list[Event] = []
    for side, data in (
        (CLIENT, UPGRADE),
        (SERVER, SWITCHING),
        (CLIENT, HANDSHAKE + LeaderRequest().encode()),
        (SERVER, LeaderResponse(1, "a").encode()),
    ):
        for piece in pieces(data, split):
            events += observer.receive(side, piece)
    assert [(e.side, e.kind, e.data) for e in of(Preamble, events)] == [
        (CLIENT, "http request", UPGRADE),
        (SERVER, "http response", SWITCHING),
        (CLIENT, "handshake", HANDSHAKE),
    ]
    assert exchanges(events) == [("LEADER", "done", 1)]


def test_http_upgrade_refused() -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n"
    events = seen((CLIENT, UPGRADE), (SERVER, refusal + b"no"), (CLIENT, UPGRADE))
    assert [(e.side, e.kind, e.data) for e in of(Opaque, events)] == [
        (SERVER, "http", b"no"),
        (CLIENT, "http", UPGRADE),
    ]


def test_http_without_an_end() -> None:
    events = seen((CLIENT, b"GET /" + b"x" * 70_000))
    assert of(Garbage, events)


def test_tls() -> None:
    events = seen(
        (CLIENT, b"\x16\x03\x01\x02\x00\x01\x00hello"), (SERVER, b"\x16\x03\x03 hello"), (CLIENT, b"more")
    )
    assert [(e.side, e.kind) for e in of(Preamble, events)] == [(CLIENT, "tls")]
    assert [(e.side, e.kind, e.data) for e in of(Opaque, events)] == [
        (SERVER, "tls", b"\x16\x03\x03 hello"),
        (CLIENT, "tls", b"more"),
    ]


def test_raft() -> None:
    connect = ConnectRequest(2, "127.0.0.1:9002")
    message = TimeoutNow(2, 9, 1)
    after = 8 + len(connect.encode())
    events = seen(
        (CLIENT, HANDSHAKE + connect.encode() + message.encode()),
        (CLIENT, b"no message of a node"),
        (SERVER, b"!"),
    )
    assert exchanges(events) == [("CONNECT", "raft", 0)]
    assert of(Frame, events)[0].message == connect
    assert [(e.side, e.offset, e.message) for e in of(RaftFrame, events)] == [(CLIENT, after, message)]
    assert b"".join(e.data for e in of(Garbage, events)) == b"no message of a node"
    assert [(e.side, e.offset, e.kind, e.data) for e in of(Opaque, events)] == [(SERVER, 0, "raft", b"!")]


def test_frames_where_another_reader_found_them_between_nodes() -> None:
    """A recording may say so of a connection that seemed to be one of nodes; its garbage is garbage again."""
    message = TimeoutNow(2, 9, 1).encode()
    request = LeaderRequest().encode()
    observer = Observer(midstream=True)
    assert len(of(RaftFrame, observer.receive(CLIENT, message * 3))) == 3
    observer.receive_cut(SERVER, "http response", b"HTTP/1.1 404 Not Found\r\n\r\n")
    events = observer.receive_cut(CLIENT, "frame", request)
    events += observer.receive(CLIENT, bytes(64) + request * 3) + observer.finish()
    assert [event.data for event in of(Frame, events)] == [request] * 4
    assert b"".join(event.data for event in of(Garbage, events)) == bytes(64)


# ---------------------------------------------------------------- nothing makes it raise, nothing is lost


BEGINNINGS: list[dict[str, bool]] = [{}, {"midstream": True}, {"handshake": False}]


@given(
    st.lists(st.tuples(st.sampled_from(Side), st.binary(max_size=60)), max_size=8),
    st.sampled_from(BEGINNINGS),
    st.sampled_from([None, Limits(max_message_size=24)]),
)
def test_any_bytes(said: list[tuple[Side, bytes]], begins: dict[str, bool], limits: Limits | None) -> None:
    check_accounts(said, seen(*said, limits=limits, **begins))


@given(st.data())
def test_damaged_conversations(data: st.DataObject) -> None:
    said = []
    for side, piece in said_in_order():
        what = data.draw(st.sampled_from(["keep", "keep", "keep", "drop", "flip", "cut", "insert"]))
        at = data.draw(st.integers(0, len(piece) - 1))
        if what == "flip":
            piece = piece[:at] + bytes([piece[at] ^ 0xFF]) + piece[at + 1 :]
        elif what == "cut":
            piece = piece[:at]
        elif what == "insert":
            piece = piece[:at] + data.draw(st.binary(max_size=20)) + piece[at:]
        if what != "drop":
            said.append((side, piece))
    limits = data.draw(st.sampled_from([None, Limits(max_message_size=56)]))
    check_accounts(said, seen(*said, limits=limits))


def check_accounts(said: list[tuple[Side, bytes]], events: list[Event]) -> None:
    """Every byte comes out once, in order; every request frame has one exchange."""
    for side in Side:
        sent = b"".join(data for sender, data in said if sender is side)
        kinds = (Frame, Preamble, Garbage, Opaque, End)
        told = [event for event in events if isinstance(event, kinds) and event.side is side]
        assert b"".join(event.data for event in told) == sent
        offsets = [event.offset for event in told]
        assert offsets == [sum(len(event.data) for event in told[:i]) for i in range(len(told))]
    requests = [event for event in events if isinstance(event, Frame) and event.is_request]
    assert [e.request for e in of(Exchange, events) if e.request is not None] == requests
    for event in events:
        repr(event)
        if isinstance(event, Exchange):
            assert event.ending != "open"
            assert event.outcome in Outcome


@pytest.mark.parametrize("capture", captures(), ids=str)
def test_splits_make_no_difference(capture: Capture) -> None:
    whole, split = Observer(), Observer()
    first = whole.receive(CLIENT, capture.c2s) + whole.receive(SERVER, capture.s2c)
    second: list[Event] = []
    for side, data in ((CLIENT, capture.c2s), (SERVER, capture.s2c)):
        for piece in pieces(data, 997):
            second += split.receive(side, piece)
    assert [repr(event) for event in first] == [repr(event) for event in second]


def test_columns_wider_than_a_page_are_only_data() -> None:
    wide = RowsResponse(["x" * 4079], [], [], [], True)
    events = seen((CLIENT, HANDSHAKE), (CLIENT, SELECT), (SERVER, wide), (SERVER, wide))
    assert exchanges(events) == [("QUERY_SQL", "unanswered", 2)]


@pytest.mark.parametrize(
    "call",
    [
        lambda observer: observer.receive(CLIENT, "abc"),
        lambda observer: observer.receive(CLIENT, None),
        lambda observer: observer.receive(CLIENT, [1]),
        lambda observer: observer.receive(CLIENT, 5),
        lambda observer: observer.receive("client", b"x"),
        lambda observer: observer.receive_gap(CLIENT, "3"),
        lambda observer: observer.receive_gap(CLIENT, -1),
        lambda observer: observer.receive_gap(0),
        lambda observer: observer.receive_eof(None),
        lambda observer: observer.offset("client"),
    ],
)
def test_a_mistake_of_the_caller_changes_nothing(call: Any) -> None:
    observer = Observer()
    observer.receive(CLIENT, b"\1" + bytes(7) + OpenRequest("a").encode()[:10])
    with pytest.raises((TypeError, ValueError)):
        call(observer)
    assert observer.receive(CLIENT, b"") == []  # no end
    (event,) = observer.receive(CLIENT, memoryview(OpenRequest("a").encode())[10:])
    assert isinstance(event, Frame)
    assert not event.damaged
