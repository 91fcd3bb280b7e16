"""How a server's life ends: nothing is left, nothing of others is taken, whatever process, signal or lack."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.dial import listening
from dqlitewire.testing import DqliteCluster, DqliteServer, folder
from dqlitewire.testing.script import ScriptedServer, close
from dqlitewire.testing.serving.acceptor import Acceptor
from dqlitewire.testing.serving.call_queue import CallQueue
from tests.real.raw import RawConnection, frame, text, word

ROOT = Path(__file__).parent.parent.parent
ENDLESS_STEP = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r"


def run(script: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *words],
        env=environment | options.pop("env", {}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )


# ---------------------------------------------------------------- forks

FORKS = """
import gc, json, multiprocessing, os, signal, socket, sys
from dqlitewire.testing import DqliteServer, DqliteCluster
from dqlitewire.testing.script import ScriptedServer, expect, send
from dqlitewire.messages import LeaderRequest, WelcomeResponse
from tests.real.raw import RawConnection, frame, word, text

def ends(path):
    def leave_the_block(server): server.__exit__(None, None, None); os._exit(0)
    def system_exit(server): raise SystemExit(0)
    def normal_end(server): pass  # the interpreter shuts down
    def collected(server):
        global current
        current = None
        del server
        gc.collect()
        os._exit(0)
    def methods(server):
        refused = 0
        for call in (server.lose_leadership, server.elect, server.nodes[0].stop, server.nodes[0].start,
                     lambda: server.run_sql("main", "DELETE FROM t"), lambda: server.fail_next(1)):
            try: call()
            except RuntimeError as error: refused += "process" in str(error)
        server.requests, server.hazards, server.errors, repr(server), server.address, server.leader
        server.stop()
        os._exit(0 if refused == 6 else 1)
    def a_server_of_its_own(server):
        with DqliteServer() as own, RawConnection(own.address) as client:
            client.leader()
        os._exit(0)
    def descriptors(server):
        open_ = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
                 if os.path.islink(f"/proc/self/fd/{name}")]
        mine = [one for one in open_ if "socket" in one or "epoll" in one or one.endswith(os.path.basename(
            server._engine.store.folder))]
        os._exit(len(mine) > 2)  # those of the clients
    return [leave_the_block, system_exit, normal_end, collected, methods, a_server_of_its_own, descriptors]

path = sys.argv[1]
for end in ends(path):
    current = DqliteServer()
    with current as server, DqliteCluster(2, unix=path) as cluster:
        folder = server._engine.store.folder
        client, other = RawConnection(server.address), RawConnection(server.address)
        for one in (client, other): one.open("main")
        client.exec_sql("CREATE TABLE t (a)")
        client.exec_sql("BEGIN; INSERT INTO t SELECT zeroblob(100000)")
        child = os.fork()
        if not child:
            del other
            end(server)
            sys.exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == 0, (end.__name__, status)
        client.exec_sql("INSERT INTO t VALUES (2); COMMIT")
        assert other.query_sql("SELECT count(*) FROM t")[0].body[-16:-8] == word(2), end
        assert other.query_sql("PRAGMA integrity_check")[0].body[-16:-8] == text("ok"), end
        assert os.path.isdir(folder) and os.path.exists(path) and os.path.exists(path + ".2"), end
        with RawConnection(server.address) as new: new.leader()
        unix = socket.socket(socket.AF_UNIX); unix.connect(path); unix.sendall(word(1) + frame(0, word(0)))
        assert unix.recv(4096); unix.close()
        assert server.errors == [] == cluster.errors
    assert not os.path.exists(folder) and not os.path.exists(path), end
    client.close(); other.close()

# the serving thread itself forks, in the callback of a fault, and goes on in the child
def goes_on(): pass
def ends(): raise SystemExit(0)
def fails(): raise ValueError
for end in (goes_on, ends, fails):
    children = []
    def fork(data):
        children.append(os.fork())
        if not children[0]: end()
        return data
    with DqliteServer() as server, RawConnection(server.address) as client:
        server.run_sql("main", "CREATE TABLE t (a)")
        client.open("main")
        with server.corrupt(fork): client.exec_sql("INSERT INTO t VALUES (1)")
        os.waitpid(children[0], 0)
        client.exec_sql("INSERT INTO t VALUES (2)")
        assert os.path.isdir(server._engine.store.folder) and not server.errors, end

# a child that lives on keeps neither ports nor connections of its parent
with DqliteServer() as server:
    client = RawConnection(server.address)
    client.leader()
    process = multiprocessing.get_context("fork").Process(target=signal.pause)
    process.start()
    port = server.port
client.socket.settimeout(60)
assert client.closed_by_peer()
with DqliteServer(port=port): pass
process.kill(); process.join()
print("well")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_takes_nothing_along(tmp_path: Path) -> None:
    finished = run(FORKS, str(tmp_path / "socket"))
    told = finished.stderr.replace("ValueError\n", "")
    assert finished.stdout == "well\n", finished.stderr
    assert told.count("Traceback") <= 1, told  # of the callback that fails


# ---------------------------------------------------------------- signals, and the end of the interpreter

START = """
import os, signal, sys
from dqlitewire.testing import DqliteServer
server = DqliteServer(unix=sys.argv[1])
server.start()
server.run_sql("main", "CREATE TABLE t (a)")
print(server._engine.store.folder, flush=True)
exec(sys.argv[2])
"""


def test_an_interpreter_that_just_ends(tmp_path: Path) -> None:
    for end in ("", "1/0"):
        path = str(tmp_path / "socket")
        finished = run(START, path, end, env={"TMPDIR": str(tmp_path)})
        assert finished.stdout.startswith(str(tmp_path))
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGKILL"])
def test_a_process_that_is_killed_leaves_nothing_for_long(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No handler is installed; the next server removes what is left, and takes over the socket."""
    path = str(tmp_path / "socket")
    # whoever runs the tests may ignore hang-ups (nohup), which a process hands on to its children
    heard = "" if name == "SIGKILL" else f"signal.signal(signal.{name}, signal.SIG_DFL); "
    end = f"{heard}os.kill(os.getpid(), signal.{name})"
    finished = run(START, path, end, env={"TMPDIR": str(tmp_path)})
    assert finished.returncode == -getattr(signal, name)
    left = Path(finished.stdout.strip())
    assert left.is_dir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "dqlite-1.11.1-1-node").mkdir()  # somebody else's
    (tmp_path / "dqlite-testing-file").write_text("no folder")
    (tmp_path / "dqlite-testing-link").symlink_to(tmp_path / "dqlite-1.11.1-1-node")
    with DqliteServer() as living:
        mine = Path(living._engine.store.folder)
        with DqliteServer(unix=path) as server:
            assert server.address == path
            assert sorted(os.listdir(tmp_path)) == sorted(
                [
                    "dqlite-1.11.1-1-node",
                    "dqlite-testing-file",
                    "dqlite-testing-link",
                    "socket",
                    mine.name,
                    Path(server._engine.store.folder).name,
                ]
            )
    assert not left.exists()
    assert not mine.exists()


def test_a_folder_is_not_taken_between_being_made_and_being_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    stolen: list[str] = []
    make = tempfile.mkdtemp

    def robbed(**options: Any) -> str:
        path = make(**options)
        if len(stolen) < 3:
            stolen.append(path)
            folder._remove_abandoned(os.path.dirname(path))
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", robbed)
    made = folder.TemporaryFolder()
    assert len(stolen) == 3
    folder._remove_abandoned(os.path.dirname(made.path))
    assert os.path.isdir(made.path)
    made.remove()
    assert not os.path.exists(made.path)


# ---------------------------------------------------------------- stop

PARTS: dict[str, Callable[[DqliteServer], object]] = {
    "a session": lambda server: next(iter(server._engine.sessions)),
    "the store": lambda server: server._engine.store,
    "a listener": lambda server: server._thread._acceptor.listeners[0],
    "the selector": lambda server: server._thread._selector,
    "the wake-up": lambda server: server._thread._wake_in,
}


def open_now() -> tuple[int, int]:
    """How many descriptors and threads there are."""
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def assert_no_more_than(before: tuple[int, int]) -> None:
    """Hold that nothing was left behind; what others have left may go meanwhile."""
    assert all(now <= then for now, then in zip(open_now(), before, strict=True)), (open_now(), before)


@pytest.mark.parametrize("part", PARTS)
def test_stop_releases_everything_whatever_fails(
    tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DqliteServer():
        pass
    before = open_now()
    server = DqliteServer(unix=str(tmp_path / "socket"))
    server.start()
    client = socket.socket(socket.AF_UNIX)
    client.connect(server.address)
    client.sendall(word(1) + frame(3, text("main") + word(0) + text("")))
    assert client.recv(100)
    folder = server._engine.store.folder
    broken = PARTS[part](server)
    kind = type(broken)
    honest = kind.close

    def fails(self: Any) -> None:
        honest(self)
        if self is broken:
            raise OSError("on purpose")

    monkeypatch.setattr(kind, "close", fails)
    with pytest.raises(OSError, match="on purpose"):
        server.stop()
    server.stop()
    monkeypatch.undo()
    client.close()
    assert not os.path.exists(folder)
    assert os.listdir(tmp_path) == []
    assert_no_more_than(before)


def test_a_loop_that_fails_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    defect = ZeroDivisionError("on purpose")
    with DqliteServer() as server:
        client = RawConnection(server.address)
        client.leader()  # it is accepted, and nobody else is being accepted

        def fails(*_: object) -> None:
            raise defect

        monkeypatch.setattr(Acceptor, "accept", fails)
        with suppress(ConnectionError):
            RawConnection(server.address).close()
        assert client.closed_by_peer()
        server._thread.join(60)
        assert server.errors == [defect]
        with pytest.raises(RuntimeError, match="stopped"):
            server.run_sql("main", "SELECT 1")
        client.close()


def test_stop_from_within_and_from_many_threads() -> None:
    with DqliteServer() as server, RawConnection(server.address) as client:
        with server.corrupt(lambda data: server.stop() or data):
            client.send(frame(0, word(0)))
            server._thread.join(60)
        threads = [threading.Thread(target=server.stop) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)


def repeat(call: Callable[[], object], server: DqliteServer, seen: list[object]) -> None:
    """Call until the server stops; what it raises is seen."""
    try:
        while not server._thread.service.stopping:
            call()
    except BaseException as error:
        seen.append(error)


def test_calls_that_race_stop_are_answered_or_refused() -> None:
    for number in range(8):
        seen: list[object] = []
        with DqliteServer() as server:
            server.run_sql("main", "CREATE TABLE t (a)")
            calls = [
                lambda: server.run_sql("main", "SELECT 1"),
                lambda: server.run_sql("main", ENDLESS_STEP),
                lambda: server.lose_leadership(),
                lambda: server.elect(),
                lambda: server.nodes[0].stop(),
                lambda: server.nodes[0].start(),
                lambda: server.requests,
            ]

            threads = [threading.Thread(target=repeat, args=(call, server, seen)) for call in calls]
            for thread in threads:
                thread.start()
            time.sleep(0.002 * number)
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert {type(error) for error in seen} <= {RuntimeError}, seen
        assert {str(error) for error in seen} <= {"the server has stopped", "no running voter"}


def test_no_call_waits_for_one_that_a_signal_interrupted() -> None:
    """A handler that stops the server comes in the middle of handing a call over."""
    for early in (False, True):
        calls = CallQueue()

        class Interrupted(deque[Any]):
            def append(self, item: Any, /, calls: CallQueue = calls, early: bool = early) -> None:
                if early:
                    calls.close()
                super().append(item)
                if not early:
                    calls.close()

        calls._waiting = Interrupted()
        with pytest.raises(RuntimeError, match="the server has stopped"):
            calls.add(lambda: 1).result(timeout=0)


def test_who_waits_for_the_end_is_told() -> None:
    for end in (DqliteServer.stop, lambda server: server._thread.call(lambda: 1 / server)):
        with DqliteServer() as server:
            waiting = threading.Thread(target=server.join)
            waiting.start()
            with suppress(TypeError):
                end(server)
            server.stop()
            waiting.join(60)
            assert not waiting.is_alive()


# ---------------------------------------------------------------- unix sockets


def test_a_socket_file_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with DqliteServer(unix=path) as server:
        folder = server._engine.store.folder
        path.unlink()
    assert not os.path.exists(folder)


def test_a_folder_of_a_socket_that_is_gone_or_no_folder_any_more(tmp_path: Path) -> None:
    for make in (lambda path: None, Path.touch):
        home = tmp_path / "home"
        home.mkdir()
        with DqliteServer(unix=home / "socket") as server:
            shutil.rmtree(home)
            make(home)
        assert not os.path.exists(server._engine.store.folder)
        home.unlink(missing_ok=True)


def test_a_socket_file_of_somebody_else_by_now(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for make in (path.touch, path.mkdir, lambda: path.symlink_to(tmp_path)):
        with DqliteServer(unix=path):
            path.unlink()
            make()
        assert os.path.lexists(path)
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    with DqliteServer(unix=path) as first:
        path.unlink()
        with DqliteServer(unix=path) as second:
            first.stop()
            assert path.exists()
            connected = socket.socket(socket.AF_UNIX)
            connected.connect(second.address)
            connected.close()
        assert not path.exists()


def test_a_relative_path_when_the_process_has_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    with DqliteServer(unix="socket", folder="data") as server:
        monkeypatch.chdir(there)
        (there / "socket").touch()
        server.run_sql("main", "CREATE TABLE t (a)")
        assert os.listdir(there) == ["socket"]
    assert os.listdir(here) == ["data"]


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link", "living", "busy", "datagrams"])
def test_what_is_no_dead_socket_is_never_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "socket"
    living = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "datagrams" else socket.SOCK_STREAM)
    waiting: list[socket.socket] = []
    match kind:
        case "file":
            path.touch()
        case "folder":
            path.mkdir()
        case "link":
            living.bind(str(tmp_path / "dead"))
            living.close()
            path.symlink_to(tmp_path / "dead")
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case _:
            living.bind(str(path))
            if kind != "datagrams":
                living.listen(0)
            for _ in range(5 if kind == "busy" else 0):  # nobody accepts: its queue is full
                one = socket.socket(socket.AF_UNIX)
                one.setblocking(False)
                one.connect_ex(str(path))
                waiting.append(one)
    before = os.lstat(path)
    with pytest.raises(OSError, match="in use") as raised:
        DqliteServer(unix=path).start()
    assert raised.value.errno == errno.EADDRINUSE
    after = os.lstat(path)
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    for one in (living, *waiting):
        one.close()


def try_to_start(path: str, outcomes: list[object]) -> None:
    server = DqliteServer(unix=path)
    try:
        server.start()
    except OSError as error:
        outcomes.append(error)
    else:
        outcomes.append(server)


def test_a_dead_socket_is_replaced_by_one_of_many(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    for _ in range(4):
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(path)
        dead.close()
        outcomes: list[object] = []
        threads = [threading.Thread(target=try_to_start, args=(path, outcomes)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        (server,) = [one for one in outcomes if isinstance(one, DqliteServer)]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(word(1) + frame(0, word(0)))
            assert client.recv(100)
        server.stop()
        assert os.listdir(tmp_path) == []


def test_a_lock_of_somebody_else_does_not_stop_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dqlitewire.dial.locks import lock, unlock

    monkeypatch.setattr(listening, "_LOCK_TRIES", 2)
    held = lock(str(tmp_path))
    with DqliteServer(unix=tmp_path / "socket") as server:
        assert server.address
    unlock(held)
    assert os.listdir(tmp_path) == []


def test_nodes_on_unix_sockets_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with DqliteCluster(3, unix=path) as cluster:
        assert sorted(os.listdir(tmp_path)) == ["socket", "socket.2", "socket.3"]
        cluster.nodes[1].stop()
        assert sorted(os.listdir(tmp_path)) == ["socket", "socket.3"]
        cluster.nodes[1].start()
        assert sorted(os.listdir(tmp_path)) == ["socket", "socket.2", "socket.3"]
        (tmp_path / "socket.2").unlink()
        cluster.nodes[1].stop()
        (tmp_path / "socket.2").mkdir()
        with pytest.raises(OSError, match="in use"):
            cluster.nodes[1].start()
        assert not cluster.nodes[1].is_running
    assert os.listdir(tmp_path) == ["socket.2"]


# ---------------------------------------------------------------- no descriptors left

EXHAUSTED = """
import json, os, resource, socket, sys, time
from dqlitewire.testing import DqliteCluster
from dqlitewire.testing.serving.server_thread import ServerThread
from dqlitewire.testing.script import ScriptedServer, close
from tests.real.raw import RawConnection, frame, word

turns = 0
honest = ServerThread._turn
def counted(self, timeout):
    global turns
    turns += 1
    honest(self, timeout)
ServerThread._turn = counted

with DqliteCluster(2) as cluster:
    first = RawConnection(cluster.addresses[0])
    first.open("main")
    clients = [socket.socket() for _ in range(20)]
    hoard = []
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 5, limit[1]))
    try:
        while True: hoard.append(os.open("/dev/null", os.O_RDONLY))
    except OSError: pass
    for number, client in enumerate(clients):
        host, port = cluster.addresses[number % 2].split(":")
        client.connect((host, int(port)))
    time.sleep(0.02)
    begin, since = turns, time.monotonic()
    while turns == begin or time.monotonic() - since < 0.3:
        time.sleep(0.05)
    spent = (turns - begin) * 0.3 / (time.monotonic() - since)
    failures = 0
    for call in (lambda: DqliteCluster(1).start(), lambda: ScriptedServer([close()]).start()):
        try: call()
        except OSError: failures += 1
    served = first.leader()[0]  # connections that are open go on
    while hoard: os.close(hoard.pop())
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    for client in clients:
        client.settimeout(60)
        client.sendall(word(1) + frame(0, word(0)))
        assert client.recv(100)
        client.close()
    errors = [str(error) for error in cluster.errors]
print(json.dumps([spent, failures, served, errors]))
"""


def test_without_descriptors_it_waits_and_comes_back(tmp_path: Path) -> None:
    finished = run(EXHAUSTED, env={"TMPDIR": str(tmp_path)})
    assert finished.stderr == ""
    spent, failures, served, errors = json.loads(finished.stdout)
    assert 0 < spent < 60  # a loop that does not wait turns many thousand times
    assert (failures, served, errors) == (2, 1, [])
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------- start that fails


def test_a_start_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with DqliteServer() as taken:
        before, files = open_now(), sorted(os.listdir(tmp_path))
        cases: list[tuple[DqliteCluster, type[Exception]]] = [
            (DqliteServer(port=taken.port), OSError),
            (DqliteServer(host="192.0.2.1"), OSError),
            (DqliteServer(unix="/nowhere/at/all"), OSError),
            (DqliteServer(folder="/dev/null"), OSError),
        ]
        for server, kind in cases:
            with pytest.raises(kind):
                server.start()
            assert "stopped" in repr(server) or "not started" in repr(server)
        monkeypatch.setattr(threading.Thread, "start", _no_thread)
        with pytest.raises(RuntimeError, match="no thread"):
            DqliteServer().start()
        with pytest.raises(RuntimeError, match="no thread"):
            ScriptedServer([close()]).start()
        assert_no_more_than(before)
        assert sorted(os.listdir(tmp_path)) == files


def _no_thread(_: threading.Thread) -> None:
    raise RuntimeError("no thread")
