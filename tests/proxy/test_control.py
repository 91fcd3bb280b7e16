"""The control socket: each line gets an answer, whatever it holds, and only its owner can connect."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.dial import AddressError
from dqlitewire.faults import FaultList, Hold
from dqlitewire.proxy.control import MAX_LINE, ControlServer, answer


def ask(faults: FaultList, **asked: Any) -> dict[str, Any]:
    return answer(faults, json.dumps(asked).encode())


def test_what_can_be_asked_for() -> None:
    faults = FaultList()
    assert ask(faults, op="add", fault={"kind": "fail", "code": 5}) == {"ok": True, "id": 1}
    added = {"kind": "drop", "frames": 1, "on": ["QUERY_SQL"], "times": "forever"}
    assert ask(faults, op="add", fault=added) == {"ok": True, "id": 2}
    faults.listed()[1][1].hits = 3
    assert ask(faults, op="list") == {
        "ok": True,
        "faults": [
            {"id": 1, "hits": 0, "over": False, "fault": {"kind": "fail", "code": 5}},
            {
                "id": 2,
                "hits": 3,
                "over": False,
                "fault": {"kind": "drop", "on": ["QUERY_SQL"], "times": "forever", "frames": 1},
            },
        ],
    }
    assert ask(faults, op="remove", id=1) == {"ok": True}
    assert [number for number, _ in faults.listed()] == [2]
    assert ask(faults, op="clear") == {"ok": True}
    assert ask(faults, op="list") == {"ok": True, "faults": []}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"{", "b'{', must be a JSON object in UTF-8: expecting property name"),
        (b"\xff", "b'\\xff', must be a JSON object in UTF-8"),
        (b"[" * 60_000, "b'[[[["),
        (b'{"id": ' + b"9" * 5000 + b"}", 'b\'{"id": 99'),
        (b"[]", "[], must be a JSON object with op"),
        (b"null", "None, must be a JSON object with op"),
        (b"{}", "op '' unknown, must be one of add, list, remove, clear"),
        (b'{"op": 1}', "op 1 unknown, must be one of add, list, remove, clear"),
        (b'{"op": "lost"}', "op 'lost' unknown, nearest list, must be one of add, list, remove, clear"),
        (b'{"op": []}', "op [] unknown"),
        (b'{"op": "list", "id": 1}', "word 'id' unknown, list takes op"),
        (b'{"op": "add"}', 'add without fault, must be {"op": "add", "fault": ...}'),
        (b'{"op": "add", "faults": {}}', "word 'faults' unknown, nearest fault, add takes op, fault"),
        (b'{"op": "add", "fault": "hold"}', "fault 'hold', must be an object with its kind and words"),
        (b'{"op": "add", "fault": {"kind": "held"}}', "kind 'held' unknown, nearest hold"),
        (b'{"op": "add", "fault": {"kind": "delay", "seconds": NaN}}', "seconds nan, must be 0 to 86400"),
        (b'{"op": "add", "fault": {"kind": "corrupt", "change": 1}}', "word change of corrupt can be set"),
        (b'{"op": "remove"}', "remove without id"),
        (b'{"op": "remove", "id": 2}', "fault 2, must be the id of one that is listed"),
        (b'{"op": "remove", "id": true}', "id True, must be an int"),
        (b'{"op": "remove", "id": "1"}', "id '1', must be an int"),
    ],
)
def test_what_cannot(line: bytes, error: str) -> None:
    faults = FaultList()
    faults.order(Hold())
    said = answer(faults, line)
    assert said["ok"] is False
    assert isinstance(said["error"], str)
    assert said["error"].startswith(error)
    assert len(said["error"]) < 200
    assert [number for number, _ in faults.listed()] == [1]


@asynccontextmanager
async def client(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield reader, writer
    finally:
        writer.close()


async def exchange(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    """What is answered to lines that are sent at once, up to the end of the connection."""
    async with client(path) as (reader, writer):
        writer.write(b"".join(lines))
        writer.write_eof()
        return [json.loads(line) for line in (await reader.read()).splitlines()]


async def test_many_clients_and_lines(tmp_path: Path) -> None:
    path, faults = tmp_path / "control", FaultList()
    add = b'{"op": "add", "fault": {"kind": "hold"}}\n'
    async with ControlServer(f"unix:{path}", faults):
        found = await asyncio.gather(
            *(exchange(path, add, b"\n", b"nonsense\n", add[:-1]) for _ in range(20))
        )
    for first, wrong, last in found:
        assert (first["ok"], wrong["ok"], last["ok"]) == (True, False, True)
        assert first["id"] < last["id"]  # without a newline at the end, as `echo -n` has it
    assert len({one["id"] for answers in found for one in answers if one["ok"]}) == 40
    assert len(faults.listed()) == 40


async def test_a_line_has_a_longest_length(tmp_path: Path) -> None:
    path = tmp_path / "control"
    line = b'{"op": "list"' + b" " * (MAX_LINE - 15) + b"}\n"
    async with ControlServer(f"unix:{path}", FaultList()):
        assert await exchange(path, line) == [{"ok": True, "faults": []}]
        refused = {"ok": False, "error": f"line longer than {MAX_LINE} bytes"}
        for long in (line[:-2] + b"  }\n", b"x" * (MAX_LINE * 8) + b"\n", b"x" * MAX_LINE * 2):
            assert await exchange(path, line, long) == [{"ok": True, "faults": []}, refused]
        assert await exchange(path, long[:-9] + b"\n", line) == [refused, {"ok": True, "faults": []}]


async def test_a_client_that_does_not_read_is_not_read(tmp_path: Path) -> None:
    path, faults = tmp_path / "control", FaultList()
    for _ in range(200):
        faults.order(Hold(sql="x" * 100))
    async with ControlServer(f"unix:{path}", faults) as control, client(path) as (_, writer):
        for _ in range(100):
            writer.write(b'{"op": "list"}\n' * 1000)
            try:
                await asyncio.wait_for(writer.drain(), 0.3)
            except TimeoutError:
                break
        else:
            raise AssertionError("it is read all the same")
        assert await exchange(path, b'{"op": "clear"}\n') == [{"ok": True}]
        await control.close()
        writer.transport.abort()
    async with ControlServer(f"unix:{path}", faults):
        async with client(path) as (_, writer):  # one that goes in the middle
            writer.write(b'{"op": "list"}\n{"op"')
            writer.transport.abort()
        assert await exchange(path, b'{"op": "list"}\n') == [{"ok": True, "faults": []}]


async def test_only_its_owner_can_connect(tmp_path: Path) -> None:
    path = tmp_path / "control"
    before = os.umask(0)
    try:
        async with ControlServer(f"unix:{path}", FaultList()):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not path.exists()
    finally:
        os.umask(before)


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    return path


async def test_a_dead_socket_is_replaced_and_a_living_one_never(dead: Path) -> None:
    async with ControlServer(f"unix:{dead}", FaultList()):
        with pytest.raises(OSError, match=f"cannot listen on unix:{dead}: Address already in use"):
            await ControlServer(f"unix:{dead}", FaultList()).start()
        assert await exchange(dead, b'{"op": "clear"}\n') == [{"ok": True}]
    dead.write_text("mine")
    with pytest.raises(OSError, match="cannot listen on"):
        await ControlServer(f"unix:{dead}", FaultList()).start()
    assert dead.read_text() == "mine"


async def test_closing_ends_its_clients(tmp_path: Path) -> None:
    path = tmp_path / "control"
    async with ControlServer(f"unix:{path}", FaultList()) as control:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"op": "clear"}\n')
        assert json.loads(await reader.readline()) == {"ok": True}
        await control.close()
        assert await reader.read() == b""
        writer.close()
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("address", ["@abstract", "127.0.0.1:9001", "nonsense"])
def test_it_is_a_file(address: str) -> None:
    with pytest.raises(AddressError):
        ControlServer(address, FaultList())
