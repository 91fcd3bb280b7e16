"""What a statement may not do: as each release refuses it, and beyond that what would leave its database.

SQLite names a statement's actions to its authorizer; these functions judge them.  Releases that let a client
reach a file of the host, or a setting of the whole process, are not followed in that: in a test both belong
to somebody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dqlitewire.testing.node.hazards import HazardKind

if TYPE_CHECKING:
    from dqlitewire.testing.node.generations import Generation

__all__ = ["FREE", "Verdict", "judge_attach", "judge_function", "judge_pragma"]


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
_NAMELESS = ("", ":memory:")  # databases without a file that anybody could find

# src/vfs.c of 1.18.1: vfsFileControl; and of 1.18.6: vfsAuthorizer
_CUSTOM_CHECKPOINT = 10, "custom checkpoint not allowed"
_TRIXIE_SETTERS = {
    "wal_autocheckpoint": _CUSTOM_CHECKPOINT,
    "page_size": (10, "changing page size is not supported"),
}
_DENIED_PRAGMAS = {"wal_checkpoint", "busy_timeout", "read_uncommitted", "locking_mode"}
_DENIED_SETTERS = {"journal_mode", "page_size", "wal_autocheckpoint", "synchronous"}


def judge_attach(generation: Generation, name: str | None) -> Verdict:
    """Judge ATTACH, and VACUUM INTO, which attaches its target; the name of an expression is None."""
    outside = name not in _NAMELESS
    # of 1.18.1 the limit of no attached databases speaks, when the statement runs
    refused = generation.attach == "denied" and name != ""
    if not outside:
        return Verdict(_DENIED) if refused else FREE
    return Verdict(
        None if generation.attach == "limited" else _DENIED,
        HazardKind.OUTSIDE,
        "the file of an expression" if name is None else f"file {name}",
    )


def judge_function(name: str | None) -> Verdict:
    """Judge the call of a function."""
    return Verdict(_DENIED, HazardKind.OUTSIDE, f"function {name}") if name in _UNSAFE_FUNCTIONS else FREE


def judge_pragma(generation: Generation, name: str, value: str | None) -> Verdict:
    """Judge a pragma; without a value it reads."""
    if value is not None and name in _PROCESS_SETTERS:
        return Verdict(_DENIED, HazardKind.OUTSIDE, f"PRAGMA {name}={value}")
    if generation.attach == "denied":
        denied = name in _DENIED_PRAGMAS or (value is not None and name in _DENIED_SETTERS)
        return Verdict(_DENIED) if denied else FREE
    if generation.old_pragmas:
        if value is not None and (name == "page_size" or (name == "journal_mode" and value.lower() != "wal")):
            text = f"PRAGMA {name}={value} aborts dqlite {generation.name}"
            return Verdict((1, text), HazardKind.OLD_PRAGMA, text)
        return FREE
    if name == "wal_checkpoint":
        return Verdict(_CUSTOM_CHECKPOINT)
    if value is None:
        return FREE
    if name == "journal_mode" and value.lower() != "wal":
        return Verdict((10, "only WAL mode is supported"))
    return Verdict(_TRIXIE_SETTERS[name]) if name in _TRIXIE_SETTERS else FREE
