"""`dump` and the shell behind what stands in front of nodes in production: TLS, an HTTP upgrade, a store.

How nodes are dialled is proved in tests/dial and test_query_real.py; here, that these two commands hand their
options on, also to the connection that a dump is fetched over.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from dqlitewire.cli import shell
from dqlitewire.cli.answers import Display
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.tables import Form
from dqlitewire.client import connect
from dqlitewire.dial import DialOptions
from tests.cli.screen import Screen
from tests.dial.relays import Relay
from tests.dial.test_layers import Certificates
from tests.real.nodes import Node
from tests.traffic.command import run

UPGRADE = ("--upgrade", "/internal/database")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def node(real_nodes: Callable[[str], Node], database: str) -> Node:
    node = real_nodes("1.18.7")
    sql = "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)"
    assert run("query", node.address, database, "--write", sql).code == 0
    return node


def count(file: Path) -> int:
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (number,) = copy.execute("SELECT count(*) FROM t").fetchone()
        return int(number)


def test_dump(node: Node, database: str, files: Certificates, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    pair = ("--cert", files["client.crt"], "--key", files["client.key"])
    context = files.context(files.server, True)
    with Relay(node.address, tls=context, path=UPGRADE[1]) as relay:
        dump = ("dump", relay.address, database, "-o", file, "--timeout", "20", *UPGRADE)
        for options, said in (
            (("--ca", files["strange-ca"], *pair), "certificate verify failed"),
            (("--ca", files["ca"]), "the server wants a client certificate"),
            (("--ca", files["ca"], "--server-name", "other.example", *pair), "certificate verify failed"),
        ):
            done = run(*dump, *options)
            assert (done.code, done.out, done.err.count("\n")) == (Exit.INPUT, "", 1), done
            assert said in done.err
            assert os.listdir(tmp_path) == []
        done = run(*dump, "--ca", files["ca"], *pair)
        assert (done.code, count(file)) == (0, 2), done
    with Relay(node.address, tls=files.context(files.shared, True)) as relay:
        (files.folder / "cluster.yaml").write_text(f"- Address: {relay.address}\n  ID: 1\n")
        done = run("dump", files["cluster.yaml"], database, "-o", file, "--force")
        assert (done.code, count(file)) == (0, 2), done


def test_what_the_command_line_has_for_it_is_said(node: Node, database: str, files: Certificates) -> None:
    for relay, option in (
        (Relay(node.address, tls=files.context(files.server, False)), "--ca"),
        (Relay(node.address, path=UPGRADE[1]), "--upgrade"),
    ):
        with relay:
            done = run("query", relay.address, database, "SELECT 1", "--timeout", "1.5")
        assert (done.code, done.out, done.err.count("\n")) == (Exit.INPUT, "", 1), done
        assert option in done.err


def test_the_shell(
    node: Node,
    database: str,
    files: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    pair = ("--cert", files["client.crt"], "--key", files["client.key"])
    with Relay(node.address, tls=files.context(files.server, True), path=UPGRADE[1]) as relay:
        options = DialOptions(ca=files["ca"], upgrade=UPGRADE[1])
        connected = partial(connect, relay.address, database, options=options)
        with pytest.raises(SystemExit) as stop:
            shell.run(connected, database, display=Display(Form.TABLE, 80), write=False)
        assert stop.value.code == Exit.INPUT
        assert "the server wants a client certificate" in capsys.readouterr().err
        query = ["query", relay.address, database, *UPGRADE, "--timeout", "20"]
        with Screen([*query, "--ca", files["ca"], *pair]) as screen:
            screen.expect("connected to ")
            screen.send("SELECT count(*) AS n FROM t;\r")
            screen.expect("2")
            screen.expect("(1 row)")
            screen.send(f".dump {tmp_path}/copy.db\r")
            screen.expect(" bytes, from ")
            screen.send("exit\r")
            assert (screen.wait(), screen.is_as_before()) == (Exit.OK, True)
    assert count(tmp_path / "copy.db") == 2
