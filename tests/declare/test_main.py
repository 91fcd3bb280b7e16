"""`python -m dqlitewire.declare` prints what is generated."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dqlitewire
from dqlitewire import ValueType
from dqlitewire.declare import __main__ as command
from dqlitewire.declare import source
from dqlitewire.declare.declared import REGISTRY


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command.main([*arguments]) == 0
    found = capsys.readouterr()
    assert not found.err
    return found.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command.main([*arguments]) == 2
    found = capsys.readouterr()
    assert not found.out
    assert found.err.startswith(command.USAGE)
    return found.err.splitlines()[1]


def test_constructor_encoder_and_a_decoder_for_each_schema(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "StmtResponse")
    titles = [line for line in text.splitlines() if line.startswith("#")]
    assert titles == [
        "# StmtResponse: the constructor",
        "# StmtResponse: the encoder",
        "# StmtResponse: the decoder of schema 0",
        "# StmtResponse: the decoder of schema 1",
    ]
    for function in (
        "def __init__(g_self, db_id, stmt_id",
        "def encode(self, g_options",
        "def decode(g_frame",
    ):
        assert function in text


def test_every_message_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for cls in REGISTRY.values():
        assert f"# {cls.__name__}: the encoder" in printed(capsys, cls.__name__)
    assert "address" in printed(capsys, "NodeInfo")
    assert "by hand: dqlitewire.messages.by_hand, ServersResponse._read" in printed(capsys, "ServersResponse")


def test_what_is_printed_is_python(capsys: pytest.CaptureFixture[str]) -> None:
    for cls in REGISTRY.values():
        compile(printed(capsys, cls.__name__), cls.__name__, "exec")
    compile(printed(capsys, "--row", "INTEGER,TEXT,FLOAT"), "rows", "exec")


def test_reader_and_writer_of_rows(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--row", "integer,Text,FLOAT")
    assert "# rows of INTEGER, TEXT, FLOAT: the reader\ndef read(frame, " in text
    assert "# rows of INTEGER, TEXT, FLOAT: the writer\ndef write(rows, " in text
    for kind in ValueType:
        assert f"# rows of {kind.name}: the reader" in printed(capsys, "--row", kind.name)
    assert "the writer" not in printed(capsys, "--row", ",".join(["NULL"] * 65))


def test_the_essay_shows_the_code_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    decoder = printed(capsys, "ResultResponse").partition("the decoder of schema 0\n")[2].strip()
    shown = "\n".join(f"    {line}" for line in decoder.splitlines())
    assert shown in (source.__doc__ or "")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "one message, or --row and its types, is needed"),
        (["QueryRequest", "ExecRequest"], "one message, or --row and its types, is needed"),
        (["--rows", "TEXT"], "one message, or --row and its types, is needed"),
        (["--row"], "one message, or --row and its types, is needed"),
        (["Query"], "no message Query, known are QueryRequest, QuerySqlRequest"),
        (["--row", "INTEGER,NUMBER"], "no type NUMBER, known are INTEGER, FLOAT, "),
        (["--row", ""], "no type , known are INTEGER, FLOAT, "),
        (["--row", ",".join(["TEXT"] * 257)], "got 257 columns, at most 256"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str) -> None:
    assert refused(capsys, *arguments).startswith(problem)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--row INTEGER,TEXT,FLOAT" in printed(capsys, "--help")


def test_it_runs_as_a_module() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(dqlitewire.__file__).parent.parent)}
    for name, code in (("EmptyResponse", 0), ("Nothing", 2)):
        command_line = [sys.executable, "-m", "dqlitewire.declare", name]
        done = subprocess.run(
            command_line, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == code
        assert ("def encode(self" in done.stdout) is (code == 0)
