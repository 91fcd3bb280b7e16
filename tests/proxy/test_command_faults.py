"""Faults of `dqlite-wire proxy` as a person orders them: on the command line, in a file, while it runs."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dqlitewire.cli.app import app
from dqlitewire.testing import DqliteServer
from tests.real.raw import RawConnection, text, word

COMMAND = [sys.executable, "-c", "from dqlitewire.cli import main; main()", "proxy"]
ANY = "127.0.0.1:0"


@contextmanager
def proxied(real: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command until the block ends; its process, and where it listens."""
    with subprocess.Popen([*COMMAND, f"{ANY}={real}", *words], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.endswith(f" for {real}\n"), line
        try:
            yield process, line.split()[2]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def ask(path: Path, **asked: Any) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(json.dumps(asked).encode())
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile() as stream:
            said: dict[str, Any] = json.load(stream)
            return said


def test_faults_come_and_go_and_are_recorded(tmp_path: Path) -> None:
    control, record, orders = tmp_path / "control", tmp_path / "record.dqt", tmp_path / "faults.toml"
    orders.write_text("[[fault]]\nkind = 'fail'\ncode = 1\nmessage = 'from a file'\non = 'CLIENT'\n")
    words = ["--fault", "fail code=5 on=OPEN", "--faults", str(orders)]
    words += ["--control", f"unix:{control}", "--record", str(record)]
    with (
        DqliteServer() as server,
        proxied(server.address, *words) as (process, address),
        RawConnection(address) as client,
    ):
        assert client.call(1, word(0)).failure == (1, "from a file")
        assert client.call(3, text("main") + word(0) + text("")).failure == (5, "database is locked")
        fault = {"kind": "fail", "code": 10250, "times": "forever"}
        assert ask(control, op="add", fault=fault) == {"ok": True, "id": 3}
        for _ in range(2):
            assert client.call(3, text("main") + word(0) + text("")).failure == (10250, "not leader")
        listed = ask(control, op="list")["faults"]
        assert [(one["id"], one["hits"], one["over"]) for one in listed] == [
            (1, 1, True),
            (2, 1, True),
            (3, 2, False),
        ]
        assert ask(control, op="remove", id=3) == {"ok": True}
        assert client.leader() == (1, address)
        assert [request.type for request in server.requests] == [0]  # the others never came
    assert process.returncode == 0
    assert not control.exists()
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [(one["kind"], one["fault"], one["on"]) for one in lines if one.get("event") == "fault"] == [
        ("fail", 2, "CLIENT"),
        ("fail", 1, "OPEN"),
        ("fail", 3, "OPEN"),
        ("fail", 3, "OPEN"),
    ]


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (
            ["--fault", "held"],
            "--fault: fault 1 'held': kind 'held' unknown, nearest hold, must be one of ",
            2,
        ),
        (["--fault", "hold", "--fault", "fail"], "--fault: fault 2 'fail': fail without code", 2),
        (["--faults", "/nowhere/f.toml"], "--faults: /nowhere/f.toml: No such file or directory", 3),
        (["--control", "@abstract"], "--control: control @abstract, must be unix:PATH", 2),
        (["--control", "/tmp/x"], "--control: '/tmp/x' is no HOST:PORT", 2),
        (["--control", "unix:/nowhere/x"], "cannot listen on unix:/nowhere/x: No such file or directory", 3),
    ],
)
def test_what_orders_nothing(
    words: list[str], message: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = CliRunner().invoke(app, ["proxy", f"{ANY}=127.0.0.1:1", *words])
    said = finished.stderr or capsys.readouterr().err
    assert said.startswith(f"dqlite-wire: {message}")
    assert finished.exit_code == code
