"""Values, parameters and rows: what we send real servers store, and what they send we read."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import pytest

from dqlitewire import ValueType
from dqlitewire.messages import (
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    ResultResponse,
    StmtResponse,
)
from dqlitewire.tuples import encode_params_tuple
from tests.naming import shown
from tests.real import raw
from tests.real.nodes import Node
from tests.real.session import Session, failed
from tests.waiting import wait_for

MIB = 1 << 20

# (parameter, what SQLite calls it, what comes back, its type on the wire)
VALUES: list[tuple[Any, str, Any, ValueType]] = [
    (0, "integer", 0, ValueType.INTEGER),
    (2**63 - 1, "integer", 2**63 - 1, ValueType.INTEGER),
    (-(2**63), "integer", -(2**63), ValueType.INTEGER),
    (1.5, "real", 1.5, ValueType.FLOAT),
    (-0.0, "real", 0.0, ValueType.FLOAT),
    (5e-324, "real", 5e-324, ValueType.FLOAT),
    (math.inf, "real", math.inf, ValueType.FLOAT),
    (math.nan, "null", None, ValueType.NULL),  # SQLite has no NaN
    ("", "text", "", ValueType.TEXT),
    ("grüße 🙂", "text", "grüße 🙂", ValueType.TEXT),
    (b"", "blob", b"", ValueType.BLOB),
    (bytes(range(256)), "blob", bytes(range(256)), ValueType.BLOB),
    (bytearray(b"\0a"), "blob", b"\0a", ValueType.BLOB),
    (memoryview(b"12345678"), "blob", b"12345678", ValueType.BLOB),
    (None, "null", None, ValueType.NULL),
    (True, "integer", 1, ValueType.INTEGER),
    (False, "integer", 0, ValueType.INTEGER),
]


@pytest.mark.parametrize(("value", "stored", "back", "wire_type"), VALUES, ids=shown)
def test_every_parameter_type(
    real_node: Node, database: str, value: Any, stored: str, back: Any, wire_type: ValueType
) -> None:
    with Session(real_node.address, database) as session:
        (frame,) = session.run(QuerySqlRequest(0, "SELECT typeof(?1) AS t, ?1 AS v", [value]))
        assert frame.rows == [(stored, back)]
        assert [tuple(types) for types in frame.row_types] == [(ValueType.TEXT, wire_type)]


def test_iso8601_parameter_is_bound_as_text(real_node: Node, database: str) -> None:
    # encode_params_tuple infers types and never says ISO8601; the bytes are legal all the same
    sql = "SELECT typeof(?1) AS t, ?1 AS v"
    params = bytes([1, ValueType.ISO8601]).ljust(8, b"\0") + raw.text("2024-02-29")
    with Session(real_node.address, database) as session:
        session.send_raw(raw.frame(9, raw.word(0) + raw.text(sql) + params))
        assert session.answer().rows == [("text", "2024-02-29")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("schema", [0, 1])
def test_unixtime_parameter_is_refused(real_node: Node, database: str, schema: int) -> None:
    # why our encoder refuses it (dqlite 1.18.6 src/tuple.c: tuple_decoder__next has no case for it)
    count = bytes([1]) if schema == 0 else struct.pack("<I", 1)
    params = (count + bytes([ValueType.UNIXTIME])).ljust(8, b"\0") + raw.word(1_700_000_000)
    with Session(real_node.address, database) as session:
        session.send_raw(raw.frame(9, raw.word(0) + raw.text("SELECT ?") + params, schema))
        refusals = {"1.11.1": (1005, "not an error"), "1.18.7": (10, "leader exec failed")}
        assert failed(session.answer()) == refusals.get(real_node.kind, (1005, "bind parameters"))
        assert session.rows("SELECT 1 AS one") == [(1,)]


def test_declared_types(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        session.execute("CREATE TABLE t (a DATETIME, b DATE, c TIMESTAMP, d BOOLEAN, e DATETIME(6))")
        for row in (
            [1_700_000_000, "2024-02-29", "junk", True, 5],
            ["", 7, None, False, "x"],
            [None, None, -1, None, None],
        ):
            session.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?)", *row)
        session.execute("INSERT INTO t (d) VALUES (7)")
        (frame,) = session.run(QuerySqlRequest(0, "SELECT a, b, c, d, e FROM t"))
    unix, iso, boolean = ValueType.UNIXTIME, ValueType.ISO8601, ValueType.BOOLEAN
    assert [tuple(types) for types in frame.row_types] == [
        (unix, iso, iso, boolean, ValueType.INTEGER),
        (iso, unix, iso, boolean, ValueType.TEXT),
        (iso, iso, unix, boolean, ValueType.NULL),
        (iso, iso, iso, boolean, ValueType.NULL),
    ]
    # NULL comes as '' and False in such columns (dqlite#882), and 7 in a BOOLEAN column as it is
    assert frame.rows == [
        (1_700_000_000, "2024-02-29", "junk", True, 5),
        ("", 7, "", False, "x"),
        ("", "", -1, False, None),
        ("", "", "", True, None),
    ]


def test_expressions_lose_the_declared_type(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        session.execute("CREATE TABLE t (d DATETIME, b BOOLEAN)")
        session.execute("INSERT INTO t VALUES (NULL, NULL)")
        assert session.rows("SELECT d, +d AS e, b, +b AS c FROM t") == [("", None, False, None)]


def test_types_may_change_from_row_to_row(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        sql = " UNION ALL SELECT ".join(["SELECT 1 AS v", "'a'", "NULL", "1.5", "x'01'"])
        assert session.rows(sql) == [(1,), ("a",), (None,), (1.5,), (b"\1",)]


def test_every_length_around_words(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        session.execute("CREATE TABLE t (n INTEGER, s TEXT, b BLOB)")
        for size in range(26):
            session.execute("INSERT INTO t VALUES (?, ?, ?)", size, "x" * size, b"\xff" * size)
        expected = [(size, "x" * size, b"\xff" * size) for size in range(26)]
        assert session.rows("SELECT n, s, b FROM t ORDER BY n") == expected


def test_text_ends_at_a_nul_inside(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        sql = "SELECT length(CAST(x'610062' AS BLOB)) AS n, CAST(x'610062' AS TEXT) AS s"
        assert session.rows(sql) == [(3, "a")]


def test_text_that_is_not_utf_8(real_node: Node, database: str) -> None:
    with Session(real_node.address, database, text_errors="surrogateescape") as session:
        assert session.rows("SELECT CAST(x'61ff' AS TEXT) AS s") == [("a\udcff",)]


def test_a_mebibyte_each_way(real_node: Node, database: str) -> None:
    text, blob = "ä" * (MIB // 2) + "x", bytes(range(256)) * (MIB // 256)
    with Session(real_node.address, database) as session:
        session.execute("CREATE TABLE t (s TEXT, b BLOB)")
        session.execute("INSERT INTO t VALUES (?, ?)", text, blob)
        assert session.row("SELECT s, b FROM t") == (text, blob)
        assert session.row("SELECT ?, ?", blob, text) == (blob, text)


# ---------------------------------------------------------------- parameters


def statement(count: int) -> str:
    """Count and sum of all parameters; a parameter that was not bound counts for nothing."""
    values = ",".join(["(?)"] * count)
    return f"SELECT count(column1) AS n, total(column1) AS s FROM (VALUES {values})"


@pytest.mark.parametrize("count", [1, 2, 7, 8, 15, 254, 255])
def test_parameters_of_schema_0(real_node: Node, database: str, count: int) -> None:
    numbers = list(range(1, count + 1))
    with Session(real_node.address, database) as session:
        check_parameters(session, numbers)


@pytest.mark.parametrize("count", [256, 257, 1000])
def test_parameters_of_schema_1(new_node: Node, database: str, count: int) -> None:
    numbers = list(range(1, count + 1))
    with Session(new_node.address, database) as session:
        check_parameters(session, numbers)


def check_parameters(session: Session, numbers: list[int]) -> None:
    """Through all four requests that carry parameters."""
    sql, count, total = statement(len(numbers)), len(numbers), float(sum(numbers))
    assert session.row(sql, *numbers) == (count, total)
    assert session.call(PrepareRequest(0, sql)) == StmtResponse(0, 0, count)
    (frame,) = session.run(QueryRequest(0, 0, numbers))
    assert frame.rows == [(count, total)]

    session.execute("CREATE TABLE p (n, s)")
    insert = f"INSERT INTO p {sql}"
    assert session.execute(insert, *numbers) == ResultResponse(1, 1)
    assert session.call(PrepareRequest(0, insert)) == StmtResponse(0, 1, count)
    assert session.call(ExecRequest(0, 1, numbers)) == ResultResponse(2, 1)
    assert session.rows("SELECT n, s FROM p") == [(count, total)] * 2


def test_no_parameters(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        session.execute("CREATE TABLE t (a)")
        assert session.call(PrepareRequest(0, "INSERT INTO t VALUES (1)")) == StmtResponse(0, 0, 0)
        assert session.call(ExecRequest(0, 0, [])) == ResultResponse(1, 1)
        assert session.call(PrepareRequest(0, "SELECT a FROM t")) == StmtResponse(0, 1, 0)
        assert session.run(QueryRequest(0, 1, []))[0].rows == [(1,)]


@pytest.mark.parametrize("request_type", [ExecSqlRequest, QuerySqlRequest])
def test_an_explicit_empty_header(real_node: Node, database: str, request_type: Any) -> None:
    # legal, though neither we nor the other clients write one
    body = raw.word(0) + raw.text("SELECT 1 WHERE 0") + encode_params_tuple([], emit_empty_header=True)
    with Session(real_node.address, database) as session:
        session.send_raw(raw.frame(request_type.MSG_TYPE, body))
        assert not isinstance(session.answer(), FailureResponse)


def test_old_servers_misread_256_parameters(old_node: Node, database: str) -> None:
    # they read the four-byte count as one byte 0: no parameter is bound, and nothing fails
    with Session(old_node.address, database) as session:
        assert session.row(statement(256), *range(1, 257)) == (0, 0.0)


def test_old_servers_misread_257_parameters(old_node: Node, database: str) -> None:
    # count byte 1, of the type that the count's second byte happens to be: INTEGER
    with Session(old_node.address, database) as session:
        count, _ = session.row(statement(257), *range(1, 258))
        assert count == 1


def test_old_servers_refuse_300_parameters(old_node: Node, database: str) -> None:
    # 300 = 2c 01 00 00 is 44 values, the second of the unknown type 0
    with Session(old_node.address, database) as session:
        request = QuerySqlRequest(0, statement(300), list(range(300)))
        assert session.failure(request) == (1005, "not an error")


# ---------------------------------------------------------------- rows


def widen(session: Session) -> None:
    """Let the server's write buffer for this connection grow beyond a page.

    In both releases a row header that crosses the end of the first page corrupts the server's heap, here with
    481 columns and more (tests/real/README.md, 8).
    """
    assert session.row("SELECT zeroblob(20000) AS b") == (bytes(20_000),)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 255, 256, 257, 300, 500])
def test_wide_results(real_node: Node, database: str, count: int) -> None:
    columns = ", ".join(f"{number} AS c{number}" for number in range(count))
    with Session(real_node.address, database) as session:
        widen(session)
        frames = session.run(QuerySqlRequest(0, f"SELECT {columns}"))
    assert all(frame.column_names == [f"c{number}" for number in range(count)] for frame in frames)
    assert [row for frame in frames for row in frame.rows] == [tuple(range(count))]


@pytest.mark.parametrize("count", [300, 500])
def test_wide_results_of_many_rows(real_node: Node, database: str, count: int) -> None:
    columns = ", ".join(f"i + {number} AS c{number}" for number in range(count))
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)"
    with Session(real_node.address, database) as session:
        widen(session)
        rows = session.rows(f"{numbers} SELECT {columns} FROM n")
    assert rows == [tuple(range(i, i + count)) for i in range(1, 51)]


def test_two_hundred_thousand_rows(real_node: Node, database: str) -> None:
    count = 200_000
    sql = (
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
        "SELECT i, 'row ' || i AS s, "
        "CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN i * 0.5 ELSE x'00' END AS m FROM n"
    )
    with Session(real_node.address, database) as session:
        frames = session.run(QuerySqlRequest(0, sql))
    rows = [row for frame in frames for row in frame.rows]
    assert len(rows) == count
    assert len(frames) > 1000  # the server ends a frame at one page
    assert all(row == (i, f"row {i}", (None, i * 0.5, b"\0")[i % 3]) for i, row in enumerate(rows, 1))


@pytest.mark.parametrize("count", [0, 1, 254, 255, 256, 510, 511])
def test_rows_around_the_end_of_a_page(real_node: Node, database: str, count: int) -> None:
    # 255 rows of one INTEGER fill a page: a frame without rows then says DONE
    sql = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n"
    with Session(real_node.address, database) as session:
        frames = session.run(QuerySqlRequest(0, sql if count else "SELECT 1 AS i WHERE 0"))
    assert [row[0] for frame in frames for row in frame.rows] == list(range(1, count + 1))
    assert all(frame.column_names == ["i"] for frame in frames)
    assert all(len(frame.rows) == 255 for frame in frames if frame.has_more)
    assert frames[-1].rows == [(i,) for i in range(255 * (len(frames) - 1) + 1, count + 1)]


def test_a_row_larger_than_a_page(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        sql = "SELECT zeroblob(100000) AS b UNION ALL SELECT 'small' UNION ALL SELECT zeroblob(9)"
        assert session.rows(sql) == [(bytes(100_000),), ("small",), (bytes(9),)]


def test_writing_through_query_gives_no_columns(new_node: Node, database: str) -> None:
    with Session(new_node.address, database) as session:
        (frame,) = session.run(QuerySqlRequest(0, "CREATE TABLE t (a)"))
        assert (frame.column_names, frame.rows, frame.has_more) == ([], [], False)
        session.run(QuerySqlRequest(0, "INSERT INTO t VALUES (1), (2)"))
        assert session.row("SELECT changes() AS c, last_insert_rowid() AS r") == (2, 2)


def test_returning_through_query(new_node: Node, own_node: Callable[..., Node], database: str) -> None:
    """Harmless on 1.18.7 alone; the others answer 100 and die with a later statement."""
    sql = "INSERT INTO t VALUES (1), (2) RETURNING a"
    if new_node.kind == "1.18.7":
        with Session(new_node.address, database) as session:
            session.execute("CREATE TABLE t (a)")
            assert session.rows(sql) == [(1,), (2,)]
            assert session.rows("SELECT count(*) AS n FROM t") == [(2,)]
        return
    node = own_node(new_node.kind)
    with Session(node.address, database) as session:
        session.execute("CREATE TABLE t (a)")
        failure = session.failure(QuerySqlRequest(0, sql))
        assert failure == (100, "rows yielded when none expected for EXEC request")
        with pytest.raises((EOFError, ConnectionError)):
            session.execute("INSERT INTO t VALUES (3)")
    wait_for(lambda: not node.alive(), "end of the node")


@pytest.mark.parametrize("values", [0, 1, 2, 3, 4])
def test_parameters_of_two_statements(new_node: Node, database: str, values: int) -> None:
    """1.18.7 hands them on from statement to statement; the others bind all to the first."""
    numbers = list(range(1, values + 1))
    with Session(new_node.address, database) as session:
        session.execute("CREATE TABLE t (a, b)")
        answer = session.call(
            ExecSqlRequest(0, "INSERT INTO t VALUES (?, ?); INSERT INTO t VALUES (?, ?)", numbers)
        )
        rows = session.rows("SELECT a, b FROM t")
    if new_node.kind == "1.18.7":
        bound = (numbers + [None] * 4)[:4]
        assert rows == [tuple(bound[:2]), tuple(bound[2:])]
    elif values > 2:
        assert failed(answer) == (25, "bind parameters")
        assert rows == []
    else:
        assert rows == [tuple((numbers + [None] * 2)[:2]), (None, None)]


def test_negative_row_ids(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        result = session.execute("INSERT INTO t VALUES (?)", -5)
        assert (result.last_insert_id, result.last_insert_id_signed) == (2**64 - 5, -5)
