"""Start, watch and stop real dqlite nodes on 127.0.0.1, each a child process of its own.

    with Node("1.18.1") as node: ...              node.address is "127.0.0.1:PORT"
    with Cluster("1.11.1", 3) as cluster: ...     three voters; cluster.nodes[0] is the first leader

A kind is one row of SERVERS: a server as some Debian release ships it; `setup-nodes` unpacks them all.
`missing(kind)` says why a kind cannot run, `moved(kind)` that it is another release than the tables were made
from. Data lies on /dev/shm where that is writable, else in the temporary folder; $DQLITE_TEST_TMP overrides.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.real.raw import VOTER, RawConnection, word
from tests.waiting import wait_for


class Server(NamedTuple):
    """Where a kind comes from, and what is true of it alone.

    Attributes:
        suite: the Debian release, and the name of the tree that setup-nodes makes of it.
        package: the library's package; also the prefix of its file.
        release: the version that the tables of these tests were made from.
        played: the embedded server has a generation of this name.
    """

    suite: str
    package: str
    release: str
    played: bool = True

    @property
    def library(self) -> str:
        return self.package.removesuffix("0") + ".so.0"


SERVERS = {
    "1.11.1": Server("bookworm", "libdqlite0", "1.11.1"),
    "1.18.1": Server("trixie", "libdqlite0", "1.18.1"),
    "1.18.7": Server("forky", "libdqlite0", "1.18.7"),
    "cowsql": Server("forky", "libcowsql0", "1.15.9"),
}
KINDS = tuple(SERVERS)
PLAYED = tuple(kind for kind, server in SERVERS.items() if server.played)
HERE = Path(__file__).parent
START_TIMEOUT = 60.0
LEADER_TIMEOUT = 60.0
# raft's timers at a fraction of the default: a new leader in a second instead of 5; with 10 a busy machine,
# on which a node waits for its turn for 0.2 s, has elections that no test has asked for
LATENCY_MS = 30


def tree(suite: str) -> Path:
    """The folder that setup-nodes keeps for one Debian release."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dqlite-wire" / "nodes"
    return Path(os.environ.get("DQLITE_NODES") or cache) / suite


def releases(suite: str) -> dict[str, str]:
    """The version of each package that was asked for, without Debian's revision."""
    lines = (tree(suite) / "releases").read_text().splitlines()
    return {name: version.rpartition("-")[0] or version for name, version in map(str.split, lines)}


def release(kind: str) -> str:
    """The release that runs: the Debian package's version.

    What the library says of itself is wrong (1.11.1 says 1.10.0, cowsql 1.15.9 says 1.15.6).
    """
    server = SERVERS[kind]
    return releases(server.suite)[server.package]


def moved(kind: str) -> str:
    """The release that runs, where it is not the one of the tables; empty otherwise."""
    if missing(kind) or (found := release(kind)) == SERVERS[kind].release:
        return ""
    return found


def missing(kind: str) -> str:
    """Why this kind cannot run here; empty if it can."""
    if kind not in SERVERS:
        return f"no such kind of node: {kind!r}"
    suite, package = SERVERS[kind].suite, SERVERS[kind].package
    if absent(kind):
        return f"{kind}: {absent(kind)}"
    if not all((tree(suite) / name).exists() for name in ("complete", "releases")):
        return f"{kind} is not unpacked: run tests/real/setup-nodes"
    if package not in releases(suite):
        return f"{kind}: Debian {suite} has no package {package}"
    return ""


def absent(kind: str) -> str:
    """Why no mirror has this kind, which is no fault of the machine; empty if that is not known."""
    return absent_package(SERVERS[kind].suite, SERVERS[kind].package)


def absent_package(suite: str, package: str) -> str:
    """The same for any package of a suite."""
    reason = tree(suite) / "absent"
    if reason.exists():
        return reason.read_text().strip()
    if (tree(suite) / "releases").exists() and package not in releases(suite):
        return f"Debian {suite} has no package {package}"
    return ""


def command(kind: str, program: str) -> list[str]:
    """The argument list that runs a program of the release, a glob below /usr/bin, with its own C library."""
    reason = missing(kind)
    if reason:
        raise RuntimeError(reason)
    return suite_command(SERVERS[kind].suite, program)


def suite_command(suite: str, program: str) -> list[str]:
    """The same for a program that comes with no server of its own."""
    root = tree(suite) / "root"
    folders = [*root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*")]
    loader = next(path for folder in folders for path in folder.glob("ld-linux-*.so.*"))
    (program_path,) = root.glob(f"usr/bin/{program}")
    return [str(loader), "--library-path", ":".join(map(str, folders)), str(program_path)]


def python(kind: str) -> list[str]:
    """The argument list that runs the release's own Python."""
    return command(kind, "python3.[0-9]*")


def clean_environment() -> dict[str, str]:
    """The environment without what would bend a Python or a loader of another release."""
    bent = ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in bent}


def _ports() -> Iterator[int]:
    """Ports below those that the system itself gives to servers and connections, each process from one of its
    own on: between choosing one and listening on it, and while a node is down, nobody else comes by it."""
    first, last = 10_000, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if last - first < 1000:  # it gives them all
        yield from itertools.repeat(0)
    start = secrets.randbelow(last - first)
    for number in itertools.count():
        yield first + (start + number) % (last - first)


_PORTS = _ports()


def free_port() -> int:
    """A port that nobody listens on, and nobody else will."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found: int = probe.getsockname()[1]
            return found
    raise AssertionError("there is always another port")


def _temporary_base() -> str | None:
    base = os.environ.get("DQLITE_TEST_TMP")
    return base or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


class Node:
    """One node, with a data folder that goes when the node is stopped.

    Args:
        kind: a key of SERVERS.
        node_id: 1 leads a cluster of its own at once; any other waits to be added.
        options: more arguments of node.py, as "--bind", "127.0.0.1:9999".
    """

    def __init__(
        self, kind: str, node_id: int = 1, *, latency: int | None = LATENCY_MS, options: Sequence[str] = ()
    ) -> None:
        self.kind = kind
        self.id = node_id
        self.address = f"127.0.0.1:{free_port()}"
        self.folder = Path(tempfile.mkdtemp(prefix=f"dqlite-{kind}-{node_id}-", dir=_temporary_base()))
        self.log = self.folder / "stderr.log"
        self.options = [*options, *(["--latency", str(latency)] if latency is not None else [])]
        self.process: subprocess.Popen[bytes] | None = None
        self.directory: Path | None = None  # where it works; None for that of this process

    def start(self) -> Node:
        """Start, or start again on the data of a node that was killed."""
        fresh = not (self.folder / "data").exists()
        for attempts_left in (2, 1, 0):
            line = self._start_once()
            if line.startswith("ready"):
                return self
            self.kill()
            if not fresh or not attempts_left:
                break
            # somebody else took the port between choosing it and listening on it
            shutil.rmtree(self.folder / "data")
            self.address = f"127.0.0.1:{free_port()}"
        raise RuntimeError(f"{self.kind} did not start: {line!r} {self.log_tail()}")

    def _start_once(self) -> str:
        self.kill()  # and close what leads to it, should it have died by itself
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        library = ["--library", SERVERS[self.kind].library]
        arguments = [str(HERE / "node.py"), str(self.id), self.address, str(data), *library, *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*python(self.kind), "-I", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=clean_environment(),
                cwd=self.directory,
            )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], START_TIMEOUT)
        return self.process.stdout.readline().decode() if ready else ""

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log_tail(self, size: int = 2000) -> str:
        try:
            return self.log.read_bytes()[-size:].decode(errors="replace")
        except OSError:
            return ""

    def kill(self) -> None:
        """End at once, as a crash does; the data stay."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self._close_pipes()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[subprocess.Popen[bytes]]:
        """Have all threads stand still while the block runs, or until its process is sent a SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            # until its main thread has a processor to take the signal with, the others go on, and answer
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            assert self.alive(), self.log_tail()
            yield self.process
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self, timeout: float = 10.0) -> int | None:
        """End cleanly and drop the data; the exit status (0, or -6 after an abort)."""
        status = None
        if self.process is not None:
            if self.alive():
                assert self.process.stdin is not None
                self.process.stdin.close()
                try:
                    self.process.wait(timeout)
                except subprocess.TimeoutExpired:
                    self.kill()
            self._close_pipes()
            status = self.process.returncode
        shutil.rmtree(self.folder, ignore_errors=True)
        return status

    def _close_pipes(self) -> None:
        assert self.process is not None
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def __enter__(self) -> Node:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class Cluster:
    """`count` voters, joined over the wire; nodes[0] is the first leader."""

    def __init__(self, kind: str, count: int = 3, *, latency: int | None = LATENCY_MS) -> None:
        self.kind = kind
        self.nodes = [Node(kind, number, latency=latency) for number in range(1, count + 1)]

    @property
    def addresses(self) -> list[str]:
        return [node.address for node in self.nodes]

    def node(self, address: str) -> Node:
        return next(node for node in self.nodes if node.address == address)

    def __enter__(self) -> Cluster:
        try:
            for node in self.nodes:
                node.start()
            with RawConnection(self.nodes[0].address) as connection:
                for node in self.nodes[1:]:
                    connection.add(node.id, node.address)
                    connection.assign(node.id, VOTER)
            self.leader()
            wait_for(self._agree_on_members, "membership that all nodes agree on", LEADER_TIMEOUT)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in reversed(self.nodes):
            node.stop()

    def _agree_on_members(self) -> bool:
        # the leader has answered the last change, so all have it when all say the same
        told = set()
        for address in self.addresses:
            with RawConnection(address) as connection:
                told.add(connection.ok(16, word(1)).body)
        return len(told) == 1

    def leader(self, other_than: Node | None = None) -> Node:
        """Wait until all live nodes name the same live leader; `other_than` waits for a change."""
        found: list[Node] = []

        def agreed() -> bool:
            live = {node.address: node for node in self.nodes if node.alive()}
            named = set()
            for address in live:
                with RawConnection(address) as connection:
                    named.add(connection.leader()[1])
            found[:] = [live[address] for address in named if address in live]
            return len(named) == 1 and bool(found) and found[0] is not other_than

        wait_for(agreed, "a leader that all nodes agree on", LEADER_TIMEOUT)
        return found[0]
