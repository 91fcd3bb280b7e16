"""Recorded traffic of real nodes: answers decode to what labels say, requests come back byte for byte."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dqlitewire import (
    PROTOCOL_VERSION,
    PROTOCOL_VERSION_LEGACY,
    DecodeError,
    EncodeError,
    HandshakeError,
    Message,
    MessageDecoder,
    NodeInfo,
    NodeRole,
    PoisonedError,
    ResponseType,
    ServerFailure,
    ValueType,
    decode_message,
    encode_message,
)
from dqlitewire.messages import (
    AssignRequest,
    DbResponse,
    DescribeRequest,
    DumpRequest,
    EmptyResponse,
    FailureResponse,
    FilesResponse,
    LeaderResponse,
    MetadataResponse,
    ResultResponse,
    RowsResponse,
    ServersResponse,
    StmtResponse,
    WelcomeResponse,
)
from dqlitewire.messages.requests import HeartbeatRequest
from tests.wire_data import HERE, Capture, Step, captures, frames, pieces

CLUSTER = 16
TYPES = ["SERVER" if kind.name == "LEADER" else kind.name for kind in ResponseType]
OLD, NEW = "1.11.1", "1.18.1"
SERVERS = (OLD, NEW, "1.18.7", "cowsql")
ALL = captures()
each_capture = pytest.mark.parametrize("capture", ALL, ids=str)
each_size = pytest.mark.parametrize("size", [0, 7, 1, -1], ids=["whole", "sevens", "bytes", "as recorded"])


def named(server: str, session: str, connection: int = 0) -> Capture:
    return next(c for c in ALL if (c.server, c.session, c.connection) == (server, session, connection))


# ---------------------------------------------------------------- reading a connection


def chunks(capture: Capture, side: str, size: int) -> Iterator[bytes]:
    data = getattr(capture, side)
    if size >= 0:
        yield from pieces(data, size or len(data) or 1)
        return
    start = 0
    for way, length in capture.entry["chunks"]:
        if way == side:
            yield data[start : start + length]
            start += length


def asks_format_0(request: bytes) -> bool:
    return request[4] == CLUSTER and request[8:16] == bytes(8)


def formats(capture: Capture) -> list[int]:
    """For each answer frame, the SERVERS format that its request asked for."""
    return [0 if asks_format_0(step.request) else 1 for step in capture.steps for _ in step.answers]


def next_answer(decoder: MessageDecoder, in_run: bool, servers_format: int) -> Message | ServerFailure | None:
    if in_run:
        try:
            return decoder.decode_continuation()
        except ServerFailure as failure:
            return failure
    if servers_format == 0 and decoder.has_message():
        frame = decoder.take_frame()
        if frame is not None and frame[4] == 3:
            return ServersResponse.decode_body(frame[8:], format=0)
        return None if frame is None else decoder.decode_bytes(frame)
    return decoder.decode()


def answers(capture: Capture, size: int = 0) -> list[Message | ServerFailure]:
    """Every answer of the connection, by one decoder that is fed `size` bytes at a time."""
    decoder = MessageDecoder(version=capture.version, text_errors="surrogateescape")
    wanted = formats(capture)
    found: list[Message | ServerFailure] = []
    in_run = False
    for chunk in chunks(capture, "s2c", size):
        decoder.feed(chunk)
        while len(found) < len(wanted):
            answer = next_answer(decoder, in_run, wanted[len(found)])
            if answer is None:
                break
            found.append(answer)
            in_run = isinstance(answer, RowsResponse) and answer.has_more
    assert not decoder.is_poisoned
    assert decoder.pending_frame_size() == 0
    return found


def answers_by_step(capture: Capture) -> list[tuple[Step, list[Message | ServerFailure]]]:
    flat = iter(answers(capture))
    return [(step, [next(flat) for _ in step.answers]) for step in capture.steps]


def requests(capture: Capture, size: int) -> list[Message | str]:
    """Every request of the connection; what no decoder reads is the name of its error."""
    decoder = MessageDecoder(is_request=True)
    found: list[Message | str] = []
    for chunk in chunks(capture, "c2s", size):
        decoder.feed(chunk)
        if decoder.version is None and decoder.decode_handshake() is None:
            continue
        while (frame := decoder.take_frame()) is not None:
            try:
                found.append(decoder.decode_bytes(frame))
            except DecodeError as error:
                found.append(str(error))
    return found


# ---------------------------------------------------------------- the recordings themselves


@each_capture
def test_the_files_are_as_recorded(capture: Capture) -> None:
    for side in ("c2s", "s2c"):
        assert hashlib.sha256(getattr(capture, side)).hexdigest() == capture.entry[side]["sha256"]


@each_capture
def test_the_frames_of_the_index_cover_each_stream(capture: Capture) -> None:
    for key, data, start in (("request_frames", capture.c2s, 8), ("response_frames", capture.s2c, 0)):
        cut = frames(data[start:])
        assert [[frame[4], frame[5], len(frame) - 8] for frame in cut] == [f[1:] for f in capture.entry[key]]


def test_all_recordings_are_here() -> None:
    assert len(ALL) == 34
    assert sorted(path.name for path in (HERE / "captures").glob("*.bin")) == sorted(
        capture.entry[side]["file"] for capture in ALL for side in ("c2s", "s2c")
    )


# ---------------------------------------------------------------- chunks make no difference

READABLE = [c for c in ALL if c.session != "toowide"]


@each_size
@pytest.mark.parametrize("capture", READABLE, ids=str)
def test_answers_do_not_depend_on_how_the_bytes_arrive(capture: Capture, size: int) -> None:
    found = answers(capture, size)
    assert len(found) == len(capture.entry["response_frames"])
    for one, other in zip(found, answers(capture), strict=True):
        if isinstance(one, ServerFailure):
            assert one.args == other.args
        else:
            assert one == other


@each_size
@pytest.mark.parametrize("capture", [c for c in ALL if c.handshake != 2], ids=str)
def test_requests_do_not_depend_on_how_the_bytes_arrive(capture: Capture, size: int) -> None:
    found = requests(capture, size)
    assert len(found) == len(capture.steps)
    assert found == requests(capture, 0)


@each_capture
def test_every_answer_has_the_type_and_schema_of_the_index(capture: Capture) -> None:
    for step in capture.steps:
        found = [f"{TYPES[frame[4]]}/{frame[5]}/{len(frame) - 8}" for frame in frames(step.answer)]
        assert found == list(step.answers)


# ---------------------------------------------------------------- what the answers say


def failure(code: int, message: str) -> FailureResponse:
    return FailureResponse(code, message)


def kind(value: Any) -> ValueType:
    kinds = {int: "INTEGER", float: "FLOAT", str: "TEXT", bytes: "BLOB", type(None): "NULL", bool: "BOOLEAN"}
    return ValueType[kinds[type(value)]]


def table(
    names: list[str], *rows: tuple[Any, ...], types: Any = None, has_more: bool = False
) -> RowsResponse:
    """Rows whose types follow from their values unless given."""
    types = types or [tuple(kind(value) for value in row) for row in rows]
    return RowsResponse(names, list(types[0]) if types else [], types, rows, has_more)


def cluster(capture: Capture, *roles: NodeRole, format: int = 1) -> ServersResponse:
    addresses = capture.entry["addresses"]
    nodes = [NodeInfo(n, addresses[n - 1], role) for n, role in enumerate(roles, 1)]
    return ServersResponse(nodes, format=format)


VOTER, STANDBY, SPARE = NodeRole.VOTER, NodeRole.STANDBY, NodeRole.SPARE
EMPTY = EmptyResponse()
I, F, T, B, N, U, D, L = (
    ValueType[name] for name in ["INTEGER", "FLOAT", "TEXT", "BLOB", "NULL", "UNIXTIME", "ISO8601", "BOOLEAN"]
)

T_COLUMNS = ["id", "i", "f", "s", "b", "d", "o"]
T_FULL = (I, I, F, T, B, D, L)
T_NULLS = (I, N, N, N, N, D, L)


def t_row(id: int, i: int = 7) -> tuple[Any, ...]:
    return (id, i, 1.5, "text", b"blob", "2024-01-02 03:04:05", True)


def t_nulls(id: int) -> tuple[Any, ...]:
    """NULL in a DATETIME column is sent as empty text, in a BOOLEAN column as 0."""
    return (id, None, None, None, None, "", False)


def basics(capture: Capture) -> dict[str, Any]:
    new = capture.server != OLD
    leader = LeaderResponse(1, capture.entry["addresses"][0])
    extra = [t_row(3)] if new else []
    last = 4 if new else 3
    wanted = {
        "leader": leader,
        "client": WelcomeResponse(15000),
        "open": DbResponse(0),
        "create": ResultResponse(0, 0),
        "prepare v0 insert": StmtResponse(0, 0, 6),
        "exec v0, all types": ResultResponse(1, 1),
        "exec v0, nulls": ResultResponse(2, 1),
        "finalize": EMPTY,
        "prepare v1 select, with tail": StmtResponse(0, 0, 1, 30) if new else StmtResponse(0, 0, 1),
        "query v0": table(T_COLUMNS, t_row(1), t_nulls(2), *extra, types=[T_FULL, T_NULLS] + [T_FULL] * new),
        "exec_sql v0": ResultResponse(last, 1),
        "exec_sql, no params": ResultResponse(last, last),
        "exec_sql, no tuple at all": ResultResponse(last, last),
        "query_sql v0": table(
            T_COLUMNS,
            t_row(1),
            t_nulls(2),
            *extra,
            (last, -1, 0.0, "", b"", "", False),
            types=[T_FULL, T_NULLS] + [T_FULL] * (1 + new),
        ),
        "query_sql, no rows": table(T_COLUMNS),
        "query_sql v0, 255 params": table(["count(column1)", "sum(column1)"], (255, sum(range(255)))),
        "exec_sql, many statements": ResultResponse(3, 1),
        "query_sql, many statements": table(["1"], (1,)),
        "cluster v0": cluster(capture, VOTER, format=0),
        "cluster v1": cluster(capture, VOTER),
        "describe": MetadataResponse(0, 0),
        "weight": EMPTY,
        "describe again": MetadataResponse(0, 9),
        "leader again": leader,
    }
    if new:
        wanted |= {
            "exec v1, all types": ResultResponse(3, 1),
            "query v1": table(T_COLUMNS, t_nulls(2), t_row(3), types=[T_NULLS, T_FULL]),
            "exec_sql v1": ResultResponse(5, 1),
            "query_sql v1": table(["?", "?", "?"], (1, "two", 3.0)),
            "query_sql v1, 300 params": table(["count(column1)", "sum(column1)"], (300, sum(range(300)))),
            "query_sql, many statements": failure(1, "nonempty statement tail"),
        }
    return wanted


def failures(capture: Capture) -> dict[str, Any]:
    no_column = failure(1, "no such column: " + "x" * 200)
    new = capture.server != OLD
    unknown_schema = "unrecognized schema version"
    wanted = {
        "query_sql before open": failure(12, "no database opened"),
        "exec before open": failure(12, "no database opened"),
        "open": DbResponse(0),
        "open again": failure(5, "a database for this connection is already open"),
        "query_sql SELEC 1": failure(1, 'near "SELEC": syntax error'),
        "exec_sql SELEC 1": failure(1, 'near "SELEC": syntax error'),
        "query_sql SELECT * FROM nowher": failure(1, "no such table: nowhere"),
        "exec_sql SELECT * FROM nowher": failure(1, "no such table: nowhere"),
        "query_sql ": failure(0, "empty statement"),
        "exec_sql ": ResultResponse(0, 0),
        "query_sql -- comment": failure(0, "empty statement"),
        "exec_sql -- comment": ResultResponse(0, 0),
        "query_sql SELECT xxxxxxxxxxxxx": no_column,
        "exec_sql SELECT xxxxxxxxxxxxx": no_column,
        "prepare of nothing": failure(0, "empty statement"),
        "prepare bad": failure(1, 'near "SELEC": syntax error'),
        "exec of no statement": failure(12, "no statement with the given id"),
        "query of no statement": failure(12, "no statement with the given id"),
        "finalize of no statement": failure(12, "no statement with the given id"),
        "db id 5": failure(12, "no database opened"),
        "constraints table": ResultResponse(0, 0),
        "insert": ResultResponse(1, 1),
        "too many params": failure(25, "bind parameters" if new else "column index out of range"),
        "too few params": table(["?", "?"], (1, None)),
        "exec_sql of a SELECT": failure(100, "another row available"),
        "failure at the first row": failure(1, "integer overflow"),
        "failure at row 3": failure(1, "integer overflow"),
        "bad cluster format": failure(1005, "unrecognized cluster format")
        if new
        else cluster(capture, VOTER),
        "dump of nothing": FilesResponse({"nosuch": b"", "nosuch-wal": b""}),
        "cluster with schema 1": failure(1005, unknown_schema) if new else cluster(capture, VOTER, format=0),
    }
    if new:
        return wanted | {
            "leader with schema 9": failure(1005, unknown_schema),
            "query_sql with schema 2": failure(1005, unknown_schema),
            "prepare with schema 2": failure(1, unknown_schema),
            "unknown request type 99": failure(1005, "unrecognized request type"),
            "heartbeat": failure(1005, "unrecognized request type"),
            "still works": table(["'still works'"], ("still works",)),
            "describe with format 1": failure(15, "bad format version"),
        }
    return wanted | {
        "leader with schema 9": LeaderResponse(1, capture.entry["addresses"][0]),
        "query_sql with schema 2": table(["1"], (1,)),
        "prepare with schema 2": StmtResponse(0, 0, 0),
    }


CONSTRAINTS = [
    failure(1555, "UNIQUE constraint failed: c.a"),
    failure(2067, "UNIQUE constraint failed: c.b"),
    failure(1299, "NOT NULL constraint failed: c.b"),
    failure(275, "CHECK constraint failed: length(b) < 5"),
]


def handshakes(capture: Capture) -> dict[str, Any]:
    return {
        "leader, legacy": LeaderResponse(0, capture.entry["addresses"][0]),
        "open, legacy": DbResponse(0),
        "select, legacy": table(["1"], (1,)),
    }


def members(capture: Capture) -> dict[str, Any]:
    not_leader = failure(10250, "not leader")
    return {
        "cluster v0": cluster(capture, VOTER, VOTER, VOTER, format=0),
        "cluster v1": cluster(capture, VOTER, VOTER, VOTER),
        "assign 3 spare": EMPTY,
        "assign 3 standby": EMPTY,
        "assign bad role": EMPTY,
        "promote 2 (one-word form)": EMPTY,
        "remove 3": EMPTY,
        "remove 9": failure(1, "server ID is not valid"),
        "assign 9": failure(1, "Resource not found" if capture.server != OLD else "unknown error"),
        "add 3": EMPTY,
        "add 3 again": failure(1, "server ID already in use"),
        "assign 3 voter": EMPTY,
        "transfer to 2": EMPTY,
        "leader after transfer": LeaderResponse(2, capture.entry["addresses"][1]),
        "open on a non-leader": DbResponse(0),
        "add on a non-leader": not_leader,
        "transfer on a non-leader": not_leader,
        "cluster on a non-leader": cluster(capture, VOTER, VOTER, VOTER),
    }


MEMBERS_OVER_TIME = [  # the answers to the steps labelled "cluster"
    (VOTER, VOTER, SPARE),  # after "assign 3 spare"
    (VOTER, VOTER, STANDBY),
    (VOTER, SPARE, STANDBY),
    (VOTER, VOTER),  # after "promote 2" and "remove 3"
    (VOTER, VOTER, VOTER),
]

TYPED = [
    ("2024-01-02 03:04:05", "2024-01-02", "2024-01-02T03:04:05.6Z", True, 5, 6.5, "t", b"\x01", 9),
    ("", "", "", False, None, None, None, None, None),
    (
        "junk",
        "",
        "2024-01-02 03:04:05+00:00",
        False,
        "text in integer",
        "text in real",
        "5",
        "text in blob",
        1e30,
    ),
]


def numbered(count: int) -> RowsResponse:
    """`SELECT NULL AS c0, 1 AS c1, 2 AS c2, NULL AS c3, ...`"""
    row = tuple(None if n % 3 == 0 else n for n in range(count))
    return table([f"c{n}" for n in range(count)], row)


def types(capture: Capture) -> dict[str, Any]:
    values = [None, 0, 1, -1, 2**63 - 1, -(2**63), 0.0, -0.0, 1.5, float("inf"), float("-inf"), 5e-324]
    letters, octets = "abcdefghijklmnopqrstuvwxy", bytes(range(25))
    moment = "2024-01-02 03:04:05.678"
    unix = [row[:4] for row in TYPED] + [(1704164645, -1, 0, True)]
    return {
        "open": DbResponse(0),
        **{f"select {value}": table(["?"], (value,)) for value in values},
        "select True": table(["?"], (1,)),  # a BOOLEAN parameter comes back as INTEGER
        "select False": table(["?"], (0,)),
        f"select '{moment}'": table(["?"], (moment,)),  # an ISO8601 parameter comes back as TEXT
        "select 1704164645": failure(1005, "bind parameters" if capture.server != OLD else "not an error"),
        **{f"text and blob of {n}": table(["?", "?"], (letters[:n], octets[:n])) for n in range(26)},
        "unicode": table(["?"], ("ünïcødé ✓ 𝄞",)),
        "text with NUL inside": table(["CAST(x'610062' AS TEXT)"], ("a",)),
        "text not UTF-8": table(["CAST(x'ff80fe' AS TEXT)"], ("\udcff\udc80\udcfe",)),
        **{f"{n} columns": numbered(n) for n in (*range(1, 41), 63, 64, 65)},
        "typed table": ResultResponse(0, 0),
        "typed insert": ResultResponse(3, 3),
        "typed rows": table(
            list("desbxyzwv"),
            *TYPED,
            types=[(D, D, D, L, I, F, T, B, I), (D, D, D, L, N, N, N, N, N), (D, D, D, L, T, T, T, T, F)],
        ),
        "UNIXTIME insert": ResultResponse(4, 1),
        "UNIXTIME rows": table(list("desb"), *unix, types=[(D, D, D, L)] * 3 + [(U, U, U, L)]),
        "column names": table(["", "exactly7", "exactly_8", "ünï", "x" * 300], (1, 2, 3, 4, 5)),
        "mixed types in one column": table(["a"], (1,), ("x",), (1.5,), (None,), (b"\0",)),
    }


def interrupt(capture: Capture) -> dict[str, Any]:
    return {"open": DbResponse(0), "interrupt when idle": EMPTY, "after it": table(["1"], (1,))}


SAID: dict[str, Callable[[Capture], dict[str, Any]]] = {
    "basics": basics,
    "failures": failures,
    "handshakes": handshakes,
    "members": members,
    "types": types,
    "interrupt": interrupt,
    "multiframe": lambda capture: {"open": DbResponse(0)},
}
ROWS_REFUSED = "rows yielded when none expected for EXEC request"
# what other servers than 1.18.1 answer; 1.11.1 has its differences where they are above
DIFFERENT: dict[tuple[str, str], dict[str, Any]] = {
    ("1.18.7", "failures"): {
        "too many params": failure(10, "leader exec failed"),
        "exec_sql of a SELECT": failure(1, ROWS_REFUSED),
        "query_sql with schema 2": failure(1, "unrecognized schema version"),
        "dump of nothing": failure(1002, "database does not exists"),
    },
    ("1.18.7", "members"): {"open on a non-leader": failure(10250, "not leader")},
    ("1.18.7", "types"): {"select 1704164645": failure(10, "leader exec failed")},
    ("cowsql", "failures"): {"exec_sql of a SELECT": failure(100, ROWS_REFUSED)},
}
# answered in several frames, or differently each time; each has a test of its own below
ELSEWHERE = {
    ("basics", "dump"),
    ("failures", "constraint"),
    ("failures", "failure in a later frame"),
    ("interrupt", "query_sql of 20000 rows"),
    ("interrupt", "interrupt mid rows"),
    ("members", "cluster"),
    *(("types", f"{n} columns") for n in (255, 256, 257)),
    *(("multiframe", step.label) for step in named(NEW, "multiframe").steps if step.label != "open"),
}


@pytest.mark.parametrize("capture", READABLE, ids=str)
def test_every_answer_says_what_its_label_says(capture: Capture) -> None:
    wanted = SAID[capture.session](capture) | DIFFERENT.get((capture.server, capture.session), {})
    unused = set(wanted)
    for step, found in answers_by_step(capture):
        unused.discard(step.label)
        if (capture.session, step.label) in ELSEWHERE:
            continue
        if not found:
            assert step.ended
            continue
        assert found == [wanted[step.label]], step.label
        check_cells(found[0], wanted[step.label])
    if capture.connection == 0:
        assert not unused


def check_cells(found: Any, wanted: Any) -> None:
    """Equality says that 1 == 1.0 == True and 0.0 == -0.0; a cell has one class and one spelling."""
    if isinstance(found, RowsResponse):
        assert repr(list(found.rows)) == repr(list(wanted.rows))
        assert [tuple(types) for types in found.row_types] == [tuple(types) for types in wanted.row_types]


def found_for(server: str, session: str, label: str) -> list[list[Any]]:
    return [found for step, found in answers_by_step(named(server, session)) if step.label == label]


each_server = pytest.mark.parametrize("server", SERVERS)


@each_server
def test_constraints_keep_their_extended_codes(server: str) -> None:
    assert found_for(server, "failures", "constraint") == [[answer] for answer in CONSTRAINTS]


@each_server
def test_roles_change_as_they_are_assigned(server: str) -> None:
    capture = named(server, "members")
    seen = found_for(server, "members", "cluster")
    assert seen == [[cluster(capture, *roles)] for roles in MEMBERS_OVER_TIME]


@each_server
def test_a_failure_in_a_later_frame_ends_the_rows_with_its_own_code(server: str) -> None:
    ((*rows, last),) = found_for(server, "failures", "failure in a later frame")
    assert isinstance(last, ServerFailure)
    assert (last.code, last.message) == (1, "integer overflow")
    assert [row for frame in rows for row in frame.rows] == [(n, n) for n in range(1, 335)]


@each_server
def test_a_failure_behind_rows_decodes_alone_as_well(server: str) -> None:
    step = named(server, "failures").step("failure in a later frame")
    assert decode_message(frames(step.answer)[-1]) == failure(1, "integer overflow")


@each_server
def test_the_dumped_file_is_a_database(server: str, tmp_path: Path) -> None:
    ((answer,),) = found_for(server, "basics", "dump")
    assert list(answer.files) == ["cap.db", "cap.db-wal"]
    for name, content in answer.files.items():
        (tmp_path / name).write_bytes(content)
    connection = sqlite3.connect(tmp_path / "cap.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT a FROM m ORDER BY a").fetchall() == [(2,), (3,)]
        assert connection.execute("SELECT s, b FROM t WHERE id = 1").fetchall() == [("text", b"blob")]
    finally:
        connection.close()


@each_server
@pytest.mark.parametrize("count", [255, 256, 257])
def test_a_wide_row_fills_a_frame_and_a_rowless_one_follows(server: str, count: int) -> None:
    ((first, last),) = found_for(server, "types", f"{count} columns")
    wanted = numbered(count)
    assert (first.rows, first.row_types, first.has_more) == (wanted.rows, wanted.row_types, True)
    assert (last.column_names, last.rows, last.has_more) == (wanted.column_names, [], False)


def run(frames_of_run: list[Any]) -> list[tuple[Any, ...]]:
    """All rows of a run; every frame but the last promises more, and all have the same names."""
    assert [frame.has_more for frame in frames_of_run] == [True] * (len(frames_of_run) - 1) + [False]
    assert len({tuple(frame.column_names) for frame in frames_of_run}) == 1
    return [row for frame in frames_of_run for row in frame.rows]


def columns_plus(base: int, count: int) -> tuple[int, ...]:
    return tuple(base + n for n in range(count))


RUNS: dict[str, tuple[list[str], list[tuple[Any, ...]]]] = {
    "2000 rows of 3": (
        ["i", "'row number ' || i", "i * 0.5"],
        [(i, f"row number {i}", i * 0.5) for i in range(1, 2001)],
    ),
    **{
        f"{n} rows of one integer, around a frame's end": (["i"], [(i,) for i in range(1, n + 1)])
        for n in range(252, 257)
    },
    "20 blobs of 1000..": (
        ["i", "zeroblob(1000 + i)", "'x'"],
        [(i, bytes(1000 + i), "x") for i in range(1, 21)],
    ),
    "a blob of 100000, then rows": (
        ["i", "zeroblob(100000)"],
        [(i, bytes(100_000)) for i in range(1, 4)],
    ),
    "300 columns, 3 rows": (
        [f"c{n}" for n in range(300)],
        [columns_plus(i, 300) for i in range(1, 4)],
    ),
    "500 columns": ([f"c{n}" for n in range(500)], [columns_plus(0, 500)]),
    "no rows, 300 columns": ([f"c{n}" for n in range(300)], []),
}


@pytest.mark.parametrize("server", [OLD, NEW])
@pytest.mark.parametrize("label", RUNS)
def test_rows_in_many_frames(server: str, label: str) -> None:
    names, rows = RUNS[label]
    (found,) = found_for(server, "multiframe", label)
    assert run(found) == rows
    assert list(found[0].column_names) == names


def test_every_run_is_checked() -> None:
    assert set(RUNS) | {"open"} == {step.label for step in named(NEW, "multiframe").steps}


@each_server
def test_an_interrupt_is_answered_after_all_rows(server: str) -> None:
    (first,) = found_for(server, "interrupt", "query_sql of 20000 rows")
    ((*rest, empty),) = found_for(server, "interrupt", "interrupt mid rows")
    assert run(first + rest) == [(i, "some text") for i in range(1, 20_001)]
    assert empty == EMPTY


# ---------------------------------------------------------------- connections that cannot go on


@each_server
@pytest.mark.parametrize("size", [0, 7, 1])
def test_names_that_fill_a_page_end_the_stream_at_the_first_frame(server: str, size: int) -> None:
    capture = named(server, "toowide")
    decoder = MessageDecoder()
    decoder.feed(capture.s2c[:16])
    assert decoder.decode() == DbResponse(0)
    first_frame = frames(capture.s2c[16:])[0]
    for piece in pieces(first_frame[:-1], size or len(first_frame)):
        decoder.feed(piece)
        assert decoder.decode() is None
    decoder.feed(first_frame[-1:])
    with pytest.raises(DecodeError):
        decoder.decode()
    assert decoder.is_poisoned
    with pytest.raises(PoisonedError):
        decoder.decode()


@each_server
def test_one_frame_whose_names_fill_a_page_is_a_message_all_the_same(server: str) -> None:
    step = named(server, "toowide").steps[-1]
    for frame in frames(step.answer):
        message = decode_message(frame)
        assert isinstance(message, RowsResponse)
        assert (len(message.column_names), len(message.rows), message.has_more) == (600, 0, True)
        assert encode_message(message) == frame


@each_server
def test_text_that_is_not_utf8_is_refused_unless_asked_for(server: str) -> None:
    step = named(server, "types").step("text not UTF-8")
    with pytest.raises(DecodeError):
        decode_message(step.answer)
    for handler, text in (
        ("replace", "\ufffd\ufffd\ufffd"),
        ("ignore", ""),
        ("backslashreplace", r"\xff\x80\xfe"),
    ):
        assert decode_message(step.answer, text_errors=handler).rows == [(text,)]


@each_server
def test_a_server_closes_on_a_version_it_does_not_know_and_so_do_we(server: str) -> None:
    capture = named(server, "handshakes", 1)
    decoder = MessageDecoder(is_request=True)
    decoder.feed(capture.c2s)
    with pytest.raises(HandshakeError):
        decoder.decode_handshake()
    assert capture.s2c == b""


def test_both_handshakes_are_recorded() -> None:
    assert {c.handshake for c in ALL} == {PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY, 2}


# ---------------------------------------------------------------- requests come back byte for byte

# label -> why the bytes differ when our encoder writes the message again
REENCODED = {
    "exec v0, all types": "ISO8601 parameter is read as text and written as TEXT",
    "exec v1, all types": "ISO8601 parameter is read as text and written as TEXT",
    "select '2024-01-02 03:04:05.678'": "ISO8601 parameter is read as text and written as TEXT",
    "promote 2 (one-word form)": "ASSIGN in one word is written in two",
}
# label -> why our encoder refuses the message
NOT_ENCODED = {"cluster v0": "format 0 is not written"}
# label -> why our decoder refuses the frame
NOT_DECODED = {
    "bad cluster format": "format 2",
    "cluster with schema 1": "schema no server knows",
    "leader with schema 9": "schema no server knows",
    "query_sql with schema 2": "schema no server knows",
    "prepare with schema 2": "schema no server knows",
    "unknown request type 99": "type no server knows",
    "heartbeat": "answered by no gateway",
    "describe with format 1": "format that kills a server",
    "select 1704164645": "UNIXTIME parameter, which every server refuses",
}
EXCEPTIONS = {**REENCODED, **NOT_ENCODED, **NOT_DECODED}


@each_capture
def test_requests_come_back_byte_for_byte(capture: Capture) -> None:
    for step in capture.steps:
        if step.label in EXCEPTIONS:
            continue
        message = decode_message(step.request, is_request=True)
        assert encode_message(message) == step.request, step.label


def steps_labelled(labels: dict[str, str]) -> Any:
    cases = [(capture, step) for capture in ALL for step in capture.steps if step.label in labels]
    assert {step.label for _, step in cases} == set(labels)
    return pytest.mark.parametrize("step", [s for _, s in cases], ids=[f"{c}: {s.label}" for c, s in cases])


@steps_labelled(REENCODED)
def test_the_listed_requests_come_back_as_the_same_message(step: Step) -> None:
    message = decode_message(step.request, is_request=True)
    again = encode_message(message)
    assert again != step.request
    assert decode_message(again, is_request=True) == message


@steps_labelled(NOT_ENCODED)
def test_the_listed_requests_are_not_encoded(step: Step) -> None:
    message = decode_message(step.request, is_request=True)
    with pytest.raises(EncodeError):
        encode_message(message)


@steps_labelled(NOT_DECODED)
def test_the_listed_requests_are_not_decoded(step: Step) -> None:
    with pytest.raises(DecodeError):
        decode_message(step.request, is_request=True)


@each_server
def test_refused_requests_that_a_tool_may_want(server: str) -> None:
    recorded = named(server, "failures")
    heartbeat = recorded.step("heartbeat").request
    assert HeartbeatRequest.decode_body(heartbeat[8:]) == HeartbeatRequest(1)
    assert HeartbeatRequest(1).encode() == heartbeat
    describe = recorded.step("describe with format 1").request
    assert DescribeRequest.decode_body(describe[8:], strict=False).encode() == describe
    promote = named(server, "members").step("promote 2 (one-word form)").request
    assert AssignRequest(2, NodeRole.VOTER).encode_body_legacy() == promote[8:]
    assert decode_message(promote, is_request=True) == AssignRequest(2, NodeRole.VOTER)


@each_server
def test_an_explicit_empty_parameter_header_is_kept(server: str) -> None:
    recorded = named(server, "basics")
    with_header = decode_message(recorded.step("exec_sql, no params").request, is_request=True)
    without = decode_message(recorded.step("exec_sql, no tuple at all").request, is_request=True)
    assert (with_header.params, with_header.empty_header) == ([], True)
    assert (without.params, without.empty_header) == ([], False)


@each_server
def test_the_names_a_dump_asks_for(server: str) -> None:
    step = named(server, "basics").step("dump")
    assert decode_message(step.request, is_request=True) == DumpRequest("cap.db")


# ---------------------------------------------------------------- answers come back, too

# label -> why an answer differs when it is written again
ANSWERS_REENCODED = {
    "typed rows": "stale bytes behind a blob",
    "mixed types in one column": "stale bytes behind a blob",
    "UNIXTIME rows": "7 in a BOOLEAN column is written as 1",
    "failure at the first row": "half-built rows in front of the code",
    "failure at row 3": "half-built rows in front of the code",
    "failure in a later frame": "half-built rows in front of the code",
    "text not UTF-8": "surrogates are not written",
    **{f"text and blob of {n}": "stale bytes behind a blob" for n in range(1, 26) if n % 8},
}


def answer_frames() -> Iterator[tuple[Capture, Step, bytes, Message]]:
    for capture in ALL:
        for step in capture.steps:
            for frame in frames(step.answer):
                if asks_format_0(step.request) and frame[4] == 3:
                    message = ServersResponse.decode_body(frame[8:], format=0)
                else:
                    message = decode_message(frame, version=capture.version, text_errors="surrogateescape")
                yield capture, step, frame, message


def written(message: Message, capture: Capture) -> bytes:
    if capture.handshake == PROTOCOL_VERSION_LEGACY and isinstance(message, LeaderResponse):
        body = message.encode_body_legacy()
    else:
        return message.encode()
    return bytes([len(body) // 8, 0, 0, 0, message.MSG_TYPE, 0, 0, 0]) + body


def test_answers_come_back_byte_for_byte_but_for_the_listed_ones() -> None:
    differing = set()
    for capture, step, frame, message in answer_frames():
        try:
            again = written(message, capture)
        except EncodeError:
            again = b""
        if again != frame:
            differing.add(step.label)
            if again:
                assert decode_message(again) == message
    assert differing == set(ANSWERS_REENCODED)
