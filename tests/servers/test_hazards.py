"""What the client does not send, and that it can be made to."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from dqlitewire import EncodeError, Limits, Message, NodeRole
from dqlitewire.conversation import ClientConversation, Generation, Hazard, HazardError
from dqlitewire.messages import (
    AddRequest,
    AssignRequest,
    DbResponse,
    DescribeRequest,
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    FinalizeRequest,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    StmtResponse,
)
from dqlitewire.messages.requests import HeartbeatRequest
from dqlitewire.servers import hazards
from tests.conversation.messages import ANSWERS
from tests.conversation.playbook import Playbook

OLDEST, NEW, NEWEST = Generation.V1_11, Generation.V1_12, Generation.V1_18_3
RETURNING = "INSERT INTO t VALUES (1) RETURNING a"


def frame(kind: int, *words: int, schema: int = 0) -> bytes:
    body = b"".join(word.to_bytes(8, "little") for word in words)
    return bytes([len(words), 0, 0, 0, kind, schema, 0, 0]) + body


def sends(generation: Generation, request: Message | bytes, allow: Hazard = Hazard.NONE) -> bytes:
    client = ClientConversation(generation=generation)
    if isinstance(request, bytes):
        return client.send_frame(request, allow=allow)
    return client.send(request, allow=allow)


HAZARDS: list[tuple[Hazard, Generation, Any]] = [
    (Hazard.DESCRIBE_FORMAT, NEWEST, frame(18, 1)),
    (Hazard.DESCRIBE_FORMAT, NEWEST, DescribeRequest.decode_body(b"\x01" + bytes(7), strict=False)),
    (Hazard.ADD_ZERO, NEWEST, AddRequest(0, "127.0.0.1:9002")),
    (Hazard.ASSIGN_ROLE, NEWEST, frame(13, 1, 3)),
    (Hazard.RETURNING, NEWEST, ExecSqlRequest(0, RETURNING)),
    (Hazard.RETURNING, NEWEST, ExecSqlRequest(0, "SELECT 1; " + RETURNING)),
    (Hazard.RETURNING, Generation.V1_18_2, QuerySqlRequest(0, RETURNING)),
    (Hazard.RETURNING, Generation.UNKNOWN, QuerySqlRequest(0, RETURNING)),
    (Hazard.MANY_PARAMS, OLDEST, ExecSqlRequest(0, "SELECT 1", [1] * 256)),
    (Hazard.MANY_PARAMS, Generation.UNKNOWN, QueryRequest(0, 1, [1] * 256)),
    (Hazard.MANY_PARAMS, OLDEST, ExecRequest(0, 1, [1], schema=1)),
    (Hazard.OLD_TYPE, OLDEST, HeartbeatRequest(1)),
    (Hazard.OLD_TYPE, Generation.UNKNOWN, frame(20, 0)),
    (Hazard.OLD_TYPE, OLDEST, frame(99, 0)),
    (Hazard.PRAGMA, OLDEST, ExecSqlRequest(0, "PRAGMA journal_mode=DELETE")),
    (Hazard.PRAGMA, OLDEST, QuerySqlRequest(0, "PRAGMA main.journal_mode = DELETE")),
    (Hazard.PRAGMA, OLDEST, QuerySqlRequest(0, "PRAGMA wal_checkpoint")),
    (Hazard.PRAGMA, OLDEST, QuerySqlRequest(0, "PRAGMA wal_checkpoint(FULL)")),
    (Hazard.PRAGMA, OLDEST, ExecSqlRequest(0, "SELECT 1; PRAGMA 'journal_mode'(OFF)")),
    (Hazard.PRAGMA, OLDEST, ExecSqlRequest(0, "PRAGMA page_size = 512")),
    (Hazard.PRAGMA, Generation.V1_15, ExecSqlRequest(0, "PRAGMA synchronous = FULL")),
    (Hazard.PRAGMA, NEW, PrepareRequest(0, "EXPLAIN QUERY PLAN PRAGMA main . 'synchronous' = 2")),
    (Hazard.PRAGMA, NEW, PrepareRequest(0, "SELECT 1; PRAGMA synchronous = 2")),
    (Hazard.PRAGMA, NEWEST, PrepareRequest(0, "PRAGMA count_changes = ON")),
    (Hazard.PRAGMA, NEW, ExecSqlRequest(0, "PRAGMA Journal_Mode = DELETE")),
    (Hazard.PRAGMA, NEW, QuerySqlRequest(0, "WITH x AS (SELECT * FROM [pragma_optimize]) SELECT * FROM x")),
    (Hazard.PRAGMA, NEWEST, ExecSqlRequest(0, "BEGIN IMMEDIATE; PRAGMA delete_database; COMMIT")),
    (Hazard.OUTSIDE, NEWEST, PrepareRequest(0, "PRAGMA soft_heap_limit = 100000")),
    (Hazard.OUTSIDE, NEWEST, PrepareRequest(0, "PRAGMA hard_heap_limit(0X10000)")),
    (Hazard.OUTSIDE, NEWEST, PrepareRequest(0, f"PRAGMA hard_heap_limit = {'9' * 5000}")),
    (Hazard.OUTSIDE, OLDEST, ExecSqlRequest(0, "SELECT 1; ATTACH DATABASE 'x' AS y")),
    (Hazard.OUTSIDE, OLDEST, ExecSqlRequest(0, "VACUUM INTO 'x'")),
    (Hazard.OUTSIDE, NEW, QuerySqlRequest(0, "SELECT fts3_tokenizer('simple', ?)")),
    (Hazard.OR_FAIL, NEWEST, ExecSqlRequest(0, "WITH x AS (SELECT 1) INSERT OR FAIL INTO t SELECT * FROM x")),
    (Hazard.OR_FAIL, Generation.UNKNOWN, QuerySqlRequest(0, "UPDATE OR FAIL t SET a = 1")),
    (Hazard.RAW_WRITE, NEWEST, ExecSqlRequest(0, "UPDATE main.'sqlite_dbpage' SET data = x''")),
    (Hazard.RAW_WRITE, OLDEST, ExecSqlRequest(0, "DELETE FROM sqlite_schema")),
    (Hazard.NAME, NEWEST, OpenRequest("file:x?vfs=unix")),
    (Hazard.NAME, NEWEST, OpenRequest("file:%3Amemory%3a")),
    (Hazard.NAME, NEW, OpenRequest("file:x")),
    (Hazard.NAME, Generation.UNKNOWN, OpenRequest("x-wal")),
    (Hazard.MEMORY_DATABASE, NEWEST, OpenRequest("")),
    (Hazard.MEMORY_DATABASE, OLDEST, OpenRequest(":memory:")),
    (Hazard.LONG_NAME, NEWEST, OpenRequest("n" * 505)),
    (Hazard.LONG_NAME, NEWEST, OpenRequest("\u20ac" * 169)),
]


@pytest.mark.parametrize(("hazard", "generation", "request_"), HAZARDS)
def test_refused_unless_allowed(hazard: Hazard, generation: Generation, request_: Message | bytes) -> None:
    client = ClientConversation(generation=generation)
    send: Any = client.send_frame if isinstance(request_, bytes) else client.send
    with pytest.raises(HazardError) as caught:
        send(request_)
    error = caught.value
    assert error.hazard is hazard
    assert error.request == request_
    assert isinstance(error, EncodeError)
    assert len(str(error)) < 80
    assert client.idle
    with pytest.raises(HazardError):
        send(request_, allow=Hazard.ALL & ~hazard)
    assert send(request_, allow=hazard).startswith(b"\x01")
    assert len(client.unanswered) == 1


HARMLESS: list[tuple[Generation, Any]] = [
    (Generation.UNKNOWN, frame(18, 0)),
    (Generation.UNKNOWN, AddRequest(1, "127.0.0.1:9002")),
    (Generation.UNKNOWN, AssignRequest(1, NodeRole.SPARE)),
    (Generation.UNKNOWN, frame(13, 1)),
    (Generation.UNKNOWN, ExecSqlRequest(0, "INSERT INTO t VALUES ('RETURNING')")),
    (Generation.UNKNOWN, ExecSqlRequest(0, "INSERT INTO t VALUES (1) -- RETURNING a")),
    (Generation.UNKNOWN, ExecSqlRequest(0, 'INSERT INTO t ("returning") VALUES (/* returning */ 1)')),
    (
        Generation.UNKNOWN,
        ExecSqlRequest(0, "INSERT INTO t ([returning], `returning`, returnings) VALUES (1, 2, :returning)"),
    ),
    (Generation.UNKNOWN, PrepareRequest(0, RETURNING)),
    (NEWEST, QuerySqlRequest(0, RETURNING)),
    (Generation.UNKNOWN, ExecSqlRequest(0, "SELECT 1", [1] * 255)),
    (NEW, ExecSqlRequest(0, "SELECT 1", [1] * 256)),
    (NEW, ExecRequest(0, 1, [1], schema=1)),
    (NEW, HeartbeatRequest(1)),
    (NEW, frame(99, 0)),
    (NEW, ExecSqlRequest(0, "PRAGMA journal_mode=DELETE")),
    (Generation.V1_18_2, ExecSqlRequest(0, "PRAGMA synchronous = FULL")),
    (NEWEST, OpenRequest("n" * 504)),
    (NEWEST, OpenRequest("file:x?mode=rwc&cache=shared")),
    (Generation.UNKNOWN, OpenRequest("File:x?vfs=unix")),
    (Generation.UNKNOWN, OpenRequest("x-wal2")),
    (Generation.UNKNOWN, PrepareRequest(0, "PRAGMA synchronous = NORMAL")),
    (Generation.UNKNOWN, PrepareRequest(0, "PRAGMA synchronous = '\u00b2'")),
    (Generation.UNKNOWN, PrepareRequest(0, "PRAGMA synchronous =")),
    (Generation.UNKNOWN, PrepareRequest(0, "PRAGMA temp.synchronous = 2")),
    (Generation.UNKNOWN, ExecSqlRequest(0, "PRAGMA journal_mode = WAL")),
    (Generation.UNKNOWN, ExecSqlRequest(0, "BEGIN; INSERT OR FAIL INTO t VALUES (1); COMMIT")),
    (Generation.UNKNOWN, ExecSqlRequest(0, "ATTACH ':memory:' AS x")),
    (Generation.UNKNOWN, ExecSqlRequest(0, "EXPLAIN INSERT INTO t VALUES (1) RETURNING a")),
    (Generation.UNKNOWN, QuerySqlRequest(0, "SELECT * FROM sqlite_schema")),
    (Generation.UNKNOWN, QuerySqlRequest(0, "SELECT 'pragma_optimize', fts3_tokenizer('simple')")),
    (Generation.UNKNOWN, PrepareRequest(0, "PRAGMA optimize")),
    (Generation.UNKNOWN, ExecSqlRequest(0, "EXPLAIN PRAGMA wal_checkpoint")),
    (Generation.UNKNOWN, ExecSqlRequest(0, "PRAGMA query_only = 1")),
    (NEW, ExecSqlRequest(0, "INSERT OR FAIL INTO t VALUES (1)")),
    (NEWEST, QuerySqlRequest(0, "PRAGMA wal_checkpoint")),
    (OLDEST, QuerySqlRequest(0, "PRAGMA journal_mode")),
    (OLDEST, QuerySqlRequest(0, "PRAGMA synchronous")),
    (OLDEST, QuerySqlRequest(0, "PRAGMA table_info(journal_mode)")),
    (OLDEST, QuerySqlRequest(0, "SELECT 'PRAGMA journal_mode=DELETE'")),
]


@pytest.mark.parametrize(("generation", "request_"), HARMLESS)
def test_not_refused(generation: Generation, request_: Message | bytes) -> None:
    assert sends(generation, request_)


@pytest.mark.parametrize("name", ["\ud800", "file:\udcff", "\udfff" * 600])
def test_a_name_that_is_no_text_is_told_from_a_hazard(name: str) -> None:
    hazards.name_hazard(name, NEW)
    with pytest.raises(EncodeError):
        sends(NEWEST, OpenRequest(name))


@pytest.mark.parametrize("name", ["", ":memory:"])
def test_database_in_memory(name: str) -> None:
    statements = [
        PrepareRequest(0, "SELECT 1"),
        ExecRequest(0, 0),
        QueryRequest(0, 0),
        ExecSqlRequest(0, "SELECT 1"),
        QuerySqlRequest(0, "SELECT 1"),
    ]
    client = ClientConversation(generation=NEWEST)
    client.send(OpenRequest(name), allow=Hazard.MEMORY_DATABASE)
    for answered in (False, True):
        for statement in statements:
            with pytest.raises(HazardError) as caught:
                client.send(statement)
            assert caught.value.hazard is Hazard.MEMORY_DATABASE
        if not answered:
            client.receive(DbResponse(0).encode())
    assert client.send(statements[0], allow=Hazard.MEMORY_DATABASE)


def test_database_in_memory_that_was_not_opened() -> None:
    client = ClientConversation(generation=NEWEST)
    client.send(OpenRequest(""), allow=Hazard.MEMORY_DATABASE)
    client.receive(FailureResponse(1, "unable to open database file").encode())
    assert client.send(OpenRequest("main"))
    assert client.send(ExecSqlRequest(0, "SELECT 1"))


@pytest.mark.parametrize("generation", [Generation.V1_18_2, NEWEST])
def test_returning_by_prepared_statement(generation: Generation) -> None:
    play = Playbook(generation) >> OpenRequest("main") << DbResponse(0)
    play >> PrepareRequest(0, RETURNING) << StmtResponse(0, 4, 0)
    with pytest.raises(HazardError) as caught:
        play.client.send(ExecRequest(0, 4))
    assert caught.value.hazard is Hazard.RETURNING
    if generation < NEWEST:
        with pytest.raises(HazardError):
            play.client.send(QueryRequest(0, 4))
    else:
        assert play.client.send(QueryRequest(0, 4))


@pytest.mark.parametrize("request_", [ExecRequest(0, 0), ExecRequest(0, 7)])
def test_returning_by_a_statement_whose_prepare_is_not_answered(request_: ExecRequest) -> None:
    client = ClientConversation(generation=NEWEST)
    client.send(OpenRequest("main"))
    client.send(PrepareRequest(0, "SELECT 1"))
    assert client.send(request_)
    client.send(PrepareRequest(0, RETURNING))
    with pytest.raises(HazardError) as caught:
        client.send(request_)
    assert caught.value.hazard is Hazard.RETURNING


@pytest.mark.parametrize("other", [*ANSWERS.values(), StmtResponse(0, 0, 0), "SELECT 1", None])
def test_what_is_no_request_is_refused(other: Any) -> None:
    client = ClientConversation()
    client.send(OpenRequest("main"))
    client.send(PrepareRequest(0, "INSERT INTO t VALUES (1)"))
    client.receive(DbResponse(0).encode() + StmtResponse(0, 0, 0).encode())
    with pytest.raises(EncodeError, match="a request is needed"):
        client.send(other)
    assert client.unanswered == ()


def test_returning_in_the_tail_is_not_of_the_statement() -> None:
    play = Playbook(NEWEST) >> OpenRequest("main") << DbResponse(0)
    play >> PrepareRequest(0, "SELECT 1; " + RETURNING, 1) << StmtResponse(0, 4, 0, 9)
    assert play.client.send(ExecRequest(0, 4))


def prepared(*stmt_ids: int) -> ClientConversation:
    client = ClientConversation(generation=NEWEST)
    client.send(OpenRequest("main"))
    client.receive(DbResponse(0).encode())
    for stmt_id in stmt_ids:
        client.send(PrepareRequest(0, f"SELECT {stmt_id}"))
        client.receive(StmtResponse(0, stmt_id, 0).encode())
    return client


@pytest.mark.parametrize("request_type", [ExecRequest, QueryRequest, FinalizeRequest])
def test_void_statement(request_type: Any) -> None:
    client = prepared(0, 1, 2)
    client.send(FinalizeRequest(0, 1))
    for answered in (False, True):
        with pytest.raises(HazardError) as caught:
            client.send(request_type(0, 1))
        assert caught.value.hazard is Hazard.VOID_STATEMENT
        assert client.send(request_type(0, 2))
        if not answered:
            client = prepared(0, 2)
    assert client.send(request_type(0, 3))
    client.send(PrepareRequest(0, "SELECT 1"))  # may give the id again
    assert client.send(request_type(0, 1))


def test_no_void_statement_without_a_higher_one() -> None:
    client = prepared(0, 1)
    client.send(FinalizeRequest(0, 1))
    assert client.send(FinalizeRequest(0, 1))  # the server says FAILURE 12


def test_body_above_a_gibibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    # the real size would cost a gibibyte of memory: the bound is one name, so a small one is the same test
    assert hazards.MAX_SAFE_BODY == 2**30
    monkeypatch.setattr("dqlitewire.conversation.hazard_check.MAX_SAFE_BODY", 64)
    monkeypatch.setattr("dqlitewire.conversation.sending.MAX_SAFE_BODY", 64)
    client = ClientConversation(limits=Limits(max_message_size=None))
    for request in (ExecSqlRequest(0, "x" * 65), ExecSqlRequest(0, "x" * 65).encode()):
        send: Any = client.send_frame if isinstance(request, bytes) else client.send
        with pytest.raises(HazardError) as caught:
            send(request)
        assert caught.value.hazard is Hazard.BODY_SIZE
    assert client.send(ExecSqlRequest(0, "x" * 40))


def test_what_happens_is_said_of_each() -> None:
    assert set(hazards.WHAT_HAPPENS) == set(Hazard)
    assert sum(Hazard) == Hazard.ALL


@pytest.mark.parametrize("hazard", list(Hazard))
def test_an_error_names_its_hazard(hazard: Hazard) -> None:
    error = HazardError(hazard)
    name, _, happens = str(error).partition(": ")
    assert eval(name) is error.hazard is hazard
    assert happens == hazards.WHAT_HAPPENS[hazard]
    assert len(str(error)) < 80


def test_error_copies() -> None:
    error = HazardError(Hazard.ADD_ZERO, AddRequest(0, "x"))
    for twin in (copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert (twin.hazard, twin.request, str(twin)) == (error.hazard, error.request, str(error))
