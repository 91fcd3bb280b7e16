"""Whatever is called with whatever, before start and after stop: a clear error of a documented kind."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from dqlitewire.faults import Corrupt, Delay, Drop, Fail, Hold, Split
from dqlitewire.messages import LeaderRequest
from dqlitewire.testing import DqliteCluster, DqliteServer, Fault, Node
from dqlitewire.testing.script import ScriptedServer, close, expect, send, send_bytes, wait
from tests.testing.pytest_session import run_pytest

NAN, INFINITE, LONG = math.nan, math.inf, "x" * 200
WRONG = [
    None, True, 7, -1, 0, 1.5, NAN, INFINITE, 2**70, 10**400, 10**5000, "", "nonsense", "a\0b", "\ud800",
    LONG, b"", b"bytes", [], [7], (), {}, {"a": 7}, set(), object(), object, int, len, Path("nowhere"), 1j,
]  # fmt: skip


def clear(error: BaseException) -> bool:
    """Whether it says what, got, allowed: of ours, in lower case and in one short line."""
    said = str(error)
    return bool(said) and "\n" not in said and len(said) < 150 and said[0].islower()


def refused(call: Callable[..., object], *kinds: type[BaseException]) -> BaseException:
    """What a call raises; it must."""
    with pytest.raises(kinds or (TypeError, ValueError)) as raised:
        call()
    assert clear(raised.value), raised.value
    return raised.value


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"host": ""}, ValueError, "host '', must be a name or an address"),
        ({"host": "a\0b"}, ValueError, r"host 'a\\x00b', must be without NUL"),
        ({"host": "é" * 100}, ValueError, "host "),
        ({"host": None}, TypeError, "host None, must be a str"),
        ({"host": b"127.0.0.1"}, TypeError, "host b"),
        ({"port": -1}, ValueError, "port -1, must be 0 to 65535"),
        ({"port": 80_000}, ValueError, "port 80000, must be 0 to 65535"),
        ({"port": True}, TypeError, "port True, must be an int"),
        ({"port": "80"}, TypeError, "port '80', must be an int"),
        ({"port": 80.0}, TypeError, "port 80.0, must be an int"),
        ({"port": None}, TypeError, "port None, must be an int"),
        ({"unix": ""}, ValueError, "unix '', must be a path"),
        ({"unix": "@"}, ValueError, "unix '@', must have a name behind it"),
        ({"unix": "a\0b"}, ValueError, "must be without NUL"),
        ({"unix": "x" * 108}, ValueError, "unix of 108 bytes, must be at most 107"),
        ({"unix": "é" * 54}, ValueError, "unix of 108 bytes, must be at most 107"),
        ({"unix": "@" + "x" * 108}, ValueError, "unix of 109 bytes, must be at most 108"),
        ({"unix": b"path"}, TypeError, "unix b'path', must be a str or a path"),
        ({"unix": 7}, TypeError, "unix 7, must be a str or a path"),
        ({"folder": ""}, ValueError, "folder '', must be a path"),
        ({"folder": "a\0b"}, ValueError, "must be without NUL"),
        ({"folder": "a\udcff"}, ValueError, "must be a path in UTF-8"),
        ({"folder": 7}, TypeError, "folder 7, must be a str or a path"),
        ({"files": 7}, TypeError, "files 7, must be a dict"),
        ({"files": ["a"]}, TypeError, "must be a dict"),
        ({"files": {7: "x"}}, TypeError, "name of a file 7, must be a str"),
        ({"files": {"a": 7}}, TypeError, "file of 'a' 7, must be a str or a path"),
        ({"files": {"a": ""}}, ValueError, "file of 'a' '', must be a path"),
        ({"readonly": "no"}, TypeError, "readonly 'no', must be a bool"),
        ({"clean_failures": 1}, TypeError, "clean_failures 1, must be a bool"),
        ({"generation": "1.0"}, ValueError, "generation '1.0', must be one of"),
        ({"generation": None}, TypeError, "generation None, must be a str"),
        ({"generation": []}, TypeError, r"generation \[\], must be a str"),
    ],
)
def test_a_server_says_what_it_cannot_be(arguments: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        DqliteServer(**arguments)
    with pytest.raises(kind, match=words):
        DqliteCluster(1, **arguments)


@pytest.mark.parametrize(
    ("nodes", "arguments", "words"),
    [
        (0, {}, "nodes 0, must be 1 to 10000"),
        (-5, {}, "nodes -5"),
        (3, {"port": 65534}, "port 65534, must be 0 to 65533"),
        (3, {"unix": "x" * 106}, "unix of 108 bytes"),
    ],
)
def test_a_cluster_says_what_it_cannot_be(nodes: int, arguments: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DqliteCluster(nodes, **arguments)


@pytest.mark.parametrize("nodes", [True, 1.0, "3", None])
def test_a_number_of_nodes_is_an_int(nodes: Any) -> None:
    with pytest.raises(TypeError, match="must be an int"):
        DqliteCluster(nodes)


def test_the_longest_unix_sockets_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("x" * 107, "é" * 53 + "x", "@" + "x" * 107):
        with DqliteServer(unix=path) as server:
            assert server.address == path
    with DqliteCluster(12, unix="x" * 104) as cluster:
        assert cluster.addresses[-1].endswith(".12")
    assert list(tmp_path.iterdir()) == []


def attempt(call: Callable[[], object], *others: type[Exception]) -> bool:
    """Whether an error refuses it, which then is a clear one; some say `others`."""
    try:
        call()
    except others:
        return False
    except (TypeError, ValueError) as error:
        if not clear(error):
            raise
        return True
    return False


@pytest.mark.parametrize("kind", [DqliteServer, DqliteCluster, ScriptedServer])
def test_any_argument_of_any_kind_is_taken_or_refused(kind: type) -> None:
    """Constructors open nothing, so all of these may be tried."""
    names = [name for name in inspect.signature(kind).parameters if name != "steps"]
    refusals = 0
    for name in names:
        for value in WRONG:
            refusals += attempt(lambda name=name, value=value: kind(**{name: value}))
    if not names:
        refusals += sum(attempt(lambda value=value: kind(value)) for value in WRONG)
    assert refusals > 20


# ---------------------------------------------------------------- methods


def orders(server: DqliteCluster) -> Iterator[tuple[Callable[..., object], dict[str, Any]]]:
    """Every method that takes arguments, and a call of it that is right."""
    yield server.fail_next, {"code": 5}
    yield server.drop_after, {}
    yield server.delay, {"seconds": 0.1}
    yield server.split_writes, {"size": 3}
    yield server.corrupt, {}
    yield server.hold, {}
    yield server.order, {"fault": Fail(5, "x")}
    yield server.run_sql, {"database": "main", "sql": "SELECT 1"}
    yield server.elect, {}
    for make in (Fail, Drop, Delay, Split, Corrupt, Hold):
        right: dict[str, Any] = {"code": 5, "message": "x", "seconds": 1, "size": 1, "change": bytes}
        yield make, {name: right[name] for name in inspect.signature(make).parameters if name in right}
    for make, argument in ((expect, LeaderRequest), (send_bytes, b""), (wait, 1)):
        yield make, {next(iter(inspect.signature(make).parameters)): argument}
    yield close, {}


def test_every_argument_of_every_method_is_taken_or_refused_at_the_call() -> None:
    refusals = 0
    with DqliteCluster(2) as server:
        for call, right in orders(server):
            call(**right)
            for name in inspect.signature(call).parameters:
                others = (apsw.Error, UnicodeError) if call == server.run_sql else ()  # of SQL that is none
                for value in WRONG:
                    refusals += attempt(lambda call=call, given=right | {name: value}: call(**given), *others)
        server.clear_faults()
        assert server.errors == []
    assert refusals > 500


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda server: server.elect(7), TypeError, "node 7, must be a Node"),
        (lambda server: server.elect("1"), TypeError, "node '1', must be a Node"),
        (lambda server: server.elect(DqliteServer()), TypeError, "must be a Node"),
        (lambda server: server.order(7), TypeError, "fault 7, must be a Fault"),
        (lambda server: server.delay(NAN), ValueError, "seconds nan, must be 0 to 86400"),
        (lambda server: server.delay(-1), ValueError, "seconds -1, must be 0 to 86400"),
        (lambda server: server.fail_next(5, on="NOTHING"), ValueError, "on 'NOTHING', must be a RequestType"),
        (lambda server: server.fail_next(5, on=[]), ValueError, "on is empty"),
        (lambda server: server.fail_next(5, on=1.5), TypeError, "on 1.5"),
        (lambda server: server.fail_next(5, times=0), ValueError, "times 0, must be at least 1"),
        (lambda server: server.fail_next(True), TypeError, "code True, must be an int"),
        (lambda server: server.run_sql(7, "SELECT 1"), TypeError, "database 7, must be a str"),
        (lambda server: server.run_sql("main", 7), TypeError, "sql 7, must be a str"),
        (lambda server: server.run_sql("main", "SELECT ?", 7), TypeError, "params 7, must be a sequence"),
        (lambda server: server.run_sql("main", "SELECT ?", "x"), TypeError, "params 'x', must be a sequence"),
        (lambda server: server.drop_after(executed="no"), TypeError, "executed 'no', must be a bool"),
    ],
)
def test_what_a_method_says(call: Any, kind: type[Exception], words: str) -> None:
    with DqliteServer() as server, pytest.raises(kind, match=words):
        call(server)


def nodes_of_others() -> Iterator[Node]:
    with DqliteCluster(2) as other:
        yield from other.nodes
    yield from other.nodes


def test_a_node_of_another_cluster_or_another_start() -> None:
    cluster = DqliteCluster(2)
    with cluster:
        old = cluster.nodes
    with cluster:
        for node in (*old, *nodes_of_others()):
            for call in (lambda node=node: cluster.elect(node),):
                assert "must be of this cluster as it runs" in str(refused(call, ValueError))
        for node in old:
            assert not node.is_running
            refused(node.stop, ValueError)
            refused(node.start, ValueError)
        assert all(node.is_running for node in cluster.nodes)
        cluster.nodes[1].stop()
        assert "no running voter" in str(refused(lambda: cluster.elect(cluster.nodes[1]), ValueError))
        assert cluster.leader is cluster.nodes[0]
    assert not any(node.is_running for node in cluster.nodes)


NEEDS_NOTHING = {"generation", "nodes", "addresses", "order"}


@pytest.mark.parametrize("kind", [DqliteServer, DqliteCluster])
@pytest.mark.parametrize("state", ["not started", "stopped"])
def test_before_start_and_after_stop(kind: type[DqliteCluster], state: str) -> None:
    """Every public name: what needs a running server says so, the rest answers."""
    server = kind()
    node: Node | None = None
    if state == "stopped":
        with server:
            node = server.nodes[0]
    calls: dict[str, Callable[[], object]] = {
        "fail_next": lambda: server.fail_next(5),
        "drop_after": server.drop_after,
        "delay": lambda: server.delay(1),
        "split_writes": lambda: server.split_writes(1),
        "corrupt": server.corrupt,
        "hold": server.hold,
        "clear_faults": server.clear_faults,
        "order": lambda: server.order(Fault()),
        "run_sql": lambda: server.run_sql("main", "SELECT 1"),
        "lose_leadership": server.lose_leadership,
        "elect": server.elect,
    }
    for name, call in calls.items():
        error = refused(call, RuntimeError)
        assert state in str(error), name
    server.stop()
    server.stop()
    assert state in repr(server)
    if node is not None:
        refused(node.stop, RuntimeError)
        refused(node.start, RuntimeError)
        assert (node.id, node.role.name) == (1, "VOTER")
        assert repr(node)
    if state == "stopped":
        server.join()
    else:
        refused(server.join, RuntimeError)
    tried = set(calls) | {"start", "stop", "join"}
    for name in sorted(set(dir(server)) - tried):
        if name.startswith("_"):
            continue
        if state == "stopped" or name in NEEDS_NOTHING:
            getattr(server, name)
        else:
            refused(lambda name=name: getattr(server, name), RuntimeError)


def test_a_unix_socket_has_no_port(tmp_path: Path) -> None:
    with DqliteServer(unix=tmp_path / "socket") as server:
        assert server.address == str(tmp_path / "socket")
        with pytest.raises(RuntimeError, match="a unix socket has no port"):
            _ = server.port


def test_a_script_is_played_once() -> None:
    server = ScriptedServer()
    with server, pytest.raises(RuntimeError, match="started already"):
        server.start()
    with pytest.raises(TypeError, match="message 7, must be a Message"):
        send(7)  # type: ignore[arg-type]


# ---------------------------------------------------------------- what is not installed

HIDDEN = "import sys; sys.modules[{!r}] = None; "
NEEDS = {
    "from dqlitewire.testing import DqliteServer": "apsw is missing: it comes with the extra 'testing'",
    "import dqlitewire.testing.server": "apsw is missing: it comes with the extra 'testing'",
    "import dqlitewire.testing.strategies": "hypothesis is not installed: install 'hypothesis'",
}


@pytest.mark.parametrize("statement", NEEDS)
def test_what_is_missing_is_said_in_one_line(statement: str) -> None:
    words = NEEDS[statement]
    script = HIDDEN.format(words.split()[0]) + statement
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False
    )
    last = finished.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ModuleNotFoundError: {words}")


def test_a_pytest_session_without_apsw(tmp_path: Path) -> None:
    """Only the tests that want a server fail, each in one line."""
    (tmp_path / "conftest.py").write_text("import sys; sys.modules['apsw'] = None\n")
    (tmp_path / "test_some.py").write_text(
        "def test_other(): pass\n"
        "def test_server(dqlite_server): pass\n"
        "def test_cluster(dqlite_cluster): pass\n"
    )
    printed = run_pytest(tmp_path)
    assert "1 passed, 2 errors" in printed
    assert printed.count("apsw is missing: it comes with the extra 'testing'") >= 2
    assert "Traceback" not in printed
    assert "apsw = None" not in printed
