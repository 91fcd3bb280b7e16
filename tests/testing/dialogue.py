"""One long dialogue, spoken to a real node and to the embedded server, to be compared answer by answer.

A dialogue is a list of steps; a step goes to a connection by name and has a label of its own, so that what is
known to differ can be named.  Nothing here harms a real node.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.real.raw import DONE, HANDSHAKE_LEGACY, PART, Frame, RawConnection, blob, frame, text, word

LEADER, CLIENT, HEARTBEAT, OPEN, PREPARE, EXEC, QUERY, FINALIZE, EXEC_SQL, QUERY_SQL = range(10)
INTERRUPT, CONNECT, ADD, ASSIGN, REMOVE, DUMP, CLUSTER, TRANSFER, DESCRIBE, WEIGHT = range(10, 20)
FRAMES_READ = 300  # of one answer: a row-less stream never ends


@dataclass(frozen=True)
class Step:
    """What one connection does: "send" and read so many answers, "connect" with a handshake, "close"."""

    connection: str
    label: str
    data: bytes = b""
    action: str = "send"
    answers: int = 1
    node: int = 0


@dataclass(frozen=True)
class Iso:
    text: str


@dataclass(frozen=True)
class Unix:
    seconds: int


def encode_value(value: object) -> tuple[int, bytes]:
    match value:
        case None:
            return 5, word(0)
        case bool():
            return 11, word(int(value))
        case int():
            return 1, struct.pack("<q", value)
        case float():
            return 2, struct.pack("<d", value)
        case str():
            return 3, text(value)
        case bytes():
            return 4, blob(value)
        case Iso(stamp):
            return 10, text(stamp)
        case Unix(seconds):
            return 9, struct.pack("<q", seconds)
    raise TypeError(value)


def encode_params(values: tuple[object, ...], schema: int) -> bytes:
    if not values:
        return b""
    cells = [encode_value(value) for value in values]
    header = struct.pack("<I", len(cells)) if schema == 1 else bytes([len(cells)])
    header += bytes(code for code, _ in cells)
    return header + bytes(-len(header) % 8) + b"".join(data for _, data in cells)


class Dialogue:
    """Collects steps; every method is one request."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._labels: set[str] = set()

    def raw(
        self,
        connection: str,
        label: str,
        data: bytes = b"",
        answers: int = 1,
        action: str = "send",
        node: int = 0,
    ) -> None:
        unique, number = label, 2
        while unique in self._labels:
            unique, number = f"{label} #{number}", number + 1
        self._labels.add(unique)
        self.steps.append(Step(connection, unique, data, action, answers, node))

    def connect(self, connection: str, handshake: bytes = word(1), node: int = 0) -> None:
        self.raw(connection, f"connect {connection}", handshake, 0, "connect", node)

    def settle(self) -> None:
        """Wait until all nodes name the same leader."""
        self.raw("", "settle", action="settle", answers=0)

    def close(self, connection: str) -> None:
        self.raw(connection, f"close {connection}", action="close", answers=0)

    def request(self, connection: str, label: str, kind: int, body: bytes, schema: int = 0) -> None:
        self.raw(connection, label, frame(kind, body, schema))

    def open(self, connection: str, name: str, schema: int = 0) -> None:
        self.request(connection, f"open {name[:20]}", OPEN, text(name) + word(0) + text("x"), schema)

    def prepare(self, connection: str, sql: str, schema: int = 0) -> None:
        self.request(connection, f"prepare/{schema} {sql[:60]}", PREPARE, word(0) + text(sql), schema)

    def exec(self, connection: str, statement: int, *values: object, schema: int = 0) -> None:
        body = struct.pack("<II", 0, statement) + encode_params(values, schema)
        self.request(connection, f"exec {statement} {_shown(values)}", EXEC, body, schema)

    def query(self, connection: str, statement: int, *values: object, schema: int = 0) -> None:
        body = struct.pack("<II", 0, statement) + encode_params(values, schema)
        self.request(connection, f"query {statement} {_shown(values)}", QUERY, body, schema)

    def finalize(self, connection: str, statement: int) -> None:
        self.request(connection, f"finalize {statement}", FINALIZE, struct.pack("<II", 0, statement))

    def exec_sql(self, connection: str, sql: str, *values: object, schema: int = 0) -> None:
        body = word(0) + text(sql) + encode_params(values, schema)
        self.request(connection, f"exec_sql {sql[:60]} {_shown(values)}".rstrip(), EXEC_SQL, body, schema)

    def query_sql(self, connection: str, sql: str, *values: object, schema: int = 0) -> None:
        body = word(0) + text(sql) + encode_params(values, schema)
        self.request(connection, f"query_sql {sql[:60]} {_shown(values)}".rstrip(), QUERY_SQL, body, schema)


def _shown(values: tuple[object, ...]) -> str:
    return ", ".join(map(repr, values))[:40]


def speak(steps: list[Step], *addresses: str) -> Iterator[tuple[str, list[str]]]:
    """Speak a dialogue to a server or a cluster; yields label and answers of each step."""
    connections: dict[str, RawConnection] = {}
    try:
        for step in steps:
            if step.action == "settle":
                _settle(addresses)
                continue
            if step.action == "connect":
                connections[step.connection] = RawConnection(addresses[step.node], handshake=None)
            connection = connections[step.connection]
            if step.action == "close":
                connection.close()
                continue
            yield step.label, [*_exchange(connection, step, addresses)]
    finally:
        for connection in connections.values():
            connection.close()


def _settle(addresses: tuple[str, ...]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        seen = set()
        for address in addresses:
            with RawConnection(address) as connection:
                seen.add(connection.leader())
        if len(seen) == 1 and next(iter(seen))[0] != 0:
            return
        time.sleep(0.02)
    raise TimeoutError("no leader everyone agrees on")


def _exchange(connection: RawConnection, step: Step, addresses: tuple[str, ...]) -> Iterator[str]:
    try:
        connection.send(step.data)
        while step.action == "until EMPTY":
            answer = connection.frame()
            yield shown(answer, addresses)
            if answer.kind == 8:
                return
        for _ in range(step.answers):
            for _ in range(FRAMES_READ):
                answer = connection.frame()
                yield shown(answer, addresses)
                if not (answer.kind == 7 and answer.body.endswith(PART)):
                    break
    except (EOFError, ConnectionError):
        yield "closed"


def shown(answer: Frame, addresses: tuple[str, ...]) -> str:
    """Make an answer comparable: everything of it but the servers' own addresses and a DUMP's pages."""
    body = answer.body
    if answer.kind in (1, 3):
        for number, address in enumerate(addresses):
            body = body.replace(text(address), text(f"ADDRESS {number}"))
    if answer.kind == 9:
        return f"FILES {[(name, len(data)) for name, data in files(body)]}"
    if answer.kind == 0:
        code, message = answer.failure
        rows = without_blob_padding(body[: len(body) - len(word(code) + text(message))])
        return f"FAILURE {code} {message!r} behind {rows.hex()!r}"
    if answer.kind == 7:
        body = without_blob_padding(body)
    return f"type {answer.kind}/{answer.schema} {body.hex(' ', 8)}"


def without_blob_padding(rows: bytes) -> bytes:
    """Clear what stands behind blobs in a ROWS body or its beginning: real servers leave stale bytes."""
    if not rows:
        return rows
    cleared = bytearray(rows)
    (columns,) = struct.unpack_from("<Q", rows)
    at = 8
    for _ in range(columns):
        at = (rows.index(0, at) + 8) & -8
    header = (columns + 15) // 16 * 8
    while header and at < len(rows) and rows[at : at + 8] not in (PART, DONE):
        codes = [rows[at + i // 2] >> 4 * (i % 2) & 15 for i in range(columns)]
        at += header
        for code in codes:
            if code in (3, 10):
                at = (rows.index(0, at) + 8) & -8
            elif code == 4:
                end = at + 8 + struct.unpack_from("<Q", rows, at)[0]
                at = (end + 7) & -8
                cleared[end:at] = bytes(at - end)
            else:
                at += 8
    return bytes(cleared)


def files(body: bytes) -> list[tuple[str, bytes]]:
    """The files of a FILES body."""
    found = []
    at = 8
    for _ in range(struct.unpack_from("<Q", body)[0]):
        end = body.index(0, at)
        name = body[at:end].decode()
        at = (end + 8) & -8
        (size,) = struct.unpack_from("<Q", body, at)
        found.append((name, body[at + 8 : at + 8 + size]))
        at += 8 + size
    return found


# ---------------------------------------------------------------- what is said

TEXTS = (
    "SELECT 1",
    "SELECT 1;",
    "SELECT 1; ;",
    "SELECT 1;  -- c",
    "SELECT 1; garbage",
    "SELECT 1;garbage(",
    "SELECT 1; SELECT 2",
    "  SELECT 1 ;  SELECT 2",
    "; SELECT 1",
    "/*c*/; SELECT 1",
    "-- c\n; SELECT 1",
    "SELECT 1 -- c ;",
    "SELECT 1 -- c ; ;",
    "SELECT 1; /* open",
    "SELECT 1; 'open",
    "SELECT 1;;;",
    "SELECT ';' ; SELECT 2",
    "SELECT 'ü' AS \"ü\" ; SELECT 2",
    "",
    " ",
    ";",
    ";;",
    "-- c",
    "/* c */ ;",
    "SELEC 1",
    "SELECT",
    "SELECT 'x",
    "SELECT * FROM nowhere",
    "INSERT INTO nowhere VALUES (1)",
    "SELECT 1 WHERE 0",
    "VALUES (1, 'a'), (2, NULL), (x'00', 1.5)",
    "WITH w(a) AS (SELECT 1) SELECT a FROM w",
    "EXPLAIN QUERY PLAN SELECT 1",
)

EXPRESSIONS = (
    "NULL",
    "0, 1, -1, 9223372036854775807, -9223372036854775808",
    "0.0, -0.0, 1.5, 1e308, -1e-308, 9e999, -9e999",
    "'', 'a', '1234567', '12345678', '123456789'",
    "x'', x'00', x'01020304050607', x'0102030405060708', x'010203040506070809'",
    "'ü', '€', '😀', 'a' || char(0) || 'b'",
    "zeroblob(5000)",
    "CAST(x'ff41' AS TEXT), 'ü', CAST(x'fe0041' AS TEXT), 1.5, NULL",
    "printf('%.*c', 5000, 'x')",
    "typeof(?1), typeof(?2)",
    '1 AS x, 2 AS x, 3 AS ""',
    "abs(-9223372036854775808) AS x",
    "CASE WHEN 1 THEN NULL END",
    "count(*), sum(1), max(NULL)",
    "CAST('x' AS BOOLEAN), CAST(1 AS DATE)",
    "json('[1]')",
    "group_concat(1)",
    "soundex('Robert'), soundex('Ashcraft'), soundex('  Pfister2'), soundex('x'), soundex('tymczak')",
    "soundex(NULL), soundex(''), soundex('1'), soundex(1e300), soundex(x'4100')",
    "soundex('éa'), soundex('aéb')",
    "soundex(9e999), soundex(123456789012345.0), soundex(0.0001), soundex(0.00001)",
)

SETTERS = (
    "PRAGMA user_version=5",
    "PRAGMA application_id=7",
    "PRAGMA foreign_keys=0",
    "PRAGMA foreign_keys=1",
    "PRAGMA synchronous=2",
    "PRAGMA synchronous=0",
    "PRAGMA cache_size=-2000",
    "PRAGMA recursive_triggers=0",
    "PRAGMA temp_store=0",
    "PRAGMA read_uncommitted=0",
    "PRAGMA case_sensitive_like=0",
)
GETTERS = (
    "user_version",
    "application_id",
    "page_size",
    "synchronous",
    "foreign_keys",
    "cache_size",
    "encoding",
    "auto_vacuum",
    "recursive_triggers",
    "wal_autocheckpoint",
    "busy_timeout",
    "temp_store",
    "journal_mode",
    "locking_mode",
    "integrity_check",
    "foreign_key_check",
    "table_info(typed)",
    "index_list(typed)",
    "foreign_key_list(child)",
    "collation_list",
    "database_list",
)
# pragmas that only read, in each schema
READ = (
    "analysis_limit",
    "application_id",
    "auto_vacuum",
    "automatic_index",
    "busy_timeout",
    "cache_size",
    "cache_spill",
    "cell_size_check",
    "checkpoint_fullfsync",
    "data_version",
    "defer_foreign_keys",
    "encoding",
    "foreign_keys",
    "freelist_count",
    "full_column_names",
    "hard_heap_limit",
    "ignore_check_constraints",
    "journal_mode",
    "journal_size_limit",
    "legacy_alter_table",
    "locking_mode",
    "max_page_count",
    "page_count",
    "page_size",
    "query_only",
    "quick_check",
    "recursive_triggers",
    "reverse_unordered_selects",
    "schema_version",
    "secure_delete",
    "short_column_names",
    "soft_heap_limit",
    "synchronous",
    "table_list",
    "table_xinfo(typed)",
    "temp_store",
    "threads",
    "trusted_schema",
    "user_version",
    "wal_autocheckpoint",
    "writable_schema",
)


def whole_dialogue(kind: str) -> list[Step]:
    """Everything, in an order that leaves each part its own tables."""
    d = Dialogue()
    for part in (
        _greeting,
        _before_open,
        _texts,
        _values,
        _typed,
        _constraints,
        _prepared,
        _shapes,
        _parameters,
        _many_statements,
        _paging,
        _mid_failures,
        _transactions,
        _pragmas,
        _schemas,
        _undecodable,
        _interrupts,
        _members,
        _pipelining,
        _names,
        _known_differences,
    ):
        part(d, kind)
    return d.steps


def _greeting(d: Dialogue, kind: str) -> None:
    d.connect("bad", word(2))
    d.request("bad", "request after a bad handshake", LEADER, word(0))
    d.connect("zero", word(0))
    d.request("zero", "request after handshake 0", LEADER, word(0))
    d.connect("legacy", word(HANDSHAKE_LEGACY))
    d.request("legacy", "legacy leader", LEADER, word(0))
    d.request("legacy", "legacy cluster", CLUSTER, word(1))
    d.close("legacy")
    d.connect("joined", word(1) + frame(LEADER, word(0)) + frame(CLIENT, word(5)))
    d.raw("joined", "handshake and requests in one write", b"", 2)
    d.close("joined")


def _before_open(d: Dialogue, kind: str) -> None:
    d.connect("a")
    d.request("a", "leader", LEADER, word(0))
    d.request("a", "leader, two words", LEADER, word(9) + word(7))
    d.request("a", "client", CLIENT, word(1))
    d.request("a", "cluster 0", CLUSTER, word(0))
    d.request("a", "cluster 1", CLUSTER, word(1))
    d.request("a", "cluster 2", CLUSTER, word(2))
    d.request("a", "describe", DESCRIBE, word(0))
    d.request("a", "weight", WEIGHT, word(12345))
    d.request("a", "describe weight", DESCRIBE, word(0))
    d.request("a", "weight back", WEIGHT, word(0))
    d.request("a", "interrupt, nothing runs", INTERRUPT, word(9))
    d.query_sql("a", "SELECT 'early'")
    d.exec_sql("a", "SELECT 'early'")
    d.prepare("a", "SELECT 'early'")
    d.exec("a", 0)
    d.query("a", 0)
    d.finalize("a", 0)
    d.request("a", "dump of nothing", DUMP, text("nothing"))
    d.open("a", "main.db")
    d.open("a", "main.db")
    d.open("a", "other.db")
    d.request("a", "dump opened", DUMP, text("main.db"))
    d.request("a", "db 1", QUERY_SQL, word(1) + text("SELECT 1"))


def _texts(d: Dialogue, kind: str) -> None:
    d.connect("texts")
    d.open("texts", "texts.db")
    for sql in TEXTS:
        d.query_sql("texts", sql)
        d.exec_sql("texts", sql)
        d.prepare("texts", sql)
        d.prepare("texts", sql, 1)
    d.close("texts")


def _values(d: Dialogue, kind: str) -> None:
    for expression in EXPRESSIONS:
        d.query_sql("a", f"SELECT {expression}")
    values = (
        0,
        1,
        -1,
        2**63 - 1,
        -(2**63),
        0.0,
        1.5,
        float("inf"),
        "",
        "a",
        "12345678",
        "ü€😀",
        b"",
        b"\0",
        b"12345678",
        None,
    )
    for value in (*values, True, False, Iso("2020-01-02 03:04:05"), Iso("junk"), Iso("")):
        d.query_sql("a", "SELECT ?1 AS v, typeof(?1), length(?1), hex(?1)", value)
    for count in (1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 100, 255):
        marks = ", ".join("?" for _ in range(count))
        d.query_sql("a", f"SELECT {marks}", *range(count))
    for count in (1, 2, 15, 16, 17, 33, 256, 300):
        d.query_sql("a", "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(count)))


def _typed(d: Dialogue, kind: str) -> None:
    d.exec_sql(
        "a",
        "CREATE TABLE typed (id INTEGER PRIMARY KEY, d DATE, dt DATETIME, ts TIMESTAMP, b BOOLEAN, l dAtE,"
        " p DATETIME(6), q BOOL, r REAL, x TEXT, y BLOB, n NUMERIC, v)",
    )
    rows = (
        ("2020-01-02", "2020-01-02 03:04:05", "junk", 1, "2020", "2020", 1, 1.5, "x", b"y", 5, None),
        (1700000000, 0, -1, 0, 5, 6, 0, 2, "", b"", 1.5, "v"),
        (None, None, None, None, None, None, None, None, None, None, None, None),
        ("", "", "", 7, "", "", -1, -0.5, "ü", b"\xff", "text", 1),
        ("x", "y", "z", -1, "w", "v", 2, 1e300, "12345678", b"12345678", None, 1.5),
    )
    for row in rows:
        marks = ", ".join("?" for _ in row)
        d.exec_sql("a", f"INSERT INTO typed(d, dt, ts, b, l, p, q, r, x, y, n, v) VALUES ({marks})", *row)
    d.query_sql("a", "SELECT * FROM typed")
    for column in ("d", "dt", "ts", "b", "l", "p", "q", "r", "x", "y", "n", "v"):
        d.query_sql("a", f"SELECT {column} FROM typed")
        d.query_sql("a", f"SELECT +{column}, max({column}), {column} AS other FROM typed GROUP BY id")
    d.query_sql("a", "SELECT (SELECT b FROM typed WHERE id = 1), (SELECT d FROM typed WHERE id = 2)")
    d.query_sql("a", "SELECT t.d, u.b FROM typed t LEFT JOIN typed u ON u.id = t.id + 3")
    d.exec_sql("a", "UPDATE typed SET dt = CAST(x'ff' AS TEXT) WHERE id = 3")
    d.query_sql("a", "SELECT id, dt, x, y, b FROM typed ORDER BY id DESC")
    d.exec_sql("a", "CREATE VIEW seen AS SELECT d AS day, b AS flag FROM typed")
    d.query_sql("a", "SELECT day, flag FROM seen")
    d.query_sql("a", "SELECT d FROM typed WHERE 0")
    d.query_sql("a", "SELECT d FROM typed UNION ALL SELECT b FROM typed WHERE b IS NULL")
    d.query_sql("a", "SELECT coalesce(b, 0), b + 0, CAST(b AS BOOLEAN) FROM typed")


def _constraints(d: Dialogue, kind: str) -> None:
    d.exec_sql(
        "a",
        "CREATE TABLE c (a INTEGER PRIMARY KEY, u UNIQUE, n NOT NULL DEFAULT 0, k CHECK (k > 0))",
    )
    d.exec_sql("a", "CREATE TABLE child (p REFERENCES c(a), d REFERENCES c(a) DEFERRABLE INITIALLY DEFERRED)")
    d.exec_sql("a", "INSERT INTO c(a, u, k) VALUES (1, 1, 1), (2, 2, 2)")
    for sql in (
        "INSERT INTO c(a) VALUES (1)",
        "INSERT INTO c(u) VALUES (1)",
        "INSERT INTO c(n) VALUES (NULL)",
        "INSERT INTO c(k) VALUES (0)",
        "INSERT INTO child(p) VALUES (99)",
        "INSERT INTO child(d) VALUES (99)",
        "DELETE FROM c WHERE a = 1",
        "INSERT INTO c(a) VALUES ('x')",
        "INSERT OR IGNORE INTO c(a) VALUES (1)",
        "INSERT OR REPLACE INTO c(a, u) VALUES (2, 5)",
        "INSERT INTO c(a) VALUES (1) ON CONFLICT DO NOTHING",
        "INSERT INTO c(a, u) VALUES (1, 9) ON CONFLICT(a) DO UPDATE SET u = 10",
        "UPDATE c SET u = u + 100",
        "UPDATE c SET u = 1 WHERE 0",
        "DELETE FROM c WHERE a > 100",
        "CREATE TABLE c (a)",
        "CREATE TABLE IF NOT EXISTS c (a)",
        "DROP TABLE nowhere",
        "DROP TABLE IF EXISTS nowhere",
        "ALTER TABLE c ADD COLUMN extra DEFAULT 7",
        "CREATE INDEX i ON c(extra)",
        "CREATE TABLE w (a PRIMARY KEY, b) WITHOUT ROWID",
        "INSERT INTO w VALUES (1, 2)",
        "CREATE TABLE s (a INT) STRICT",
        "INSERT INTO s VALUES ('text')",
        "CREATE TRIGGER tr AFTER INSERT ON w BEGIN SELECT RAISE(ABORT, 'no more'); END",
        "INSERT INTO w VALUES (3, 4)",
        "DROP TRIGGER tr",
        "INSERT INTO w SELECT 10, 11 UNION SELECT 12, 13",
        "REPLACE INTO w VALUES (10, 20)",
    ):
        d.exec_sql("a", sql)
        d.query_sql("a", "SELECT changes(), last_insert_rowid()")
    for sql in (
        "INSERT INTO c(a, u) VALUES (50, 50)",
        "INSERT INTO c(a) VALUES (50)",
        "UPDATE c SET n = 1",
        "CREATE TABLE later (a)",
        "SELECT * FROM later",
        "DROP TABLE later",
        "SELECT * FROM c",
    ):
        d.query_sql("a", sql)


def _prepared(d: Dialogue, kind: str) -> None:
    d.prepare("a", "SELECT ? AS one, ?2 AS two, :three AS three")
    d.prepare("a", "INSERT INTO typed(x) VALUES (?)")
    d.prepare("a", "SELECT 1")
    d.query("a", 0, 1, 2, 3)
    d.query("a", 0)
    d.query("a", 0, 9)
    d.query("a", 0, 9, 8, 7, 6)
    d.query("a", 0)
    d.exec("a", 0, 9, 8, 7, 6)
    d.exec("a", 0, 1, 2, 3)
    d.query("a", 0, 1, Unix(5))
    d.exec("a", 0, 1, Unix(5))
    d.query("a", 0)
    d.exec("a", 1, "row")
    d.exec("a", 1)
    d.query("a", 1, "queried")
    d.exec("a", 2)
    d.query("a", 2)
    d.query("a", 3)
    d.exec("a", 3)
    d.finalize("a", 1)
    d.prepare("a", "SELECT 'in the gap'")
    d.finalize("a", 0)
    d.finalize("a", 2)
    for number in range(3):
        d.prepare("a", f"SELECT {number}")
    d.query("a", 0)
    d.query("a", 2)
    d.prepare("a", "BEGIN")
    d.exec("a", 4)
    d.query("a", 4)
    d.exec_sql("a", "ROLLBACK")
    d.prepare("a", "SELECT ?5, ?1")
    d.prepare("a", "SELECT @x, $y, @x")
    d.query("a", 6, 1, 2)
    for number in reversed(range(7)):
        d.finalize("a", number)
    d.finalize("a", 6)
    d.query("a", 6)
    d.exec_sql("a", "CREATE TABLE moving (a)")
    d.prepare("a", "SELECT * FROM moving")
    d.exec_sql("a", "INSERT INTO moving VALUES (1)")
    d.exec_sql("a", "ALTER TABLE moving ADD COLUMN b DEFAULT 2")
    d.query("a", 0)
    d.query("a", 0)
    d.exec_sql("a", "DROP TABLE moving")
    d.query("a", 0)
    d.exec("a", 0)
    d.finalize("a", 0)


CHANGES = (
    "ALTER TABLE h ADD COLUMN c DEFAULT 3",
    "ALTER TABLE h RENAME COLUMN b TO bb",
    "ALTER TABLE h DROP COLUMN c",
    "DROP TABLE h; CREATE TABLE h (x DATE, y BOOLEAN, z); INSERT INTO h VALUES ('2020-01-02', 1, 'z')",
    "DROP TABLE h; CREATE TABLE h (x, y, z); INSERT INTO h VALUES ('2020-01-02', 1, 'z')",
    "ALTER TABLE h RENAME TO base; CREATE VIEW h AS SELECT y AS first, x FROM base",
    "DROP VIEW h; CREATE VIEW h AS SELECT x AS only FROM base",
    "CREATE TEMP TABLE h (of_the_connection, hidden DATETIME); INSERT INTO temp.h VALUES (1, 2)",
    "DROP TABLE temp.h",
    "DROP VIEW h",
    "CREATE TABLE h (a, b)",
    "ALTER TABLE h ADD COLUMN c",
    "INSERT INTO h VALUES (4, 5, 6)",
    "BEGIN; ALTER TABLE h ADD COLUMN d",
    "ROLLBACK",
    "CREATE INDEX ih ON h(a)",
    "ANALYZE",
)


def _shapes(d: Dialogue, kind: str) -> None:
    """The same text, and the same statement, before and after the schema changed under it."""
    d.connect("h")
    d.open("h", "shapes.db")
    d.exec_sql("h", "CREATE TABLE h (a, b); INSERT INTO h VALUES (1, 2)")
    d.connect("o")
    d.open("o", "shapes.db")
    sql = "SELECT * FROM h"
    for name in ("h", "o"):
        for text_ in (sql, sql, "SELECT * FROM h WHERE ?1"):
            d.prepare(name, text_, 1)
    for number, change in enumerate(CHANGES):
        d.exec_sql("h", change)
        ways = [lambda name: d.query_sql(name, sql), lambda name: d.query(name, 0)]
        for way in ways if number % 2 else reversed(ways):
            for name in ("h", "o"):
                way(name)
                way(name)
        for name in ("h", "o"):
            if kind != "1.11.1":  # says "database schema has changed", see below
                d.exec(name, 1)
            d.query(name, 1)
            d.query(name, 2, number % 3)
            d.query(name, 2, 1)
            d.exec(name, 2, 0)
            d.prepare(name, sql, 1)
            d.query(name, 3)
            d.finalize(name, 3)
            d.exec_sql(name, sql)
    for name in ("h", "o"):
        d.exec_sql("h", f"INSERT INTO h(a, b) {SERIES.format(1200, 'i, i')}")
        d.query(name, 0)
        d.exec_sql("h", "ALTER TABLE h RENAME COLUMN a TO a" + name)
        d.query(name, 0)
        d.exec_sql("h", "ALTER TABLE h ADD COLUMN more_" + name)
        d.query(name, 0)
        d.query_sql(name, sql)
        d.exec_sql("h", "ALTER TABLE h DROP COLUMN b" if name == "h" else "ALTER TABLE h DROP COLUMN c")
        d.query(name, 0)
        d.exec_sql("h", "DELETE FROM h")
    # what need not write any more, though the same text had to once, waits for no lock
    for name in ("h", "o"):
        d.exec_sql(name, "REINDEX ix")
        d.exec_sql(name, "CREATE TABLE IF NOT EXISTS later (a)")
    d.exec_sql("o", "BEGIN IMMEDIATE")
    d.exec_sql("h", "CREATE TABLE IF NOT EXISTS later (a)")
    d.exec_sql("o", "ROLLBACK")
    d.exec_sql("h", "INSERT INTO h DEFAULT VALUES; CREATE INDEX another ON h(b)")
    d.request("h", "exec of a row, the schema changed", EXEC, struct.pack("<II", 0, 1))
    d.exec_sql("h", "DROP TABLE h")
    for name in ("h", "o"):
        d.query(name, 0)
        d.query(name, 0)
        d.query_sql(name, sql)
        d.exec(name, 1)
        d.close(name)


def _parameters(d: Dialogue, kind: str) -> None:
    one, head = word(0) + text("SELECT ?"), word(0) + text("SELECT 1 WHERE ? IS NULL AND 0")
    bad = {
        "value missing": b"\1\1\0\0\0\0\0\0",
        "header longer than body": b"\x14\1\0\0\0\0\0\0",
        "no such type": b"\1\x63\0\0\0\0\0\0" + word(1),
        "type 0": b"\1\0\0\0\0\0\0\0" + word(1),
        "text without end": b"\1\3\0\0\0\0\0\0xxxxxxxx",
        "blob longer than body": b"\1\4\0\0\0\0\0\0" + word(100) + word(0),
        "second bad": b"\2\1\x63\0\0\0\0\0" + word(1) + word(1),
    }
    for label, params in bad.items():
        for number, (way, code, body) in enumerate(
            (
                ("query_sql", QUERY_SQL, one),
                ("exec_sql", EXEC_SQL, head),
                ("bad sql and", QUERY_SQL, word(0) + text("SELEC ?")),
            )
        ):
            name = "a"
            if "header" in label:  # 1.18.7 closes
                name = f"header{number}"
                d.connect(name)
                d.open(name, "main.db")
            d.request(name, f"{way} {label}", code, body + params)
    d.request("a", "explicit zero count", QUERY_SQL, one + word(0))
    d.request("a", "boolean 7", QUERY_SQL, one + b"\1\x0b\0\0\0\0\0\0" + word(7))
    d.request("a", "junk behind the NUL", QUERY_SQL, word(0) + b"SELECT 1\0garbage")
    d.query_sql("a", "SELECT ?", Unix(1))
    d.exec_sql("a", "SELECT ?", Unix(1))
    d.query_sql("a", "SELECT 1", 5)
    d.exec_sql("a", "SELECT 1 WHERE 0", 5)
    d.query_sql("a", "", 5)
    d.exec_sql("a", "", 5)
    d.query_sql("a", "SELECT ?, ?", 5)
    d.query_sql("a", "SELECT ?, ?", 5, 6, 7)
    for count in (0, 1, 4, 5, 255, 256, 257, 1000):
        marks = "+".join("ifnull(?, 0)" for _ in range(count)) or "0"
        d.query_sql("a", f"SELECT {marks} AS total", *range(count), schema=1)
    d.prepare("a", "SELECT ?1, ?2", 1)
    d.query("a", 0, 1, "x", schema=1)
    d.exec("a", 0, 1, "x", schema=1)
    d.finalize("a", 0)


def _many_statements(d: Dialogue, kind: str) -> None:
    d.exec_sql("a", "CREATE TABLE m (a INTEGER PRIMARY KEY, b)")
    for sql, values in (
        ("INSERT INTO m VALUES (1, 1); INSERT INTO m VALUES (2, 2)", ()),
        ("INSERT INTO m VALUES (3, 1); INSERT INTO m VALUES (4, 2); ", ()),
        ("INSERT INTO m VALUES (5, 1); -- c", ()),
        ("INSERT INTO m VALUES (6, 1);", ()),
        ("INSERT INTO m VALUES (7, 1); bad; INSERT INTO m VALUES (8, 1)", ()),
        ("INSERT INTO m VALUES (9, 1); INSERT INTO m VALUES (9, 1)", ()),
        ("INSERT INTO m VALUES (10, ?); INSERT INTO m VALUES (11, ?)", (5,)),
        ("INSERT INTO m VALUES (12, ?); INSERT INTO m VALUES (13, ?)", (5, 6)),
        ("INSERT INTO m VALUES (14, ?); INSERT INTO m VALUES (15, ?)", (5, 6, 7)),
        ("INSERT INTO m VALUES (16, 1); SELECT 1", ()),
        ("SELECT 1; INSERT INTO m VALUES (17, 1)", ()),
        ("INSERT INTO m VALUES (18, 1); SELECT 1 WHERE 0", ()),
        ("BEGIN; INSERT INTO m VALUES (19, 1); COMMIT", ()),
        ("BEGIN; INSERT INTO m VALUES (20, 1); bad", ()),
        ("ROLLBACK", ()),
        ("CREATE TABLE m2 (a); INSERT INTO m2 VALUES (1), (2); DROP TABLE m2", ()),
    ):
        d.exec_sql("a", sql, *values)
    d.query_sql("a", "SELECT group_concat(a || ':' || ifnull(b, 'null')) AS x FROM m")
    d.exec_sql("a", "")
    d.exec_sql("a", "-- only a comment")
    d.exec_sql("a", "CREATE TABLE none (a)")
    d.exec_sql("a", "SELECT 1 WHERE 0")


SERIES = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {}) SELECT {} FROM r"


def _paging(d: Dialogue, kind: str) -> None:
    for count in (0, 1, 253, 254, 255, 256, 400, 2000):
        d.query_sql("a", SERIES.format(count, "i"))
    for size in (1, 7, 8, 100, 4070, 4079, 4080, 5000):
        d.query_sql("a", SERIES.format(3, f"printf('%.*c', {size}, 'x') AS x"))
        d.query_sql("a", SERIES.format(3, f"zeroblob({size}) AS x"))
    d.query_sql("a", SERIES.format(300, "i, i * 0.5 AS f, 'row ' || i AS t, NULL AS n"))
    d.query_sql(
        "a",
        SERIES.format(
            500,
            "CASE i % 5 WHEN 0 THEN i WHEN 1 THEN i * 0.5 WHEN 2 THEN 'x' || i WHEN 3 THEN x'00' END AS v",
        ),
    )
    d.query_sql("a", f"SELECT 1 AS {'n' * 4071}")
    d.query_sql("a", "SELECT " + ", ".join(f"{i} AS c{i:06}" for i in range(254)))
    d.prepare("a", SERIES.format(600, "i, ?1 AS x"))
    d.query("a", 0, "text")
    d.query("a", 0, None)
    d.finalize("a", 0)


def _mid_failures(d: Dialogue, kind: str) -> None:
    overflow = "abs(CASE WHEN i < {} THEN i ELSE -9223372036854775807 - 1 END) AS x"
    for at in (1, 2, 3, 200, 300, 1000):
        d.query_sql("a", SERIES.format(2000, overflow.format(at)))
    d.query_sql("a", "SELECT 'kept' AS text, x'0102' AS blob, abs(-9223372036854775807 - 1) AS bad")
    d.exec_sql("a", "SELECT abs(-9223372036854775807 - 1)")
    d.query_sql("a", "SELECT 1 FROM m WHERE json('[') IS NULL")
    d.prepare("a", SERIES.format(5, overflow.format(3)))
    d.query("a", 0)
    d.query("a", 0)
    d.finalize("a", 0)
    d.query_sql("a", "SELECT load_extension('x')")
    d.query_sql("a", "SELECT nosuchfunction(1)")
    d.query_sql("a", "SELECT nosuchcolumn FROM m")
    d.query_sql("a", "SELECT 1 FROM m, m WHERE a = 1")


def _transactions(d: Dialogue, kind: str) -> None:
    d.connect("t")
    d.open("t", "main.db")
    d.exec_sql("a", "CREATE TABLE tx (a INTEGER PRIMARY KEY, b)")
    for begin in ("BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"):
        d.exec_sql("a", begin)
        d.exec_sql("t", begin)
        d.exec_sql("a", begin)
        d.exec_sql("a", "INSERT INTO tx(b) VALUES (1)")
        d.exec_sql("t", "INSERT INTO tx(b) VALUES (2)")
        d.query_sql("t", "INSERT INTO tx(b) VALUES (3)")
        d.prepare("t", "INSERT INTO tx(b) VALUES (4)")
        d.exec("t", 0)
        d.query("t", 0)
        d.finalize("t", 0)
        d.query_sql("t", "SELECT count(*) FROM tx")
        d.query_sql("a", "SELECT count(*) FROM tx")
        d.exec_sql("a", "COMMIT")
        d.exec_sql("t", "INSERT INTO tx(b) VALUES (5)")
        d.exec_sql("t", "COMMIT")
        d.exec_sql("t", "ROLLBACK")
        d.exec_sql("t", "INSERT INTO tx(b) VALUES (6)")
    d.exec_sql("a", "BEGIN")
    d.query_sql("a", "SELECT count(*) AS n FROM tx")
    d.exec_sql("t", "INSERT INTO tx(b) VALUES (7)")
    d.exec_sql("a", "INSERT INTO tx(b) VALUES (8)")
    d.query_sql("a", "SELECT count(*) AS n FROM tx")
    d.exec_sql("a", "ROLLBACK")
    d.exec_sql("a", "SAVEPOINT one")
    d.exec_sql("a", "INSERT INTO tx(b) VALUES (9)")
    d.exec_sql("a", "SAVEPOINT two")
    d.exec_sql("a", "INSERT INTO tx(b) VALUES (10)")
    d.exec_sql("a", "ROLLBACK TO two")
    d.exec_sql("a", "RELEASE one")
    d.exec_sql("a", "RELEASE one")
    d.query_sql("a", "SELECT group_concat(b) AS b FROM tx")
    d.exec_sql("a", "BEGIN; INSERT INTO tx(a, b) VALUES (100, 11)")
    d.exec_sql("a", "INSERT OR ROLLBACK INTO tx(a) VALUES (100)")
    d.exec_sql("a", "COMMIT")
    for verb in ("BEGIN", "ROLLBACK", "COMMIT", "SAVEPOINT x", "RELEASE x", "END"):
        d.query_sql("a", verb)
    d.exec_sql("a", "ROLLBACK")
    d.exec_sql("t", "BEGIN; INSERT INTO tx(a, b) VALUES (200, 12)")
    d.close("t")
    d.raw("a", "wait", frame(LEADER, word(0)))
    d.query_sql("a", "SELECT count(*) AS n FROM tx WHERE a = 200")
    d.connect("u")
    d.open("u", "another.db")
    d.query_sql("u", "SELECT name FROM sqlite_master")
    d.exec_sql("u", "CREATE TABLE own (a)")
    d.query_sql("a", "SELECT count(*) AS n FROM sqlite_master WHERE name = 'own'")
    d.close("u")


def _pragmas(d: Dialogue, kind: str) -> None:
    d.connect("p")
    d.open("p", "pragmas.db")
    d.exec_sql("p", "CREATE TABLE typed (d DATE); CREATE TABLE child (d REFERENCES typed(d))")
    for name in GETTERS:
        d.query_sql("p", f"PRAGMA {name}")
        d.exec_sql("p", f"PRAGMA {name}")
    for sql in SETTERS:
        d.query_sql("p", sql)
        d.exec_sql("p", sql)
    for schema in ("temp", "main", "nowhere"):
        for name in READ:
            d.query_sql("p", f"PRAGMA {schema}.{name}")
            d.exec_sql("p", f"PRAGMA {schema}.{name}")
    for sql in (
        "PRAGMA temp.journal_mode=MEMORY",
        "PRAGMA temp.journal_mode=WAL",
        "PRAGMA temp.page_size=512",
        "PRAGMA temp.synchronous=1",
        "PRAGMA temp.locking_mode=NORMAL",
        "PRAGMA secure_delete=0",
        "PRAGMA secure_delete=FAST",
        "PRAGMA secure_delete=1",
        "PRAGMA max_page_count=1000000",
    ):
        d.query_sql("p", sql)
        d.exec_sql("p", sql)
    if kind not in ("1.11.1", "cowsql"):  # which a checkpoint harms
        for sql in (
            "PRAGMA wal_checkpoint",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "PRAGMA wal_autocheckpoint=5",
        ):
            d.query_sql("p", sql)
            d.exec_sql("p", sql)
    if kind != "1.11.1":
        for sql in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA journal_mode=DELETE",
            "PRAGMA journal_mode=MEMORY",
            "PRAGMA page_size=8192",
            "ATTACH 'x' AS y",
            "ATTACH '' AS y",
            "ATTACH ':memory:' AS y",
            "ATTACH 'a' || 'b' AS y",
            "ATTACH 'file:/x?vfs=unix' AS y",
            "VACUUM",
            "VACUUM INTO 'x'",
            "VACUUM INTO '/x/y'",
            "VACUUM main INTO 'a' || 'b'",
        ):
            d.query_sql("p", sql)
            d.exec_sql("p", sql)
    for sql in (
        "ANALYZE",
        "REINDEX",
        "PRAGMA optimize",
        "CREATE TEMP TABLE tt (a)",
        "INSERT INTO tt VALUES (1)",
        "SELECT * FROM tt",
        "EXPLAIN SELECT 1 WHERE 0",
        "SELECT name FROM pragma_table_info('typed')",
        "PRAGMA query_only=1",
        "INSERT INTO typed VALUES (1)",
        "PRAGMA query_only=0",
    ):
        d.query_sql("p", sql)
        d.exec_sql("p", sql)
    d.close("p")


def _schemas(d: Dialogue, kind: str) -> None:
    d.connect("s")
    d.open("s", "schemas.db")
    bodies = {
        OPEN: text("q") + word(0) + text(""),
        PREPARE: word(0) + text("SELECT 1"),
        EXEC_SQL: word(0) + text("SELECT 1"),
        QUERY_SQL: word(0) + text("SELECT 1"),
        DUMP: text("nothing"),
        ADD: word(1) + text("127.0.0.1:1"),
        ASSIGN: word(99) + word(0),
    }
    for schema in (1, 2, 255):
        for kind_ in (LEADER, CLIENT, OPEN, PREPARE, EXEC, QUERY, FINALIZE, EXEC_SQL, QUERY_SQL, INTERRUPT):
            d.request("s", f"schema {schema} of {kind_}", kind_, bodies.get(kind_, word(0)), schema)
        for kind_ in (ADD, ASSIGN, REMOVE, DUMP, CLUSTER, TRANSFER, DESCRIBE, WEIGHT):
            d.request("s", f"schema {schema} of {kind_}", kind_, bodies.get(kind_, word(0)), schema)
    if kind != "1.11.1":
        for code in (HEARTBEAT, 20, 99, 255):
            d.request("s", f"type {code}", code, word(0))
    d.close("s")


def _undecodable(d: Dialogue, kind: str) -> None:
    number = 0
    for code in (
        OPEN,
        PREPARE,
        EXEC_SQL,
        QUERY_SQL,
        DUMP,
        ADD,
        EXEC,
        QUERY,
        FINALIZE,
        REMOVE,
        TRANSFER,
        CLIENT,
    ):
        for body in (b"xxxxxxxx", b"x" * 16, b"x" * 24):
            number += 1
            name = f"x{number}"
            d.connect(name)
            d.open(name, "undecodable.db")
            d.request(name, f"type {code} with {len(body)} bytes of x", code, body)
            d.close(name)


def _interrupts(d: Dialogue, kind: str) -> None:
    interrupt = frame(INTERRUPT, word(0))
    query = frame(QUERY_SQL, word(0) + text("SELECT 1 AS x"))
    bad = frame(QUERY_SQL, word(0) + text("SELEC"))
    d.connect("i")
    d.open("i", "main.db")
    d.raw("i", "interrupt twice", interrupt + interrupt, 2)
    d.raw("i", "exec, interrupt", frame(EXEC_SQL, word(0) + text("CREATE TABLE ii (a)")) + interrupt, 2)
    d.raw("i", "query answered, interrupt", query, 1)
    d.raw("i", "interrupt behind it", interrupt, 1)
    d.raw("i", "failing query, interrupt", bad + interrupt, 2)
    d.query_sql("i", "SELECT 'still in step' AS x")
    d.close("i")


def _members(d: Dialogue, kind: str) -> None:
    d.request("a", "transfer 0, alone", TRANSFER, word(0))
    d.request("a", "transfer to self", TRANSFER, word(1))
    d.request("a", "transfer to nobody", TRANSFER, word(99))
    d.request("a", "remove nobody", REMOVE, word(99))
    d.request("a", "assign nobody", ASSIGN, word(99) + word(0))
    d.request("a", "assign voter a voter", ASSIGN, word(1) + word(0))
    d.request("a", "promote a voter", ASSIGN, word(1))
    d.request("a", "add a used id", ADD, word(1) + text("127.0.0.1:1"))
    d.request("a", "add", ADD, word(7) + text("127.0.0.1:7"))
    d.request("a", "add another", ADD, word(5) + text("127.0.0.1:5"))
    d.request("a", "add a used address", ADD, word(8) + text("127.0.0.1:7"))
    d.request("a", "cluster with spares", CLUSTER, word(1))
    d.request("a", "cluster with spares, format 0", CLUSTER, word(0))
    d.request("a", "assign stand-by", ASSIGN, word(7) + word(1))
    d.request("a", "assign stand-by again", ASSIGN, word(7) + word(1))
    d.request("a", "assign spare", ASSIGN, word(7) + word(2))
    d.request("a", "transfer to a spare", TRANSFER, word(7))
    d.request("a", "cluster changed", CLUSTER, word(1))
    d.request("a", "remove", REMOVE, word(7))
    d.request("a", "remove another", REMOVE, word(5))
    d.request("a", "remove again", REMOVE, word(7))
    d.request("a", "cluster as before", CLUSTER, word(1))


def _pipelining(d: Dialogue, kind: str) -> None:
    def query(sql: str) -> bytes:
        return frame(QUERY_SQL, word(0) + text(sql))

    d.raw("a", "ten queries in one write", b"".join(query(f"SELECT {i} AS x") for i in range(10)), 10)
    mixed = (
        frame(EXEC_SQL, word(0) + text("CREATE TABLE pipe (a)"))
        + query("SELECT * FROM pipe")
        + query("SELEC")
    )
    d.raw("a", "mixed in one write", mixed + frame(LEADER, word(0)), 4)
    d.raw("a", "two long answers in one write", query(SERIES.format(600, "i")) * 2, 2)


def _names(d: Dialogue, kind: str) -> None:
    for number, name in enumerate(
        ("with/slash", "with space", "ünïcode", "x" * 300, "z" * 504, "UPPER", "upper", "a.b.c")
    ):
        connection = f"n{number}"
        d.connect(connection)
        d.open(connection, name)
        d.exec_sql(connection, f"CREATE TABLE t{number} (a)")
        d.query_sql(connection, "SELECT name FROM sqlite_master")
        d.close(connection)
    d.request("a", "dump of a long name", DUMP, text("a" * 1100))
    d.connect("long")
    d.open("long", "y" * 505)
    d.close("long")


def _known_differences(d: Dialogue, kind: str) -> None:
    """What the embedded server does in its own way: the test holds each of these to be different."""
    d.query_sql("a", "SELECT sqlite_version() AS v")
    d.query_sql("a", "PRAGMA compile_options")
    d.exec_sql("a", "CREATE TABLE bytes (t TEXT)")
    d.request(
        "a",
        "a parameter that is not UTF-8",
        EXEC_SQL,
        word(0) + text("INSERT INTO bytes VALUES (?)") + b"\1\3\0\0\0\0\0\0\xff\xfe\0\0\0\0\0\0",
    )
    d.request("a", "SQL that is not UTF-8", QUERY_SQL, word(0) + text(b"SELECT '\xff' AS x"))
    d.query_sql("a", "SELECT ?32767 AS x")
    for name in ("function_list", "module_list", "pragma_list", "mmap_size", "default_cache_size"):
        d.query_sql("a", f"PRAGMA {name}")
    d.query_sql("a", "SELECT count(*) FROM sqlite_stmt")
    if kind in ("1.11.1", "1.18.1"):
        d.query_sql("a", "EXPLAIN QUERY PLAN SELECT * FROM bytes")
    if kind != "1.11.1":  # whose SQLite has it as little
        d.prepare("a", "SELECT pgno FROM sqlite_dbpage")
    d.prepare("a", "DELETE FROM bytes LIMIT 1")
    interrupt = frame(INTERRUPT, word(0))
    query = frame(QUERY_SQL, word(0) + text(SERIES.format(3000, "i")))
    d.raw("a", "interrupt in the middle of rows", query + interrupt, action="until EMPTY")
    d.connect("wide")
    d.open("wide", "main.db")
    d.query_sql("wide", "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(600)))
    d.close("wide")


def cluster_dialogue(kind: str) -> list[Step]:
    """Three voters, the first of which leads: followers, leadership going and coming back."""
    d = Dialogue()
    for node, name in enumerate(("lead", "second", "third")):
        d.connect(name, node=node)
        d.request(name, f"{name}: leader", LEADER, word(0))
        d.request(name, f"{name}: cluster", CLUSTER, word(1))
    d.open("lead", "cluster.db")
    d.exec_sql("lead", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
    d.exec_sql("lead", "INSERT INTO t(b) VALUES (1), (2)")
    _follower(d, "second")
    d.connect("legacy", word(HANDSHAKE_LEGACY), node=1)
    d.request("legacy", "legacy leader of a follower", LEADER, word(0))
    d.prepare("lead", "SELECT a FROM t")
    d.exec_sql("lead", "BEGIN")
    d.exec_sql("lead", "INSERT INTO t(b) VALUES (3)")
    d.request("lead", "transfer to 2", TRANSFER, word(2))
    d.settle()
    for number in range(2):
        d.query_sql("lead", "SELECT count(*) AS n FROM t")
        d.exec_sql("lead", "INSERT INTO t(b) VALUES (4)")
        d.query("lead", 0)
        d.exec("lead", 0)
        d.prepare("lead", "SELECT 1")
        d.finalize("lead", 0)
        d.request("lead", f"old leader {number}: leader", LEADER, word(0))
        d.request("lead", f"old leader {number}: cluster", CLUSTER, word(1))
        d.request("lead", f"old leader {number}: describe", DESCRIBE, word(0))
        d.request("lead", f"old leader {number}: interrupt", INTERRUPT, word(0))
        d.request("lead", f"old leader {number}: add", ADD, word(9) + text("127.0.0.1:9"))
        d.request("lead", f"old leader {number}: assign", ASSIGN, word(2) + word(1))
        d.request("lead", f"old leader {number}: remove", REMOVE, word(99))
        d.request("lead", f"old leader {number}: transfer", TRANSFER, word(99))
        if number == 0:
            d.connect("new", node=1)
            d.open("new", "cluster.db")
            d.query_sql("new", "SELECT count(*) AS n FROM t")
            d.request("new", "transfer back", TRANSFER, word(1))
            d.settle()
    d.open("lead", "cluster.db")
    d.query_sql("lead", "SELECT count(*) AS n FROM t")
    d.query_sql("new", "SELECT count(*) AS n FROM t")
    d.request("lead", "third becomes a spare", ASSIGN, word(3) + word(2))
    d.request("lead", "transfer to the spare", TRANSFER, word(3))
    d.request("lead", "cluster with a spare", CLUSTER, word(1))
    d.request("lead", "third becomes a stand-by", ASSIGN, word(3) + word(1))
    d.request("lead", "third becomes a voter", ASSIGN, word(3) + word(0))
    d.request("lead", "remove the third", REMOVE, word(3))
    d.request("lead", "cluster of two", CLUSTER, word(1))
    d.request("lead", "transfer to any", TRANSFER, word(0))
    return d.steps


def _follower(d: Dialogue, name: str) -> None:
    d.query_sql(name, "SELECT 1")
    d.exec_sql(name, "SELECT 1")
    d.prepare(name, "SELECT 1")
    d.open(name, "cluster.db")
    d.open(name, "cluster.db")
    d.query_sql(name, "SELECT 1")
    d.exec_sql(name, "INSERT INTO t(b) VALUES (9)")
    d.query(name, 0)
    d.exec(name, 0)
    d.finalize(name, 0)
    d.request(name, "follower: add", ADD, word(9) + text("127.0.0.1:9"))
    d.request(name, "follower: transfer", TRANSFER, word(1))
    d.request(name, "follower: weight", WEIGHT, word(3))
    d.request(name, "follower: describe", DESCRIBE, word(0))
    d.request(name, "follower: bad request", QUERY_SQL, word(1) + text("SELECT 1"))
    d.request(name, "follower: bad parameters", QUERY_SQL, word(0) + text("SELECT ?") + b"\1\x63\0\0\0\0\0\0")
