"""`dqlite-wire query` on real nodes: kinds of values, leaders that die, hazards, what OPEN leaves behind."""

from __future__ import annotations

import csv
import io
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dqlitewire.testing import DqliteCluster
from tests.dial.relays import Relay
from tests.dial.test_layers import Certificates
from tests.profiles import DEEP
from tests.real.nodes import KINDS, Cluster, Node
from tests.real.raw import RawConnection, text
from tests.real.survey.table import read_table
from tests.traffic.command import COMMAND, run

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
COUNT = f"{NUMBERS}SELECT i, 'row ' || i AS name, i * 1.5 AS x FROM n"

TYPED = """CREATE TABLE v (i INTEGER, f REAL, t TEXT, b BLOB, d DATETIME, y DATE, o BOOLEAN);
INSERT INTO v VALUES
(-9223372036854775808, 9e999, 'grün' || char(10) || '小林', x'00ff', 1700000000, '2026-11-28', 1);
INSERT INTO v VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL)"""


def test_all_kinds_of_values(real_node: Node, database: str) -> None:
    query = ("query", real_node.address, database)
    assert run(*query, TYPED, "--write").code == 0
    done = run(*query, "SELECT * FROM v", "--json")
    assert (done.code, done.err) == (0, "")
    first, second = json.loads(done.out)["rows"]
    least = -(2**63)
    blob = {"blob": "00ff"}
    assert first == [least, {"float": "inf"}, "grün\n小林", blob, 1700000000, "2026-11-28", True]
    assert second == [None, None, None, None, "", "", False]  # as servers say NULL in such columns
    header, fields, _ = csv.reader(io.StringIO(run(*query, "SELECT * FROM v", "--csv").out, newline=""))
    assert header == [*"iftbdyo"]
    assert fields == [str(least), "inf", "grün\n小林", "x'00ff'", "1700000000", "2026-11-28", "true"]
    table = run(*query, "SELECT * FROM v", "--width", "132").out.splitlines()
    assert table[2].split() == [
        str(least),
        "inf",
        "grün\\n小林",
        "x'00ff'",
        "1700000000",
        "2026-11-28",
        "true",
    ]
    words = ["NULL", "-5", "1e3", "x'00'", "true", "it's", "9223372036854775807"]
    done = run(*query, "SELECT ?, ?, ?, ?, ?, ?, ?", "--json", "--", *words)
    assert json.loads(done.out)["rows"] == [[None, -5, 1000.0, {"blob": "00"}, 1, "it's", 2**63 - 1]]


def test_statements_of_all_sorts(real_node: Node, database: str) -> None:
    """What is run how is right on each server: nothing but rows in a QUERY, everything else in an EXEC."""
    query = ("query", real_node.address, database, "--json")
    script = "BEGIN; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2); COMMIT; SELECT count(*) AS n FROM t"
    done = run(*query, script, "--write")
    assert (done.code, done.out.splitlines()[-1]) == (0, '{"columns": ["n"], "rows": [[2]]}')
    for sql in (
        "EXPLAIN QUERY PLAN SELECT * FROM t",
        "VALUES (1)",
        "PRAGMA table_info(t)",
        "PRAGMA user_version",
    ):
        assert (done := run(*query, sql)).code == 0, done
        assert json.loads(done.out)["rows"]
    for sql in (
        "PRAGMA user_version = 7",
        "WITH x AS (SELECT 5) INSERT INTO t SELECT * FROM x",
        "SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; RELEASE s",
        "CREATE TRIGGER tt AFTER INSERT ON t BEGIN DELETE FROM t WHERE a = 9; SELECT 1; END",
        "INSERT INTO t VALUES (9); SELECT a FROM t",
        "ANALYZE; REINDEX; DROP TRIGGER tt",
    ):
        assert (done := run(*query, sql, "--write")).code == 0, (sql, done)
    assert json.loads(run(*query, "SELECT a FROM t").out)["rows"] == [[1], [2], [5]]
    done = run(*query, "SELECT * FROM absent")
    assert (done.code, done.out) == (5, "")
    assert "SQLITE_ERROR (1): no such table: absent" in done.err
    assert run(*query, "CREATE UNIQUE INDEX tu ON t (a)", "--write").code == 0
    done = run(*query, "INSERT INTO t VALUES (1)", "--write")
    assert (done.code, "SQLITE_CONSTRAINT_UNIQUE (2067)" in done.err) == (5, True)
    assert "executed" not in done.err  # it failed, and would again: nobody has to look whether it ran


# ---------------------------------------------------------------- hazards

#: texts of the survey that some server did not survive, or that reached beyond their database
BAD = sorted(
    {
        (row.open_name, row.sql)
        for row in read_table()
        if row.verdict in ("kills", "poisons_node", "reaches_others", "writes_outside")
    }
)


def test_nodes_survive_whatever_the_survey_knows(
    own_node: Callable[..., Node], node_kind: str, database: str
) -> None:
    """With --write, and so that only hazards are refused: what is not refused does no harm."""
    node = own_node(node_kind)
    assert run("query", node.address, database, "CREATE TABLE t (a, b, c)", "--write").code == 0
    assert len(BAD) > 150
    refused = 0
    for open_name, sql in BAD if DEEP else BAD[::5]:
        places = {"{db}": database, "{scratch}": str(node.folder)}
        name, statement = open_name, sql or "SELECT 1"
        for place, held in places.items():
            name, statement = name.replace(place, held), statement.replace(place, held)
        done = run("query", node.address, name, statement, "--write", "--timeout", "5")
        assert done.code in (0, 2, 3, 4, 5), (statement, done)
        assert done.err.count("\n") <= 2, done
        refused += done.code == 4
        assert node.alive(), (name, statement, done)
    assert refused > 0.5 * len(BAD if DEEP else BAD[::5])
    done = run(
        "query", node.address, database, "INSERT INTO t VALUES (1, 2, 3); SELECT 1 AS a", "--write", "--csv"
    )
    assert (done.code, done.out) == (0, "a\r\n1\r\n")
    assert node.stop() == 0


def test_names_that_fill_a_page_end_at_once(real_node: Node, database: str) -> None:
    """The server would send frames without rows for ever."""
    began = time.monotonic()
    done = run("query", real_node.address, database, f'SELECT 1 AS "{"n" * 4079}"', "--timeout", "600")
    assert time.monotonic() - began < 120
    assert (done.code, done.out) == (3, "")
    assert "column names fill a page, no row will ever come" in done.err
    assert run("query", real_node.address, database, "SELECT 1 AS a", "--csv").out == "a\r\n1\r\n"


# ---------------------------------------------------------------- what OPEN leaves behind


def dumped(address: str, database: str) -> object:
    with RawConnection(address) as connection:
        answer = connection.call(15, text(database))
    if answer.kind == 0:
        return answer.failure[0]
    return int.from_bytes(answer.body[8 + len(text(database)) :][:8], "little")


def test_a_name_that_nobody_has_leaves_an_empty_page_in_memory(
    own_node: Callable[..., Node], node_kind: str
) -> None:
    node = own_node(node_kind)
    done = run("query", node.address, "typo", "SELECT 1 AS a", "--csv")
    assert (done.code, done.out) == (0, "a\r\n1\r\n")
    assert "database 'typo' is empty" in done.err
    assert dumped(node.address, "typo") == 4096
    assert not list(node.folder.rglob("*typo*"))
    node.kill()
    node.start()
    assert dumped(node.address, "typo") in (0, 1002)


# ---------------------------------------------------------------- clusters


@pytest.mark.parametrize("kind", KINDS if DEEP else ["1.18.7"])
def test_from_a_follower_and_through_a_leader_kill(
    real_cluster: Callable[..., Cluster], kind: str, database: str, tmp_path: Path
) -> None:
    cluster = real_cluster(kind)
    follower = cluster.nodes[1].address
    assert run("query", follower, database, "CREATE TABLE t (a)", "--write", "--timeout", "60").code == 0
    store = tmp_path / "cluster.yaml"
    store.write_text("".join(f"- Address: {node.address}\n  ID: {node.id}\n" for node in cluster.nodes))
    leader = cluster.leader()
    stopped = threading.Timer(0.05, leader.kill)
    stopped.start()
    added = 0
    for number in range(30):
        done = run(
            "query", store, database, "INSERT INTO t VALUES (?)", str(number), "--write", "--timeout", "60"
        )
        assert (done.code == 0) is not ("it may have been executed" in done.err), done
        added += done.code == 0
        time.sleep(0.01)
    stopped.join()
    assert not leader.alive()
    assert added >= 25  # one was under way; a busy machine may have more elections
    done = run("query", store, database, "SELECT count(DISTINCT a) AS n FROM t", "--csv", "--timeout", "60")
    assert added <= int(done.out.split()[1]) <= 30
    others = [node for node in cluster.nodes if node is not leader]
    others[0].kill()  # no quorum
    began = time.monotonic()
    done = run("query", others[1].address, database, "INSERT INTO t VALUES (99)", "--write", "--timeout", "2")
    assert time.monotonic() - began < 60
    assert done.code in (3, 5)
    assert done.err.count("\n") == 1


def test_a_node_that_only_claims_to_lead() -> None:
    """It names itself and refuses everything else: an end in time, and a line that names it."""
    with DqliteCluster() as cluster:
        cluster.fail_next(10250, times=None, on=["open", "query_sql", "exec_sql"])
        done = run("query", cluster.nodes[0].address, "app", "SELECT 1", "--timeout", "1")
    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert cluster.nodes[0].address in done.err


# ---------------------------------------------------------------- many rows

# VmHWM and not ru_maxrss, which begins with that of the process that forked
MEASURED = """
import re, sys
from pathlib import Path
from dqlitewire.cli import main
try:
    main()
finally:
    sys.stderr.write(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def peak(address: str, *words: str) -> int:
    """The most memory that a command takes, in KiB; its output goes nowhere."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "query", address, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    return int(done.stderr.split()[-1])


@pytest.mark.parametrize("form", ["--csv", "--width=80", "--json"] if DEEP else ["--csv"])
def test_200_000_rows_take_the_memory_of_few(
    real_nodes: Callable[[str], Node], database: str, form: str
) -> None:
    address = real_nodes("1.18.7").address
    few = peak(address, database, COUNT.format(300), form)
    assert peak(address, database, COUNT.format(200_000), form, "--timeout", "60") < few + 8192


@pytest.mark.parametrize("kind", KINDS if DEEP else KINDS[:1])
def test_a_reader_that_goes_away(real_nodes: Callable[[str], Node], database: str, kind: str) -> None:
    real_node = real_nodes(kind)
    command = [*COMMAND, "query", real_node.address, database, COUNT.format(50_000_000), "--timeout", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1000)
        process.stdout.close()
        said = process.stderr.read().decode()
        assert said == "" or said.count("\n") == 1  # that the database is empty
        assert process.wait(60) == 0
    assert run("query", real_node.address, database, "SELECT 1 AS a", "--csv").out == "a\r\n1\r\n"


# ---------------------------------------------------------------- what stands in front of nodes


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("front", ["unix", "abstract", "tls", "client certificate", "upgrade", "store"])
def test_behind_whatever_stands_in_front(
    front: str, real_nodes: Callable[[str], Node], database: str, files: Certificates, tmp_path: Path
) -> None:
    """The only node names itself by an address that the same way does not reach; it is asked all the same."""
    node = real_nodes("1.18.7")
    unix = {"unix": str(tmp_path / "x"), "abstract": f"@query-test-{os.getpid()}"}.get(front)
    pair = ("--cert", files["client.crt"], "--key", files["client.key"])
    tls: ssl.SSLContext | None = None
    path, options = None, ()
    match front:
        case "tls":
            tls, options = files.context(files.server, False), ("--ca", files["ca"])
        case "client certificate":
            tls, options = files.context(files.server, True), ("--ca", files["ca"], *pair)
        case "upgrade":
            path = "/internal/database"
            tls, options = files.context(files.server, False), ("--ca", files["ca"], "--upgrade", path)
        case "store":
            tls = files.context(files.shared, True)
        case _:
            pass
    with Relay(node.address, unix=unix, tls=tls, path=path) as relay:
        target = relay.address
        if front == "store":
            (files.folder / "cluster.yaml").write_text(f"- Address: {relay.address}\n  ID: 1\n")
            target = files["cluster.yaml"]
        done = run("query", target, database, *options, "SELECT 1 AS a", "--csv")
        assert (done.code, done.out) == (0, "a\r\n1\r\n"), done


def test_wrong_certificates_are_refused_in_words(
    real_nodes: Callable[[str], Node], files: Certificates
) -> None:
    node = real_nodes("1.18.7")
    with Relay(node.address, tls=files.context(files.server, True)) as relay:
        for options, said in (
            (("--ca", files["strange-ca"]), "certificate verify failed"),
            (("--ca", files["ca"]), "client certificate"),
            (("--ca", files["ca"], "--server-name", "other.example"), "certificate verify failed"),
            ((), ""),
        ):
            done = run("query", relay.address, "app", *options, "SELECT 1", "--timeout", "3")
            assert (done.code, done.out, done.err.count("\n")) == (3, "", 1), done
            assert said in done.err
