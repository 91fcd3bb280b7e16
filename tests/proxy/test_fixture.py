"""The fixture `dqlite_proxy`, as a test of a driver uses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dqlitewire.proxy import BlockingProxy
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.real.raw import RawConnection, text, word
from tests.testing.pytest_session import run_pytest

Proxies = Callable[..., BlockingProxy]


def test_a_fault_between_a_driver_and_a_server(dqlite_server: DqliteServer, dqlite_proxy: Proxies) -> None:
    proxy = dqlite_proxy(dqlite_server.address)
    with RawConnection(proxy[dqlite_server.address]) as client:
        client.open("main")
        proxy.fail_next(5, on="EXEC_SQL")
        assert client.call(8, word(0) + text("CREATE TABLE t (a)") + word(0)).failure[0] == 5
        client.exec_sql("CREATE TABLE t (a)")


def test_a_driver_stays_behind_the_proxy_through_a_failover(
    dqlite_cluster: DqliteCluster, dqlite_proxy: Proxies
) -> None:
    nodes = dqlite_cluster.nodes
    proxy = dqlite_proxy(*(node.address for node in nodes))
    assert len(set(proxy.addresses)) == 3
    for leader in (*nodes, nodes[0]):
        dqlite_cluster.elect(leader)
        for node in nodes:
            with RawConnection(proxy[node.address]) as client:
                assert client.leader() == (leader.id, proxy[leader.address])
                servers = client.call(16, word(1))
                assert all(address.encode() in servers.body for address in proxy.addresses)


def test_what_failed_beside_the_test_is_its_error(tmp_path: Path) -> None:
    (tmp_path / "test_proxies.py").write_text(
        "import socket\n"
        "async def wrong(frame):\n"
        "    raise ValueError('mine')\n"
        "def test_hook(dqlite_server, dqlite_proxy):\n"
        "    proxy = dqlite_proxy(dqlite_server.address, on_frame=wrong)\n"
        "    host, port = proxy.addresses[0].split(':')\n"
        "    with socket.create_connection((host, port)) as sock:\n"
        "        sock.sendall(bytes([1] + [0] * 7 + [1] + [0] * 15))\n"
        "        assert sock.recv(8)\n"
        "def test_unused(dqlite_server, dqlite_proxy):\n"
        "    dqlite_proxy(dqlite_server.address, strict=True).hold()\n"
        "def test_pair(dqlite_server, dqlite_proxy, tmp_path):\n"
        "    proxy = dqlite_proxy(f'unix:{tmp_path}/x={dqlite_server.address}')\n"
        "    assert proxy.addresses == [f'unix:{tmp_path}/x']\n"
    )
    printed = run_pytest(tmp_path)
    assert "3 passed, 2 errors" in printed, printed
    assert "ValueError: mine" in printed
    assert "faults that never hit: 1" in printed


@pytest.mark.dqlite("1.11.1")
def test_the_handshake_of_before_1_0(dqlite_server: DqliteServer, dqlite_proxy: Proxies) -> None:
    from tests.real.raw import HANDSHAKE_LEGACY

    proxy = dqlite_proxy(dqlite_server.address)
    with RawConnection(proxy.addresses[0], HANDSHAKE_LEGACY) as client:
        assert client.call(0, word(0)).body.rstrip(b"\0").decode() == proxy.addresses[0]
