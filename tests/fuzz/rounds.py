"""One batch of fuzzing: some valid frames, and many made from each by damage."""

from __future__ import annotations

import functools
from collections import Counter
from random import Random

from dqlitewire import DecodeError, Limits, MessageDecoder, ProtocolError
from dqlitewire.explain import explain
from dqlitewire.limits import Options
from dqlitewire.rows.tiers import Tiers
from tests.fuzz import checks
from tests.fuzz.frames import WIDTHS, Frame, draw, packed
from tests.fuzz.mutations import damaged, damaged_rows
from tests.wire_data import VECTORS, captures, frames

DAMAGED = 40  # frames made from each valid one
STREAM_CAPS = ("max_rows", "max_total_rows", "max_continuation_frames")
TIGHT = Options(Limits(max_text_value_size=9, max_filename_size=9, max_address_size=9, max_param_count=3))


@functools.cache
def recorded() -> list[tuple[bool, bytes]]:
    """Every frame of the vectors and of the recorded traffic that is no ROWS frame, with its direction."""
    found = {(vector.is_request, vector.data) for vector in VECTORS}
    for capture in captures():
        found |= {(True, frame) for frame in frames(capture.c2s[8:])}
        found |= {(False, frame) for frame in frames(capture.s2c)}
    return sorted((is_request, data) for is_request, data in found if is_request or data[4] != 7)


def batch(rng: Random, counts: Counter[str], sets: tuple[Tiers, ...]) -> None:
    rows_batch(rng, counts, sets)
    if rng.random() < 0.25:
        message_batch(rng, counts)


def rows_batch(rng: Random, counts: Counter[str], sets: tuple[Tiers, ...]) -> None:
    size = rng.random()
    if size < 0.94:
        frame = draw(rng)
    elif size < 0.97:
        frame = draw(rng, WIDTHS, 4000)
    else:
        frame = draw(rng, (1, 2, 3), 4000)
    checks.check_rows(frame.data, checks.expected(frame), sets)
    checks.check_caps(frame.data)
    counts["valid ROWS"] += 1
    stream_batch(frame, rng)
    for _ in range(DAMAGED):
        data = damaged_rows(frame, rng)
        found = checks.check_rows(data, sets=sets)
        counts["damaged"] += 1
        counts[f"damaged ROWS {'accepted' if found[0] == 'rows' else 'refused'}"] += 1
        if rng.random() < 0.1:
            check_tools(data, is_request=False, rng=rng)


def stream_batch(frame: Frame, rng: Random) -> None:
    """Rows of a frame cut into several, of which some are damaged or others, in pieces cut anywhere."""
    count = len(frame.rows)
    cuts = sorted(rng.randrange(count + 1) for _ in range(rng.randrange(6)))
    parts = [
        packed(frame.names, frame.types[a:b], frame.rows[a:b], b < count or rng.random() < 0.1)
        for a, b in zip([0, *cuts], [*cuts, count], strict=True)
    ]
    for _ in range(10):
        frames = [damaged_rows(part, rng) if rng.random() < 0.1 else part.data for part in parts]
        if rng.random() < 0.1:
            frames[rng.randrange(len(frames))] = rng.choice(recorded())[1]
        data = b"".join(frames)
        at = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(4)))
        pieces = [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]
        caps = {cap: rng.randrange(1, 9) for cap in STREAM_CAPS if rng.random() < 0.1}
        if rng.random() < 0.1:
            caps["max_message_size"] = rng.choice(list(map(len, frames))) + rng.choice((-8, 0, 8))
        checks.check_stream(pieces, **{cap: max(value, 1) for cap, value in caps.items()})


def message_batch(rng: Random, counts: Counter[str]) -> None:
    is_request, data = rng.choice(recorded())
    for _ in range(DAMAGED):
        changed = damaged(data, rng)
        found = checks.check_message(changed, is_request)
        checks.check_message(changed, is_request, TIGHT)
        counts["damaged"] += 1
        what = "of no type" if found is None else "refused" if found[0] == "refused" else "accepted"
        counts[f"damaged messages {what}"] += 1
        check_tools(changed, is_request, rng)


def check_tools(data: bytes, is_request: bool, rng: Random) -> None:
    """`explain` raises nothing, and a stream raises only protocol errors, wherever it is cut."""
    span = explain(data, is_request=is_request)
    assert (span.start, span.end) == (0, len(data))
    decoder = MessageDecoder(is_request)
    stream = ((1).to_bytes(8, "little") if is_request else b"") + data
    cut = rng.randrange(len(stream) + 1)
    try:
        for piece in (stream[:cut], stream[cut:]):
            decoder.feed(piece)
            if is_request and decoder.version is None and decoder.decode_handshake() is None:
                continue
            message = decoder.decode()
            if message is not None:
                message.encode()
    except DecodeError as error:
        str(error)
    except ProtocolError as error:
        str(error)
