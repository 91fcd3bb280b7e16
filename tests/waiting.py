"""What tests wait for: an event, however long it takes, and never a length of time.

A machine may leave any process alone for seconds, and hand over what was written in as many pieces as it
likes. So a test repeats reads until what it waits for is there, and asks the system where another process
stands before it sends it a signal.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0


def wait_for(
    condition: Callable[[], bool], what: str = "what was waited for", seconds: float = PATIENCE
) -> None:
    """Poll until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"no {what} within {seconds:g} s"
        time.sleep(0.005)


def unread(descriptor: int) -> int:
    """How many bytes wait in a pipe, asked at either end."""
    (count,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))
    return int(count)


def is_waiting(pid: int) -> bool:
    """Whether a process, all threads of it, sleeps: it has done what there is to do."""
    states = [
        (folder / "stat").read_text().rpartition(")")[2].split()[0]
        for folder in Path(f"/proc/{pid}/task").iterdir()
    ]
    return set(states) == {"S"}


def receive(sock: socket.socket, size: int) -> bytes:
    """Receive so many bytes, fewer at the end of the stream."""
    data = b""
    while len(data) < size and (piece := sock.recv(size - len(data))):
        data += piece
    return data
