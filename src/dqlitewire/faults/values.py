"""What a word of a fault may be, from the type of its field; what a text or a value of TOML or JSON says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import Field
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from dqlitewire.constants import RequestType
from dqlitewire.faults.checks import shown
from dqlitewire.faults.fault import Fault

__all__ = ["SIMPLE", "FaultWordsError", "from_text", "from_value", "none_word", "types_of", "unknown"]

_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
SIMPLE = (bool, int, float, str)
_NAMED = {
    list: "one request or several",
    bool: "yes or no",
    int: "an int",
    float: "a number",
    str: "a str",
    NoneType: "none",
}
_FOREVER = "forever"
_LONGEST_NAME = 40


class FaultWordsError(ValueError):
    """Words that order no fault.

    Args:
        problem: What is wrong, and what is allowed.
        where: Which fault it is: its text, or file, line and number.

    Attributes:
        problem: As given.
        where: As given.
    """

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(problem, where)
        self.problem = problem
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" if self.where else self.problem


def unknown(what: str, got: object, allowed: Iterable[str], before: str = "must be one of") -> str:
    """Return the text of an error about a name: which one is nearest, and which are allowed.

    Args:
        what: What it names.
        got: What was given.
        allowed: The names that there are.
        before: What stands before them.
    """
    names = {name.lower(): name for name in allowed}
    near = get_close_matches(got.lower()[:_LONGEST_NAME], names, 1, 0.5) if isinstance(got, str) else []
    nearest = f", nearest {names[near[0]]}" if near else ""
    return f"{what} {shown(got)} unknown{nearest}, {before} {', '.join(names.values())}"


def types_of(kind: type[Fault], word: Field[Any]) -> tuple[Any, ...]:
    """Return the types of a word's values, as far as words can say them; none if only Python can.

    Args:
        kind: The class.
        word: Its field.
    """
    if word.name == "on":
        return (list, str, NoneType)
    hints = _hints(kind, word)
    said = tuple(one for one in hints if one in SIMPLE)
    return (*said, NoneType) if said and NoneType in hints else said


def _hints(kind: type[Fault], word: Field[Any]) -> tuple[Any, ...]:
    hint: Any = word.type
    if isinstance(hint, str):
        try:
            hint = get_type_hints(kind)[word.name]
        except Exception:  # a name that is there for type checkers only, of some other word perhaps
            known = {one.__name__: one for one in SIMPLE} | {"None": NoneType}
            return tuple(known.get(part.strip()) for part in hint.split("|"))
    if get_origin(hint) is Literal:
        return (str,)
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def none_word(word: str) -> str:
    """Return what stands for None.

    Args:
        word: The word that it is the value of.
    """
    return _FOREVER if word == "times" else "none"


def from_text(word: str, value: object, types: tuple[Any, ...]) -> object:
    """Return the value that a text stands for.

    Args:
        word: What it is for.
        value: The text; None for the bare word.
        types: Of its values.

    Raises:
        FaultWordsError: It stands for none.
    """
    if value is None:  # the bare word
        if bool in types:
            return True
        raise FaultWordsError(f"word {word} without a value, must be {word}=..., {_allowed(word, types)}")
    text = cast("str", value)
    if word == "on":
        return _requests(text)
    if NoneType in types and text.lower() == none_word(word) and str not in types:
        return None
    for kind in (bool, int, float):
        if kind in types and (said := _number(kind, text)) is not None:
            return said
    if str in types:
        return text
    raise FaultWordsError(f"{word} {shown(text)}, must be {_allowed(word, types)}")


def _number(kind: type, text: str) -> bool | int | float | None:
    if kind is bool:
        return True if text.lower() in _YES else False if text.lower() in _NO else None
    try:
        return int(text, 0) if kind is int else float(text)
    except ValueError:
        return None


def from_value(word: str, value: object, types: tuple[Any, ...]) -> object:
    """Return a value that TOML or JSON gave, as the constructor takes it.

    Args:
        word: What it is for.
        value: The value.
        types: Of its values.

    Raises:
        FaultWordsError: It has none of them.
    """
    if word == "on":
        return _requests(value)
    if value == none_word(word) and NoneType in types and str not in types:
        return None
    if type(value) is int and float in types and int not in types:
        return value
    if type(value) in types:
        return value
    raise FaultWordsError(f"{word} {shown(value)}, must be {_allowed(word, types)}")


def _requests(value: object) -> object:
    """What `on` names: one request or several, by name."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str):
        names: list[object] = [part.strip() for part in value.split(",")]
    elif isinstance(value, list):
        names = cast("list[object]", value)
    else:
        raise FaultWordsError(f"on {shown(value)}, must be the name of a request, or several")
    for name in names:
        if isinstance(name, str) and name.upper() not in RequestType.__members__:
            raise FaultWordsError(unknown("on", name, RequestType.__members__))
    return names


def _allowed(word: str, types: tuple[Any, ...]) -> str:
    said = [_NAMED[one] for one in types if one is not NoneType and not (one is str and list in types)]
    if NoneType in types and str not in types:
        said.append(none_word(word))
    return " or ".join(said)
