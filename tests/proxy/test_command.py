"""The command as its user runs it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dqlitewire import NodeInfo
from dqlitewire.constants import NodeRole
from dqlitewire.messages import ServersResponse
from dqlitewire.proxy import BlockingProxy
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.proxy.peers import HANDSHAKE, Peer, connect, read, read_all
from tests.real.raw import RawConnection, text, word
from tests.traffic.command import run

COMMAND = [sys.executable, "-m", "dqlitewire.cli", "proxy"]
LINE = re.compile(r"listening on (\S+) for (\S+)\n")
LOCAL = "127.0.0.1:0"


@contextmanager
def running(
    *words: str, pairs: int = 1, end: signal.Signals = signal.SIGINT
) -> Iterator[tuple[subprocess.Popen[str], list[str], list[str]]]:
    """The process, where it listens, and a list that has the rest of standard error at the end."""
    rest: list[str] = []
    with subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            found: list[str] = []
            while len(found) < pairs:
                line = process.stderr.readline()
                match = LINE.fullmatch(line)
                if match is None:
                    rest.append(line)
                    assert line, rest
                else:
                    found.append(match[1])
            yield process, found, rest
        finally:
            process.send_signal(end)
            try:
                rest.append(process.communicate(timeout=60)[1])
            finally:
                process.kill()
    assert process.returncode == 0, rest


def echo(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.sendall(read_all(sock))


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_with_0_whatever_goes_on(end: signal.Signals) -> None:
    with (
        DqliteServer() as server,
        running(f"{LOCAL}={server.address}", end=end) as (process, (address,), rest),
        RawConnection(address) as client,
    ):
        client.open("main")
        assert client.leader() == (1, address)
        process.send_signal(end)
        process.wait(60)
    assert rest == [""]


def test_a_line_for_each_pair_and_a_node_that_is_not_there() -> None:
    with Peer(echo) as peer, running(f"{LOCAL}={peer.address}", "@none=unix:/nowhere=n", pairs=2) as got:
        _, addresses, rest = got
        assert addresses[1] == "@none"
        with connect(addresses[0]) as sock:
            sock.sendall(b"abc")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b"abc"
        with connect("@none") as sock:
            assert read_all(sock) == b""
    assert rest == [
        "dqlite-wire: connection 2 from abstract: cannot reach unix:/nowhere: No such file or directory\n"
    ]


def test_a_store_makes_a_listener_for_each_node(tmp_path: Path) -> None:
    store = tmp_path / "cluster.yaml"
    with Peer(echo) as one, Peer(echo) as two:
        store.write_text(
            "".join(
                f"- Address: {peer.address}\n  ID: {n}\n  Role: 0\n" for n, peer in enumerate((one, two), 1)
            )
        )
        with running(str(store), "--listen", "[::1]:0", pairs=2) as (_, addresses, _rest):
            assert all(address.startswith("[::1]:") for address in addresses)
            with connect(addresses[1]) as sock:
                sock.shutdown(socket.SHUT_WR)
                assert read_all(sock) == b""
            assert (one.connections, two.connections) == (0, 1)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["127.0.0.1:0"], 2, "'127.0.0.1:0' is no LOCAL=REAL"),
        ([], 2, "Missing argument"),
        (["0.0.0.0:0=h:1"], 4, "0.0.0.0:0 can be reached from other machines: --allow-remote allows it"),
        (["0.0.0.0:0=h:1", "--record", "x.dqt"], 4, "--allow-remote allows it"),
        (["a..b:0=h:1"], 2, "a..b:0: no such host (not a name)"),
        ([f"{'a' * 64}:0=h:1"], 2, "no such host (not a name)"),
        (["127.0.0.1:1=h:1", "127.0.0.1:1=h:2"], 2, "stands in two pairs"),
        (["nowhere.yaml"], 3, "nowhere.yaml: no such file"),
        (["127.0.0.1:0=h:1", "--listen", "127.0.0.1:0"], 2, "--listen is for a cluster store"),
        (["x.yaml", "--listen", "127.0.0.1:7"], 3, "x.yaml: no such file"),
        (["127.0.0.1:0=h:1", "--tls-key", "k"], 2, "--tls-key without --tls-cert"),
        (["127.0.0.1:0=h:1", "--tls-cert", "/none.pem"], 3, "/none.pem: No such file"),
        (["127.0.0.1:0=h:1", "--to-ca", "/none.pem"], 3, "/none.pem: No such file"),
        (["127.0.0.1:0=h:1", "--to-key", "/none.pem"], 2, "a key without its certificate"),
        (["127.0.0.1:0=unix:/a", "--to-tls"], 2, "needs the name of the server"),
        (["127.0.0.1:0=h:1", "--upgrade", "x y"], 2, "path"),
        (["127.0.0.1:0=h:1", "--append"], 2, "--append without --record"),
        (["127.0.0.1:0=h:1", "--record", "/nowhere/x.dqt"], 3, "/nowhere/x.dqt: No such file"),
        (["127.0.0.1:0=h:1", "--record", "x.dqt", "--max-size", "0"], 2, "--max-size"),
        (["127.0.0.1:0=h:1", "--fault", "fial"], 2, "--fault: "),
        (["127.0.0.1:0=h:1", "--faults", "/none.toml"], 3, "/none.toml"),
        (["unix:/nowhere/a=h:1"], 3, "cannot listen on unix:/nowhere/a: No such file"),
    ],
)
def test_what_is_refused_is_said_and_the_option_is_named(
    words: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("proxy", *words)
    assert said in result.err
    assert (result.code, result.out, result.err.count("\n")) == (code, "", 1)
    assert not list(tmp_path.iterdir())


def test_listening_beyond_loopback_is_warned_of() -> None:
    with Peer(echo) as peer, running(f"0.0.0.0:0={peer.address}", "--allow-remote") as (_, (address,), rest):
        assert re.fullmatch(r"0\.0\.0\.0:[1-9]\d*", address)
    assert "0.0.0.0:0 can be reached from other machines; recordings hold what they send" in rest[0]


def test_no_map_leaves_the_addresses() -> None:
    with (
        DqliteServer() as server,
        running(f"{LOCAL}={server.address}", "--no-map") as (_, (address,), _rest),
        RawConnection(address) as client,
    ):
        assert client.leader() == (1, server.address)


def test_nodes_that_no_pair_covers_are_said_once_each(tmp_path: Path) -> None:
    """Clients leave the proxy for them. What is printed and recorded stays what passed."""
    path = tmp_path / "x.dqt"
    with DqliteCluster(3) as cluster:
        first, second, third = cluster.nodes
        pairs = [f"{LOCAL}={node.address}" for node in (first, second)]
        words = [*pairs, "--record", str(path), "--show", "--no-time"]
        with running(*words, pairs=2) as (process, (address, _), rest):
            for _ in range(3):
                with RawConnection(address) as client:
                    assert client.leader() == (1, address)
                    client.ok(16, word(1))
            cluster.elect(third)
            with RawConnection(address) as client:
                assert client.leader() == (3, third.address)
            process.send_signal(signal.SIGINT)
            assert process.stdout is not None
            shown = process.stdout.read()
    said = f"dqlite-wire: clients are led to {third.address}, which no pair of this proxy covers for them\n"
    assert "".join(rest) == said
    assert "covers" not in shown
    assert "covers" not in path.read_text()
    assert run("decode", path).code == 0


@pytest.mark.parametrize("end", ["--no-map", "all"])
def test_where_nobody_is_led_away_nothing_is_said(end: str) -> None:
    with DqliteCluster(2) as cluster:
        pairs = [f"{LOCAL}={address}" for address in cluster.addresses]
        words = pairs if end == "all" else [pairs[0], end]
        count = len(words) if end == "all" else 1
        with (
            running(*words, pairs=count) as (_, (address, *_others), rest),
            RawConnection(address) as client,
        ):
            client.leader()
            client.ok(16, word(1))
    assert "".join(rest) == ""


def test_a_node_that_names_thousands_is_said_of_in_part() -> None:
    said: list[str] = []

    def answer(sock: socket.socket) -> None:
        read(sock, 8)
        for number in range(4):
            read(sock, 16)
            nodes = [
                NodeInfo(i, f"evil-{number}-{i}\x1b[5m{'x' * 200}:1", NodeRole.VOTER) for i in range(1, 200)
            ]
            sock.sendall(ServersResponse(nodes).encode())

    with (
        Peer(answer) as peer,
        BlockingProxy({LOCAL: peer.address}, astray=said.append) as proxy,
        RawConnection(proxy.addresses[0]) as client,
    ):
        for _ in range(4):
            client.ok(16, word(1))
    assert len(said) == 100
    assert max(map(len, said)) < 400
    assert not any("\x1b" in line for line in said)


def test_what_passes_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "x.dqt"
    with DqliteServer() as server:
        words = [f"{LOCAL}={server.address}", "--record", str(path)]
        with (
            running(*words, "--fault", "fail code=5 on=EXEC_SQL") as (_, (address,), _rest),
            RawConnection(address) as client,
        ):
            client.open("main")
            client.leader()
            assert client.call(8, word(0) + text("SELECT 1") + word(0)).failure[0] == 5
        assert path.stat().st_mode & 0o777 == 0o600
        again = run("proxy", *words)
        assert again.code == 4
        assert "--append" in again.err
        before = path.read_bytes()
        with running(*words, "--append") as (_, (address,), _rest), RawConnection(address) as client:
            client.leader()
    after = path.read_bytes()
    assert after.startswith(before)
    assert b'"event":"fault"' in before.replace(b" ", b"")
    shown = run("decode", path)
    assert shown.code == 0, shown.err
    assert shown.out.count("LEADER") == 4


def test_a_client_certificate_is_asked_for_on_the_command_line_too(tmp_path: Path) -> None:
    from tests.proxy.test_tls import Files, leader, node, tls_client

    files = Files(tmp_path)
    with Peer(node) as peer:
        words = ["--tls-cert", files.server, "--tls-key", files.server_key, "--tls-ca", files.ca]
        with running(f"{LOCAL}={peer.address}", *words) as (_, (address,), rest):
            with tls_client(files, address, cert=files.client, key=files.client_key) as sock:
                assert leader(sock) == "10.0.0.1:9001"
            with suppress(OSError, IndexError), tls_client(files, address) as sock:
                leader(sock)
    assert "TLS failed: peer did not return a certificate" in rest[-1]


def test_descriptors_are_raised_to_what_the_system_allows() -> None:
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (50, 400));"
        "from dqlitewire.cli import main; sys.argv[0] = 'dqlite-wire'; main()"
    )
    with (
        Peer(echo) as peer,
        subprocess.Popen(
            [sys.executable, "-c", program, "proxy", f"{LOCAL}={peer.address}"],
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        match = LINE.fullmatch(process.stderr.readline())
        assert match is not None
        socks = [connect(match[1]) for _ in range(100)]
        for sock in socks:
            sock.sendall(HANDSHAKE)
            sock.shutdown(socket.SHUT_WR)
            assert read(sock, 8) == HANDSHAKE
            sock.close()
        process.terminate()
        assert process.wait(60) == 0


def test_what_passes_is_shown_with_the_options_of_decode(tmp_path: Path) -> None:
    shown: list[str] = []
    for words in (["--show", "--no-time"], ["--show", "--json", "--type", "LEADER"], ["--stats", "--redact"]):
        with (
            DqliteServer() as server,
            running(f"{LOCAL}={server.address}", *words) as (process, (address,), _rest),
        ):
            with RawConnection(address) as client:
                client.open("main")
                client.leader()
                client.exec_sql("CREATE TABLE secret (a)")
                client.query_sql("SELECT 'secret'")
            process.terminate()
            shown.append(process.communicate(timeout=60)[0])
    lines, json, stats = shown
    assert lines.splitlines()[1:5] == [
        " 1 > HANDSHAKE  version 1",
        " 1 > OPEN       main",
        " 1 < DB         db 0",
        " 1 > LEADER",
    ]
    assert "[went on as: 1 at 127.0.0.1:" in lines
    assert len(lines.splitlines()) == 12  # each direction ends once
    assert ['"type":"LEADER"' in line for line in json.splitlines()] == [True, True]
    assert re.search(r"^requests +4 ", stats, re.MULTILINE)
    assert "'secret'" not in stats


def test_statistics_come_at_a_signal_too() -> None:
    with (
        DqliteServer() as server,
        running(f"{LOCAL}={server.address}", "--stats") as (process, (address,), _rest),
        RawConnection(address) as client,
    ):
        client.leader()
        process.send_signal(signal.SIGUSR1)
        assert process.stdout is not None
        assert process.stdout.readline().split() == ["connections", "1"]


@pytest.mark.parametrize("words", [(), ("--show",)])
def test_a_proxy_that_counts_nothing_says_so_at_the_signal(words: tuple[str, ...]) -> None:
    with (
        DqliteServer() as server,
        running(f"{LOCAL}={server.address}", *words) as (process, (address,), rest),
    ):
        process.send_signal(signal.SIGUSR1)
        with RawConnection(address) as client:
            assert client.leader() == (1, address)
    assert rest == ["dqlite-wire: SIGUSR1: no statistics without --stats\n"]


def test_a_reader_that_goes_away_ends_the_showing_alone() -> None:
    with (
        DqliteServer() as server,
        running(f"{LOCAL}={server.address}", "--show") as (process, (address,), rest),
    ):
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        for _ in range(3):
            with RawConnection(address) as client:
                assert client.leader() == (1, address)
    assert rest == ["dqlite-wire: standard output: nobody reads it any more; the traffic goes on\n"]


def test_options_of_showing_want_something_to_be_shown() -> None:
    for words in (["-v"], ["--redact"], ["--type", "LEADER"], ["--json"]):
        result = run("proxy", "127.0.0.1:0=h:1", *words)
        assert result.code == 2
        assert "without --show" in result.err
