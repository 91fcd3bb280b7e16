"""Messages between nodes: every recorded one, what can be made by hand, and what is damaged."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import DecodeError, EncodeError, PoisonedError
from dqlitewire.raft import (
    AppendEntries,
    AppendEntriesResult,
    Barrier,
    Checkpoint,
    Configuration,
    ConfigurationNode,
    Database,
    Entry,
    EntryType,
    Frames,
    InstallSnapshot,
    Open,
    RaftMessage,
    RaftReader,
    RaftRole,
    RaftType,
    RequestVote,
    RequestVoteResult,
    Snapshot,
    TimeoutNow,
    Undo,
    decode_message,
    explain_message,
    frame_size,
    raft_type_name,
)
from tests.raft.recorded import CONNECTIONS, FRAMES, Recorded

by_name = pytest.mark.parametrize("recorded", CONNECTIONS, ids=lambda one: one.name)


# ---- recorded connections


@by_name
def test_every_recorded_message_encodes_to_its_bytes(recorded: Recorded) -> None:
    reader = RaftReader()
    reader.feed(recorded.data)
    frames = list(reader.frames())
    assert frames == recorded.frames
    assert reader.available() == 0
    assert [decode_message(frame).encode() for frame in frames] == frames
    assert [decode_message(frame).TYPE for frame in frames] == [word for _, word, _, _ in recorded.messages]


@by_name
def test_bytes_may_come_one_by_one(recorded: Recorded) -> None:
    reader, frames = RaftReader(), []
    for at in range(len(recorded.data)):
        reader.feed(recorded.data[at : at + 1])
        if at % 4096 < 128 or len(recorded.data) - at < 128 or at % 8 == 7:
            frames += list(reader.frames())
    assert frames == recorded.frames
    assert reader.offset == len(recorded.data)


@by_name
def test_the_parts_of_a_message_cover_it(recorded: Recorded) -> None:
    for frame in recorded.frames:
        span = explain_message(frame)
        assert span.error is None
        assert span.name == raft_type_name(frame[0])
        ends = [0, *(part.end for part in span.children)]
        assert [part.start for part in span.children] == ends[:-1]
        assert ends[-1] == len(frame)


def test_all_messages_and_what_they_carry_were_recorded() -> None:
    messages = [decode_message(frame) for frame in FRAMES]
    assert {message.TYPE for message in messages} == set(RaftType)
    carried = {e.type for m in messages if isinstance(m, AppendEntries) for e in m.entries}
    assert carried == set(EntryType)


@pytest.mark.parametrize(
    ("server", "type_", "field", "values"),
    [
        ("1.11.1", RaftType.APPEND_ENTRIES_RESULT, "features", {None}),
        ("1.18.7", RaftType.APPEND_ENTRIES_RESULT, "features", {0}),
        ("1.11.1", RaftType.REQUEST_VOTE, "pre_vote", {True, False}),
        ("1.18.7", RaftType.REQUEST_VOTE, "disrupt_leader", {True, False}),
        ("1.18.7", RaftType.REQUEST_VOTE_RESULT, "pre_vote", {True, False}),
    ],
)
def test_layouts_of_the_servers(server: str, type_: RaftType, field: str, values: set[object]) -> None:
    of = [decode_message(frame) for one in CONNECTIONS if one.server == server for frame in one.frames]
    assert {getattr(message, field) for message in of if type_ == message.TYPE} == values


def test_a_snapshot_has_a_word_less_from_1_18_7_on() -> None:
    def snapshot(server: str) -> InstallSnapshot:
        of = (decode_message(frame) for one in CONNECTIONS if one.server == server for frame in one.frames)
        return next(message for message in of if isinstance(message, InstallSnapshot))

    old, new = snapshot("1.11.1"), snapshot("1.18.7")
    assert old.last_word is not None
    assert new.last_word is None
    assert [(one.name, one.main_size % 4096, one.wal_size % 4120) for one in old.snapshot.databases] == [
        ("example", 0, 32)
    ]
    assert [(one.main_size, one.wal_size) for one in new.snapshot.databases] == [(12288, 0)]
    assert [node.role for node in new.configuration.nodes] == [RaftRole.VOTER] * 3


# ---- cowsql's layouts, as its servers write them (hex recorded from cowsql 1.15.9)


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (
            """0200020000000000 2000000000000000 0100000000000000 0200000000000000 0000000000000000
            0100004000000000""",
            {"rejected": 2, "features": 1, "capacity": 0x4000, "version": 2},
        ),
        (
            "0400020000000000 1800000000000000 0300000000000000 0100000000000000 01000100e35f0000",
            {"vote_granted": True, "pre_vote": True, "features": 1, "capacity": 0x5FE3},
        ),
        (
            """0300020000000000 2800000000000000 0300000000000000 0100000000000000 0b00000000000000
            0200000000000000 0200000000000000""",
            {"candidate_id": 1, "pre_vote": True, "disrupt_leader": False},
        ),
    ],
)
def test_cowsql_writes_a_version_and_more_in_the_last_word(
    recorded: str, expected: dict[str, object]
) -> None:
    data = bytes.fromhex(recorded)
    message = decode_message(data)
    assert {name: getattr(message, name) for name in expected} == expected
    assert message.encode() == data


# ---- by hand


U64 = st.integers(0, 2**64 - 1)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
UNUSED = st.binary(max_size=40)


def whole_words(size: int) -> st.SearchStrategy[bytes]:
    return st.integers(0, size).flatmap(lambda n: st.binary(min_size=8 * n, max_size=8 * n))


@st.composite
def frames(draw: st.DrawFn) -> Frames:
    size = draw(st.sampled_from([8, 16, 512]))
    numbers = draw(st.lists(U64, max_size=3))
    pages = [draw(st.binary(min_size=size, max_size=size)) for _ in numbers]
    flags = draw(st.booleans())
    return Frames(draw(NAMES), draw(U64), draw(st.integers(0, 2**32 - 1)), flags, size, numbers, pages)


NODES = st.builds(ConfigurationNode, U64, NAMES, st.sampled_from(RaftRole))
CONFIGURATIONS = st.builds(Configuration, st.lists(NODES, max_size=4), unused=UNUSED)
DATA = st.one_of(
    frames(),
    CONFIGURATIONS,
    st.builds(Open, NAMES, unused=UNUSED),
    st.builds(Undo, U64, unused=UNUSED),
    st.builds(Checkpoint, NAMES),
    st.builds(Barrier, unused=whole_words(3)),
)
DATABASES = st.builds(Database, NAMES, whole_words(4), whole_words(4), unused=UNUSED)
VERSIONS = st.sampled_from([0, 2])
LAST = st.none() | U64
MESSAGES = st.one_of(
    st.builds(
        AppendEntries,
        U64,
        st.integers(0, 2**63),
        U64,
        U64,
        st.lists(st.builds(Entry, U64, DATA), max_size=4),
        version=VERSIONS,
        unused=UNUSED,
    ),
    st.builds(AppendEntriesResult, U64, U64, U64, LAST, version=VERSIONS),
    st.builds(RequestVote, U64, U64, U64, U64, LAST, version=VERSIONS),
    st.builds(RequestVoteResult, U64, st.booleans(), LAST, version=VERSIONS),
    st.builds(TimeoutNow, U64, U64, U64, version=VERSIONS),
    st.builds(
        InstallSnapshot,
        U64,
        U64,
        U64,
        U64,
        CONFIGURATIONS,
        st.builds(Snapshot, st.lists(DATABASES, max_size=3)),
        last_word=LAST,
    ),
)


@given(MESSAGES)
def test_what_is_made_by_hand_comes_back(message: RaftMessage) -> None:
    data = message.encode()
    assert len(data) % 8 == 0
    assert frame_size(data, max_payload_size=None) == len(data)
    again = decode_message(data)
    assert again == message
    assert again.encode() == data


@given(st.lists(MESSAGES, max_size=5), st.integers(1, 100))
def test_a_stream_in_any_pieces(messages: list[RaftMessage], size: int) -> None:
    data = b"".join(message.encode() for message in messages)
    reader, found = RaftReader(), []
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
        found += [decode_message(frame) for frame in reader.frames()]
    assert found == messages


def test_indexes_are_those_of_the_places() -> None:
    message = AppendEntries(2, 10, 2, 9, [Entry(2, Barrier()), Entry(2, Undo(1), 12)])
    assert [entry.index for entry in message.entries] == [11, 12]
    assert [entry.type for entry in message.entries] == [EntryType.BARRIER, EntryType.COMMAND]
    with pytest.raises(EncodeError, match=r"got index 11, 12 is its place"):
        AppendEntries(2, 10, 2, 9, [Entry(2, Barrier()), Entry(2, Undo(1), 11)])


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: AppendEntries(1, 0, 0, 0, [Barrier()]), "Entry is needed"),
        (lambda: Entry(1, b"data"), "a command, barrier or configuration is needed"),
        (lambda: Frames("db", page_numbers=[1], pages=[]), "got 0 pages, 1 are numbered"),
        (lambda: Frames("db", page_numbers=[1], pages=[b"x"]), "got 1 bytes, pages have 4096"),
        (lambda: Configuration([1]), "ConfigurationNode is needed"),
        (lambda: ConfigurationNode(1, "a", 3), "got 3, allowed 0 to 2"),
        (lambda: ConfigurationNode(1, "a\0b", 1).encode(), "without NUL"),
        (lambda: RequestVoteResult(1, 2), "got 2, allowed 0 to 1"),
        (lambda: TimeoutNow(-1, 0, 0), "got -1, allowed 0 to"),
        (lambda: InstallSnapshot(1, 1, 1, 1, Configuration([]), b""), "Snapshot is needed"),
        (lambda: Open("\udc80").encode(), "lone surrogate"),
        (lambda: Barrier(unused="x"), "bytes are needed"),
        (lambda: AppendEntries(1, 0, 0, 0, [Entry(1, Barrier(unused=b"123"))]).encode(), "whole words"),
    ],
)
def test_what_cannot_be_a_message_is_refused(make: Callable[[], Any], problem: str) -> None:
    with pytest.raises(EncodeError, match=problem):
        make()


# ---- damage


def damaged(frame: bytes, rng: random.Random) -> bytes:
    match rng.randrange(4):
        case 0:
            return frame[: rng.randrange(len(frame))]
        case 1:
            at = 8 * rng.randrange(len(frame) // 8)
            word = rng.choice([0, 1, 2, 7, 2**16, 2**31, 2**32, 2**62, 2**63, 2**64 - 1])
            return frame[:at] + word.to_bytes(8, "little") + frame[at + 8 :]
        case 2:
            changed = bytearray(frame)
            for _ in range(rng.choice((1, 1, 8))):
                changed[min(rng.randrange(len(frame)), rng.randrange(256))] ^= 1 << rng.randrange(8)
            return bytes(changed)
        case _:
            at = 8 * rng.randrange(len(frame) // 8 + 1)
            return frame[:at] + rng.randbytes(8) + frame[at:]


@pytest.mark.parametrize("seed", range(20))
def test_damage_gives_decode_errors_and_whole_explanations(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(300):
        data = damaged(rng.choice(FRAMES), rng)
        span = explain_message(data)
        assert span.end == len(data)
        if span.children:
            assert span.children[-1].end == len(data)
        try:
            message = decode_message(data)
        except DecodeError:
            assert span.error is not None or not data.isascii()  # it shows names that are not UTF-8
        else:
            assert message.encode() == data


@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_stream_ends_in_one_error_and_stays_ended(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        frames_ = [
            damaged(frame, rng) if rng.random() < 0.2 else frame for frame in rng.choices(FRAMES, k=20)
        ]
        reader = RaftReader()
        reader.feed(b"".join(frames_))
        try:
            taken = sum(map(len, reader.frames()))
        except DecodeError as error:
            at = error.offset or 0
        else:
            assert reader.offset == taken
            continue
        assert at >= reader.offset
        with pytest.raises(PoisonedError):
            reader.next_frame()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x07" + bytes(15), "no message between nodes has it"),
        (b"\x01\x01" + bytes(14), "no message between nodes has it"),
        (b"\x01" + bytes(15), "got a header of 0 bytes, at least 48 allowed"),
        (b"\x02" + bytes(7) + (25).to_bytes(8, "little"), "got a header of 25 bytes, 24 or 32 allowed"),
        (b"\x01" + bytes(7) + (48 + 16 * 2**20).to_bytes(8, "little"), "at most 4194304"),
        (
            b"\x01" + bytes(7) + (48).to_bytes(8, "little") + bytes(32) + b"\1" + bytes(15),
            "got 1 entries in a header of 48",
        ),
        (
            b"\x05" + bytes(7) + (48).to_bytes(8, "little") + bytes(40) + b"\xff" * 8,
            "got a payload of 18446744073709551615 bytes, at most 524288000",
        ),
    ],
)
def test_no_message_begins_so(data: bytes, problem: str) -> None:
    with pytest.raises(DecodeError, match=problem):
        frame_size(data)


def test_many_entries_are_read_in_time_that_grows_with_them() -> None:
    message = AppendEntries(1, 0, 0, 0, [Entry(1, Barrier())] * 100_000, unused=b"\1" * 300_008)
    data = message.encode()
    again = decode_message(data)
    assert again.encode() == data
    assert len(explain_message(data).children) > 200_000


@pytest.mark.parametrize("size", range(1, 18))
def test_an_address_of_any_length_is_explained(size: int) -> None:
    nodes = [
        ConfigurationNode(1, "a" * size, RaftRole.VOTER),
        ConfigurationNode(2, "b" * size, RaftRole.SPARE),
    ]
    span = explain_message(AppendEntries(1, 2, 1, 2, [Entry(1, Configuration(nodes))]).encode())
    assert span.error is None
    assert [one.value for one in span.children if one.name == "address"] == ["a" * size, "b" * size]
