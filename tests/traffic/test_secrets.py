"""A secret in every place where a value can stand is nowhere in what `--redact` prints or writes."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import EncodeError, Message, RequestType, ResponseType, ValueType
from dqlitewire.conversation import Side
from dqlitewire.explain import explain
from dqlitewire.messages import (
    EmptyResponse,
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    FilesResponse,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
    StmtResponse,
)
from dqlitewire.traffic import Connection, TranscriptWriter
from dqlitewire.traffic.redact import redact_message, redact_sql
from tests.traffic.command import Result, run

SECRET = "Zq7Xk9Wv3Jh5Qy1G"  # nothing of it is in any word that is printed
NUMBER = 8675309424242421
SIDES = {Side.CLIENT: "--requests", Side.SERVER: "--responses"}
HANDSHAKE = bytes([1, *bytes(7)])
WINDOW = 5


def traces(data: bytes) -> set[str]:
    """What a part of some bytes may look like: text, hex and reversed hex with and without blanks, base64."""
    found: set[str] = set()
    for at in range(len(data) - WINDOW + 1):
        part = data[at : at + WINDOW]
        for order in (part, part[::-1]):
            found |= {order.hex(), order.hex(" "), order.hex().upper()}
            if order.isalnum():
                found.add(order.decode())
    for skipped in range(3):
        whole = data[skipped:]
        found.add(base64.b64encode(whole).decode()[: len(whole) // 3 * 4])
    return found


TRACES = traces(SECRET.encode()) | traces(NUMBER.to_bytes(8, "little")) | {str(NUMBER), str(NUMBER)[:8]}


def shows(text: str) -> bool:
    return any(trace in text for trace in TRACES)


VIEWS = (
    ["decode"],
    ["decode", "-v", "--width", "1000"],
    ["decode", "-x", "--width", "1000"],
    ["decode", "--json"],
    ["stats", "--width", "1000"],
    ["stats", "--json"],
)


def leaks(folder: Path, requests: bytes, answers: bytes, views: Sequence[list[str]] = VIEWS) -> list[str]:
    """The lines of all views in which a trace is found."""
    paths = {}
    for side, data in ((Side.CLIENT, requests), (Side.SERVER, answers)):
        path = folder / f"{side.name}.bin"
        path.write_bytes(data)
        paths[side] = [SIDES[side], str(path)]
    both = [*paths[Side.CLIENT], *paths[Side.SERVER]]
    found = []
    for view in views:
        result = run(*view, "--redact", *both)
        assert result.code in (0, 1)
        assert result.out
        found += [f"{view}: {line}" for line in said(result)]
    copy = folder / "copy.dqt"
    copy.unlink(missing_ok=True)
    assert run("decode", "--redact", "-w", copy, *both).code in (0, 1)
    written = copy.read_text().splitlines()
    written += [base64.b64decode(json.loads(line).get("bytes", "")).hex() for line in written]
    found += [f"transcript: {line}" for line in written if shows(line)]
    return found + [f"again: {line}" for line in said(run("decode", "--json", copy))]


def said(result: Result) -> list[str]:
    """The lines that show a trace."""
    whole = result.out + result.err
    return [line for line in whole.splitlines() if shows(line)] if shows(whole) else []


def unredacted_shows_it(folder: Path, requests: bytes, answers: bytes) -> bool:
    for side, data in ((Side.CLIENT, requests), (Side.SERVER, answers)):
        (folder / f"{side.name}.bin").write_bytes(data)
    both = [word for side in Side for word in (SIDES[side], str(folder / f"{side.name}.bin"))]
    return any(shows(run(*view, *both).out) for view in VIEWS)


# ---------------------------------------------------------------- values in messages

HEX = SECRET.encode().hex()
LITERALS = [
    f"'{SECRET}'",
    f"'it''s {SECRET}'",
    f'"{SECRET}"',
    f'"a ""{SECRET}"" b"',
    f"x'{HEX}'",
    f"X'{HEX.upper()}'",
    str(NUMBER),
    f"{NUMBER}.5e3",
    f"0x{NUMBER:x}",
    f"-- {SECRET}\n1",
    f"/* {SECRET} */ 1",
    f"'\n{SECRET}\n'",
]
DAMAGED = [
    f"'{SECRET}",
    f'"{SECRET}',
    f"/* {SECRET}",
    f"x'{HEX}",
    f"x'{SECRET}'",
    f"'it's {SECRET}'",
    f"'it's {SECRET} isn't'",
    f"'it\\'s {SECRET}'",
    f"""'it"s {SECRET}""",
    f"{NUMBER}abc",
    f"$${SECRET}$$",
    f"'a' '{SECRET}'",
    f"E'{SECRET}'",
]
STATEMENTS = [
    "SELECT {}",
    "SELECT {} AS a, {} FROM t",
    "SELECT * FROM t WHERE a = {} AND b IN ({}, {})",
    "SELECT * FROM t WHERE a = {} ORDER BY {}",
    "INSERT INTO t VALUES ({}, {})",
    "INSERT INTO t (a, b) VALUES ({}, {}), ({}, {})",
    "UPDATE t SET a = {}, b = {} WHERE a = {}",
    "UPDATE u SET a = {}",
    "DELETE FROM t WHERE a LIKE {} OR b BETWEEN {} AND {}",
    "CREATE TABLE n (a TEXT DEFAULT {}, b CHECK (b <> {}))",
    "CREATE TABLE IF NOT EXISTS m AS SELECT {} FROM t",
    "SELECT nothing({}, {})",
    "SELECT abs({}, {}, {})",
    "SELECT * FROM missing WHERE a = {}",
    "SELECT missing FROM t WHERE a = {}",
    "SELECT {} FROM t GROUP BY {} HAVING {}",
    "SELECT CASE WHEN a = {} THEN {} ELSE {} END FROM t",
    "SELECT json({}), json_extract('{{}}', {})",
    "WITH c AS (SELECT {}) SELECT * FROM c UNION SELECT {} , 2",
    "SELECT a IS DISTINCT FROM {} FROM t",
    "SELECT 1 WHERE 1 = {} 2",
    "SELECT cast({} AS TEXT) || {} LIMIT {}",
    "PRAGMA application_id = {}",
    "VACUUM INTO {}",
    "ATTACH {} AS other",
    "INSERT INTO u VALUES ({})",
    "INSERT INTO strict VALUES ({})",
    "INSERT INTO child VALUES (1, {})",
    "SELECT raise(ABORT, {})",
    "INSERT INTO guarded VALUES ({})",
    "{}",
    "SELECT {} {}",
]
SCHEMA = f"""
CREATE TABLE t (a, b);
CREATE TABLE u (a UNIQUE NOT NULL CHECK (a <> '{SECRET}'));
CREATE TABLE strict (a INTEGER CHECK (a > 0)) STRICT;
CREATE TABLE child (a REFERENCES parent (a), b CHECK (b = '{SECRET}'));
CREATE TABLE guarded (a);
CREATE TRIGGER guard BEFORE INSERT ON guarded BEGIN SELECT raise(ABORT, 'not {SECRET}'); END;
CREATE VIEW broken AS SELECT '{SECRET}', nowhere FROM t;
INSERT INTO u VALUES (1);
"""


def texts() -> Iterator[str]:
    """Every statement with every literal, every second one with those that are damaged."""
    for statement, literal in [
        *itertools.product(STATEMENTS, LITERALS),
        *itertools.product(STATEMENTS[::2], DAMAGED),
    ]:
        yield statement.format(*[literal] * 4)


def answers_of_sqlite() -> Iterator[tuple[str, Message]]:
    """What SQLite says to every text: a failure, or the names of the columns."""
    database = apsw.Connection(":memory:")
    database.execute(SCHEMA)
    database.execute("PRAGMA foreign_keys = ON")
    for sql in texts():
        try:
            cursor = database.execute(f"EXPLAIN {sql}" if sql.startswith(("VACUUM", "ATTACH")) else sql)
            names = [name for name, *_ in cursor.get_description()] if cursor.is_readonly else []
            cursor.fetchall()
        except apsw.ExecutionCompleteError:
            yield sql, ResultResponse(NUMBER, 1)
        except apsw.Error as error:
            yield sql, FailureResponse(getattr(error, "extendedresult", 1) & 0xFFFF, str(error)[:60_000])
        else:
            types = (ValueType.TEXT,) * len(names)
            rows = [(SECRET,) * len(names)] if names else []
            yield sql, RowsResponse(names, types, [types] * len(rows), rows)  # type: ignore[arg-type]


def rows(*cells: object) -> RowsResponse:
    types = tuple(
        {str: ValueType.TEXT, bytes: ValueType.BLOB, int: ValueType.INTEGER, float: ValueType.FLOAT}[type(c)]
        for c in cells
    )
    return RowsResponse([f"c{i}" for i in range(len(cells))], types, [types], [cells])  # type: ignore[list-item]


CELLS = [SECRET, SECRET.encode(), NUMBER, -NUMBER, float(NUMBER), f"a {SECRET} b"]
TALKS: list[tuple[Message, Message]] = [
    (QuerySqlRequest(0, "SELECT ?", CELLS), rows(*CELLS)),  # type: ignore[arg-type]
    (ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [SECRET] * 300), ResultResponse(NUMBER, 1)),
    (PrepareRequest(0, f"SELECT '{SECRET}'"), StmtResponse(0, 1, 0)),
    (QueryRequest(0, 1, CELLS), rows(*CELLS)),  # type: ignore[arg-type]
    (ExecRequest(0, 1, CELLS), FailureResponse(1, SECRET)),  # type: ignore[arg-type]
    (QuerySqlRequest(0, "SELECT a FROM t"), FailureResponse(1, f'near "{SECRET}": syntax error')),
]


def frames(talks: list[tuple[Message, Message]]) -> tuple[bytes, bytes]:
    return (
        HANDSHAKE + b"".join(request.encode() for request, _ in talks),
        b"".join(answer.encode() for _, answer in talks),
    )


def test_values_of_messages(tmp_path: Path) -> None:
    talk = frames(TALKS)
    assert unredacted_shows_it(tmp_path, *talk)
    assert leaks(tmp_path, *talk) == []


def test_files(tmp_path: Path) -> None:
    from dqlitewire.messages import DumpRequest

    page = (SECRET * 32).encode()
    talk = frames([(DumpRequest("main"), FilesResponse({"main": page, "main-wal": page}))])
    assert leaks(tmp_path, *talk) == []


def test_what_sqlite_answers_to_literals_of_every_kind(tmp_path: Path) -> None:
    talks: list[tuple[Message, Message]] = [
        (QuerySqlRequest(0, sql), answer) for sql, answer in answers_of_sqlite()
    ]
    failures = {answer.message for _, answer in talks if isinstance(answer, FailureResponse)}
    assert sum(SECRET in text for text in failures) > 20
    assert leaks(tmp_path, *frames(talks), VIEWS[1::2]) == []


def test_the_names_of_a_failure_stay_where_they_are_names() -> None:
    def shown(message: str, sql: str | None) -> str:
        return redact_message(message.encode(), sql).decode()

    sql = 'SELECT nme, "q" FROM users JOIN "my table" m WHERE m.id = \'secret\' AND a = "dq"'
    assert shown("no such column: nme", sql) == "no such column: nme"
    assert shown("no such column: NME", sql) == "no such column: NME"
    assert shown("no such table: my table", sql) == "no such table: my table"
    assert shown("UNIQUE constraint failed: users.id, users.b", sql) == (
        "UNIQUE constraint failed: users.id, users.x"
    )
    assert shown('near "FROM": syntax error', sql) == 'near "FROM": syntax error'
    assert shown('near ")": syntax error', sql) == 'near ")": syntax error'
    assert shown("table users has 3 columns but 2 values were supplied", sql) == (
        "table users has 3 columns but 2 values were supplied"
    )
    for quoted in ("secret", "dq", "q"):
        assert shown(f"no such column: {quoted}", sql) == f"no such column: {'x' * len(quoted)}"
        assert shown(f"no such column: {quoted}", None) == f"no such column: {'x' * len(quoted)}"
    assert (
        shown("error in view v: no such table: main.nme", sql) == "error in view x: no such table: xxxx.nme"
    )
    assert shown("anything else users", sql) == "x" * 19
    assert shown("database is locked", None) == "database is locked"


@pytest.mark.parametrize(
    ("sql", "hidden"),
    [
        ('SELECT "u"."id" FROM "u" WHERE "u"."n" = "x y"', 'SELECT "u"."id" FROM "u" WHERE "u"."n" = "xxx"'),
        ('INSERT INTO "t" ("a", "b") VALUES ("c", ?)', 'INSERT INTO "t" ("a", "b") VALUES ("x", ?)'),
        ('UPDATE "t" SET "a" = "b", "c" = 1', 'UPDATE "t" SET "a" = "x", "c" = 0'),
        ('CREATE TABLE "t" ("a" int, UNIQUE ("a"))', 'CREATE TABLE "t" ("a" int, UNIQUE ("a"))'),
        ('CREATE INDEX "i" ON "t" ("a")', 'CREATE INDEX "i" ON "t" ("a")'),
        ("SELECT `a b`, [c d] FROM t", "SELECT `a b`, [c d] FROM t"),
        ("SELECT 'it's hunter2'", "SELECT xxxxxxxxxxxxxx"),
        ('DROP TABLE IF EXISTS "t"', 'DROP TABLE IF EXISTS "t"'),
        ('SELECT 1 WHERE EXISTS "t"', 'SELECT 0 WHERE EXISTS "x"'),
        ('VACUUM INTO "/a"', 'VACUUM INTO "xx"'),
        ('VACUUM main INTO "/a"', 'VACUUM main INTO "xx"'),
        ('SELECT trim(a FROM "b") FROM "t"', 'SELECT trim(a FROM "x") FROM "t"'),
        ('SELECT (SELECT a FROM "t")', 'SELECT (SELECT a FROM "t")'),
    ],
)
def test_double_quotes(sql: str, hidden: str) -> None:
    assert redact_sql(sql.encode()).decode() == hidden


@pytest.mark.parametrize(
    ("sql", "hidden"),
    [
        ("CREATE TABLE t (a TEXT DEFAULT {}, b DEFAULT NULL)",) * 2,
        ("ALTER TABLE t ADD a DEFAULT {}",) * 2,
        ("ATTACH x AS y KEY {}",) * 2,
        ("PRAGMA key = {}",) * 2,
        ("SELECT 1; PRAGMA main.key({})", "SELECT 0; PRAGMA main.key({})"),
        ("SELECT #{}", "SELECT x{}"),
        ("SELECT $a({})", "SELECT xxx{}x"),
        ("SELECT ‘it {}’ FROM t", "SELECT " + "x" * 6 + "{}" + "x" * 10),
    ],
)
def test_words_that_are_values(sql: str, hidden: str) -> None:
    asked = sql.format(SECRET)
    assert redact_sql(asked.encode()).decode() == hidden.format("x" * len(SECRET))
    for quotes in ("``", "[]"):  # values all the same
        quoted = sql.format(SECRET.join(quotes))
        assert sql.startswith("SELECT #") or SECRET not in redact_sql(quoted.encode()).decode()
    assert SECRET not in redact_message(f"no such column: {SECRET}".encode(), asked).decode()


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (a DEFAULT CURRENT_TIMESTAMP, b REFERENCES u ON DELETE SET DEFAULT NOT NULL)",
        "INSERT INTO t DEFAULT VALUES",
        "PRAGMA table_info(t)",
        "PRAGMA main.journal_mode = WAL",
        "SELECT :a, @b, $c, ?",
    ],
)
def test_words_that_are_none(sql: str) -> None:
    assert redact_sql(sql.encode()).decode() == sql


# ---------------------------------------------------------------- frames that do not decode


def broken(frame: bytes) -> Iterator[bytes]:
    """Frames made of one that holds a secret: wrong types, schemas, counts, lengths, all kinds of damage."""
    words = len(frame) // 8
    for kind in (*range(20), 99, 255):
        yield frame[:4] + bytes([kind]) + frame[5:]
    yield frame[:5] + b"\7" + frame[6:]
    for word in range(1, min(words, 8)):
        for filler in (b"\xff" * 8, b"\0" * 8, b"\1\xff" * 4):
            yield frame[: 8 * word] + filler + frame[8 * word + 8 :]


def test_frames_that_do_not_decode(tmp_path: Path) -> None:
    requests, answers = [], []
    for request, answer in [
        *TALKS[:4],
        (QuerySqlRequest(0, f"SELECT '{SECRET}'"), FailureResponse(1, SECRET)),
        (ExecSqlRequest(0, SECRET, [SECRET]), FilesResponse({"main": (SECRET * 4).encode()})),
    ]:
        requests += broken(request.encode())
        answers += broken(answer.encode())
    text = SECRET.encode().ljust(24, b"\0")
    answers += [bytes([4, 0, 0, 0, kind, 0, 0, 0]) + b"\1" + bytes(7) + text for kind in range(15)]
    requests += [bytes([4, 0, 0, 0, kind, 0, 0, 0]) + b"\1" + bytes(7) + text for kind in range(20)]
    # what has become a whole frame with a name or an address in it shows that
    shown = {RequestType.OPEN, RequestType.ADD, RequestType.CONNECT, RequestType.DUMP}
    requests = [frame for frame in requests if frame[4] not in shown or explain(frame, is_request=True).error]
    shown_too = {ResponseType.LEADER, ResponseType.SERVERS, ResponseType.FILES}
    answers = [
        frame for frame in answers if frame[4] not in shown_too or explain(frame, is_request=False).error
    ]
    assert len(requests) + len(answers) > 300
    assert leaks(tmp_path, HANDSHAKE + b"".join(requests), b"".join(answers)) == []


def test_damage_that_leaves_a_value_where_something_else_was(tmp_path: Path) -> None:
    sql = QuerySqlRequest(0, "SELECT '" + SECRET).encode().replace(b"SELECT '", b"\xff" * 8)
    code = FailureResponse(NUMBER, "x").encode()
    assert leaks(tmp_path, HANDSHAKE + sql, code) == []


def test_bytes_that_nobody_reads(tmp_path: Path) -> None:
    secret = SECRET.encode()
    frames = [
        bytes([1, 0, 0, 0, 8, 0]) + secret[:2] + secret[:8],  # EMPTY
        bytes([1, 0, 0, 0, 4, 0, 0, 0]) + bytes(4) + secret[:4],  # DB
        bytes([4, 0, 0, 0, 1, 0, 0, 0]) + b"\1" + bytes(7) + b"a:1\0" + secret + b"\0" * 4,  # behind a text
        bytes([3, 0, 0, 0, 3, 0, 0, 0]) + b"\1" + bytes(7) + b"\1" + bytes(7) + b"a:1\0" + secret[:4],
    ]
    talks = [EmptyResponse().encode()] * len(frames)
    request = QuerySqlRequest(0, "SELECT 1").encode()
    padded = request[:4] + request[4:-7] + b"\0" + secret[:6]
    assert leaks(tmp_path, HANDSHAKE + padded * len(talks), b"".join(frames)) == []


@pytest.mark.parametrize(
    ("requests", "answers"),
    [
        (SECRET.encode()[:8] + QuerySqlRequest(0, "SELECT 1").encode(), b""),
        (HANDSHAKE + QuerySqlRequest(0, f"SELECT '{SECRET}'").encode()[:-8], b""),
        (HANDSHAKE, SECRET.encode() * 20),
        (
            f"GET /{SECRET} HTTP/1.1\r\nHost: {SECRET}\r\nUpgrade: dqlite\r\n\r\n".encode() + HANDSHAKE,
            f"HTTP/1.1 101 {SECRET}\r\nX: {SECRET}\r\n\r\n".encode(),
        ),
        (HANDSHAKE + bytes([1, 0, 0, 0, 11, 0, 0, 0, *bytes(8)]) + SECRET.encode() * 9, SECRET.encode() * 9),
        (HANDSHAKE + SECRET.encode() * 30, b"\x16\x03\x01" + SECRET.encode() * 20),
    ],
    ids=["handshake", "cut off", "garbage", "http", "raft", "tls"],
)
def test_what_is_no_frame(requests: bytes, answers: bytes, tmp_path: Path) -> None:
    assert leaks(tmp_path, requests, answers) == []


def test_transcripts(tmp_path: Path) -> None:
    path = tmp_path / "talk.dqt"
    connection = Connection(1, "a:1", "b:2")
    with TranscriptWriter(path) as writer:
        for request, answer in TALKS:
            fields = {"type": SECRET, "fields": {"sql": SECRET}, "error": SECRET, "note": SECRET}
            writer.frame(connection, Side.CLIENT, request.encode(), 1, fields)
            writer.frame(connection, Side.SERVER, answer.encode(), 2, fields)
    with path.open("a") as file:
        file.write(f'{{"time":"{SECRET}"}}\n{SECRET}\n')
    for view in VIEWS:
        assert said(run(*view, "--redact", path)) == []


@given(st.text("abc'\"`[]$-/* \n();.,=0x\\", max_size=40), st.text("ab'\" \n", max_size=6))
def test_any_text_around_a_quoted_secret(around: str, inside: str) -> None:
    """A single-quoted value with quotes doubled, as every driver writes it, in text that may be anything."""
    value = f"{inside}{SECRET}".replace("'", "''")
    sql = f"SELECT a, '{value}' , {around}"
    hidden = redact_sql(sql.encode()).decode()
    assert SECRET not in hidden
    assert len(hidden) == len(sql)
    for message in (
        f'unrecognized token: "{value}"',
        f"no such column: {SECRET}",
        f"{SECRET}",
        inside + SECRET,
    ):
        assert SECRET not in redact_message(message.encode(), sql).decode()


def test_redacting_again_changes_nothing() -> None:
    for sql in texts():
        once = redact_sql(sql.encode())
        assert redact_sql(once) == once


def test_every_answer_is_encodable() -> None:
    """The survey above must not lose cases to the encoder."""
    for sql, answer in answers_of_sqlite():
        try:
            answer.encode()
        except EncodeError as error:  # pragma: no cover
            pytest.fail(f"{sql!r}: {error}")
