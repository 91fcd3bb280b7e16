"""Test data as objects: the vectors of `vectors/*.json` and the connections of `captures/`.

Nothing here knows how a message is encoded: bytes come from the files, expected messages from constructors.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
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
    decode_message,
    messages,
)

HERE = Path(__file__).parent
VECTORS_FOLDER = HERE.parent / "vectors"

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
IN_PYTHON: dict[str, Callable[[Any], Any]] = {
    "integer": int,
    "unixtime": int,
    "float": float,
    "blob": bytes.fromhex,
    "null": lambda _: None,
    "text_bytes": lambda digits: bytes.fromhex(digits).decode("utf-8", "surrogateescape"),
}


def cell(table: dict[str, Any]) -> tuple[Any, ValueType]:
    """The Python value and the type of `{"text": "hi"}` and its like."""
    ((kind, raw),) = table.items()
    return IN_PYTHON.get(kind, lambda value: value)(raw), CELL_TYPES[kind]


HOW = {"recorded": "recorded with", "accepted": "accepted by", "answered": "answered by"}
TEXTS = ("name", "vfs", "sql", "address", "message")


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with integers that are written as text, for JSON, as integers."""
    return {
        name: int(value) if type(value) is str and name not in TEXTS else value
        for name, value in fields.items()
    }


def cluster(format: int) -> Message:
    """A CLUSTER request; format 0 can be read and not made."""
    message = messages.ClusterRequest()
    object.__setattr__(message, "format", format)
    return message


@dataclass(frozen=True)
class Vector:
    name: str
    file: str
    data: bytes
    origin: list[dict[str, Any]] = field(hash=False)
    message: str = ""
    type: int = -1
    schema: int = 0
    fields: dict[str, Any] = field(default_factory=dict, hash=False)
    decode_only: str = ""
    context: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        """What the runner calls it."""
        return f"{self.file}/{self.name}"

    @property
    def origin_words(self) -> str:
        """Where the bytes come from, for people."""
        said: dict[str, list[str]] = {}
        for one in self.origin:
            if one["how"] == "constructed":
                return f"constructed: {one['why']}"
            said.setdefault(", ".join(one["servers"]), []).append(HOW[one["how"]])
        return "; ".join(f"{' and '.join(hows)} {servers}" for servers, hows in said.items())

    @property
    def version(self) -> int:
        return int(self.fields["version"])

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
        values = given(self.fields)
        if "params" in values:
            values["params"] = [cell(table)[0] for table in values["params"]]
            values["schema"] = self.schema
        if self.message == "PREPARE":
            values["schema"] = self.schema
        if self.message == "CLUSTER":
            return cluster(values["format"])
        if "nodes" in values:
            values["nodes"] = [NodeInfo(**{"role": NodeRole.VOTER} | given(node)) for node in values["nodes"]]
            values["format"] = self.context.get("cluster_format", 1)
        if "files" in values:
            values["files"] = {file["name"]: bytes.fromhex(file["content"]) for file in values["files"]}
        if "rows" in values:
            rows = [[cell(table) for table in row] for row in values["rows"]]
            values["rows"] = [tuple(value for value, _ in row) for row in rows]
            values["row_types"] = [tuple(kind for _, kind in row) for row in rows]
            values["column_types"] = list(values["row_types"][0]) if rows else []
        return self.message_class(**values)

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


def entries(stem: str) -> Iterator[dict[str, Any]]:
    """The vectors of a file, their bytes under `data`."""
    for entry in json.loads((VECTORS_FOLDER / f"{stem}.json").read_text("utf-8"))["vectors"]:
        entry["data"] = bytes.fromhex("".join(word for word, *_ in entry.pop("words")))
        yield entry


ALL_VECTORS = [
    Vector(file=stem, **entry) for stem in ("handshake", "requests", "responses") for entry in entries(stem)
]
HANDSHAKES = [vector for vector in ALL_VECTORS if vector.file == "handshake"]
VECTORS = [vector for vector in ALL_VECTORS if vector.file != "handshake"]
VECTORS_BY_NAME = {vector.name: vector for vector in VECTORS if not vector.is_request}


@dataclass(frozen=True)
class Malformed:
    name: str
    direction: str
    why: str
    schema: int
    data: bytes
    origin: list[dict[str, Any]] = field(hash=False)
    offset: int | None = None

    def __str__(self) -> str:
        return self.name


def decode_malformed(bad: Malformed) -> Message:
    """Decode what must be refused, by the class itself where no gateway answers it."""
    is_request = bad.direction == "request"
    if is_request and bad.data[4] in OUTSIDE_GATEWAY:
        message: Message = REQUESTS[RequestType(bad.data[4])].decode_body(bad.data[8:], bad.schema)
        return message
    return decode_message(bad.data, is_request)


MALFORMED = [Malformed(**entry) for entry in entries("malformed")]

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
