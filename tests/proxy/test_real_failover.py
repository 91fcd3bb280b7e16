"""Clients that follow the leader stay behind the proxy through a failover: Go shells, published clients.

One of each on one server in the suite, each on each with DQLITE_WIRE_DEEP=1.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from dqlitewire.proxy import BlockingProxy
from dqlitewire.proxy.recording import Recorder
from dqlitewire.traffic.sources.transcript_parts import View
from tests.downstream import published, shells
from tests.profiles import DEEP
from tests.proxy.both_sides import recorded_streams
from tests.real.nodes import KINDS, Cluster, clean_environment, suite_command

pytestmark = [pytest.mark.real, pytest.mark.downstream]

SOME_KINDS = KINDS if DEEP else ("1.18.7",)
SOME = [*shells.SHELLS, *published.GENERATIONS] if DEEP else ["go-dqlite 3.0.4", published.GENERATIONS[-1]]
PATIENCE = 20.0


class Talking:
    """A client that prints a prompt for each line."""

    def __init__(self, process: subprocess.Popen[bytes], prompt: bytes) -> None:
        self.process, self.prompt = process, prompt
        self.until_prompt()

    def until_prompt(self) -> str:
        assert self.process.stdout is not None
        said = b""
        while not said.endswith(self.prompt):
            byte = os.read(self.process.stdout.fileno(), 1)
            assert byte, said
            said += byte
        return said.removesuffix(self.prompt).decode().strip()

    def say(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        return self.until_prompt()

    def say_until_done(self, line: str) -> str:
        """Say a line that may be said twice; a client may report the connection that it has lost."""
        end = time.monotonic() + PATIENCE
        while (said := self.say(line)).startswith("Error"):
            assert time.monotonic() < end, said
        return said


@contextmanager
def talking(name: str, addresses: list[str]) -> Iterator[Talking]:
    """A Go shell, or a generation of the published client, that knows these addresses."""
    known = ",".join(addresses)
    if name in shells.SHELLS:
        shell = shells.SHELLS[name]
        command = [*suite_command(shell.suite, shell.program), "-s", known, "shell.db"]
        environment, prompt = clean_environment(), f"{shell.program}> ".encode()
    else:
        command, environment = published.program(name, "following.py")
        command, prompt = [*command, known, "shell.db"], b"> "
    with subprocess.Popen(
        command,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    ) as process:
        assert process.stdin is not None
        try:
            yield Talking(process, prompt)
            process.stdin.close()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def can_write(kind: str, name: str) -> bool:
    """1.11.1 runs no writes through QUERY_SQL, which some shells send them by."""
    return kind != "1.11.1" or name not in shells.SHELLS or shells.SHELLS[name].splits


@pytest.mark.parametrize("kind", SOME_KINDS)
def test_clients_follow_the_leader_behind_the_proxy(
    kind: str, real_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    names = [name for name in SOME if can_write(kind, name)]
    for name in names:
        if name in shells.SHELLS:
            shells.require_shell(name)
        else:
            published.clients(name)
    cluster, path = real_cluster(kind), tmp_path / "s.dqt"
    pairs = [f"127.0.0.1:0={address}" for address in cluster.addresses]
    with ExitStack() as stack:
        recorder = stack.enter_context(closing(Recorder(path)))
        proxy = stack.enter_context(BlockingProxy(pairs, lookers=[recorder]))
        clients = [stack.enter_context(talking(name, proxy.addresses)) for name in names]
        leader = cluster.leader()
        clients[0].say_until_done("CREATE TABLE t (a PRIMARY KEY)")
        for name, client in zip(names, clients, strict=True):
            client.say_until_done(f"INSERT OR IGNORE INTO t VALUES ('before {name}')")
            assert client.say(".leader") == proxy[leader.address]
        leader.kill()
        successor = cluster.leader(other_than=leader)
        for name, client in zip(names, clients, strict=True):
            client.say_until_done(f"INSERT OR IGNORE INTO t VALUES ('after {name}')")
            assert client.say_until_done(".leader") == proxy[successor.address]
        counted = [client.say_until_done("SELECT count(*) FROM t").split()[-1] for client in clients]
        assert counted == [str(2 * len(names))] * len(names)
        assert not proxy.errors
    asked = b"".join(requests for requests, _ in recorded_streams(path, View.NODE))
    for name in names:  # no statement went past the proxy
        assert all(f"'{when} {name}'".encode() in asked for when in ("before", "after"))
    told = b"".join(answers for _, answers in recorded_streams(path, View.CLIENT))
    assert not any(address.encode() in told for address in cluster.addresses)
