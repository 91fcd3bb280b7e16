"""`dqlite-wire replay` as a shell runs it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from dqlitewire.cli.exits import Exit
from dqlitewire.proxy import BlockingProxy, ClientTls
from dqlitewire.proxy.recording import Recorder
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.real.raw import RawConnection, frame, text, word
from tests.replay.transcripts import CLIENT, SERVER, Said, write
from tests.traffic.command import COMMAND, run

LEADER, HANDSHAKE = frame(0, word(0)), word(1)
ANSWER = frame(1, word(1) + text("10.0.0.1:9001"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    said: list[Said] = [(1, CLIENT, HANDSHAKE + LEADER), (1, SERVER, ANSWER), (1, CLIENT, b"")]
    return write(tmp_path / "s.dqt", said)


@contextmanager
def serving(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = subprocess.Popen([*COMMAND, "replay", *map(str, arguments)], stderr=subprocess.PIPE, text=True)
    try:
        assert command.stderr is not None
        line = command.stderr.readline()
        assert line.startswith("listening on "), line
        yield command, line.removeprefix("listening on ").strip()
    finally:
        command.kill()
        command.wait()
        if command.stderr is not None:
            command.stderr.close()


def test_it_ends_when_all_is_played(path: Path) -> None:
    with serving(path, "--serve", "127.0.0.1:0") as (command, address):
        with RawConnection(address) as client:
            assert client.leader() == (1, address)
        assert command.communicate(timeout=60)[1] == ""
        assert command.returncode == Exit.OK


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(path: Path, number: signal.Signals) -> None:
    with serving(path, "--serve", "127.0.0.1:0") as (command, _):
        command.send_signal(number)
        said = command.communicate(timeout=60)[1]
        assert command.returncode == Exit.DAMAGED
    assert "left over in 1 connection" in said
    assert "connection 1: 1 request, nobody connected" in said


def test_a_pool_that_never_closes_has_played_all_the_same(path: Path) -> None:
    with serving(path, "--serve", "127.0.0.1:0") as (command, address), RawConnection(address) as client:
        client.leader()
        command.send_signal(signal.SIGTERM)
        assert command.communicate(timeout=60)[1] == ""
        assert command.returncode == Exit.OK


def test_a_difference_is_told(path: Path) -> None:
    with serving(path, "--serve", "127.0.0.1:0") as (command, address):
        with RawConnection(address) as client:
            client.send(frame(16, word(1)))
            assert client.closed_by_peer()
        said = command.communicate(timeout=60)[1].splitlines()
        assert command.returncode == Exit.DAMAGED
    assert [line.removeprefix("dqlite-wire: ") for line in said] == [
        "connection 1, request 1 at byte 8: not the recorded request",
        "  expected LEADER",
        "  got      CLUSTER  format 1",
        "  - LEADER",
        "  + CLUSTER  format 1",
    ]


def test_a_stale_socket_is_replaced_and_a_living_one_is_not(path: Path, tmp_path: Path) -> None:
    where = tmp_path / "socket"
    with serving(path, "--serve", f"unix:{where}") as (command, _):
        result = run("replay", path, "--serve", f"unix:{where}")
        assert result.code == Exit.INPUT
        assert f"cannot listen on unix:{where}" in result.err
        os.kill(command.pid, signal.SIGKILL)
        command.wait()
    with serving(path, "--serve", f"unix:{where}"):
        pass


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], Exit.USAGE, "either --serve LOCAL or --to TARGET"),
        (["--serve", "127.0.0.1:0", "--to", "127.0.0.1:1"], Exit.USAGE, "either --serve LOCAL"),
        (["--serve", "nowhere"], Exit.USAGE, "is no HOST:PORT"),
        (["--serve", "a..b:0"], Exit.INPUT, "cannot listen on a..b:0: "),
        (["--serve", "0.0.0.0:0"], Exit.REFUSED, "--allow-remote"),
        (["--serve", "127.0.0.1:0", "--write"], Exit.USAGE, "go with --to"),
        (["--to", "127.0.0.1:1", "--match"], Exit.USAGE, "go with --serve"),
        (["--to", "127.0.0.1:1"], Exit.INPUT, "127.0.0.1:1: Connection refused"),
        (["--to", "missing.yaml"], Exit.INPUT, "missing.yaml"),
    ],
)
def test_wrong_use(arguments: list[str], code: Exit, said: str, path: Path) -> None:
    result = run("replay", path, *arguments)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
    assert "Traceback" not in result.err


def test_no_transcript(tmp_path: Path) -> None:
    assert run("replay", tmp_path / "missing", "--serve", "127.0.0.1:0").code == Exit.INPUT
    (tmp_path / "empty").write_bytes(b"")
    assert run("replay", tmp_path / "empty", "--to", "127.0.0.1:1").code == Exit.INPUT


# ---------------------------------------------------------------- to a node


@pytest.fixture
def server() -> Iterator[DqliteServer]:
    with DqliteServer() as server:
        server.run_sql("db", "CREATE TABLE t (a INTEGER, b TEXT)")
        server.run_sql("db", "INSERT INTO t VALUES (1, 'one')")
        yield server


def recorded(server: DqliteServer, path: Path, sql: str) -> Path:
    recorder = Recorder(path)
    with (
        BlockingProxy([f"127.0.0.1:0={server.address}"], lookers=[recorder]) as proxy,
        RawConnection(proxy.addresses[0]) as client,
    ):
        client.open("db")
        client.query_sql("SELECT * FROM t")
        client.call(8, word(0) + text(sql))
    recorder.close()
    return path


def test_the_same_answers(server: DqliteServer, tmp_path: Path) -> None:
    path = recorded(server, tmp_path / "s.dqt", "BEGIN")
    result = run("replay", path, "--to", server.address)
    assert (result.code, result.out) == (Exit.OK, "")
    assert result.err == "3 requests on 1 connection: no difference\n"


def test_other_answers(server: DqliteServer, tmp_path: Path) -> None:
    path = recorded(server, tmp_path / "s.dqt", "BEGIN")
    server.run_sql("db", "UPDATE t SET b = 'eins'")
    result = run("replay", path, "--to", server.address)
    assert result.code == Exit.DAMAGED
    assert result.out.splitlines()[1:] == ["  - row 1 (1, 'one')", "  + row 1 (1, 'eins')"]
    assert result.err == "3 requests on 1 connection: 1 difference\n"


def test_writing_needs_to_be_allowed(server: DqliteServer, tmp_path: Path) -> None:
    path = recorded(server, tmp_path / "s.dqt", "DELETE FROM t")
    server.run_sql("db", "INSERT INTO t VALUES (1, 'one')")
    before = len(server.requests)
    result = run("replay", path, "--to", server.address)
    assert result.code == Exit.REFUSED
    assert "--write allows it" in result.err
    assert "EXEC_SQL  DELETE FROM t" in result.err
    assert len(server.requests) == before
    assert run("replay", path, "--to", server.address, "--write").code == Exit.OK


def test_hazards_are_never_sent(server: DqliteServer, tmp_path: Path) -> None:
    # DESCRIBE in a format that kills
    said: list[Said] = [(1, CLIENT, HANDSHAKE + LEADER), (1, SERVER, ANSWER), (1, CLIENT, frame(18, word(1)))]
    path = write(tmp_path / "s.dqt", said)
    result = run("replay", path, "--to", server.address, "--write")
    assert result.code == Exit.REFUSED
    assert "nothing was sent: 1 request would harm the node" in result.err
    assert "DESCRIBE" in result.err


def test_a_node_behind_tls(server: DqliteServer, tmp_path: Path) -> None:
    authority = trustme.CA()
    files = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "cert")}
    authority.cert_pem.write_to_path(files["ca"])
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(files["cert"])
    path = recorded(server, tmp_path / "s.dqt", "BEGIN")
    with BlockingProxy([f"127.0.0.1:0={server.address}"], tls=ClientTls(files["cert"])) as proxy:
        address = proxy.addresses[0]
        result = run("replay", path, "--to", address, "--ca", files["ca"])
        assert (result.code, result.out) == (Exit.OK, ""), result
        assert (
            run("replay", path, "--to", address, "--ca", files["cert"], "--server-name", "x").code
            == Exit.INPUT
        )
        plain = run("replay", path, "--to", address, "--timeout", "3")
        assert plain.code == Exit.DAMAGED
        assert "+ " in plain.out


def test_a_store_means_its_leader(tmp_path: Path) -> None:
    with DqliteCluster(3) as cluster:
        addresses = [node.address for node in cluster.nodes]
        leader = next(node for node in cluster.nodes if node.is_leader)
        cluster.run_sql("db", "CREATE TABLE t (a)")
        recorder = Recorder(tmp_path / "s.dqt")
        with (
            BlockingProxy([f"127.0.0.1:0={leader.address}"], lookers=[recorder]) as proxy,
            RawConnection(proxy.addresses[0]) as client,
        ):
            client.leader()
            client.open("db")
            client.query_sql("SELECT * FROM t")
        recorder.close()
        store = tmp_path / "cluster.yaml"
        others = [address for address in addresses if address != leader.address]
        store.write_text(
            "".join(
                f"- Address: {address}\n  ID: {number}\n  Role: 0\n"
                for number, address in enumerate(["127.0.0.1:1", *others, leader.address], 1)
            )
        )
        result = run("replay", tmp_path / "s.dqt", "--to", store)
        assert (result.code, result.out) == (Exit.OK, ""), result
