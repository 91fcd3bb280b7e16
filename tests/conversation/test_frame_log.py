"""The frame log: one line a frame through `logging`, no values in it, nothing done when it is off."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from dqlitewire import Message
from dqlitewire.conversation import ClientConversation, Hazard, ServerConversation
from dqlitewire.conversation.frame_log import describe_frame
from dqlitewire.messages import (
    EmptyResponse,
    ExecSqlRequest,
    FailureResponse,
    FilesResponse,
    InterruptRequest,
    LeaderResponse,
    OpenRequest,
    PrepareRequest,
    QuerySqlRequest,
    ResultResponse,
    ServersResponse,
    StmtResponse,
)
from tests.conversation.messages import ANSWERS, NODE, REQUESTS, done, part

LOGGER = "dqlitewire.conversation"
SECRET = "hunter2"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_both_directions(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    client, server = ClientConversation(), ServerConversation()
    request = ExecSqlRequest(0, "INSERT INTO t VALUES (?, ?)", [SECRET, 1])
    server.receive(client.send(request))
    server.next_request()
    client.receive(server.answer(ResultResponse(4, 1)))
    sent = (
        "EXEC_SQL db_id=0 sql='INSERT INTO t VALUES (?, ?)' params=[2] schema=0 empty_header=False (72 bytes)"
    )
    answer = "RESULT last_insert_id=4 rows_affected=1 (24 bytes)"
    assert lines(caplog) == [
        f"client >> {sent}",
        f"server << {sent}",
        f"server >> {answer}",
        f"client << {answer}",
    ]
    assert SECRET not in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


def exchange(request: Message, *answers: Message, **options: bool) -> None:
    client = ClientConversation(**options)
    client.send(request)
    for answer in answers:
        client.receive(answer.encode())


def test_every_frame_of_a_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    exchange(QuerySqlRequest(0, "SELECT 1"), part(1, 2), part(3), done(), frame_log=True)
    assert [line.split()[2] for line in lines(caplog)] == ["QUERY_SQL", "ROWS", "ROWS", "ROWS"]
    assert "rows=[2]" in lines(caplog)[1]


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=lambda request: type(request).__name__)
def test_every_request_has_its_line(request_: Message, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    ClientConversation(frame_log=True).send(request_, allow=Hazard.ALL)
    (line,) = lines(caplog)
    assert len(line) < 200
    assert "\n" not in line


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=lambda answer: type(answer).__name__)
def test_every_answer_has_its_line(answer: Message) -> None:
    line = describe_frame(answer.MSG_TYPE, 8, answer, is_request=False)
    assert len(line) < 200


def test_long_texts_are_elided_and_clean() -> None:
    line = describe_frame(4, 8, PrepareRequest(0, "SELECT\n\x1b[31m" + "x" * 1000), is_request=True)
    assert len(line) < 140
    assert not {"\n", "\x1b"} & set(line)
    assert (
        describe_frame(9, 8, FilesResponse({SECRET: bytes(8)}), is_request=False)
        == "FILES files=[1] (8 bytes)"
    )
    assert describe_frame(99, 8, None, is_request=True) == "type 99 (8 bytes)"


def test_frames_that_do_not_decode_are_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    server = ServerConversation(frame_log=True)
    server.receive(b"\x01" + bytes(7) + bytes([1, 0, 0, 0, 99, 0, 0, 0]) + bytes(8))
    server.next_request()
    assert lines(caplog) == ["server << type 99 (16 bytes)"]


def test_asked_at_every_frame(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    client = ClientConversation(frame_log=True)
    client.send(OpenRequest("main"))
    caplog.set_level(logging.DEBUG, LOGGER)
    client.receive(FailureResponse(1, "x").encode())
    assert len(lines(caplog)) == 1


def test_off_by_default(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    exchange(OpenRequest("main"), FailureResponse(1, "x"))
    assert lines(caplog) == []
    caplog.set_level(logging.DEBUG, LOGGER)
    exchange(InterruptRequest(), EmptyResponse(), frame_log=False)
    assert lines(caplog) == []


@pytest.mark.parametrize(
    "statement",
    ["import dqlitewire.conversation", "import dqlitewire.conversation as c; c.ClientConversation()"],
)
def test_importing_it_imports_nothing_slow(statement: str) -> None:
    slow = ("logging", "re", "dataclasses", "typing", "asyncio", "socket", "sqlite3", "inspect")
    program = f"{statement}\nimport sys\nprint(*[name for name in {slow!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stdout.split() == []


def environment() -> dict[str, str]:
    import dqlitewire

    root = dqlitewire.__file__.rpartition("/dqlitewire/")[0]
    return {"PYTHONPATH": root}


def test_nothing_reaches_stderr_unasked() -> None:
    program = (
        "import logging\nfrom dqlitewire.conversation import ClientConversation\n"
        "from dqlitewire.messages import LeaderRequest\n"
        "ClientConversation(frame_log=True).send(LeaderRequest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment()
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("error", [ValueError, RuntimeError, KeyboardInterrupt])
def test_a_handler_that_raises_loses_no_frame_in_silence(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: logging.LogRecord) -> bool:
        raise error

    client, server = ClientConversation(frame_log=True), ServerConversation(frame_log=True)
    logger = logging.getLogger(LOGGER)
    caplog.set_level(logging.DEBUG, LOGGER)
    monkeypatch.setattr(logger, "filters", [refuse])
    for call in (
        lambda: client.send(OpenRequest("main")),
        lambda: server.receive(b"\1" + bytes(7) + OpenRequest("main").encode()),
        server.next_request,
    ):
        try:
            call()
        except error:
            pass
    monkeypatch.setattr(logger, "filters", [])
    assert client.is_poisoned or client.unanswered == ()
    assert server.is_poisoned or server.next_request() == OpenRequest("main")


def test_servers_and_statements() -> None:
    assert describe_frame(3, 8, ServersResponse([NODE]), is_request=False).startswith("SERVERS nodes=[1]")
    assert "tail_offset=None" in describe_frame(5, 8, StmtResponse(0, 1, 2), is_request=False)
    assert "address='127.0.0.1:9001'" in describe_frame(
        1, 8, LeaderResponse(1, "127.0.0.1:9001"), is_request=False
    )
