"""Works on small messages: one frame each, built and encoded, or decoded.

A call handles ``BATCH`` different messages. Those to be encoded are made anew each
time; a decoded message has one field read, so that no field can stay undecoded.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from bench import frames
from bench.candidates import Codec
from bench.frames import text, u64
from bench.measure import Run, Trial

BATCH = 50
Values = tuple[Any, ...]


@dataclass(frozen=True)
class Small:
    """A message class, its code and fields, how to draw values and how to pack them."""

    class_name: str
    code: int
    fields: tuple[str, ...]
    draw: Callable[[random.Random], Values]
    pack: Callable[..., bytes]
    is_request: bool = False

    def frame(self, values: Values) -> bytes:
        return frames.frame(self.code, self.pack(*values))


def _id(rng: random.Random) -> int:
    return rng.randrange(1, 1 << 31)


def _address(rng: random.Random) -> str:
    return f"10.0.{rng.randrange(256)}.{rng.randrange(256)}:{rng.randrange(1024, 65536)}"


SMALL = {
    "RESULT": Small(
        "ResultResponse",
        frames.RESULT,
        ("last_insert_id", "rows_affected"),
        lambda r: (_id(r), _id(r)),
        lambda last, affected: u64(last) + u64(affected),
    ),
    "STMT": Small(
        "StmtResponse",
        frames.STMT,
        ("db_id", "stmt_id", "num_params"),
        lambda r: (0, r.randrange(1000), r.randrange(100)),
        lambda db, statement, count: u64(db | statement << 32) + u64(count),
    ),
    "DB": Small("DbResponse", frames.DB, ("db_id",), lambda r: (r.randrange(1 << 20),), u64),
    "LEADER": Small(
        "LeaderResponse",
        frames.LEADER,
        ("node_id", "address"),
        lambda r: (_id(r), _address(r)),
        lambda node, address: u64(node) + text(address),
    ),
    "FAILURE": Small(
        "FailureResponse",
        frames.FAILURE,
        ("code", "message"),
        lambda r: (r.randrange(1, 12000), f"no such table: t{r.randrange(10**6)}"),
        lambda code, message: u64(code) + text(message),
    ),
    "OPEN": Small(
        "OpenRequest",
        frames.OPEN,
        ("name", "flags", "vfs"),
        lambda r: (f"app{r.randrange(10**6)}.db", 0, "volatile"),
        lambda name, flags, vfs: text(name) + u64(flags) + text(vfs),
        is_request=True,
    ),
    "EMPTY": Small("EmptyResponse", frames.EMPTY, (), lambda _: (), lambda: u64(0)),
}

# Calls with the arguments spelled out, as people write them: `*fields` costs more.
BUILD_AND_ENCODE: dict[int, Callable[[Any, list[Values]], list[bytes]]] = {
    0: lambda message, values: [message().encode() for _ in values],
    1: lambda message, values: [message(a).encode() for (a,) in values],
    2: lambda message, values: [message(a, b).encode() for a, b in values],
    3: lambda message, values: [message(a, b, c).encode() for a, b, c in values],
}


def batch(name: str) -> tuple[Small, list[Values], list[bytes]]:
    small = SMALL[name]
    rng = random.Random(name)
    values = [small.draw(rng) for _ in range(BATCH)]
    return small, values, [small.frame(v) for v in values]


def encode(codecs: list[Codec], name: str) -> Trial:
    small, values, packed = batch(name)
    build_and_encode = BUILD_AND_ENCODE[len(small.fields)]

    def build(codec: Codec) -> Run:
        message = getattr(codec.messages, small.class_name)

        def run() -> Any:
            return build_and_encode(message, values)

        return run

    def check(candidate: str, result: Any) -> None:
        assert result == packed, f"{candidate}: {name} has other bytes than packed"

    return Trial(BATCH, {codec.name: build(codec) for codec in codecs}, check)


def decode(codecs: list[Codec], name: str) -> Trial:
    small, values, packed = batch(name)
    first_field = attrgetter(small.fields[0])

    def build(codec: Codec) -> Run:
        take, is_request = codec.wire.decode_message, small.is_request
        check_messages(codec, small, values, [take(data, is_request) for data in packed])

        def run() -> Any:
            return [first_field(take(data, is_request)) for data in packed]

        return run

    return Trial(BATCH, {codec.name: build(codec) for codec in codecs}, first_fields(values))


def feed(codecs: list[Codec], name: str) -> Trial:
    """As ``decode``, through one MessageDecoder that lives as long as a connection."""
    small, values, packed = batch(name)
    first_field = attrgetter(small.fields[0])

    def build(codec: Codec) -> Run:
        decoder = codec.wire.MessageDecoder(small.is_request)

        def run() -> Any:
            feed, take = decoder.feed, decoder.decode
            result = []
            for data in packed:
                feed(data)
                result.append(first_field(take()))
            return result

        return run

    return Trial(BATCH, {codec.name: build(codec) for codec in codecs}, first_fields(values))


def check_messages(codec: Codec, small: Small, values: list[Values], messages: list[Any]) -> None:
    expected = getattr(codec.messages, small.class_name)
    assert all(type(message) is expected for message in messages), codec.name
    assert list(map(attrgetter(*small.fields), messages)) == [v if v[1:] else v[0] for v in values], (
        codec.name
    )


def first_fields(values: list[Values]) -> Callable[[str, Any], None]:
    def check(candidate: str, result: Any) -> None:
        assert result == [fields[0] for fields in values], f"{candidate}: other fields than packed"

    return check


# -- parameters -------------------------------------------------------------------------

SQL = "INSERT INTO t VALUES (?, ?, ?, ?, ?)"
PARAM_TYPES = (frames.INTEGER, frames.TEXT, frames.FLOAT, frames.NULL, frames.BLOB)


def params(codecs: list[Codec], count: int) -> Trial:
    """EXEC_SQL with ``count`` parameters, the request built and encoded."""
    rng = random.Random(count)
    values = [frames.VALUES[PARAM_TYPES[i % len(PARAM_TYPES)]](rng) for i in range(count)]
    packed = frames.exec_sql(SQL, values)
    calls = max(1, BATCH // max(1, count // 5))

    def build(codec: Codec) -> Run:
        request = codec.messages.ExecSqlRequest

        def run() -> Any:
            for _ in range(calls):
                data = request(0, SQL, values).encode()
            return data

        return run

    def check(candidate: str, result: Any) -> None:
        assert result == packed, f"{candidate}: EXEC_SQL has other bytes than packed"

    return Trial(calls, {codec.name: build(codec) for codec in codecs}, check)
