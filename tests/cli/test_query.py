"""`dqlite-wire query` with the embedded server: what is asked, refused, shown, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire.cli.parameters import is_plain
from dqlitewire.servers.hazards import LONGEST_NAME
from dqlitewire.sql import reading
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.profiles import DEEP
from tests.traffic.command import COMMAND, Result, on_terminal, run

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
COUNT = f"{NUMBERS}SELECT i, 'row ' || i FROM n"


@pytest.fixture(scope="module")
def server() -> Iterator[DqliteServer]:
    with DqliteServer() as server:
        server.run_sql("app", "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, photo BLOB)")
        server.run_sql("app", "INSERT INTO users VALUES (1, 'Ada', NULL), (2, 'NULL', x'00ff')")
        yield server
        assert server.hazards == []


def ask(server: DqliteServer, *words: str, database: str = "app", **more: Any) -> Result:
    return run("query", server.address, database, *words, **more)


# ---------------------------------------------------------------- what is shown


def test_a_table(server: DqliteServer) -> None:
    done = ask(server, "SELECT * FROM users")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "id  name    photo",
        "--  ------  -------",
        " 1  Ada     NULL",
        " 2  'NULL'  x'00ff'",
        "(2 rows)",
    ]


def test_json(server: DqliteServer) -> None:
    done = ask(
        server, "SELECT id, photo, 9e999, 'a' || char(27) FROM users; SELECT 1 AS one WHERE 0", "--json"
    )
    assert done.code == 0
    first, second = map(json.loads, done.out.splitlines())
    assert first["rows"] == [
        [1, None, {"float": "inf"}, "a\x1b"],
        [2, {"blob": "00ff"}, {"float": "inf"}, "a\x1b"],
    ]
    assert second == {"columns": ["one"], "rows": []}
    assert "\x1b" not in done.out


def test_csv(server: DqliteServer) -> None:
    done = ask(server, "SELECT *, 'a\"b' || char(13, 10) || ',' AS odd FROM users", "--csv")
    assert done.out == ('id,name,photo,odd\r\n1,Ada,,"a""b\r\n,"\r\n2,NULL,x\'00ff\',"a""b\r\n,"\r\n')
    assert ask(server, "SELECT 1; SELECT 2", "--csv").code == 2


def test_what_a_write_says(server: DqliteServer) -> None:
    script = (
        "CREATE TABLE w (a); INSERT INTO w VALUES (5), (6); UPDATE w SET a = 7; DELETE FROM w; DROP TABLE w"
    )
    done = ask(server, script, "--write")
    assert (done.code, done.out.splitlines()) == (
        0,
        ["done", "2 rows changed, last insert id 2", "2 rows changed", "2 rows changed", "done"],
    )
    done = ask(server, script, "--write", "--json")
    assert [*map(json.loads, done.out.splitlines())][:3] == [
        {"rows_affected": None, "last_insert_id": None},
        {"rows_affected": 2, "last_insert_id": 2},
        {"rows_affected": 2, "last_insert_id": None},
    ]
    done = ask(server, script, "--write", "--csv")
    assert (done.out, done.err.splitlines()[1]) == ("", "2 rows changed, last insert id 2")


def test_nothing_that_a_terminal_would_obey(server: DqliteServer) -> None:
    sql = "SELECT char(27) || '[31m' || char(0x202e) || char(10) || 'x' AS \"a\x1b[1m\nb\""
    for form in ((), ("--json",)):
        shown = ask(server, sql, *form).out
        assert shown.replace("\n", "").isprintable()
    terminal = on_terminal("query", server.address, "app", sql, "--csv", NO_COLOR="1")
    assert terminal.replace("\r\n", "").isprintable()
    assert "\x1b[31m" in ask(server, sql, "--csv").out  # data for a file, as they are


@pytest.mark.parametrize(("columns", "colour"), [(80, True), *DEEP * [(40, False), (132, False)]])
def test_on_terminals(server: DqliteServer, columns: int, colour: bool) -> None:
    sql = "SELECT 1 AS number, printf('%.50c', 'x') AS first, printf('%.50c', 'y') AS second, NULL AS none"
    environment = {} if colour else {"NO_COLOR": "1"}
    shown = on_terminal("query", server.address, "app", sql, COLUMNS=str(columns), **environment)
    assert ("\x1b[" in shown) == colour
    assert colour or max(map(len, shown.splitlines())) <= columns
    assert "cut at …" in shown if columns < 132 else "x" * 50 in shown


# ---------------------------------------------------------------- parameters


@given(
    st.lists(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False)
        | st.binary()
        | st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])),
        min_size=1,
        max_size=5,
    )
)
def test_values_go_there_and_come_back(server: DqliteServer, values: list[Any]) -> None:
    """As JSON, as CSV and as a table, what was bound is what is shown."""
    names = [f"c{number}" for number in range(len(values))]
    literals = ", ".join(f"? AS {name}" for name in names)
    words = [word(value) for value in values]
    if any(isinstance(value, str) and not is_plain(value) for value in values):
        return  # a word that stands for another value
    done = ask(server, "--json", f"SELECT {literals}", "--", *words)
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)["rows"]
    assert row == [as_json(value) for value in values]
    done = ask(server, "--csv", f"SELECT {literals}", "--", *words)
    header, fields = csv.reader(io.StringIO(done.out, newline=""), strict=True)
    assert header == names
    assert len(fields) == len(values)
    assert ask(server, f"SELECT {literals}", "--", *words).out.replace("\n", "").isprintable()


def word(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case bytes():
            return f"x'{value.hex()}'"
        case float() if value in (float("inf"), float("-inf")):
            return repr(value)
        case _:
            return value if isinstance(value, str) else repr(value)


def as_json(value: Any) -> Any:
    match value:
        case bool():
            return int(value)  # bound as a number
        case bytes():
            return {"blob": value.hex()}
        case float() if value in (float("inf"), float("-inf")):
            return repr(value)  # the words are text
        case _:
            return value


def test_negative_numbers_and_text(server: DqliteServer) -> None:
    assert ask(server, "--csv", "SELECT ?", "--", "-5").out == "?\r\n-5\r\n"
    assert ask(server, "--csv", "SELECT typeof(?)", "--", "-5").out.split()[1] == "integer"
    assert ask(server, "--csv", "--text", "SELECT typeof(?)", "--", "-5").out.split()[1] == "text"
    assert ask(server, "--text", "SELECT ? AS x", "NULL").out.splitlines()[2] == "'NULL'"
    done = ask(server, "SELECT ?", "-5")
    assert done.code == 2
    assert "No such option: -5: behind -- it is a value" in done.err
    done = ask(server, "-- why\nSELECT 1")
    assert (done.code, "SELECT 1: behind -- it is a value" in done.err) == (2, True)
    assert ask(server, "--csv", "--", "-- why\nSELECT 1 AS a").out == "a\r\n1\r\n"
    assert "behind --" not in ask(server, "SELECT 1", "--wirte").err


# ---------------------------------------------------------------- wrong use, and what is refused


WRONG = {
    ("SELECT ?",): "1 parameter in the statement, 0 given",
    ("SELECT 1", "2"): "0 parameters in the statement, 1 given",
    ("SELECT ?; SELECT ?", "1"): "2 statements with parameters: only a single one can have some",
    ("SELECT ?", "99999999999999999999"): "PARAM 1: '99999999999999999999' does not fit 64 bits",
    ("",): "no statement in it: nothing to run",
    (" ; -- nothing",): "no statement in it: nothing to run",
    ("SELECT '\udcff'",): "is no text: not UTF-8 at character 9",
    ("SELECT 1", "--json", "--csv"): "--json and --csv: one of them",
    (): "no SQL: name a statement, or - to read standard input",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_use_is_one_line(server: DqliteServer, words: tuple[str, ...]) -> None:
    done = ask(server, *words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert WRONG[words] in done.err


REFUSED = {
    "INSERT INTO users (name) VALUES ('x')": "INSERT may write, which needs --write",
    "WITH x AS (SELECT 1) DELETE FROM users": "DELETE may write, which needs --write",
    "SELECT 1; UPDATE users SET name = 1": "UPDATE may write, which needs --write: UPDATE users SET name = 1",
    "BEGIN": "BEGIN may write",
    "PRAGMA user_version = 5": "PRAGMA user_version may write",
    "PRAGMA": "PRAGMA may write, which needs",
}
HAZARDS = {
    "INSERT INTO users (name) VALUES ('x') RETURNING id": "RETURNING kills the node",
    "PRAGMA journal_mode=DELETE": "a pragma kills or blocks the node",
    "EXPLAIN PRAGMA journal_mode=DELETE": "a pragma kills or blocks the node",
    "SELECT 1; ATTACH 'x' AS y": "ATTACH 'x' AS y: reaches a file",
    "CREATE TABLE f (a UNIQUE ON CONFLICT FAIL); INSERT INTO f VALUES (1)": "OR FAIL with rows kept",
    "DELETE FROM sqlite_master": "writing sqlite_dbpage or sqlite_schema",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_a_write_needs_its_option(sql: str) -> None:
    done = run("query", "127.0.0.1:1", "app", sql)  # nobody is asked
    assert (done.code, done.out, done.err.count("\n")) == (4, "", 1)
    assert f"refused: {REFUSED[sql]}" in done.err


@pytest.mark.parametrize("sql", ["SELCT 1", "'SELECT'", "(SELECT 1)", "WITH x AS (SELECT 1)", ".tables", "€"])
def test_what_is_no_statement_fails_in_the_words_of_the_server(server: DqliteServer, sql: str) -> None:
    done = ask(server, f"SELECT 1 AS a; {sql}", "--csv")
    assert (done.code, done.out, done.err.count("\n")) == (5, "a\r\n1\r\n", 1)
    assert "dqlite-wire: statement 2: SQLITE_ERROR (1): " in done.err
    assert f"EXPLAIN {sql}" in [getattr(request, "sql", "") for request in server.requests]  # it is not run
    assert ask(server, sql, "--write").code == 5


def test_a_statement_that_only_a_later_server_knows_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "VERBS", reading.VERBS - {"DELETE"})
    with DqliteServer(generation="1.18.7") as server:
        server.run_sql("app", "CREATE TABLE t (a)")
        server.run_sql("app", "INSERT INTO t VALUES (1)")
        for sql in ("DELETE FROM t", "WITH x AS (SELECT 1) DELETE FROM t"):
            done = ask(server, sql)
            assert (done.code, done.out, done.err.count("\n")) == (4, "", 1)
            assert "refused: DELETE may write, which needs --write: " in done.err
        assert ask(server, "SELECT a FROM t", "--csv").out == "a\r\n1\r\n"


@pytest.mark.parametrize("write", [(), ("--write",)])
@pytest.mark.parametrize("sql", HAZARDS)
def test_a_hazard_is_always_refused(sql: str, write: tuple[str, ...]) -> None:
    done = run("query", "127.0.0.1:1", "app", sql, *write)
    assert (done.code, done.out, done.err.count("\n")) == (4, "", 1)
    assert HAZARDS[sql] in done.err


def test_more_parameters_than_old_servers_count() -> None:
    done = run("query", "127.0.0.1:1", "app", f"VALUES ({', '.join('?' * 256)})", *["1"] * 256)
    assert (done.code, done.out, done.err.count("\n")) == (4, "", 1)
    assert done.err.endswith("servers before 1.12 misread schema 1 and bind NULL\n")


@pytest.mark.parametrize("name", ["", ":memory:", "app-wal", "file:app?vfs=unix", "x" * (LONGEST_NAME + 1)])
def test_a_database_that_is_a_hazard(name: str) -> None:
    done = run("query", "127.0.0.1:1", name, "SELECT 1")
    assert (done.code, done.out, done.err.count("\n")) == (4, "", 1)
    assert done.err.startswith("dqlite-wire: refused: database ")


def test_nothing_is_run_if_a_later_statement_is_refused(server: DqliteServer) -> None:
    done = ask(server, "CREATE TABLE never (a); INSERT INTO never VALUES (1) RETURNING a", "--write")
    assert done.code == 4
    assert server.run_sql("app", "SELECT count(*) FROM sqlite_master WHERE name = 'never'") == [(0,)]


# ---------------------------------------------------------------- standard input


def test_sql_from_standard_input(server: DqliteServer) -> None:
    done = ask(server, "-", "--csv", stdin=b"\xef\xbb\xbfSELECT 'h\xc3\xa9'\n;\n-- and that is all\n")
    assert (done.code, done.out) == (0, "'hé'\r\nhé\r\n")
    assert ask(server, "-", "7", "--csv", stdin=b"SELECT ?1 AS a").out == "a\r\n7\r\n"


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        (b"SELECT '\xff'", "standard input: not UTF-8 at byte 8"),
        (b"SELECT '\0'", "standard input: \"SELECT '\\x00'\" holds a NUL at character 9"),
        (b"", "no statement in it"),
        (b"SELECT 1 --" + bytes(17 << 20), "standard input: over 16 MiB, more than any SQL"),
    ],
    ids=["no UTF-8", "NUL", "empty", "too long"],
)
def test_standard_input_that_is_no_sql(server: DqliteServer, stdin: bytes, said: str) -> None:
    done = ask(server, "-", stdin=stdin)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err


# ---------------------------------------------------------------- failures


def test_a_failed_statement(server: DqliteServer) -> None:
    done = ask(server, "SELECT * FROM absent")
    said = "SQLITE_ERROR (1): no such table: absent (the statement is wrong, or cannot run as things are)"
    assert done == (5, "", f"dqlite-wire: {said}\n")


def test_the_first_that_fails_is_the_last(server: DqliteServer) -> None:
    done = ask(server, "SELECT 1 AS a; SELECT * FROM absent; SELECT 2 AS b", "--csv")
    assert done.code == 2
    done = ask(server, "SELECT 1 AS a; SELECT * FROM absent; SELECT 2 AS b", "--json")
    assert (done.code, done.out) == (5, '{"columns": ["a"], "rows": [[1]]}\n')
    assert done.err.startswith("dqlite-wire: statement 2: SQLITE_ERROR (1)")


def test_a_failure_in_the_middle_of_the_rows(server: DqliteServer) -> None:
    last = "CASE i WHEN 2900 THEN abs(-9223372036854775808) ELSE 0 END"
    sql = f"{NUMBERS.format(3000)}SELECT i, {last} FROM n"
    table = ask(server, sql)
    assert table.code == 5
    assert "integer overflow" in table.err
    assert len(table.out.splitlines()) > 1000
    assert "rows)" not in table.out
    done = ask(server, sql, "--json")
    assert done.code == 5
    found = json.loads(done.out)
    assert found["error"] in done.err
    assert "integer overflow" in found["error"]
    assert [row[0] for row in found["rows"]] == [*range(1, len(found["rows"]) + 1)]


def test_a_transaction_in_one_text(server: DqliteServer) -> None:
    done = ask(
        server, "BEGIN; CREATE TABLE tx (a); INSERT INTO tx VALUES (1); COMMIT; SELECT * FROM tx", "--write"
    )
    assert (done.code, done.err) == (0, "")
    done = ask(server, "BEGIN; DELETE FROM tx", "--write")
    assert (done.code, done.out) == (0, "done\n1 row changed\n")
    assert done.err == "dqlite-wire: a transaction was begun and not ended: nothing of it stays\n"
    assert server.run_sql("app", "SELECT * FROM tx") == [(1,)]


def test_an_empty_database_is_said(server: DqliteServer) -> None:
    done = ask(server, "SELECT 1 AS a", "--csv", database="typo")
    assert (done.code, done.out) == (0, "a\r\n1\r\n")
    assert done.err == "dqlite-wire: database 'typo' is empty: is it new, or is the name wrong?\n"


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        done = run("query", address, "app", "SELECT 1", "--timeout", "0.5")
        assert time.monotonic() - began < 40
    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    done = run("query", address, "app", "SELECT 1", "--timeout", "0.5")
    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)


def test_no_leader_and_from_a_follower() -> None:
    with DqliteCluster() as cluster:
        follower = cluster.nodes[1].address
        assert run("query", follower, "app", "CREATE TABLE t (a)", "--write").code == 0
        assert run("query", follower, "app", "SELECT count(*) FROM t", "--csv").out.split() == [
            "count(*)",
            "0",
        ]
        cluster.lose_leadership()
        done = run("query", follower, "app", "SELECT 1", "--timeout", "0.5")
        assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
        assert "no leader" in done.err


def test_a_node_that_stops_in_the_middle() -> None:
    with DqliteServer() as other:
        other.run_sql("app", "CREATE TABLE t (a)")
        other.drop_after(frames=4, on="query_sql", sql="RECURSIVE")
        done = run("query", other.address, "app", COUNT.format(5000), "--json", "--timeout", "3")
        assert (done.code, done.err.count("\n")) == (3, 1)
        assert json.loads(done.out)["error"]


# ---------------------------------------------------------------- pipes and interrupts


def command(server: DqliteServer, *words: str) -> list[str]:
    return [*COMMAND, "query", server.address, "app", *words]


@pytest.mark.skipif(not DEEP, reason="set DQLITE_WIRE_DEEP=1; with a real node it is tried always")
def test_a_reader_that_goes_away_ends_it_quietly(server: DqliteServer) -> None:
    for form in ("--json",):  # a table does it with real nodes
        with subprocess.Popen(
            command(server, COUNT.format(10**9), form), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert len(process.stdout.read(1000)) == 1000
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(60) == 0
    assert ask(server, "SELECT 1 AS a", "--csv").out == "a\r\n1\r\n"


def test_an_interrupt_ends_it(server: DqliteServer) -> None:
    with subprocess.Popen(
        command(server, COUNT.format(10**9), "--json", "--timeout", "60"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        head = process.stdout.read(1000)
        process.send_signal(signal.SIGINT)
        found = json.loads(head + process.stdout.read())
        assert process.stderr.read() == b""
        assert process.wait(60) == 130
    assert found["error"] == "interrupted"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("INSERT INTO users (name) VALUES ('late')", "dqlite-wire: interrupted; it may have been executed\n"),
        *DEEP * [("BEGIN; INSERT INTO users (name) VALUES ('late'); COMMIT", "")],  # nothing of it stays
    ],
)
def test_an_interrupted_write_says_so(script: str, said: str) -> None:
    with DqliteServer() as server:
        server.run_sql("app", "CREATE TABLE users (name)")
        server.hold(on="exec_sql", sql="INSERT")
        words = command(server, script, "--write", "--json", "--timeout", "60")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            if "BEGIN" in script:
                assert process.stdout.readline()  # of BEGIN; the INSERT follows at once
                time.sleep(0.2)
            else:
                while server.run_sql("app", "SELECT count(*) FROM users") == [(0,)]:
                    time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=60)[1].decode() == said
            assert process.returncode == 130
