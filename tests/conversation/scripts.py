"""Scripts that strain what a client claims: schemas and statements drawn by Hypothesis.

Everything that can leave rows behind, roll back behind the client's back, or fail late is in it: conflict
clauses in schema, statement and trigger, RAISE, views, foreign keys, savepoints, scripts, aggregates that
overflow. Nothing in it harms a node; RETURNING is kept out by the client's own refusal.
"""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

__all__ = ["TABLES", "Script", "Step", "scripts"]

TABLES = ("t", "s", "p", "child", "plain", "big")


class Step(NamedTuple):
    """One text and how it is sent: "exec_sql", "query_sql", "exec" or "query" (prepared), each also as
    "ahead": with everything that belongs to it in one write."""

    via: str
    sql: str
    ahead: bool = False


class Script(NamedTuple):
    schema: str
    steps: list[Step]


def joined(*parts: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    drawn = [st.just(part) if isinstance(part, str) else part for part in parts]
    return st.tuples(*drawn).map(lambda words: " ".join(word for word in words if word))


CLAUSES = ("ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE")
on_conflict = st.sampled_from(("", "", *(f"ON CONFLICT {clause}" for clause in CLAUSES)))
or_clause = st.sampled_from(("", "", "", *(f"OR {clause}" for clause in CLAUSES)))
raising = st.sampled_from(
    ("RAISE(ROLLBACK, 'no')", "RAISE(ABORT, 'no')", "RAISE(FAIL, 'no')", "RAISE(IGNORE)")
)
value = st.sampled_from(("1", "2", "3", "4", "5", "NULL", "'x'"))
number = st.sampled_from(("1", "2", "3", "4", "5"))
row = joined("(", value, ",", number, ",", value, ")")
rows = st.lists(row, min_size=1, max_size=3).map(", ".join)
pair = joined("(", value, ",", value, ")")
pairs = st.lists(pair, min_size=1, max_size=3).map(", ".join)
deferred = st.sampled_from(("", "DEFERRABLE INITIALLY DEFERRED"))
on_delete = st.sampled_from(("", "ON DELETE CASCADE", "ON DELETE RESTRICT", "ON DELETE SET NULL"))

SCHEMA = joined(
    "CREATE TABLE t (a INTEGER PRIMARY KEY",
    on_conflict,
    ", b UNIQUE",
    on_conflict,
    ", d NOT NULL",
    on_conflict,
    "DEFAULT 0 CHECK (d <> 5));",
    "CREATE TABLE s (a, b UNIQUE",
    on_conflict,
    ");",
    "CREATE TABLE p (a INTEGER PRIMARY KEY, b);",
    "CREATE TABLE child (a REFERENCES p (a)",
    on_delete,
    deferred,
    ", b UNIQUE",
    on_conflict,
    ");",
    "CREATE TABLE plain (a, b);",
    "CREATE TABLE big (a, b);",
    "CREATE VIEW v AS SELECT a, b FROM t;",
    "INSERT INTO t VALUES (1, 1, 1); INSERT INTO s VALUES (1, 1); INSERT INTO p VALUES (1, 1), (2, 2);",
    "INSERT INTO child VALUES (1, 1);",
    "INSERT INTO big VALUES (1, 1), (2, 9223372036854775807), (2, 1), (3, 1);",
)
TRIGGERS = st.lists(
    st.one_of(
        joined(
            "CREATE TRIGGER insert_t",
            st.sampled_from(("BEFORE", "AFTER")),
            "INSERT ON t BEGIN INSERT",
            or_clause,
            "INTO s VALUES (new.a, new.b); END;",
        ),
        joined(
            "CREATE TRIGGER raise_plain AFTER INSERT ON plain WHEN new.b = 4",
            "BEGIN INSERT INTO s VALUES (9, 9);",
            "SELECT",
            raising,
            "; END;",
        ),
        joined(
            "CREATE TRIGGER update_t AFTER UPDATE ON t BEGIN UPDATE",
            or_clause,
            "s SET b = new.b; END;",
        ),
        joined(
            "CREATE TRIGGER view_v INSTEAD OF INSERT ON v BEGIN INSERT",
            or_clause,
            "INTO t (a, b) VALUES (new.a, new.b); SELECT",
            raising,
            "WHERE new.b = 3; END;",
        ),
        joined(
            "CREATE TRIGGER delete_child AFTER DELETE ON child BEGIN INSERT",
            or_clause,
            "INTO s VALUES (old.a, old.b); SELECT",
            raising,
            "WHERE old.b = 2; END;",
        ),
    ),
    max_size=3,
    unique_by=lambda text: text.split()[2],
).map("".join)

WRITES = st.one_of(
    joined("INSERT", or_clause, "INTO t VALUES", rows),
    joined("INSERT", or_clause, "INTO t VALUES", rows),
    joined("INSERT", or_clause, "INTO t (a, b) VALUES", pairs),
    joined("INSERT", or_clause, "INTO s VALUES", pairs),
    joined("INSERT", or_clause, "INTO plain VALUES", pairs),
    joined("INSERT", or_clause, "INTO v VALUES", pairs),
    joined("INSERT", or_clause, "INTO child VALUES", pairs),
    joined("INSERT", or_clause, "INTO plain SELECT a, sum(b) FROM big GROUP BY a"),
    joined("INSERT", or_clause, "INTO plain SELECT a, abs(b - 9223372036854775807 - 2) FROM big"),
    joined("INSERT INTO t VALUES", rows, "ON CONFLICT (a) DO UPDATE SET b = b + 1"),
    joined("INSERT INTO s VALUES", pairs, "ON CONFLICT DO NOTHING"),
    joined("WITH r(x) AS (SELECT", number, ") INSERT", or_clause, "INTO t (a, b) SELECT x, x FROM r"),
    joined("REPLACE INTO t VALUES", rows),
    joined("REPLACE INTO p VALUES", pairs),
    joined("UPDATE", or_clause, "t SET b = b + 1"),
    joined("UPDATE", or_clause, "t SET a = a % 2, d = NULL"),
    joined("UPDATE", or_clause, "child SET a =", number),
    joined("UPDATE", or_clause, "s SET b = 1"),
    joined("DELETE FROM p WHERE a =", number),
    joined("DELETE FROM t WHERE a <", number),
    joined("DELETE FROM child WHERE b >", number),
    joined("INSERT INTO plain VALUES", pairs, "RETURNING a"),
)
OTHERS = st.sampled_from(
    (
        "SELECT a FROM t",
        "SELECT abs(b - 9223372036854775807 - 2) AS x FROM big",
        "VALUES (1), (2)",
        "SELECT 1 AS x; SELECT 2 AS x",
        "EXPLAIN COMMIT",
        "EXPLAIN QUERY PLAN INSERT INTO t VALUES (1, 1, 1)",
        "CREATE UNIQUE INDEX unique_plain ON plain (b)",
        "CREATE TABLE trigger (a)",
        "CREATE TABLE made AS SELECT a, sum(b) FROM big GROUP BY a",
        "DROP INDEX IF EXISTS unique_plain",
        "DROP TABLE IF EXISTS p",
        "ALTER TABLE plain ADD COLUMN c",
        "PRAGMA defer_foreign_keys = 1",
        "SELEKT",
        "INSERT INTO nowhere VALUES (1)",
        "INSERT INTO t (z) VALUES (1)",
        "COMMIT NOW",
        "-- COMMIT",
        "",
    )
)
name = st.sampled_from(("a", "A", '"b"', "b"))
TRANSACTIONS = st.one_of(
    st.sampled_from(("BEGIN", "BEGIN", "BEGIN", "BEGIN IMMEDIATE", "COMMIT", "END", "ROLLBACK")),
    joined("SAVEPOINT", name),
    joined("SAVEPOINT", name),
    joined("RELEASE", name),
    joined("RELEASE SAVEPOINT", name),
    joined("ROLLBACK TO", name),
    joined("ROLLBACK TRANSACTION TO SAVEPOINT", name),
)
STATEMENTS = st.one_of(WRITES, WRITES, WRITES, TRANSACTIONS, TRANSACTIONS, OTHERS)
TEXTS = st.one_of(
    STATEMENTS, STATEMENTS, STATEMENTS, st.lists(STATEMENTS, min_size=2, max_size=4).map("; ".join)
)
VIA = st.sampled_from(("exec_sql", "exec_sql", "query_sql", "exec", "query", "interrupted"))
STEPS = st.builds(Step, VIA, TEXTS, st.booleans())


def scripts() -> st.SearchStrategy[Script]:
    """Whole scripts: a schema, and up to sixteen steps."""
    return st.builds(
        Script, st.builds(str.__add__, SCHEMA, TRIGGERS), st.lists(STEPS, min_size=4, max_size=16)
    )
