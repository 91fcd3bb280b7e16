"""The scripted server: who keeps to the script passes, who does not gets a readable difference."""

from __future__ import annotations

import pytest

from dqlitewire.messages import (
    DbResponse,
    EmptyResponse,
    ExecSqlRequest,
    LeaderRequest,
    LeaderResponse,
    OpenRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
)
from dqlitewire.testing.script import (
    ScriptedServer,
    ScriptError,
    close,
    expect,
    send,
    send_bytes,
    wait,
)
from tests.real.raw import RawConnection

OPENING = (expect(OpenRequest), send(DbResponse(0)))


def test_a_client_that_keeps_to_the_script() -> None:
    with (
        ScriptedServer(
            *OPENING,
            expect(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [1])),
            send(ResultResponse(1, 1)),
            expect(lambda frame: b"SELECT" in frame),
            wait(0.01),
            send(RowsResponse(["a"], has_more=True), EmptyResponse()),
            send_bytes(b"\xff" * 3),
            close(),
        ) as server,
        RawConnection(server.address) as client,
    ):
        client.send(OpenRequest("main").encode())
        assert client.frame().kind == 4
        client.send(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [1]).encode())
        assert client.frame().kind == 6
        client.send(QuerySqlRequest(0, "SELECT 1").encode())
        assert [client.frame().kind, client.frame().kind] == [7, 8]
        assert client.receive(3) == b"\xff" * 3
        assert client.closed_by_peer()


def test_the_difference_is_readable() -> None:
    wanted = ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [1, "x"])
    with (  # noqa: PT012  the server checks when it is left
        pytest.raises(ScriptError) as caught,
        ScriptedServer(*OPENING, expect(wanted), send(ResultResponse(1, 1))) as server,
        RawConnection(server.address) as client,
    ):
        client.send(OpenRequest("main").encode())
        client.frame()
        client.send(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [2, "x"]).encode())
        assert client.closed_by_peer()
    lines = str(caught.value).splitlines()
    assert lines[:3] == [
        "connection 1, step 3 (- expected, + got)",
        "    >> OPEN, schema 0, 32 bytes",
        "    << DB, schema 0, 16 bytes",
    ]
    changed = [line.split(maxsplit=1) for line in lines if line.startswith(("  -", "  +"))]
    assert changed == [["-", "params[0] = 1"], ["+", "params[0] = 2"]]
    assert all(len(line) <= 110 for line in lines)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([expect(QuerySqlRequest)], "- any QuerySqlRequest"),
        ([expect(lambda _: False)], "- a frame that <lambda> accepts"),
        ([], "- nothing more"),
    ],
)
def test_another_request(script: list[object], words: str) -> None:
    with (  # noqa: PT012  the server checks when it is left
        pytest.raises(ScriptError, match=words) as caught,
        ScriptedServer(script) as server,  # type: ignore[arg-type]
        RawConnection(server.address) as client,
    ):
        client.send(LeaderRequest().encode())
        assert client.closed_by_peer()
    assert "+ LEADER, schema 0, 16 bytes" in str(caught.value)


def test_a_script_that_was_not_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dqlitewire.testing.script.ScriptedServer.wait", lambda _: None)
    with pytest.raises(ScriptError) as caught, ScriptedServer([expect(LeaderRequest)], [close()]) as server:
        RawConnection(server.address).close()
    assert "connection 2 never came" in str(caught.value)


def test_the_client_s_own_error_comes_first() -> None:
    with (  # noqa: PT012  the server checks when it is left
        pytest.raises(ZeroDivisionError) as caught,
        ScriptedServer(expect(OpenRequest)) as server,
        RawConnection(server.address) as client,
    ):
        client.send(LeaderRequest().encode())
        assert client.closed_by_peer()
        _ = 1 / 0
    assert "+ LEADER" in caught.value.__notes__[0]


def test_connections_in_order() -> None:
    here, there = LeaderResponse(1, "here"), LeaderResponse(2, "there")
    with ScriptedServer(
        [expect(LeaderRequest), send(here), close(reset=True)], [expect(LeaderRequest), send(there)]
    ) as server:
        for answer in (here, there):
            with RawConnection(server.address) as client:
                client.send(LeaderRequest().encode())
                assert client.frame().whole == answer.encode()


def test_large_requests_that_differ_are_told_line_by_line() -> None:
    wanted, sent = ([f"{name} {number}" for number in range(2000)] for name in ("value", "valve"))
    with (  # noqa: PT012  the server checks when it is left
        pytest.raises(ScriptError) as caught,
        ScriptedServer(expect(ExecSqlRequest(0, "x", wanted))) as server,
        RawConnection(server.address) as client,
    ):
        client.send(ExecSqlRequest(0, "x", sent).encode())
        assert client.closed_by_peer()
    assert "-   params[7] = 'value 7'\n  +   params[7] = 'valve 7'" in str(caught.value)


def test_steps_or_scripts() -> None:
    with pytest.raises(TypeError, match="either steps or sequences"):
        ScriptedServer(close(), [close()])
