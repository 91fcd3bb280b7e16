"""SQL text cut into tokens as SQLite's own tokenizer cuts it (SQLite src/tokenize.c: sqlite3GetToken).

`tokenize` never fails and loses nothing: the texts of the tokens joined are the text that went in. What
SQLite refuses as a token (an open quote, `12ab`) is BAD and ends where SQLite's ends.
"""

from __future__ import annotations

from enum import Enum

from ..record import Record, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Kind", "Token", "tokenize"]

_SPACE = frozenset(" \t\n\f\r\ufeff")
_MORE_SPACE = _SPACE | {"\v"}  # behind another blank
_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdefABCDEF")
_CLOSING = {"'": "'", '"': '"', "`": "`", "[": "]"}
_OPERATORS = ("->>", "->", "||", "<<", "<=", "<>", "==", "!=", ">>", ">=")


class Kind(Enum):
    """What a token is: WORD is a keyword or a bare identifier, NAME an identifier in quotes, BAD no token."""

    SPACE = "space"
    COMMENT = "comment"
    WORD = "word"
    NAME = "name"
    STRING = "string"
    BLOB = "blob"
    NUMBER = "number"
    VARIABLE = "variable"
    OPERATOR = "operator"
    SEMICOLON = "semicolon"
    BAD = "bad"


@record
class Token(Record):
    """One token.

    Attributes:
        kind: what it is.
        text: as it is written.
        start: the index of its first character.
    """

    kind: Kind
    text: str
    start: int

    def __repr__(self) -> str:
        return f"Token({self.kind.name}, {self.text!r}, {self.start})"


def tokenize(sql: str) -> Iterator[Token]:
    """Yield every token of a text in order, blanks and comments included.

    Args:
        sql: any text.
    """
    position, size = 0, len(sql)
    while position < size:
        kind, end = _token(sql, position, size)
        yield Token(kind, sql[position:end], position)
        position = end


def _token(sql: str, start: int, size: int) -> tuple[Kind, int]:
    first = sql[start]
    if first in _SPACE:
        return Kind.SPACE, _span(sql, start, size, _MORE_SPACE)
    if first in _DIGITS or (first == "." and sql[start + 1 : start + 2] in _DIGITS):
        return _number(sql, start, size)
    if first in "xX" and sql[start + 1 : start + 2] == "'":
        return _blob(sql, start, size)
    if _in_word(first) and first != "$":
        return Kind.WORD, _word_end(sql, start + 1, size)
    if first in _CLOSING:
        return _quoted(sql, start, size)
    if first in "?:@$#":
        return _variable(sql, start, size)
    if first == ";":
        return Kind.SEMICOLON, start + 1
    if sql.startswith("--", start):
        end = sql.find("\n", start)
        return Kind.COMMENT, size if end < 0 else end
    if sql.startswith("/*", start) and start + 2 < size:
        end = sql.find("*/", start + 2)
        return Kind.COMMENT, size if end < 0 else end + 2
    for operator in _OPERATORS:
        if sql.startswith(operator, start):
            return Kind.OPERATOR, start + len(operator)
    return (Kind.OPERATOR if first in "()+-*/%=<>|,&~." else Kind.BAD), start + 1


def _in_word(char: str) -> bool:
    return char.isalnum() or char in "_$" or char > "\x7f"


def _word_end(sql: str, position: int, size: int) -> int:
    while position < size and _in_word(sql[position]):
        position += 1
    return position


def _span(sql: str, position: int, size: int, chars: frozenset[str]) -> int:
    while position < size and sql[position] in chars:
        position += 1
    return position


def _number(sql: str, start: int, size: int) -> tuple[Kind, int]:
    if sql[start] == "0" and sql[start + 1 : start + 2] in ("x", "X") and sql[start + 2 : start + 3] in _HEX:
        end = _span(sql, start + 2, size, _HEX)
    else:
        digits = _DIGITS | {"_"}
        end = _span(sql, start, size, digits)
        if sql[end : end + 1] == ".":
            end = _span(sql, end + 1, size, digits)
        if sql[end : end + 1] in ("e", "E"):
            sign = end + 1 + (sql[end + 1 : end + 2] in ("+", "-"))
            if sql[sign : sign + 1] in _DIGITS:
                end = _span(sql, sign, size, digits)
    word_end = _word_end(sql, end, size)
    return (Kind.NUMBER if word_end == end else Kind.BAD), word_end


def _blob(sql: str, start: int, size: int) -> tuple[Kind, int]:
    end = _span(sql, start + 2, size, _HEX)
    if sql[end : end + 1] == "'" and (end - start) % 2 == 0:
        return Kind.BLOB, end + 1
    end = sql.find("'", end)
    return Kind.BAD, size if end < 0 else end + 1


def _quoted(sql: str, start: int, size: int) -> tuple[Kind, int]:
    closing = _CLOSING[sql[start]]
    end = sql.find(closing, start + 1)
    while end >= 0 and closing != "]" and sql.startswith(closing, end + 1):
        end = sql.find(closing, end + 2)
    if end < 0:
        return Kind.BAD, size
    return (Kind.STRING if closing == "'" else Kind.NAME), end + 1


def _variable(sql: str, start: int, size: int) -> tuple[Kind, int]:
    if sql[start] == "?":
        return Kind.VARIABLE, _span(sql, start + 1, size, _DIGITS)
    position, named = start + 1, 0
    while position < size:
        char = sql[position]
        if _in_word(char):
            named += 1
        elif char == "(" and named:  # $name(suffix), as Tcl writes an array element
            while position < size and sql[position] not in _SPACE and sql[position] != ")":
                position += 1
            if position >= size or sql[position] != ")":
                return Kind.BAD, position
            return Kind.VARIABLE, position + 1
        elif sql.startswith("::", position):
            position += 1
        else:
            break
        position += 1
    return (Kind.VARIABLE if named else Kind.BAD), position
