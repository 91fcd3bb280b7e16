"""What is told of SQL text, held against SQLite: statements, names of savepoints, and the transaction."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqlitewire.constants import RequestType
from dqlitewire.conversation import Generation
from dqlitewire.conversation.session import Session
from dqlitewire.messages import FailureResponse
from dqlitewire.servers.failures import stage_of
from dqlitewire.sql.survey import fold, survey

apsw = pytest.importorskip("apsw")

SCHEMA = """
    CREATE TABLE t (a INTEGER PRIMARY KEY, b);
    CREATE TABLE "rollback" (a);
    INSERT INTO t VALUES (1, 'one');
    CREATE TABLE clause (a UNIQUE ON CONFLICT ROLLBACK, b NOT NULL ON CONFLICT ROLLBACK);
    CREATE TABLE raising (a);
    CREATE TRIGGER raises AFTER INSERT ON raising BEGIN SELECT RAISE(ROLLBACK, 'no'); END;
    PRAGMA foreign_keys = on;
    CREATE TABLE key (a REFERENCES t DEFERRABLE INITIALLY DEFERRED, b REFERENCES t);
"""
NAMES = [*"aAéÉſKı1", 'a"b', "a'b", "a`b", "a]b", "to", "savepoint", "end", "x y", "", ";", "--"]
QUOTES: dict[str, Callable[[str], str]] = {
    "bare": lambda name: name,
    '"': lambda name: '"' + name.replace('"', '""') + '"',
    "'": lambda name: "'" + name.replace("'", "''") + "'",
    "`": lambda name: "`" + name.replace("`", "``") + "`",
    "[": lambda name: f"[{name}]",
}
BLANKS = [
    " ",
    "\n",
    "\t ",
    " \v",
    "/**/",
    "/* ; END */",
    "/* ' */ ",
    " -- ROLLBACK;\n",
    "\ufeff ",
    "\f",
    "/*;*/",
]


def quoted(name: str) -> list[str]:
    bare = name.isidentifier() and name != "to"
    return [
        quote(name)
        for how, quote in QUOTES.items()
        if (bare or how != "bare") and (how, name) != ("[", "a]b")
    ]


names = st.sampled_from([form for name in NAMES for form in quoted(name)])
values = st.integers(1, 3).map(str)
cased = st.sampled_from([str.lower, str.upper, str.title])


def statement(*parts: object) -> st.SearchStrategy[str]:
    """Keywords in any case, with blanks or comments between them; a part may be a choice."""

    @st.composite
    def made(draw: st.DrawFn) -> str:
        text = draw(st.sampled_from(["", *BLANKS]))
        for part in parts:
            word = draw(part) if isinstance(part, st.SearchStrategy) else str(part)
            for piece in word.split():
                text += draw(cased)(piece) + draw(st.sampled_from(BLANKS))
        return text

    return made()


def named(*parts: object) -> st.SearchStrategy[str]:
    @st.composite
    def made(draw: st.DrawFn) -> str:
        return draw(statement(*parts)) + draw(names) + draw(st.sampled_from(["", *BLANKS]))

    return made()


maybe_transaction = st.sampled_from(["", "TRANSACTION"])
maybe_savepoint = st.sampled_from(["", "SAVEPOINT"])
conflict = st.sampled_from(["", "OR ROLLBACK", "OR ABORT", "OR FAIL", "OR IGNORE", "OR REPLACE"])
TRIGGER = (
    "CREATE TEMP TRIGGER IF NOT EXISTS end AFTER INSERT ON t WHEN 0 BEGIN SELECT CASE 1 WHEN 1 THEN 2 END ;"
    " INSERT OR ROLLBACK INTO t VALUES ( 1 , 2 ) ; END"
)
OTHERS = [
    'SELECT 1 OR rollback FROM "rollback"',
    "SELECT 'ROLLBACK; COMMIT'",
    "BOGUS",
    "",
    " ",
    "-- ROLLBACK",
    "ROLLBACK TO",
    "ſELECT 1",
    "COMMıT",
    "RELEASE x'00'",
]
STATEMENTS = st.one_of(
    statement("BEGIN", st.sampled_from(["", "IMMEDIATE", "DEFERRED", "EXCLUSIVE"]), maybe_transaction),
    statement(st.sampled_from(["COMMIT", "END", "ROLLBACK"]), maybe_transaction),
    named(st.sampled_from(["COMMIT TRANSACTION", "END TRANSACTION", "ROLLBACK TRANSACTION"])),
    named("SAVEPOINT"),
    named("RELEASE", maybe_savepoint),
    named("ROLLBACK", maybe_transaction, "TO", maybe_savepoint),
    named("ROLLBACK TRANSACTION tx TO", maybe_savepoint),
    statement("INSERT", conflict, "INTO t(a) VALUES (", values, ")"),
    statement("INSERT", conflict, "INTO clause VALUES (", values, ", nullif ( 1 ,", values, ") )"),
    statement("INSERT", conflict, "INTO raising VALUES ( 1 )"),
    statement("INSERT", conflict, "INTO key VALUES (", values, ", 1 )"),
    statement("INSERT INTO key VALUES ( 1 ,", values, ")"),
    statement("UPDATE", conflict, "t SET a =", values),
    statement("WITH r(x) AS ( SELECT", values, ") INSERT", conflict, "INTO t(a) SELECT x FROM r"),
    statement('REPLACE INTO "rollback" VALUES (', values, ")"),
    statement(st.sampled_from(["EXPLAIN", "EXPLAIN QUERY PLAN"]), st.sampled_from(["ROLLBACK", "BEGIN"])),
    statement(TRIGGER),
    statement("EXPLAIN CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1 ; DELETE FROM t ; END"),
    st.sampled_from(OTHERS),
)
TEXTS = st.lists(STATEMENTS, min_size=1, max_size=3).map(";".join)


def database() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute(SCHEMA)
    return connection


def follow(session: Session, text: str, error: apsw.Error) -> None:
    failure, seen = FailureResponse(error.extendedresult, str(error)), survey(text)
    stage = stage_of(failure, RequestType.EXEC_SQL, seen, Generation.V1_18_3)
    session.failed(stage, failure, seen)


@settings(max_examples=150)
@given(st.lists(st.one_of(STATEMENTS, STATEMENTS, TEXTS), max_size=12))
def test_a_session_knows_the_transaction_or_says_that_it_does_not(texts: list[str]) -> None:
    connection, session = database(), Session()
    for text in texts:
        seen = survey(text)
        try:
            connection.execute(text).fetchall()
        except apsw.Error as error:
            follow(session, text, error)
        else:
            session.ran(seen)
            assert session.in_transaction is not None
        assert session.in_transaction in (None, connection.in_transaction), text
        if session.in_transaction is None:
            try:
                connection.execute("ROLLBACK")
                session.ran(survey("ROLLBACK"))
            except apsw.SQLError as error:
                follow(session, "ROLLBACK", error)
            assert session.in_transaction is False


@pytest.mark.parametrize("clause", ["", "OR ABORT", "OR FAIL"])
@pytest.mark.parametrize(
    "into", ["t VALUES (1, 1)", "clause VALUES (1, NULL)", "raising VALUES (1)", "key VALUES (1, 7)"]
)
def test_a_constraint_may_roll_back(into: str, clause: str) -> None:
    connection, session = database(), Session()
    connection.execute("BEGIN")
    session.ran(survey("BEGIN"))
    text = f"INSERT {clause} INTO {into}"
    with pytest.raises(apsw.ConstraintError) as caught:
        connection.execute(text)
    follow(session, text, caught.value)
    assert session.in_transaction in (None, connection.in_transaction)
    assert ("key" in into) == (session.in_transaction is True)


@given(TEXTS)
def test_statements_are_counted_as_sqlite_runs_them(text: str) -> None:
    connection, ran = database(), []
    cursor = connection.cursor()
    cursor.exec_trace = lambda _, sql, __: ran.append(sql) is None
    try:
        cursor.execute(text).fetchall()
    except apsw.Error:
        return
    verbs = survey(text).verbs
    assert len(verbs) == len([sql for sql in ran if survey(sql).verbs])


@pytest.mark.parametrize("one", NAMES)
@pytest.mark.parametrize("other", NAMES)
def test_names_of_savepoints_are_compared_as_sqlite_compares_them(one: str, other: str) -> None:
    connection = database()
    found = {name for form in quoted(one) for name in survey(f"SAVEPOINT {form}").names}
    assert found == {fold(one)}
    connection.execute(f"SAVEPOINT {QUOTES['`'](one)}")
    try:
        connection.execute(f"RELEASE {QUOTES['`'](other)}")
    except apsw.SQLError:
        assert fold(one) != fold(other)
    else:
        assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ROLLBACK TO a", False),
        ("ROLLBACK", False),
        ("ROLLBACK TRANSACTION", False),
        ("BEGIN; INSERT OR ROLLBACK INTO t VALUES (1); ROLLBACK", True),
        ("UPDATE/**/OR\nrollback t SET a = 1", True),
        ("CREATE TABLE x (a UNIQUE ON CONFLICT ROLLBACK)", True),
        ("CREATE TRIGGER x BEFORE INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END", True),
        ('INSERT INTO "rollback" VALUES (1)', False),
        ("SELECT 1 OR rollback FROM x", False),
        ("INSERT INTO t VALUES ('OR ROLLBACK') -- OR ROLLBACK", False),
    ],
)
def test_a_conflict_clause_is_told_from_a_statement(sql: str, expected: bool) -> None:
    assert survey(sql).or_rollback is expected
