"""`dqlite-wire serve` and the demo, as a person would run them."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest
from typer.testing import CliRunner

from dqlitewire.cli.app import app
from dqlitewire.dial import Address, Kind, probe
from dqlitewire.dial.listening import is_wildcard
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.real.raw import RawConnection, frame, text, word

ROOT = Path(__file__).parent.parent.parent
# whoever runs the tests may ignore hang-ups (nohup), which a process hands on to its children
HEARS_HANG_UPS = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); "
COMMAND = [sys.executable, "-c", HEARS_HANG_UPS + "from dqlitewire.cli import main; main()", "serve"]


@contextmanager
def serving(*words: str, lines: int | None = None) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the command until the block ends; its process and the addresses it says, if they are to be read."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        nodes = int(words[words.index("--nodes") + 1]) if "--nodes" in words else 1
        nodes = nodes if lines is None else lines
        addresses = [
            process.stdout.readline().split(" on ")[-1].strip().removesuffix(", leader") for _ in range(nodes)
        ]
        try:
            yield process, addresses
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def started(process: subprocess.Popen[str], nodes: int = 1) -> list[tuple[str, str]]:
    """Where each node says that it listens, and the address that it goes by."""
    assert process.stdout is not None
    lines = [process.stdout.readline().strip().removesuffix(", leader") for _ in range(nodes)]
    words = [line.partition(" on ")[2].split(" as ") for line in lines]
    return [(each[0], each[-1]) for each in words]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::", 0))
            return True
    except OSError:
        return False


@pytest.mark.parametrize("host", ["0.0.0.0", "0", *["::"] * has_ipv6()])
def test_a_wildcard_is_not_what_clients_are_told(host: str) -> None:
    with serving("--host", host, "--allow-remote", "--nodes", "2", lines=0) as (process, _):
        bound, told = zip(*started(process, 2), strict=True)
        for address in told:
            assert not is_wildcard(Address.parse(address).name)
            for dialled in (address, f"127.0.0.1:{Address.parse(address).port}"):
                assert probe(dialled).leader_address == told[0]
        assert [Address.parse(each).port for each in bound] == [Address.parse(each).port for each in told]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    name = Address.parse(told[0]).name
    assert process.returncode == 0
    bound_to = Address(Kind.TCP, host)
    assert errors.splitlines() == [
        f"dqlite-wire: {bound_to} can be reached from other machines; it asks nobody for a password",
        f"dqlite-wire: clients are told {name}; --advertise HOST:PORT tells another address",
    ]


@pytest.mark.parametrize(
    ("advertise", "told"),
    [
        ("db.example:7000", ["db.example:7000", "db.example:7001"]),
        ("[2001:db8::5]:7000", ["[2001:db8::5]:7000", "[2001:db8::5]:7001"]),
        ("db.example", ["db.example:{0}", "db.example:{1}"]),
        ("2001:db8::5", ["[2001:db8::5]:{0}", "[2001:db8::5]:{1}"]),
    ],
)
def test_clients_are_told_what_is_advertised(advertise: str, told: list[str]) -> None:
    with DqliteCluster(2, advertise=advertise) as cluster:
        ports = [Address.parse(node.listens_at).port for node in cluster.nodes]
        assert cluster.addresses == [each.format(*ports) for each in told]
        assert probe(cluster.nodes[1].listens_at).leader_address == cluster.addresses[0]


def test_the_command_advertises_what_it_is_told_to() -> None:
    with serving("--host", "0.0.0.0", "--allow-remote", "--advertise", "db.example:7000", lines=0) as (
        process,
        _,
    ):
        ((bound, told),) = started(process)
        assert told == "db.example:7000"
        assert probe(f"127.0.0.1:{Address.parse(bound).port}").leader_address == told
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "clients are told" not in errors


def test_a_node_comes_back_where_it_listened() -> None:
    with DqliteCluster(2, advertise="db.example:7000") as cluster:
        node = cluster.nodes[1]
        assert (node.address, Address.parse(node.listens_at).name) == ("db.example:7001", "127.0.0.1")
        node.stop()
        node.start()
        with RawConnection(node.listens_at) as client:
            assert client.leader() == (1, "db.example:7000")


def test_the_port_of_a_server_is_the_one_it_listens_on() -> None:
    with (
        DqliteServer(advertise="db.example:7000") as server,
        RawConnection(f"127.0.0.1:{server.port}") as client,
    ):
        assert client.leader() == (1, server.address) == (1, "db.example:7000")


@pytest.mark.parametrize("value", ["x:0", "x:99999", "@x", "unix:/x", "a b", "", ":1", "x:65535"])
def test_what_cannot_be_advertised(value: str) -> None:
    with pytest.raises(ValueError, match="advertise "):
        DqliteCluster(2, advertise=value)


def test_a_host_alone_needs_a_port(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be HOST:PORT where nothing listens on a port"):
        DqliteServer(unix=tmp_path / "x", advertise="db.example")
    with DqliteServer(unix=tmp_path / "x", advertise="db.example:7000") as server:
        assert server.address == "db.example:7000"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    made = apsw.Connection(str(path))
    made.execute("CREATE TABLE t (a); INSERT INTO t VALUES (7)")
    made.close()
    return path


def test_serve_memory() -> None:
    with serving() as (process, (address,)), RawConnection(address) as client:
        client.open("anything")
        client.exec_sql("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
        assert client.query_sql("SELECT a FROM t")[0].kind == 7
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["app.db", "app"])
def test_serve_a_file(file: Path, name: str) -> None:
    with serving(str(file)) as (_, (address,)), RawConnection(address) as client:
        client.open(name)
        assert client.exec_sql("INSERT INTO t VALUES (8)") == (2, 1)
    kept = apsw.Connection(str(file))
    assert kept.execute("SELECT a FROM t").fetchall() == [(7,), (8,)]
    kept.close()


def test_serve_a_file_read_only(file: Path) -> None:
    before = file.read_bytes()
    with serving(str(file), "--read-only") as (_, (address,)), RawConnection(address) as client:
        client.open("app.db")
        assert client.query_sql("SELECT a FROM t")[0].body[-16:-8] == word(7)
        assert client.call(8, word(0) + text("DELETE FROM t")).failure[0] == 8
    assert file.read_bytes() == before


def test_serve_with_faults(tmp_path: Path) -> None:
    orders = tmp_path / "faults.toml"
    orders.write_text("[[fault]]\nkind = 'fail'\ncode = 1\nmessage = 'from a file'\non = 'LEADER'\n")
    words = ("--fault", "fail code=5 on=OPEN", "--faults", str(orders), "--seed", "7")
    with serving(*words) as (_, (address,)), RawConnection(address) as client:
        assert client.call(0, word(0)).failure == (1, "from a file")
        assert client.call(3, text("main") + word(0) + text("")).failure == (5, "database is locked")
        client.open("main")


def test_serve_a_cluster() -> None:
    with serving("--nodes", "3", "--generation", "1.11.1") as (_, addresses):
        for address in addresses:
            with RawConnection(address) as client:
                assert client.leader() == (1, addresses[0])


def test_hazards_are_told() -> None:
    with serving() as (process, (address,)), RawConnection(address) as client:
        assert client.call(18, word(1)).failure == (15, "bad format version")
        client.close()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert errors == "dqlite-wire: DESCRIBE with a format other than 0: format 1\n"


@pytest.mark.parametrize("times", [1, 50])
def test_any_number_of_signals_stops_it(times: int) -> None:
    with serving("--nodes", "2") as (process, _):
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_hang_up_ends_it_well_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serving("--unix", str(tmp_path / "socket"), "--nodes", "2") as (process, _):
        assert len(list(tmp_path.iterdir())) == 3
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0
    assert list(tmp_path.iterdir()) == []


def test_who_ignores_hang_ups_for_it_means_it(tmp_path: Path) -> None:
    ignoring = COMMAND[2].replace("SIG_DFL", "SIG_IGN")
    with subprocess.Popen(
        [sys.executable, "-c", ignoring, "serve", "--unix", str(tmp_path / "socket")],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "socket"))
            client.sendall(word(1) + frame(0, word(0)))
            assert client.recv(100)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_server_that_fails_is_not_waited_for(tmp_path: Path) -> None:
    failing = (
        "from dqlitewire.testing.serving.acceptor import Acceptor; import logging; logging.disable(); "
        "Acceptor.accept = lambda *_: 1 / 0; " + COMMAND[2]
    )
    with subprocess.Popen(
        [sys.executable, "-c", failing, "serve", "--unix", str(tmp_path / "socket")], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "socket"))
            assert process.wait(60) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["/nowhere/app.db"], "/nowhere/app.db: No such file or directory", 3),
        ([__file__], f"{__file__}: not an SQLite database", 3),
        (["--read-only"], "--read-only without a FILE", 2),
        (
            ["--host", "0.0.0.0"],
            "0.0.0.0:9001 can be reached from other machines: --allow-remote allows it",
            4,
        ),
        (["--unix", "/nowhere/socket"], "cannot listen on /nowhere/socket: No such file or directory", 3),
        (["--faults", "/nowhere/f.toml"], "--faults: /nowhere/f.toml: No such file or directory", 3),
        (
            ["--fault", "hold", "--fault", "fail"],
            "--fault: fault 2 'fail': fail without code, must say code=...",
            2,
        ),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(words: list[str], message: str, code: int) -> None:
    finished = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=300, check=False)
    assert (finished.returncode, finished.stderr) == (code, f"dqlite-wire: {message}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", ""], "host '', must be a name or an address"),
        (["--host", "é" * 99], f"host '{'é' * 36}..., must be a name or an address"),
        (["--unix", ""], "unix '', must be a path"),
        (["--unix", "x" * 200], "unix of 200 bytes, must be at most 107"),
        (["--port", "65535", "--nodes", "2"], "port 65535, must be 0 to 65534"),
    ],
)
def test_wrong_use_is_told_before_anything_is_opened(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = CliRunner().invoke(app, ["serve", *words])
    assert finished.exit_code == 2
    assert (finished.stderr or capsys.readouterr().err) == f"dqlite-wire: {message}\n"


def test_without_apsw() -> None:
    hidden = "import sys; sys.modules['apsw'] = None; " + COMMAND[2]
    finished = subprocess.run(
        [sys.executable, "-c", hidden, "serve"], capture_output=True, text=True, timeout=300, check=False
    )
    advice = "it comes with the extra 'testing' of dqlite-wire (from a checkout: pip install '.[testing]')"
    assert finished.stderr == f"dqlite-wire: apsw is missing: {advice}\n"
    assert finished.returncode == 2


def test_the_server_without_apsw() -> None:
    hidden = "import sys; sys.modules['apsw'] = None; from dqlitewire.testing import DqliteServer"
    finished = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, timeout=300, check=False
    )
    advice = "it comes with the extra 'testing' of dqlite-wire (from a checkout: pip install '.[testing]')"
    assert finished.stderr.splitlines()[-1] == f"ModuleNotFoundError: apsw is missing: {advice}"


def test_demo() -> None:
    command = [sys.executable, "examples/demo.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    shown = done.stdout.splitlines()
    assert max(map(len, shown)) <= 80
    assert shown[0].startswith("embedded dqlite 1.18.1 on 127.0.0.1:")
    assert " 1 < LEADER     no leader known" in shown
    assert shown[-1] == "15 requests, 0 that a real node would not have survived"
    assert any("FAILURE    10250" in line for line in shown)
