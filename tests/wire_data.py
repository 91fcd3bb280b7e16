"""Test data as objects: the vectors of `vectors/*.toml` and the connections of `captures/`.

Nothing here knows how a message is encoded: bytes come from the files, expected messages from constructors.
"""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dqlitewire import (
    PROTOCOL_VERSION,
    PROTOCOL_VERSION_LEGACY,
    Message,
    MessageDecoder,
    NodeInfo,
    NodeRole,
    RequestType,
    ResponseType,
    ValueType,
    messages,
)

HERE = Path(__file__).parent

# the classes by direction and type; the gateway's tables leave out HEARTBEAT and CONNECT
REQUESTS = {
    code: getattr(messages.requests, name.title().replace("_", "") + "Request")
    for name, code in RequestType.__members__.items()
}
RESPONSES = {
    code: getattr(messages, name.title() + "Response") for name, code in ResponseType.__members__.items()
}
OUTSIDE_GATEWAY = (RequestType.HEARTBEAT, RequestType.CONNECT)


def frames(data: bytes) -> list[bytes]:
    """Cut a stream of whole frames."""
    found = []
    while data:
        size = 8 + 8 * int.from_bytes(data[:4], "little")
        assert len(data) >= size, "the stream ends inside a frame"
        found.append(data[:size])
        data = data[size:]
    return found


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


# ---------------------------------------------------------------- vectors

CELL_TYPES = {kind.name.lower(): kind for kind in ValueType} | {"text_bytes": ValueType.TEXT}


def cell(table: dict[str, Any]) -> tuple[Any, ValueType]:
    """The Python value and the type of `{ text = "hi" }` and its like."""
    ((kind, raw),) = table.items()
    convert = {
        "blob": bytes.fromhex,
        "boolean": bool,
        "null": lambda _: None,
        "text_bytes": lambda digits: bytes.fromhex(digits).decode("utf-8", "surrogateescape"),
    }
    return convert.get(kind, lambda value: value)(raw), CELL_TYPES[kind]


@dataclass(frozen=True)
class Vector:
    name: str
    file: str
    data: bytes
    origin: str
    message: str = ""
    type: int = -1
    schema: int = 0
    fields: dict[str, Any] = field(default_factory=dict, hash=False)
    decode_only: str = ""
    context: dict[str, Any] = field(default_factory=dict, hash=False)
    version: int = 0

    @property
    def is_request(self) -> bool:
        return self.file == "requests"

    @property
    def message_class(self) -> type[Message]:
        return (REQUESTS if self.is_request else RESPONSES)[self.type]

    @property
    def text_errors(self) -> str:
        return "surrogateescape" if "text_bytes" in repr(self.fields) else "strict"

    @property
    def body(self) -> bytes:
        return self.data[8:]

    def expected(self) -> Message:
        """The message of `fields`, built by its constructor."""
        given = dict(self.fields)
        if "params" in given:
            given["params"] = [cell(table)[0] for table in given["params"]]
            given["schema"] = self.schema
        if self.message == "PREPARE":
            given["schema"] = self.schema
        if "nodes" in given:
            given["nodes"] = [NodeInfo(**{"role": NodeRole.VOTER} | node) for node in given["nodes"]]
            given["format"] = self.context.get("cluster_format", 1)
        if "files" in given:
            given["files"] = {file["name"]: bytes.fromhex(file["content"]) for file in given["files"]}
        if "rows" in given:
            rows = [[cell(table) for table in row] for row in given["rows"]]
            given["rows"] = [tuple(value for value, _ in row) for row in rows]
            given["row_types"] = [tuple(kind for _, kind in row) for row in rows]
            given["column_types"] = list(given["row_types"][0]) if rows else []
        return self.message_class(**given)

    def decoder(self) -> MessageDecoder:
        """A decoder to which everything was said that comes before this frame."""
        if self.is_request:
            decoder = MessageDecoder(is_request=True)
            decoder.feed(PROTOCOL_VERSION.to_bytes(8, "little"))
            assert decoder.decode_handshake() == PROTOCOL_VERSION
            return decoder
        legacy = self.context.get("handshake") == "legacy"
        version = PROTOCOL_VERSION_LEGACY if legacy else PROTOCOL_VERSION
        decoder = MessageDecoder(version=version, text_errors=self.text_errors)
        if "after" in self.context:
            decoder.feed(VECTORS_BY_NAME[self.context["after"]].data)
            assert decoder.decode().has_more
        return decoder

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


def _load_vectors() -> Iterator[Vector]:
    for path in (HERE / "vectors" / f"{name}.toml" for name in ("handshake", "requests", "responses")):
        for entry in tomllib.loads(path.read_text())["vector"]:
            entry["data"] = bytes.fromhex("".join(entry.pop("hex")))
            if isinstance(entry.get("version"), str):
                entry["version"] = int(entry["version"], 0)
            yield Vector(file=path.stem, **entry)


ALL_VECTORS = list(_load_vectors())
HANDSHAKES = [vector for vector in ALL_VECTORS if vector.file == "handshake"]
VECTORS = [vector for vector in ALL_VECTORS if vector.file != "handshake"]
VECTORS_BY_NAME = {vector.name: vector for vector in VECTORS if not vector.is_request}


@dataclass(frozen=True)
class Malformed:
    name: str
    direction: str
    why: str
    data: bytes
    offset: int | None = None

    def __str__(self) -> str:
        return self.name


def _load_malformed() -> Iterator[Malformed]:
    for entry in tomllib.loads((HERE / "vectors" / "malformed.toml").read_text())["vector"]:
        yield Malformed(data=bytes.fromhex("".join(entry.pop("hex"))), **entry)


MALFORMED = list(_load_malformed())

# ---------------------------------------------------------------- captures


@dataclass(frozen=True)
class Step:
    """One request of a recorded connection and the whole answer to it."""

    label: str
    request: bytes
    answer: bytes
    answers: tuple[str, ...]
    ended: str


@dataclass(frozen=True)
class Capture:
    name: str
    server: str
    session: str
    connection: int
    handshake: int
    c2s: bytes = field(repr=False)
    s2c: bytes = field(repr=False)
    steps: tuple[Step, ...] = field(repr=False)
    entry: dict[str, Any] = field(repr=False, hash=False, compare=False)

    @property
    def version(self) -> int:
        """What a client's decoder is made with; to version 2 there is no answer to be decoded."""
        return PROTOCOL_VERSION if self.handshake == 2 else self.handshake

    def step(self, label: str, nth: int = 0) -> Step:
        return [step for step in self.steps if step.label == label][nth]

    def __str__(self) -> str:
        return self.name


@functools.cache
def captures() -> tuple[Capture, ...]:
    return tuple(_load_captures())


def _load_captures() -> Iterator[Capture]:
    for entry in json.loads((HERE / "captures" / "index.json").read_text())["captures"]:
        c2s, s2c = ((HERE / "captures" / entry[side]["file"]).read_bytes() for side in ("c2s", "s2c"))
        yield Capture(
            **{key: entry[key] for key in ("name", "server", "session", "connection", "handshake")},
            c2s=c2s,
            s2c=s2c,
            steps=tuple(_step(raw, c2s, s2c) for raw in entry["steps"] if raw["label"] != "handshake"),
            entry=entry,
        )


def _step(raw: dict[str, Any], c2s: bytes, s2c: bytes) -> Step:
    def cut(data: bytes, place: list[int]) -> bytes:
        return data[place[0] : place[0] + place[1]]

    ended = raw.get("ended") or ""
    return Step(raw["label"], cut(c2s, raw["c2s"]), cut(s2c, raw["s2c"]), tuple(raw["answers"]), ended)
