"""Whether a statement may write, and whether it answers with rows: what a tool asks before it sends one.

A statement reads if it is known to; whatever is not known is taken for one that writes. SQLite has three
verbs that only read (SELECT, VALUES, EXPLAIN), and WITH in front of them. A pragma reads if its name is in
one of two tables: those that tell a setting and are harmless without a value, and those whose value says
at most about what they tell. EXPLAIN makes no difference to a pragma, which may act while it is compiled.

That a statement reads does not make it harmless: hazards are judged apart (`servers.sql_hazards`). What a
function of an extension does shows in no text.
"""

from __future__ import annotations

from .survey import Pragma, survey

__all__ = ["ANSWERING", "ASKING", "TELLING", "VERBS", "gives_rows", "is_known", "writing_part"]

#: pragmas that only tell, with a value as well: it says about what, if it says anything
ASKING: frozenset[str] = frozenset(
    {
        "collation_list",
        "compile_options",
        "data_version",
        "database_list",
        "foreign_key_check",
        "foreign_key_list",
        "freelist_count",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "module_list",
        "page_count",
        "pragma_list",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)

#: pragmas that tell a setting, or a list, where they are given no value
TELLING: frozenset[str] = ASKING | {
    "analysis_limit",
    "application_id",
    "auto_vacuum",
    "automatic_index",
    "busy_timeout",
    "cache_size",
    "cache_spill",
    "cell_size_check",
    "checkpoint_fullfsync",
    "count_changes",
    "defer_foreign_keys",
    "encoding",
    "foreign_keys",
    "full_column_names",
    "fullfsync",
    "hard_heap_limit",
    "ignore_check_constraints",
    "journal_mode",
    "journal_size_limit",
    "legacy_alter_table",
    "locking_mode",
    "max_page_count",
    "mmap_size",
    "page_size",
    "query_only",
    "read_uncommitted",
    "recursive_triggers",
    "reverse_unordered_selects",
    "schema_version",
    "secure_delete",
    "short_column_names",
    "soft_heap_limit",
    "synchronous",
    "temp_store",
    "threads",
    "trusted_schema",
    "user_version",
    "wal_autocheckpoint",
    "writable_schema",
}

#: pragmas that answer with a row, or some, when they set or do something (SQLite src/pragma.h)
ANSWERING: frozenset[str] = frozenset(
    {
        "analysis_limit",
        "busy_timeout",
        "hard_heap_limit",
        "journal_mode",
        "journal_size_limit",
        "locking_mode",
        "max_page_count",
        "mmap_size",
        "optimize",
        "secure_delete",
        "soft_heap_limit",
        "threads",
        "wal_autocheckpoint",
        "wal_checkpoint",
    }
)

_READS = frozenset({"SELECT", "VALUES", "EXPLAIN"})

#: the deciding keywords of all statements that SQLite has (SQLite src/parse.y), as `survey` names them
VERBS: frozenset[str] = _READS | {
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DETACH",
    "DROP",
    "END",
    "INSERT",
    "PRAGMA",
    "REINDEX",
    "RELEASE",
    "REPLACE",
    "ROLLBACK",
    "ROLLBACK TO",
    "SAVEPOINT",
    "UPDATE",
    "VACUUM",
}


def writing_part(sql: str) -> str:
    """Return what of a text may write, in the words of the text; "" if all of it only reads.

    Args:
        sql: any text.

    Returns:
        The deciding keyword of the first statement that may write, or a pragma with its name.
    """
    seen = survey(sql)
    for verb in seen.verbs:
        if verb not in _READS and verb != "PRAGMA":
            return verb
    for pragma in seen.pragmas:
        if not _reads(pragma):
            return f"PRAGMA {pragma.written}".rstrip()
    return ""


def is_known(sql: str) -> bool:
    """Tell whether SQLite has such statements; any other is misspelt, or comes with a later SQLite.

    Args:
        sql: any text.
    """
    return VERBS.issuperset(survey(sql).verbs)


def _reads(pragma: Pragma) -> bool:
    return pragma.name in (TELLING if pragma.value is None else ASKING)


def gives_rows(sql: str) -> bool:
    """Tell whether a statement is one that answers with rows: it goes into a QUERY, any other into an EXEC.

    Args:
        sql: the text of one statement.
    """
    seen = survey(sql)
    if seen.returning or any(verb in _READS for verb in seen.verbs):
        return True
    return any(
        pragma.name in ANSWERING | (TELLING if pragma.value is None else ASKING) for pragma in seen.pragmas
    )
