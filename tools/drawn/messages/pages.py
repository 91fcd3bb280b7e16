"""Draw a page for each message of the protocol, and the tables of them all.

A page says what the declaration says (`dqlitewire.messages`): the docstring of the class, the fields, the
bytes. What it says besides is found, not written: who answers (`played`, the order's table), from which
release on (`dqlitewire.servers`), which failures were recorded from which server (tests/captures), what a
real frame looks like (the vectors).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dqlitewire import PROTOCOL_VERSION_LEGACY, RequestType, ResponseType
from dqlitewire.conversation.table import TABLE
from dqlitewire.declare.contract import BODY, Field
from dqlitewire.explain import explain
from dqlitewire.limits import DEFAULT_LIMITS
from dqlitewire.messages import REGISTRY, REQUESTS, NodeInfo
from dqlitewire.servers.codes import primary_of
from dqlitewire.servers.refusals import NO_DATABASE, NOT_LEADER, knows_type, schema_for
from dqlitewire.servers.releases import RELEASES, Generation, rules_of
from dqlitewire.traffic.views.tree import hexdump
from tests.wire_data import VECTORS, Vector, captures, frames
from tools.drawn import DOCS
from tools.drawn.messages.byte_diagram import diagram
from tools.drawn.messages.explained import explained
from tools.drawn.messages.failure_pages import codes
from tools.drawn.messages.layouts import Cell, Element, Group, Layout, header, layouts_of
from tools.drawn.messages.played import played
from tools.drawn.messages.recorded import refused, servers_of
from tools.drawn.messages.value_pages import drawings
from tools.drawn.text import doc_of, look_up, table

__all__ = ["DRAWINGS", "KINDS", "PARTS", "REDACTED", "file_name", "files", "form_of", "redacted_words"]

PAGES, DRAWINGS = DOCS / "reference" / "messages", DOCS / "drawings" / "messages"
LONGEST = 128  # bytes of an example

# kind of a field -> how it lies in the body, for people
KINDS = {
    "u32": "unsigned, 4 bytes",
    "u64": "unsigned, 8 bytes",
    "text": "text",
    "role": "unsigned, 8 bytes",
    "reserved": "8 bytes",
    "ignored": "8 bytes",
    "padding": "4 bytes",
    "params": "[parameters](values.md#parameters)",
    "nodes": "a count of 8 bytes, and so many nodes",
    "files": "a count of 8 bytes, and so many files",
    "names": "a count of 8 bytes, and so many texts",
    "types": "[half a byte each](values.md#rows), in front of each row",
    "rows": "[rows](values.md#rows)",
    "marker": "[8 bytes](values.md#markers)",
}
# what redaction leaves of a field that it shows in part
REDACTED = {
    "sql": "without literals and comments",
    "code": "shown; one above 65,535, which no server has, becomes 0",
    "message": "the server's own words, not what they quote",
    "column_names": "names, not literals",
    "column_types": "shown",
    "row_types": "shown",
    "has_more": "shown",
    "params": "number and types, not values",
    "rows": "number and types, not values",
    "nodes": "shown",
    "files": "names and sizes, not contents",
}
_ANSWERED = (
    "What the servers answered in the recorded conversations. What each code means, and what to do: "
    "[failures](../failures.md)."
)
EMPTY = {
    "reserved": "must be 0",
    "ignored": "written as 0 and ignored",
    "padding": "written as 0 and ignored",
}


def _direction(is_request: bool) -> str:
    return "request" if is_request else "response"


def file_name(cls: Any) -> str:
    """Return the name of a message's page, without what ends it.

    Args:
        cls: the message's class.
    """
    return f"{_direction(cls.IS_REQUEST)}-{cls.MSG_TYPE.name.lower().replace('_', '-')}"


def form_of(vector: Vector) -> str:
    """Return the name of the layout that a vector has, as `layouts_of` names it."""
    if vector.context.get("handshake") == "legacy":
        return "legacy"
    if "cluster_format" in vector.context:
        return "format-0"
    if vector.is_request and vector.type == RequestType.ASSIGN and len(vector.body) == 8:
        return "promote"
    is_failure = not vector.is_request and vector.type == ResponseType.FAILURE
    if is_failure and explain(vector.data, is_request=False).children[1].name == "half-built rows":
        return "behind-rows"
    return str(vector.schema)


# ---------------------------------------------------------------- a page


def _link(kind: int, is_request: bool) -> str:
    cls = REGISTRY[is_request, kind]
    return f"[{cls.MSG_TYPE.name}]({file_name(cls)}.md)"


def _listed(words: Iterable[str], last: str = "and") -> str:
    *front, end = words
    return f"{', '.join(front)} {last} {end}" if front else end


def _answers(cls: Any) -> str:
    steps = [step for step in TABLE if step.request == cls.MSG_TYPE]
    kinds = [kind for kind in cls.ANSWERS if any(step.answer & 0xFF == kind for step in steps)]
    found = [_link(kind, False) for kind in kinds]
    failure = _link(ResponseType.FAILURE, False)
    if not steps:
        return "nothing: what follows is raft's"
    if not found:
        return f"{failure}; 1.11.1 never answers it, and reads nothing more from the connection"
    more = ", as many frames as the rows take" if ResponseType.ROWS in kinds else ""
    return f"{_listed(found)}{more}, or {failure}"


def _asked(cls: Any) -> str:
    """Which node is to be asked, from what each release says elsewhere."""
    said = played()[cls.MSG_TYPE]
    strict = [name for name, one in said.items() if one.elsewhere == NOT_LEADER]
    code, text = NOT_LEADER
    if not strict:
        return "any node"
    if len(strict) == len(said):
        return f'the leader; any other node answers {code} "{text}"'
    return f'the leader; any other node of {_listed(strict, "or")} answers {code} "{text}"'


def _since(cls: Any, schema: int) -> str:
    """The first release that reads a request's schema; "" for all."""
    first = next(
        (g for g in Generation if g and schema_for(cls.MSG_TYPE, schema, rules_of(g)) == schema),
        Generation.V1_11,
    )
    return "" if first is Generation.V1_11 else first.release


def _facts(cls: Any) -> Iterator[str]:
    if cls.IS_REQUEST:
        yield f"Answered by {_answers(cls)}."
        if cls.MSG_TYPE in played():
            yield f"Asked of {_asked(cls)}."
            said = {one.unopened for one in played()[cls.MSG_TYPE].values()}
            if said == {NO_DATABASE}:
                code, text = NO_DATABASE
                yield f'Needs {_link(RequestType.OPEN, True)} on the connection, else {code} "{text}".'
        for schema in cls.SCHEMAS[1:]:
            yield f"Schema {schema}: from {_since(cls, schema)} on; 1.11.1 reads such a body as schema 0."
    else:
        asked = [code for code, request in sorted(REQUESTS.items()) if cls.MSG_TYPE in request.ANSWERS]
        every = cls.MSG_TYPE == ResponseType.FAILURE
        yield "Answers " + ("any request" if every else _listed([_link(code, True) for code in asked])) + "."
        yield from (f"Schema {schema} answers a request of schema {schema}." for schema in cls.SCHEMAS[1:])
    yield _recorded(cls)
    yield f"In Python: `dqlitewire.messages.{cls.__name__}`."


def _recorded(cls: Any) -> str:
    """Of which servers there are recordings of it, answered as it should be."""
    found: set[str] = set()
    for capture in captures():
        for step in capture.steps:
            asked, answers = frames(step.request), frames(step.answer)
            if cls.IS_REQUEST:
                kinds = {answer[4] for answer in answers} & set(cls.ANSWERS)
                if any(frame[4] == cls.MSG_TYPE for frame in asked) and kinds:
                    found.add(capture.server)
            elif any(frame[4] == cls.MSG_TYPE for frame in answers):
                found.add(capture.server)
    if cls.IS_REQUEST and not knows_type(cls.MSG_TYPE):
        return "No server has it; tools may meet it in old traffic."
    if found != set(RELEASES):
        return "Every server has it; it is not part of the recorded conversations."
    return f"Recorded from {_listed(name for name in RELEASES if name in found)}."


def _limits(field: Field) -> str:
    said: list[str] = []
    if field.cap:
        said.append(f"at most [`{field.cap}`](../limits.md) ({getattr(DEFAULT_LIMITS, field.cap):,})")
    low, high = getattr(field, "low", 0), getattr(field, "high", None)
    if field.kind == "text" and low:
        said.append("not empty")
    elif field.kind == "role":
        said.append("0 voter, 1 stand-by, 2 spare")
    elif high is not None and low == high:
        said.append(f"only {low}")
    elif low:
        said.append(f"at least {low}")
    return ", ".join(said)


def redacted_words(field: Field) -> str:
    """Return what redaction leaves of a field, for people.

    Args:
        field: of a declaration.
    """
    if not field.is_attribute:
        return ""
    if field.name in REDACTED:
        return REDACTED[field.name]
    if field.shows:
        return "shown"
    return "each byte becomes `x`" if field.kind == "text" else "becomes 0"


def _fields(cls: Any) -> str:
    told = doc_of(cls).each
    lines = [_field(field, field.name, told) for field in cls.FIELDS if field.place == BODY]
    if any(field.kind == "nodes" for field in cls.FIELDS):
        node = doc_of(NodeInfo).each
        lines += [_field(field, f"nodes[].{field.name}", node) for field in NodeInfo.FIELDS]
    return table(("field", "on the wire", "what it is", "limits", "redacted"), lines)


def _field(field: Field, name: str, told: dict[str, str]) -> tuple[str, ...]:
    kind, here = f"a {field.kind} field", "tools/drawn/messages/pages.py how its bytes lie"
    wire = look_up(KINDS, field.kind, kind, here) + (f"; from schema {field.since} on" if field.since else "")
    words = told.get(field.name) or look_up(EMPTY, field.kind, kind, "the docstring what it is")
    return f"`{name}`", wire, words, _limits(field), redacted_words(field)


def _failures(cls: Any) -> str:
    """What the recorded servers refused it with."""
    lines = [
        (
            f"[{one.code}](../failures.md#code-{one.code if one.code in codes() else primary_of(one.code)})",
            one.text,
            servers_of(found),
        )
        for one, found in sorted(refused().items())
        if one.request == cls.MSG_TYPE
    ]
    return table(("code", "text", "from"), lines) if lines else ""


def _title(cls: Any, layout: Layout) -> str:
    words = f", {layout.words}" if layout.words else ""
    return f"The bytes of {cls.MSG_TYPE.name}{words}"


class _Sample(NamedTuple):
    """A frame, and where it is from."""

    data: bytes
    origin: str


def _sample(cls: Any, layout: Layout) -> _Sample:
    """A short frame of one form, the one with most of its parts: a vector, or one that was recorded."""
    samples = [
        _Sample(vector.data, f"the vector `{vector.name}` ({vector.origin_words})")
        for vector in VECTORS
        if vector.message_class is cls and form_of(vector) == layout.name
    ]
    samples += [
        _Sample(frame, f"as recorded with {capture.server}")
        for capture in captures()
        for frame in frames(capture.c2s[8:] if cls.IS_REQUEST else capture.s2c)
        if (frame[4], frame[5]) == (cls.MSG_TYPE, layout.schema) and not samples
    ]

    def parts(sample: _Sample) -> int:
        spans = explain(sample.data, is_request=cls.IS_REQUEST).children
        return len({span.name.partition("[")[0] for span in spans})

    return max((one for one in samples if len(one.data) <= LONGEST), key=parts)


def _example(cls: Any, layout: Layout) -> str:
    sample = _sample(cls, layout)
    head = f"For example {sample.origin}:"
    if layout.name == "legacy":
        span = explain(sample.data, is_request=False, version=PROTOCOL_VERSION_LEGACY)
        return f"{head}\n\n```text\n" + "\n".join(hexdump(sample.data, span)) + "\n```"
    return f"{head}\n\n{explained(sample.data, _direction(cls.IS_REQUEST))}"


def _page(cls: Any) -> str:
    said = re.sub(r"the page\s+of values", "the page of [values](values.md)", doc_of(cls).words)
    parts = [f"# {cls.MSG_TYPE.name} ({_direction(cls.IS_REQUEST)} {int(cls.MSG_TYPE)})", said]
    parts.append("\n".join(f"* {fact}" for fact in _facts(cls)))
    layouts = layouts_of(cls)
    parts.append("## Bytes")
    for layout in layouts:
        if layout.words:
            parts.append(f"### {layout.words[0].upper()}{layout.words[1:]}")
        if layout.note:
            parts.append(layout.note)
        name = f"{file_name(cls)}-{layout.name}.svg"
        parts.append(f"![{_title(cls, layout)}](../../drawings/messages/{name})")
        parts.append(_example(cls, layout))
    parts += ["## Fields", _fields(cls)]
    failures = _failures(cls) if cls.IS_REQUEST else ""
    if failures:
        parts += [
            "## Failures",
            _ANSWERED,
            failures,
        ]
    return "\n\n".join(parts) + "\n"


def _classes() -> list[Any]:
    return [cls for _, cls in sorted(REGISTRY.items(), key=lambda one: (not one[0][0], one[0][1]))]


@functools.cache
def files() -> Mapping[Path, str]:
    """Return the pages and the drawings of all messages, with their texts."""
    found = drawings()
    for cls in _classes():
        found[PAGES / f"{file_name(cls)}.md"] = _page(cls)
        for layout in layouts_of(cls):
            path = DRAWINGS / f"{file_name(cls)}-{layout.name}.svg"
            found[path] = diagram(_title(cls, layout), header(cls.MSG_TYPE, layout.schema) + layout.parts)
    return found


# ---------------------------------------------------------------- tables of them all


def _body(parts: Iterable[Element]) -> str:
    words: list[str] = []
    for part in parts:
        match part:
            case Cell(kind="reserved" | "ignored" | "padding"):
                words.append(f"{part.size} unused bytes")
            case Cell():
                words.append(f"`{part.name}`")
            case Group(times=""):
                words.append("[parameters](values.md#parameters)")
            case Group():
                inner = [
                    f"`{p.name}`" if isinstance(p, Cell) else "[values](values.md#rows)" for p in part.parts
                ]
                words.append(f"{part.words.partition(',')[0]} {_listed(inner)}")
    return ", ".join(words)


def _list(is_request: bool) -> str:
    lines = []
    for cls in _classes():
        if cls.IS_REQUEST is is_request:
            answers = [_link(code, False) for code in getattr(cls, "ANSWERS", ())]
            said = (", ".join(answers) or "–",) if is_request else ()
            lines.append(
                (
                    str(int(cls.MSG_TYPE)),
                    _link(cls.MSG_TYPE, is_request),
                    _body(layouts_of(cls)[0].parts),
                    *said,
                )
            )
    return table(("code", "name", "body", *(("answered by",) if is_request else ())), lines)


def _toctree() -> str:
    names = "\n".join(file_name(cls) for cls in _classes())
    return f"```{{toctree}}\n:hidden:\n\nvalues\n{names}\n```"


PARTS: dict[str, Callable[[], str]] = {
    "requests": lambda: _list(True),
    "responses": lambda: _list(False),
    "pages of messages": _toctree,
}
