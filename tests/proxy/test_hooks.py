"""The hook for people's own: what it is shown, what becomes of what it returns; the async form."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest

from dqlitewire import DecodeError, NodeInfo
from dqlitewire.messages import ExecSqlRequest, LeaderRequest, LeaderResponse, ServersResponse
from dqlitewire.proxy import DROP, BlockingProxy, Frame, Proxy
from tests.proxy.peers import HANDSHAKE, Peer, connect, frame, read, read_all
from tests.waiting import wait_for

LOCAL = "127.0.0.1:0"
ANSWER = LeaderResponse(1, "10.0.0.1:9001").encode()


def node(sock: socket.socket) -> None:
    """Answers every frame with the same LEADER."""
    with suppress(OSError):
        read(sock, 8)
        while head := read(sock, 8):
            got.append(head + read(sock, int.from_bytes(head[:4], "little") * 8))
            sock.sendall(ANSWER)


got: list[bytes] = []


def talk(
    hook: Any, *requests: bytes, answers: int | None = None, **options: Any
) -> tuple[bytes, list[bytes]]:
    """What the client got, what the node got."""
    got.clear()
    said: list[str] = []
    with Peer(node) as peer:
        pair = f"{LOCAL}={peer.address}=10.0.0.1:9001"
        with BlockingProxy([pair], on_frame=hook, say=said.append, **options) as proxy:
            with connect(proxy.addresses[0]) as sock:
                sock.sendall(HANDSHAKE + b"".join(requests))
                sock.shutdown(socket.SHUT_WR)
                back = read_all(sock)
            wait_for(lambda: not proxy.open_connections)
            talk.errors = list(proxy.errors)  # type: ignore[attr-defined]
    talk.said = said  # type: ignore[attr-defined]
    return back, list(got)


def test_what_a_hook_is_shown() -> None:
    seen: list[Frame] = []

    async def hook(frame: Frame) -> Frame:
        seen.append(frame)
        await asyncio.sleep(0)
        return frame

    back, _ = talk(hook, LeaderRequest().encode(), map_addresses=False)
    assert back == ANSWER
    request, answer = seen
    assert (request.connection, request.direction, request.type, request.schema) == (1, "request", 0, 0)
    assert request.message == LeaderRequest()
    assert (answer.direction, answer.data, answer.name) == ("response", ANSWER, "LEADER")
    assert answer.message == LeaderResponse(1, "10.0.0.1:9001")
    assert answer.message is answer.message
    assert request.time <= answer.time
    assert repr(answer) == "<Frame LEADER, response of connection 1, 32 bytes>"


def test_a_hook_sees_what_the_client_is_told() -> None:
    seen: list[str] = []

    async def hook(frame: Frame) -> None:
        if frame.direction == "response":
            seen.append(frame.message.address)  # type: ignore[attr-defined]

    talk(hook, LeaderRequest().encode())
    assert seen[0].startswith("127.0.0.1:")


def test_a_message_is_decoded_in_the_layout_that_it_has() -> None:
    from dqlitewire.constants import PROTOCOL_VERSION_LEGACY
    from dqlitewire.conversation import Side

    legacy = frame(1, b"10.0.0.1:9001\0\0\0")
    assert Frame(1, Side.SERVER, legacy, PROTOCOL_VERSION_LEGACY, 0).message.address == "10.0.0.1:9001"  # type: ignore[attr-defined]
    for format in (0, 1):
        servers = ServersResponse([NodeInfo(1, "a:1", 0), NodeInfo(2, "b:2", 0)], format=format)
        assert Frame(1, Side.SERVER, servers.encode(), 1, 0).message == servers
    with pytest.raises(DecodeError):
        _ = Frame(1, Side.SERVER, frame(1, b"\xff" * 8), 1, 0).message


def test_bytes_go_on_instead_and_drop_lets_nothing_go() -> None:
    async def hook(shown: Frame) -> Any:
        if shown.direction == "request":
            if shown.type == 8:
                return ExecSqlRequest(0, "SELECT 2").encode()
            return DROP if shown.type == 14 else None
        return bytearray(ANSWER + ANSWER)

    first = ExecSqlRequest(0, "SELECT 1").encode()
    back, arrived = talk(hook, first, frame(14, bytes(8)), frame(0, bytes(8)), map_addresses=False)
    assert arrived == [ExecSqlRequest(0, "SELECT 2").encode(), frame(0, bytes(8))]
    assert back == ANSWER * 4


def test_a_hook_that_fails_changes_nothing_and_is_told() -> None:
    async def hook(shown: Frame) -> Any:
        if shown.direction == "request":
            raise RuntimeError("mine")
        return "text"

    back, arrived = talk(hook, frame(0, bytes(8)), map_addresses=False)
    assert (back, arrived) == (ANSWER, [frame(0, bytes(8))])
    errors, said = talk.errors, talk.said  # type: ignore[attr-defined]
    assert [type(error) for error in errors] == [RuntimeError, TypeError]
    assert said[0] == (
        "on_frame failed on <Frame LEADER, request of connection 1, 16 bytes>: RuntimeError: mine"
    )
    assert "must be None, bytes or DROP" in said[1]


def test_order_is_kept_while_a_hook_takes_its_time() -> None:
    async def hook(shown: Frame) -> None:
        await asyncio.sleep(0.02 if len(shown.data) > 20 else 0)

    requests = [frame(9, bytes([number]) * 8 * (1 + number % 2 * 2)) for number in range(10)]
    back, arrived = talk(hook, *requests, map_addresses=False)
    assert arrived == requests
    assert back == ANSWER * 10


def test_a_hook_stands_on_the_client_s_side_of_the_faults() -> None:
    seen: list[tuple[str, int]] = []

    async def hook(shown: Frame) -> None:
        seen.append((shown.direction, shown.type))

    got.clear()
    with Peer(node) as peer, BlockingProxy({LOCAL: peer.address}, on_frame=hook) as proxy:
        proxy.fail_next(5, on="EXEC_SQL", executed=False)
        with connect(proxy.addresses[0]) as sock:
            sock.sendall(HANDSHAKE + ExecSqlRequest(0, "x").encode())
            head = read(sock, 8)
            assert head[4] == 0
            read(sock, head[0] * 8)
    assert got == []
    assert seen == [("request", 8), ("response", 0)]


def test_a_hook_that_never_returns_holds_up_nobody_s_end() -> None:
    async def hook(shown: Frame) -> None:
        await asyncio.Event().wait()

    with Peer(node) as peer:
        proxy = BlockingProxy({LOCAL: peer.address}, on_frame=hook)
        proxy.start()
        with connect(proxy.addresses[0]) as sock:
            sock.sendall(HANDSHAKE + frame(0, bytes(8)))
            wait_for(lambda: proxy.open_connections == 1)
            proxy.stop()
            with suppress(ConnectionResetError):
                assert read_all(sock) == b""


# ---- the async form


def test_the_async_form() -> None:
    async def main() -> None:
        with Peer(node) as peer:
            async with Proxy({LOCAL: peer.address}) as proxy:
                assert proxy[peer.address] == proxy.addresses[0]
                with pytest.raises(KeyError):
                    _ = proxy["10.9.9.9:1"]
                host, port = proxy.addresses[0].split(":")
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(HANDSHAKE + frame(0, bytes(8)))
                assert len(await reader.readexactly(32)) == 32
                assert (proxy.connections, proxy.open_connections) == (1, 1)
                with pytest.raises(RuntimeError, match="runs already"):
                    await proxy.start()
                writer.close()
            assert len(asyncio.all_tasks()) == 1
            async with proxy:  # again
                assert not proxy.addresses[0].endswith(":0")
            await proxy.close()

    asyncio.run(main())


def test_nothing_stays_open_when_one_of_the_listeners_cannot_be_had() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        free_port, taken_port = free.getsockname()[1], taken.getsockname()[1]
        free.close()
        pairs = [f"127.0.0.1:{free_port}=h:1", f"127.0.0.1:{taken_port}=h:2"]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{taken_port}: Address already in use"):
            BlockingProxy(pairs).start()
        with socket.create_server(("127.0.0.1", free_port)):
            pass


def test_listening_beyond_loopback_must_be_allowed() -> None:
    from dqlitewire.proxy import RemoteListenError

    for local in ("0.0.0.0:0", "[::]:0"):
        with pytest.raises(RemoteListenError, match="can be reached from other machines"):
            Proxy({local: "h:1"})
    with BlockingProxy({"0.0.0.0:0": "h:1"}, allow_remote=True) as proxy:
        assert proxy.addresses[0].startswith("0.0.0.0:")


def test_faults_that_never_hit_are_told_when_that_is_wanted() -> None:
    from dqlitewire.testing import UnusedFaultError

    with pytest.raises(UnusedFaultError), BlockingProxy({LOCAL: "h:1"}, strict=True) as proxy:
        proxy.drop_after(frames=1)
    with BlockingProxy({LOCAL: "h:1"}, faults=False) as proxy, pytest.raises(RuntimeError, match="without"):
        proxy.hold()
