"""Faults in words: the command line, TOML files and the control socket of a proxy write them alike.

    --fault 'fail code=5 times=2 on=EXEC_SQL'                   parse_fault, quoting as a shell's

    [[fault]]                                                   read_faults
    kind = "fail"
    code = 5
    times = 2
    on = ["EXEC_SQL", "QUERY_SQL"]

    {"kind": "fail", "code": 5, "times": 2}                     fault_of

Kinds are those of `faults.kinds()`, and the words of a kind are the fields of its class, so that a class of
one's own has its words as soon as it is defined. What a word takes follows from the type of its field:

    bool        yes or no; on the command line the bare word is yes
    int         0x17 as well
    float       a number; seconds, where it is a time
    str         any text
    int | None  "forever" for `times`, "none" for any other

A field of any other type (`change` of Corrupt is a function) can be set in Python only. `words_of` is the way
back.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from os import PathLike, fspath
from typing import Any, cast

from dqlitewire.faults.checks import shown
from dqlitewire.faults.fault import Fault, kind_word, kinds
from dqlitewire.faults.values import (
    SIMPLE,
    FaultWordsError,
    from_text,
    from_value,
    none_word,
    types_of,
    unknown,
)
from dqlitewire.header import type_name

__all__ = ["FaultWordsError", "fault_of", "parse_fault", "parse_faults", "read_faults", "words_of"]

_FLAGS = {re.I: "i", re.M: "m", re.S: "s", re.X: "x", re.A: "a"}
_MOST_BYTES = 1 << 20  # of a file
_TABLE = re.compile(r"[ \t]*\[\[[ \t]*(?:fault|\"fault\"|'fault')[ \t]*\]\]")


# ---- what there is to say


def parse_fault(text: str) -> Fault:
    """Return the fault that a text orders, such as `fail code=5 times=2 on=EXEC,EXEC_SQL`.

    Args:
        text: The kind, then its words, quoted as for a shell.

    Raises:
        FaultWordsError: The text orders none.
    """
    try:
        kind, *said = shlex.split(text) or [""]
        words: dict[str, object] = {"kind": kind}
        for one in said:
            word, equals, value = one.partition("=")
            if word in words:
                raise FaultWordsError(f"word {shown(word)} twice, must be there once")
            words[word] = value if equals else None
        return _made(words, from_text)
    except FaultWordsError as error:
        raise FaultWordsError(error.problem, f"fault {shown(text)}") from None
    except ValueError as error:  # of shlex
        raise FaultWordsError(str(error).lower(), f"fault {shown(text)}") from None


def parse_faults(texts: Iterable[str]) -> list[Fault]:
    """Return the faults that several texts order, in order.

    Args:
        texts: Each as for `parse_fault`.

    Raises:
        FaultWordsError: One of them orders none; `where` has its number.
    """
    found: list[Fault] = []
    for number, text in enumerate(texts, 1):
        try:
            found.append(parse_fault(text))
        except FaultWordsError as error:
            raise FaultWordsError(error.problem, f"fault {number} {shown(text)}") from None
    return found


def fault_of(table: Mapping[str, object]) -> Fault:
    """Return the fault that a mapping orders: `kind`, and its words with values of their types.

    Args:
        table: As TOML and JSON give it.

    Raises:
        FaultWordsError: It orders none.
    """
    return _made(table, from_value)


def read_faults(path: str | PathLike[str]) -> list[Fault]:
    """Return the faults of a TOML file, from its `[[fault]]` tables, in order.

    Args:
        path: The file, at most 1 MiB.

    Raises:
        FaultWordsError: It is no such file; `where` has file, line and number of the fault.
        OSError: It cannot be read.
    """
    name = fspath(path)
    with open(path, "rb") as stream:
        data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise FaultWordsError(f"longer than {_MOST_BYTES} bytes", name)
    try:
        text = data.decode()
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise FaultWordsError(
            f"byte {data[error.start]:#04x} at {error.start}, must be UTF-8", name
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise FaultWordsError(f"not TOML: {str(error)[:1].lower()}{str(error)[1:]}", name) from None
    except (RecursionError, ValueError) as error:  # nested too deep; an int of too many digits
        raise FaultWordsError(f"not TOML: {shown(str(error))}", name) from None
    for key in document:
        if key != "fault":
            raise FaultWordsError(unknown("table", key, ["fault"]), name)
    tables: object = document.get("fault", [])
    if not isinstance(tables, list):
        raise FaultWordsError("fault is no list of tables, must be written [[fault]]", name)
    return _of_tables(name, text, cast("list[object]", tables))


def _of_tables(name: str, text: str, tables: list[object]) -> list[Fault]:
    lines = [number for number, line in enumerate(text.splitlines(), 1) if _TABLE.match(line)]
    found: list[Fault] = []
    for number, table in enumerate(tables, 1):
        line = f":{lines[number - 1]}" if len(lines) == len(tables) else ""
        where = f"{name}{line}: fault {number}"
        if not isinstance(table, dict):
            raise FaultWordsError(f"{shown(table)} is no table, must be written [[fault]]", where)
        try:
            found.append(fault_of(cast("dict[str, object]", table)))
        except FaultWordsError as error:
            raise FaultWordsError(error.problem, where) from None
    return found


def words_of(fault: Fault) -> dict[str, object]:
    """Return what `fault_of` makes the same fault of, as JSON can hold it; words as by default are left out.

    Args:
        fault: The fault. What can be set in Python only is there by its name, which `fault_of` refuses.
    """
    words: dict[str, object] = {"kind": kind_word(type(fault))}
    for one in fields(fault):
        value = getattr(fault, one.name)
        if one.default is MISSING or value != one.default:
            words[one.name] = _value_of(one.name, value)
    if fault._types is not None:
        words["on"] = [type_name(code, True) for code in sorted(fault._types)]
    return words


def _value_of(word: str, value: object) -> object:
    if isinstance(value, re.Pattern):
        pattern = cast("re.Pattern[str]", value)
        flags = "".join(letter for flag, letter in _FLAGS.items() if pattern.flags & flag)
        return f"(?{flags}){pattern.pattern}" if flags else pattern.pattern
    if value is None:
        return none_word(word)
    if isinstance(value, SIMPLE):
        return value
    return getattr(value, "__name__", type(value).__name__)


# ---- the table


def _made(words: Mapping[str, object], read: Callable[[str, object, tuple[Any, ...]], object]) -> Fault:
    words = dict(words)
    kind = _kind(words.pop("kind", ""))
    table = _words(kind)
    given: dict[str, Any] = {}
    for word, value in words.items():
        if word not in table:
            raise FaultWordsError(unknown("word", word, table, f"{kind_word(kind)} takes"))
        types = types_of(kind, table[word])
        if not types:
            raise FaultWordsError(f"word {word} of {kind_word(kind)} can be set in Python only")
        given[word] = read(word, value, types)
    for word, one in table.items():
        needed = one.default is MISSING and one.default_factory is MISSING
        if needed and word not in given:
            raise FaultWordsError(f"{kind_word(kind)} without {word}, must say {word}=...")
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise FaultWordsError(str(error)) from None


def _kind(word: object) -> type[Fault]:
    known = kinds()
    kind = known.get(word.lower()) if isinstance(word, str) else None
    if kind is None:
        raise FaultWordsError(unknown("kind", word, known))
    return kind


def _words(kind: type[Fault]) -> dict[str, Field[Any]]:
    # its own first, then those that all kinds have
    common = {one.name for one in fields(Fault)}
    listed = sorted(fields(kind), key=lambda one: one.name in common)
    return {one.name: one for one in listed if one.init}
