"""The header walk: the same for every way in which a stream may be cut, and nothing held that need not be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dqlitewire.proxy.walking import Walk
from tests.proxy.peers import frame

HELD = frozenset({1, 3})
frames = st.builds(
    lambda kind, words, fill: frame(kind, bytes([fill]) * 8 * words),
    st.sampled_from([0, 1, 3, 7, 255]),
    st.sampled_from([0, 1, 2, 9]),
    st.integers(0, 255),
)


def fed(walk: Walk, chunks: list[bytes]) -> tuple[bytes, list[bytes], list[int]]:
    """All bytes in order, the frames that were held, and how many bytes had gone on after each chunk."""
    out, held, gone = b"", [], []
    for chunk in chunks:
        for piece, whole in walk.feed(chunk):
            out += piece
            if whole:
                held.append(piece)
        gone.append(len(out))
    return out + walk.end(), held, gone


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({place for place in at if 0 < place < len(data)})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(
    st.lists(frames, max_size=12),
    st.binary(max_size=20),
    st.lists(st.integers(0, 400)),
    st.sampled_from("tae"),
)
def test_any_cut_gives_the_same(stream: list[bytes], rest: bytes, at: list[int], how: str) -> None:
    data = b"".join(stream) + rest
    asked: list[bytes] = []
    ended: list[bytes] = []

    def asks(header: bytes) -> bool:
        assert len(header) == 8
        asked.append(header)
        return header[4] in HELD

    walk = Walk(asks, HELD if how == "t" else None, ended.append if how == "e" else None)
    out, held, _ = fed(walk, cut(data, at))
    assert out == data
    wanted = [one for one in stream if one[4] in HELD]
    assert held[: len(wanted)] == wanted
    headers = [one[:8] for one in stream if how != "t" or one[4] in HELD]
    assert asked[: len(headers)] == headers
    if how == "e":
        passed = [one[-8:] for one in stream if one[4] not in HELD]
        assert ended[: len(passed)] == passed


def test_nothing_waits_but_what_is_held_and_halves_of_headers() -> None:
    for ends in (None, lambda tail: None):
        walk = Walk(lambda header: header[4] == 1, ends=ends)
        passing, held = frame(7, bytes(16)), frame(1, bytes(16))
        chunks = [bytes([byte]) for byte in passing + held + passing]
        out, _, gone = fed(walk, chunks)
        assert out == passing + held + passing
        for number, count in enumerate(gone, 1):
            inside = number if number <= 24 else number - 24 if number <= 48 else number - 48
            whole = (number - 1) // 24 * 24
            waits = inside < 24 if 24 < number <= 48 else inside < 8
            assert count == (whole if waits else number), number


def test_each_frame_is_dealt_with_before_the_next_one_is_asked_for() -> None:
    log: list[object] = []

    def asks(header: bytes) -> bool:
        log.append(("asked", header[4]))
        return header[4] != 7

    walk = Walk(asks, ends=lambda tail: log.append("passed"))
    for piece, whole in walk.feed(frame(1) + frame(7, bytes(8)) + frame(3)):
        log.append((piece[4], whole))
    assert log == [("asked", 1), (1, True), ("asked", 7), (7, False), "passed", ("asked", 3), (3, True)]


def test_a_frame_may_announce_more_than_ever_comes() -> None:
    walk = Walk(lambda header: False)
    head = b"\xff\xff\xff\xff\x07\0\0\0"
    assert list(walk.feed(head)) == [(head, False)]
    assert list(walk.feed(bytes(1000))) == [(bytes(1000), False)]
    assert walk.end() == b""
