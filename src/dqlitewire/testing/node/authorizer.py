"""What a statement may not do: what each release refuses, and what would leave the statement's database.

No text is read to find out. SQLite asks its authorizer about every action of every statement while it
compiles it: the tables and columns it reads and writes, the functions it calls, each PRAGMA, ATTACH, DETACH
and transaction. It asks for the statements inside as well, those of a trigger, of a view, of a table-valued
pragma function (`SELECT * FROM pragma_journal_mode('delete')`), of VACUUM (which attaches a file of its own),
so nothing gets past it by the way it is written. An action that is denied makes the whole statement fail with
SQLITE_AUTH; `Connection` then answers with the FAILURE of the verdict kept here.

Two kinds of verdict are given:

* **As the release does.** 1.18.7 denies pragmas and ATTACH through an authorizer of its own (src/vfs.c:
  vfsAuthorizer), 1.18.1 and cowsql in their VFS, with other codes and texts; the rows are in
  `servers.releases`. A pragma that a release does not survive is refused and recorded as a hazard. The VFS
  is asked for the file of a pragma's schema, and that of temp is none of dqlite's.
* **Beyond the release.** Real nodes let a client reach a file of the host (ATTACH in 1.11.1, VACUUM INTO), a
  setting of the whole process (`temp_store_directory`) and code (`fts3_tokenizer` takes the address of a
  tokenizer from its argument). In a test all three belong to somebody else, so they are denied for every
  release and recorded as OUTSIDE.

SQLite's temporary files have no name in any folder; real nodes have them too.

The authorizer is also how the connection learns that SQLite has prepared something, and whether that could
have changed the schema; `statement_cache.py` rests on it.
"""

from __future__ import annotations

from typing import NamedTuple

from dqlitewire.servers.hazards import IN_MEMORY, HazardKind
from dqlitewire.servers.releases import Release
from dqlitewire.servers.sql_hazards import PRAGMAS
from dqlitewire.testing.node.sqlite import apsw

__all__ = ["FREE", "Authorizer", "Verdict", "judge_attach", "judge_function", "judge_pragma"]


class Verdict(NamedTuple):
    """What becomes of a statement: the FAILURE that refuses it, and what is recorded of it, if any."""

    refusal: tuple[int, str] | None = None
    hazard: HazardKind | None = None
    detail: str = ""


FREE = Verdict()
_DENIED = 23, "not authorized"

# settings of the whole process; the rest of SQLite's pragmas belong to a connection or a database
_PROCESS_SETTERS = {
    "temp_store_directory",
    "data_store_directory",
    "soft_heap_limit",
    "hard_heap_limit",
    "lock_proxy_file",
}
# the one function that takes the address of code from its (bound) argument
_UNSAFE_FUNCTIONS = {"fts3_tokenizer"}
# actions that cannot change the schema
_PLAIN_ACTIONS = {
    apsw.SQLITE_SELECT,
    apsw.SQLITE_READ,
    apsw.SQLITE_FUNCTION,
    apsw.SQLITE_RECURSIVE,
    apsw.SQLITE_INSERT,
    apsw.SQLITE_UPDATE,
    apsw.SQLITE_DELETE,
}


class Authorizer:
    """The authorizer of one connection.

    Attributes:
        verdict: What becomes of the statement that is compiled, since `begin`.
        compiled: SQLite has prepared something since `begin`.
        plain: .. and nothing that could change the schema.
        sets: .. and a pragma with a value: some act while they are compiled.
    """

    def __init__(self, release: Release) -> None:
        self._release = release
        self.begin()

    def begin(self) -> None:
        """Forget what was said of earlier statements."""
        self.verdict: Verdict = FREE
        self.compiled: bool = False
        self.plain: bool = True
        self.sets: bool = False

    def authorize(
        self, action: int, first: str | None, second: str | None, third: str | None, _inner: str | None
    ) -> int:
        """Answer SQLite: one action of a statement, with up to two names or values that depend on it."""
        self.compiled = True
        plain = action in _PLAIN_ACTIONS or (action == apsw.SQLITE_TRANSACTION and first != "ROLLBACK")
        self.plain = self.plain and plain
        if action == apsw.SQLITE_FUNCTION:
            verdict = judge_function(second)
        elif action == apsw.SQLITE_PRAGMA and first:
            self.sets = self.sets or second is not None
            verdict = judge_pragma(self._release, first, second, third or "")
        elif action == apsw.SQLITE_ATTACH:
            verdict = judge_attach(self._release, first)
        else:
            return apsw.SQLITE_OK
        if verdict.refusal is not None or verdict.hazard is not None:
            self.verdict = verdict
        return apsw.SQLITE_OK if verdict.refusal is None else apsw.SQLITE_DENY


def judge_attach(release: Release, name: str | None) -> Verdict:
    """Judge ATTACH, and VACUUM INTO, which attaches its target; the name of an expression is None."""
    if name in IN_MEMORY:
        return Verdict(_DENIED) if release.attach == "denied" and name != "" else FREE
    return Verdict(
        # of 1.18.1 the limit of no attached databases speaks, when the statement runs
        None if release.attach == "limited" else _DENIED,
        HazardKind.OUTSIDE,
        "the file of an expression" if name is None else f"file {name}",
    )


def judge_function(name: str | None) -> Verdict:
    """Judge the call of a function."""
    return Verdict(_DENIED, HazardKind.OUTSIDE, f"function {name}") if name in _UNSAFE_FUNCTIONS else FREE


def judge_pragma(release: Release, name: str, value: str | None, schema: str = "") -> Verdict:
    """Judge a pragma; without a value it reads, with "" for a schema it means all.

    Of the hazards this is those on which SQLite acts while it compiles; the others are judged when they are
    run (`Workspace`). One of which a node dies later is answered as the node does. A name with capitals
    passes where a release compares letter by letter.
    """
    written, name = name, name.lower()
    if value is not None and name in _PROCESS_SETTERS:
        return Verdict(_DENIED, HazardKind.OUTSIDE, f"PRAGMA {name}={value}")
    refused = release.refused_pragmas.get(name)
    if refused is not None and (refused.temp or schema != "temp") and not (refused.exact and written != name):
        return Verdict(refused.failure) if refused.hits(value) else FREE
    for deadly in PRAGMAS.get(name, ()):
        if (
            deadly.compiles
            and not deadly.begun
            and deadly.harms(release.generation)
            and deadly.hits(written, value, schema.lower())
        ):
            text = f"PRAGMA {name}={value} aborts {release.title}"
            return Verdict((1, text) if deadly.at_once else None, deadly.kind, text)
    return FREE
