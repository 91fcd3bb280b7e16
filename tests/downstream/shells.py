"""The Go command lines of dqlite and cowsql, fed line by line.

`tests/real/setup-nodes` unpacked them together with the servers. They print a prompt for each line they read,
so that what they say is told apart by line.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.real.fixtures import require
from tests.real.nodes import absent_package, clean_environment, suite_command, tree

__all__ = ["DATABASE", "LINES", "SHELLS", "Line", "Shell", "require_shell", "run_shell", "say"]

DATABASE = "shell.db"
TIMEOUT = 60


class Shell(NamedTuple):
    """One command line program.

    Attributes:
        suite: the tree of setup-nodes that has it.
        package: its package, whose version is `release`.
        program: its name below usr/bin, and its prompt.
        splits: it sends what does not begin with SELECT as EXEC_SQL; the others send everything as QUERY_SQL.
    """

    suite: str
    package: str
    program: str
    release: str
    splits: bool = False


SHELLS = {
    "go-dqlite 1.11.5": Shell("bookworm", "go-dqlite", "dqlite", "1.11.5", splits=True),
    "go-dqlite 2.0.0": Shell("trixie", "go-dqlite", "dqlite", "2.0.0"),
    "go-dqlite 3.0.4": Shell("forky", "go-dqlite", "dqlite", "3.0.4"),
    "go-cowsql 1.22.0": Shell("forky", "go-cowsql", "cowsql", "1.22.0"),
}


class Line(NamedTuple):
    """One line, and why the answer to it may differ from server to server.

    Attributes:
        kinds: "write" for what writes, "read" for what reads what was written, "constraint" for a write that
            fails, "rows" for rows where the shell expects none (if it `splits`), "tail" for two statements.
    """

    text: str
    kinds: str = ""


SERIES = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3000) SELECT i FROM r"
LINES = [
    Line("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, at DATETIME, flag BOOLEAN)", "write"),
    Line(
        "INSERT INTO t(name, at, flag) VALUES ('one', '2024-02-29 12:30:00', 1), ('two', NULL, NULL)", "write"
    ),
    Line("INSERT INTO t(name, at, flag) VALUES ('drei ü', 1700000000, 0)", "write"),
    Line("SELECT * FROM t", "read"),
    Line("SELECT count(*), max(name), x'0102', 1.5, NULL FROM t", "read"),
    Line("SELECT name FROM t WHERE id = 2", "read"),
    Line("SELECT name FROM t WHERE id = 99", "read"),
    Line("SELECT nothing FROM t"),
    Line("INSERT INTO t(id) VALUES (1)", "constraint"),
    Line("INSERT INTO t(name) VALUES ('one')", "constraint"),
    Line("INSERT OR IGNORE INTO t(id) VALUES (1)", "write"),
    Line("INSERT OR REPLACE INTO t(id, name) VALUES (2, 'zwei')", "write"),
    Line("UPDATE t SET name = 'x' WHERE id > 2", "write"),
    Line("SELECT group_concat(name) FROM t", "read"),
    Line("ALTER TABLE t ADD COLUMN more REAL DEFAULT 0.5", "write"),
    Line("SELECT id, more, typeof(more) FROM t", "read"),
    Line("CREATE INDEX by_name ON t (name)", "write"),
    Line("CREATE VIEW v AS SELECT id FROM t WHERE flag", "write"),
    Line("SELECT * FROM v", "read"),
    Line("CREATE TABLE c (a CHECK (a < 10))", "write"),
    Line("INSERT INTO c VALUES (10)", "constraint"),
    Line("INSERT INTO c VALUES (9)", "write"),
    Line("WITH w AS (SELECT 1) SELECT * FROM w", "rows"),
    Line("SELECT 9223372036854775807, -9223372036854775808, 1e300, ''"),
    Line("SELECT 'grüße 🙂' AS größe"),
    Line("SELECT 1 AS a, 2 AS a"),
    Line("select 'small letters'"),
    Line("SELECT 1;"),
    Line(f"SELECT 'row ' || i FROM ({SERIES})"),
    Line(f"SELECT zeroblob(5000) FROM ({SERIES}) LIMIT 3"),
    Line("SELECT abs(-9223372036854775807 - 1)"),
    Line("SELEKT 1"),
    Line("SELECT"),
    Line("SELECT * FROM nowhere"),
    Line("SELECT raise(ABORT, 'no')"),
    Line("SELECT 1; SELECT 2", "tail"),
    Line("PRAGMA user_version", "rows"),
    Line("PRAGMA table_info(c)", "read rows"),
    Line("EXPLAIN QUERY PLAN SELECT 1", "rows"),
    Line("DELETE FROM t WHERE id = 1", "write"),
    Line("DROP VIEW v", "write"),
    Line("SELECT count(*) FROM t", "read"),
    Line(".leader"),
    Line(".cluster"),
    Line(".describe ADDRESS"),
    Line(".weight ADDRESS 7"),
]


def say(name: str, address: str, folder: Path, lines: list[str]) -> list[str]:
    """Feed lines to a shell; what it says to each, with ADDRESS for the address of the node."""
    shell = SHELLS[name]
    text = "".join(f"{line.replace('ADDRESS', address)}\n" for line in lines)
    code, output, errors = run_shell(name, address, folder, text=text)
    assert (code, errors) == (0, ""), (output, errors)
    _, *said, last = output.split(f"{shell.program}> ")
    assert not last.strip()
    assert len(said) == len(lines), said
    return said


def run_shell(
    name: str, address: str, folder: Path, *words: str, text: str | None = None
) -> tuple[int, str, str]:
    """Run a shell; its exit code, output and errors."""
    shell = SHELLS[name]
    require_shell(name)
    finished = subprocess.run(
        [*suite_command(shell.suite, shell.program), "-s", address, DATABASE, *words],
        input=text,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        cwd=folder,
        env=clean_environment(),
    )
    return (
        finished.returncode,
        finished.stdout.replace(address, "ADDRESS"),
        finished.stderr.replace(address, "ADDRESS"),
    )


def require_shell(name: str) -> None:
    """Skip where the shell is not unpacked; on CI fail, unless no mirror has it."""
    shell = SHELLS[name]
    if reason := absent_package(shell.suite, shell.package):
        pytest.skip(f"{name}: {reason}")
    if not (tree(shell.suite) / "complete").exists():
        require(f"{name} is not unpacked: run tests/real/setup-nodes")
