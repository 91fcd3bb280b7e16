"""Works on rows: reading a stream of pages, one large frame, hostile headers; writing ROWS."""

from __future__ import annotations

import random
import sqlite3
from functools import partial
from typing import Any

import msgpack  # type: ignore[import-untyped]

from bench import frames
from bench.candidates import Codec
from bench.frames import Row, Shape, Table, Types
from bench.measure import Run, Trial

# Every candidate hands out the rows themselves, so nothing lazy is left undone: the
# check wants real lists of real rows, equal to the rows the frames were packed from.


def same_rows(table: Table, name: str, result: Any) -> None:
    assert type(result) is list, f"{name}: rows are a {type(result).__name__}"
    assert list(map(tuple, result)) == table.rows, f"{name}: other rows than packed"


# -- reading ------------------------------------------------------------------------


def read_stream(codec: Codec, pages: list[bytes]) -> Run:
    decoder = codec.wire.MessageDecoder()

    def run() -> list[Any]:
        parts = []
        feed, take = decoder.feed, decoder.decode
        for page in pages:
            feed(page)
            parts.append(take().rows)
            take = decoder.decode_continuation
        return parts

    return run


def read_frame(codec: Codec, data: bytes, **keywords: Any) -> Run:
    decode = partial(codec.wire.decode_message, **keywords)

    def run() -> Any:
        message = decode(data)
        return message.rows

    return run


def read_sqlite(table: Table) -> Run:
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE t ({', '.join(table.names)})")
    marks = ", ".join("?" * len(table.names))
    connection.executemany(f"INSERT INTO t VALUES ({marks})", table.rows)

    def run() -> Any:
        return connection.execute("SELECT * FROM t").fetchall()

    return run


def read_msgpack(table: Table) -> Run:
    data = msgpack.packb(table.rows)

    def run() -> Any:
        return msgpack.unpackb(data, use_list=False)

    return run


def stream(codecs: list[Codec], shape: Shape, count: int) -> Trial:
    table = Table.of(shape, count)
    pages = table.pages()
    runs = {codec.name: read_stream(codec, pages) for codec in codecs}
    runs["sqlite3"] = read_sqlite(table)

    def check(name: str, result: Any) -> None:
        if name != "sqlite3":
            assert len(result) == len(pages)
            assert all(type(part) is list for part in result)
            result = [row for part in result for row in part]
        same_rows(table, name, result)

    return Trial(table.cells, runs, check)


def frame(codecs: list[Codec], shape: Shape, count: int) -> Trial:
    table = Table.of(shape, count)
    data = table.frame()
    for codec in codecs:
        check_types(codec, table, data)
    runs = {codec.name: read_frame(codec, data) for codec in codecs}
    runs["sqlite3"] = read_sqlite(table)
    runs["msgpack"] = read_msgpack(table)

    def check(name: str, result: Any) -> None:
        same_rows(table, name, list(result) if name == "msgpack" else result)

    return Trial(table.cells, runs, check)


def check_types(codec: Codec, table: Table, data: bytes) -> None:
    message = codec.wire.decode_message(data)
    assert [tuple(map(int, types)) for types in message.row_types] == table.types, codec.name
    assert list(message.column_names) == table.names, codec.name


# -- hostile headers ------------------------------------------------------------------

HOSTILE_COLUMNS = 10
HOSTILE_ROWS = 1000


def hostile_table(rng: random.Random, count: int, run_length: int) -> Table:
    """Rows whose signature changes every ``run_length`` rows and never comes back."""
    pairs: list[tuple[Types, Row]] = []
    for _ in range(count // run_length):
        types = tuple(rng.choices(frames.TYPES, k=HOSTILE_COLUMNS))
        pairs += ((types, tuple(frames.VALUES[t](rng) for t in types)) for _ in range(run_length))
    return Table.typed([f"c{i}" for i in range(HOSTILE_COLUMNS)], pairs)


def hostile(run_length: int, codecs: list[Codec], turn: int) -> Trial:
    table = hostile_table(random.Random(f"hostile {run_length} {turn}"), HOSTILE_ROWS, run_length)
    data = table.frame()
    runs = {codec.name: read_frame(codec, data) for codec in codecs}
    return Trial(table.cells, runs, partial(same_rows, table))


def after_flood(codecs: list[Codec], turn: int) -> Trial:
    """An honest signature that comes first after a flood has used up all there is to use up."""
    rng = random.Random(f"flood {turn}")
    flood = hostile_table(rng, 10_000, 20).frame()
    types = tuple(rng.sample((frames.INTEGER, frames.TEXT, frames.FLOAT) * 4, k=12))
    pairs = [(types, tuple(frames.VALUES[t](rng) for t in types)) for _ in range(HOSTILE_ROWS)]
    table = Table.typed([f"c{i}" for i in range(len(types))], pairs)
    data = table.frame()
    for codec in codecs:
        codec.wire.decode_message(flood)
    runs = {codec.name: read_frame(codec, data) for codec in codecs}
    return Trial(table.cells, runs, partial(same_rows, table))


# -- writing --------------------------------------------------------------------------


def write_rows(codec: Codec, table: Table) -> Run:
    message = codec.messages.RowsResponse
    value_type = codec.wire.ValueType
    column_types = [value_type(t) for t in table.types[0]]
    known = {types: [value_type(t) for t in types] for types in set(table.types)}
    row_types = [known[types] for types in table.types]

    def run() -> Any:
        return message(table.names, column_types, row_types, table.rows).encode()

    return run


def write(codecs: list[Codec], shape: Shape, count: int) -> Trial:
    table = Table.of(shape, count)
    data = table.frame()

    def check(name: str, result: Any) -> None:
        assert result == data, f"{name}: other bytes than packed"

    return Trial(table.cells, {codec.name: write_rows(codec, table) for codec in codecs}, check)
