"""What fast and plain code must agree on, for one frame. A disagreement is an AssertionError; so is a foreign
exception.

The fast decoders of rows, the tiers and the native one where it was built, are looked at from two sides:
through the public functions, where a refusal of the fast path is settled by the plain one, and at the seam
below, where it is not, so that it cannot hide a mistake.
"""

from __future__ import annotations

import gc
import inspect
import marshal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dqlitewire import DecodeError, Limits, MessageDecoder, ProtocolError, decode_message, speedups
from dqlitewire.caches import Credit
from dqlitewire.declare.decoder import decoder, read_plainly
from dqlitewire.limits import DEFAULT_OPTIONS, Options
from dqlitewire.messages import RowsResponse
from dqlitewire.rows import tiers as rows
from dqlitewire.rows.read import read_names, read_rows_plainly
from dqlitewire.rows.row_types import RowTypes
from tests.fuzz.frames import Frame
from tests.wire_data import REQUESTS, RESPONSES

# What the fast path raises when in doubt; anything else would reach the caller.
DOUBTS = (DecodeError, ValueError, OverflowError, IndexError, struct.error)
UNLIMITED = 1 << 60
Outcome = tuple[Any, ...]


# ---------------------------------------------------------------- the generated tier, forced one way


def hot() -> rows.Tiers:
    """Tiers that compile each signature at its first row."""
    return _tiers(heat=1)


def cold() -> rows.Tiers:
    """Tiers that never compile."""
    return _tiers(heat=UNLIMITED)


class Unlimited(Credit):
    """Credit that is never used up."""

    def spend(self) -> bool:
        return True


def _tiers(heat: int) -> rows.Tiers:
    tiers = rows.Tiers(heat=heat)
    tiers.credit = Unlimited(1, UNLIMITED)
    return tiers


def plans_of(tiers: rows.Tiers) -> list[Any]:
    """What is known of the lengths of texts, for each compiled signature that has any."""
    return [uniform for compiled in tiers.compiled for uniform in compiled.uniform.values() if uniform]


def readers_of(tiers: rows.Tiers) -> list[Any]:
    """The readers that were compiled."""
    return [
        reader for compiled in tiers.compiled for of in compiled.readers.values() for reader in of.values()
    ]


@contextmanager
def using(tiers: rows.Tiers) -> Iterator[None]:
    """Read with these tiers, and not natively."""
    known, rows.tiers = rows.tiers, tiers
    try:
        with native(False):
            yield
    finally:
        rows.tiers = known


@contextmanager
def native(wanted: bool) -> Iterator[None]:
    """Read and write natively, where that was built; or not."""
    before = speedups._use(wanted)
    try:
        yield
    finally:
        speedups._use(before)


@contextmanager
def without_the_fast_path() -> Iterator[None]:
    fast = rows._read_fast
    rows._read_fast = _refuse
    try:
        with native(False):
            yield
    finally:
        rows._read_fast = fast


def _refuse(*_: Any, **__: Any) -> Any:
    raise DecodeError("switched off")


# ---------------------------------------------------------------- outcomes


def contents(types: Any, values: list[tuple[Any, ...]], more: bool) -> bytes:
    """Types and values as bytes: equal only if every value has the same type and bits."""
    assert type(values) is list
    assert all(type(row) is tuple for row in values)
    assert len(types) == len(values)
    return marshal.dumps(([tuple(map(int, row)) for row in types], values, more), 2)


def refusal(error: DecodeError) -> Outcome:
    return "refused", type(error), str(error), error.path, error.offset, error.limit


def outcome(data: bytes, **caps: Any) -> Outcome:
    """What the public decoder says of a ROWS frame."""
    try:
        message = decode_message(data, **caps)
    except DecodeError as error:
        return refusal(error)
    assert isinstance(message, RowsResponse)
    assert list(message.column_types) == list(message.row_types[0] if message.rows else ())
    return "rows", message.column_names, contents(message.row_types, message.rows, message.has_more)


def expected(frame: Frame) -> Outcome:
    return "rows", frame.names, contents(frame.types, frame.rows, frame.more)


# ---------------------------------------------------------------- rows


def at_the_seam(data: bytes) -> tuple[list[Outcome], Outcome]:
    """The fast and the plain reader of rows, each left to itself, on a frame with default caps.

    The fast one is given the frame with the zeros behind it that it wants, and without, as large rows are
    read.
    """
    options, end = DEFAULT_OPTIONS, len(data)
    try:
        names, pos = read_names(data, end, options)
    except DecodeError as error:
        return [], refusal(error)
    plain: Outcome
    try:
        plain = ("rows", contents(*read_rows_plainly(data, pos, end, len(names), options)))
    except DecodeError as error:
        plain = refusal(error)
    if not names:
        return [], plain
    given: dict[str, Any] = {"pos": pos, "end": end, "count": len(names), "options": options}
    frames = [{"frame": data + rows.PADDING, "padded": True}, {"frame": data, "padded": False}]
    taken = inspect.signature(rows._read_fast).parameters
    found: list[Outcome] = []
    for frame in frames[: 2 if "padded" in taken else 1]:
        known = given | frame
        arguments = {name: known[name] for name in taken}
        try:
            found.append(("rows", contents(*rows._read_fast(**arguments))))
        except DOUBTS:
            found.append(("in doubt",))
    return found, plain


def natively_at_the_seam(data: bytes) -> Outcome | None:
    """What the native reader of rows makes of a frame, left to itself; None where it was not built."""
    if speedups.native is None:
        return None
    end = len(data)
    try:
        names, pos = read_names(data, end, DEFAULT_OPTIONS)
    except DecodeError:
        return None
    found = speedups.native.read_rows(data, pos, end, len(names))
    if found is None:
        return ("in doubt",)
    runs, values, more = found
    assert type(runs) is list
    assert all(type(run) is tuple for run in runs)
    assert not any(map(gc.is_tracked, values)), "rows are left to the garbage collector"
    return "rows", contents(RowTypes(runs, len(values)), values, more)


def check_rows(data: bytes, wanted: Outcome | None = None, sets: tuple[rows.Tiers, ...] = ()) -> Outcome:
    """Hold the tiers as they are, and others given, against the plain reader; return what it says.

    A frame that must be accepted is read again and again: what one reading compiled and learned, the next one
    uses.
    """
    with without_the_fast_path():
        plain = outcome(data)
    assert wanted is None or plain == wanted, f"plain: {brief(plain)}, wanted: {brief(wanted)}"
    whole = (
        len(data) >= 8 and len(data) == 8 + 8 * int.from_bytes(data[:4], "little") and data[4:6] == b"\x07\0"
    )
    for tiers in (rows.tiers, *sets):
        with using(tiers):
            for _ in range(1 if wanted is None else 2):
                found = outcome(data)
                assert found == plain, f"found: {brief(found)}, plain: {brief(plain)}"
                if whole:
                    seen, slow = at_the_seam(data)
                    right = slow if slow[0] == "rows" else ("in doubt",)
                    assert all(fast == right for fast in seen), (
                        f"{list(map(brief, seen))}, plain: {brief(slow)}"
                    )
    check_natively(data, plain, whole)
    return plain


def check_natively(data: bytes, plain: Outcome, whole: bool) -> None:
    """Hold the native reader, where it was built, against what the plain one says."""
    with native(True):
        found = outcome(data)
    assert found == plain, f"native: {brief(found)}, plain: {brief(plain)}"
    seen = natively_at_the_seam(data) if whole else None
    if seen is not None and plain[1] != []:  # without columns there is nothing to be read natively
        right = plain[0] == "rows"
        assert (seen[0] == "rows") is right, f"native: {brief(seen)}, plain: {brief(plain)}"
        assert not right or seen[1] == plain[2]


def stream_outcome(pieces: list[bytes], **caps: Any) -> list[Outcome]:
    """What a decoder says of a row stream that comes in pieces, and how it stands behind that."""
    decoder = MessageDecoder(**caps)
    found: list[Outcome] = []
    decode: Any = decoder.decode
    try:
        for piece in pieces:
            decoder.feed(piece)
            while (message := decode()) is not None:
                more = type(message) is RowsResponse and message.has_more
                decode = decoder.decode_continuation if more else decoder.decode
                found.append(
                    ("rows", message.column_names, contents(message.row_types, message.rows, more))
                    if type(message) is RowsResponse
                    else fields_of(message)
                )
    except DecodeError as error:
        found.append(refusal(error))
    except ProtocolError as error:
        found.append(("refused", type(error), str(error)))
    return [*found, (decoder.is_poisoned, decoder.available())]


def check_stream(pieces: list[bytes], **caps: Any) -> list[Outcome]:
    """Hold what a decoder says of a stream natively against what it says in Python."""
    with native(False):
        wanted = stream_outcome(pieces, **caps)
    with native(True):
        found = stream_outcome(pieces, **caps)
    assert found == wanted, f"native: {brief(tuple(found))}, pure: {brief(tuple(wanted))}"
    return wanted


def brief(found: Outcome) -> str:
    text = repr(found)
    return text if len(text) < 300 else f"{text[:100]}... ({len(text)} characters)"


def check_caps(data: bytes) -> None:
    """Hold both decoders against each other on either side of the caps that this frame meets."""
    with without_the_fast_path():
        try:
            message = decode_message(data)
        except DecodeError:
            return
    assert isinstance(message, RowsResponse)
    values = [value for row in message.rows for value in row]
    texts = [len(value.encode()) for value in values if isinstance(value, str)]
    blobs = [len(value) for value in values if isinstance(value, bytes)]
    for cap, size in (
        ("max_rows", len(message.rows)),
        ("max_text_value_size", max(texts, default=0)),
        ("max_blob_size", max(blobs, default=0)),
        ("max_column_name_size", max((len(name.encode()) for name in message.column_names), default=0)),
        ("max_column_count", len(message.column_names)),
    ):
        for allowed in (size - 1, size, size + 1):
            if allowed > 0:
                limits = Limits(**{cap: allowed})
                with without_the_fast_path():
                    plain = outcome(data, limits=limits)
                for natively in (False, True):
                    with native(natively):
                        assert outcome(data, limits=limits) == plain
                assert (plain[0] == "refused") == (allowed < size), (cap, allowed, brief(plain))
                assert plain[0] == "rows" or plain[-1] == allowed


# ---------------------------------------------------------------- other messages


def fields_of(message: Any) -> Outcome:
    return "message", type(message), repr([getattr(message, name) for name in type(message).__slots__])


def check_message(data: bytes, is_request: bool, options: Options = DEFAULT_OPTIONS) -> Outcome | None:
    """Hold a message's generated decoder against the plain one; None if the header names no message."""
    known: dict[Any, Any] = {**(REQUESTS if is_request else RESPONSES)}
    cls = known.get(data[4]) if len(data) >= 8 else None
    if cls is None or cls is RowsResponse or data[5] not in cls.SCHEMAS:
        return None
    found: list[Outcome] = []
    for read in (read_plainly, lambda cls, schema, *rest: decoder(cls, schema)(*rest)):
        try:
            found.append(fields_of(read(cls, data[5], data, len(data), options)))
        except DecodeError as error:
            found.append(refusal(error))
    plain, fast = found
    assert fast == plain, f"generated: {brief(fast)}, plain: {brief(plain)}"
    return plain
