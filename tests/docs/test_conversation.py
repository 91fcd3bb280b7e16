"""The code of docs/guides/conversation.md, against the embedded server and conversations."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

from dqlitewire.conversation import (
    ClientConversation,
    Exchange,
    Failed,
    Generation,
    Lost,
    Observer,
    Refused,
    Rows,
    ServerConversation,
    Side,
)
from dqlitewire.messages import (
    DbResponse,
    ExecSqlRequest,
    FailureResponse,
    LeaderRequest,
    OpenRequest,
    QuerySqlRequest,
    ResultResponse,
)
from dqlitewire.testing import DqliteServer
from tests.docs.blocks import blocks
from tests.docs.running import run_python

PAGE = "docs/guides/conversation.md"
CLIENT, SERVER, OBSERVER = blocks(PAGE, "python")


def test_the_code() -> None:
    rows: list[Any] = []
    with DqliteServer() as server:
        server.run_sql("main", "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
        host, _, port = server.address.rpartition(":")
        with socket.create_connection((host, int(port)), 10) as sock:
            kinds = (Rows, Failed, Lost, ClientConversation, OpenRequest, QuerySqlRequest)
            names = {kind.__name__: kind for kind in kinds} | {"sock": sock, "rows": rows}
            run_python([CLIENT], names)
    assert rows == [(1,)]


def test_the_server_of_the_code() -> None:
    client, heard, sent = ClientConversation(), [], bytearray()
    data = client.send(OpenRequest("main")) + client.send(QuerySqlRequest(0, "SELECT a"))
    data += client.send(LeaderRequest())
    kinds = (
        ServerConversation,
        Generation,
        Refused,
        FailureResponse,
        QuerySqlRequest,
        OpenRequest,
        DbResponse,
    )
    names = {kind.__name__: kind for kind in kinds}
    run_python([SERVER], {**names, "data": data, "send": sent.extend, "names": ["a"], "cursor": [(1,)]})
    heard = client.receive(bytes(sent))
    assert [type(event).__name__ for event in heard] == ["Answered", "Rows", "Failed"]
    assert isinstance(heard[1], Rows)
    assert heard[1].message.rows == [(1,)]
    assert isinstance(heard[2], Failed)
    assert heard[2].failure.message == "not here"


def test_the_observer_of_the_code() -> None:
    client, server = ClientConversation(), ServerConversation()
    asked = client.send(ExecSqlRequest(0, "DELETE FROM t"))
    server.receive(asked)
    server.next_request()
    capture = [(Side.CLIENT, asked, 1.0), (Side.SERVER, server.answer(ResultResponse(0, 3)), 1.5)]
    printed = run_python([OBSERVER], {"Observer": Observer, "Exchange": Exchange, "capture": capture})
    assert printed.startswith("EXEC_SQL DELETE FROM t ")
    assert printed.rstrip().endswith(" 0.5")


def test_the_frames_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    (shown,) = blocks(PAGE, "text")
    caplog.set_level(logging.DEBUG, "dqlitewire.conversation")
    client, server = ClientConversation(), ServerConversation()
    server.receive(client.send(ExecSqlRequest(0, "INSERT INTO t VALUES (?, ?)", [1, "x"])))
    server.next_request()
    client.receive(server.answer(ResultResponse(4, 1)))
    printed = [message for message in caplog.messages if message.startswith("client")]
    assert printed == shown.text.splitlines()
