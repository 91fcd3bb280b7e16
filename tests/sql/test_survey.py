"""SQL in tokens, held against SQLite itself, and what is told from them."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire.sql.survey import Kind, normalise, survey, tokenize

W, N, S, B, NUM = Kind.WORD, Kind.NAME, Kind.STRING, Kind.BLOB, Kind.NUMBER
V, OP, SEMI, BAD = Kind.VARIABLE, Kind.OPERATOR, Kind.SEMICOLON, Kind.BAD
NUMBERS = ["1", "1.", ".5", "1e5", "1.5E-3", "0xfF", "1_000"]
VARIABLES = ["?", "?12", ":a", "@b", "$c", "$d::e(f)"]


def tokens(sql: str) -> list[tuple[Kind, str]]:
    skipped = (Kind.SPACE, Kind.COMMENT)
    return [(token.kind, token.text) for token in tokenize(sql) if token.kind not in skipped]


TOKENS = [
    ("SELECT", [(W, "SELECT")]),
    ("a1_$é x'", [(W, "a1_$é"), (BAD, "x'")]),
    ("'it''s' \"a\"\"b\" `c``d` [e f]", [(S, "'it''s'"), (N, '"a""b"'), (N, "`c``d`"), (N, "[e f]")]),
    ("'open", [(BAD, "'open")]),
    ("x'00fF' X'' x'0' x'0g'", [(B, "x'00fF'"), (B, "X''"), (BAD, "x'0'"), (BAD, "x'0g'")]),
    (" ".join(NUMBERS), [(NUM, text) for text in NUMBERS]),
    ("1e 12ab 0x", [(BAD, "1e"), (BAD, "12ab"), (BAD, "0x")]),
    (" ".join(VARIABLES), [(V, text) for text in VARIABLES]),
    (":", [(BAD, ":")]),
    ("a->>b||c<=1", [(W, "a"), (OP, "->>"), (W, "b"), (OP, "||"), (W, "c"), (OP, "<="), (NUM, "1")]),
    ("a-1--b\n-2", [(W, "a"), (OP, "-"), (NUM, "1"), (OP, "-"), (NUM, "2")]),
    ("/* ' */;/**/;/*", [(SEMI, ";"), (SEMI, ";"), (OP, "/"), (OP, "*")]),
    ("\ufeffSELECT", [(W, "SELECT")]),
    ("!^\0", [(BAD, "!"), (BAD, "^"), (BAD, "\0")]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), TOKENS)
def test_tokens(sql: str, expected: list[tuple[Kind, str]]) -> None:
    assert tokens(sql) == expected


FRAGMENTS = "' \" ` [ ] -- /* */ ; x' 0x 1 .5 e ? : $a( ) a É ||"
PIECES = st.sampled_from([*FRAGMENTS.split(), "\n", " "])


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_nothing_is_lost(sql: str) -> None:
    found = list(tokenize(sql))
    assert "".join(token.text for token in found) == sql
    assert [token.start for token in found] == [
        sum(len(t.text) for t in found[:i]) for i in range(len(found))
    ]
    survey(sql)
    normalise(sql)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_complete_is_what_sqlite_calls_complete(text: str) -> None:
    # SQLite says whether a text ends outside strings and comments with a semicolon; it knows no $a(..) there
    sql = text + ";"
    found = list(tokenize(sql))
    last = [token.kind for token in found if token.kind not in (Kind.SPACE, Kind.COMMENT)][-1:]
    open_comment = found[-1].text.startswith("/*") and not found[-1].text.endswith("*/")
    if "$a(" not in sql and not open_comment and all(token.kind is not Kind.BAD for token in found):
        assert sqlite3.complete_statement(sql) == (last == [SEMI])


@pytest.mark.parametrize("word", ["returning", "a", "select"])
@pytest.mark.parametrize(
    "around", ["{}", "'{}'", '"{}"', "[{}]", "`{}`", "/*{}*/1", "1 --{}", ":{}", "x.{}", "{}2"]
)
def test_returning_is_seen_where_sqlite_sees_it(word: str, around: str) -> None:
    sql = f"SELECT {around.format(word)} FROM x"
    assert survey(sql).returning == (word == "returning" and around in ("{}", "x.{}"))


TRIGGER = "CREATE TRIGGER x AFTER INSERT ON t"
SURVEYS = [
    ("", ()),
    ("-- only this", ()),
    (" ; ; ", ()),
    ("select 1", ("SELECT",)),
    ("SELECT 1; SELECT 2;", ("SELECT", "SELECT")),
    ("insert into t values (';')", ("INSERT",)),
    ("/* ; */ INSERT INTO t VALUES (1); -- ;", ("INSERT",)),
    ("WITH a AS (SELECT 1) SELECT * FROM a", ("SELECT",)),
    ("WITH RECURSIVE a(b) AS (SELECT 1 UNION SELECT 2) DELETE FROM t WHERE a IN a", ("DELETE",)),
    ("WITH", ("WITH",)),
    ("EXPLAIN QUERY PLAN SELECT 1", ("EXPLAIN",)),
    ("VALUES (1)", ("VALUES",)),
    (TRIGGER + " BEGIN DELETE FROM u; SELECT CASE 1 WHEN 1 THEN 2 END; END; BEGIN", ("CREATE", "BEGIN")),
    ("CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM u; END", ("CREATE",)),
    ("ROLLBACK TRANSACTION TO SAVEPOINT a; ROLLBACK TO b; ROLLBACK; END TRANSACTION",
     ("ROLLBACK TO", "ROLLBACK TO", "ROLLBACK", "END")),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "verbs"), SURVEYS)
def test_verbs(sql: str, verbs: tuple[str, ...]) -> None:
    assert survey(sql).verbs == verbs


def test_names_of_savepoints() -> None:
    seen = survey('SAVEPOINT A; ROLLBACK TO SAVEPOINT "a"; RELEASE [A]; RELEASE SAVEPOINT a; SELECT 1')
    assert seen.names == ("a", "a", "a", "a", "")


@pytest.mark.parametrize(
    ("sql", "reads_only", "plain"),
    [
        ("SELECT 1", True, True),
        ("SELECT 1; SELECT 2", True, True),
        ("SELECT 1; INSERT INTO t VALUES (1)", False, True),
        ("PRAGMA user_version", False, False),
        ("BEGIN", False, False),
        ("INSERT OR ROLLBACK INTO t VALUES (1)", False, False),
        ("INSERT INTO t VALUES (1) RETURNING a", False, False),
    ],
)
def test_what_a_text_can_do(sql: str, reads_only: bool, plain: bool) -> None:
    assert (survey(sql).reads_only, survey(sql).plain) == (reads_only, plain)


@pytest.mark.parametrize("verb", ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE"])
@pytest.mark.parametrize("rest", [" a", "\na", "/**/ a", ";", "  a ; \n", ""])
def test_the_short_way_says_what_the_long_one_does(verb: str, rest: str) -> None:
    assert survey(verb.lower() + rest).verbs == (verb,)


def test_long_texts_are_not_kept() -> None:
    sql = "SELECT " + "1, " * 10_000 + "1"
    assert survey(sql).verbs == ("SELECT",)
    assert normalise(sql) == "SELECT ?, .."


NORMAL = [
    ("select  *\nfrom t -- all", "SELECT * FROM t"),
    ("SELECT a,b FROM t WHERE a=1 AND b='x'", "SELECT a, b FROM t WHERE a = ? AND b = ?"),
    ("SELECT a , b FROM t WHERE a = :p AND b = x'00' ;", "SELECT a, b FROM t WHERE a = ? AND b = ?"),
    ("INSERT INTO t VALUES (1, -2, 'c', NULL)", "INSERT INTO t VALUES (?, .., NULL)"),
    ("INSERT INTO t VALUES (1,2),(3,4),(5,6)", "INSERT INTO t VALUES (?, ..), .."),
    ("INSERT INTO t(a) VALUES(1)", "INSERT INTO t(a) VALUES (?)"),
    ("SELECT a FROM t WHERE a IN (1, 2, 3)", "SELECT a FROM t WHERE a IN (?, ..)"),
    ("SELECT count(*), max(a.b) FROM a", "SELECT count(*), max(a.b) FROM a"),
    ("SELECT a - 1, -1, a-b", "SELECT a - ?, .., a - b"),
    ("SELECT [Select], \"from\" FROM t", "SELECT [Select], \"from\" FROM t"),
    ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), NORMAL)
def test_normal_form(sql: str, expected: str) -> None:
    assert normalise(sql) == expected


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=9), st.sampled_from(["", " ", "\n", "/* x */"]))
def test_like_statements_become_one(values: list[int], blank: str) -> None:
    text = f",{blank}".join(map(str, values))
    sql = f"select{blank or ' '}a from t where b in{blank}({text})"
    assert normalise(sql) == "SELECT a FROM t WHERE b IN (?, ..)"


def test_normal_form_is_cut() -> None:
    assert normalise("SELECT abcdef", 8) == "SELECT …"
    assert normalise("SELECT 1", 8) == "SELECT ?"
