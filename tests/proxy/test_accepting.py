"""A proxy and its control socket end in every turn of the loop behind a connection: none stays open."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.faults import FaultList
from dqlitewire.proxy import Proxy
from dqlitewire.proxy.control import ControlServer
from tests.client.fakes import closed_port
from tests.waiting import PATIENCE

ENDED: dict[str, Callable[[str], AbstractAsyncContextManager[Any]]] = {
    "proxy": lambda path: Proxy([f"unix:{path}={closed_port()}"], say=lambda text: None),
    "control": lambda path: ControlServer(f"unix:{path}", FaultList()),
}


@pytest.mark.parametrize("turns", range(7))
@pytest.mark.parametrize("what", ENDED)
async def test_who_was_accepted_last_is_let_go(what: str, turns: int, tmp_path: Path) -> None:
    """A socket that stayed open would be warned of when it is collected, and a warning is an error."""
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    with socket.socket(socket.AF_UNIX) as client:
        async with ENDED[what](str(tmp_path / "x")):
            client.connect(str(tmp_path / "x"))  # which takes no turn
            for _ in range(turns):
                await asyncio.sleep(0)
        # nobody gives the loop another turn, as at the end of a program
        begun = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
        gc.collect()
        client.settimeout(PATIENCE)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    assert problems == []
