"""Failures in words: names against SQLite's own, and what became of the request."""

from __future__ import annotations

import sqlite3

import pytest

from dqlitewire import RequestType, constants
from dqlitewire.conversation import Generation, Outcome, Retry, explain_failure, failure_name
from dqlitewire.messages import AddRequest, ExecSqlRequest, LeaderRequest, QuerySqlRequest
from dqlitewire.servers.codes import NAMES, codes_named
from dqlitewire.servers.failures import changes_something
from dqlitewire.sql.survey import survey
from dqlitewire.traffic.views.lookup import explain_word

INSERT = ExecSqlRequest(0, "INSERT INTO t VALUES (1)")
SCRIPT = ExecSqlRequest(0, "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)")
SELECT = QuerySqlRequest(0, "SELECT 1")
RETURNING = QuerySqlRequest(0, "INSERT INTO t VALUES (1) RETURNING a")
DONE, NOT, UNKNOWN = Outcome.DONE, Outcome.NOT_EXECUTED, Outcome.UNKNOWN


# sqlite3 has authorizer and limit constants under the same prefix; the results are those of its documentation
_RESULTS = """
    ABORT AUTH BUSY CANTOPEN CONSTRAINT CORRUPT EMPTY ERROR FORMAT FULL INTERNAL INTERRUPT IOERR LOCKED
    MISMATCH MISUSE NOLFS NOMEM NOTADB NOTFOUND NOTICE PERM PROTOCOL RANGE READONLY ROW SCHEMA TOOBIG WARNING
"""
_PRIMARY = set(_RESULTS.split())


def is_result(name: str) -> bool:
    prefix, _, rest = name.partition("_")
    return prefix == "SQLITE" and (rest in _PRIMARY or rest.split("_")[0] in _PRIMARY)


def test_names_are_sqlites() -> None:
    codes = {value: name for name, value in vars(sqlite3).items() if is_result(name)}
    assert len(codes) > 80
    for code, name in codes.items():
        assert failure_name(code) == name


def test_names_are_those_of_the_constants() -> None:
    for name in constants.__all__:
        value = getattr(constants, name)
        if (
            name.startswith(("SQLITE_", "DQLITE_"))
            and isinstance(value, int)
            and name[-4:] not in ("MASK", "GACY")
        ):
            assert failure_name(value) == name


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (10250, "SQLITE_IOERR_NOT_LEADER"),
        (10506, "SQLITE_IOERR_LEADERSHIP_LOST"),
        (8202, "SQLITE_IOERR_DATA"),
        (1005, "DQLITE_PARSE"),
        (1003, "code 1003"),
        (0, "SQLITE_OK"),
        (100, "SQLITE_ROW"),
        (101, "SQLITE_DONE"),
        (99, "code 99"),
        (10 | 200 << 8, "SQLITE_IOERR (51210)"),
        (10 | 37 << 8, "SQLITE_IOERR (9482)"),
        (2**63, "code 9223372036854775808"),
    ],
)
def test_name(code: int, name: str) -> None:
    assert failure_name(code) == name


V11, V18 = Generation.V1_11, Generation.V1_18_2
EXPLAINED = [
    # code, message, request, generation, retry, outcome
    (10250, "not leader", INSERT, V18, Retry.LEADER, NOT),
    (8202, "not leader", INSERT, V11, Retry.LEADER, NOT),
    (10506, "leadership lost", INSERT, V18, Retry.CHECK, UNKNOWN),
    (10506, "disk I/O error", SELECT, V11, Retry.LEADER, NOT),
    (10506, "server has lost leadership", AddRequest(2, "a"), V18, Retry.CHECK, UNKNOWN),
    (12, "no database opened", INSERT, V18, Retry.REOPEN, NOT),
    (12, "no statement with the given id", RequestType.EXEC, V18, Retry.REOPEN, NOT),
    (0, "empty statement", SELECT, V18, Retry.NO, NOT),
    (5, "database is locked", INSERT, V18, Retry.SAME, NOT),
    (517, "database is locked", INSERT, V18, Retry.NO, NOT),
    (261, "database is locked", INSERT, V18, Retry.SAME, NOT),
    (5, "a database for this connection is already open", RequestType.OPEN, V18, Retry.NO, NOT),
    (5, "checkpoint in progress", SCRIPT, V18, Retry.SAME, NOT),
    (5, "a configuration change is already in progress", AddRequest(2, "a"), V18, Retry.SAME, NOT),
    (2067, "UNIQUE constraint failed: t.a", INSERT, V18, Retry.NO, UNKNOWN),
    (2067, "UNIQUE constraint failed: t.a", SCRIPT, V18, Retry.NO, UNKNOWN),
    (5, "database is locked", SCRIPT, V18, Retry.CHECK, UNKNOWN),
    (1, "no such table: t", INSERT, V18, Retry.NO, NOT),
    (1, "nonempty statement tail", SELECT, V11, Retry.NO, NOT),
    (1, "nonempty statement tail", RETURNING, Generation.V1_15, Retry.NO, NOT),
    (1, "nonempty statement tail", RETURNING, V18, Retry.CHECK, UNKNOWN),
    (1, "nonempty statement tail", QuerySqlRequest(0, "SELECT 1; SELECT 2"), V18, Retry.NO, NOT),
    (1, "server ID already in use", AddRequest(2, "a"), V18, Retry.NO, NOT),
    (1, "operation canceled", AddRequest(2, "a"), V18, Retry.CHECK, UNKNOWN),
    (10, "leader exec failed", INSERT, V18, Retry.CHECK, UNKNOWN),
    (10, "disk I/O error", INSERT, V18, Retry.CHECK, UNKNOWN),
    (10, "only WAL mode is supported", INSERT, V11, Retry.NO, NOT),
    (7, "out of memory", INSERT, V18, Retry.CHECK, UNKNOWN),
    (7, "out of memory", INSERT, V11, Retry.CHECK, UNKNOWN),
    (8, "not an error", INSERT, Generation.UNKNOWN, Retry.CHECK, UNKNOWN),
    (100, "another row available", INSERT, V11, Retry.NO, UNKNOWN),
    (1, "rows yielded when none expected for EXEC request", INSERT, V18, Retry.NO, UNKNOWN),
    (1005, "unrecognized schema version", LeaderRequest(), V18, Retry.NO, NOT),
    (1002, "database does not exists", RequestType.DUMP, V18, Retry.NO, NOT),
    (15, "bad format version", RequestType.DESCRIBE, V18, Retry.NO, NOT),
    (25, "bind parameters", SCRIPT, V11, Retry.NO, NOT),
    (3, "?", INSERT, V18, Retry.NO, UNKNOWN),
    (1019, "?", INSERT, V18, Retry.NO, UNKNOWN),
    (10250, "not leader", None, V18, Retry.LEADER, NOT),
]


@pytest.mark.parametrize(("code", "message", "request_", "generation", "retry", "outcome"), EXPLAINED)
def test_explained(code, message, request_, generation, retry, outcome) -> None:  # type: ignore[no-untyped-def]
    info = explain_failure(code, message, request=request_, generation=generation)
    assert (info.code, info.retry, info.outcome) == (code, retry, outcome)
    assert info.name == failure_name(code)
    assert str(info).startswith(f"{info.name} ({code}) {message!r}: ")
    assert "\n" not in str(info)


def test_what_a_failed_step_leaves() -> None:
    """By clause, by error, and by whether a transaction was open: the table in `servers.aftermath`."""
    unique, raised, key = (2067, "UNIQUE constraint failed: t.a"), (1811, "no"), (787, "FOREIGN KEY failed")
    overflow, full, syntax = (
        (1, "integer overflow"),
        (13, "database or disk is full"),
        (1, 'near "x": syntax'),
    )
    bare, table = "INSERT INTO t VALUES (1)", "CREATE UNIQUE INDEX i ON t (a)"
    known: list[tuple[tuple[int, str], str, list[Outcome]]] = [  # outside, inside
        (unique, bare, [UNKNOWN, UNKNOWN]),
        (unique, "INSERT OR FAIL INTO t VALUES (1)", [UNKNOWN, UNKNOWN]),
        (unique, "INSERT OR ROLLBACK INTO t VALUES (1)", [UNKNOWN, UNKNOWN]),
        (unique, "WITH a AS (SELECT 1) UPDATE OR ABORT t SET a = 1", [UNKNOWN, UNKNOWN]),
        (unique, "REPLACE INTO t VALUES (1)", [UNKNOWN, UNKNOWN]),
        (unique, table, [NOT, NOT]),
        (unique, "DELETE FROM t", [UNKNOWN, UNKNOWN]),
        (raised, "INSERT OR ABORT INTO t VALUES (1)", [UNKNOWN, UNKNOWN]),
        (key, bare, [NOT, NOT]),
        (key, "COMMIT", [NOT, NOT]),
        (overflow, bare, [NOT, UNKNOWN]),
        (full, bare, [NOT, UNKNOWN]),
        (syntax, bare, [NOT, NOT]),
    ]
    for failure, sql, outcomes in known:
        for in_transaction, outcome in zip((False, True), outcomes, strict=True):
            info = explain_failure(
                *failure,
                request=ExecSqlRequest(0, sql),
                generation=Generation.V1_18_3,
                in_transaction=in_transaction,
            )
            assert info.outcome is outcome, (failure, sql, in_transaction)


def test_text_of_a_prepared_statement_counts() -> None:
    lost = (10506, "leadership lost")
    assert explain_failure(*lost, request=RequestType.QUERY).outcome is UNKNOWN
    assert explain_failure(*lost, request=RequestType.QUERY, sql="SELECT 1").outcome is NOT


def test_requests_of_no_known_type() -> None:
    from dqlitewire.conversation import RawRequest

    raw = RawRequest(bytes([1, 0, 0, 0, 99, 0, 0, 0]) + bytes(8))
    assert explain_failure(1005, "unrecognized request type", request=raw).outcome is NOT


def test_what_changes_something() -> None:
    harmless = " ".join(kind.name for kind in RequestType if not changes_something(kind, None))
    assert harmless == "LEADER CLIENT HEARTBEAT OPEN PREPARE FINALIZE INTERRUPT DUMP CLUSTER DESCRIBE"
    assert changes_something(RequestType.QUERY_SQL, survey("SELECT 1; DELETE FROM t"))
    assert not changes_something(RequestType.EXEC_SQL, survey("SELECT 1"))


# ---------------------------------------------------------------- every code there is


def every_name() -> dict[str, int]:
    """The results of the standard library's SQLite, of apsw's, which is newer, and the package's own."""
    found = {name: value for name, value in vars(sqlite3).items() if is_result(name)}
    found |= {name: getattr(constants, name) for name in constants.__all__ if is_result(name)}
    found |= {name: getattr(constants, name) for name in constants.__all__ if name.startswith("DQLITE_")}
    apsw = pytest.importorskip("apsw")
    for mapping in (apsw.mapping_result_codes, apsw.mapping_extended_result_codes):
        found |= {name: value for name, value in mapping.items() if isinstance(name, str)}
    return found


def test_every_code_is_found_by_its_name_however_it_is_written() -> None:
    names = every_name()
    assert len(names) > 110
    for name, code in names.items():
        bare = name.partition("_")[2]
        for word in (name, name.lower(), name.title(), name.replace("_", "-")):
            assert codes_named(word) == [code], word
        assert code in codes_named(bare)
        assert codes_named(bare) == codes_named(bare.lower())
        found = explain_word(name)
        assert [lines[0] for lines in found if f" {code} " in lines[0]], name
    assert codes_named("notfound") == [12, 1002]
    assert codes_named("SQLITE_") == codes_named("") == codes_named("no such") == []


def test_what_is_said_of_one_code_is_not_said_of_others() -> None:
    """A rule for a primary code holds for its extended ones; 0 is the primary code of nothing."""
    assert "no statement" in explain_failure(0).meaning
    powers = {1 << n for n in range(80)}
    codes = {*NAMES, *powers, *(-power for power in powers), *range(1100), *range(0, 70_000, 64), 10**5000}
    for code in codes - {0}:
        info = explain_failure(code)
        assert "no statement" not in info.meaning
        assert len(str(info)) < 300
        known = 0 < code < 2**31
        if not known:
            assert (info.name[:5], info.meaning) == ("code ", "a code that neither SQLite nor dqlite has")
        if 255 < code < 2**31 and info.name.endswith(f"({code})"):
            assert explain_failure(code & 0xFF).name == info.name.partition(" ")[0]
