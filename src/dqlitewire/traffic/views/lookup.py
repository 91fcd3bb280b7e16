"""Look up a number or a name of the protocol: failure codes and message types in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dqlitewire import RequestType, ResponseType
from dqlitewire.conversation import explain_failure, failure_name
from dqlitewire.declare.fields import BODY
from dqlitewire.messages import REGISTRY
from dqlitewire.servers.codes import codes_named, primary_of

#: longest number that is taken for a code, not for hex digits
CODE_DIGITS = 15


def explain_code(code: int) -> list[str]:
    """Say what a failure code means."""
    info = explain_failure(code)
    lines = [
        f"failure code {code} (0x{code:x}): {info.name}",
        f"  {info.meaning}",
        f"  retry: {info.retry.value}",
    ]
    primary = primary_of(code)
    if code > 0xFF and primary is not None:
        lines.append(f"  extended code {code >> 8} of {primary} ({failure_name(primary)})")
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


def explain_word(word: str) -> list[list[str]]:
    """Say what a number or name may mean; empty if it is neither a code nor a type.

    Args:
        word: a failure code (decimal, or hex with 0x), the name of one, or the number or name of a message
            type.
    """
    number = _number(word)
    if number is not None:
        return [
            explain_code(number),
            *(explain_type(kind) for kind in _types(lambda kind: int(kind) == number)),
        ]
    name = word.upper().replace("-", "_")
    found = [explain_type(kind) for kind in _types(lambda kind: kind.name == name)]
    return found + [explain_code(code) for code in codes_named(word)]


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
