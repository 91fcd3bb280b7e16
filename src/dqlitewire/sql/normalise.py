"""The normal form of SQL text: one key for statements that differ in literals and layout only.

Statistics count by it, so it is the same for what a person calls the same statement: `IN (1, 2)` and
`IN (1, 2, 3)`, a VALUES list of two rows and of a thousand, a literal and a variable. It is made from tokens,
so text that is no SQL has one as well. No literal appears in it.
"""

from __future__ import annotations

from sys import getsizeof

from ..caches import Cache
from .tokens import Kind, tokenize

__all__ = ["normalise"]

_NORMAL: Cache[str, str] = Cache(512, 16_384)


def normalise(sql: str, max_length: int | None = None) -> str:
    """Fold comments, layout, literals and lists of them, so that like statements become one text.

    Args:
        sql: any text; what is no SQL comes back with its blanks folded.
        max_length: characters of the result, an ellipsis included.

    Returns:
        Keywords in upper case, literals and variables as "?", a list of them as "?, ..", a list of such rows
        as "(?, ..), ..".
    """
    text = _NORMAL.get(sql)
    if text is None:
        text = _normal(sql)
        _NORMAL.add(sql, text, getsizeof(sql) + getsizeof(text))
    if max_length is not None and len(text) > max_length:
        return text[: max(max_length - 1, 0)] + "…"
    return text


def _normal(sql: str) -> str:
    parts: list[str] = []
    for token in tokenize(sql):
        if token.kind is Kind.SPACE or token.kind is Kind.COMMENT:
            continue
        if token.kind in _LITERALS:
            _add_literal(parts)
        elif token.kind is Kind.WORD and token.text.upper() in KEYWORDS:
            parts.append(token.text.upper())
        else:
            parts.append(token.text)
            if token.text == ")":
                _fold_rows(parts)
    while parts and parts[-1] == ";":
        parts.pop()
    return _spaced(parts)


def _add_literal(parts: list[str]) -> None:
    if parts and parts[-1] in "+-" and (len(parts) < 2 or not _is_operand(parts[-2])):
        parts.pop()  # the sign of the literal
    if parts[-2:] == ["?", ","]:
        parts[-2:] = ["?, .."]
    elif parts[-2:] == ["?, ..", ","]:
        parts.pop()
    else:
        parts.append("?")


def _is_operand(part: str) -> bool:
    return part in (")", "?", "?, ..") or (
        part not in KEYWORDS and (part[-1] in '"`]_' or part[-1].isalnum())
    )


def _fold_rows(parts: list[str]) -> None:
    row = parts[-3:]
    if len(row) < 3 or row[0] != "(" or row[1] not in ("?", "?, .."):
        return
    if parts[-7:-3] == [*row, ","]:
        parts[-7:] = [*row, ", .."]
    elif parts[-8:-3] == [*row, ", ..", ","]:
        del parts[-4:]


def _spaced(parts: list[str]) -> str:
    text: list[str] = []
    last = "("
    for part in parts:
        tight = part[0] in ",;)." or last in ("(", ".") or (part == "(" and last not in _BEFORE_PARENTHESIS)
        text.append(part if tight else " " + part)
        last = part
    return "".join(text)


_LITERALS = frozenset({Kind.STRING, Kind.BLOB, Kind.NUMBER, Kind.VARIABLE})
_WORDS = """
    ABORT ACTION ADD AFTER ALL ALTER ALWAYS ANALYZE AND AS ASC ATTACH AUTOINCREMENT BEFORE BEGIN BETWEEN BY
    CASCADE CASE CAST CHECK COLLATE COLUMN COMMIT CONFLICT CONSTRAINT CREATE CROSS CURRENT CURRENT_DATE
    CURRENT_TIME CURRENT_TIMESTAMP DATABASE DEFAULT DEFERRABLE DEFERRED DELETE DESC DETACH DISTINCT DO DROP
    EACH ELSE END ESCAPE EXCEPT EXCLUDE EXCLUSIVE EXISTS EXPLAIN FAIL FILTER FIRST FOLLOWING FOR FOREIGN FROM
    FULL GENERATED GLOB GROUP GROUPS HAVING IF IGNORE IMMEDIATE IN INDEX INDEXED INITIALLY INNER INSERT
    INSTEAD INTERSECT INTO IS ISNULL JOIN LAST LEFT LIKE LIMIT MATCH MATERIALIZED NATURAL NO NOT NOTHING
    NOTNULL NULL NULLS OF OFFSET ON OR ORDER OTHERS OUTER OVER PARTITION PLAN PRAGMA PRECEDING PRIMARY QUERY
    RAISE RANGE RECURSIVE REFERENCES REGEXP REINDEX RELEASE RENAME REPLACE RESTRICT RETURNING RIGHT ROLLBACK
    ROW ROWS SAVEPOINT SELECT SET TABLE TEMP TEMPORARY THEN TIES TO TRANSACTION TRIGGER UNBOUNDED UNION UNIQUE
    UPDATE USING VACUUM VALUES VIEW VIRTUAL WHEN WHERE WINDOW WITH WITHOUT
"""
_CALLED = "CAST RAISE REPLACE GLOB LIKE IF"  # keywords that stand like a function's name before a parenthesis
_SPACED = "+ - * / % = == <> != < > <= >= << >> | || & , ; -> ->> ~"
KEYWORDS = frozenset(_WORDS.split())  # sqlite.org/lang_keywords.html
_BEFORE_PARENTHESIS = (KEYWORDS - frozenset(_CALLED.split())) | frozenset(_SPACED.split())
