"""What may write and what answers with rows, held against SQLite itself, text by text of the survey."""

from __future__ import annotations

import apsw
import pytest

from dqlitewire.sql.normalise import KEYWORDS
from dqlitewire.sql.reading import ANSWERING, ASKING, TELLING, VERBS, gives_rows, is_known, writing_part
from dqlitewire.sql.survey import split
from tests.profiles import DEEP
from tests.real.survey.table import read_table

SCHEMA = """
CREATE TABLE t (a INTEGER PRIMARY KEY, b, c); CREATE INDEX ti ON t (c); CREATE VIEW v AS SELECT a FROM t;
CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN INSERT INTO t (b) VALUES (NEW.a); END;
INSERT INTO t VALUES (1, 'one', 1.5), (2, 'two', NULL)
"""


class Judge:
    """Compiles texts without running them; only such as do nothing while they are compiled."""

    def __init__(self) -> None:
        self.connection = apsw.Connection(":memory:")
        self.connection.execute(SCHEMA)

    def judged(self, sql: str) -> tuple[bool, bool] | None:
        """Whether a statement reads only, and whether it has columns; None if SQLite refuses it."""
        found: list[tuple[bool, bool]] = []

        def seen(cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
            found.append((cursor.is_readonly, bool(cursor.get_description())))
            return False  # which is an error, and not run

        cursor = self.connection.cursor()
        cursor.exec_trace = seen
        try:
            cursor.execute(sql)
        except apsw.ExecTraceAbort:
            return found[0]
        except apsw.Error:
            pass
        return found[0] if found else None


def texts() -> list[str]:
    found = {text for row in read_table() if "{" not in row.sql for text in split(row.sql)}
    assert len(found) > 1000
    return sorted(found)[:: 1 if DEEP else 4]


def test_what_reads_is_read_only_to_sqlite_and_what_answers_has_columns() -> None:
    judge = Judge()
    told = reading = 0
    for sql in texts():
        if "PRAGMA" in sql.upper():
            continue  # compiling one is running it
        judged = judge.judged(sql)
        if judged is None:
            continue
        reads, columns = judged
        told += 1
        reading += not writing_part(sql)
        # to SQLite, EXPLAIN reads only if what it explains does
        assert reads or writing_part(sql) or sql.upper().startswith("EXPLAIN"), sql
        assert gives_rows(sql) == columns, sql
    assert told > (100 if DEEP else 30)
    assert reading > (20 if DEEP else 5)


@pytest.mark.parametrize("name", sorted(TELLING))
def test_a_pragma_that_tells_answers_with_rows_and_changes_nothing(name: str) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(SCHEMA)
    before = settings(connection)
    cursor = connection.execute(f"PRAGMA {name}{'(t)' if name in ASKING else ''}")
    list(cursor)
    assert settings(connection) == before
    assert not writing_part(f"PRAGMA {name}")
    assert gives_rows(f"EXPLAIN PRAGMA {name}")
    assert gives_rows(f"pragma main . {name.upper()}")


def settings(connection: apsw.Connection) -> dict[str, object]:
    names = sorted(TELLING - ASKING)
    return {name: list(connection.execute(f"PRAGMA {name}")) for name in names}


def test_pragmas_that_are_set_and_their_columns() -> None:
    """What SQLite has columns for when a pragma is given a value, and what it has none for."""
    probing = apsw.Connection(":memory:")
    known = {row[0] for row in probing.execute("PRAGMA pragma_list")}
    unknown = set()
    for name in sorted(known - {"hard_heap_limit", "soft_heap_limit"}):  # which are of the whole process
        connection = apsw.Connection(":memory:")
        columns: list[bool] = []

        def seen(cursor: apsw.Cursor, _sql: str, _bindings: object, columns: list[bool] = columns) -> bool:
            columns.append(bool(cursor.get_description()))
            return False

        cursor = connection.cursor()
        cursor.exec_trace = seen
        sql = f"PRAGMA {name}=1"
        try:
            cursor.execute(sql)
        except apsw.Error:
            pass
        if not columns:
            unknown.add(name)
            continue
        assert gives_rows(sql) == columns[0], name
        assert bool(writing_part(sql)) == (name not in ASKING), name
    assert len(unknown) < 10, unknown
    assert known >= ANSWERING


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("SELECT 1", ""),
        ("EXPLAIN DELETE FROM t", ""),
        ("EXPLAIN PRAGMA user_version = 5", "PRAGMA user_version"),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "INSERT"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", ""),
        ("INSERT INTO t VALUES (1) RETURNING a", "INSERT"),
        ("PRAGMA user_version", ""),
        ("PRAGMA user_version = 5", "PRAGMA user_version"),
        ("PRAGMA user_version(5)", "PRAGMA user_version"),
        ("PRAGMA User_Version", ""),
        ("PRAGMA never_heard_of", "PRAGMA never_heard_of"),
        ("PRAGMA table_info(t)", ""),
        ("PRAGMA wal_checkpoint", "PRAGMA wal_checkpoint"),
        ("SELCT 1", "SELCT"),
        ("SELECT 1; BEGIN; SELECT 2", "BEGIN"),
        ("VACUUM", "VACUUM"),
        ("'SELECT'", "'SELECT'"),
        ("", ""),
    ],
)
def test_the_part_that_may_write(sql: str, part: str) -> None:
    assert writing_part(sql) == part


def test_every_statement_of_sqlite_is_known() -> None:
    """A bare keyword that begins a statement is unfinished; any other is where the syntax is wrong."""
    connection = apsw.Connection(":memory:")
    begins = set()
    for word in KEYWORDS:
        try:
            list(connection.execute(word))
        except apsw.SQLError as error:
            if "syntax error" in str(error):
                continue
        begins.add(word)
    assert begins == VERBS - {"ROLLBACK TO"} | {"WITH"}
    for sql in ("SELCT 1", "(SELECT 1)", "WITH x AS (SELECT 1)", "SELECT 1; x", "'SELECT'"):
        assert not is_known(sql)
    assert is_known("EXPLAIN x; ROLLBACK TO x; WITH x AS (SELECT 1) DELETE FROM y; pragma x; end")


def test_a_text_is_cut_into_its_statements() -> None:
    trigger = "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END"
    assert split(f" -- a; b\n SELECT ';' ;; /* ; */ {trigger};\nSELECT 'open; ") == [
        "SELECT ';'",
        trigger,
        "SELECT 'open; ",
    ]
    assert split(" ; -- nothing\n;") == []
    assert split("é; 'ü'") == ["é", "'ü'"]
