"""Names of the codes that a FAILURE may carry: SQLite's primary and extended ones (sqlite3.h), dqlite's own.

An extended code of SQLite is its primary code with a number in the second byte: 10250 is 10 | 40 << 8. dqlite
takes two numbers of IOERR that SQLite does not use, 40 and 41 (servers on a patched SQLite: 32 and 33, which
have other names in SQLite today), and for its own errors 1001 and up (src/protocol.h), never to be masked.
"""

from __future__ import annotations

from ..checks import checked_number
from ..constants import (
    SQLITE_IOERR_LEADERSHIP_LOST_LEGACY,
    SQLITE_IOERR_NOT_LEADER_LEGACY,
    SQLITE_PRIMARY_CODE_MASK,
    is_dqlite_namespace_code,
)
from ..text import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NAMES", "codes_named", "failure_name", "primary_of"]

_PRIMARY = """
    OK ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN
    PROTOCOL EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB NOTICE WARNING
"""
_IOERR = """
    READ SHORT_READ WRITE FSYNC DIR_FSYNC TRUNCATE FSTAT UNLOCK RDLOCK DELETE BLOCKED NOMEM ACCESS
    CHECKRESERVEDLOCK LOCK CLOSE DIR_CLOSE SHMOPEN SHMSIZE SHMLOCK SHMMAP SEEK DELETE_NOENT MMAP GETTEMPPATH
    CONVPATH VNODE AUTH BEGIN_ATOMIC COMMIT_ATOMIC ROLLBACK_ATOMIC DATA CORRUPTFS IN_PAGE BADKEY CODEC - - -
    NOT_LEADER LEADERSHIP_LOST
"""
_CONSTRAINT = """
    CHECK COMMITHOOK FOREIGNKEY FUNCTION NOTNULL PRIMARYKEY TRIGGER UNIQUE VTAB ROWID PINNED DATATYPE
"""
# the n-th name extends its primary code by n; "-" is a number not used
_EXTENDED = {
    0: "LOAD_PERMANENTLY SYMLINK",
    1: "MISSING_COLLSEQ RETRY SNAPSHOT RESERVESIZE KEY UNABLE",
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
_LARGEST = 2**31 - 1  # SQLite's codes are of type int


def _sqlite() -> Iterator[tuple[int, str]]:
    for primary, word in enumerate(_PRIMARY.split()):
        yield primary, f"SQLITE_{word}"
        for number, extension in enumerate(_EXTENDED.get(primary, "").split(), start=1):
            if extension != "-":
                yield primary | number << 8, f"SQLITE_{word}_{extension}"
    yield from ((100, "SQLITE_ROW"), (101, "SQLITE_DONE"))


# Every code that has a name; dqlite's own are those of its src/protocol.h.
NAMES: dict[int, str] = {
    **dict(_sqlite()),
    1001: "DQLITE_PROTO",
    1002: "DQLITE_NOTFOUND",
    1005: "DQLITE_PARSE",
}
# What older servers meant by two codes that SQLite has given other names since.
_OLDER = {
    "SQLITE_IOERR_NOT_LEADER_LEGACY": SQLITE_IOERR_NOT_LEADER_LEGACY,
    "SQLITE_IOERR_LEADERSHIP_LOST_LEGACY": SQLITE_IOERR_LEADERSHIP_LOST_LEGACY,
}


def primary_of(code: int) -> int | None:
    """Return the primary code of a SQLite code; None for dqlite's own, and for what is no error of SQLite."""
    if not 0 < code <= _LARGEST or is_dqlite_namespace_code(code):
        return None
    return code & SQLITE_PRIMARY_CODE_MASK or None


def failure_name(code: int) -> str:
    """Return the name of a failure code, that of its primary code with the number, or "code N".

    Args:
        code: of a FAILURE.

    Raises:
        TypeError: the code is no integer.
    """
    code = checked_number("code", code, None)
    name = NAMES.get(code)
    if name is None:
        name = f"code {shown(code)}"
        primary = NAMES.get(primary_of(code) or -1)
        if code > SQLITE_PRIMARY_CODE_MASK and primary is not None:
            name = f"{primary} ({code})"
    return name


def codes_named(word: str) -> list[int]:
    """Return the codes with a name, in any case and with or without its prefix."""
    name = word.upper().replace("-", "_")
    wanted = {name, f"SQLITE_{name}", f"DQLITE_{name}"}
    return [code for code, known in NAMES.items() if known in wanted] + [
        code for known, code in _OLDER.items() if known in wanted
    ]
