"""Linear time: the same work on n and on 4n of something a peer may choose.

Each case gives, for a size, the call to be timed. The peer's aim is to find a size
for which the time grows faster than the bytes; ours must not have one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from bench import frames
from bench.candidates import Codec
from bench.frames import BLOB, INTEGER, ISO8601, ITF3, MIX10, NULL, TEXT, Table, Types
from bench.measure import Run, Trial

Case = Callable[[Codec, int], Run]


def table(signatures: Sequence[Types], run_length: int, count: int, **fixed: Any) -> Table:
    """Rows whose signatures come round in turn, each for ``run_length`` rows."""
    rng = random.Random(count)
    make = frames.VALUES | {t: (lambda rng, v=value: v) for t, value in _by_type(fixed).items()}
    types = [signatures[i // run_length % len(signatures)] for i in range(count)]
    names = [f"c{i}" for i in range(len(signatures[0]))]
    return Table.typed(names, [(t, tuple(make[code](rng) for code in t)) for t in types])


def _by_type(fixed: dict[str, Any]) -> dict[int, Any]:
    return {getattr(frames, name.upper()): value for name, value in fixed.items()}


def decoding(codec: Codec, data: bytes, is_request: bool = False) -> Run:
    codec.wire.decode_message(data, is_request=is_request)
    return partial(codec.wire.decode_message, data, is_request=is_request)


def refusing(codec: Codec, data: bytes) -> Run:
    """The time it takes to say no; anything but an error is a failure of the case."""
    decode, error = codec.wire.decode_message, codec.wire.DecodeError

    def run() -> None:
        try:
            decode(data)
        except error:
            return
        raise AssertionError("a broken frame was accepted")

    return run


def rows_case(signatures: Sequence[Types], run_length: int = 1, per: int = 1, **fixed: Any) -> Case:
    def case(codec: Codec, size: int) -> Run:
        return decoding(codec, table(signatures, run_length, size // per, **fixed).frame())

    return case


def no_marker(codec: Codec, size: int) -> Run:
    data = Table.of(ITF3, size).frame()[8:-8]
    return refusing(codec, frames.frame(frames.ROWS, data))


def no_nul(codec: Codec, size: int) -> Run:
    """Rows of empty texts, then one text that never ends."""
    rows = [frames.row((TEXT,), ("",))] * size
    tail = frames.row_header((TEXT,)) + b"x" * (8 * size)
    return refusing(codec, frames.frame(frames.ROWS, frames.rows_head(["a"]) + b"".join(rows) + tail))


def failure_without_nul(codec: Codec, size: int) -> Run:
    """FAILURE may carry rows in front of its code, so readers search; here is nothing to find."""
    return refusing(codec, frames.frame(frames.FAILURE, b"x" * (8 * size)))


def failure_of_texts(codec: Codec, size: int) -> Run:
    """Every word of this one looks like the start of the record that a reader searches."""
    record = frames.u64(1) + b"x" * (8 * 15)
    data = frames.frame(frames.FAILURE, record * (size // 16) + frames.u64(1) + bytes(16))

    def run() -> None:
        try:
            codec.wire.decode_message(data)
        except codec.wire.DecodeError:
            pass

    return run


def one_row_frames(codec: Codec, size: int) -> Run:
    """A whole run of one-row frames that arrives in one piece."""
    rows = Table.of(ITF3, size)
    heads = [frames.PART] * (size - 1) + [frames.DONE]
    data = b"".join(frames.rows_frame(rows.names, [r], m) for r, m in zip(rows.packed, heads, strict=True))
    decoder = codec.wire.MessageDecoder()

    def run() -> None:
        decoder.feed(data)
        take = decoder.decode
        for _ in range(size):
            assert len(take().rows) == 1
            take = decoder.decode_continuation

    return run


def in_chunks(chunk: int, codec: Codec, size: int) -> Run:
    """One frame that arrives in small chunks, with a look after each of them."""
    rows = Table.of(ITF3, size)
    data = rows.frame()
    chunks = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    decoder = codec.wire.MessageDecoder()

    def run() -> None:
        for item in chunks:
            decoder.feed(item)
            message = decoder.decode()
        assert len(message.rows) == size

    return run


def stream_in_chunks(chunk: int, codec: Codec, size: int) -> Run:
    """A stream of pages cut without regard to frames."""
    data = b"".join(Table.of(ITF3, size).pages())
    chunks = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    decoder = codec.wire.MessageDecoder()

    def run() -> None:
        count, take = 0, decoder.decode
        for item in chunks:
            decoder.feed(item)
            while message := take():
                count += len(message.rows)
                take = decoder.decode_continuation if message.has_more else decoder.decode
        assert count == size

    return run


def param_values(size: int) -> list[Any]:
    rng = random.Random(size)
    return [frames.VALUES[(INTEGER, TEXT, NULL, BLOB)[i % 4]](rng) for i in range(size)]


def decode_params(codec: Codec, size: int) -> Run:
    return decoding(codec, frames.exec_sql("INSERT", param_values(size)), is_request=True)


def encode_params(codec: Codec, size: int) -> Run:
    values = param_values(size)
    request = codec.messages.ExecSqlRequest
    return lambda: request(0, "INSERT", values).encode()


def encode_rows(codec: Codec, size: int) -> Run:
    rows = Table.of(MIX10, size)
    value_type = codec.wire.ValueType
    types = [[value_type(t) for t in row] for row in rows.types]
    response = codec.messages.RowsResponse
    return lambda: response(rows.names, types[0], types, rows.rows).encode()


def decode_texts(codec: Codec, size: int) -> Run:
    """Text after text off the head of one long buffer; a copy of the rest would be quadratic."""
    data = memoryview(frames.text("hello, world") * size)
    decode = import_module(f"{codec.wire.__name__}.types").decode_text

    def run() -> None:
        at = 0
        while at < len(data):
            at += decode(data[at:])[1]

    return run


INT, TXT, ISO, BYTES, NUL = (INTEGER,), (TEXT,), (ISO8601,), (BLOB,), (NULL,)

CASES: dict[str, tuple[int, Case]] = {
    "alternating signatures": (1000, rows_case([INT * 3, INT * 2 + TXT])),
    "alternating, fixed width": (1000, rows_case([INT * 3, INT * 2 + NUL])),
    "runs of 20 rows": (1000, rows_case(MIX10.signatures(), run_length=20)),
    "empty texts": (8000, rows_case([TXT + ISO], text="", iso8601="")),
    "empty blobs": (8000, rows_case([BYTES], blob=b"")),
    "NULL only": (8000, rows_case([NUL])),
    "2000 columns, integers": (20_000, rows_case([INT * 2000], per=2000)),
    "2000 columns, texts": (20_000, rows_case([TXT * 2000], per=2000)),
    "no marker": (1000, no_marker),
    "no NUL": (2000, no_nul),
    "FAILURE without NUL": (2000, failure_without_nul),
    "FAILURE of texts": (2000, failure_of_texts),
    "one-row frames": (200, one_row_frames),
    "one frame in 256-byte chunks": (8000, partial(in_chunks, 256)),
    "stream in 100-byte chunks": (1000, partial(stream_in_chunks, 100)),
    "stream in 1 MiB chunks": (10_000, partial(stream_in_chunks, 1 << 20)),
    "decode n params": (2000, decode_params),
    "encode n params": (2000, encode_params),
    "encode n rows": (1000, encode_rows),
    "texts off a long buffer": (1000, decode_texts),
}


def trial(codec: Codec, name: str, scale: int = 1) -> Trial:
    size, case = CASES[name]
    size *= scale
    return Trial(1, {"n": case(codec, size), "4n": case(codec, 4 * size)}, lambda name, result: None)
