"""What the survey tries: every pragma, every kind of statement, every form of a database's name.

A step is one text (or one name) that goes to a node by one way. `{scratch}` in it stands for a folder of the
survey's own, `{db}` for a database name that nobody else uses. All texts find the schema of `SETUP`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

OPEN, PREPARE, EXEC, QUERY, EXEC_SQL, QUERY_SQL = "OPEN", "PREPARE", "EXEC", "QUERY", "EXEC_SQL", "QUERY_SQL"
WAYS = (PREPARE, EXEC_SQL, QUERY_SQL, EXEC, QUERY)  # PREPARE stands first: what it refuses, no other way runs
OWN_NAME = "{db}"


class Step(NamedTuple):
    """One thing to try.

    Attributes:
        via: the request that carries the text; OPEN where the name is what is tried.
        open_name: the name of the database.
        sql: the text.
    """

    via: str
    open_name: str
    sql: str


SETUP = (
    "CREATE TABLE witness (a)",
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE, c NOT NULL DEFAULT 0)",
    "INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2)",
    "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    "CREATE INDEX ti ON t (c)",
    "CREATE VIEW v AS SELECT a, b FROM t",
    "CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN INSERT INTO t (a, b) VALUES (NEW.a, NEW.b); END",
    "CREATE TABLE dates (d DATE, b BOOLEAN)",
    *(
        f"CREATE TABLE {way}s (a); "
        f"CREATE TRIGGER {way}_trigger BEFORE INSERT ON {way}s BEGIN SELECT RAISE({way}, 'stop'); END"
        for way in ("ABORT", "ROLLBACK", "FAIL")
    ),
    "CREATE TABLE IGNOREs (a)",
    "CREATE TRIGGER IGNORE_trigger BEFORE INSERT ON IGNOREs BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TABLE keeps (a)",
    "CREATE TRIGGER keeps_trigger AFTER INSERT ON keeps WHEN NEW.a = 2 BEGIN SELECT RAISE(FAIL, 'stop'); END",
)

# ---------------------------------------------------------------- pragmas

SWITCH = ("0", "1")
PRAGMAS: dict[str, tuple[str, ...]] = {
    "activate_extensions": ("'x'",),
    "analysis_limit": ("0", "100"),
    "application_id": ("1",),
    "auto_vacuum": ("0", "1", "2"),
    "automatic_index": SWITCH,
    "busy_timeout": ("0", "100"),
    "cache_size": ("0", "1", "-1"),
    "cache_spill": ("0", "1", "100"),
    "case_sensitive_like": SWITCH,
    "cell_size_check": SWITCH,
    "checkpoint_fullfsync": SWITCH,
    "collation_list": ("1",),
    "compile_options": ("1",),
    "count_changes": SWITCH,
    "data_store_directory": ("'{scratch}'", "''"),
    "data_version": ("1",),
    "database_list": ("1",),
    "default_cache_size": ("10",),
    "defer_foreign_keys": SWITCH,
    "empty_result_callbacks": SWITCH,
    "encoding": ("'UTF-8'", "'UTF-16'"),
    "foreign_key_check": ("child",),
    "foreign_key_list": ("child",),
    "foreign_keys": SWITCH,
    "freelist_count": ("1",),
    "full_column_names": SWITCH,
    "fullfsync": SWITCH,
    "function_list": ("1",),
    "hard_heap_limit": ("0", "100000000"),
    "hexkey": ("'00'",),
    "hexrekey": ("'00'",),
    "ignore_check_constraints": SWITCH,
    "incremental_vacuum": ("1",),
    "index_info": ("ti",),
    "index_list": ("t",),
    "index_xinfo": ("ti",),
    "integrity_check": ("1", "t"),
    "journal_mode": ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL", "OFF"),
    "journal_size_limit": ("-1", "0", "1"),
    "key": ("'x'",),
    "legacy_alter_table": SWITCH,
    "legacy_file_format": SWITCH,
    "lock_proxy_file": ("'{scratch}/proxy'", "':auto:'"),
    "lock_status": ("1",),
    "locking_mode": ("NORMAL", "EXCLUSIVE"),
    "max_page_count": ("1", "1000000"),
    "mmap_size": ("0", "65536", "1073741824"),
    "module_list": ("1",),
    "optimize": ("-1", "0xfffe"),
    "page_count": ("1",),
    "page_size": ("512", "4096", "65536"),
    "parser_trace": SWITCH,
    "pragma_list": ("1",),
    "query_only": SWITCH,
    "quick_check": ("1", "t"),
    "read_uncommitted": SWITCH,
    "recursive_triggers": SWITCH,
    "rekey": ("'x'",),
    "reverse_unordered_selects": SWITCH,
    "schema_version": ("0", "99"),
    "secure_delete": ("0", "1", "FAST"),
    "short_column_names": SWITCH,
    "shrink_memory": ("1",),
    "soft_heap_limit": ("0", "100000000"),
    "sql_trace": SWITCH,
    "stats": ("1",),
    "synchronous": ("0", "1", "2", "3"),
    "table_info": ("t",),
    "table_list": ("t",),
    "table_xinfo": ("t",),
    "temp_store": ("0", "1", "2"),
    "temp_store_directory": ("'{scratch}'", "''", "'{scratch}/none'"),
    "textkey": ("'x'",),
    "textrekey": ("'x'",),
    "threads": ("0", "4"),
    "trusted_schema": SWITCH,
    "user_version": ("1",),
    "vdbe_addoptrace": SWITCH,
    "vdbe_debug": SWITCH,
    "vdbe_eqp": SWITCH,
    "vdbe_listing": SWITCH,
    "vdbe_trace": SWITCH,
    "wal_autocheckpoint": ("0", "1", "1000"),
    "wal_checkpoint": ("PASSIVE", "FULL", "RESTART", "TRUNCATE", "NOOP"),
    "writable_schema": ("0", "1", "RESET"),
    "no_such_pragma": ("1",),
}


def pragma_texts(name: str, values: tuple[str, ...]) -> Iterator[str]:
    """Yield a pragma read and set, for a schema, under both EXPLAINs and as a function."""
    first, last = values[0], values[-1]
    yield f"PRAGMA {name}"
    yield f"PRAGMA main.{name}"
    for value in values:
        yield f"PRAGMA {name} = {value}"
        yield f"EXPLAIN PRAGMA {name} = {value}"
    yield f"PRAGMA {name}({last})"
    yield f"PRAGMA main.{name} = {last}"
    yield f"PRAGMA temp.{name} = {last}"
    yield f"EXPLAIN PRAGMA {name}"
    yield f"EXPLAIN QUERY PLAN PRAGMA {name} = {last}"
    yield f"SELECT * FROM pragma_{name}"
    yield f"SELECT * FROM pragma_{name}({first if first.startswith(chr(39)) else repr(first)})"


# ---------------------------------------------------------------- statements

CONFLICTS = ("ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE")
STATEMENTS = (
    *(f"INSERT OR {way} INTO t VALUES (3, 'three', 3), (1, 'again', 1)" for way in CONFLICTS),
    *(f"INSERT OR {way} INTO t VALUES (3, 'three', NULL)" for way in CONFLICTS),
    *(f"UPDATE OR {way} t SET b = 'same'" for way in CONFLICTS),
    *(f"INSERT INTO {way}s VALUES (1)" for way in ("ABORT", "ROLLBACK", "FAIL", "IGNORE")),
    "REPLACE INTO t VALUES (1, 'new', 1)",
    "INSERT INTO t VALUES (1, 'x', 1) ON CONFLICT DO NOTHING",
    "INSERT INTO t VALUES (1, 'x', 1) ON CONFLICT (a) DO UPDATE SET b = excluded.b",
    "INSERT INTO t VALUES (9, 'nine', 9) RETURNING a",
    "UPDATE t SET c = 5 RETURNING *",
    "DELETE FROM t RETURNING a",
    "REPLACE INTO t VALUES (1, 'r', 1) RETURNING a, b",
    "WITH x AS (SELECT 7 AS n) INSERT INTO t SELECT n, 'seven', n FROM x RETURNING a",
    "EXPLAIN INSERT INTO t VALUES (9, 'nine', 9) RETURNING a",
    "EXPLAIN QUERY PLAN DELETE FROM t RETURNING a",
    "INSERT INTO v VALUES (8, 'eight')",
    "INSERT INTO t DEFAULT VALUES",
    "INSERT INTO child VALUES (77)",
    "UPDATE t SET c = c + 1 WHERE a = 1",
    "DELETE FROM t",
    "SELECT * FROM t",
    "SELECT 1",
    "VALUES (1, 2), (3, 4)",
    "SELECT d, b FROM dates",
    "SELECT 'text' AS x UNION SELECT 2.5",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i FROM n",
    "BEGIN",
    "BEGIN DEFERRED",
    "BEGIN IMMEDIATE",
    "BEGIN EXCLUSIVE",
    "COMMIT",
    "END",
    "ROLLBACK",
    "SAVEPOINT s",
    "RELEASE s",
    "ROLLBACK TO s",
    "BEGIN; INSERT INTO t VALUES (6, 'six', 6); COMMIT",
    "BEGIN; INSERT INTO t VALUES (6, 'six', 6); ROLLBACK",
    "SAVEPOINT s; INSERT INTO t VALUES (6, 'six', 6); ROLLBACK TO s; RELEASE s",
    "BEGIN; INSERT INTO child VALUES (77); COMMIT",
    "BEGIN; BEGIN",
    "CREATE TABLE n (a)",
    "CREATE TABLE n AS SELECT * FROM t",
    "CREATE TABLE n (a PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE n (a INT) STRICT",
    "CREATE TEMP TABLE n (a)",
    "CREATE TEMP TABLE n AS SELECT * FROM t",
    "CREATE TABLE temp.n (a)",
    "CREATE INDEX n ON t (b)",
    "CREATE UNIQUE INDEX n ON t (c)",
    "CREATE VIEW n AS SELECT 1",
    "CREATE TEMP VIEW n AS SELECT 1",
    "CREATE TRIGGER n AFTER INSERT ON t BEGIN DELETE FROM t; END",
    "CREATE TEMP TRIGGER n AFTER INSERT ON t BEGIN DELETE FROM t; END",
    "CREATE VIRTUAL TABLE n USING fts5(a)",
    "CREATE VIRTUAL TABLE n USING fts4(a)",
    "CREATE VIRTUAL TABLE n USING fts3(a)",
    "CREATE VIRTUAL TABLE n USING rtree(id, a, b)",
    "CREATE VIRTUAL TABLE n USING geopoly(a)",
    "CREATE VIRTUAL TABLE n USING dbstat(main)",
    "CREATE VIRTUAL TABLE n USING csv(filename='{scratch}/none.csv')",
    "CREATE VIRTUAL TABLE n USING no_such_module(a)",
    "CREATE VIRTUAL TABLE temp.n USING fts5(a)",
    "SELECT * FROM dbstat",
    "SELECT * FROM sqlite_dbpage LIMIT 1",
    "UPDATE sqlite_dbpage SET data = zeroblob(4096) WHERE pgno = 1",
    "INSERT INTO sqlite_dbpage VALUES (1, zeroblob(4096), 'main')",
    "SELECT * FROM sqlite_stmt",
    "SELECT * FROM bytecode('SELECT 1')",
    "SELECT * FROM json_each('[1]')",
    "SELECT * FROM generate_series(1, 3)",
    "SELECT * FROM sqlite_schema",
    "UPDATE sqlite_schema SET sql = 'x'",
    "DROP TABLE t",
    "DROP TABLE IF EXISTS no_such",
    "DROP INDEX ti",
    "DROP VIEW v",
    "DROP TRIGGER vi",
    "ALTER TABLE t RENAME TO u",
    "ALTER TABLE t RENAME COLUMN b TO d",
    "ALTER TABLE t ADD COLUMN d",
    "ALTER TABLE t DROP COLUMN c",
    "ANALYZE",
    "ANALYZE t",
    "REINDEX",
    "REINDEX t",
    "VACUUM",
    "VACUUM main",
    "VACUUM temp",
    "VACUUM INTO '{scratch}/vacuumed'",
    "VACUUM INTO 'vacuumed'",
    "VACUUM INTO 'file:vacuumed?vfs=unix'",
    "VACUUM INTO ':memory:'",
    "EXPLAIN VACUUM INTO '{scratch}/vacuumed'",
    "ATTACH ':memory:' AS m",
    "ATTACH '' AS m",
    "ATTACH '{scratch}/attached' AS m",
    "ATTACH 'attached' AS m",
    "ATTACH 'file:attached?vfs=unix' AS m",
    "ATTACH 'file:{scratch}/attached?vfs=unix' AS m",
    "ATTACH 'file::memory:' AS m",
    "ATTACH 'file:shared?mode=memory&cache=shared' AS m",
    "ATTACH 'bystander' AS m",
    "EXPLAIN ATTACH '{scratch}/attached' AS m",
    "ATTACH ':memory:' AS m; CREATE TABLE m.x (a); INSERT INTO m.x VALUES (1)",
    "ATTACH '{scratch}/attached' AS m; CREATE TABLE m.x (a); INSERT INTO m.x VALUES (1)",
    "ATTACH 'attached' AS m; CREATE TABLE m.x (a)",
    "ATTACH 'file:attached?vfs=unix' AS m; CREATE TABLE m.x (a)",
    "ATTACH 'file:{scratch}/attached?vfs=unix' AS m; CREATE TABLE m.x (a)",
    "ATTACH 'bystander' AS m; INSERT INTO m.witness VALUES (1)",
    "DETACH main",
    "DETACH temp",
    "DETACH no_such",
    "SELECT load_extension('{scratch}/none')",
    "SELECT load_extension('libc.so.6')",
    "SELECT readfile('{scratch}/none')",
    "SELECT writefile('{scratch}/written', 'x')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT fts3_tokenizer('simple', x'0000000000000000')",
    "SELECT fts5(NULL)",
    "SELECT sqlite_rename_table(1, 2, 3, 4, 5, 6, 7)",
    "SELECT sqlite_log(1, 'x')",
    "SELECT zeroblob(10000000)",
    "SELECT randomblob(100000)",
    "SELECT sqlite_compileoption_get(1), sqlite_version(), sqlite_source_id()",
    "SELECT last_insert_rowid(), changes(), total_changes()",
    "SELECT edit('x')",
    "SELECT eval('SELECT 1')",
    "SELECT median(a) FROM t",
    "SELECT soundex('x')",
    "SELECT unknown_function(1)",
    "",
    ";",
    "-- only a comment",
    "/* open",
    "SELECT 1; SELECT 2",
    "SELECT 1;",
    "SELECT ?",
    "SELECT ?999",
    "SELECT ?32766",
    "INSERT INTO t (a) VALUES (?)",
    "EXPLAIN SELECT 1",
    "EXPLAIN QUERY PLAN SELECT * FROM t",
    "EXPLAIN BEGIN",
    "EXPLAIN DROP TABLE t",
    "no sql at all",
    "SELECT * FROM no_such_table",
)

# ---------------------------------------------------------------- the same things in other words

FILE = "{db}v"  # a file of dqlite's own file system: what names it is followed by OPEN of it
SPELLINGS = (
    *(f"PRAGMA {name} = 2" for name in ('"synchronous"', "[synchronous]", "`synchronous`", "'synchronous'")),
    *("PRAGMA main . synchronous = 2", 'PRAGMA "main"."synchronous" = 2', "pragma Synchronous=2"),
    *(f"PRAGMA synchronous = {value}" for value in ("FULL", "EXTRA", "'full'", '"full"', "NORMAL", "OFF")),
    *(f"PRAGMA synchronous = {value}" for value in ("ON", "yes", "+2", "-2", "2.5", "5", "7", "nonsense")),
    *("PRAGMA synchronous(FULL)", "  PRAGMA synchronous = 2", "/* x */ PRAGMA synchronous = 2"),
    *("-- x\nPRAGMA synchronous = 2", "; PRAGMA synchronous = 2", "PRAGMA/**/synchronous/**/=/**/2"),
    *("\ufeffPRAGMA synchronous = 2", "PRAGMA synchronous = 2;", "PRAGMA synchronous = 2; SELECT 1"),
    *("DELETE FROM child; PRAGMA synchronous = 2", "EXPLAIN QUERY PLAN PRAGMA main.synchronous(2)"),
    *("EXPLAIN/**/PRAGMA synchronous = 2", "EXPLAIN -- x\nQUERY PLAN PRAGMA synchronous = 2"),
    *(f"PRAGMA count_changes = {value}" for value in ("ON", "yes", "true", "2", "OFF", "no", "false")),
    *(f"PRAGMA page_size = {value}" for value in ("0", "1000", "1024", "'512'", "'4096'")),
    *(f"PRAGMA journal_mode = {value}" for value in ("'delete'", "nonsense", "wal", "'wal'")),
    *('PRAGMA "main".journal_mode = off', "PRAGMA JOURNAL_MODE=Delete"),
    # servers compare the names of some pragmas letter by letter, SQLite does not
    *(f"PRAGMA Journal_Mode = {value}" for value in (*PRAGMAS["journal_mode"], "nonsense")),
    *("PRAGMA Journal_Mode", "EXPLAIN PRAGMA Journal_Mode = DELETE", "PRAGMA journal_mode = Delete"),
    *("PRAGMA Page_Size = 512", "PRAGMA Page_Size = 4096", "PRAGMA Wal_Autocheckpoint = 1"),
    *("PRAGMA Wal_Checkpoint", "PRAGMA Wal_Checkpoint = FULL", "PRAGMA Wal_Checkpoint = TRUNCATE"),
    *(
        "PRAGMA Locking_Mode = EXCLUSIVE",
        "PRAGMA Busy_Timeout = 1",
        "PRAGMA Optimize",
        "PRAGMA Count_Changes = 1",
    ),
    *("PRAGMA Synchronous = 2", "PRAGMA Soft_Heap_Limit = 100000000"),
    *(f"PRAGMA {kind}_heap_limit = -1" for kind in ("soft", "hard")),
    *(f"SELECT * FROM pragma_{kind}_heap_limit(100000000)" for kind in ("soft", "hard")),
    *(f"SELECT * FROM pragma_optimize({value})" for value in ("-1", "65534", "65534, 'main'")),
    *('SELECT * FROM "pragma_optimize"', "SELECT * FROM main.pragma_optimize"),
    *("WITH x AS (SELECT * FROM pragma_optimize) SELECT * FROM x", "EXPLAIN SELECT * FROM pragma_optimize"),
    *("INSERT INTO child SELECT 1 FROM pragma_optimize", "CREATE VIEW n AS SELECT * FROM pragma_optimize"),
    "CREATE TRIGGER n AFTER INSERT ON t BEGIN INSERT INTO child SELECT 1 FROM pragma_optimize; END",
    *(f"SELECT * FROM pragma_{name}('main')" for name in ("synchronous", "journal_mode", "page_size")),
    *(
        "SELECT * FROM pragma_table_info('t', 'main')",
        "CREATE VIEW n AS SELECT * FROM pragma_table_info('t')",
    ),
    *("PRAGMA delete_database", "BEGIN IMMEDIATE; PRAGMA delete_database; COMMIT"),
    "EXPLAIN PRAGMA delete_database",
)
SCRIPTS = (
    "INSERT INTO keeps VALUES (1), (2)",
    "CREATE TABLE n (a UNIQUE ON CONFLICT FAIL); INSERT INTO n VALUES (1), (1)",
    "INSERT OR FAIL INTO t VALUES (3, 'three', 3)",
    "BEGIN; INSERT OR FAIL INTO t VALUES (3, 'three', 3), (1, 'again', 1); COMMIT",
    "SAVEPOINT s; INSERT OR FAIL INTO t VALUES (3, 'three', 3), (1, 'again', 1); RELEASE s",
    "INSERT INTO t VALUES (3, 'three', 3); INSERT INTO t VALUES (1, 'again', 1)",
    "SAVEPOINT a; SAVEPOINT b; INSERT INTO t VALUES (6, 'six', 6); ROLLBACK TO a; RELEASE a",
    "CREATE TRIGGER n BEFORE INSERT ON t BEGIN INSERT OR FAIL INTO t VALUES (1, 'x', 1); END",
    "DELETE FROM t WHERE 0 RETURNING a",
    "INSERT INTO t SELECT 3, 'x', 3 WHERE 0 RETURNING a",
    "INSERT INTO t VALUES (9, 'nine', 9) RETURNING a; SELECT 1",
    "INSERT INTO t VALUES (9, 'RETURNING', 9)",
    "CREATE TEMP TABLE n (a); INSERT INTO n VALUES (1)",
    "CREATE VIRTUAL TABLE n USING fts5(a); INSERT INTO n VALUES ('x')",
    "CREATE VIRTUAL TABLE n USING fts4(a); INSERT INTO n VALUES ('x')",
    "CREATE VIRTUAL TABLE n USING rtree(id, a, b); INSERT INTO n VALUES (1, 2, 3)",
    "CREATE VIRTUAL TABLE n USING fts3tokenize",
    "CREATE VIRTUAL TABLE n USING sqlite_dbpage",
    (
        "CREATE TABLE n AS SELECT fts3_tokenizer('simple', x'0101010101010101') AS x; "
        "CREATE VIRTUAL TABLE m USING fts3(a)"
    ),
    "SELECT fts3_tokenizer('simple', fts3_tokenizer('simple'))",
    "DELETE FROM sqlite_dbpage",
    'UPDATE "sqlite_dbpage" SET data = zeroblob(4096) WHERE pgno = 1',
    "UPDATE main.sqlite_dbpage SET data = zeroblob(4096) WHERE pgno = 2",
    "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = 'x' WHERE name = 't'",
    "PRAGMA writable_schema = 1; DELETE FROM sqlite_schema WHERE name = 't'",
    "ATTACH ':memory:' AS m; DETACH m",
    # an authorizer is not told the name that an expression makes
    "ATTACH 'at' || 'tached' AS m",
    "ATTACH 'at' || 'tached' AS m; CREATE TABLE m.x (a); INSERT INTO m.x VALUES (1)",
    "ATTACH 'bystan' || 'der' AS m; INSERT INTO m.witness VALUES (1)",
    "ATTACH 'file:attached?' || 'vfs=unix' AS m",
    "ATTACH 'file:attached?' || 'vfs=unix' AS m; CREATE TABLE m.x (a)",
    "ATTACH ':mem' || 'ory:' AS m",
    "ATTACH '' AS m; CREATE TABLE m.x (a); INSERT INTO m.x VALUES (1)",
    f"ATTACH '{FILE}' AS m",
    f"ATTACH '{FILE}' AS m; CREATE TABLE m.x (a); INSERT INTO m.x VALUES (1)",
    f"VACUUM INTO '{FILE}'",
    f"VACUUM main INTO '{FILE}'",
    "VACUUM INTO 'bystander'",
    "VACUUM INTO 'file:{scratch}/vacuumed?vfs=unix'",
    "VACUUM INTO 'vac' || 'uumed'",
    "EXPLAIN QUERY PLAN ATTACH 'attached' AS m",
    "EXPLAIN COMMIT",
    "SELECT 1 WHERE 0",
    "SELECT 'x' FROM t WHERE b = 'PRAGMA synchronous = 2'",
)

# ---------------------------------------------------------------- names

NAMES = (
    "",
    ":memory:",
    ":MEMORY:",
    " ",
    "file:",
    "file::memory:",
    "file::memory:?cache=shared",
    "FILE::memory:",
    "file:{db}",
    "file:///{db}",
    "file://localhost/{db}",
    "file:{db}?mode=memory",
    "file:{db}?mode=memory&cache=shared",
    "file:{db}?mode=ro",
    "file:{db}?mode=rw",
    "file:{db}?mode=rwc",
    "file:{db}?cache=shared",
    "file:{db}?immutable=1",
    "file:{db}?nolock=1",
    "file:{db}?psow=0",
    "file:{db}?vfs=unix",
    "file:{db}?vfs=unix-none",
    "file:{db}?vfs=memdb",
    "file:/{db}?vfs=memdb",
    "file:{db}?vfs=no_such",
    "file:{scratch}/opened?vfs=unix",
    "file:{db}%00x",
    "{scratch}/opened",
    "./{db}",
    "../{db}",
    "a/{db}",
    "/{db}",
    "{db}-wal",
    "{db}-journal",
    "{db}-shm",
    "{db}.db",
    "{db}?vfs=unix",
    "{db}%41",
    "{db} with blanks ",
    "{db}'\"",
    "{db}\n",
    "{db}é",
    *(f"{{db}}{'x' * (size - 4)}" for size in (250, 255, 256, 499, 503, 504, 505, 508, 511, 512, 513, 600)),
    *(f"{{db}}{'x' * (size - 4)}" for size in (1000, 4000, 5000)),
    *("bystander-wal", "bystander-journal", "bystander-shm", "file:bystander-wal", "file:{db}-wal"),
    *("-wal", "-journal", "{db}-WAL", "{db}-walx", "x-wal-{db}", "main", "temp", "-{db}"),
    *("File:{db}", "file:{db}#x", "file:%3Amemory:", "file:?mode=memory", "file:{db}%2Dwal"),
    *(
        "file:{db}?VFS=unix",
        "file:{db}?v%66s=unix",
        "file:{db}?vfs=",
        "file:{db}?mode=",
        "file:{db}?modeof=x",
    ),
    *("file:{db}?mode=ro&mode=rwc", "file:{db}?mode=rwc&mode=ro", "file:{db}?cache=private", "file:{db}?x=1"),
    *("file:{db}?cache=nonsense", "file:{db}?mode=nonsense", "file://host/{db}", "file:////{db}"),
)


def steps() -> Iterator[Step]:
    """Yield every step; those of one text follow one another, PREPARE first."""
    for name in NAMES:
        yield Step(OPEN, name, "")
    for sql in texts():
        for via in WAYS:
            yield Step(via, OWN_NAME, sql)


def texts() -> Iterator[str]:
    yield from STATEMENTS
    yield from SPELLINGS
    yield from SCRIPTS
    for name, values in PRAGMAS.items():
        yield from dict.fromkeys(pragma_texts(name, values))
