"""Order faults while a proxy runs: a unix socket that takes a JSON object a line and answers each with one.

    {"op": "add", "fault": {"kind": "fail", "code": 5}}    {"ok": true, "id": 1}
    {"op": "list"}                                         {"ok": true, "faults": [{"id": 1, "hits": 0, ...}]}
    {"op": "remove", "id": 1}                              {"ok": true}
    {"op": "clear"}                                        {"ok": true}
    anything else                                          {"ok": false, "error": "..."}

The words of a fault are those of `faults.words`. Clients are served side by side, each line at once: an
answer says that what was asked for is done, and a request that is sent to the proxy after it meets the fault.
Only the user who runs the proxy may connect: the file has mode 0600 before anybody can.

A line of more than 64 KiB is answered by an error; a client that does not read its answers is not read
either.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from dqlitewire.dial import Address, AddressError, Kind
from dqlitewire.dial.listening import listen
from dqlitewire.faults.checks import shown
from dqlitewire.faults.values import FaultWordsError, unknown
from dqlitewire.faults.words import fault_of, words_of
from dqlitewire.proxy.accepting import end_listening

if TYPE_CHECKING:
    from dqlitewire.faults import FaultList

__all__ = ["MAX_LINE", "ControlServer", "answer"]

MAX_LINE = 1 << 16  # bytes
_ONLY_OWNER = 0o600

Answer = dict[str, object]


class _RefusedError(ValueError):
    """What was asked for cannot be done."""


# ---- what can be asked for


def _add(faults: FaultList, fault: Any) -> Answer:
    if not isinstance(fault, dict):
        raise _RefusedError(f"fault {shown(fault)}, must be an object with its kind and words")
    return {"id": faults.order(fault_of(cast("dict[str, object]", fault)))}


def _list(faults: FaultList) -> Answer:
    return {
        "faults": [
            {"id": number, "hits": fault.hits, "over": fault.over, "fault": words_of(fault)}
            for number, fault in faults.listed()
        ]
    }


def _remove(faults: FaultList, id: Any) -> Answer:
    if type(id) is not int:
        raise _RefusedError(f"id {shown(id)}, must be an int")
    try:
        faults.remove(id)
    except LookupError as error:
        raise _RefusedError(str(error)) from None
    return {}


def _clear(faults: FaultList) -> Answer:
    faults.clear()
    return {}


_OPS: dict[str, tuple[Callable[..., Answer], tuple[str, ...]]] = {
    "add": (_add, ("fault",)),
    "list": (_list, ()),
    "remove": (_remove, ("id",)),
    "clear": (_clear, ()),
}


def answer(faults: FaultList, line: bytes) -> Answer:
    """Do what a line asks for, and return the object that answers it.

    Args:
        faults: The list to work on.
        line: The line; whatever it holds, it gets an answer.
    """
    try:
        return {"ok": True, **_done(faults, line)}
    except (_RefusedError, FaultWordsError) as error:
        return {"ok": False, "error": str(error)}


def _done(faults: FaultList, line: bytes) -> Answer:
    try:
        asked: object = json.loads(line)
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, too many digits; nested too deep
        problem = error.msg.lower() if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise _RefusedError(f"{shown(line)}, must be a JSON object in UTF-8: {problem}") from None
    if not isinstance(asked, dict):
        raise _RefusedError(f"{shown(asked)}, must be a JSON object with op")
    words = cast("dict[str, object]", asked)
    op = words.pop("op", "")
    if not isinstance(op, str) or op not in _OPS:
        raise _RefusedError(unknown("op", op, _OPS))
    do, needed = _OPS[op]
    for word in words:
        if word not in needed:
            raise _RefusedError(unknown("word", word, ("op", *needed), f"{op} takes"))
    for word in needed:
        if word not in words:
            raise _RefusedError(f'{op} without {word}, must be {{"op": "{op}", "{word}": ...}}')
    return do(faults, **words)


# ---- the socket


class ControlServer:
    """The control socket of a running proxy, as an async context manager.

    Args:
        address: Where it listens, unix:PATH; the socket of a dead process is replaced, a living one never.
        faults: The list that it works on.

    Raises:
        AddressError: It is no unix:PATH; abstract sockets are open to every user.
    """

    def __init__(self, address: Address | str, faults: FaultList) -> None:
        self.address: Address = Address.parse(address) if isinstance(address, str) else address
        if self.address.kind is not Kind.UNIX:
            raise AddressError(f"control {self.address}, must be unix:PATH")
        self._faults = faults
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: Somebody listens there, or the path is that of something else.
        """
        listener, _ = listen(self.address, mode=_ONLY_OWNER)
        try:
            self._server = await asyncio.start_server(self._accepted, sock=listener, limit=MAX_LINE)
        except BaseException:
            listener.close()
            raise

    async def close(self) -> None:
        """End the listener and its clients, and remove the file."""
        server, self._server = self._server, None
        if server is None:
            return
        await end_listening([server])
        for client in tuple(self._clients):
            client.cancel()
        if self._clients:
            await asyncio.wait(tuple(self._clients))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (line := await _line(reader)) != b"":
                if line is None:
                    said: Answer = {"ok": False, "error": f"line longer than {MAX_LINE} bytes"}
                elif line.isspace():
                    continue
                else:
                    said = answer(self._faults, line)
                writer.write(json.dumps(said).encode() + b"\n")
                await writer.drain()
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            pass  # the client has gone
        finally:
            writer.transport.abort()


async def _line(reader: asyncio.StreamReader) -> bytes | None:
    """The next line, or what is left at the end; None for one that is too long, which is passed over."""
    fits = True
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            fits = False
            await reader.readexactly(error.consumed)
            continue
        except asyncio.IncompleteReadError as error:
            line = error.partial
        return line if fits else None
