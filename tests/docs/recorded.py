"""Recordings that pages show: requests with their answers at the times that stand there."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path

from dqlitewire.messages import Message

START = 1_700_000_000
HANDSHAKE = (1).to_bytes(8, "little")


def transcript(path: Path, said: Iterable[tuple[float, str, bytes | Message]], number: int = 1) -> Path:
    """Write a transcript of one connection.

    Args:
        path: the file.
        said: of each frame the seconds since the beginning, `request` or `response`, and what it is.
        number: of the connection.

    Returns:
        The file.
    """
    lines: list[dict[str, object]] = [
        {"dqt": 1, "by": "dqlite-wire", "redacted": False},
        {
            "time": START,
            "connection": number,
            "event": "open",
            "client": "10.0.0.1:40001",
            "server": "10.0.0.2:9001",
            "midstream": False,
            "bare": False,
        },
    ]
    for time, direction, message in said:
        data = message if isinstance(message, bytes) else message.encode()
        lines.append(
            {
                "time": START + time,
                "connection": number,
                "direction": direction,
                "bytes": base64.b64encode(data).decode(),
            }
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
