"""The table of steps: whatever a client can say, in SQL or in the name of a database, that may do harm.

A step is one statement through one request on a database opened by one form of name. SCRATCH in a statement
stands for a folder of the run, so that files named in it can be found and are gone with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VIAS = ("PREPARE", "EXEC_SQL", "QUERY_SQL", "EXEC", "QUERY")
PREPARED = ("EXEC", "QUERY")
PLAIN = "DATABASE"  # the form of OPEN's name that is no special one

# `PRAGMA pragma_list` of SQLite 3.40, 3.46 and 3.53 (Debian's), which agree
PRAGMAS = [
    *("analysis_limit", "application_id", "auto_vacuum", "automatic_index", "busy_timeout", "cache_size"),
    *("cache_spill", "case_sensitive_like", "cell_size_check", "checkpoint_fullfsync", "collation_list"),
    *("compile_options", "count_changes", "data_version", "database_list", "default_cache_size"),
    *("defer_foreign_keys", "empty_result_callbacks", "encoding", "foreign_key_check", "foreign_key_list"),
    *("foreign_keys", "freelist_count", "full_column_names", "fullfsync", "function_list"),
    *("hard_heap_limit", "ignore_check_constraints", "incremental_vacuum", "index_info", "index_list"),
    *("index_xinfo", "integrity_check", "journal_mode", "journal_size_limit", "legacy_alter_table"),
    *("locking_mode", "max_page_count", "mmap_size", "module_list", "optimize", "page_count", "page_size"),
    *("pragma_list", "query_only", "quick_check", "read_uncommitted", "recursive_triggers"),
    *("reverse_unordered_selects", "schema_version", "secure_delete", "short_column_names"),
    *("shrink_memory", "soft_heap_limit", "synchronous", "table_info", "table_list", "table_xinfo"),
    *("temp_store", "temp_store_directory", "threads", "trusted_schema", "user_version"),
    *("wal_autocheckpoint", "wal_checkpoint", "writable_schema"),
]
# not in that list: builds with other options have them, or dqlite itself
UNLISTED = [
    *("activate_extensions", "data_store_directory", "delete_database", "hexkey", "key", "lock_proxy_file"),
    *("lock_status", "parser_trace", "rekey", "sql_trace", "stats", "vdbe_debug", "vdbe_trace"),
]

# what a pragma is set to; the others are set to 0 and 1
VALUES = {
    "auto_vacuum": ("0", "1", "2"),
    "cache_size": ("0", "1", "-1"),
    "data_store_directory": ("'SCRATCH'",),
    "default_cache_size": ("1",),
    "encoding": ("'UTF-8'", "'UTF-16'"),
    "foreign_key_check": ("t",),
    "foreign_key_list": ("t",),
    "hard_heap_limit": ("1", "100000", "1000000000"),
    "incremental_vacuum": ("1",),
    "index_info": ("i",),
    "index_list": ("t",),
    "index_xinfo": ("i",),
    "integrity_check": ("1", "t"),
    "journal_mode": ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL", "OFF"),
    "journal_size_limit": ("0", "-1"),
    "lock_proxy_file": ("'SCRATCH/proxy'",),
    "locking_mode": ("NORMAL", "EXCLUSIVE"),
    "max_page_count": ("1", "1000"),
    "mmap_size": ("0", "1000000"),
    "optimize": ("0xfffe", "-1"),
    "page_size": ("512", "4096", "65536"),
    "quick_check": ("1", "t"),
    "secure_delete": ("0", "1", "FAST"),
    "soft_heap_limit": ("1", "100000"),
    "synchronous": ("0", "1", "2", "3"),
    "table_info": ("t",),
    "table_list": ("t",),
    "table_xinfo": ("t",),
    "temp_store": ("0", "1", "2"),
    "temp_store_directory": ("'SCRATCH'", "'SCRATCH/nowhere'"),
    "wal_autocheckpoint": ("0", "1"),
    "wal_checkpoint": ("PASSIVE", "FULL", "RESTART", "TRUNCATE"),
    "writable_schema": ("0", "1", "RESET"),
}
DEFAULT_VALUES = ("0", "1")

CONFLICTS = ("ABORT", "FAIL", "IGNORE", "REPLACE", "ROLLBACK")
# the tables of `judge.SCENE`: t (a INTEGER PRIMARY KEY, b UNIQUE) with rows (1, 1) and (2, 2)
STATEMENTS = (
    *("SELECT 1", "SELECT * FROM t", "SELECT abs(-9223372036854775808)", "VALUES (1)", "SELECT 1 WHERE 0"),
    *(
        "INSERT INTO t VALUES (3, 3)",
        "INSERT INTO t VALUES (3, 1)",
        "UPDATE t SET b = 1",
        "DELETE FROM t WHERE a = 1",
    ),
    *(f"INSERT OR {how} INTO t VALUES (3, 3), (4, 1), (5, 5)" for how in CONFLICTS),
    *(f"UPDATE OR {how} t SET b = 1" for how in CONFLICTS),
    *("REPLACE INTO t VALUES (1, 9)", "INSERT INTO t VALUES (1, 1) ON CONFLICT DO NOTHING"),
    "INSERT INTO t VALUES (1, 1) ON CONFLICT (a) DO UPDATE SET b = 7",
    *("INSERT INTO t VALUES (3, 3) RETURNING a", "UPDATE t SET b = b + 10 RETURNING a, b"),
    *("DELETE FROM t RETURNING a", "INSERT INTO t SELECT 3, 3 WHERE 0 RETURNING a"),
    *("BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "COMMIT", "ROLLBACK", "END"),
    *("SAVEPOINT s", "RELEASE s", "ROLLBACK TO s"),
    *(
        "VACUUM",
        "VACUUM main",
        "VACUUM temp",
        "VACUUM INTO 'SCRATCH/copy'",
        "VACUUM INTO 'file:SCRATCH/copy'",
    ),
    *("REINDEX", "REINDEX t", "ANALYZE", "ANALYZE t", "ANALYZE sqlite_schema"),
    *("ATTACH 'SCRATCH/other' AS o", "ATTACH ':memory:' AS o", "ATTACH '' AS o", "ATTACH 'other' AS o"),
    *("ATTACH 'file:SCRATCH/other?vfs=unix' AS o", "DETACH o", "DETACH main", "DETACH temp"),
    *(
        "CREATE TABLE n (a)",
        "CREATE TABLE n AS SELECT 1 AS a",
        "CREATE TEMP TABLE n (a)",
        "CREATE TEMP VIEW v AS SELECT 1",
    ),
    *("CREATE INDEX j ON t (b)", "CREATE UNIQUE INDEX j ON t (b + 1)", "CREATE VIEW v AS SELECT a FROM t"),
    *("DROP TABLE t", "DROP INDEX i", "DROP TABLE nowhere", "DROP VIEW IF EXISTS v"),
    *(
        "ALTER TABLE t RENAME TO u",
        "ALTER TABLE t ADD COLUMN c DEFAULT 1",
        "ALTER TABLE t RENAME COLUMN b TO c",
    ),
    *(
        "ALTER TABLE t DROP COLUMN b",
        "CREATE TABLE w (a PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE w (a INT) STRICT",
    ),
    *(
        f"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT RAISE({how}); END; INSERT INTO t VALUES (3, 3)"
        for how in ("ABORT, 'no'", "FAIL, 'no'", "ROLLBACK, 'no'", "IGNORE")
    ),
    *("CREATE VIRTUAL TABLE x USING fts3 (a)", "CREATE VIRTUAL TABLE x USING fts4 (a)"),
    *("CREATE VIRTUAL TABLE x USING fts5 (a)", "CREATE VIRTUAL TABLE x USING rtree (a, b, c)"),
    *("CREATE VIRTUAL TABLE x USING dbstat", "CREATE VIRTUAL TABLE x USING csv (filename='SCRATCH/f')"),
    *("CREATE VIRTUAL TABLE temp.x USING fts5 (a)", "CREATE VIRTUAL TABLE x USING fts3tokenize"),
    *("SELECT count(*) FROM dbstat", "SELECT count(*) FROM sqlite_dbpage", "SELECT * FROM sqlite_stmt"),
    *("UPDATE sqlite_dbpage SET data = zeroblob(4096)", "UPDATE sqlite_schema SET sql = ''"),
    *(
        "SELECT load_extension('SCRATCH/no')",
        "SELECT readfile('SCRATCH/f')",
        "SELECT writefile('SCRATCH/f', 'x')",
    ),
    *("SELECT edit('x')", "SELECT fts3_tokenizer('simple')", "SELECT fts3_tokenizer('simple', x'00')"),
    *("SELECT zeroblob(900000000)", "SELECT randomblob(1000000)", "SELECT hex(zeroblob(300000000))"),
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT count(*) FROM n",
    *("EXPLAIN SELECT 1", "EXPLAIN QUERY PLAN SELECT * FROM t", "EXPLAIN INSERT INTO t VALUES (3, 3)"),
    *("EXPLAIN VACUUM", "EXPLAIN ATTACH 'SCRATCH/e' AS o", "EXPLAIN COMMIT"),
    *(
        "",
        "-- nothing",
        ";",
        "SELECT 1; SELECT 2",
        "INSERT INTO t VALUES (3, 3); INSERT INTO t VALUES (3, 3)",
    ),
)

# forms of OPEN's name; each with a write and a read, which `judge` does anyway
NAMES = (
    *("", ":memory:", " ", "file:DATABASE", "file::memory:", "file:", "file:DATABASE?mode=memory"),
    *(
        "file:DATABASE?mode=ro",
        "file:DATABASE?vfs=unix",
        "file:SCRATCH/DATABASE?vfs=unix",
        "file:DATABASE?vfs=none",
    ),
    *(
        "file:DATABASE?cache=shared",
        "file:DATABASE?immutable=1",
        "file:DATABASE?nolock=1",
        "file:DATABASE?psow=0",
    ),
    *(
        "file:///SCRATCH/DATABASE",
        "SCRATCH/DATABASE",
        "./DATABASE",
        "../DATABASE",
        "a/b/DATABASE",
        "-DATABASE",
    ),
    *(
        "DATABASE-wal",
        "DATABASE-journal",
        "DATABASE-shm",
        "main",
        "temp",
        "n" * 504,
        "n" * 505,
        "n" * 600,
        "ü",
    ),
)


class Step(NamedTuple):
    """One thing to try; its fields are the first of a row of the file."""

    via: str
    open_name: str
    sql: str


def pragma_texts() -> Iterator[str]:
    """Every pragma: read, set, and set in every disguise."""
    for name in (*PRAGMAS, *UNLISTED):
        for prefix in ("", "EXPLAIN ", "EXPLAIN QUERY PLAN "):
            yield f"{prefix}PRAGMA {name}"
        yield f"PRAGMA main.{name}"
        yield f"PRAGMA temp.{name}"
        for value in VALUES.get(name, DEFAULT_VALUES):
            for prefix in ("", "EXPLAIN ", "EXPLAIN QUERY PLAN "):
                yield f"{prefix}PRAGMA {name}={value}"
            yield f"PRAGMA {name}({value})"
            yield f"PRAGMA main.{name}={value}"
            yield f"PRAGMA temp.{name}={value}"
        yield f"SELECT * FROM pragma_{name}"


def all_steps() -> list[Step]:
    """The whole table, each step once, in the order of the file."""
    texts = [*pragma_texts(), *STATEMENTS]
    steps = {Step(via, PLAIN, sql) for sql in texts for via in VIAS}
    steps |= {Step("EXEC_SQL", name, "CREATE TABLE IF NOT EXISTS n (a)") for name in NAMES}
    steps |= {Step("QUERY_SQL", name, "SELECT 1") for name in NAMES}
    return sorted(steps)
