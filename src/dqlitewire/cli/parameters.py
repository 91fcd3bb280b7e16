"""Parameters of a statement as words of a command line, and values as such words.

    NULL  true  false          as they are, in these letters
    42  -7  +5  007            an integer, decimal
    1.5  .5  1e3  -2E-7        a float: digits with a point, an exponent or both
    x'00ff'  X'00FF'           a blob
    anything else              text

A number is never bent: an integer beyond 64 bits and a float beyond what one holds are wrong use, and so is
a blob of an odd number of digits. `word` says how a value is written so that `parameter` gives it back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from dqlitewire import ValueType
from dqlitewire.sql.tokens import Kind, tokenize
from dqlitewire.text import shown
from dqlitewire.values import KIND_OF, WireValue

_LEAST, _GREATEST = KIND_OF[ValueType.INTEGER].bounds
_DIGITS = len(str(_GREATEST))
_WORDS: dict[str, WireValue] = {"NULL": None, "true": True, "false": False}
_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BLOB = re.compile(r"[xX]'([0-9a-fA-F]*)'")
_BEGIN = frozenset("0123456789+-.xXNtf")  # of a word that may be no text


def parameter(word: str) -> WireValue:
    """Return the value that a word stands for.

    Args:
        word: of the command line.

    Raises:
        ValueError: it is a number that no value holds, half a blob, or no text.
    """
    if word[:1] in _BEGIN:
        if word in _WORDS:
            return _WORDS[word]
        if _INTEGER.fullmatch(word):
            return _integer(word)
        if _FLOAT.fullmatch(word):
            return _float(word)
        if found := _BLOB.fullmatch(word):
            if len(found[1]) % 2:
                raise ValueError(f"{shown(word)} is no blob: an odd number of digits; --text makes it text")
            return bytes.fromhex(found[1])
    return text(word)


def _integer(word: str) -> int:
    digits = word.lstrip("+-").lstrip("0")
    value = int(digits or "0") if len(digits) <= _DIGITS else _GREATEST + 2
    value = -value if word[0] == "-" else value
    if not _LEAST <= value <= _GREATEST:
        raise ValueError(f"{shown(word)} does not fit 64 bits: --text makes it text")
    return value


def _float(word: str) -> float:
    value = float(word)
    if math.isinf(value):
        raise ValueError(f"{shown(word)} is larger than any float: --text makes it text")
    return value


def text(word: str) -> str:
    """Return a word as text.

    Args:
        word: of the command line.

    Raises:
        ValueError: it holds bytes that are no UTF-8, or a NUL, which no text of SQLite's can hold.
    """
    for at, char in enumerate(word) if not word.isprintable() else ():
        if "\ud800" <= char <= "\udfff":
            raise ValueError(f"{shown(word)} is no text: not UTF-8 at character {at + 1}")
        if char == "\0":
            raise ValueError(f"{shown(word)} holds a NUL at character {at + 1}")
    return word


def is_plain(held: str) -> bool:
    """Tell whether a text is one that `parameter` takes for itself.

    Args:
        held: any text, one that cannot be a parameter as well.
    """
    if held[:1] not in _BEGIN:
        return True
    return not (held in _WORDS or _INTEGER.fullmatch(held) or _FLOAT.fullmatch(held) or _BLOB.fullmatch(held))


def wanted(sql: str) -> int | None:
    """Return how many parameters a statement takes; None where its text does not tell.

    `?` takes the one after the greatest so far, `?7` the seventh, and a name the same one wherever it stands.

    Args:
        sql: the text of one statement.
    """
    count = 0
    named: set[str] = set()
    for token in tokenize(sql):
        if token.kind is Kind.BAD:
            return None
        if token.kind is not Kind.VARIABLE:
            continue
        number = token.text[1:]
        if token.text[0] == "?" and number:
            if len(number) > _DIGITS:
                return None
            count = max(count, int(number))
        elif token.text == "?" or token.text not in named:
            count += 1
            named.add(token.text)
    return count


def parameters(words: Sequence[str], all_text: bool = False) -> tuple[WireValue, ...]:
    """Return the values that words stand for.

    Args:
        words: of the command line.
        all_text: take each of them for text.

    Raises:
        ValueError: one of them is no value; it says which.
    """
    found: list[WireValue] = []
    for number, each in enumerate(words, 1):
        try:
            found.append(text(each) if all_text else parameter(each))
        except ValueError as error:
            raise ValueError(f"PARAM {number}: {error}") from None
    return tuple(found)
