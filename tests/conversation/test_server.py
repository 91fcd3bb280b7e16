"""The server's side: what comes out of bytes, and what may be said to it."""

from __future__ import annotations

from typing import Any

import pytest

from dqlitewire import (
    DecodeError,
    EncodeError,
    HandshakeError,
    Limits,
    Message,
    StreamError,
    ValueType,
    decode_message,
)
from dqlitewire.conversation import (
    BadHeader,
    Ended,
    Ending,
    Generation,
    Greeting,
    Incoming,
    Phase,
    Refused,
    ServerConversation,
    WrongAnswerError,
    batch_rows,
)
from dqlitewire.messages import (
    ClusterRequest,
    DbResponse,
    EmptyResponse,
    ExecSqlRequest,
    FailureResponse,
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
)
from dqlitewire.messages.requests import ConnectRequest
from tests.conversation.messages import NODE, REQUESTS, done, part
from tests.naming import shown

HANDSHAKE = b"\x01" + bytes(7)
LEGACY = (0x86104DD760433FE5).to_bytes(8, "little")
OPEN = OpenRequest("main")
SELECT = QuerySqlRequest(0, "SELECT a FROM t")
GENERATIONS = [generation for generation in Generation if generation]


def greeted(*requests: Message | bytes, handshake: bytes = HANDSHAKE, **options: Any) -> ServerConversation:
    server = ServerConversation(**options)
    frames = [request if isinstance(request, bytes) else request.encode() for request in requests]
    server.receive(handshake + b"".join(frames))
    return server


def frame(kind: int, body: bytes, schema: int = 0) -> bytes:
    return bytes([len(body) // 8, 0, 0, 0, kind, schema, 0, 0]) + body


def word(value: int) -> bytes:
    return value.to_bytes(8, "little")


# ---------------------------------------------------------------- requests


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=lambda request: type(request).__name__)
def test_each_request_comes_out(request_: Message) -> None:
    server = ServerConversation()
    for byte in HANDSHAKE + request_.encode()[:-1]:
        server.receive(bytes([byte]))
        assert server.next_request() is None
    server.receive(request_.encode()[-1:])
    got = server.next_request()
    if request_ is REQUESTS[2]:
        assert got.refusal == FailureResponse(1005, "unrecognized request type")
    else:
        assert got == request_
    assert server.buffered == 0


def test_a_request_waits_for_the_answer_before_it() -> None:
    server = greeted(OPEN, SELECT)
    assert server.next_request() == OPEN
    assert server.answer_open
    with pytest.raises(StreamError, match="not answered"):
        server.next_request()
    assert server.next_event() is None
    server.answer(DbResponse(0))
    assert server.next_request() == SELECT
    assert server.current == SELECT


def test_handshakes() -> None:
    for handshake in (HANDSHAKE, LEGACY):
        server = greeted(handshake=handshake)
        assert server.next_event() == Greeting(int.from_bytes(handshake, "little"), True)
        assert server.next_event() is None
        assert server.phase is Phase.OPEN
    server = greeted(LeaderRequest(), handshake=word(2))
    assert server.next_event() == Greeting(2, False)
    assert server.phase is Phase.BROKEN
    assert server.next_event() is None
    with pytest.raises(HandshakeError, match="version 0x2"):
        greeted(handshake=word(2)).next_request()


@pytest.mark.parametrize(
    "header", [bytes(8), b"\xff\xff\xff\xff\x08\x00\x00\x00", b"\x00\x10\x00\x00\x09\x00\x00\x00"]
)
def test_bad_header(header: bytes) -> None:
    words = int.from_bytes(header[:4], "little")
    server = greeted(header, limits=Limits(max_message_size=1024))
    assert isinstance(server.next_event(), Greeting)
    assert server.next_event() == BadHeader(words, header[4], header[5])
    assert server.phase is Phase.BROKEN
    with pytest.raises(DecodeError, match=f"{words} words"):
        greeted(header, limits=Limits(max_message_size=1024)).next_request()


def test_lenient_level_hands_out_everything() -> None:
    odd = [
        frame(99, word(7)),
        frame(4, word(0), 9),
        frame(18, word(3)),
        frame(3, b"no nul!!"),
        frame(0, word(1) * 2),
    ]
    server = greeted(*odd)
    assert isinstance(server.next_event(), Greeting)
    for data in odd:
        incoming = server.next_event()
        assert isinstance(incoming, Incoming)
        assert (incoming.data, incoming.type, incoming.schema) == (data, data[4], data[5])
        assert incoming.message is None
        assert isinstance(incoming.error, DecodeError)
        server.abandon()
    assert server.next_event() is None


def test_connect_gives_the_connection_away() -> None:
    connect = ConnectRequest(2, "127.0.0.1:9002")
    server = greeted(connect, b"raft")
    assert server.next_request() == connect
    assert server.phase is Phase.RAFT
    assert not server.answer_open
    server.receive(b" bytes")
    assert server.raft_data() == b"raft bytes"
    assert server.raft_data() == b""
    assert server.next_request() is None
    assert server.receive_eof() == Ended(Ending.CLEAN, 0)
    with pytest.raises(StreamError):
        greeted().raft_data()


# ---------------------------------------------------------------- refusals, by generation

SCHEMA, TYPE = "unrecognized schema version", "unrecognized request type"
OLD, V12, V15, V18 = Generation.V1_11, Generation.V1_12, Generation.V1_15, Generation.V1_18_2
TEXT = word(0) + b"SELECT ?" + bytes(8)
BAD_PARAM = TEXT + b"\x01\x09" + bytes(6) + word(0)  # UNIXTIME is no parameter
BAD_HEADER = TEXT + b"\xff" + bytes(7)
REFUSALS = [
    (V12, frame(2, word(0)), (1005, TYPE)),
    (V18, frame(99, word(0)), (1005, TYPE)),
    (V12, frame(0, word(0), 1), (1005, SCHEMA)),
    (V12, frame(4, TEXT, 1), (1, SCHEMA)),
    (V15, frame(4, TEXT, 2), (1, SCHEMA)),
    (V12, frame(8, TEXT, 2), (1005, SCHEMA)),
    (V18, frame(8, TEXT, 2), (1, SCHEMA)),
    (V18, frame(16, word(1), 1), (1005, SCHEMA)),
    (V12, frame(16, word(2)), (1005, "unrecognized cluster format")),
    (OLD, frame(18, word(1)), (15, "bad format version")),
    (V18, frame(13, word(1) + word(3)), (1, "server role is not valid")),
    (OLD, frame(9, BAD_PARAM), (1005, "not an error")),
    (OLD, frame(5, word(0) + BAD_PARAM[24:]), (1005, "bind parameters")),
    (V12, frame(8, BAD_PARAM), (1005, "not an error")),
    (V15, frame(8, BAD_PARAM), (1005, "bind parameters")),
    (V15, frame(9, BAD_HEADER), (1005, "bind parameters")),
    (V18, frame(8, BAD_PARAM), (1, "bind parameters")),
    (V18, frame(9, BAD_PARAM), (10, "leader exec failed")),
]


@pytest.mark.parametrize(("generation", "data", "expected"), REFUSALS)
def test_refusal(generation: Generation, data: bytes, expected: tuple[int, str]) -> None:
    server = greeted(data, LeaderRequest(), generation=generation)
    refused = server.next_request()
    assert isinstance(refused, Refused)
    assert (refused.frame, refused.refusal) == (data, FailureResponse(*expected))
    assert decode_message(server.answer(refused.refusal)) == FailureResponse(*expected)
    assert server.next_request() == LeaderRequest()
    lenient = greeted(data)
    lenient.next_event()
    incoming = lenient.next_event()
    assert incoming is not None
    assert incoming.refusal(generation) == FailureResponse(*expected)


@pytest.mark.parametrize("kind", [2, 20, 99])
def test_1_11_says_nothing_to_an_unknown_type(kind: int) -> None:
    server = greeted(frame(kind, word(0)), LeaderRequest(), generation=OLD)
    refused = server.next_request()
    assert (refused.refusal, refused.error) == (None, None)
    assert server.phase is Phase.MUTE
    assert server.next_request() is None


def test_1_11_does_not_look_at_the_schema() -> None:
    server = greeted(frame(0, word(0), 1), frame(4, TEXT, 1), frame(16, word(7), 3), generation=OLD)
    assert server.next_request() == LeaderRequest()
    server.answer(LeaderResponse(1, "a"))
    assert server.next_request() == PrepareRequest(0, "SELECT ?")
    with pytest.raises(WrongAnswerError, match="STMT schema 1"):
        server.answer(StmtResponse(0, 1, 1, 8))
    server.answer(StmtResponse(0, 1, 1))
    assert server.next_request() == ClusterRequest()


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    "data", [frame(3, b"no nul!!"), frame(1, b"")[:8] + b"", frame(9, word(0) + b"no nul!!")]
)
def test_fixed_fields_that_do_not_decode_close(generation: Generation, data: bytes) -> None:
    server = greeted(data, generation=generation)
    with pytest.raises(DecodeError):
        server.next_request()
    assert server.phase is Phase.BROKEN
    assert server.next_event() is None


def test_a_parameter_header_beyond_the_body_closes_from_1_18_2() -> None:
    with pytest.raises(DecodeError):
        greeted(frame(9, BAD_HEADER), generation=V18).next_request()


def test_leader_with_any_word() -> None:
    assert greeted(frame(0, word(7))).next_request() == LeaderRequest()


# ---------------------------------------------------------------- answers


def test_leader_is_laid_out_by_the_handshake() -> None:
    answer = LeaderResponse(1, "127.0.0.1:9001")
    server = greeted(LeaderRequest())
    server.next_request()
    assert server.answer(answer) == answer.encode()
    server = greeted(LeaderRequest(), handshake=LEGACY)
    server.next_request()
    assert server.answer(answer) == frame(1, b"127.0.0.1:9001\0\0")


@pytest.mark.parametrize("format", [0, 1])
def test_servers_are_laid_out_by_the_request(format: int) -> None:
    server = greeted(frame(16, word(format)))
    assert server.next_request().format == format
    assert server.answer(ServersResponse([NODE])) == ServersResponse([NODE], format=format).encode()


def test_statement_schema_is_that_of_the_request() -> None:
    server = greeted(PrepareRequest(0, "SELECT 1"), PrepareRequest(0, "SELECT 1", 1))
    server.next_request()
    with pytest.raises(WrongAnswerError, match="PREPARE answered by STMT schema 1"):
        server.answer(StmtResponse(0, 1, 0, 8))
    server.answer(StmtResponse(0, 1, 0))
    server.next_request()
    assert server.answer(StmtResponse(0, 1, 0, 8)) == StmtResponse(0, 1, 0, 8).encode()


def test_answer_frame_takes_bytes_as_they_are() -> None:
    # a FAILURE with half-built rows in front, which no message encodes to
    polluted = frame(0, word(1) + b"x" + bytes(7) + word(1) + b"overflow" + bytes(8))
    server = greeted(SELECT, SELECT)
    server.next_request()
    assert server.answer_frame(part(1).encode()) == part(1).encode()
    assert server.answer_open
    assert server.answer_frame(polluted) == polluted
    assert not server.answer_open


def test_unchecked_answers_leave_the_request_open() -> None:
    server = greeted(SELECT)
    server.next_request()
    wrong = ResultResponse(1, 1).encode()
    assert server.answer_frame(wrong, unchecked=True) == wrong
    assert server.current == SELECT
    server.answer(done(1))
    assert server.answer_frame(wrong, unchecked=True) == wrong


# ---------------------------------------------------------------- rows


def sizes(frames: list[bytes]) -> list[int]:
    return [len(decode_message(data).rows) for data in frames]


def test_rows_end_a_frame_as_servers_do() -> None:
    # recorded: 254 rows of one integer fit a frame, the 255th fills it, and an empty frame says DONE
    for count, expected in ((254, [254]), (255, [255, 0]), (256, [255, 1]), (600, [255, 255, 90])):
        server = greeted(SELECT)
        server.next_request()
        frames = list(server.rows(["i"], ((i,) for i in range(count))))
        assert sizes(frames) == expected
        assert all(len(data) == 4112 for data in frames[:-1])
        assert not server.answer_open


def test_rows_have_one_row_a_frame_at_least() -> None:
    names = ["x" * 4079]
    messages = list(batch_rows(names, [(1,), (2,), (3,)]))
    assert [(len(message.rows), message.has_more) for message in messages] == [
        (1, True),
        (1, True),
        (1, True),
        (0, False),
    ]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_rows_of_all_types(count: int) -> None:
    values = (1, 1.5, "é" * 9, b"\x00" * 9, None, True, 1700000000, "2020-01-01")
    types = [*(ValueType(code) for code in (1, 2, 3, 4, 5, 11)), ValueType.UNIXTIME, ValueType.ISO8601]
    (message,) = batch_rows([str(i) for i in range(8)], [(types, values)] * count, typed=True)
    again = decode_message(message.encode())
    assert again.rows == [values] * count
    assert list(again.row_types) == [tuple(types)] * count


@pytest.mark.parametrize("page_size", [64, 100, 4096])
def test_size_of_frames_is_that_of_their_bytes(page_size: int) -> None:
    rows = [(i, "é" * (i % 20), b"x" * (i % 9), None, 0.5) for i in range(300)]
    messages = list(batch_rows(list("abcde"), rows, page_size))
    assert [row for message in messages for row in message.rows] == rows
    for message in messages[:-1]:
        last = RowsResponse(message.column_names, [], [], message.rows[:-1], True).encode()
        assert len(message.encode()) - 8 >= page_size  # without the marker the page is full
        assert len(message.rows) == 1 or len(last) - 8 < page_size


def test_no_rows_and_no_columns() -> None:
    (message,) = batch_rows([], [])
    assert message == RowsResponse()


def test_rows_of_a_failing_source() -> None:
    def source() -> Any:
        yield from ((i,) for i in range(300))
        raise ZeroDivisionError

    server = greeted(SELECT)
    server.next_request()
    frames = server.rows(["i"], source())
    next(frames)
    with pytest.raises(ZeroDivisionError):
        list(frames)
    assert decode_message(server.answer(FailureResponse(1, "integer overflow"))).code == 1
    assert not server.answer_open


# ---------------------------------------------------------------- INTERRUPT


def test_interrupt_seen_between_frames() -> None:
    server = greeted(SELECT)
    server.next_request()
    closed = []

    def source() -> Any:
        try:
            yield from ((i,) for i in range(10_000))
        finally:
            closed.append(True)

    frames = server.rows(["i"], source())
    next(frames)
    assert not server.interrupted
    server.receive(InterruptRequest().encode() + LeaderRequest().encode())
    assert server.interrupted
    assert list(frames) == [EmptyResponse().encode()]
    assert closed
    assert server.next_request() == LeaderRequest()


def test_interrupt_is_seen_when_it_is_whole() -> None:
    server = greeted(SELECT)
    server.next_request()
    for byte in InterruptRequest().encode():
        assert not server.interrupted
        server.receive(bytes([byte]))
    assert server.interrupted
    assert server.interrupt() == EmptyResponse().encode()


def test_interrupt_behind_the_last_row_is_a_request() -> None:
    server = greeted(SELECT, InterruptRequest())
    server.next_request()
    server.answer(done(1))
    assert server.next_request() == InterruptRequest()
    server.answer(EmptyResponse())


def test_interrupt_does_not_overtake() -> None:
    server = greeted(SELECT, LeaderRequest(), InterruptRequest())
    server.next_request()
    assert not server.interrupted
    with pytest.raises(WrongAnswerError):
        server.interrupt()
    server.answer(done())
    server.next_request()
    assert not server.interrupted  # LEADER is not touched by it


def test_interrupt_of_an_exec_waits_for_its_result() -> None:
    server = greeted(ExecSqlRequest(0, "x"), InterruptRequest())
    server.next_request()
    assert not server.interrupted
    server.answer(ResultResponse(1, 1))
    assert server.next_request() == InterruptRequest()


# ---------------------------------------------------------------- the end


def test_end_of_stream() -> None:
    assert greeted_and_ended() == Ended(Ending.CLEAN, 0)
    assert greeted_and_ended(SELECT) == Ended(Ending.UNANSWERED, 0)
    assert greeted_and_ended(SELECT, answers=[part(1)]) == Ended(Ending.MID_ANSWER, 0)
    assert greeted_and_ended(SELECT, answers=[done(1)]) == Ended(Ending.CLEAN, 0)
    assert greeted_and_ended(OPEN.encode()[:20]) == Ended(Ending.MID_FRAME, 20)


def greeted_and_ended(*requests: Message | bytes, answers: list[Message] | None = None) -> Ended:
    server = greeted(*requests)
    server.next_request()
    for answer in answers or []:
        server.answer(answer)
    ended = server.receive_eof()
    assert server.phase is Phase.ENDED
    assert server.next_event() is None
    return ended


@pytest.mark.parametrize("data", ["", "abc", None, [], [1], 5, 0, object()], ids=shown)
def test_a_mistake_of_the_caller_changes_nothing(data: Any) -> None:
    server = greeted(OPEN)
    server.next_request()
    with pytest.raises(TypeError, match="bytes are needed"):
        server.receive(data)
    with pytest.raises(EncodeError):
        server.answer_frame(data)
    with pytest.raises((EncodeError, TypeError)):
        server.answer(data)
    assert server.phase is Phase.OPEN
    assert server.current == OPEN
    assert server.answer(DbResponse(0)) == DbResponse(0).encode()


@pytest.mark.parametrize(
    "frame_", [b"", bytes(8), bytes(16), DbResponse(0).encode()[:-1], DbResponse(0).encode() * 2]
)
@pytest.mark.parametrize("unchecked", [False, True])
def test_an_answer_is_exactly_one_frame(frame_: bytes, unchecked: bool) -> None:
    server = greeted(OPEN)
    server.next_request()
    with pytest.raises(EncodeError):
        server.answer_frame(frame_, unchecked=unchecked)
    assert server.answer_frame(memoryview(DbResponse(0).encode())) == DbResponse(0).encode()


def test_no_bytes_are_the_end_of_the_stream() -> None:
    server = greeted(OPEN, SELECT, OPEN.encode()[:9])
    server.receive(b"")
    assert server.phase is Phase.ENDED
    for more in (b"", b"x"):
        with pytest.raises(StreamError, match="the conversation is over: the stream ended"):
            server.receive(more)
    assert server.next_request() == OPEN  # it came before the end
    server.answer(DbResponse(0))
    assert server.next_request() == SELECT
    server.answer(done(1))
    assert server.next_request() is None
    assert server.receive_eof() == Ended(Ending.MID_FRAME, 9)


def test_end_with_whole_requests_waiting() -> None:
    assert greeted_and_ended(OPEN, SELECT) == Ended(Ending.UNANSWERED, 0)
    server = greeted(OPEN, SELECT)
    server.next_event()
    assert server.receive_eof() == Ended(Ending.UNANSWERED, 0)


@pytest.mark.parametrize("word_", [word(2), HANDSHAKE + bytes(8), HANDSHAKE + frame(3, b"no nul!!")])
def test_after_an_error_of_the_client(word_: bytes) -> None:
    server = ServerConversation()
    server.receive(word_ + LeaderRequest().encode())
    with pytest.raises((DecodeError, HandshakeError)) as caught:
        server.next_request()
    assert server.phase is Phase.BROKEN
    assert server.error is caught.value
    waiting = server.buffered
    server.receive(bytes(1000))  # nobody reads it, nobody keeps it
    assert server.buffered == waiting
    assert server.next_request() is None
    assert isinstance(server.receive_eof(), Ended)
    assert server.phase is Phase.BROKEN


def test_an_interrupt_with_a_schema_is_not_taken() -> None:
    server = greeted(SELECT, InterruptRequest())
    server.next_request()
    data = EmptyResponse().encode()
    with pytest.raises(WrongAnswerError):
        server.answer_frame(data[:5] + b"\1" + data[6:])
    assert server.interrupted
    assert server.interrupt() == data


def test_an_interrupt_without_a_body_is_none() -> None:
    server = greeted(SELECT, b"\0\0\0\0\x0a\0\0\0")
    server.next_request()
    assert not server.interrupted
    server.answer(done(1))
    assert server.next_event() == BadHeader(0, 10, 0)
