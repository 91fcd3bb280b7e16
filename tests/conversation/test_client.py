"""The client's side, in plays: what it is told, what it keeps in mind, and when it gives up."""

from __future__ import annotations

from typing import Any

import pytest

from dqlitewire import (
    DecodeError,
    EncodeError,
    HandshakeError,
    Limits,
    StreamError,
    encode_message,
)
from dqlitewire.conversation import (
    Answered,
    ClientConversation,
    Ended,
    Ending,
    Failed,
    Generation,
    Hazard,
    Interrupted,
    Lost,
    Outcome,
    Phase,
    Rows,
    SessionLost,
    WrongAnswerError,
)
from dqlitewire.messages import (
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
    QueryRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
    ServersResponse,
    StmtResponse,
)
from dqlitewire.messages.requests import ConnectRequest
from tests.conversation.messages import NODE, done, part
from tests.conversation.playbook import Playbook
from tests.naming import shown

HANDSHAKE = b"\x01" + bytes(7)
LEADER = LeaderResponse(1, "127.0.0.1:9001")
NOT_LEADER = FailureResponse(10250, "not leader")
OPEN = OpenRequest("main")
INSERT = ExecSqlRequest(0, "INSERT INTO t VALUES (1)")
SELECT = QuerySqlRequest(0, "SELECT a FROM t")
INTERRUPT = InterruptRequest()


@pytest.mark.parametrize("split", [0, 1, 7])
def test_a_whole_conversation(split: int) -> None:
    prepare = PrepareRequest(0, "SELECT a FROM t WHERE a > ?", 1)
    query = QueryRequest(0, 3, [5])
    play = Playbook(split=split) >> LeaderRequest() << LEADER >> OPEN << DbResponse(0)
    play >> ExecSqlRequest(0, "CREATE TABLE t (a)") << ResultResponse(0, 0)
    play >> prepare << StmtResponse(0, 3, 1, 27) >> query << part(6, 7) << part(8) << done()
    play.says(Rows(query, done(), True))
    play >> FinalizeRequest(0, 3) << EmptyResponse()
    play.over()


def test_handshake_goes_first_and_once() -> None:
    client = ClientConversation()
    assert client.phase is Phase.NEW
    assert client.send(LeaderRequest()) == HANDSHAKE + LeaderRequest().encode()
    assert client.send(OPEN) == OPEN.encode()
    assert client.phase is Phase.OPEN


def test_a_request_that_cannot_be_encoded_changes_nothing() -> None:
    client = ClientConversation(limits=Limits(max_message_size=64))
    with pytest.raises(EncodeError):
        client.send(ExecSqlRequest(0, "x" * 100))
    assert client.idle
    assert client.send(LeaderRequest()).startswith(HANDSHAKE)


def test_legacy_handshake_changes_the_answer_to_leader() -> None:
    legacy = 0x86104DD760433FE5
    play = Playbook(version=legacy) >> LeaderRequest() << LeaderResponse(1, "127.0.0.1:9001")
    play.says(Answered(LeaderRequest(), LeaderResponse(0, "127.0.0.1:9001")))
    play >> OPEN << DbResponse(0)
    play.over()


def test_unknown_version_is_refused() -> None:
    with pytest.raises(HandshakeError):
        ClientConversation(2)


def test_cluster_without_roles() -> None:
    client = ClientConversation()
    frame = bytes([1, 0, 0, 0, 16, 0, 0, 0]) + bytes(8)
    assert client.send_frame(frame) == HANDSHAKE + frame
    answer = ServersResponse([NODE], format=0)
    for byte in answer.encode()[:-1]:
        assert client.receive(bytes([byte])) == []
    (event,) = client.receive(answer.encode()[-1:])
    assert event == Answered(ClusterRequest.decode_body(bytes(8)), answer)


# ---------------------------------------------------------------- order


def test_pipelining_keeps_the_order() -> None:
    select = QuerySqlRequest(0, "SELECT 2")
    play = Playbook() >> OPEN >> INSERT >> SELECT >> select
    assert play.client.unanswered == (OPEN, INSERT, SELECT, select)
    play << DbResponse(0) << ResultResponse(1, 1) << part(1) << done(2)
    play.says(Rows(SELECT, done(2), True))
    play << done(3)
    play.says(Rows(select, done(3), True)).over()


def test_answers_in_one_piece() -> None:
    client = ClientConversation()
    for request in (OPEN, INSERT, SELECT):
        client.send(request)
    answers = [DbResponse(0), ResultResponse(1, 1), part(1), part(2), done()]
    events = client.receive(b"".join(answer.encode() for answer in answers))
    assert events == [
        Answered(OPEN, answers[0]),
        Answered(INSERT, answers[1]),
        Rows(SELECT, answers[2], False),
        Rows(SELECT, answers[3], False),
        Rows(SELECT, answers[4], True),
    ]
    assert events[1].request is INSERT


def test_failure_amid_rows_ends_the_answer() -> None:
    failure = FailureResponse(1, "integer overflow")
    play = Playbook() >> SELECT << part(1) << part(2) << failure
    play.says(Failed(SELECT, failure, Outcome.NOT_EXECUTED))
    play >> SELECT << done(1)
    play.over()


def test_failure_with_half_built_rows_in_front() -> None:
    client = ClientConversation()
    client.send(SELECT)
    body = (
        bytes.fromhex("0100000000000000 7800000000000000 0100000000000000") + b"integer overflow" + bytes(8)
    )
    (event,) = client.receive(bytes([len(body) // 8, 0, 0, 0, 0, 0, 0, 0]) + body)
    assert event.failure == FailureResponse(1, "integer overflow")


# ---------------------------------------------------------------- INTERRUPT


def test_interrupt_when_idle() -> None:
    (Playbook() >> INTERRUPT << EmptyResponse()).says(Answered(INTERRUPT, EmptyResponse())).over()


def test_interrupt_drains_to_its_empty() -> None:
    # what every server does today: it sends all rows first (dqlite#485)
    play = Playbook() >> SELECT << part(1) >> INTERRUPT << part(2)
    play.says()
    play << part(3)
    play.says()
    play << done(4)
    play.says(Interrupted(SELECT, 3, Outcome.DONE))
    play << EmptyResponse()
    play.says(Answered(INTERRUPT, EmptyResponse())).over()


def test_interrupt_honoured_answers_both_at_once() -> None:
    play = Playbook() >> SELECT << part(1) >> INTERRUPT << EmptyResponse()
    play.says(Interrupted(SELECT, 0, Outcome.NOT_EXECUTED), Answered(INTERRUPT, EmptyResponse()))
    play >> SELECT << done(1)
    play.over()


def test_interrupt_before_the_first_row() -> None:
    play = Playbook() >> SELECT >> INTERRUPT << EmptyResponse()
    play.says(Interrupted(SELECT, 0, Outcome.NOT_EXECUTED), Answered(INTERRUPT, EmptyResponse())).over()


def test_interrupt_and_a_failure() -> None:
    failure = FailureResponse(9, "interrupted")
    play = Playbook() >> SELECT << part(1) >> INTERRUPT << failure
    play.says(Interrupted(SELECT, 1, Outcome.NOT_EXECUTED))
    (play << EmptyResponse()).over()


def test_interrupt_after_the_last_row_stays_an_answer_of_its_own() -> None:
    play = Playbook() >> SELECT << done(1) >> INTERRUPT << EmptyResponse()
    play.says(Answered(INTERRUPT, EmptyResponse())).over()


def test_interrupt_leaves_other_requests_alone() -> None:
    play = Playbook() >> INSERT >> INTERRUPT << ResultResponse(1, 1)
    play.says(Answered(INSERT, ResultResponse(1, 1)))
    (play << EmptyResponse()).over()


def test_each_interrupt_has_its_empty() -> None:
    play = Playbook() >> SELECT >> INTERRUPT >> INTERRUPT >> SELECT << EmptyResponse()
    play.says(Interrupted(SELECT, 0, Outcome.NOT_EXECUTED), Answered(INTERRUPT, EmptyResponse()))
    (play << EmptyResponse() << part(1) << done(2)).over()


def test_interrupted_write_may_have_happened() -> None:
    write = QuerySqlRequest(0, "INSERT INTO t VALUES (1) RETURNING a")
    play = Playbook() >> OPEN << DbResponse(0) >> write >> INTERRUPT << EmptyResponse()
    play.says(Interrupted(write, 0, Outcome.UNKNOWN), Answered(INTERRUPT, EmptyResponse()))
    assert play.client.session.in_transaction is None


def test_empty_without_interrupt_is_wrong() -> None:
    client = ClientConversation()
    client.send(SELECT)
    client.receive(part(1).encode())
    with pytest.raises(WrongAnswerError, match="QUERY_SQL answered by EMPTY, allowed FAILURE or ROWS"):
        client.receive(EmptyResponse().encode())


# ---------------------------------------------------------------- what breaks it


def test_broken_is_for_good() -> None:
    client = ClientConversation()
    client.send(INSERT)
    with pytest.raises(WrongAnswerError) as caught:
        client.receive(done(1).encode())

    def refused() -> None:
        calls = (
            lambda: client.send(INSERT),
            lambda: client.send_frame(INSERT.encode()),
            client.send_probe,
            lambda: client.receive(b""),
            lambda: client.receive(done(1).encode()),
        )
        for call in calls:
            with pytest.raises(StreamError, match="broken") as again:
                call()
            assert again.value.__cause__ is caught.value
        assert client.phase is Phase.BROKEN
        assert client.error is caught.value

    refused()
    assert client.receive_eof() == [Lost(INSERT, Outcome.UNKNOWN), Ended(Ending.UNANSWERED, 0)]
    refused()
    assert client.idle
    for _ in range(2):
        with pytest.raises(StreamError, match="broken"):
            client.receive_eof()


def test_a_frame_that_does_not_decode_breaks_it() -> None:
    client = ClientConversation()
    client.send(OPEN)
    with pytest.raises(DecodeError):
        client.receive(bytes([2, 0, 0, 0, 4, 0, 0, 0]) + bytes(16))
    assert client.phase is Phase.BROKEN


def test_a_frame_above_the_cap_breaks_it() -> None:
    client = ClientConversation(limits=Limits(max_message_size=1024))
    client.send(OPEN)
    with pytest.raises(DecodeError, match="at most 1024"):
        client.receive(bytes([255, 0, 0, 0, 4, 0, 0, 0]))
    assert client.phase is Phase.BROKEN


def test_rows_that_never_come_break_it() -> None:
    client = ClientConversation()
    client.send(SELECT)
    with pytest.raises(DecodeError):
        client.receive(RowsResponse(["x" * 4079], [], [], [], True).encode())


def test_statement_schema_must_have_been_asked_for() -> None:
    client = ClientConversation()
    client.send(PrepareRequest(0, "SELECT 1"))
    with pytest.raises(WrongAnswerError, match="PREPARE answered by STMT schema 1"):
        client.receive(StmtResponse(0, 1, 0, 8).encode())


def test_statement_schema_need_not_come() -> None:
    # 1.11 does not look at the schema byte
    client = ClientConversation()
    client.send(PrepareRequest(0, "SELECT 1", 1))
    (event,) = client.receive(StmtResponse(0, 1, 0).encode())
    assert isinstance(event, Answered)


def test_what_is_thrown_into_receive_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    client = ClientConversation()
    client.send(SELECT)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "_decode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        client.receive(done(1).encode())
    assert client.phase is Phase.BROKEN


def test_connect_gives_the_connection_away() -> None:
    client = ClientConversation()
    connect = ConnectRequest(2, "127.0.0.1:9002")
    assert client.send(connect) == HANDSHAKE + connect.encode()
    assert client.phase is Phase.RAFT
    assert client.idle
    with pytest.raises(StreamError, match="raft"):
        client.send(LeaderRequest())


# ---------------------------------------------------------------- the end of the stream


def ended(*requests: object, data: bytes = b"") -> list[object]:
    client = ClientConversation(generation=Generation.V1_18_3)
    for request in requests:
        client.send(request)
    if data:
        client.receive(data)
    events = client.receive_eof()
    assert client.phase is Phase.ENDED
    assert client.idle
    with pytest.raises(StreamError, match="over"):
        client.send(LeaderRequest())
    return events


def test_end_of_an_idle_stream() -> None:
    assert ended() == [Ended(Ending.CLEAN, 0)]
    assert ended(OPEN, data=DbResponse(0).encode()) == [Ended(Ending.CLEAN, 0)]


def test_end_with_requests_open() -> None:
    assert ended(SELECT, INSERT) == [
        Lost(SELECT, Outcome.NOT_EXECUTED),
        Lost(INSERT, Outcome.UNKNOWN),
        Ended(Ending.UNANSWERED, 0),
    ]


def test_end_amid_an_answer() -> None:
    events = ended(SELECT, data=part(1).encode())
    assert events == [Lost(SELECT, Outcome.NOT_EXECUTED), Ended(Ending.MID_ANSWER, 0)]


def test_end_amid_a_frame() -> None:
    events = ended(INSERT, data=ResultResponse(1, 1).encode()[:-1])
    assert events == [Lost(INSERT, Outcome.UNKNOWN), Ended(Ending.MID_FRAME, 23)]


# ---------------------------------------------------------------- what the server keeps


def test_leadership_loss_drops_the_session() -> None:
    play = Playbook() >> OPEN << DbResponse(0) >> PrepareRequest(0, "SELECT 1") << StmtResponse(0, 2, 0)
    play >> ExecSqlRequest(0, "BEGIN") << ResultResponse(0, 0)
    session = play.client.session
    assert (session.database, list(session.statements), session.in_transaction) == ("main", [2], True)
    play >> INSERT << NOT_LEADER
    play.says(Failed(INSERT, NOT_LEADER, Outcome.NOT_EXECUTED), SessionLost("main", (2,), True))
    assert (session.database, session.statements, session.in_transaction) == (None, {}, False)
    play >> INSERT << NOT_LEADER
    play.says(Failed(INSERT, NOT_LEADER, Outcome.NOT_EXECUTED))
    play.over()


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (FailureResponse(10250, "not leader"), Outcome.NOT_EXECUTED),
        (FailureResponse(10506, "disk I/O error"), Outcome.UNKNOWN),
        (FailureResponse(8202, "not leader"), Outcome.NOT_EXECUTED),
        (FailureResponse(8458, "disk I/O error"), Outcome.UNKNOWN),
        (FailureResponse(12, "no database opened"), Outcome.NOT_EXECUTED),
    ],
)
def test_failures_that_lose_the_session(failure: FailureResponse, outcome: Outcome) -> None:
    play = Playbook() >> OPEN << DbResponse(0) >> INSERT << failure
    play.says(Failed(INSERT, failure, outcome), SessionLost("main", (), False))


@pytest.mark.parametrize(
    "failure", [FailureResponse(12, "no statement with the given id"), FailureResponse(5, "x")]
)
def test_failures_that_do_not(failure: FailureResponse) -> None:
    play = Playbook() >> OPEN << DbResponse(0) >> INSERT << failure
    play.says(Failed(INSERT, failure, Outcome.NOT_EXECUTED))
    assert play.client.session.database == "main"


def test_explanation_of_a_prepared_statement() -> None:
    query = QueryRequest(0, 2)
    lost = FailureResponse(10506, "leadership lost")
    play = Playbook() >> OPEN << DbResponse(0) >> PrepareRequest(0, "SELECT 1") << StmtResponse(0, 2, 0)
    play >> query << lost
    assert play.events[0] == Failed(query, lost, Outcome.NOT_EXECUTED)
    assert play.events[0].explanation.name == "SQLITE_IOERR_LEADERSHIP_LOST"
    assert play.events[0].explanation.outcome is Outcome.NOT_EXECUTED


def test_statements_are_kept_by_id() -> None:
    play = Playbook() >> OPEN << DbResponse(0)
    play >> PrepareRequest(0, "SELECT ?; SELECT 2", 1) << StmtResponse(0, 0, 1, 9)
    statement = play.client.session.statements[0]
    assert (statement.sql, statement.tail, statement.num_params) == ("SELECT ?;", " SELECT 2", 1)
    play >> FinalizeRequest(0, 0) << EmptyResponse()
    assert play.client.session.statements == {}
    play >> PrepareRequest(0, "SELECT 3") << StmtResponse(0, 0, 0)
    assert play.client.session.statements[0].sql == "SELECT 3"
    play.over()


TRANSACTIONS = [
    (["BEGIN"], True),
    (["BEGIN; INSERT INTO t VALUES (1)"], True),
    (["BEGIN", "COMMIT"], False),
    (["begin immediate", "end"], False),
    (["BEGIN", "ROLLBACK"], False),
    (["BEGIN", "SAVEPOINT a", "ROLLBACK TO a"], True),
    (["BEGIN", "SAVEPOINT a", "RELEASE a"], True),
    (["SAVEPOINT a"], True),
    (["SAVEPOINT a", "SAVEPOINT b", "RELEASE a"], False),
    (["SAVEPOINT a", "SAVEPOINT b", "RELEASE b"], True),
    (["SAVEPOINT a", "ROLLBACK TO a", "RELEASE SAVEPOINT a"], False),
    (["BEGIN; COMMIT; BEGIN"], True),
    (["INSERT INTO t VALUES ('BEGIN')"], False),
    (["CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM u; END"], False),
    (["CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM u; END; BEGIN"], True),
    (["CREATE TABLE trigger (a); BEGIN"], True),
    (["CREATE INDEX trigger ON t (a); SAVEPOINT a"], True),
]


@pytest.mark.parametrize(("texts", "expected"), TRANSACTIONS)
def test_transaction(texts: list[str], expected: bool) -> None:
    play = Playbook() >> OPEN << DbResponse(0)
    for text in texts:
        play >> ExecSqlRequest(0, text) << ResultResponse(0, 0)
    assert play.client.session.in_transaction is expected
    play.over()


def test_transaction_by_prepared_statement() -> None:
    play = Playbook() >> OPEN << DbResponse(0) >> PrepareRequest(0, "BEGIN") << StmtResponse(0, 0, 0)
    assert play.client.session.in_transaction is False
    play >> ExecRequest(0, 0) << ResultResponse(0, 0)
    assert play.client.session.in_transaction is True


@pytest.mark.parametrize(
    ("text", "failure", "expected"),
    [
        ("INSERT INTO t VALUES (1)", FailureResponse(1, "no such table: t"), True),
        ("INSERT INTO t VALUES (1)", FailureResponse(2067, "UNIQUE constraint failed: t.a"), None),
        ("INSERT INTO t VALUES (1)", FailureResponse(787, "FOREIGN KEY constraint failed"), True),
        ("INSERT OR ROLLBACK INTO t VALUES (1)", FailureResponse(1, "no such table: t"), True),
        ("INSERT INTO t VALUES (1)", FailureResponse(13, "database or disk is full"), None),
        ("COMMIT; SELECT x", FailureResponse(1, "no such column: x"), None),
        ("COMMIT", FailureResponse(5, "database is locked"), True),
        ("COMMIT", FailureResponse(10, "disk I/O error"), None),
    ],
)
def test_transaction_after_a_failure(text: str, failure: FailureResponse, expected: bool | None) -> None:
    play = Playbook() >> OPEN << DbResponse(0) >> ExecSqlRequest(0, "BEGIN") << ResultResponse(0, 0)
    play >> ExecSqlRequest(0, text) << failure
    assert play.client.session.in_transaction is expected


def test_encoded_answers_are_those_of_the_codec() -> None:
    play = Playbook() >> OPEN
    assert play.server.answer(DbResponse(0)) == encode_message(DbResponse(0))


# ---------------------------------------------------------------- verdicts after an error, and the end


def test_a_verdict_on_each_request_after_an_error() -> None:
    client = ClientConversation()
    requests = [INSERT, SELECT, INSERT, SELECT, LeaderRequest()]
    for request in requests:
        client.send(request)
    client.receive(ResultResponse(1, 1).encode())
    with pytest.raises(DecodeError):  # in the same bytes: a whole answer, then one that is wrong
        client.receive(done(1).encode() + bytes([1, 0, 0, 0, 6, 0, 0, 0]) + bytes(8))
    assert client.unanswered == (INSERT, SELECT, requests[4])
    assert client.receive_eof() == [
        Rows(SELECT, done(1), True),
        Lost(INSERT, Outcome.UNKNOWN),
        Lost(SELECT, Outcome.NOT_EXECUTED),
        Lost(requests[4], Outcome.NOT_EXECUTED),
        Ended(Ending.UNANSWERED, 0),
    ]
    assert client.idle
    assert client.unanswered == ()
    assert client.phase is Phase.BROKEN


def test_requests_before_connect_are_lost_with_it() -> None:
    client = ClientConversation()
    client.send(INSERT)
    client.send(ConnectRequest(2, "127.0.0.1:9002"))
    assert client.receive_eof() == [Lost(INSERT, Outcome.UNKNOWN), Ended(Ending.UNANSWERED, 0)]


@pytest.mark.parametrize("end", [b"", bytearray(), memoryview(b"")])
def test_no_bytes_are_the_end_of_the_stream(end: bytes) -> None:
    client = ClientConversation()
    client.send(INSERT)
    assert client.receive(end) == [Lost(INSERT, Outcome.UNKNOWN), Ended(Ending.UNANSWERED, 0)]
    assert client.idle
    assert client.phase is Phase.ENDED
    for call in (lambda: client.receive(end), client.receive_eof, lambda: client.send(INSERT)):
        with pytest.raises(StreamError, match="the conversation is over: the stream ended"):
            call()


MISTAKES = ["", "abc", None, [], [1], 5, 0, 1.5, object()]


@pytest.mark.parametrize("data", MISTAKES, ids=shown)
def test_a_mistake_of_the_caller_changes_nothing(data: Any) -> None:
    client = ClientConversation()
    client.send(OPEN)
    with pytest.raises(TypeError, match="bytes are needed"):
        client.receive(data)
    with pytest.raises(EncodeError):
        client.send(data)
    with pytest.raises(EncodeError):
        client.send_frame(data)
    assert client.phase is Phase.OPEN
    assert client.receive(memoryview(DbResponse(0).encode() * 2)[:16]) == [Answered(OPEN, DbResponse(0))]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"", "Header: got 0 bytes, a header of 8 is needed"),
        (bytes(7), "Header: got 7 bytes, a header of 8 is needed"),
        (bytes(8), "Header.size_words: got 0 words, a body is needed"),
        (bytes(16), "Header.size_words: got 0 words, a body is needed"),
        (INSERT.encode()[:-8], "got 40 bytes, a frame of 48 is announced"),
        (INSERT.encode() + bytes(8), "got 56 bytes, a frame of 48 is announced"),
        (INSERT.encode() * 2, "got 96 bytes, a frame of 48 is announced"),
        ("abc", "got str, the bytes of one request are needed"),
        (INSERT, "got ExecSqlRequest, the bytes of one request are needed"),
    ],
)
def test_a_frame_to_send_is_exactly_one(frame: Any, said: str) -> None:
    client = ClientConversation()
    with pytest.raises(EncodeError) as caught:
        client.send_frame(frame)
    assert said in str(caught.value)
    assert client.idle
    assert client.send_frame(memoryview(INSERT.encode())) == HANDSHAKE + INSERT.encode()


# ---------------------------------------------------------------- failures that lose nothing

NOT_OPEN = FailureResponse(12, "no database opened")
BY_DB_ID = [
    lambda db_id: PrepareRequest(db_id, "SELECT 1"),
    lambda db_id: ExecRequest(db_id, 3, []),
    lambda db_id: QueryRequest(db_id, 3, []),
    lambda db_id: FinalizeRequest(db_id, 3),
    lambda db_id: ExecSqlRequest(db_id, "INSERT INTO t VALUES (1)"),
    lambda db_id: QuerySqlRequest(db_id, "SELECT 1"),
]


@pytest.mark.parametrize("make", BY_DB_ID)
@pytest.mark.parametrize("as_frame", [False, True])
@pytest.mark.parametrize("decodes", [False, True])
def test_the_wrong_database_is_no_lost_session(make: Any, as_frame: bool, decodes: bool) -> None:
    for db_id in (1, 0):
        client = ClientConversation()
        client.send(OPEN)
        client.send(PrepareRequest(0, "SELECT 1"))
        client.send(ExecSqlRequest(0, "BEGIN"))
        client.receive(
            DbResponse(0).encode() + StmtResponse(0, 3, 0).encode() + ResultResponse(0, 0).encode()
        )
        request = make(db_id)
        if as_frame:
            frame = request.encode()
            client.send_frame(frame if decodes else frame[:5] + b"\7" + frame[6:])
        else:
            client.send(request)
        events = client.receive(NOT_OPEN.encode())
        assert [type(event) for event in events] == [Failed] + [SessionLost] * (db_id == 0)
        assert client.session.database == (None if db_id == 0 else "main")
        assert list(client.session.statements) == ([] if db_id == 0 else [3])
        assert client.session.in_transaction is (db_id != 0)


@pytest.mark.parametrize("failure", [NOT_OPEN, NOT_LEADER, FailureResponse(10506, "leadership lost")])
def test_what_is_not_open_cannot_be_lost(failure: FailureResponse) -> None:
    memory = OpenRequest(":memory:")
    client = ClientConversation()
    client.send(INSERT)
    client.send(memory, allow=Hazard.MEMORY_DATABASE)
    (event,) = client.receive(failure.encode())
    assert isinstance(event, Failed)
    assert client.session.in_memory  # its OPEN is still on the way
    (event,) = client.receive(failure.encode())
    assert not client.session.in_memory
    assert client.session.database is None
    client.send(OPEN)
    client.receive(DbResponse(0).encode())
    client.send(memory, allow=Hazard.MEMORY_DATABASE)
    client.receive(FailureResponse(5, "a database for this connection is already open").encode())
    assert client.session.database == "main"
    assert not client.session.in_memory


DOUBTFUL = {
    "the answer": ResultResponse(1, 2).encode(),
    "a schema": ResultResponse(1, 2).encode()[:5] + b"\1" + ResultResponse(1, 2).encode()[6:],
    "another type": EmptyResponse().encode(),
    "a failure": NOT_LEADER.encode(),
    "no body": bytes(4) + b"\6" + bytes(3),
    "a value above its cap": ResultResponse(1, 2).encode()[:16] + b"\xff" * 8,
}


@pytest.mark.parametrize("data", DOUBTFUL.values(), ids=DOUBTFUL)
@pytest.mark.parametrize("limits", [None, Limits(max_message_size=56)])
def test_the_fast_path_agrees_with_the_general_one(data: bytes, limits: Limits | None) -> None:
    def told(cuts: tuple[int, ...]) -> list[Any]:
        conversation = ClientConversation(limits=limits)
        conversation.send(LeaderRequest())
        conversation.receive(LEADER.encode())
        conversation.send(INSERT)
        said: list[Any] = []
        for start, end in zip(cuts, (*cuts[1:], None), strict=True):
            try:
                said += conversation.receive(data[start:end])
            except (StreamError, DecodeError) as error:
                said.append((type(error), str(error)))
                break
        return [*said, conversation.phase, conversation.unanswered]

    assert told((0,)) == told((0, 7)) == told((0, len(data) - 1))


def test_an_event_gives_the_answer_to_its_request_alone() -> None:
    request, other = LeaderRequest(), LeaderRequest()
    answered = Answered(request, LeaderResponse(1, "a:1"))
    assert answered.answer(request).address == "a:1"
    query = QuerySqlRequest(0, "SELECT 1")
    frame = RowsResponse(["a"], rows=[(1,)])
    assert Rows(query, frame, True).answer(query).rows == [(1,)]
    for event in (answered, Rows(query, frame, True)):
        with pytest.raises(ValueError, match="this answers"):
            event.answer(other)
