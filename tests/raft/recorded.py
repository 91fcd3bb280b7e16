"""The recorded connections between nodes, `tests/captures/raft`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "captures" / "raft"
INDEX: dict[str, Any] = json.loads((FOLDER / "index.json").read_text())


@dataclass(frozen=True)
class Recorded:
    """One connection.

    Attributes:
        name: of its file, for test ids.
        server: the servers' version.
        data: what the node that dialled wrote behind CONNECT.
        messages: of each message its offset in `data`, its first word, the bytes of header and payload.
    """

    name: str
    server: str
    data: bytes
    messages: list[tuple[int, int, int, int]]

    @property
    def frames(self) -> list[bytes]:
        """The bytes of each message."""
        return [self.data[at : at + 16 + header + payload] for at, _, header, payload in self.messages]


def _recorded(told: dict[str, Any]) -> Recorded:
    at, _, _, size = told["connect"]
    start = at + 8 + size
    messages = [(offset - start, word, header, payload) for offset, word, header, payload in told["messages"]]
    return Recorded(told["file"], told["server"], (FOLDER / told["file"]).read_bytes()[start:], messages)


CONNECTIONS = [_recorded(told) for told in INDEX["connections"]]
FRAMES = sorted({frame for one in CONNECTIONS for frame in one.frames}, key=lambda frame: (len(frame), frame))
