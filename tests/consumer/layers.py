"""What a user's program does with each public layer that needs no extra, each name with its type.

python layers.py [native|pure]
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import dqlitewire
from dqlitewire import (
    DecodeError,
    EncodeError,
    Limits,
    Message,
    MessageDecoder,
    MessageEncoder,
    ProtocolError,
    ServerFailure,
    decode_message,
    encode_message,
    speedups,
)
from dqlitewire.buffer import ReadBuffer, WriteBuffer
from dqlitewire.client import Client, ClientError, Result, StatementFailed, connect
from dqlitewire.codec import REQUEST_TYPES
from dqlitewire.constants import (
    SQLITE_IOERR,
    SQLITE_IOERR_NOT_LEADER,
    NodeRole,
    RequestType,
    primary_sqlite_code,
)
from dqlitewire.conversation import (
    Answered,
    ClientConversation,
    Event,
    Exchange,
    Failed,
    FailureInfo,
    HazardError,
    Observer,
    Outcome,
    Retry,
    Rows,
    ServerConversation,
    Side,
    batch_rows,
    explain_failure,
)
from dqlitewire.dial import Address, AddressError, Deadline, DialOptions
from dqlitewire.dissector import dissector
from dqlitewire.exceptions import HandshakeError
from dqlitewire.explain import Span, explain
from dqlitewire.faults import Fail, Fault, FaultList
from dqlitewire.faults.words import parse_fault
from dqlitewire.limits import MAX_COLUMN_COUNT
from dqlitewire.messages import (
    DbResponse,
    LeaderRequest,
    LeaderResponse,
    NodeInfo,
    OpenRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
    ServersResponse,
)
from dqlitewire.messages.base import Header
from dqlitewire.messages.requests import ExecSqlRequest
from dqlitewire.messages.responses import FailureResponse
from dqlitewire.proxy import DROP, BlockingProxy, Frame, Hook, Proxy, Verdict
from dqlitewire.raft import RaftMessage, RaftReader, RequestVote
from dqlitewire.raft import decode_message as decode_raft
from dqlitewire.replay import ReplayServer
from dqlitewire.servers.releases import DEFAULT_RELEASE, Release, release_named
from dqlitewire.sql.survey import Survey, survey
from dqlitewire.traffic import Item, Recording, SourceError, TranscriptWriter, frames, lines
from dqlitewire.truncate import cap_raw_message
from dqlitewire.tuples import decode_params_tuple, encode_params_tuple
from dqlitewire.types import WireInput, WireValue, decode_text, encode_text


def one_message() -> None:
    request = ExecSqlRequest(0, "INSERT INTO t VALUES (?, ?)", [1, "one"])
    data: bytes = encode_message(request)
    read: Message = decode_message(data, is_request=True)
    assert read == request
    match read:
        case ExecSqlRequest(db_id, sql, params):
            number: int = db_id
            assert (number, sql, list(params)) == (0, "INSERT INTO t VALUES (?, ?)", [1, "one"])
        case _:
            raise AssertionError(read)
    header: Header = Header.decode(data)
    assert REQUEST_TYPES[header.msg_type] is ExecSqlRequest
    assert (RequestType(header.msg_type), header.body_size) == (RequestType.EXEC_SQL, len(data) - 8)


def rows_in_this_way(wanted: str) -> None:
    rows = [(n, n / 2, str(n), bytes(n % 9), None) for n in range(100)]
    answer = decode_message(encode_message(RowsResponse(list("abcde"), rows=rows)))
    assert isinstance(answer, RowsResponse)
    values: list[tuple[WireValue, ...]] = list(answer.rows)
    assert values == rows
    assert wanted in ("", speedups.name), f"{speedups.name}, {speedups.why}"


def a_stream() -> None:
    encoder, decoder = MessageEncoder(limits=Limits(max_message_size=None)), MessageDecoder(max_rows=None)
    for part in batch_rows(["n"], ((n,) for n in range(3000))):
        decoder.feed(encoder.encode(part))
    count, run_is_open = 0, False
    while decoder.has_message():
        message = decoder.decode_continuation() if run_is_open else decoder.decode()
        assert isinstance(message, RowsResponse)
        count += len(message.rows)
        run_is_open = message.has_more
    assert (count, decoder.is_poisoned) == (3000, False)
    written, read = WriteBuffer(), ReadBuffer()
    written.write(encode_message(LeaderRequest()))
    read.feed(written.getvalue())
    assert read.read_message() == bytes([1, *bytes(15)])


def errors() -> None:
    try:
        decode_message(bytes.fromhex("0100000008000000"))
    except DecodeError as error:
        path: str | None = error.path
        offset: int | None = error.offset
        assert (path, offset) == ("Header.size_words", 0)
    else:
        raise AssertionError("a frame that is cut")
    for kind in (DecodeError, EncodeError, HandshakeError, ServerFailure, HazardError):
        assert issubclass(kind, ProtocolError)
    assert cap_raw_message("abc", 2) != "abc"


def parts() -> None:
    given: list[WireInput] = [1, None, "x"]
    values, size = decode_params_tuple(encode_params_tuple(given), None)
    assert (values, size) == ([1, None, "x"], 32)
    text, taken = decode_text(encode_text("text"))
    assert (text, taken, MAX_COLUMN_COUNT) == ("text", 8, 2000)
    node = NodeInfo(1, "127.0.0.1:9001", NodeRole.VOTER)
    assert ServersResponse([node]).nodes[0].role is NodeRole.VOTER
    span: Span = explain(encode_message(LeaderRequest()), is_request=True)
    assert (span.name, next(child.start for child in span.children), span.error) == ("LEADER", 0, None)


def a_conversation() -> None:
    client, server = ClientConversation(), ServerConversation()
    sent = client.send(OpenRequest("db")) + client.send(QuerySqlRequest(0, "SELECT 1"))
    answered: list[Event] = []
    server.receive(sent)
    while (request := server.next_request()) is not None:
        if isinstance(request, OpenRequest):
            answered += client.receive(server.answer(DbResponse(0)))
        else:
            answered += client.receive(server.answer(FailureResponse(SQLITE_IOERR_NOT_LEADER, "not leader")))
    opened, failed = answered
    assert isinstance(opened, Answered)
    assert isinstance(failed, Failed)
    assert (failed.outcome, failed.explanation.retry) == (Outcome.NOT_EXECUTED, Retry.LEADER)
    assert not any(isinstance(event, Rows) for event in answered)
    words: FailureInfo = explain_failure(SQLITE_IOERR_NOT_LEADER)
    assert (words.name, primary_sqlite_code(words.code)) == ("SQLITE_IOERR_NOT_LEADER", SQLITE_IOERR)
    read: Survey = survey("INSERT INTO t VALUES (1); SELECT 2")
    assert read


def typed_by_the_request(event: Answered, request: LeaderRequest) -> LeaderResponse:
    return event.answer(request)


def traffic(folder: Path) -> None:
    recording = Recording("client", "node")
    observer = Observer()
    for side, message in (
        (Side.CLIENT, LeaderRequest()),
        (Side.SERVER, LeaderResponse(1, "127.0.0.1:9001")),
    ):
        data = encode_message(message)
        if side is Side.CLIENT:
            data = MessageEncoder().encode_handshake() + data
        recording.add(side, data)
        over: list[Exchange] = [
            event for event in observer.receive(side, data) if isinstance(event, Exchange)
        ]
    assert [exchange.failure for exchange in over] == [None]
    items: Iterator[Item] = frames(recording)
    assert [item.type for item in items] == ["LEADER", "LEADER"]
    assert any("127.0.0.1:9001" in line for line in lines(recording))
    path = folder / "session.dqt"
    TranscriptWriter(path).close()
    try:
        list(frames(path))
    except SourceError as error:
        raise AssertionError("an empty transcript") from error


def tools() -> None:
    vote = RequestVote(1, 2, 3, 4)
    read: RaftMessage = decode_raft(vote.encode())
    assert (read, RaftReader) == (vote, RaftReader)
    assert "DissectorTable" in dissector()
    release: Release | None = release_named(DEFAULT_RELEASE)
    assert release is not None
    assert release.name == DEFAULT_RELEASE
    faults = FaultList()
    fault: Fault = parse_fault("fail code=5 times=2 on=EXEC_SQL")
    number: int = faults.order(fault)
    assert faults.listed() == [(number, fault)]
    assert isinstance(fault, Fail)
    address: Address = Address.parse("[::1]:9001")
    assert (address.port, DialOptions().tls, Deadline(5.0).left() > 0) == (9001, False, True)
    try:
        Address.parse("nonsense")
    except AddressError as error:
        print(error)
    made: list[type[ReplayServer | BlockingProxy]] = [ReplayServer, BlockingProxy]
    assert all(callable(kind) for kind in made)


async def on_frame(frame: Frame) -> Frame | bytes | Verdict | None:
    return DROP if frame.direction == "response" and frame.connection > 1 else None


async def a_proxy() -> None:
    hook: Hook = on_frame
    async with Proxy({"127.0.0.1:0": "127.0.0.1:1"}, on_frame=hook) as proxy:
        proxy.fail_next(5, on="EXEC_SQL")
        assert [address.partition(":")[0] for address in proxy.addresses] == ["127.0.0.1"]


def with_a_client(address: str) -> list[tuple[WireValue, ...]]:
    with connect(address, "consumer", timeout=5.0) as client:
        return ask(client)


def ask(client: Client) -> list[tuple[WireValue, ...]]:
    done: ResultResponse = client.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
    assert done.rows_affected >= 0
    try:
        client.execute("INSERT INTO nowhere VALUES (?)", [1])
    except StatementFailed as failure:
        outcome: Outcome = failure.outcome
        if outcome is not Outcome.NOT_EXECUTED:
            raise
    except ClientError as error:
        raise AssertionError("a table that is not there") from error
    result: Result = client.query("SELECT ?, 'a'", [1])
    columns: list[str] = list(result.columns)
    assert len(columns) == 2
    return list(result)


def main(rows: str = "") -> None:
    import tempfile

    assert version("dqlite-wire") == dqlitewire.__version__
    one_message()
    rows_in_this_way(rows)
    a_stream()
    errors()
    parts()
    a_conversation()
    with tempfile.TemporaryDirectory() as folder:
        traffic(Path(folder))
    tools()
    asyncio.run(a_proxy())
    print(speedups.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
