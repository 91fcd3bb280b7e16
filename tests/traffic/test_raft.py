"""What nodes say to each other, from every source and in every view, on recorded clusters."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dqlitewire import NodeInfo, NodeRole
from dqlitewire.conversation import Garbage, Observer, RaftFrame, Side
from dqlitewire.messages import ServersResponse
from dqlitewire.proxy.recording import Recorder
from dqlitewire.raft import (
    MESSAGES,
    AppendEntries,
    Configuration,
    ConfigurationNode,
    Entry,
    Frames,
    RaftRole,
    decode_message,
    frame_size,
)
from dqlitewire.traffic import open_source
from dqlitewire.traffic.item import RAFT_TYPES, Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.raft_redact import redact_raft
from dqlitewire.traffic.views.json_object import json_object
from dqlitewire.traffic.views.line import Clock, line
from dqlitewire.traffic.views.tree import hexdump, tree
from tests.raft.recorded import FRAMES, INDEX
from tests.traffic import wire
from tests.traffic.between_nodes import SERVERS, addresses, behind_connect, connections, data_of, packets
from tests.traffic.command import run

ALL = INDEX["connections"]
NAMES = [told["file"] for told in ALL]


def wanted(told: dict[str, Any], begin: int = 0) -> list[tuple[int, int]]:
    """Offset and size of each message that begins at or behind a place of a connection."""
    return [(at, 16 + header + payload) for at, _, header, payload in told["messages"] if at >= begin]


def seen(data: bytes, step: int, **options: Any) -> list[Any]:
    """The events of what a client sent, in pieces."""
    observer, events = Observer(**options), []
    for at in range(0, len(data), step):
        events += observer.receive(Side.CLIENT, data[at : at + step], 1.0)
    return events + observer.finish(2.0)


def messages(events: list[Any], base: int = 0) -> list[tuple[int, int]]:
    return [(event.offset + base, event.size) for event in events if isinstance(event, RaftFrame)]


def told(stream: Any) -> list[dict[str, Any]]:
    return [json_object(item) for item in stream if item.type in RAFT_TYPES]


# ---- cutting


@pytest.mark.parametrize("connection", ALL, ids=NAMES)
def test_every_message_is_cut_wherever_the_stream_is(connection: dict[str, Any]) -> None:
    data, begin = data_of(connection), behind_connect(connection)
    for step in (len(data), 4096, 97, 1)[: 4 if len(data) < 20_000 else 3]:
        events = seen(data, step)
        assert messages(events) == wanted(connection)
        assert all(event.message is not None for event in events if isinstance(event, RaftFrame))
        assert not [event for event in events if isinstance(event, Garbage)]
    assert messages(seen(data[begin:], 1000, raft=True), begin) == wanted(connection)


@pytest.mark.parametrize("connection", ALL, ids=NAMES)
def test_a_connection_that_is_joined_is_recognised(connection: dict[str, Any]) -> None:
    data, begin = data_of(connection), behind_connect(connection)
    ends = [at + size for at, size in wanted(connection)]
    for cut in {begin, begin + 1, begin + 24, *ends[:5]} - {len(data)}:
        for step in (len(data), 333):
            assert messages(seen(data[cut:], step, midstream=True), cut) == wanted(connection, cut)


@pytest.mark.parametrize("connection", ALL[:4], ids=NAMES[:4])
def test_damage_costs_what_it_hits(connection: dict[str, Any]) -> None:
    data, rng = bytearray(data_of(connection)), random.Random(connection["file"])
    places = wanted(connection)
    at, size = places[len(places) // 2]
    hit = bytearray(data)
    hit[at] = 0x77  # no type: what follows is searched for
    assert messages(seen(bytes(hit), 500)) == [place for place in places if place[0] != at]
    inside = bytearray(data)
    inside[at + 16 : at + size] = bytes(rng.randbytes(size - 16))
    cut = messages(seen(bytes(inside), 500))
    assert cut[: len(places) // 2] == places[: len(places) // 2]
    assert set(places[len(places) // 2 + 1 :]) <= set(cut)


def test_mutated_streams_raise_nothing_and_lose_no_byte() -> None:
    rng = random.Random(1)
    source = data_of(min(ALL, key=lambda one: abs(len(data_of(one)) - 12_000)))
    for _ in range(60):
        data = bytearray(source)
        for _ in range(rng.randrange(1, 30)):
            data[rng.randrange(72, len(data))] = rng.choice((0, 1, 5, 255, rng.randrange(256)))
        events = seen(bytes(data), rng.choice((50, 999, len(data))), midstream=rng.random() < 0.5)
        parts = [event.data for event in events if hasattr(event, "data")]
        assert b"".join(parts) == bytes(data)


def test_a_gap_costs_the_message_that_it_is_in() -> None:
    connection = max(ALL, key=lambda one: len(one["messages"]))
    data, places = data_of(connection), wanted(connection)
    at, size = max(places, key=lambda place: place[1])
    observer = Observer()
    events = observer.receive(Side.CLIENT, data[: at + 40], 1.0)
    events += observer.receive_gap(Side.CLIENT, 100)
    events += observer.receive(Side.CLIENT, data[at + 140 :], 2.0)
    events += observer.finish()
    whole = [
        (event.offset, event.size) for event in events if isinstance(event, RaftFrame) and not event.damaged
    ]
    assert whole == [place for place in places if place[0] != at] or size < 140
    observer = Observer()
    events = observer.receive(Side.CLIENT, data[: at + 40], 1.0)
    events += observer.receive_gap(Side.CLIENT)
    events += observer.receive(Side.CLIENT, data[at + size // 2 :], 2.0) + observer.finish()
    assert len(messages(events)) >= len(places) - 2  # what stands in front, and all behind


def test_a_message_above_the_cap_is_counted_and_not_kept() -> None:
    page = bytes(32768)
    entry = Entry(1, Frames("db", page_size=32768, page_numbers=[1], pages=[page]))
    head = AppendEntries(1, 0, 0, 0, [entry]).encode()
    size = 70 << 20
    grown = bytearray(head[: 16 + 48 + 16])
    grown[0x44:0x48] = size.to_bytes(4, "little")
    observer, events = Observer(raft=True), []
    events += observer.receive(Side.CLIENT, bytes(grown), 1.0)
    for _ in range(size >> 20):
        events += observer.receive(Side.CLIENT, bytes(1 << 20), 2.0)
        assert observer.held < 2 << 20
    events += observer.receive(Side.CLIENT, head, 3.0)
    first, second = (event for event in events if isinstance(event, RaftFrame))
    assert (first.size, first.message, first.end) == (len(grown) + size, None, 2.0)
    assert (second.data, second.offset) == (head, first.size)


# ---- sources


@pytest.fixture(scope="module", params=SERVERS)
def session(request: pytest.FixtureRequest) -> tuple[str, list[tuple[int, bytes]]]:
    return request.param, packets(request.param)


def test_all_connections_of_a_cluster_in_a_capture(session: tuple[str, Any], tmp_path: Path) -> None:
    server, captured = session
    shown = list(items(open_source(wire.pcap(captured, nanoseconds=True))))
    by_number: dict[int, list[tuple[int, int]]] = {}
    for item in shown:
        if item.type in RAFT_TYPES:
            by_number.setdefault(item.connection.number, []).append((item.offset, item.size))
    assert sorted(by_number.values()) == sorted(wanted(one) for one in connections(server))
    assert not [item for item in shown if item.strange or item.type in ("UNANSWERED", "GAP")]

    capture, copy = tmp_path / "session.pcap", tmp_path / "session.dqt"
    capture.write_bytes(wire.pcap(captured, nanoseconds=True))
    assert run("decode", capture, "-w", copy).code == 0
    direct, again = (run("decode", "--json", source) for source in (capture, copy))
    assert (direct.code, again.code) == (0, 0)
    assert _lines(direct.out) == _lines(again.out)
    for written in copy.read_text().splitlines():
        if '"APPEND_ENTRIES"' in written:
            assert json.loads(written)["fields"]["entries"] is not None
            break
    else:
        raise AssertionError("no message in the transcript")


def _lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_capture_that_begins_inside(session: tuple[str, Any]) -> None:
    server, captured = session
    begin = captured[len(captured) // 3][0]
    later = [one for one in captured if one[0] > begin]
    shown = [
        one for one in items(open_source(wire.pcap(captured, nanoseconds=True))) if one.type in RAFT_TYPES
    ]
    whole = told(shown)
    ports = [int(address.rpartition(":")[2]) for address in addresses(server).values()]
    for options in ({}, {"ports": ports}):
        inside = told(items(open_source(wire.pcap(later, nanoseconds=True), **options)))
        fields = Counter(json.dumps(one["fields"]) for one in inside)
        assert not fields - Counter(json.dumps(one["fields"]) for one in whole)
        missing = sum(one.time > begin for one in shown) - sum(fields.values())
        assert missing <= (3 if not options else 0)


def test_an_interrupt_leaves_a_message_to_be_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    data = data_of(ALL[0])
    frame = next(event for event in seen(data, len(data)) if isinstance(event, RaftFrame))
    with monkeypatch.context() as patch:
        patch.setattr("dqlitewire.raft.decode_message", interrupt)
        with pytest.raises(KeyboardInterrupt):
            _ = frame.message
    assert frame.message is not None
    assert frame.error is None


@pytest.mark.parametrize(
    "options", [(), ("--redact",), ("--type", "CONNECT,APPEND_ENTRIES_RESULT,REQUEST_VOTE")], ids=str
)
def test_what_is_written_reads_back(options: tuple[str, ...], tmp_path: Path) -> None:
    """Damage, losses in the capture, hidden values and a selection included."""
    captured = packets("1.18.7")
    rng = random.Random(7)
    lost = set(rng.sample(range(len(captured)), 3))
    whole, partial = tmp_path / "a.pcap", tmp_path / "b.pcap"
    whole.write_bytes(wire.pcap(captured, nanoseconds=True))
    partial.write_bytes(
        wire.pcap([one for at, one in enumerate(captured) if at not in lost], nanoseconds=True)
    )
    damaged = bytearray(data_of(ALL[-1]))
    for _ in range(6):
        damaged[rng.randrange(80, len(damaged))] ^= 0x41
    raw = tmp_path / "c.bin"
    raw.write_bytes(damaged)
    for number, source in enumerate((whole, partial, raw)):
        copy = tmp_path / f"{number}.dqt"
        assert run("decode", *options, "-w", copy, source).out == ""
        for view in ("--json", "--no-fold"):
            assert run("decode", view, *options, source).out == run("decode", view, copy).out


def test_what_a_proxy_recorded(tmp_path: Path) -> None:
    told = connections("1.18.7")[0]
    data, path = data_of(told), tmp_path / "proxy.dqt"
    recorder = Recorder(path)
    recorder.opened(1, "10.0.0.1:4000", "10.0.0.2:9001", 10**18)
    for at in range(0, len(data), 1000):
        recorder.passed(1, Side.CLIENT, data[at : at + 1000], 10**18 + at)
    recorder.ended(1, None, 2 * 10**18)
    recorder.close()
    shown = [one for one in _lines(run("decode", "--json", path).out) if one["type"] in RAFT_TYPES]
    assert [(one["offset"], one["size"]) for one in shown] == wanted(told)


@pytest.mark.parametrize("connection", ALL, ids=NAMES)
def test_raw_streams_with_and_without_a_beginning(connection: dict[str, Any], tmp_path: Path) -> None:
    data, begin = data_of(connection), behind_connect(connection)
    for cut, arguments in ((0, ()), (begin, ()), (begin, ("--direction", "raft"))):
        file = tmp_path / f"{cut}.bin"
        file.write_bytes(data[cut:])
        if len(data) == begin:
            continue
        done = run("decode", "--json", *arguments, file)
        assert done.code == 0, done.err
        found = [one for one in _lines(done.out) if one["type"] in RAFT_TYPES]
        assert [(one["offset"] + cut, one["size"]) for one in found] == wanted(connection)


# ---- views


def test_fields_and_lines_of_every_message() -> None:
    kinds = set()
    for frame in FRAMES:
        item = _item(frame)
        message = item.raft_message
        assert message is not None
        shown = json_object(item)
        kinds.add(shown["type"])
        fields = shown["fields"]
        assert fields["term"] == message.term  # type: ignore[attr-defined]
        for entry in fields.get("entries", ()):
            assert set(entry) == {"index", "term", "type", "command"}
            assert (entry["command"] is None) == (entry["type"] == "BARRIER")
            if entry["type"] == "CHANGE":
                assert {node["role"] for node in entry["command"]["configuration"]} <= {
                    "VOTER",
                    "STANDBY",
                    "SPARE",
                }
        for width in (40, 80, 132):
            for row in str(line(item, Clock("none"), width)).split("\n"):
                assert len(row) <= width
        span = item.spans()
        assert span is not None
        assert span.error is None
        assert list(tree(span))
        assert list(hexdump(item.data, span))
    assert kinds == RAFT_TYPES


def test_a_role_has_the_name_of_its_number_on_that_side() -> None:
    nodes = [ConfigurationNode(role + 1, "a:1", role) for role in RaftRole]
    between = AppendEntries(1, 2, 1, 2, [Entry(1, Configuration(nodes))]).encode()
    answer = ServersResponse([NodeInfo(role + 1, "a:1", role) for role in NodeRole]).encode()
    for direction, frame, roles in (("raft", between, RaftRole), ("response", answer, NodeRole)):
        shown = run("explain", "--direction", direction, frame.hex()).out
        wanted_words = [f"role {role:d} ({role.name})" for role in roles]
        assert [words for words in wanted_words if words in shown] == wanted_words


def _item(frame: bytes) -> Item:
    (item,) = [one for one in items(open_source(frame, raft=True)) if one.type != "END"]
    return item


def test_heartbeats_are_folded_in_text_only(session: tuple[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "session.pcap"
    file.write_bytes(wire.pcap(session[1], nanoseconds=True))
    folded, all_of_it = run("decode", file), run("decode", "--no-fold", file)
    assert " like it .." in folded.out
    told = sum(
        int(line.split(" .. ")[1].split()[0]) for line in folded.out.splitlines() if " like it .." in line
    )
    count = Counter(" like it .." in line for line in folded.out.splitlines())
    assert count[False] + told == len(all_of_it.out.splitlines())
    assert len(run("decode", "--json", file).out.splitlines()) >= len(all_of_it.out.splitlines()) - len(ALL)


def test_nothing_of_pages_or_of_stale_memory_is_shown_when_redacted() -> None:
    for frame in FRAMES:
        hidden = redact_raft(RaftFrame(Side.CLIENT, 0, frame, 0.0, 0.0))
        assert len(hidden) == len(frame) == frame_size(hidden)
        assert _shape(decode_message(hidden)) == _shape(decode_message(frame))
        for word in (b"SQLite format", b"CREATE TABLE", b"table"):
            assert word not in hidden
        message: Any = decode_message(hidden)
        assert not any(message.unused)
        for entry in getattr(message, "entries", ()):
            assert not any(map(any, getattr(entry.command, "pages", ())))
            assert not any(entry.command.unused)


def _shape(message: Any) -> Any:
    from dqlitewire.traffic.views.raft import raft_fields

    return raft_fields(message)


# ---- results and their RPCs


def test_a_result_names_its_rpc_where_only_one_can_be_meant(session: tuple[str, Any]) -> None:
    _, captured = session
    shown = [
        one for one in items(open_source(wire.pcap(captured, nanoseconds=True))) if one.type in RAFT_TYPES
    ]
    ends = {one.connection.number: (one.node, one.connection.server) for one in shown}
    rpcs = {(one.connection.number, one.offset): (number, one) for number, one in enumerate(shown)}
    taken: set[tuple[int, int]] = set()
    paired = Counter[str]()
    for number, result in enumerate(shown):
        if result.answers is None:
            assert "answers" not in json_object(result)
            continue
        before, rpc = rpcs[result.answers]
        message: Any = rpc.raft_message
        answer: Any = result.raft_message
        assert before < number
        assert ends[rpc.connection.number] == ends[result.connection.number][::-1]
        assert result.code == MESSAGES[rpc.code or 0].RESULT
        assert result.answers not in taken
        taken.add(result.answers)
        assert result.latency == result.last - rpc.last >= 0
        if isinstance(message, AppendEntries):
            index = message.prev_log_index + len(message.entries)
            assert (
                answer.rejected == message.prev_log_index
                if answer.rejected
                else answer.last_log_index >= index
            )
        paired[result.type] += 1
        assert json_object(result)["answers"] == {"connection": rpc.connection.number, "offset": rpc.offset}
    results = Counter(one.type for one in shown)
    assert paired["APPEND_ENTRIES_RESULT"] > results["APPEND_ENTRIES_RESULT"] / 3
    assert paired["REQUEST_VOTE_RESULT"]


# ---- statistics


def test_statistics_of_a_cluster(session: tuple[str, Any], tmp_path: Path) -> None:
    server, captured = session
    file, nodes = tmp_path / "session.pcap", addresses(server)
    file.write_bytes(wire.pcap(captured, nanoseconds=True))
    raft = json.loads(run("stats", "--json", file).out)["raft"]
    terms = {one["term"]: one for one in raft["terms"]}
    assert [terms[number]["leader"] for number in (1, 2, 3)] == [nodes[1], nodes[3], nodes[2]]
    assert [one["leader"] for one in raft["leaders"]] == [nodes[1], nodes[3], nodes[2]]
    assert terms[2]["votes_asked"] >= terms[2]["votes_granted"] >= 1
    assert terms[3]["pre_votes_asked"] >= 1
    assert raft["snapshots"] == sum(one["snapshots"] for one in raft["followers"]) >= 1
    last = max(one["last_index_sent"] for one in raft["followers"])
    behind = {(one["leader"], one["follower"]): one for one in raft["followers"]}
    final = behind[nodes[2], nodes[1]]
    assert (final["last_index_sent"], final["last_index_acknowledged"], final["lag"]) == (last, last, 0)
    assert final["lag_ms"] == 0
    assert final["max_lag_ms"] > 0
    sizes = Counter[int]()
    for one in connections(server):
        for at, word, header, payload in one["messages"]:
            if word & 0xFF in (1, 5) and payload:
                sizes[at] += 16 + header + payload
    assert raft["bytes_replicated"] == sizes.total()
    for width in (40, 80, 132):
        text = run("stats", "--width", str(width), file).out
        assert "between nodes" in text
        assert "replication" in text
