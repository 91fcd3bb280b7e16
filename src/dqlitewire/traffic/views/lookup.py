"""Look up a number or a name of the protocol: failure codes and message types in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from string import hexdigits
from typing import Any

from dqlitewire import RequestType, ResponseType
from dqlitewire.conversation import explain_failure, failure_name
from dqlitewire.declare.contract import BODY
from dqlitewire.declare.fixed import Bits
from dqlitewire.messages import REGISTRY
from dqlitewire.raft import MESSAGES
from dqlitewire.servers.codes import NAMES, codes_named, primary_of

#: longest number that is taken for a code, not for hex digits
CODE_DIGITS = 15
_BARE_DIGITS = 8  # of a hex number without 0x
_LONGEST_WORD = 64  # that may be a name with a mistake in it
_PREFIXES = ("SQLITE", "DQLITE")  # which make any two names alike
_NEAR = 0.75  # how much of a word must be a name's


def explain_code(code: int) -> list[str]:
    """Say what a failure code means."""
    info = explain_failure(code)
    name = f": {info.name}" if code in NAMES else ""
    lines = [
        f"failure code {code} (0x{code:x}){name}",
        f"  {info.meaning}",
        f"  retry: {info.retry.value}",
    ]
    primary = primary_of(code)
    if code > 0xFF and primary in NAMES:
        unused = "" if code in NAMES else ", by a number that SQLite does not use"
        lines.append(f"  extends {failure_name(primary)}{unused}: {primary} + {code >> 8} * 256")
    return lines


def explain_type(kind: RequestType | ResponseType) -> list[str]:
    """Say what a message type is: its fields in wire order, its schemas and answers."""
    is_request = isinstance(kind, RequestType)
    cls: Any = REGISTRY[is_request, int(kind)]
    doc = (cls.__doc__ or "").strip().split("\n")[0]
    lines = [f"{'request' if is_request else 'response'} {int(kind)}: {kind.name}", f"  {doc}"]
    schemas = ", ".join(map(str, cls.SCHEMAS))
    lines.append(f"  schema {schemas}; class dqlitewire.messages.{cls.__name__}")
    for field in cls.FIELDS:
        if field.place != BODY:
            continue
        since = f" (schema {field.since} on)" if field.since else ""
        cap = f", at most Limits.{field.cap}" if field.cap else ""
        lines.append(f"    {field.name:16} {field.kind}{since}{cap}")
    if is_request:
        answers = [ResponseType(answer).name for answer in cls.ANSWERS]
        lines.append(f"  answered by {', '.join([*answers, 'FAILURE'])}" if answers else "  never answered")
    else:
        asked = [
            RequestType(code).name
            for (way, code), other in sorted(REGISTRY.items(), key=lambda e: e[0][1])
            if way and kind in other.ANSWERS
        ]
        lines.append(f"  answers {', '.join(asked) if asked else 'any request'}")
    return lines


def explain_raft_type(kind: int) -> list[str]:
    """Say what a message between nodes is: its fields in wire order, and what it is answered by.

    Args:
        kind: the number of its type.
    """
    cls: Any = MESSAGES[kind]
    doc = (cls.__doc__ or "").strip().split("\n")[0]
    sizes = " or ".join(map(str, cls.HEADER_SIZES))
    varies = any(field.largest is None for field in cls.FIELDS if field.place == BODY)
    lines = [
        f"between nodes {int(kind)}: {cls.TYPE.name}",
        f"  {doc}",
        f"  header of {sizes} bytes{' and what varies' * varies}; class dqlitewire.raft.{cls.__name__}",
    ]
    for field in cls.FIELDS:
        if isinstance(field, Bits):
            lines.append(f"    {field.name:16} bits of {field.of}")
        elif field.place == BODY:
            lines.append(f"    {field.name:16} {field.kind}")
    if cls.RESULT is not None:
        return [*lines, f"  answered by {MESSAGES[cls.RESULT].TYPE.name}, on another connection"]
    asked = [other.TYPE.name for other in MESSAGES.values() if cls.TYPE == other.RESULT]
    return [*lines, f"  answers {', '.join(asked)}, on another connection"] if asked else lines


def explain_word(word: str) -> list[list[str]]:
    """Say what a number or name may mean; empty if it is neither a code nor a type.

    Args:
        word: a failure code (decimal, or hex with 0x; without it where the code has a name), the name of one,
            or the number or name of a message type.
    """
    number = _number(word)
    if number is None and (bare := _bare_hex(word)) in NAMES:
        return [explain_code(bare)]
    if number is not None:
        return [
            explain_code(number),
            *(explain_type(kind) for kind in _types(lambda kind: int(kind) == number)),
        ]
    name = word.upper().replace("-", "_")
    found = [explain_type(kind) for kind in _types(lambda kind: kind.name == name)]
    found += [explain_raft_type(kind) for kind, cls in MESSAGES.items() if cls.TYPE.name == name]
    return found + [explain_code(code) for code in codes_named(word)]


def nearest(word: str) -> list[str]:
    """Return what may have been meant by a word that is neither a code nor a type; at most three, best first.

    Args:
        word: as it was given.
    """
    if len(word) > _LONGEST_WORD:
        return []
    if (bare := _bare_hex(word)) is not None:
        return [f"0x{bare:x}"]
    wanted = word.upper().replace("-", "_")
    types = (*(kind.name for kind in _types(lambda _: True)), *(cls.TYPE.name for cls in MESSAGES.values()))
    names = {name: name for name in (*NAMES.values(), *types)}
    for name in NAMES.values():  # whose first words may be left out
        parts = name.split("_")
        for first in range(1, len(parts)):
            names.setdefault("_".join(parts[first:]), name)
    attempts = [(wanted, names)]
    prefix, _, rest = wanted.partition("_")
    if prefix in _PREFIXES:
        family = {name.partition("_")[2]: name for name in NAMES.values() if name.startswith(prefix)}
        attempts = [(rest, family), (rest, names), (wanted, names)]
    for each, known in attempts:
        if found := get_close_matches(each, known, n=3, cutoff=_NEAR):
            return list(dict.fromkeys(known[name] for name in found))
    return []


def _bare_hex(word: str) -> int | None:
    """A number in hex without 0x: too short for a frame, and with a letter that makes it no decimal one."""
    if not 1 < len(word) <= _BARE_DIGITS or word[0] == "0" or word.isdigit():
        return None
    return int(word, 16) if set(word) <= set(hexdigits) else None


def _number(word: str) -> int | None:
    if len(word) > CODE_DIGITS + 2:
        return None
    try:
        return (
            int(word, 16)
            if word.lower().startswith("0x")
            else int(word)
            if word.isascii()
            and word.isdigit()
            and len(word) <= CODE_DIGITS
            and (word == "0" or word[0] != "0")  # a leading zero: the beginning of a frame in hex
            else None
        )
    except ValueError:
        return None


def _types(wanted: Callable[[RequestType | ResponseType], bool]) -> Iterator[RequestType | ResponseType]:
    yield from (kind for kind in RequestType if wanted(kind))
    yield from (kind for kind in ResponseType if wanted(kind))
