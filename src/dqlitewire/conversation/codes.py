"""Names of the codes a FAILURE may carry: SQLite's primary and extended ones (sqlite3.h) and dqlite's own."""

from __future__ import annotations

from ..constants import is_dqlite_namespace_code

__all__ = ["failure_name"]

_PRIMARY = """
    OK ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN
    PROTOCOL EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB NOTICE WARNING
"""
_PRIMARY_NAMES = _PRIMARY.split()
_IOERR = """
    READ SHORT_READ WRITE FSYNC DIR_FSYNC TRUNCATE FSTAT UNLOCK RDLOCK DELETE BLOCKED NOMEM ACCESS
    CHECKRESERVEDLOCK LOCK CLOSE DIR_CLOSE SHMOPEN SHMSIZE SHMLOCK SHMMAP SEEK DELETE_NOENT MMAP GETTEMPPATH
    CONVPATH VNODE AUTH BEGIN_ATOMIC COMMIT_ATOMIC ROLLBACK_ATOMIC DATA CORRUPTFS IN_PAGE - - - - -
    NOT_LEADER LEADERSHIP_LOST
"""
_CONSTRAINT = """
    CHECK COMMITHOOK FOREIGNKEY FUNCTION NOTNULL PRIMARYKEY TRIGGER UNIQUE VTAB ROWID PINNED DATATYPE
"""
# the n-th name extends its primary code by n; "-" is a number not used
_EXTENDED = {
    1: "MISSING_COLLSEQ RETRY SNAPSHOT",
    4: "- ROLLBACK",
    5: "RECOVERY SNAPSHOT TIMEOUT",
    6: "SHAREDCACHE VTAB",
    8: "RECOVERY CANTLOCK ROLLBACK DBMOVED CANTINIT DIRECTORY",
    10: _IOERR,
    11: "VTAB SEQUENCE INDEX",
    14: "NOTEMPDIR ISDIR FULLPATH CONVPATH DIRTYWAL SYMLINK",
    19: _CONSTRAINT,
    23: "USER",
    27: "RECOVER_WAL RECOVER_ROLLBACK RBU",
    28: "AUTOINDEX",
}
# dqlite src/protocol.h
_DQLITE = {1001: "DQLITE_PROTO", 1002: "DQLITE_NOTFOUND", 1005: "DQLITE_PARSE"}


def failure_name(code: int) -> str:
    """Return the name of a failure code, or "code N" if it has none."""
    if is_dqlite_namespace_code(code):
        return _DQLITE.get(code, f"code {code}")
    if code in (100, 101):
        return "SQLITE_ROW" if code == 100 else "SQLITE_DONE"
    primary, extension = code & 0xFF, code >> 8
    if primary >= len(_PRIMARY_NAMES) or (extension and not primary):
        return f"code {code}"
    name = f"SQLITE_{_PRIMARY_NAMES[primary]}"
    if not extension:
        return name
    names = _EXTENDED.get(primary, "").split()
    if extension > len(names) or names[extension - 1] == "-":
        return f"{name} ({code})"
    return f"{name}_{names[extension - 1]}"
