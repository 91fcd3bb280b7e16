"""The proxy beside a plain copier and socat, in one run: 200 000 rows, a small exchange, idle connections.

A node in a process of its own answers each request with the same bytes: the rows, or one RESULT. Between
it and the client here stands, in turn, nothing, the copier (`COPIER`: asyncio protocols, and nothing else),
socat with its default buffers, and the proxy: with nobody looking, and recording. All run side by side; each
round goes through all of them, one after the other.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from bench import frames
from bench.frames import ITF3, Table
from bench.measure import Times, Unavailable, rotated

ROWS = 200_000
IDLE = 2_000
EXCHANGES = 300  # of a round
HANDSHAKE = (1).to_bytes(8, "little")
_RESULT = 5
ASK_ROWS = frames.frame(9, bytes(8) + b"SELECT\0\0" + bytes(8))
ASK_LITTLE = frames.frame(8, bytes(8) + b"INSERT\0\0" + bytes(8))
LITTLE = frames.frame(_RESULT, bytes(16))

# The node: argv[1] is a file with the rows' answer.
NODE = """
import socket, sys, threading
rows = open(sys.argv[1], "rb").read()
little = bytes.fromhex(sys.argv[2])
listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
print(listener.getsockname()[1], flush=True)
def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.recv(8)
    while request := sock.recv(4096):
        sock.sendall(rows if request[4] == 9 else little)
threading.stack_size(1 << 17)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""

COPIER = """
import asyncio, sys

class End(asyncio.Protocol):
    def __init__(self, other=None):
        self.other = other
    def connection_made(self, transport):
        self.transport = transport
        if self.other is None:
            transport.pause_reading()
            self.dialling = asyncio.get_running_loop().create_task(self.dial())
    async def dial(self):
        self.other = End(self)
        await asyncio.get_running_loop().create_connection(lambda: self.other, "127.0.0.1", int(sys.argv[1]))
        self.transport.resume_reading()
    def data_received(self, data):
        self.other.transport.write(data)
    def eof_received(self):
        self.other.transport.write_eof()
        return True
    def connection_lost(self, error):
        self.other.transport.close()
    def pause_writing(self):
        self.other.transport.pause_reading()
    def resume_writing(self):
        self.other.transport.resume_reading()

async def main():
    server = await asyncio.get_running_loop().create_server(End, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@contextmanager
def _running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[tuple[int, int]]:
    """A process and the port that it prints first, on standard output or error."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(environment or {})},
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            # "PORT", or "listening on HOST:PORT for ..."
            yield process.pid, int(line.partition(" for ")[0].rpartition(":")[2])
        finally:
            process.send_signal(signal.SIGTERM)


@contextmanager
def _socat(port: int) -> Iterator[int]:
    """The port of a socat with its default buffers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        here = int(free.getsockname()[1])
    listen = f"TCP-LISTEN:{here},bind=127.0.0.1,fork,reuseaddr,nodelay"
    with subprocess.Popen(["socat", listen, f"TCP:127.0.0.1:{port},nodelay"]) as process:
        try:
            yield here
        finally:
            process.terminate()


def _proxy(source: Path, port: int, *words: str) -> tuple[list[str], dict[str, str]]:
    command = [sys.executable, "-m", "dqlitewire.cli", "proxy", f"127.0.0.1:0=127.0.0.1:{port}", *words]
    return command, {"PYTHONPATH": str(source)}


def _connected(port: int) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=60)
            break
        except ConnectionRefusedError:  # of a socat that is not there yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(HANDSHAKE)
    return sock


@contextmanager
def _paths(source: Path) -> Iterator[tuple[dict[str, socket.socket], int]]:
    """A connection through each of what is compared, and the bytes of the rows' answer."""
    answer = b"".join(Table.of(ITF3, ROWS).pages())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "rows").write_bytes(answer)
        node = [sys.executable, "-c", NODE, str(folder / "rows"), LITTLE.hex()]
        _, port = stack.enter_context(_running(node))
        ports = {"direct": port}
        ports["copier"] = stack.enter_context(_running([sys.executable, "-c", COPIER, str(port)]))[1]
        if shutil.which("socat"):
            ports["socat"] = stack.enter_context(_socat(port))
        ports["ours"] = stack.enter_context(_running(*_proxy(source, port)))[1]
        recording = _proxy(source, port, "--record", str(folder / "rows.dqt"))
        ports["recorded"] = stack.enter_context(_running(*recording))[1]
        yield {name: stack.enter_context(_connected(port)) for name, port in ports.items()}, len(answer)


def _read(sock: socket.socket, size: int, buffer: bytearray) -> None:
    while size > 0:
        got = sock.recv_into(buffer)
        if not got:
            raise RuntimeError("the connection ended early")
        size -= got


@cache
def rows(source: Path, rounds: int) -> Times:
    """Seconds for all rows through each of them."""
    times = Times()
    buffer = bytearray(1 << 20)
    with _paths(source) as (paths, size):
        for turn in range(rounds + 1):
            for name, sock in rotated(paths.items(), turn):
                begin = time.perf_counter()
                sock.sendall(ASK_ROWS)
                _read(sock, size, buffer)
                if turn:  # the first one warms up
                    times.add(name, time.perf_counter() - begin)
    return times


@cache
def exchanges(source: Path, rounds: int) -> Times:
    """Seconds of a small exchange through each of them: a median for each round."""
    times = Times()
    buffer = bytearray(4096)
    with _paths(source) as (paths, _):
        for turn in range(rounds + 1):
            for name, sock in rotated(paths.items(), turn):
                spent = []
                for _ in range(EXCHANGES):
                    begin = time.perf_counter()
                    sock.sendall(ASK_LITTLE)
                    _read(sock, len(LITTLE), buffer)
                    spent.append(time.perf_counter() - begin)
                if turn:
                    times.add(name, statistics.median(spent))
    return times


def idle(source: Path) -> int:
    """Bytes that the proxy takes with so many idle connections."""
    status = "/proc/self/status"
    if not os.path.exists(status):
        raise Unavailable("the memory of another process is read from /proc")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = IDLE + 500
    if hard != resource.RLIM_INFINITY and hard < 2 * needed:
        raise Unavailable(f"only {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "rows").write_bytes(LITTLE)
        # what starts a process hands its limit on, and so the node has enough of them
        node = [sys.executable, "-c", NODE, str(folder / "rows"), LITTLE.hex()]
        _, port = stack.enter_context(_running(node))
        pid, port = stack.enter_context(_running(*_proxy(source, port)))
        buffer = bytearray(4096)
        for _ in range(IDLE):
            sock = stack.enter_context(_connected(port))
            sock.sendall(ASK_LITTLE)
            _read(sock, len(LITTLE), buffer)
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            resident = next(line for line in file if line.startswith("VmRSS:"))
        return int(resident.split()[1]) << 10
