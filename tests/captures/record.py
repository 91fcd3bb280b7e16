"""Record the sessions of these captures anew, with another server: python -m tests.captures.record KIND ...

The requests are those that were recorded with 1.18.1, byte for byte but for the addresses of the nodes in
them; the server is a real one of `tests/real`, fresh for each session. Writes the two files of each
connection and its line of `index.json`. Run it when a new kind of server comes, or when a release moved.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

from tests.real.nodes import Cluster, release
from tests.real.raw import PART
from tests.wire_data import Capture, captures

HERE = Path(__file__).parent
TEMPLATE = "1.18.1"
SESSIONS = ("basics", "types", "failures", "interrupt", "handshakes", "members", "toowide")
NAMES = [
    *("FAILURE", "SERVER", "WELCOME", "SERVERS", "DB", "STMT", "RESULT"),
    *("ROWS", "EMPTY", "FILES", "METADATA"),
]
ROWS = NAMES.index("ROWS")
SILENCE = 10.0
ADDRESS = re.compile(rb"127\.0\.0\.1:\d{5}")
# the answer tells what other nodes know by then
PAUSE_BEFORE = {"leader after transfer": 0.5}


class Tap:
    """A connection that keeps what passes."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), SILENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.streams = {"c2s": bytearray(), "s2c": bytearray()}
        self.chunks: list[tuple[str, int]] = []
        self.taken = 0

    def _keep(self, side: str, data: bytes) -> None:
        self.streams[side] += data
        self.chunks.append((side, len(data)))

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)
        self._keep("c2s", data)

    def frame(self) -> bytes:
        """The next frame of the server."""
        received = self.streams["s2c"]
        while True:
            rest = len(received) - self.taken
            if rest >= 8:
                size = 8 + 8 * struct.unpack_from("<I", received, self.taken)[0]
                if rest >= size:
                    self.taken += size
                    return bytes(received[self.taken - size : self.taken])
            data = self.socket.recv(1 << 16)
            self._keep("s2c", data)
            if not data:
                raise EOFError("closed by the server")

    def close(self) -> None:
        self.socket.close()
        self.chunks.append(("c2s", 0))


def is_open(frame: bytes) -> bool:
    """More frames of the same answer follow."""
    return frame[4] == ROWS and frame.endswith(PART)


def answer(tap: Tap, recorded: bytes, behind_rows: bool) -> bool:
    """Read one answer, as far as it was read when it was recorded first; whether rows are left."""
    last = b""
    for frame in split(recorded):
        last = frame
    if last and is_open(last):
        for _ in split(recorded):
            tap.frame()
        return True
    if behind_rows:
        while is_open(tap.frame()):
            pass
    while is_open(tap.frame()):
        pass
    return False


def split(stream: bytes) -> list[bytes]:
    frames, at = [], 0
    while at < len(stream):
        size = 8 + 8 * struct.unpack_from("<I", stream, at)[0]
        frames.append(stream[at : at + size])
        at += size
    return frames


def talk(tap: Tap, template: Capture, addresses: dict[bytes, bytes]) -> list[dict[str, Any]]:
    tap.send(template.c2s[:8])
    steps: list[dict[str, Any]] = [{"label": "handshake", "c2s": [0, 8], "s2c": [0, 0], "answers": []}]
    behind_rows = False
    for step in template.steps:
        time.sleep(PAUSE_BEFORE.get(step.label, 0))
        request = ADDRESS.sub(lambda found: addresses.get(found[0], found[0]), step.request)
        sent, begun = len(tap.streams["c2s"]), tap.taken
        entry: dict[str, Any] = {"label": step.label, "c2s": [sent, len(request)]}
        try:
            tap.send(request)
            behind_rows = answer(tap, step.answer, behind_rows)
            if step.ended == "the client left":
                entry["ended"] = step.ended
        except OSError as error:
            entry["ended"] = f"{type(error).__name__}: {error}"
        except EOFError as error:
            entry["ended"] = f"EOFError: {error}"
        entry["s2c"] = [begun, tap.taken - begun]
        whole = bytes(tap.streams["s2c"][begun : tap.taken])
        entry["answers"] = [f"{NAMES[frame[4]]}/{frame[5]}/{len(frame) - 8}" for frame in split(whole)]
        steps.append(entry)
        if "ended" in entry:
            break
    tap.close()
    return steps


def located(stream: bytes, start: int) -> list[list[int]]:
    found, at = [], start
    for frame in split(stream[start:]):
        found.append([at, frame[4], frame[5], len(frame) - 8])
        at += len(frame)
    return found


def record(kind: str, template: Capture) -> dict[str, Any]:
    """Record one connection and write its files; its entry of the index."""
    old = []
    for found in ADDRESS.findall(template.s2c + template.c2s):
        if found not in old:
            old.append(found)
    with Cluster(kind, 3 if template.session == "members" else 1) as cluster:
        addresses = dict(zip(old, (address.encode() for address in cluster.addresses), strict=False))
        assert all(len(address) == 15 for address in addresses.values()), "an address of another length"
        tap = Tap(cluster.addresses[0])
        with contextlib.closing(tap.socket):
            steps = talk(tap, template, addresses)
    name = f"{kind}-{template.session}-{template.connection}"
    entry: dict[str, Any] = {
        "name": name,
        "server": kind,
        "release": release(kind),
        "addresses": cluster.addresses,
        **{key: template.entry[key] for key in ("session", "connection", "note")},
    }
    for side in ("c2s", "s2c"):
        data = bytes(tap.streams[side][: tap.taken] if side == "s2c" else tap.streams[side])
        path = HERE / f"{name}.{side}.bin"
        path.write_bytes(data)
        entry[side] = {"file": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    entry |= {
        "handshake": template.handshake,
        "request_frames": located(bytes(tap.streams["c2s"]), 8),
        "response_frames": located(bytes(tap.streams["s2c"][: tap.taken]), 0),
        "chunks": cut(tap.chunks, tap.taken),
        "steps": steps,
    }
    return entry


def cut(chunks: list[tuple[str, int]], received: int) -> list[tuple[str, int]]:
    """Leave out what came after the client had left."""
    kept = []
    for side, size in chunks:
        if side == "s2c" and size:
            size = min(size, received)
            received -= size
            if not size:
                continue
        kept.append((side, size))
    return kept


def main(kinds: list[str]) -> None:
    templates = [one for one in captures() if one.server == TEMPLATE and one.session in SESSIONS]
    index = json.loads((HERE / "index.json").read_text())
    kept = [entry for entry in index["captures"] if entry["server"] not in kinds]
    for kind in kinds:
        for template in templates:
            kept.append(record(kind, template))
            print(kept[-1]["name"], kept[-1]["s2c"]["bytes"])
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    lines = ",\n".join(json.dumps(entry, **compact) for entry in kept)
    head = json.dumps(index["format"], ensure_ascii=False)
    (HERE / "index.json").write_text(f'{{"format":{head},\n"captures":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(sys.argv[1:])
