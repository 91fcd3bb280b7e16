"""Ways to damage a frame. Each takes the bytes behind the header and returns others."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from tests.fuzz.frames import CODES, DONE, FIXED, PART, Frame

WORDS = (
    DONE,
    PART,
    bytes(8),
    b"\x11" * 8,
    b"\x33" * 8,
    b"\x01" + bytes(7),
    b"\xff" * 7 + b"\x0f",
    b"\xee" * 7 + b"\x1e",
    b"aaaaaaaa",
    b"\x80" * 8,
)
SIZES = (0, 1, 7, 8, 9, 255, 2**31 - 1, 2**32, 2**62, 2**63 - 8, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1)


def _word(body: bytes, rng: Random) -> int:
    return 8 * rng.randrange(max(len(body) // 8, 1))


def cut(body: bytes, rng: Random) -> bytes:
    return body[: _word(body, rng)]


def cut_before_the_marker(body: bytes, rng: Random) -> bytes:
    return body[: _word(body, rng)] + rng.choice((DONE, PART))


def misalign(body: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(body) + 1)
    shift = rng.randrange(1, 8)
    return body[:at] + bytes(shift) + body[at : len(body) - shift]


def cut_inside_a_word(body: bytes, rng: Random) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def flip(body: bytes, rng: Random) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def retype(body: bytes, rng: Random) -> bytes:
    """Put another nibble somewhere: where it is a header's, the row changes its types."""
    changed = bytearray(body)
    at = min(_word(body, rng) + rng.choice((0, 0, 1, 7)), len(body) - 1)
    changed[at] = changed[at] & 0xF0 | rng.choice(CODES) if rng.random() < 0.7 else rng.randrange(256)
    return bytes(changed)


def insert_a_word(body: bytes, rng: Random) -> bytes:
    at = _word(body, rng)
    return body[:at] + rng.choice(WORDS) + body[at:]


def replace_a_word(body: bytes, rng: Random) -> bytes:
    at = _word(body, rng)
    return body[:at] + rng.choice(WORDS) + body[at + 8 :]


def blow_up_a_length(body: bytes, rng: Random) -> bytes:
    at = _word(body, rng)
    return body[:at] + struct.pack("<Q", rng.choice(SIZES)) + body[at + 8 :]


def remove_words(body: bytes, rng: Random) -> bytes:
    at = _word(body, rng)
    return body[:at] + body[at + 8 * rng.choice((1, 1, 2, 5)) :]


def repeat_a_stretch(body: bytes, rng: Random) -> bytes:
    first, last = sorted((_word(body, rng), _word(body, rng)))
    return body[:last] + body[first:last] * rng.choice((1, 2, 20)) + body[last:]


def swap_words(body: bytes, rng: Random) -> bytes:
    changed = bytearray(body)
    a, b = _word(body, rng), _word(body, rng)
    changed[a : a + 8], changed[b : b + 8] = body[b : b + 8], body[a : a + 8]
    return bytes(changed)


def trail(body: bytes, rng: Random) -> bytes:
    return body + rng.choice((*WORDS, rng.randbytes(8), rng.randbytes(80), body[-80:], b"\0", b"abc"))


def fill_zeros(body: bytes, rng: Random) -> bytes:
    """Take away every NUL from some place on."""
    at = _word(body, rng)
    return body[:at] + body[at:].replace(b"\0", b"z")


def spoil_text(body: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(body))
    return body[:at] + rng.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5", b"\x80")) + body[at + 1 :]


def retype_a_row(frame: Frame, rng: Random) -> bytes:
    """Change one nibble of one row's header, often so that the row keeps its size."""
    number = rng.randrange(len(frame.starts))
    column = rng.randrange(len(frame.types[number]))
    code = frame.types[number][column]
    alike = FIXED if code in FIXED else (3, 10) if code in (3, 10) else CODES
    at = frame.starts[number] + column // 2
    shift = column % 2 * 4
    changed = bytearray(frame.data)
    changed[at] = (
        changed[at] & ~(15 << shift) | rng.choice(alike if rng.random() < 0.8 else range(16)) << shift
    )
    return bytes(changed)


MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    cut,
    cut_before_the_marker,
    misalign,
    cut_inside_a_word,
    flip,
    retype,
    insert_a_word,
    replace_a_word,
    blow_up_a_length,
    remove_words,
    repeat_a_stretch,
    swap_words,
    trail,
    fill_zeros,
    spoil_text,
)


def damaged(data: bytes, rng: Random) -> bytes:
    """A frame with one to three damages; nearly always with a header that agrees with its size."""
    body = data[8:]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if body:
            body = rng.choice(MUTATIONS)(body, rng)
    if len(body) % 8 and rng.random() < 0.9:
        body += bytes(-len(body) % 8)
    head = data[:8] if rng.random() < 0.02 else struct.pack("<I", len(body) // 8) + data[4:8]
    return head + body


def damaged_rows(frame: Frame, rng: Random) -> bytes:
    """A ROWS frame damaged anywhere, or in the header of a row."""
    if not frame.starts or rng.random() < 0.75:
        return damaged(frame.data, rng)
    return retype_a_row(frame, rng)
