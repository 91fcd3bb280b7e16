"""The blocks of docs/guides/proxy.md that tests/proxy/test_documented.py does not run."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.client import Client, ClientError, connect
from dqlitewire.faults import FaultList
from dqlitewire.proxy import BlockingProxy
from dqlitewire.proxy.control import answer
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.docs.blocks import blocks
from tests.docs.running import run_python
from tests.proxy.test_command import running
from tests.real.nodes import free_port
from tests.real.raw import RawConnection
from tests.traffic.command import run

PAGE = "docs/guides/proxy.md"
PYTHON = blocks(PAGE, "python")


def test_the_first_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ((command, shown),) = blocks(PAGE, "console")[0].steps()
    with DqliteCluster(3) as cluster:
        for number, node in enumerate(cluster.nodes, 1):
            local, real = f"127.0.0.1:{free_port()}", f"10.0.0.{number}:9001"
            for there, here in ((f"127.0.0.1:910{number}", local), (real, node.address)):
                command, shown = command.replace(there, here), shown.replace(there, here)
        with running(*shlex.split(command)[2:], pairs=3) as (process, locals_, _):
            assert [line.split()[2] for line in shown.splitlines()] == locals_
            with RawConnection(locals_[0]) as client:
                client.leader()
            assert process.stdout is not None
            assert "HANDSHAKE" in process.stdout.readline() + process.stdout.readline()
    assert "LEADER" in run("decode", "bug.dqt").out


def test_words_that_order_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (toml,) = blocks(PAGE, "toml")
    (shown,) = blocks(PAGE, "")
    Path("faults.toml").write_text(toml.text.replace("direction", "direktion"))
    done = run("proxy", "127.0.0.1:0=127.0.0.1:1", "--faults", "faults.toml")
    assert done.code == 2
    assert shown.text.strip() in done.err, done.err


def test_asking_from_a_shell(tmp_path: Path) -> None:
    ((command, _),) = blocks(PAGE, "console")[2].steps()
    echo, nc = (shlex.split(part) for part in command.split(" | "))
    assert (echo[0], nc) == ("echo", ["nc", "-N", "-U", "PATH"])  # which the machine may not have
    assert answer(FaultList(), echo[1].encode()) == {"ok": True, "faults": []}
    assert json.loads(echo[1])


def test_the_code() -> None:
    first, in_a_test, hook = PYTHON
    with DqliteServer() as server:
        server.run_sql("main", "CREATE TABLE t (a); INSERT INTO t VALUES (1)")
        there = {"10.0.0.1:9001": server.address}
        names: dict[str, Any] = {}
        run_python([first], names, there)
        asyncio.run(names["main"]())
        run_python([hook], names, there)
        asyncio.run(asked_through(names["proxy"]))
    run_python([in_a_test], names := given())
    with DqliteCluster(3) as cluster:
        cluster.run_sql("main", "CREATE TABLE t (a)")
        opened: list[BlockingProxy] = []

        def proxy_of(*addresses: str) -> BlockingProxy:
            opened.append(BlockingProxy({f"127.0.0.1:{free_port()}": one for one in addresses}))
            opened[0].start()
            return opened[0]

        try:
            with pytest.raises(ClientError, match="the connection was closed"):
                names["test_a_lost_answer"](cluster, proxy_of)
        finally:
            opened[0].stop()
        assert cluster.run_sql("main", "SELECT a FROM t") == [(1,)]


def given() -> dict[str, Any]:
    """What the example takes for given: a driver."""

    def driver(addresses: Sequence[str]) -> Client:
        return connect(addresses[0], "main", retry=False)

    return {
        "connect": driver,
        "DqliteCluster": DqliteCluster,
        "BlockingProxy": BlockingProxy,
        "Callable": Callable,
    }


async def asked_through(proxy: Any) -> None:
    """Ask for rows through a proxy with a hook."""
    async with proxy:
        (address,) = proxy.addresses

        def ask() -> None:
            with connect(address, "main") as client:
                assert list(client.query("SELECT a FROM t")) == [(1,)]

        await asyncio.to_thread(ask)
